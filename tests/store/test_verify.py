"""`verify` names what was altered: every column of every table, flipped one at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from auditdb.records import (
    Check,
    Checkpoint,
    CheckpointFile,
    CodeFile,
    Endpoint,
    ExpectedTensor,
    Fault,
    Hook,
    Index,
    Look,
    StoredTensor,
    WeightStat,
)
from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import Writer, record
from tests.small import look


def full_look() -> Look:
    """A look that puts a row into every table."""
    checkpoint = Checkpoint(
        files=(CheckpointFile("model.safetensors", "safetensors", 100, "ab" * 32, 8), CheckpointFile("i", "index", 9)),
        tensors=(StoredTensor("embed.weight", "model.safetensors", (5, 4), "BF16", 0, 40),),
        index=Index("i", {"embed.weight": "model.safetensors", "stray": "model.safetensors"}, 40, {"total_size": 40}),
        faults=(Fault("index", "i", "stray is in no shard"),),
    )
    return look(
        mode="full",
        rung="loaded",
        checkpoint=checkpoint,
        checks=(Check("tree_total", "PASS", "61", "61"), Check("index", "FAIL", "a", "b", "stray is in no shard")),
        expected=(ExpectedTensor("embed.weight", (5, 4)), ExpectedTensor("norm.weight", (1,))),
        hooks=(Hook("router", "layers.0.mlp.gate", (3, 2), 0.25, 0.5, "x"),),
        hooks_ran=True,
        stats=(WeightStat("embed.weight", None, 1.5, 0, 1, 2, 20),),
        endpoint=Endpoint("http://h/v1", "alias", "org/toy", "0.32.0", "{}"),
        code=(CodeFile("modeling_toy.py", "cd" * 32),),
        notes=("a note",),
        build_notes=("a guess",),
    )


@pytest.fixture
def full(db: Path) -> Path:
    """A store with a row in every table."""
    with Writer(db) as writer:
        writer.record(full_look())
        writer.record_failure(full_look().toolchain, "org/none", "c1:00", "no class")
    return db


def problems(db: Path) -> list[str]:
    with reading(db) as connection:
        return [f"{found.table} {found.row} {found.problem}" for found in verify(connection)]


def test_a_whole_store(full: Path) -> None:
    record(full, look())
    assert problems(full) == []


def test_a_fail_turned_into_a_pass(full: Path) -> None:
    connection = sqlite3.connect(full)
    connection.execute("UPDATE integrity SET status = 'PASS'")
    connection.execute("UPDATE runs SET status = 'PASS'")
    connection.commit()
    connection.close()
    assert problems(full) == ["runs 1 its identity, totals, integrity or hooks do not give its digest"]


def columns() -> list[tuple[str, str]]:
    from auditdb.store.schema import Table

    return [(table.name, column.name) for table in Table.metadata.sorted_tables for column in table.columns]


@pytest.mark.parametrize(("table", "column"), columns(), ids=".".join)
def test_every_column_of_every_table(full: Path, table: str, column: str) -> None:
    """Alter the first row's value: another number, another text, or the other of two allowed words."""
    connection = sqlite3.connect(full)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    key = (
        "rowid"
        if "WITHOUT ROWID"
        not in connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        else None
    )
    value = connection.execute(f'SELECT "{column}" FROM {table} LIMIT 1').fetchone()[0]
    other = "altered" if isinstance(value, str) else 777 if value is None else value + 1
    kind = connection.execute(f"SELECT type FROM pragma_table_info('{table}') WHERE name = ?", (column,)).fetchone()[0]
    if value is None and kind == "TEXT":
        other = "altered"
    where = f"rowid = (SELECT min(rowid) FROM {table})" if key else f'"{column}" IS ?'
    parameters = (other,) if key else (other, value)
    connection.execute(f'UPDATE OR REPLACE {table} SET "{column}" = ? WHERE {where}', parameters)
    connection.commit()
    connection.close()
    assert problems(full) != []
