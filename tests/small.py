"""Small looks made by hand, for tests of rooms that need no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditdb.records import (
    Check,
    Expert,
    Look,
    Mark,
    Module,
    MoeGroup,
    Reading,
    Router,
    Structure,
    Tensor,
    Toolchain,
)

TOOLCHAIN = Toolchain("3.11.7", "2.13.0+cpu", "5.23.0", "1.15.0", "0.8.0", "2.4.0", "0.1.0")


def structure() -> Structure:
    """An embedding, one MoE layer with a router and a fused bank of two experts, a tied head: 61 parameters."""
    modules = (
        Module(0, "", "ToyForCausalLM", "", 0, 0, 0, 0),
        Module(1, "embed", "Embedding", "", 0, 20, 20, 0),
        Module(2, "layers", "ModuleList", "", 0, 0, 0, 0),
        Module(3, "layers.0", "ToyLayer", "layers", 1, 0, 0, 0),
        Module(4, "layers.0.mlp", "ToyMoe", "layers.0", 2, 0, 0, 0),
        Module(5, "layers.0.mlp.gate", "ToyRouter", "layers.0.mlp", 3, 8, 8, 2),
        Module(6, "layers.0.mlp.experts", "ToyExperts", "layers.0.mlp", 3, 32, 32, 0),
        Module(7, "norm", "Norm", "", 0, 1, 0, 0),
        Module(8, "head", "Linear", "", 0, 0, 0, 0),
    )
    tensors = (
        Tensor(1, "embed.weight", "parameter", (5, 4), "bfloat16", 20, True, True, ""),
        Tensor(5, "layers.0.mlp.gate.weight", "parameter", (2, 4), "bfloat16", 8, True, True, ""),
        Tensor(5, "layers.0.mlp.gate.bias", "buffer", (2,), "float32", 2, False, True, ""),
        Tensor(6, "layers.0.mlp.experts.up", "parameter", (2, 4, 4), "bfloat16", 32, True, True, ""),
        Tensor(7, "norm.weight", "parameter", (1,), "bfloat16", 1, False, True, ""),
        Tensor(8, "head.weight", "parameter", (5, 4), "bfloat16", 20, True, True, "embed.weight"),
    )
    return Structure(modules, tensors, 61, "embed.weight", "head.weight")


def reading() -> Reading:
    group = "layers.0.mlp"
    bank = f"{group}.experts"
    return Reading(
        groups=(MoeGroup(group, 1, 2, 0, 0, 1, 40),),
        routers=(Router(f"{group}.gate", "ToyRouter", group, 2, 1, "declared"),),
        experts=tuple(
            Expert(f"{bank}[{number}]", "ToyExperts", bank, group, number, "routed", 16, "declared")
            for number in range(2)
        ),
        marks=(Mark(5, True, False, group), Mark(6, False, True, group)),
        n_active=45,
        n_active_no_embedding=25,
    )


def look(**changes: Any) -> Look:
    """A look at the toy model; `changes` replace fields of the record."""
    made = Look(
        model="org/toy",
        model_kind="hub",
        revision="a" * 40,
        requested="main",
        toolchain=TOOLCHAIN,
        mode="fast",
        started_at="2026-01-02T03:04:05Z",
        duration_ms=12,
        config_text='{"model_type": "toy", "num_experts": 2}',
        model_class="ToyForCausalLM",
        rung="meta",
        structure=structure(),
        reading=reading(),
        checks=(
            Check("tree_total", "PASS", "61", "61"),
            Check("tied", "SKIP", reason="the config has no tie_word_embeddings"),
        ),
    )
    return replace(made, **changes)
