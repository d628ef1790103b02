"""`moe_groups` and `moe_config`: broken groups fail and say where; what is merely odd does not."""

from __future__ import annotations

from typing import Any

import pytest

from auditdb.checks.moe import check_moe_config, check_moe_groups
from auditdb.moe import read_moe
from auditdb.records import Check, Declared, Structure
from tests.moe.trees import MIXTRAL, Shapes, fused_moe, glu, linear, module_moe, tree

FUSED_ROUTERS = {f"model.layers.{n}.mlp.gate": "OutputRecorder(Router, index=0)" for n in range(2)}
FUSED_BANKS = frozenset(f"model.layers.{n}.mlp.experts" for n in range(2))


def judge(shapes: Shapes, raw: dict[str, Any] | None = None, declared: bool = False) -> tuple[Check, Check]:
    structure: Structure = tree(shapes)
    said = Declared(routers=FUSED_ROUTERS, banks=FUSED_BANKS) if declared else Declared()
    raw = MIXTRAL if raw is None else raw
    reading = read_moe(structure, said, raw)
    return check_moe_groups(structure, reading), check_moe_config(raw, structure, reading)


@pytest.mark.parametrize("shapes", [module_moe(), fused_moe()], ids=["modules", "fused"])
def test_whole_models_pass(shapes: Shapes) -> None:
    groups, config = judge(shapes)
    whole = "2 groups, each with its router and its experts of one shape"
    assert groups == Check("moe_groups", "PASS", whole, whole)
    said = "num_local_experts 4, num_experts_per_tok 2"
    assert config == Check("moe_config", "PASS", said, said)


@pytest.mark.parametrize("declared", [True, False])
def test_a_bank_of_another_size_than_the_config(declared: bool) -> None:
    """All banks and routers agree on 6; the config says 4."""
    groups, config = judge(fused_moe(experts=6), declared=declared)
    assert groups.status == "PASS"
    assert (config.status, config.reason) == (
        "FAIL",
        "model.layers.0.mlp: expected num_local_experts = 4, seen 6 experts; "
        "model.layers.1.mlp: expected num_local_experts = 4, seen 6 experts",
    )


@pytest.mark.parametrize("declared", [True, False])
def test_one_bank_of_another_size(declared: bool) -> None:
    shapes = fused_moe()
    shapes["model.layers.1.mlp.experts.gate_up_proj"] = (3, 12, 8)
    shapes["model.layers.1.mlp.experts.down_proj"] = (3, 8, 6)
    groups, config = judge(shapes, declared=declared)
    assert (groups.status, groups.reason) == (
        "FAIL",
        "model.layers.1.mlp: expected 4 experts, as gate has rows, seen 3 experts",
    )
    assert (config.status, config.reason) == (
        "FAIL",
        "model.layers.1.mlp: expected num_local_experts = 4, seen 3 experts",
    )


def test_tensors_of_a_bank_that_disagree() -> None:
    shapes = fused_moe()
    shapes["model.layers.1.mlp.experts.down_proj"] = (3, 8, 6)
    groups, _ = judge(shapes, declared=True)
    assert groups.status == "FAIL"
    assert groups.reason == (
        "model.layers.1.mlp: expected 4 experts, as gate has rows, seen 3 experts; "
        "model.layers.1.mlp: expected 3 slices, seen 4 in model.layers.1.mlp.experts.gate_up_proj"
    )


@pytest.mark.parametrize(
    ("shapes", "block"), [(module_moe(), "block_sparse_moe"), (fused_moe(), "mlp")], ids=["modules", "fused"]
)
def test_a_router_that_is_missing(shapes: Shapes, block: str) -> None:
    del shapes[f"model.layers.1.{block}.gate.weight"]
    groups, config = judge(shapes)
    reason = f"model.layers.1.{block}: expected 1 router for 4 experts, seen 0 routers"
    assert (groups.status, groups.expected, groups.seen, groups.reason) == (
        "FAIL",
        f"model.layers.1.{block}: 1 router for 4 experts",
        f"model.layers.1.{block}: 0 routers",
        reason,
    )
    assert config.status == "PASS"


def test_an_expert_that_is_missing() -> None:
    shapes = {name: shape for name, shape in module_moe().items() if "layers.1.block_sparse_moe.experts.2." not in name}
    groups, config = judge(shapes)
    assert (groups.status, groups.reason) == (
        "FAIL",
        "model.layers.1.block_sparse_moe: expected 4 experts, as gate has rows, seen 3 experts; "
        "model.layers.1.block_sparse_moe: expected 4 experts or more, seen 3: number 2 is missing",
    )
    assert (config.status, config.reason) == (
        "FAIL",
        "model.layers.1.block_sparse_moe: expected num_local_experts = 4, seen 3 experts",
    )


