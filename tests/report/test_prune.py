"""Pruning candidates: from rows, and by the command from a store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from auditdb.cli.prune import register
from auditdb.errors import AuditError
from auditdb.records import Hook, Look, Reading, Structure, WeightStat
from auditdb.report.prune import COLUMNS, Pruning, candidates, chosen_counts, expert_norms
from tests.small import look


def expert(group: str, number: int, *, fused: bool = True, kind: str = "routed") -> dict[str, Any]:
    name = f"{group}.experts[{number}]" if fused else f"{group}.experts.{number}"
    return {"moe_group": group, "expert": number, "name": name, "kind": kind, "n_params": 8}


def stat(name: str, number: int, norm: float | None) -> dict[str, Any]:
    return {"name": name, "expert": number, "norm": norm}


EXPERTS = [
    *(expert("l.0", number) for number in range(3)),
    *(expert("l.1", number, fused=False) for number in range(3)),
    {"moe_group": "l.0", "expert": None, "name": "l.0.shared", "kind": "shared", "n_params": 8},
]
STATS = [
    stat("embed.weight", -1, 99.0),
    *(stat("l.0.experts.up", number, norm) for number, norm in enumerate((3.0, 6.0, 8.0))),
    *(stat("l.0.experts.down", number, norm) for number, norm in enumerate((4.0, 8.0, 6.0))),
    stat("l.0.experts.scale", -1, 50.0),
    stat("l.0.shared.up.weight", -1, 0.1),
    *(stat(f"l.1.experts.{number}.up.weight", -1, norm) for number, norm in enumerate((30.0, 24.0, None))),
    *(stat(f"l.1.experts.{number}.down.weight", -1, norm) for number, norm in enumerate((40.0, 32.0, 1.0))),
]
ROUTERS = [{"name": "l.0.gate", "moe_group": "l.0"}, {"name": "l.1.gate", "moe_group": "l.1"}]
HOOKS = [
    {"kind": "router", "module": "l.0.gate", "detail": '{"tokens":2,"chosen":[0,3,1],"from":"indices"}'},
    {"kind": "router", "module": "l.1.gate", "detail": "its forward was not called"},
    {"kind": "forward", "module": "", "detail": "{odd"},
]


def test_norms_over_all_tensors_of_an_expert() -> None:
    assert expert_norms(EXPERTS, STATS) == {
        "l.0.experts[0]": 5.0,
        "l.0.experts[1]": 10.0,
        "l.0.experts[2]": 10.0,
        "l.0.shared": 0.1,
        "l.1.experts.0": 50.0,
        "l.1.experts.1": 40.0,
        "l.1.experts.2": None,
    }


def test_chosen_counts() -> None:
    assert chosen_counts(ROUTERS, HOOKS) == {"l.0": [0, 3, 1]}
    two = [*ROUTERS, {"name": "l.0.other", "moe_group": "l.0"}]
    other = {"kind": "router", "module": "l.0.other", "detail": '{"chosen":[1,1,1]}'}
    assert chosen_counts(two, [*HOOKS, other]) == {}


def row(
    group: str, number: int, name: str, norm: float, relative: float, chosen: int | None, reason: str
) -> dict[str, Any]:
    return dict(zip(COLUMNS, (group, number, name, norm, relative, chosen, 8, reason), strict=True))


def test_smallest_of_each_group() -> None:
    first = row(
        "l.0", 0, "l.0.experts[0]", 5.0, 0.5, 0,
        "smallest norm of 3, 50.0% of the group's median; not chosen in the one forward pass (weak evidence)",
    )  # fmt: skip
    second = row("l.1", 1, "l.1.experts.1", 40.0, 40 / 45, None, "smallest norm of 2, 88.9% of the group's median")
    third = row(
        "l.0",
        1,
        "l.0.experts[1]",
        10.0,
        1.0,
        3,
        "2. smallest norm of 3, 100.0% of the group's median, not smaller than the others",
    )
    fourth = row(
        "l.1",
        0,
        "l.1.experts.0",
        50.0,
        50 / 45,
        None,
        "2. smallest norm of 2, 111.1% of the group's median, not smaller than the others",
    )

    def found(per_group: int, limit: int) -> Pruning:
        return candidates(EXPERTS, STATS, ROUTERS, HOOKS, per_group=per_group, limit=limit)

    assert found(1, 9) == Pruning((first, second), ("l.1.experts.2",))
    assert found(2, 9).rows == (first, second, third, fourth)
    assert found(2, 1).rows == (first,)


def test_all_zero_and_none() -> None:
    experts = [expert("g", 0), expert("g", 1)]
    stats = [stat("g.experts.up", number, 0.0) for number in range(2)]
    (only,) = candidates(experts, stats, [], [], per_group=1, limit=9).rows
    assert (only["relative"], only["reason"]) == (None, "smallest norm of 2, of a group whose median is 0")
    assert candidates([], STATS, [], [], per_group=1, limit=9) == Pruning((), ())
    assert candidates(experts, [], [], [], per_group=1, limit=9).unranked == ("g.experts[0]", "g.experts[1]")


BANK = "layers.0.mlp.experts"
FULL = look(
    mode="full",
    rung="loaded",
    stats=tuple(WeightStat(f"{BANK}.up", number, norm, 0, 0, 0, 16) for number, norm in enumerate((4.0, 1.0))),
    hooks=(Hook("router", "layers.0.mlp.gate", (8, 2), 0.0, 1.0, '{"tokens":8,"chosen":[8,0],"from":"indices"}'),),
    hooks_ran=True,
)


def asked(db: Path, recorded: Look, *options: str) -> None:
    from auditdb.store.write import record

    record(db, recorded)
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)  # with a single command typer would drop its name
    app(["prune", "latest", "--db", str(db), *options], standalone_mode=False)


def test_command(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(db, FULL, "--format", "json", "--per-group", "1")
    out = capsys.readouterr()
    expected = {
        "moe_group": "layers.0.mlp",
        "expert": 1,
        "name": f"{BANK}[1]",
        "norm": 1.0,
        "relative": 0.4,
        "chosen": 0,
        "n_params": 16,
        "reason": "smallest norm of 2, 40.0% of the group's median; not chosen in the one forward pass (weak evidence)",
    }
    assert (json.loads(out.out), out.err) == ([expected], "")


def test_command_says_what_has_no_norm(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = replace(FULL, stats=(FULL.stats[0], FULL.stats[1]._replace(norm=float("nan"), n_nan=1)))
    asked(db, broken, "--format", "csv")
    out = capsys.readouterr()
    assert out.out.splitlines()[1].startswith(f"layers.0.mlp,0,{BANK}[0],4.0,1.0,8,16,")
    assert out.err.startswith(f"1 experts have no norm, the first is {BANK}[1]: ")


def test_command_on_a_dense_model(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree: Structure = FULL.structure
    asked(db, replace(FULL, structure=tree, reading=Reading()))
    assert capsys.readouterr().out == "no experts: the model is dense\n"


@pytest.mark.parametrize(
    ("recorded", "sentence"),
    [
        (
            look(),
            "run 1 is FAST, and pruning candidates need the weights; `auditdb run org/toy` without --fast loads them",
        ),
        (
            replace(FULL, stats=()),
            "run 1 recorded no weight statistics; `auditdb run org/toy` without --fast takes them",
        ),
    ],
)
def test_command_without_weights(recorded: Look, sentence: str, db: Path) -> None:
    with pytest.raises(AuditError) as caught:
        asked(db, recorded)
    assert (str(caught.value), caught.value.exit_code) == (sentence, 3)
