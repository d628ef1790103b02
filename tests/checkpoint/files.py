"""Safetensors files written by hand, so that each part of one can be wrong on purpose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from auditdb.checkpoint.headers import DTYPE_BITS

Spec = Mapping[str, tuple[str, Sequence[int]]]  # name → dtype, shape


def header(tensors: Spec) -> dict[str, Any]:
    """A well-formed header: tensors in the given order, gapless."""
    made: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * DTYPE_BITS[dtype] // 8
        made[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return made


def encoded(raw: Any, data_size: int | None = None) -> bytes:
    """A whole file with this header; as many zero bytes of data as the header claims, or `data_size`."""
    text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    if data_size is None:
        data_size = max((e["data_offsets"][1] for n, e in raw.items() if n != "__metadata__"), default=0)
    return len(text).to_bytes(8, "little") + text + bytes(data_size)


def split(file: bytes) -> tuple[dict[str, Any], bytes]:
    """A whole file's header and its data."""
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def write_sharded(folder: Path, shards: Mapping[str, Spec], **index: Any) -> None:
    """A well-formed sharded checkpoint; `index` overrides keys of its index."""
    weight_map, total = {}, 0
    for file, tensors in shards.items():
        content = encoded(header(tensors))
        (folder / file).write_bytes(content)
        weight_map.update(dict.fromkeys(tensors, file))
        total += len(split(content)[1])
    raw = {"metadata": {"total_size": total}, "weight_map": weight_map, **index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(raw))


ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SHARDS: dict[str, Spec] = {
    ONE: {"a.0.weight": ("BF16", (2, 3)), "a.1.weight": ("BF16", (2, 3))},
    TWO: {"b.weight": ("F32", (4,)), "c.weight": ("F4", (3, 2))},
}
