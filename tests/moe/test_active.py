"""Active parameters: by hand, on trees small enough to count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditdb.moe import read_moe
from auditdb.records import Declared, Reading
from tests.moe.trees import MIXTRAL, Shapes, fused_moe, glu, linear, tree

EMBEDDING = 32 * 8
EXPERT = 12 * 8 + 8 * 6


def read(shapes: Shapes, raw: dict[str, object] = MIXTRAL) -> tuple[int, Reading]:
    structure = replace(tree(shapes), input_embedding="model.embed_tokens.weight")
    return structure.n_params, read_moe(structure, Declared(), raw)


def test_all_but_the_experts_that_are_not_chosen() -> None:
    total, reading = read(fused_moe())
    assert (reading.n_active, reading.n_active_no_embedding) == (
        total - 2 * 2 * EXPERT,
        total - 2 * 2 * EXPERT - EMBEDDING,
    )
    assert (reading.active_is_bound, reading.notes) == (False, ())


def test_shared_experts_and_their_gate_are_active() -> None:
    shared = glu("model.layers.0.mlp.shared_expert", 8, 6) | linear("model.layers.0.mlp.shared_expert_gate", 1, 8)
    total, reading = read(fused_moe() | shared)
    assert reading.n_active == total - 2 * 2 * EXPERT
    row = reading.experts[4]
    assert (row.name, row.kind, row.expert, row.n_params) == (
        "model.layers.0.mlp.shared_expert",
        "shared",
        None,
        EXPERT,
    )
    assert [group.n_shared for group in reading.groups] == [1, 0]
    assert reading.groups[0].n_params - reading.groups[1].n_params == EXPERT + 8


def test_unknown_top_k_is_unknown() -> None:
    _, reading = read(fused_moe(), {"num_local_experts": 4})
    assert (reading.n_active, reading.n_active_no_embedding) == (None, None)
    assert reading.notes == ("no top-k is known for model.layers.0.mlp: active parameters unknown",)


def test_zero_experts_make_it_a_bound() -> None:
    """longcat: the longer tensor has slices that belong to no real expert."""
    shapes = fused_moe(layers=1) | linear("model.layers.0.mlp.gate", 6, 8)
    shapes["model.layers.0.mlp.experts.gate_up_proj"] = (6, 12, 8)
    total, reading = read(shapes, MIXTRAL | {"zero_expert_num": 2})
    assert [row.kind for row in reading.experts] == ["routed"] * 4 + ["zero"] * 2
    assert [row.n_params for row in reading.experts] == [EXPERT] * 4 + [96] * 2
    assert (reading.n_active, reading.active_is_bound) == (total - 2 * EXPERT - 2 * 96, True)
    assert (reading.groups[0].n_experts, reading.groups[0].n_zero, reading.routers[0].n_experts) == (4, 2, 4)


def test_experts_of_two_sizes_make_it_a_bound() -> None:
    shapes = {name: shape for name, shape in fused_moe(layers=1).items() if "experts" not in name}
    for expert in range(4):
        shapes |= glu(f"model.layers.0.mlp.experts.{expert}", 8, 5 if expert == 1 else 6)
    total, reading = read(shapes)
    assert (reading.n_active, reading.active_is_bound) == (total - EXPERT - 120, True)


def test_biases_are_cut_like_the_matrices() -> None:
    shapes = fused_moe(layers=1) | {
        "model.layers.0.mlp.experts.gate_up_proj_bias": (4, 12),
        "model.layers.0.mlp.experts.norm": (8,),
    }
    total, reading = read(shapes)
    assert {row.n_params for row in reading.experts} == {EXPERT + 12}
    assert reading.n_active == total - 2 * (EXPERT + 12)


def test_two_populations_of_one_module() -> None:
    """Each router chooses its top-k; the group has both."""
    shapes: Shapes = {"model.embed_tokens.weight": (32, 8)}
    for word in ("text", "vision"):
        shapes |= linear(f"model.layers.0.mlp.{word}_gate", 4, 8)
        shapes |= {
            f"model.layers.0.mlp.{word}_experts.gate_up_proj": (4, 12, 8),
            f"model.layers.0.mlp.{word}_experts.down_proj": (4, 8, 6),
        }
    total, reading = read(shapes)
    assert [tuple(group) for group in reading.groups] == [("model.layers.0.mlp", 2, 8, 0, 0, 2, total - EMBEDDING)]
    assert [(row.name, row.expert) for row in reading.experts][3:5] == [
        ("model.layers.0.mlp.text_experts[3]", 3),
        ("model.layers.0.mlp.vision_experts[0]", 4),
    ]
    assert [row.name for row in reading.routers] == ["model.layers.0.mlp.text_gate", "model.layers.0.mlp.vision_gate"]
    assert reading.n_active == total - 4 * EXPERT


def test_tied_experts_count_once() -> None:
    structure = tree(fused_moe())
    first = {
        t.name: t.name.replace("layers.1", "layers.0") for t in structure.tensors if "layers.1.mlp.experts" in t.name
    }
    tensors = tuple(t._replace(tied_to=first.get(t.name, "")) for t in structure.tensors)
    modules = tuple(m._replace(n_params=0) if m.name == "model.layers.1.mlp.experts" else m for m in structure.modules)
    tied = replace(structure, modules=modules, tensors=tensors)
    reading = read_moe(tied, Declared(), MIXTRAL)
    assert [row.n_params for row in reading.experts] == [EXPERT] * 4 + [0] * 4
    assert reading.n_active == tied.n_params - 2 * EXPERT


@pytest.mark.parametrize("built", [True, False])
def test_no_embedding_is_unknown_only_where_no_class_was_built(built: bool) -> None:
    """A built model without an input embedding has none; a tree from names may have one that nobody pointed at."""
    structure = tree(fused_moe())
    structure = replace(structure, own_total=structure.n_params if built else None)
    reading = read_moe(structure, Declared(), MIXTRAL)
    assert reading.n_active == structure.n_params - 4 * EXPERT
    assert reading.n_active_no_embedding == (reading.n_active if built else None)
