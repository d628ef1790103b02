"""Content digests over canonical rows, each with a tag for its scheme. Pure; what `verify` re-derives is defined here.

A digest is `TAG:` and the sha256 over one JSON document, an array of the rows as arrays, which is injective. One
document, because a JSON encoder that is called for each of 60,000 rows takes five times as long.
Change a rule, and the tag changes with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from auditdb.records import Structure

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def digest(tag: str, rows: Iterable[Sequence[Any]]) -> str:
    """`TAG:<64 hex>` over rows of strings, integers, None and lists of these."""
    return text_digest(tag, _ENCODE(list(rows)))


def text_digest(tag: str, text: str) -> str:
    return f"{tag}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def config_digest(text: str) -> str:
    return text_digest("c1", text)


def structure_digest(structure: Structure) -> str:
    """Position, name and class of each module; name, kind, shape, trainable, persistent and tie of each tensor.

    No dtype: the same config builds float32 under one toolchain and bfloat16 under another.
    """
    return structure_rows_digest(
        ((m.position, m.name, m.class_name) for m in structure.modules),
        (
            (t.module, t.name, t.kind, shape_text(t.shape), int(t.trainable), int(t.persistent), t.tied_to)
            for t in structure.tensors
        ),
        structure.own_total,
        structure.input_embedding,
        structure.output_embedding,
    )


def structure_rows_digest(
    modules: Iterable[Sequence[Any]],
    tensors: Iterable[Sequence[Any]],
    own_total: int | None,
    input_embedding: str,
    output_embedding: str,
) -> str:
    """The same from plain rows, as the store has them."""

    def rows() -> Iterable[Sequence[Any]]:
        yield (own_total, input_embedding, output_embedding)
        yield from modules
        yield from tensors

    return digest("s1", rows())


def reading_digest(
    groups: Iterable[Sequence[Any]],
    routers: Iterable[Sequence[Any]],
    experts: Iterable[Sequence[Any]],
    marks: Iterable[Sequence[Any]],
    active: Sequence[Any],
) -> str:
    """All rows of a reading, in their order; each kind is set apart by its name."""

    def rows() -> Iterable[Sequence[Any]]:
        for kind, part in (("group", groups), ("router", routers), ("expert", experts), ("mark", marks)):
            yield (kind,)
            yield from part
        yield ("active",)
        yield active

    return digest("m1", rows())


def dtypes_digest(default: str, exceptions: Mapping[str, str]) -> str:
    return digest("d1", [(default,), *sorted(exceptions.items())])


def expectation_digest(rows: Iterable[tuple[str, str]]) -> str:
    """Over (name, shape text), sorted by name."""
    return digest("e1", sorted(rows))


def checkpoint_digest(
    head: Sequence[Any],
    files: Iterable[tuple[Any, ...]],
    tensors: Iterable[tuple[Any, ...]],
    strays: Iterable[tuple[Any, ...]],
    faults: Iterable[Sequence[Any]],
) -> str:
    """Over the rows of a checkpoint as the store keeps them, files and tensors sorted by their keys."""

    def rows() -> Iterable[Sequence[Any]]:
        yield head
        for kind, part in (("file", sorted(files)), ("tensor", sorted(tensors)), ("stray", sorted(strays))):
            yield (kind,)
            yield from part
        yield ("fault",)
        yield from faults

    return digest("k1", rows())


def run_digest(facts: Mapping[str, Any]) -> str:
    """Over a run's own facts: identity, totals, digests of what it refers to, integrity, hooks, statistics, notes."""
    return text_digest("r1", json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def failure_digest(toolchain: str, model: str, config: str, reason: str, at: str) -> str:
    """Over what a sweep recorded of a model that it could not audit."""
    return digest("f1", [(toolchain, model, config, reason, at)])


@lru_cache(maxsize=10_000)  # tens of thousands of tensors have a dozen shapes
def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as the store writes it: `[4096, 1024]`."""
    return "[" + ", ".join(map(str, shape)) + "]"
