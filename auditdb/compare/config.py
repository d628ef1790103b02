"""Two config.json texts compared key by key. Pure; it judges no meaning, except of the keys that name a writer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from auditdb.diff_records import Change, Field, Section

# Who wrote the file and where it lay: no part of what the model is.
IDENTITY_KEYS = frozenset({"_name_or_path", "transformers_version", "_commit_hash"})
# transformers 5 writes `dtype` for what was `torch_dtype`.
SPELLINGS = {"torch_dtype": "dtype"}

_ABSENT = object()


def compare_configs(a: str, b: str) -> Section:
    """The section `config`: a nested key as a dotted path, a list as one value."""
    left, right = _flat(json.loads(a)), _flat(json.loads(b))
    changes = [*_respelled(left, right)]
    for path in dict.fromkeys([*left, *right]):
        x, y = left.get(path, _ABSENT), right.get(path, _ABSENT)
        if _same(x, y):
            continue
        name, counts = ".".join(path), path[-1] not in IDENTITY_KEYS
        if x is _ABSENT:
            changes.append(Change("added", None, name, fields=(Field("value", None, plain(y)),), counts=counts))
        elif y is _ABSENT:
            changes.append(Change("removed", name, None, fields=(Field("value", plain(x), None),), counts=counts))
        else:
            changes.append(Change("changed", name, name, fields=(Field("value", plain(x), plain(y)),), counts=counts))
    order = ("changed", "renamed", "removed", "added")
    changes.sort(key=lambda change: (not change.counts, order.index(change.kind)))
    return Section("config", tuple(changes))


def _respelled(left: dict[tuple[str, ...], Any], right: dict[tuple[str, ...], Any]) -> list[Change]:
    """Keys that one library version spells otherwise, with one value: taken out of both, told, and never counted."""
    changes = []
    for old, new in SPELLINGS.items():
        for mine, other, flipped in ((left, right, False), (right, left, True)):
            for path in [path for path in mine if path[-1] == old]:
                twin = (*path[:-1], new)
                if path in other or twin in mine or not _same(mine[path], other.get(twin, _ABSENT)):
                    continue
                del mine[path], other[twin]
                a, b = ".".join(path), ".".join(twin)
                changes.append(Change("renamed", *((b, a) if flipped else (a, b)), counts=False))
    return changes


def _flat(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    flat: dict[tuple[str, ...], Any] = {}
    for key, inner in value.items():
        below = (*path, key)
        if isinstance(inner, dict) and inner:
            flat.update(_flat(inner, below))
        else:
            flat[below] = inner
    return flat


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON values: 1 is 1.0, but not true; NaN is NaN."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or (a != a and b != b)  # not math.isnan, which refuses an integer of 400 digits
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


def plain(value: Any) -> Any:
    """The value as strict JSON can carry it: NaN and Infinity, which real configs hold, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
