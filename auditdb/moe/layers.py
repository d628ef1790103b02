"""Which layers of a stack a raw config makes MoE layers: the rules that publishers write, read one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from auditdb.moe.config import is_number

# No model has more, and a config of nonsense must not fill the memory.
MAX_LAYERS = 10_000


# Whole numbers in a text; longer ones are no layers, and int() refuses them from some length on.
_NUMBERS = re.compile(r"\s*[0-9]{1,9}(?:[,\s]+[0-9]{1,9})*[,\s]*")


class Layers(NamedTuple):
    """`readings`: sets of MoE layers that the config may mean (two conventions of one key give two); empty = no rule.

    `rules`: the keys that were read. `unread`: keys that look like rules and were not understood.
    """

    readings: tuple[frozenset[int], ...]
    rules: tuple[str, ...]
    unread: tuple[str, ...]


Values = Mapping[str, Any]
Rule = Callable[[Values, int], "set[int] | None"]  # None: the key is there and can't be read


def _types(values: Values, n: int) -> set[int] | None:
    kinds = values["mlp_layer_types"]
    known = {"dense", "sparse", "moe", "hash_moe"}
    if not isinstance(kinds, list) or len(kinds) < n or not all(isinstance(k, str) and k in known for k in kinds):
        return None
    return {i for i in range(n) if kinds[i] != "dense"}


def _listed(key: str) -> Rule:
    """`moe_layers: [1, 3]` (llama4), `moe_layers_enum: "4,5,6"` (step3)."""

    def rule(values: Values, n: int) -> set[int] | None:
        listed = values[key]
        if isinstance(listed, str) and _NUMBERS.fullmatch(listed):
            listed = [int(number) for number in re.split(r"[,\s]+", listed) if number]
        return set(listed) & set(range(n)) if isinstance(listed, list) and all(map(is_number, listed)) else None

    return rule


def _pattern(values: Values, n: int) -> set[int] | None:
    """`MEM*E`: E is a layer of experts (nemotron_h)."""
    pattern = values["hybrid_override_pattern"]
    if not isinstance(pattern, str) or len(pattern) < n:
        return None
    return {i for i, kind in enumerate(pattern) if kind == "E"}


def _is_blocks(values: Values) -> bool:
    """Whether `layers_block_type` says where experts are: in nemotron_h a layer is a mixer *or* experts *or* an MLP.

    In jamba and granitemoehybrid it names the mixers only, and every layer has a feed-forward part besides.
    """
    kinds = values.get("layers_block_type")
    one_each = isinstance(kinds, list) and ("moe" in kinds or "mlp" in kinds)
    return one_each or (kinds is not None and str(values.get("model_type", "")).startswith("nemotron"))


def _blocks(values: Values, n: int) -> set[int] | None:
    blocks = values["layers_block_type"]
    if not isinstance(blocks, list) or len(blocks) < n:
        return None
    return {i for i, kind in enumerate(blocks[:n]) if kind == "moe"}


def _frequency(values: Values, n: int) -> set[int] | None:
    """A flag a layer (minimax_m3, mimo), or every n-th layer from 0 on (deepseek)."""
    every = values["moe_layer_freq"]
    if isinstance(every, list):
        return {i for i in range(n) if every[i]} if len(every) >= n and all(map(is_number, every)) else None
    return {i for i in range(n) if i % every == 0} if is_number(every) and every > 0 else None


def _dense_first(key: str) -> Rule:
    def rule(values: Values, n: int) -> set[int] | None:
        return set(range(max(0, values[key]), n)) if is_number(values[key]) else None

    return rule


def _not_dense(values: Values, n: int) -> set[int] | None:
    only = values["mlp_only_layers"]
    return set(range(n)) - set(only) if isinstance(only, list) and all(map(is_number, only)) else None


def _step(key: str) -> Rule:
    """The last of every `step` layers; 0 turns experts off."""

    def rule(values: Values, n: int) -> set[int] | None:
        step = values[key]
        return {i for i in range(n) if step > 0 and (i + 1) % step == 0} if is_number(step) else None

    return rule


def _period(values: Values, n: int) -> set[int] | None:
    period, offset = values["expert_layer_period"], values.get("expert_layer_offset", 0)
    if not is_number(period) or not is_number(offset) or period < 1:
        return None
    return {i for i in range(n) if i % period == offset}


def _span(values: Values, n: int) -> set[int] | None:
    """ernie: first and last MoE layer (-1: the last of the stack), and every so many between."""
    start, end = values["moe_layer_start_index"], values.get("moe_layer_end_index", -1)
    every = values.get("moe_layer_interval", 1)
    if not all(map(is_number, (start, end, every))) or every < 1:
        return None
    return {i for i in range(n) if start <= i <= (n - 1 if end == -1 else end) and (i + 1) % every == 0}


# A list of layers says it all; the rest of the keys in the same config are then what it was made from.
_WHOLE: tuple[tuple[str, Rule], ...] = (
    ("mlp_layer_types", _types),
    ("moe_layers", _listed("moe_layers")),
    ("moe_layers_enum", _listed("moe_layers_enum")),
    ("hybrid_override_pattern", _pattern),
    ("layers_block_type", _blocks),
)
# Each of these takes layers away; together they leave what all of them leave.
_PARTIAL: tuple[tuple[str, Rule], ...] = (
    ("moe_layer_freq", _frequency),
    ("first_k_dense_replace", _dense_first("first_k_dense_replace")),
    ("num_dense_layers", _dense_first("num_dense_layers")),
    ("n_dense_layers", _dense_first("n_dense_layers")),
    ("mlp_only_layers", _not_dense),
    ("decoder_sparse_step", _step("decoder_sparse_step")),
    ("interleave_moe_layer_step", _step("interleave_moe_layer_step")),
    ("expert_layer_period", _period),
    ("moe_layer_start_index", _span),
)
_KNOWN = {key for key, _ in _WHOLE + _PARTIAL} | {
    "encoder_sparse_step",
    "expert_layer_offset",
    "moe_layer_end_index",
    "moe_layer_interval",
    "num_sparse_encoder_layers",
    "num_sparse_decoder_layers",
}
_LOOKS_LIKE_A_RULE = re.compile(r"(moe|sparse|dense|expert|mlp).*(layer|step|freq|pattern|period|interval|idx|index)")


def moe_layers(values: Values, n_layers: int, stack: str) -> Layers:
    """The MoE layers of a stack of `n_layers` layers, by one part of a raw config."""
    unread = [k for k, v in values.items() if k not in _KNOWN and v is not None and _LOOKS_LIKE_A_RULE.search(k)]
    if "encoder_sparse_step" in values:
        return _encoder_decoder(values, n_layers, stack, unread)
    for key, rule in _WHOLE:
        if values.get(key) is None or (key == "layers_block_type" and not _is_blocks(values)):
            continue
        found = rule(values, n_layers)
        if found is None:
            return Layers((), (), (key, *unread))
        return Layers((frozenset(found),), (key,), ())
    left, rules = set(range(n_layers)), []
    for key, rule in _PARTIAL:
        if values.get(key) is None:
            continue
        found = rule(values, n_layers)
        if found is None:
            unread.append(key)
        else:
            left &= found
            rules.append(key)
    return Layers((frozenset(left),) if rules else (), tuple(rules), tuple(unread))


def said_layers(values: Values) -> int:
    """The number of layers that a config states, by a count or the length of a list of layers; at least 1."""
    for key in ("num_hidden_layers", "num_layers", "n_layers", "n_layer"):
        if is_number(values.get(key)):
            return min(max(1, int(values[key])), MAX_LAYERS)
    return max([1, *(len(values[key]) for key, _ in _WHOLE if isinstance(values.get(key), (list, str)))])


def _encoder_decoder(values: Values, n: int, stack: str, unread: list[str]) -> Layers:
    """`…_sparse_step` of switch starts at the second layer (1, 1 + step, …), that of nllb ends each step."""
    key = "decoder_sparse_step" if "decoder" in stack else "encoder_sparse_step"
    step = values.get(key)
    if not is_number(step):
        return Layers((), (), (key, *unread))
    switch = frozenset(i for i in range(n) if step > 0 and (i % step == 1 or step == 1))
    nllb = frozenset(i for i in range(n) if step > 0 and (i + 1) % step == 0)
    return Layers((switch, nllb), (key,), tuple(unread))
