"""Records to rows: what the writer inserts and what the digests are taken over. No SQL, no SQLAlchemy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from auditdb import digests
from auditdb.digests import shape_text
from auditdb.records import Checkpoint, ExpectedTensor, Reading, Structure

Row = dict[str, Any]
Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class Content:
    """One content-addressed thing: the row of its own table without its id, and what hangs on it by table.

    The parts are tuples in the order of `COLUMNS`: a dict for each of 45,000 expected tensors would take as much
    memory as the model's tree.
    """

    digest: str
    head: Row
    parts: dict[str, Rows]


# The columns of each part, without the one that refers to its owner.
COLUMNS: dict[str, tuple[str, ...]] = {
    "modules": ("position", "name", "class", "parent", "depth", "n_params", "n_trainable", "n_buffers"),
    "parameters": (
        "position", "module", "name", "kind", "shape", "numel", "trainable", "persistent", "tied_to",
    ),
    "moe_groups": ("position", "name", "n_routers", "n_experts", "n_shared", "n_zero", "top_k", "n_params"),
    "routers": ("position", "name", "class", "moe_group", "n_experts", "top_k", "source"),
    "experts": ("position", "name", "class", "parent", "moe_group", "expert", "kind", "n_params", "source"),
    "module_marks": ("position", "is_router", "is_expert", "moe_group"),
    "dtype_exceptions": ("name", "dtype"),
    "expected_tensors": ("name", "shape"),
    "files": ("path", "kind", "size", "sha256", "header_bytes"),
    "checkpoint_tensors": ("name", "file", "shape", "dtype", "begin", "end", "indexed_in"),
    "index_strays": ("name", "file"),
    "checkpoint_faults": ("position", "check_name", "file", "message"),
    "integrity": ("position", "name", "status", "expected", "seen", "reason"),
    "hooks": ("position", "kind", "module", "shape", "mean", "std", "detail"),
    "weight_stats": ("name", "expert", "norm", "n_zero", "n_nan", "n_inf", "numel"),
    "code_files": ("path", "sha256"),
    "endpoints": ("url", "served_name", "root", "version", "payload"),
}  # fmt: skip


def structure_content(structure: Structure) -> Content:
    parameters = [
        (
            position,
            t.module,
            t.name,
            t.kind,
            shape_text(t.shape),
            t.numel,
            int(t.trainable),
            int(t.persistent),
            t.tied_to,
        )
        for position, t in enumerate(structure.tensors)
    ]
    head: Row = {
        "digest": digests.structure_digest(structure),
        "n_modules": len(structure.modules),
        "n_params": structure.n_params,
        "n_trainable": structure.n_trainable,
        "n_buffers": structure.n_buffers,
        "own_total": structure.own_total,
        "input_embedding": structure.input_embedding,
        "output_embedding": structure.output_embedding,
    }
    return Content(head["digest"], head, {"modules": structure.modules, "parameters": parameters})


def _numbered(rows: Sequence[tuple[Any, ...]]) -> Rows:
    return [(position, *row) for position, row in enumerate(rows)]


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
        "moe_groups": _numbered(reading.groups),
        "routers": _numbered(reading.routers),
        "experts": _numbered(reading.experts),
        "module_marks": marks,
    }
    return Content(head["digest"], head, parts)


def dtypes_content(structure: Structure) -> Content:
    """The most frequent dtype (by tensors, then by name) is the default; the others are exceptions by name."""
    counts = Counter(t.dtype for t in structure.tensors)
    default = min(counts, key=lambda dtype: (-counts[dtype], dtype)) if counts else ""
    exceptions = {t.name: t.dtype for t in structure.tensors if t.dtype != default}
    head: Row = {"digest": digests.dtypes_digest(default, exceptions), "default_dtype": default}
    return Content(head["digest"], head, {"dtype_exceptions": sorted(exceptions.items())})


def expectation_content(expected: Sequence[ExpectedTensor]) -> Content:
    pairs = sorted((tensor.name, shape_text(tensor.shape)) for tensor in expected)
    head: Row = {"digest": digests.expectation_digest(pairs), "n_tensors": len(pairs)}
    return Content(head["digest"], head, {"expected_tensors": pairs})


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
    head: Row = {
        "n_files": len(files),
        "n_tensors": len(tensors),
        "n_numbers": sum(prod(t.shape) for t in checkpoint.tensors),
        "n_bytes": sum(t.end - t.begin for t in checkpoint.tensors),
        "index_file": index.file if index else "",
        "index_total_size": index.total_size if index else None,
        "index_metadata": json.dumps(dict(index.metadata), ensure_ascii=False, sort_keys=True) if index else "{}",
        "notes": json.dumps(checkpoint.notes, ensure_ascii=False),
        "incomplete": checkpoint.incomplete,
    }
    head = {"digest": digests.checkpoint_digest(tuple(head.values()), files, tensors, strays, faults), **head}

    parts: dict[str, Rows] = {"files": files, "checkpoint_tensors": tensors}
    parts |= {"index_strays": strays, "checkpoint_faults": faults}
    return Content(head["digest"], head, parts)
