"""One folder or one list of tensors, through every check of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checkpoint.headers import DTYPE_BITS
from auditdb.checks.checkpoint import Fit, checkpoint_fit
from auditdb.checks.dtypes import check_dtypes
from auditdb.checks.files import check_headers, check_index
from auditdb.inspect.expected import expected_tensors
from auditdb.inspect.loader import load_on_meta
from auditdb.inspect.tree import read_tree
from auditdb.records import Checkpoint, CheckpointFile, ExpectedTensor, LoaderVerdict, Status, StoredTensor
from tests.checkpoint.families import Family

Specs = Mapping[str, tuple[str, Sequence[int]]]


def checkpoint_of(specs: Specs, file: str = "model.safetensors") -> Checkpoint:
    """A checkpoint in one well-formed file, without a byte of it on disk."""
    tensors: list[StoredTensor] = []
    at = 0
    for name, (dtype, shape) in specs.items():
        size = prod(shape) * DTYPE_BITS[dtype] // 8
        tensors.append(StoredTensor(name, file, tuple(shape), dtype, at, at + size))
        at += size
    return Checkpoint(files=(CheckpointFile(file, "safetensors", None),), tensors=tuple(tensors))


def plain(expected: Iterable[ExpectedTensor], dtype: str = "BF16") -> dict[str, tuple[str, Sequence[int]]]:
    return {e.name: (dtype, e.shape) for e in expected}


def fit(family: Family, checkpoint: Checkpoint | None, raw: Mapping[str, Any] | None = None, **changed: Any) -> Fit:
    """The check `checkpoint` for a class of this toolchain, with its own loader."""
    model = family.on_meta(**changed)

    def load(tensors: Sequence[StoredTensor]) -> LoaderVerdict:
        return load_on_meta(family.model_class, family.config(**changed), tensors, model=model)

    return checkpoint_fit(checkpoint, expected_tensors(model), read_tree(model), raw or {}, load)


def statuses(family: Family, folder: Path, **changed: Any) -> tuple[dict[str, Status], Fit]:
    """Status of each check of a folder, and the fit."""
    checkpoint = read_checkpoint(FolderBytes(folder))
    found = fit(family, checkpoint, **changed)
    rows = (check_index(checkpoint), check_headers(checkpoint), found.check, check_dtypes(checkpoint, {}))
    return {row.name: row.status for row in rows}, found
