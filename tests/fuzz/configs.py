"""Configs for the fuzz tests: real ones cut to two layers, with implausible values in plausible places."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import law

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
_LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "depth",
    "num_encoder_layers",
    "num_decoder_layers",
)

# What no real config holds: counts and sizes that lists, tables and buffers are made from.
_PATTERNS: tuple[list[Any], ...] = (
    ["full_attention"] * 2,
    ["full_attention", "linear_attention"],
    ["sparse", "dense"],
    [0, 1],
    [8, 0, 8],
    [1] * 3000,
    [[1, 2], [3]],
    ["no such type"],
    [[1], {}],
    [float("nan")] * 2,
    [10**400],
)
# Another value of the same kind: what passes a class's own validation and is odd all the same.
_NUDGES: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-2, 70) | st.sampled_from(law.NUMBERS),
    float: st.integers(-2, 70) | st.floats(),
    list: st.sampled_from(_PATTERNS) | st.lists(st.integers(-1, 9), max_size=5),
}
# Keys that say which layers hold experts, in the spellings of families that are not among the real configs.
_LAYER_KEYS = (
    *("moe_layers_enum", "moe_layers", "mlp_layer_types", "hybrid_override_pattern", "layers_block_type"),
    *("moe_layer_freq", "decoder_sparse_step", "first_k_dense_replace", "mlp_only_layers", "interleave_moe_layer_step"),
    *("encoder_sparse_step", "moe_layer_start_index", "moe_layer_end_index", "expert_layer_period", "num_experts"),
    *("top_k", "num_experts_per_tok", "moe_topk", "num_hidden_layers", "n_shared_experts", "ffn_config"),
)
odd_values = law.values | st.sampled_from(_PATTERNS)


@cache
def real_configs() -> tuple[dict[str, Any], ...]:
    """Every real config of the tests, cut to two layers so that a build takes milliseconds."""
    found = []
    for file in sorted(CONFIGS.glob("*/config.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        _cut(raw)
        found.append(raw)
    assert len(found) > 50
    return tuple(found)


def _cut(part: dict[str, Any]) -> None:
    layers = max((part[key] for key in _LAYERS if isinstance(part.get(key), int)), default=0)
    for key, value in part.items():
        if isinstance(value, dict):
            _cut(value)
        elif key in _LAYERS and isinstance(value, int):
            part[key] = min(value, 2)
        elif isinstance(value, list) and len(value) == layers:
            part[key] = value[:2]


@cache
def real_keys() -> tuple[str, ...]:
    """Every key of the real configs, at any depth."""
    keys: set[str] = set(_LAYER_KEYS)
    todo = list(real_configs())
    while todo:
        part = todo.pop()
        keys |= part.keys()
        todo += [value for value in part.values() if isinstance(value, dict)]
    return tuple(sorted(keys))


@cache
def model_types() -> tuple[str, ...]:
    """The model types of the real configs: each imports a modeling file, and all there are would take minutes."""
    return tuple(sorted({raw["model_type"] for raw in real_configs() if isinstance(raw.get("model_type"), str)}))


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A real config in which one to four things were changed, dropped, added or moved."""
    raw = copy.deepcopy(draw(st.sampled_from(real_configs())))
    for _ in range(draw(st.integers(1, 4))):
        part = _some_part(draw, raw)
        step = draw(st.sampled_from(("nudge",) * 6 + ("set", "set", "add", "drop", "nest", "list")))
        key = draw(st.sampled_from(sorted(part))) if part and step != "add" else draw(st.sampled_from(real_keys()))
        if step == "nudge" and part and type(part.get(key)) in _NUDGES:
            part[key] = copy.deepcopy(draw(_NUDGES[type(part[key])]))
        elif step == "drop":
            part.pop(key, None)
        elif step == "nest":
            part[key] = copy.deepcopy(draw(st.sampled_from(real_configs())))
        elif step == "list" and isinstance(part.get(key), list) and part[key]:
            part[key][draw(st.integers(0, len(part[key]) - 1))] = copy.deepcopy(draw(odd_values))
        else:
            part[key] = copy.deepcopy(draw(odd_values))
    return raw


def _some_part(draw: st.DrawFn, raw: dict[str, Any]) -> dict[str, Any]:
    """The config itself, or one of the configs inside it."""
    parts = [raw, raw, *(value for value in raw.values() if isinstance(value, dict) and value)]
    return parts[draw(st.integers(0, len(parts) - 1))]


@st.composite
def made_up(draw: st.DrawFn) -> dict[str, Any]:
    """Plausible keys with values of any kind, under a model type that the library may have."""
    raw: dict[str, Any] = draw(st.dictionaries(st.sampled_from(real_keys()) | law.texts, odd_values, max_size=12))
    if draw(st.integers(0, 5)):
        raw["model_type"] = draw(st.sampled_from(model_types()))
    if draw(st.integers(0, 9)):  # a class's own default may be a whole model, which takes seconds
        raw = dict.fromkeys(_LAYERS, 1) | raw
    for key in ("text_config", "vision_config"):
        if not draw(st.integers(0, 3)):
            raw[key] = draw(st.dictionaries(st.sampled_from(real_keys()), odd_values, max_size=6))
    return raw
