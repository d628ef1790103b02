"""Numbers about experts in a raw config.json, by part of the model; never parsed, so nothing is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeGuard

from auditdb.moe.tree import numeral
from auditdb.records import Declared

# In the order of preference where one part has several: `num_local_experts` of ernie and hunyuan may be an alias.
COUNT_KEYS = (
    "n_routed_experts", "num_routed_experts", "moe_num_experts", "num_experts", "num_local_experts", "num_moe_experts",
    "n_experts", "num_expert", "expert_num", "experts_num", "moe_num_routed_experts",
)  # fmt: skip
# `top_k` alone is a sampling parameter of old configs, and not here.
TOP_K_KEYS = (
    "num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_topk", "moe_k", "top_k_experts",
    "num_selected_experts", "num_activated_experts", "n_activated_experts", "experts_per_token", "experts_per_tok",
    "moe_router_topk", "router_top_k", "num_topk_experts",
)  # fmt: skip
ZERO_KEYS = ("zero_expert_num", "num_zero_experts")
SINK_KEYS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
OFF_SWITCHES = ("is_moe", "enable_moe_block", "use_moe")

_COUNT_ATTRIBUTES = ("num_experts", "num_local_experts", "n_routed_experts", "num_routed_experts", "moe_num_experts")

# Words of a part's path and of a module's name that mean one tower; the first that occurs says which.
_TOWERS = (
    ("vision", ("vision", "visual", "image")),
    ("audio", ("audio", "speech", "sound")),
    ("talker", ("talker",)),
    ("text", ("text", "language", "llm", "thinker", "lm")),
)


class Part(NamedTuple):
    """One JSON object of the config; `path` is dotted, '' is the outermost."""

    path: str
    values: Mapping[str, Any]

    def first(self, keys: tuple[str, ...]) -> tuple[str, int | list[int]] | None:
        """The first of `keys` that holds a number or a list of numbers."""
        for key in keys:
            value = self.values.get(key)
            if is_number(value):
                return key, value
            if isinstance(value, list) and value and all(is_number(item) for item in value):
                return key, value
        return None


@dataclass(frozen=True)
class Numbers:
    """What the raw config and the modules' attributes say about experts."""

    raw: Mapping[str, Any]
    declared: Declared

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(_parts(self.raw))

    @cached_property
    def counts(self) -> frozenset[int]:
        """Every number of experts (2 or more) that the JSON or an attribute names; list elements count each."""
        found: set[int] = set()
        for part in self.parts:
            for key, value in part.values.items():
                if _counts_experts(key):
                    found.update(v for v in (value if isinstance(value, list) else [value]) if is_number(v))
        for values in self.declared.attributes.values():
            found.update(values[key] for key in _COUNT_ATTRIBUTES if key in values)
        return frozenset(count for count in found if count > 1)

    @cached_property
    def model_types(self) -> frozenset[str]:
        said = [part.values.get("model_type") for part in self.parts] + list(self.declared.configs.values())
        return frozenset(t for t in said if isinstance(t, str) and t)

    @cached_property
    def expert_parts(self) -> list[Part]:
        """The parts that speak of experts: a count or a top-k. (`per_layer_config.25` only changes its own layer.)"""
        return [
            part
            for part in self.parts
            if not re.search(r"\.\d+$", part.path) and (part.first(COUNT_KEYS) or part.first(TOP_K_KEYS))
        ]

    def part_of(self, module: str) -> Part | None:
        """The part that speaks of experts for a module: by the config that built it, else by the words of its name."""
        speaking = self.expert_parts
        if len(speaking) < 2:
            return speaking[0] if speaking and _same_tower(speaking[0].path, module) else None
        scope = self._scope(module)
        if scope is not None:
            inside = [part for part in speaking if part.path == scope or part.path.startswith(scope + ".")]
            while not inside and scope:
                scope = scope.rpartition(".")[0]
                inside = [part for part in speaking if part.path == scope]
            if len(inside) == 1 or (inside and inside[0].path == scope):
                return inside[0]
        fitting = [part for part in speaking if tower(part.path) == (tower(stack_of(module)) or "text")]
        fitting = fitting or [part for part in speaking if not tower(part.path)]
        return max(fitting, key=lambda part: part.path.count("."), default=None)

    def _scope(self, module: str) -> str | None:
        """Path of the config of the nearest model around a module."""
        name = module
        while name:
            if name in self.declared.scopes:
                return self.declared.scopes[name]
            name = name.rpartition(".")[0]
        return self.declared.scopes.get("")

    def number(self, module: str, keys: tuple[str, ...]) -> int | None:
        """A plain number from the part of a module; None for a list, and where no part has it."""
        part = self.part_of(module)
        found = part.first(keys) if part else None
        return found[1] if found and isinstance(found[1], int) else None

    def top_k(self, module: str) -> int | None:
        """Experts a token is sent to, for a module of a layer; of a list, the element of that layer."""
        part = self.part_of(module)
        found = part.first(TOP_K_KEYS) if part else None
        if found is None:
            return None
        said, layer = found[1], layer_of(module)
        if isinstance(said, int):
            return said
        if len(set(said)) == 1:
            return said[0]
        return said[layer] if layer is not None and layer < len(said) else None

    def attribute(self, modules: list[str], keys: tuple[str, ...]) -> int | None:
        """The first of `keys` that one of these modules carries, module by module."""
        for module in modules:
            values = self.declared.attributes.get(module, {})
            for key in keys:
                if key in values and is_number(values[key]):
                    return values[key]
        return None


def layer_of(module: str) -> int | None:
    """The number of a module's layer: the first number in its name."""
    return next((number for word in module.split(".") if (number := numeral(word)) is not None), None)


def stack_of(module: str) -> str:
    """Name of the list of layers that a module lies in; '' for none."""
    words = module.split(".")
    at = next((index for index, word in enumerate(words) if numeral(word) is not None), 0)
    return ".".join(words[:at])


def _parts(raw: Mapping[str, Any], path: str = "") -> Iterator[Part]:
    yield Part(path, raw)
    for key, value in raw.items():
        if isinstance(value, Mapping):
            yield from _parts(value, f"{path}.{key}" if path else key)


def is_number(value: object) -> TypeGuard[int]:
    """A whole number that 64 bits hold; JSON's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _counts_experts(key: str) -> bool:
    """Whether a key may count routed experts. Wider than COUNT_KEYS: it only ever backs up what the tree shows."""
    other = r"per_|top|shared|share_|zero|size|dim|group|period|offset|capacity|layer|coef|step|activated|selected|null"
    return key in COUNT_KEYS or (re.search(r"experts?(_num)?$", key) is not None and re.search(other, key) is None)


def tower(path: str) -> str:
    """Which tower the path of a config's part, or of a stack of layers, speaks of; '' where it does not say."""
    words = set(re.split(r"[._]", path.lower()))
    return next((tower for tower, spellings in _TOWERS if words & set(spellings)), "")


def _same_tower(path: str, module: str) -> bool:
    """Whether a lone speaking part may mean this module: a text part says nothing of a vision tower."""
    of_part, of_module = tower(path) or "text", tower(stack_of(module)) or "text"
    return of_part == of_module or not path
