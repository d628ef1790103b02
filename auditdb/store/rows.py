"""Records to rows: what the writer inserts and what the digests are taken over. No SQL, no SQLAlchemy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditdb import digests
from auditdb.digests import shape_text
from auditdb.records import Checkpoint, ExpectedTensor, Reading, Structure

Row = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """One content-addressed thing: the row of its own table without its id, and the rows that hang on it by table."""

    digest: str
    head: Row
    parts: dict[str, list[Row]]


def structure_content(structure: Structure) -> Content:
    modules = [
        {
            "position": m.position,
            "name": m.name,
            "class": m.class_name,
            "parent": m.parent,
            "depth": m.depth,
            "n_params": m.n_params,
            "n_trainable": m.n_trainable,
            "n_buffers": m.n_buffers,
        }
        for m in structure.modules
    ]
    parameters = [
        {
            "position": position,
            "module": t.module,
            "name": t.name,
            "kind": t.kind,
            "shape": shape_text(t.shape),
            "numel": t.numel,
            "trainable": int(t.trainable),
            "persistent": int(t.persistent),
            "tied_to": t.tied_to,
        }
        for position, t in enumerate(structure.tensors)
    ]
    head: Row = {
        "digest": digests.structure_digest(structure),
        "n_modules": len(modules),
        "n_params": structure.n_params,
        "n_trainable": structure.n_trainable,
        "n_buffers": structure.n_buffers,
        "own_total": structure.own_total,
        "input_embedding": structure.input_embedding,
        "output_embedding": structure.output_embedding,
    }
    return Content(head["digest"], head, {"modules": modules, "parameters": parameters})


def _numbered(fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
    return [dict(zip(fields, (position, *row), strict=True)) for position, row in enumerate(rows)]


GROUP_FIELDS = ("position", "name", "n_routers", "n_experts", "n_shared", "n_zero", "top_k", "n_params")
ROUTER_FIELDS = ("position", "name", "class", "moe_group", "n_experts", "top_k", "source")
EXPERT_FIELDS = ("position", "name", "class", "parent", "moe_group", "expert", "kind", "n_params", "source")


def reading_content(reading: Reading) -> Content:
    marks = [(m.position, int(m.is_router), int(m.is_expert), m.moe_group) for m in reading.marks]
    notes = json.dumps(reading.notes, ensure_ascii=False)
    active = (reading.n_active, reading.n_active_no_embedding, int(reading.active_is_bound), notes)
    head: Row = {
        "digest": digests.reading_digest(reading.groups, reading.routers, reading.experts, marks, active),
        "n_groups": len(reading.groups),
        "n_routers": len(reading.routers),
        "n_experts": sum(e.kind == "routed" for e in reading.experts),
        "n_shared": sum(e.kind == "shared" for e in reading.experts),
        "n_zero": sum(e.kind == "zero" for e in reading.experts),
        "n_active_params": reading.n_active,
        "n_active_params_no_embedding": reading.n_active_no_embedding,
        "active_is_bound": int(reading.active_is_bound),
        "notes": notes,
    }
    parts = {
        "moe_groups": _numbered(GROUP_FIELDS, reading.groups),
        "routers": _numbered(ROUTER_FIELDS, reading.routers),
        "experts": _numbered(EXPERT_FIELDS, reading.experts),
        "module_marks": [
            dict(zip(("position", "is_router", "is_expert", "moe_group"), mark, strict=True)) for mark in marks
        ],
    }
    return Content(head["digest"], head, parts)


def dtypes_content(structure: Structure) -> Content:
    """The most frequent dtype (by tensors, then by name) is the default; the others are exceptions by name."""
    counts = Counter(t.dtype for t in structure.tensors)
    default = min(counts, key=lambda dtype: (-counts[dtype], dtype)) if counts else ""
    exceptions = {t.name: t.dtype for t in structure.tensors if t.dtype != default}
    head: Row = {"digest": digests.dtypes_digest(default, exceptions), "default_dtype": default}
    rows = [{"name": name, "dtype": dtype} for name, dtype in sorted(exceptions.items())]
    return Content(head["digest"], head, {"dtype_exceptions": rows})


def expectation_content(expected: Sequence[ExpectedTensor]) -> Content:
    pairs = sorted((tensor.name, shape_text(tensor.shape)) for tensor in expected)
    head: Row = {"digest": digests.expectation_digest(pairs), "n_tensors": len(pairs)}
    rows = [{"name": name, "shape": shape} for name, shape in pairs]
    return Content(head["digest"], head, {"expected_tensors": rows})


def checkpoint_content(checkpoint: Checkpoint) -> Content:
    index = checkpoint.index
    shards = index.weight_map if index else {}
    files = [(f.path, f.kind, f.size, f.sha256, f.header_bytes) for f in checkpoint.files]
    tensors = [
        (t.name, t.file, shape_text(t.shape), t.dtype, t.begin, t.end, shards.get(t.name, ""))
        for t in checkpoint.tensors
    ]
    stored = {t.name for t in checkpoint.tensors}
    strays = [(name, file) for name, file in shards.items() if name not in stored]
    faults = [(position, f.check, f.file, f.message) for position, f in enumerate(checkpoint.faults)]
    numbers = 0
    for t in checkpoint.tensors:
        size = 1
        for length in t.shape:
            size *= length
        numbers += size
    head: Row = {
        "n_files": len(files),
        "n_tensors": len(tensors),
        "n_numbers": numbers,
        "n_bytes": sum(t.end - t.begin for t in checkpoint.tensors),
        "index_file": index.file if index else "",
        "index_total_size": index.total_size if index else None,
        "index_metadata": json.dumps(dict(index.metadata), ensure_ascii=False, sort_keys=True) if index else "{}",
        "notes": json.dumps(checkpoint.notes, ensure_ascii=False),
        "incomplete": checkpoint.incomplete,
    }
    head = {"digest": digests.checkpoint_digest(tuple(head.values()), files, tensors, strays, faults), **head}

    def named(fields: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        names = fields.split()
        return [dict(zip(names, row, strict=True)) for row in rows]

    parts = {
        "files": named("path kind size sha256 header_bytes", files),
        "checkpoint_tensors": named("name file shape dtype begin end indexed_in", tensors),
        "index_strays": named("name file", strays),
        "checkpoint_faults": named("position check_name file message", faults),
    }
    return Content(head["digest"], head, parts)
