"""A look that was had before: the structure, the checks and the expected tensors of an earlier run. Reads only."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from auditdb.digests import structure_digest
from auditdb.records import (
    Check,
    Checkpoint,
    CheckpointFile,
    ExpectedTensor,
    Fault,
    Index,
    Module,
    Rung,
    StoredTensor,
    Structure,
    Tensor,
)
from auditdb.store.connect import if_current
from auditdb.store.questions import question


@dataclass(frozen=True)
class Recalled:
    """What a look takes over from the run `run_id` instead of building the model. `checks` are that run's."""

    run_id: int
    model_class: str
    rung: Rung
    build_notes: tuple[str, ...]
    structure: Structure
    checks: tuple[Check, ...]
    expected: tuple[ExpectedTensor, ...]


def recall(path: Path, config_digest: str, toolchain: str) -> Recalled | None:
    """The newest FAST run that built this config with this toolchain and may be reused; None if there is none.

    The structure's digest is derived again from its rows; one that does not hold is not reused (`verify` says which).
    """
    with if_current(path) as connection:
        if connection is None:
            return None
        found = connection.execute(question("recall"), {"config": config_digest, "toolchain": toolchain}).fetchone()
        if found is None:
            return None
        run_id, structure_id, digest, own_total, embedding, head, map_id, default, expectation_id, *rest = found
        structure = _structure(connection, structure_id, map_id, default, own_total, embedding, head)
        if structure_digest(structure) != digest:
            return None
        return Recalled(
            run_id=run_id,
            model_class=rest[0],
            rung=rest[1],
            build_notes=tuple(json.loads(rest[2])),
            structure=structure,
            checks=tuple(Check(*row) for row in connection.execute(question("integrity"), {"run": run_id})),
            expected=_expected(connection, expectation_id),
        )


def recorded_checkpoint(path: Path, model: str, revision: str) -> Checkpoint | None:
    """The headers that the store has of a model's commit, whole; None where it has none."""
    with if_current(path) as connection:
        if connection is None:
            return None
        row = connection.execute(question("recall_checkpoint"), {"model": model, "revision": revision}).fetchone()
        if row is None:
            return None
        checkpoint_id, index_file, total_size, metadata, notes = row
        files, tensors, strays, faults = (
            connection.execute(question(f"verify_{part}"), {"id": checkpoint_id}).fetchall()
            for part in ("files", "stored", "strays", "faults")
        )
    shards = {name: indexed_in for name, _, _, _, _, _, indexed_in in tensors if indexed_in} | dict(strays)
    return Checkpoint(
        files=tuple(CheckpointFile(*file) for file in files),
        tensors=tuple(StoredTensor(t[0], t[1], _shape(t[2]), t[3], t[4], t[5]) for t in tensors),
        index=Index(index_file, shards, total_size, json.loads(metadata)) if index_file else None,
        faults=tuple(Fault(*fault[1:]) for fault in faults),
        notes=tuple(json.loads(notes)),
    )


def _structure(
    connection: sqlite3.Connection,
    structure_id: int,
    map_id: int,
    default: str,
    own_total: int | None,
    embedding: str,
    head: str,
) -> Structure:
    dtypes = dict(connection.execute(question("verify_dtype_exceptions"), {"id": map_id}))
    modules = connection.execute(question("verify_modules"), {"id": structure_id})
    tensors = connection.execute(question("verify_parameters"), {"id": structure_id})
    return Structure(
        modules=tuple(Module(*row) for row in modules),
        tensors=tuple(
            Tensor(
                module=row[1],
                name=row[2],
                kind=row[3],
                shape=_shape(row[4]),
                dtype=dtypes.get(row[2], default),
                numel=row[5],
                trainable=bool(row[6]),
                persistent=bool(row[7]),
                tied_to=row[8],
            )
            for row in tensors
        ),
        own_total=own_total,
        input_embedding=embedding,
        output_embedding=head,
    )


def _expected(connection: sqlite3.Connection, expectation_id: int | None) -> tuple[ExpectedTensor, ...]:
    rows = connection.execute(question("verify_expected_tensors"), {"id": expectation_id})
    return tuple(ExpectedTensor(name, _shape(shape)) for name, shape in rows)


@lru_cache(maxsize=10_000)  # 45,000 tensors have a dozen shapes
def _shape(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))
