"""Trees from tensor names alone: no classes, nothing declared. Remote-code models by their published shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditdb.checks.moe import check_moe_config, check_moe_groups
from auditdb.moe import read_moe
from auditdb.records import Declared, Structure
from tests.moe.models import DATA, rows
from tests.moe.trees import MIXTRAL, Shapes, attention, fused_moe, glu, linear, module_moe, tree

TRUTH = {row["model"]: row for row in rows("truth.csv")}


def raw_config(model: str) -> dict[str, Any]:
    path = DATA / "configs" / model.replace("/", "__") / "config.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def deepseek_moe(raw: dict[str, Any]) -> Shapes:
    hidden, inner = raw["hidden_size"], raw["moe_intermediate_size"]
    shapes = {"model.embed_tokens.weight": (raw["vocab_size"], hidden)}
    for layer in range(raw["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        shapes |= attention(f"{at}.self_attn", hidden)
        if layer < raw["first_k_dense_replace"]:
            shapes |= glu(f"{at}.mlp", hidden, raw["intermediate_size"])
        else:
            for expert in range(raw["n_routed_experts"]):
                shapes |= glu(f"{at}.mlp.experts.{expert}", hidden, inner)
            shapes |= linear(f"{at}.mlp.gate", raw["n_routed_experts"], hidden)
            shapes |= glu(f"{at}.mlp.shared_experts", hidden, raw["n_shared_experts"] * inner)
        shapes |= {f"{at}.input_layernorm.weight": (hidden,), f"{at}.post_attention_layernorm.weight": (hidden,)}
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (raw["vocab_size"], hidden)}


def minicpm_moe(raw: dict[str, Any]) -> Shapes:
    hidden = raw["hidden_size"]
    shapes = {"model.embed_tokens.weight": (raw["vocab_size"], hidden)}
    for layer in range(raw["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        shapes |= attention(f"{at}.self_attn", hidden)
        shapes |= linear(f"{at}.mlp.gate", raw["num_experts"], hidden)
        for expert in range(raw["num_experts"]):
            shapes |= glu(f"{at}.mlp.experts.{expert}", hidden, raw["intermediate_size"], "w1 w3 w2")
        shapes |= {f"{at}.input_layernorm.weight": (hidden,), f"{at}.post_attention_layernorm.weight": (hidden,)}
    return shapes | {"model.norm.weight": (hidden,)}


def minimax_m1(raw: dict[str, Any]) -> Shapes:
    hidden, heads = raw["hidden_size"], raw["num_attention_heads"] * raw["head_dim"]
    shapes = {"model.embed_tokens.weight": (raw["vocab_size"], hidden)}
    for layer, full in enumerate(raw["attn_type_list"]):
        at = f"model.layers.{layer}"
        if full:
            shapes |= attention(f"{at}.self_attn", hidden, heads, raw["num_key_value_heads"] * raw["head_dim"])
        else:
            shapes |= linear(f"{at}.self_attn.qkv_proj", 3 * heads, hidden)
            shapes |= linear(f"{at}.self_attn.output_gate", heads, hidden)
            shapes |= linear(f"{at}.self_attn.out_proj", hidden, heads)
            shapes[f"{at}.self_attn.norm.weight"] = (heads,)
        shapes |= linear(f"{at}.block_sparse_moe.gate", raw["num_local_experts"], hidden)
        for expert in range(raw["num_local_experts"]):
            shapes |= glu(f"{at}.block_sparse_moe.experts.{expert}", hidden, raw["intermediate_size"], "w1 w3 w2")
        shapes |= {f"{at}.input_layernorm.weight": (hidden,), f"{at}.post_attention_layernorm.weight": (hidden,)}
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (raw["vocab_size"], hidden)}


REMOTE = {
    # model: shapes, active parameters by hand. Published: 2.8B, 4B, and 45.9B, which is 48.40B less embedding and head
    # (2 × 200,064 × 6,144).
    "deepseek-ai/deepseek-moe-16b-base": (deepseek_moe, 2_828_650_496),
    "openbmb/MiniCPM-MoE-8x2B": (minicpm_moe, 4_318_142_976),
    "MiniMaxAI/MiniMax-M1-80k": (minimax_m1, 48_403_306_496),
}


@pytest.mark.parametrize("model", REMOTE)
def test_remote_code(model: str) -> None:
    shapes, active = REMOTE[model]
    raw = raw_config(model)
    structure = tree(shapes(raw))
    truth = TRUTH[model]
    if truth["counted_total"]:
        assert structure.n_params == int(truth["counted_total"])
    reading = read_moe(structure, Declared(), raw)
    assert (
        len(reading.groups),
        {(group.n_routers, group.n_experts, group.n_shared, group.top_k) for group in reading.groups},
        {row.source for row in (*reading.routers, *reading.experts)},
        reading.n_active,
        [check.status for check in (check_moe_groups(structure, reading), check_moe_config(raw, structure, reading))],
    ) == (
        int(truth["moe_layers"]),
        {(1, int(truth["routed_experts_per_layer"]), int(truth["shared_experts"] != "0"), int(truth["top_k"]))},
        {"structural"},
        active,
        ["PASS", "PASS"],
    )


def phi_moe() -> Shapes:
    """Phi-3.5-MoE as it is on disk: Mixtral's spellings, biases in the attention and the norms."""
    shapes = module_moe(layers=2, experts=16, hidden=16, inner=12)
    for layer in range(2):
        shapes |= {f"model.layers.{layer}.self_attn.{word}_proj.bias": (16,) for word in "qkvo"}
        shapes[f"model.layers.{layer}.input_layernorm.bias"] = (16,)
    return shapes


