"""The four sources one by one, and what none of them may take for a router or an expert."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditdb.checks.moe import check_moe_config, check_moe_groups
from auditdb.moe import read_moe
from auditdb.records import Declared
from tests.moe.models import DATA
from tests.moe.trees import MIXTRAL, Shapes, attention, fused_moe, glu, linear, module_moe, tree

FIXTURES = sorted((DATA / "moe" / "families").glob("*.json"))


@pytest.mark.parametrize(
    ("sources", "groups", "found"),
    [
        (("declared",), 2, {"declared"}),
        (("family",), 0, set()),
        (("structural",), 2, {"structural"}),
        (("name",), 2, {"name"}),
        (("declared", "structural", "name"), 2, {"declared"}),
    ],
)
def test_one_source_at_a_time(sources: tuple[str, ...], groups: int, found: set[str]) -> None:
    said = Declared(
        routers={f"model.layers.{n}.mlp.gate": "OutputRecorder(Router, index=0)" for n in range(2)},
        banks=frozenset(f"model.layers.{n}.mlp.experts" for n in range(2)),
    )
    reading = read_moe(tree(fused_moe()), said, MIXTRAL, sources)
    assert len(reading.groups) == groups
    assert {row.source for row in (*reading.routers, *reading.experts)} == found


def test_a_bank_declared_and_its_router_by_shape() -> None:
    """DeepSeek-V4's hash routers are declared nowhere; they are routers all the same."""
    said = Declared(banks=frozenset({"model.layers.0.mlp.experts", "model.layers.1.mlp.experts"}))
    reading = read_moe(tree(fused_moe()), said, MIXTRAL)
    assert {row.source for row in reading.routers} == {"structural"}
    assert {row.source for row in reading.experts} == {"declared"}


def fixture(name: str) -> tuple[Shapes, dict[str, Any]]:
    said = json.loads((DATA / "moe" / "families" / f"{name}.json").read_text(encoding="utf-8"))
    return {key: tuple(shape) for key, shape in said["tensors"].items()}, said["config"]


