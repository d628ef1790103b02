"""Numbers of a raw config, and which part of it speaks for which module."""

from __future__ import annotations

from typing import Any

import pytest

from auditdb.moe.config import TOP_K_KEYS, Numbers, layer_of, stack_of
from auditdb.records import Declared

OMNI = {
    "thinker_config": {
        "text_config": {"num_experts": 128, "num_experts_per_tok": 8},
        "vision_config": {"num_local_experts": 16, "num_experts_per_tok": 2},
    },
    "talker_config": {"text_config": {"num_experts": 64, "num_experts_per_tok": 6}},
}


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("thinker.model.layers.0.mlp", "thinker_config.text_config"),
        ("thinker.visual.blocks.3.mlp", "thinker_config.vision_config"),
        ("talker.model.layers.0.mlp", "talker_config.text_config"),
    ],
)
def test_part_by_name(module: str, path: str) -> None:
    part = Numbers(OMNI, Declared()).part_of(module)
    assert part is not None and part.path == path


def test_part_by_the_config_that_built_it() -> None:
    said = Declared(scopes={"": "", "a": "thinker_config", "a.b": "talker_config.text_config"})
    part = Numbers(OMNI, said).part_of("a.b.layers.1.mlp")
    assert part is not None and part.path == "talker_config.text_config"


def test_a_text_part_says_nothing_of_a_vision_tower() -> None:
    numbers = Numbers({"text_config": {"num_experts": 8}}, Declared())
    assert numbers.part_of("model.visual.blocks.0.mlp") is None
    assert numbers.part_of("model.language_model.layers.1.mlp.vision_moe") is not None


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        ({"num_local_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 3}, {8}),
        ({"ffn_config": {"moe_num_experts": 16, "moe_top_k": 4}}, {16}),
        ({"num_experts": [64, 32], "top_k": 50, "expert_capacity": 64}, {64, 32}),
        ({"num_experts": True, "n_routed_experts": 1, "zero_expert_num": 4, "num_experts_per_token": 6}, set()),
        ({"num_moe_experts": 12, "moe_num_shared_experts": 2, "n_activated_experts": 6}, {12}),
    ],
)
def test_counts(raw: dict[str, Any], counts: set[int]) -> None:
    assert Numbers(raw, Declared()).counts == counts


@pytest.mark.parametrize(
    ("raw", "module", "expected"),
    [
        ({"moe_topk": 8}, "layers.0.mlp", 8),
        ({"moe_topk": [8, 8]}, "layers.7.mlp", 8),
        ({"moe_topk": [8, 4]}, "layers.1.mlp", 4),
        ({"moe_topk": [8, 4]}, "layers.2.mlp", None),
        ({"top_k": 50}, "layers.0.mlp", None),
        ({"num_experts_per_tok": None}, "layers.0.mlp", None),
    ],
)
def test_top_k(raw: dict[str, Any], module: str, expected: int | None) -> None:
    assert Numbers(raw, Declared()).top_k(module) == expected


def test_attributes_before_anything() -> None:
    numbers = Numbers({}, Declared(attributes={"a": {"num_experts": 4}, "b": {"top_k": 2, "num_experts": 4}}))
    assert numbers.attribute(["a", "b"], ("top_k",)) == 2
    assert numbers.counts == {4}
    assert numbers.number("a", TOP_K_KEYS) is None


def test_names() -> None:
    assert (layer_of("model.layers.3.mlp.experts.7"), stack_of("model.layers.3.mlp")) == (3, "model.layers")
    assert (layer_of("mlp"), stack_of("mlp")) == (None, "")
