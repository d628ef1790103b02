"""Each module to the part of its layer that it is."""

from __future__ import annotations

import pytest

from auditdb.moe import read_moe
from auditdb.moe.parts import classify
from auditdb.records import Declared
from tests.moe.trees import MIXTRAL, Shapes, attention, fused_moe, glu, linear, tree


def kinds(
    shapes: Shapes, raw: dict[str, object], classes: dict[str, str] | None = None
) -> dict[str, tuple[str, str, int | None]]:
    structure = tree(shapes, classes)
    parts = classify(structure, read_moe(structure, Declared(), raw))
    assert [part.position for part in parts] == [module.position for module in structure.modules]
    held = {tensor.module for tensor in structure.tensors}
    return {structure.modules[p.position].name: (p.kind, p.stack, p.layer) for p in parts if p.position in held}


def test_a_layer_of_every_part() -> None:
    shapes = fused_moe(layers=1) | glu("model.layers.0.mlp.shared_expert", 8, 6)
    shapes |= linear("model.layers.0.mlp.shared_expert_gate", 1, 8) | {"model.layers.0.self_attn.q_norm.weight": (8,)}
    shapes |= glu("model.layers.1.mlp", 8, 6) | {"model.layers.1.input_layernorm.weight": (8,)}
    layer, at = "model.layers.0", ("model.layers", 0)
    assert kinds(shapes, MIXTRAL) == {
        "model.embed_tokens": ("embedding", "", None),
        **{f"{layer}.self_attn.{word}_proj": ("attention", *at) for word in "qkvo"},
        f"{layer}.self_attn.q_norm": ("norm", *at),
        f"{layer}.mlp.gate": ("router", *at),
        f"{layer}.mlp.experts": ("experts", *at),
        **{f"{layer}.mlp.shared_expert.{word}_proj": ("shared experts", *at) for word in ("gate", "up", "down")},
        f"{layer}.mlp.shared_expert_gate": ("shared experts", *at),
        **{f"model.layers.1.mlp.{word}_proj": ("dense MLP", "model.layers", 1) for word in ("gate", "up", "down")},
        "model.layers.1.input_layernorm": ("norm", "model.layers", 1),
        "model.norm": ("norm", "", None),
        "lm_head": ("head", "", None),
    }


@pytest.mark.parametrize(
    ("name", "class_name", "kind"),
    [
        ("transformer.h.0.attn.c_proj", "Conv1D", "attention"),
        ("transformer.h.0.mlp.c_proj", "Conv1D", "dense MLP"),
        ("transformer.h.0.ln_1", "LayerNorm", "norm"),
        ("transformer.wte", "Embedding", "embedding"),
        ("bert.encoder.layer.3.attention.output.dense", "Linear", "attention"),
        ("bert.encoder.layer.3.output.dense", "Linear", "dense MLP"),
        ("encoder.block.0.layer.0.SelfAttention.q", "Linear", "attention"),
        ("encoder.block.0.layer.1.DenseReluDense.wi", "Linear", "dense MLP"),
        ("backbone.layers.0.mixer.in_proj", "Linear", "other"),
        ("model.decoder.layers.0.fc1", "Linear", "dense MLP"),
        ("visual.merger.proj", "Linear", "other"),
    ],
)
def test_spellings(name: str, class_name: str, kind: str) -> None:
    assert kinds({f"{name}.weight": (4, 4)}, {}, {name: class_name})[name][0] == kind


def test_experts_of_an_attention() -> None:
    """jetmoe: what a group holds goes before the word `self_attention` around it."""
    group = "model.layers.0.self_attention.experts"
    shapes = attention("model.layers.0.self_attention", 8) | linear(f"{group}.router.layer", 4, 8)
    shapes |= {f"{group}.input_linear.weight": (4, 8, 8), f"{group}.output_linear.weight": (4, 8, 8)}
    found = kinds(shapes, {"num_local_experts": 4})
    assert {name: kind for name, (kind, _, _) in found.items() if name.startswith(group)} == {
        f"{group}.router.layer": "router",
        f"{group}.input_linear": "experts",
        f"{group}.output_linear": "experts",
    }