FAMILIES = {
    # family: first group, groups, (router, expert 1, class of evidence), routed, zero, top-k, parameters of an expert
    "dbrx": ("transformer.blocks.0.ffn", 2, "router", "experts.mlp[1]", "family", 4, 0, 2, 3 * 8 * 16),
    "doge": ("model.layers.0.mlp", 2, "router_gate", "[1]", "family", 64, 0, 4, 2 * 16),
    "gptsan-japanese": (
        "model.blocks.0.feed_forward.mlp",
        2,
        "router",
        "experts.expert_1",
        "structural",
        4,
        0,
        1,
        2 * 16 * 24,
    ),
    "nllb-moe": (
        "model.encoder.layers.3.ffn",
        2,
        "router",
        "experts.expert_1",
        "structural",
        4,
        0,
        2,
        2 * 16 * 24 + 24 + 16,
    ),
    "switch_transformers": (
        "encoder.block.1.layer.1.mlp",
        4,
        "router",
        "experts.expert_1",
        "structural",
        4,
        0,
        1,
        2 * 16 * 24,
    ),
    "zaya": ("model.layers.0.mlp", 2, "gate", "experts[1]", "structural", 4, 1, None, 3 * 2048 * 2048),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_from_their_fixtures(family: str) -> None:
    """Recorded tensor names and shapes, no classes and nothing declared. (zaya's default top-k is not in the config.)"""
    name, groups, router, expert, source, routed, zero, top_k, size = FAMILIES[family]
    shapes, raw = fixture(family)
    structure = tree(shapes)
    reading = read_moe(structure, Declared(), raw)
    group = reading.groups[0]
    rows = [row for row in reading.experts if row.moe_group == group.name]
    assert (group.name, len(reading.groups), reading.routers[0].name) == (name, groups, f"{name}.{router}")
    assert (rows[1].name, rows[1].n_params) == (
        f"{name}{expert}" if expert.startswith("[") else f"{name}.{expert}",
        size,
    )
    assert {row.source for row in (*reading.routers, *reading.experts)} == {source}
    assert (group.n_experts, group.n_zero, group.top_k, reading.active_is_bound) == (routed, zero, top_k, zero > 0)
    assert sum(row.kind == "zero" for row in rows) == zero
    assert sum(row.n_params for row in rows if row.kind == "zero") == 0
    checks = (check_moe_groups(structure, reading), check_moe_config(raw, structure, reading))
    assert [check.status for check in checks] == ["PASS", "PASS"], checks


def test_every_fixture_is_read() -> None:
    assert {path.stem for path in FIXTURES} == {*FAMILIES, "vitpose"}


def test_experts_without_a_router_are_no_group() -> None:
    """vitpose's experts are chosen by the data set that an image is from."""
    shapes, raw = fixture("vitpose")
    structure = tree(shapes)
    reading = read_moe(structure, Declared(), raw)
    assert reading.groups == ()
    assert check_moe_config(raw, structure, reading).status == "SKIP"


def dense(extra: Shapes, layers: int = 4) -> Shapes:
    shapes: Shapes = {"model.embed_tokens.weight": (32, 8)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= attention(f"{at}.self_attn", 8) | glu(f"{at}.mlp", 8, 6)
        shapes |= {f"{at}.{name}": shape for name, shape in extra.items()}
    return shapes


NO_EXPERTS: dict[str, tuple[Shapes, dict[str, Any]]] = {
    "gate_proj": (dense({}), {"num_hidden_layers": 4}),
    "an output gate of four rows": (dense(linear("self_attn.gate", 4, 8)), {"num_hidden_layers": 4}),
    "four equal MLPs beside four mask tokens": (
        dense({"mask_tokens.weight": (4, 8)} | {f"hypernets.{i}.weight": (8, 8) for i in range(4)}),
        {"num_multimask_outputs": 4},
    ),
    "four layers and four experts in a config without them": (
        dense(linear("gate", 4, 8)),
        {"num_experts": 4, "is_moe": False},
    ),
    "square projections": (
        dense({f"heads.{i}.weight": (8, 8) for i in range(8)} | linear("gate", 8, 8)),
        {"hidden_size": 8},
    ),
    "pooling called experts": (dense({"experts_pooler.weight": (4, 8)}), {"num_experts": 4}),
    "a convolution of as many channels as experts": (
        dense({"conv.weight": (4, 2, 2)} | linear("proj", 5, 8)),
        {"num_experts": 4},
    ),
    "one expert": (dense(glu("mlp.experts.0", 8, 6) | linear("mlp.gate", 1, 8)), {"num_experts": 1}),
}


@pytest.mark.parametrize("case", NO_EXPERTS)
def test_no_experts(case: str) -> None:
    shapes, raw = NO_EXPERTS[case]
    structure = tree(shapes)
    reading = read_moe(structure, Declared(), raw)
    assert (reading.groups, reading.routers, reading.experts, reading.marks) == ((), (), (), ())
    assert reading.n_active == structure.n_params


def test_name_alone_is_not_enough() -> None:
    """Uniform children of `experts`, and nothing beside the name that says they are."""
    shapes = dense({name: shape for i in range(3) for name, shape in glu(f"experts.{i}", 8, 6).items()})
    assert read_moe(tree(shapes), Declared(), {"num_hidden_layers": 4}).groups == ()


def test_without_a_usable_config_the_path_must_say_experts() -> None:
    assert len(read_moe(tree(module_moe()), Declared(), {}).groups) == 2
    elsewhere = {name.replace("experts", "branches"): shape for name, shape in module_moe().items()}
    assert read_moe(tree(elsewhere), Declared(), {}).groups == ()
    assert len(read_moe(tree(elsewhere), Declared(), MIXTRAL).groups) == 2
