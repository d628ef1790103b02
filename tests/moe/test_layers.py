"""Rules that say which layers have experts, as publishers write them."""

from __future__ import annotations

from typing import Any

import pytest

from auditdb.moe.layers import moe_layers, said_layers

SIX = 6


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"first_k_dense_replace": 2}, {2, 3, 4, 5}),
        ({"first_k_dense_replace": 1, "moe_layer_freq": 2}, {2, 4}),
        ({"moe_layer_freq": [0, 1, 1, 0, 1, 1]}, {1, 2, 4, 5}),
        ({"num_dense_layers": 4}, {4, 5}),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [3]}, {1, 5}),
        ({"decoder_sparse_step": 0}, set()),
        ({"interleave_moe_layer_step": 3}, {2, 5}),
        ({"moe_layers": [0, 4], "interleave_moe_layer_step": 1}, {0, 4}),
        ({"moe_layers_enum": "1,2, 5"}, {1, 2, 5}),
        ({"expert_layer_period": 2, "expert_layer_offset": 1}, {1, 3, 5}),
        ({"moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1}, {1, 2, 3, 4, 5}),
        ({"moe_layer_start_index": 1, "moe_layer_end_index": 4, "moe_layer_interval": 2}, {1, 3}),
        ({"mlp_layer_types": ["dense", "sparse", "moe", "hash_moe", "dense", "sparse"], "first_k_dense_replace": 5}, {1, 2, 3, 5}),
        ({"hybrid_override_pattern": "MEM*E-"}, {1, 4}),
        ({"layers_block_type": ["mamba", "moe", "attention", "mlp", "moe", "mamba"]}, {1, 4}),
        ({"model_type": "nemotron_h", "layers_block_type": ["mamba"] * 6}, set()),
    ],
)  # fmt: skip
def test_rules(values: dict[str, Any], expected: set[int]) -> None:
    found = moe_layers(values, SIX, "model.layers")
    assert (found.readings, found.unread) == ((frozenset(expected),), ())


@pytest.mark.parametrize(
    ("values", "unread"),
    [
        ({"moe_layer_freq": "odd"}, ("moe_layer_freq",)),
        ({"moe_layer_recipe": [1]}, ("moe_layer_recipe",)),
        ({"mlp_layer_types": ["dense", "new"] * 3}, ("mlp_layer_types",)),
        ({"mlp_layer_types": ["sparse"]}, ("mlp_layer_types",)),
        ({"moe_layer_start_index": [1, 2]}, ("moe_layer_start_index",)),
        ({"expert_layer_period": 0}, ("expert_layer_period",)),
    ],
)
def test_what_cannot_be_read_is_named(values: dict[str, Any], unread: tuple[str, ...]) -> None:
    found = moe_layers(values, SIX, "model.layers")
    assert (found.readings, found.unread) == ((), unread)


def test_mixers_say_nothing_of_experts() -> None:
    """jamba and granitemoehybrid list mixers under the same key; every layer has a feed-forward part besides."""
    assert moe_layers({"layers_block_type": ["mamba", "attention"]}, 2, "model.layers").readings == ()


def test_encoder_and_decoder() -> None:
    values = {"encoder_sparse_step": 2, "decoder_sparse_step": 4}
    assert moe_layers(values, 4, "encoder.block").readings == (frozenset({1, 3}), frozenset({1, 3}))
    assert moe_layers(values, 4, "decoder.block").readings == (frozenset({1}), frozenset({3}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"num_hidden_layers": 7}, 7), ({"n_layers": 3}, 3), ({"hybrid_override_pattern": "ME"}, 2), ({}, 1)],
)
def test_number_of_layers(values: dict[str, Any], expected: int) -> None:
    assert said_layers(values) == expected