def test_an_expert_of_another_shape() -> None:
    shapes = module_moe() | glu("model.layers.1.block_sparse_moe.experts.3", 8, 5, "w1 w3 w2")
    groups, config = judge(shapes)
    assert (groups.status, groups.reason) == (
        "FAIL",
        "model.layers.1.block_sparse_moe.experts.3: expected w1.weight [6, 8], as in the other experts of "
        "model.layers.1.block_sparse_moe, seen w1.weight [5, 8]",
    )
    assert config.status == "PASS"


def test_experts_that_are_all_gone() -> None:
    """A declared router with nothing to choose from."""
    shapes = {name: shape for name, shape in fused_moe().items() if "layers.1.mlp.experts" not in name}
    groups, config = judge(shapes, declared=True)
    assert (groups.status, groups.reason) == (
        "FAIL",
        "model.layers.1.mlp: expected experts for the 4 rows of model.layers.1.mlp.gate, seen 0 experts",
    )
    assert config.status == "FAIL"


def test_many_faults_are_counted() -> None:
    whole = module_moe(layers=8)
    groups, _ = judge({name: shape for name, shape in whole.items() if "gate" not in name or ".layers.0." in name})
    assert groups.reason.endswith("; and 2 more")


def test_a_stack_of_which_no_router_is_recognised_by_name() -> None:
    """dots3_note's vision blocks hold their router's matrix themselves, as `gate_weight`. With classes it is a fault."""
    vision = {
        name.replace("model.layers", "vision.blocks").replace("gate.weight", "gate_weight"): shape
        for name, shape in module_moe().items()
        if ".layers." in name
    }
    shapes = module_moe() | vision
    groups, _ = judge(shapes)
    assert (groups.status, groups.reason) == ("SKIP", "no router is recognised by its name in vision.blocks")
    odd = {name: (9, 9) for name in shapes if name.startswith("vision.blocks.1.block_sparse_moe.experts.2.")}
    groups, _ = judge(shapes | odd)
    assert groups.status == "FAIL"
    assert groups.reason.startswith("vision.blocks.1.block_sparse_moe.experts.2: expected ")
    built = tree(shapes, {"": "ToyForCausalLM"})
    assert check_moe_groups(built, read_moe(built, Declared(), MIXTRAL)).status == "FAIL"


def test_experts_in_a_layout_that_is_not_recognised() -> None:
    """ernie4_5_vl_moe: experts of two widths beside two matrices of a gate, which stand the other way round."""
    shapes = dense()
    for layer in range(2):
        for expert in range(4):
            shapes |= glu(f"model.layers.{layer}.moe.experts.{expert}", 8, 6 if expert < 2 else 3)
        shapes |= {f"model.layers.{layer}.moe.gate.{name}": (8, 2) for name in ("weight", "weight_1")}
    structure = tree(shapes)
    reading = read_moe(structure, Declared(), {"num_experts": 2})
    assert (len(reading.groups), reading.n_active, reading.n_active_no_embedding) == (0, None, None)
    assert reading.notes == (
        "the tensors' names speak of experts in a layout that is not recognised: active parameters unknown",
    )
    assert check_moe_config({"num_experts": 2}, structure, reading) == Check(
        "moe_config",
        "SKIP",
        "num_experts 2",
        "",
        "the tensors' names speak of experts in a layout that is not recognised",
    )