def test_phi_moe() -> None:
    raw = {"model_type": "phimoe", "num_local_experts": 16, "num_experts_per_tok": 2, "num_hidden_layers": 2}
    reading = read_moe(tree(phi_moe()), Declared(), raw)
    assert [(g.name, g.n_routers, g.n_experts, g.top_k) for g in reading.groups] == [
        ("model.layers.0.block_sparse_moe", 1, 16, 2),
        ("model.layers.1.block_sparse_moe", 1, 16, 2),
    ]


def test_whole_reading_of_module_experts() -> None:
    """Names, parents, groups, sizes and marks, all of them."""
    structure = tree(module_moe(layers=1, experts=2))
    reading = read_moe(structure, Declared(), MIXTRAL | {"num_local_experts": 2, "num_experts_per_tok": 1})
    group = "model.layers.0.block_sparse_moe"
    assert [tuple(row) for row in reading.groups] == [(group, 1, 2, 0, 0, 1, 16 + 2 * 144)]
    assert [tuple(row) for row in reading.routers] == [(f"{group}.gate", "", group, 2, 1, "structural")]
    assert [tuple(row) for row in reading.experts] == [
        (f"{group}.experts.0", "", f"{group}.experts", group, 0, "routed", 144, "structural"),
        (f"{group}.experts.1", "", f"{group}.experts", group, 1, "routed", 144, "structural"),
    ]
    marked = {
        structure.modules[mark.position].name: (mark.is_router, mark.is_expert, mark.moe_group)
        for mark in reading.marks
    }
    assert marked == {
        f"{group}.gate": (True, False, group),
        **{f"{group}.experts.{e}": (False, True, group) for e in range(2)},
        **{f"{group}.experts.{e}.{word}": (False, False, group) for e in range(2) for word in ("w1", "w2", "w3")},
    }
    assert reading.n_active == structure.n_params - 144
    assert reading.n_active_no_embedding is None  # nothing says which tensor is the embedding


def test_whole_reading_of_a_fused_bank() -> None:
    structure = tree(fused_moe(layers=1, experts=2))
    reading = read_moe(structure, Declared(), MIXTRAL | {"num_local_experts": 2, "num_experts_per_tok": 1})
    group = "model.layers.0.mlp"
    assert [tuple(row) for row in reading.experts] == [
        (f"{group}.experts[0]", "", f"{group}.experts", group, 0, "routed", 144, "structural"),
        (f"{group}.experts[1]", "", f"{group}.experts", group, 1, "routed", 144, "structural"),
    ]
    assert {structure.modules[mark.position].name for mark in reading.marks} == {f"{group}.gate", f"{group}.experts"}


def renamed(structure: Structure) -> Structure:
    """The same tree in another order of modules: names come as a checkpoint lists them."""
    order = sorted(range(len(structure.modules)), key=lambda at: structure.modules[at].name[::-1])
    places = {old: new for new, old in enumerate(order)}
    modules = tuple(structure.modules[old]._replace(position=new) for new, old in enumerate(order))
    tensors = tuple(t._replace(module=places[t.module]) for t in reversed(structure.tensors))
    return Structure(modules, tensors)


def test_order_of_modules_does_not_matter() -> None:
    structure = tree(module_moe(experts=12) | glu("model.layers.0.block_sparse_moe.shared_expert", 8, 6))
    raw = MIXTRAL | {"num_local_experts": 12}
    one, other = read_moe(structure, Declared(), raw), read_moe(renamed(structure), Declared(), raw)
    assert set(one.experts) == set(other.experts)
    assert set(one.groups) == set(other.groups)
    assert one.n_active == other.n_active
