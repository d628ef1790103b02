"""Names from a model are data in every command and every format: nothing a terminal, a spreadsheet or a page obeys."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from auditdb.cli.main import run_command
from auditdb.errors import StoreError
from auditdb.records import Check, Endpoint, Hook, Look, Structure, WeightStat
from auditdb.store.write import record
from tests.small import look, reading, structure

NAMES = {
    "controls": "\x1b]0;title\x07\x1b[2J\x9b31m a\nb\r\nc\u2028d\x85e\x0bf\tg \u202egnp.exe\u2066\u200b \x00",
    "formula": "=cmd|' /C calc'!A0",
    "page": "| x | `y` <script>alert(1)</script> [z](javascript:1) ![i](j) **b** &lt; $m$ ~~s~~ # h",
    "path": "../../../etc/passwd",
    "digits": "layers.².experts.٣." + "9" * 5_000,
    "long": "x" * 50_000,
}
COMMANDS = (
    ("list",),
    ("show", "1"),
    ("show", "1", "--tree"),
    ("top", "1"),
    ("moe", "1"),
    ("moe", "1", "--all"),
    ("layers", "1"),
    ("layers", "1", "--all"),
    ("prune", "1"),
    ("diff", "1", "2"),
    ("check", "1", "names.sql"),
    ("sql", "SELECT name, class FROM run_modules"),
)


def named(name: str) -> Look:
    """A look at a model in which everything that a stranger may name has this name."""
    tree, read = structure(), reading()
    modules = tuple(m if not m.name else m._replace(name=f"{m.name}.{name}", class_name=name) for m in tree.modules)
    tensors = tuple(t._replace(name=f"{t.name}.{name}") for t in tree.tensors[:-1])
    return look(
        mode="full",
        rung="loaded",
        revision="main",
        requested=name,
        model_class=name,
        config_text=json.dumps({name: name, "x": [name]}),
        structure=Structure(modules, tensors, 61, f"embed.weight.{name}"),
        reading=replace(
            read,
            groups=tuple(group._replace(name=name) for group in read.groups),
            routers=tuple(r._replace(name=f"r.{name}", class_name=name, moe_group=name) for r in read.routers),
            experts=tuple(
                e._replace(name=f"{name}[{at}]", class_name=name, parent=name, moe_group=name)
                for at, e in enumerate(read.experts)
            ),
            marks=tuple(mark._replace(moe_group=name) for mark in read.marks),
            notes=(name,),
        ),
        checks=(Check("tree_total", "FAIL", name, name, name),),
        hooks=(Hook("router", name, (1,), 0.0, 1.0, name), Hook("forward", name, None, None, None, name)),
        hooks_ran=True,
        stats=tuple(WeightStat(f"{name}.w", expert, 1.0 + expert, 0, 0, 0, 16) for expert in range(2)),
        endpoint=Endpoint("http://h:1", name, name, name, json.dumps({"data": [{"id": name, "x": float("inf")}]})),
        notes=(name,),
        build_notes=(name,),
    )


@pytest.fixture(scope="module", params=sorted(NAMES))
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    db = folder / "audit.db"
    db.write_bytes(empty_store.read_bytes())
    record(db, named(NAMES[request.param]))
    record(db, look(mode="full", rung="loaded"))
    (folder / "names.sql").write_text("SELECT name, moe_group FROM run_modules WHERE run_id = :run")
    return db


def is_harmless(text: str) -> bool:
    """Whether no character but the line feed controls a terminal or turns the writing around."""
    return all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_every_command_in_every_format(
    store: Path, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(store.parent)
    for command in COMMANDS:
        if (command[0], form) == ("diff", "csv"):
            continue  # a diff is no list of rows: it has the other three
        code = run_command([*command, "--format", form, "--db", str(store)])
        out, err = capsys.readouterr()
        assert (code, err) == (1 if command[0] in ("diff", "check") else 0, ""), command
        if form == "json":
            assert out.isascii() and is_harmless(out)
            json.loads(out, parse_constant=pytest.fail)
        elif form == "csv":
            assert len({len(row) for row in csv_rows(out)}) == 1
        else:
            assert is_harmless(out)
        if form == "markdown":
            tables = [line for line in out.splitlines() if line.startswith("|")]
            assert tables and all(line.endswith("|") for line in tables)
            assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(|(?<!\\)&lt;|(?<!\\)\$m", out)


def test_a_terminal_is_given_no_csv_as_it_is(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(store.parent)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for command in COMMANDS:
        if command[0] != "diff":
            run_command([*command, "--format", "csv", "--db", str(store)])
            assert is_harmless(capsys.readouterr().out)


def csv_rows(text: str) -> list[list[str]]:
    csv.field_size_limit(10_000_000)
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) > 1
    return rows


def test_every_report_file(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = sorted(tmp_path.parent.iterdir())
    assert run_command(["report", "1", "-o", str(tmp_path / "a" / "b"), "--db", str(store)]) == 0
    capsys.readouterr()
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [file.name for file in files] == [
        "endpoint.json",
        "experts.csv",
        "hook_log.txt",
        "modules.csv",
        "modules.json",
        "routers.csv",
        "skeleton.txt",
        "summary.json",
        "summary.txt",
        "validation_report.txt",
    ]
    assert sorted(tmp_path.parent.iterdir()) == outside
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    for file in files:
        text = file.read_bytes().decode("utf-8")
        assert is_harmless(text), file.name
        if file.suffix == ".json":
            json.loads(text, parse_constant=pytest.fail)
        if file.suffix == ".csv":
            rows = csv_rows(text)
            assert {len(row) for row in rows} == {len(rows[0])}
            assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_half_of_a_surrogate_pair_is_a_sentence_and_nothing_is_written(db: Path) -> None:
    before = db.read_bytes()
    for one in (named("\ud800"), look(notes=("\udcff",))):
        with pytest.raises((StoreError,), match="nothing was recorded"):
            record(db, one)
    assert db.read_bytes() == before


def test_a_number_over_64_bits_is_a_sentence_and_nothing_is_written(db: Path) -> None:
    before = db.read_bytes()
    with pytest.raises(StoreError, match="nothing was recorded"):
        record(db, look(structure=replace(structure(), own_total=2**63)))
    assert db.read_bytes() == before