def dense(layers: int = 2) -> Shapes:
    shapes: Shapes = {"model.embed_tokens.weight": (32, 8)}
    for layer in range(layers):
        shapes |= glu(f"model.layers.{layer}.mlp", 8, 6)
    return shapes


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        ({}, "SKIP", "config.json says nothing of a number of experts"),
        ({"num_experts": 8}, "FAIL", "config.json: expected num_experts = 8, seen no experts in the tree"),
        (
            {"text_config": {"num_experts": 8}},
            "FAIL",
            "text_config: expected num_experts = 8, seen no experts in the tree",
        ),
        ({"num_experts": 8, "is_moe": False}, "PASS", ""),
        ({"num_experts": 8, "enable_moe_block": False}, "PASS", ""),
        ({"num_experts": 0}, "PASS", ""),
        ({"num_experts": 1}, "PASS", ""),
        ({"num_experts": 8, "first_k_dense_replace": 2, "num_hidden_layers": 2}, "PASS", ""),
        ({"n_routed_experts": 8, "hybrid_override_pattern": "M-M*-", "num_hidden_layers": 5}, "PASS", ""),
        ({"n_routed_experts": 8, "layers_block_type": ["mamba", "mlp"]}, "PASS", ""),
        ({"num_experts": 8, "moe_layer_recipe": "odd"}, "SKIP", "moe_layer_recipe can't be read"),
        ({"vision_config": {"num_experts": 8}}, "SKIP", "the tree has no part for vision_config"),
    ],
)
def test_experts_in_the_config_and_none_in_the_tree(raw: dict[str, Any], status: str, reason: str) -> None:
    groups, config = judge(dense(), raw)
    assert groups == Check("moe_groups", "SKIP", reason="the tree has no MoE groups")
    assert (config.status, config.reason) == (status, reason)


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        ({"num_experts_per_tok": 2}, "SKIP", "config.json says nothing of a number of experts"),
        ({"num_experts": 4, "num_experts_per_tok": 2, "first_k_dense_replace": 0}, "PASS", ""),
        ({"num_experts": 4, "first_k_dense_replace": 1}, "FAIL", "model.layers.0: expected 1 MoE layers by first_k_dense_replace, seen 2 MoE layers; they differ in layer 0"),
        ({"num_experts": 4, "mlp_layer_types": ["dense", "sparse"]}, "FAIL", "model.layers.0: expected 1 MoE layers by mlp_layer_types, seen 2 MoE layers; they differ in layer 0"),
        ({"num_experts": 4, "decoder_sparse_step": 1, "mlp_only_layers": []}, "PASS", ""),
        ({"num_experts": 4, "first_k_dense_replace": 1, "moe_layer_recipe": "odd"}, "SKIP", "first_k_dense_replace does not say which layers have experts, and moe_layer_recipe can't be read"),
        ({"num_experts": [4, 4]}, "PASS", ""),
        ({"num_experts": [4, 3]}, "FAIL", "model.layers.1.block_sparse_moe: expected num_experts = 3, seen 4 experts"),
        ({"num_experts": [4, 3, 2]}, "SKIP", "num_experts [4, 3, 2] can't be read for model.layers.0.block_sparse_moe; num_experts [4, 3, 2] can't be read for model.layers.1.block_sparse_moe"),
        ({"num_experts": 8}, "FAIL", "model.layers.0.block_sparse_moe: expected num_experts = 8, seen 4 experts; model.layers.1.block_sparse_moe: expected num_experts = 8, seen 4 experts"),
        ({"num_experts": 4, "per_layer_config": {"1": {"num_experts": 3}}}, "FAIL", "model.layers.1.block_sparse_moe: expected num_experts = 3, seen 4 experts"),
        ({"num_experts": 0}, "FAIL", "model.layers.0.block_sparse_moe: expected num_experts = 0, seen 4 experts; model.layers.1.block_sparse_moe: expected num_experts = 0, seen 4 experts"),
    ],
)  # fmt: skip
def test_config_against_a_tree_of_four_experts(raw: dict[str, Any], status: str, reason: str) -> None:
    _, config = judge(module_moe(), raw)
    assert (config.status, config.reason) == (status, reason)


def test_top_k_of_the_module_and_of_the_config() -> None:
    structure = tree(fused_moe())
    said = Declared(FUSED_ROUTERS, {name: {"top_k": 3} for name in FUSED_ROUTERS}, FUSED_BANKS)
    check = check_moe_config(MIXTRAL, structure, read_moe(structure, said, MIXTRAL))
    assert (check.status, check.expected) == (
        "FAIL",
        "model.layers.0.mlp: num_experts_per_tok = 2; model.layers.1.mlp: num_experts_per_tok = 2",
    )
    assert check.seen == "model.layers.0.mlp: top-k 3; model.layers.1.mlp: top-k 3"


def test_counts_that_differ_by_layer_are_no_fault() -> None:
    """Each group with its own number, as the config's list has it."""
    shapes = fused_moe() | linear("model.layers.1.mlp.gate", 6, 8)
    shapes["model.layers.1.mlp.experts.gate_up_proj"] = (6, 12, 8)
    shapes["model.layers.1.mlp.experts.down_proj"] = (6, 8, 6)
    groups, config = judge(shapes, {"num_experts": [4, 6], "moe_topk": [1, 2]})
    assert (groups.status, config.status) == ("PASS", "PASS")
