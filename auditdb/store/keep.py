"""Keeping house: forget runs, collect content that no run needs, merge stores. Each is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditdb.errors import StoreError
from auditdb.store.connect import (
    check_identity,
    check_revision,
    open_for_reading,
    open_for_writing,
    revision,
    store_sentence,
)
from auditdb.store.tables import CONTENT, NATURAL, RUN_PARTS
from auditdb.store.transaction import find, insert, insert_many, transaction

# A reading refers to its structure, so structures are inserted before readings and deleted after them.
_INSERT_ORDER = ("configs", "structures", "readings", "dtype_maps", "expectations", "checkpoints")


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A write transaction on an existing store of today's schema; what SQLite says against it becomes a StoreError."""
    if not path.exists():
        raise StoreError(f"there is no store at {path}; `auditdb run MODEL --fast --db {path}` makes one")
    connection = None
    try:
        connection = open_for_writing(path)
        check_identity(connection, path)
        check_revision(revision(connection), path)
        with transaction(connection, path):
            yield connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        if connection is not None:
            connection.close()


def forget(path: Path, runs: Sequence[int]) -> None:
    """Delete these runs and what belongs to them alone; content that they shared stays until `gc`."""
    with _writing(path) as connection:
        for run in runs:
            for table in RUN_PARTS:
                connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run,))
            connection.execute("DELETE FROM runs WHERE id = ?", (run,))


def unneeded(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """Ids of content, models and toolchains that no run refers to, by table."""
    found: dict[str, list[int]] = {}
    for table, (column, _) in {**CONTENT, **{name: (key, ()) for name, (key, _) in NATURAL.items()}}.items():
        needed = f"SELECT {column} FROM runs WHERE {column} IS NOT NULL"
        found[table] = [row[0] for row in connection.execute(f"SELECT id FROM {table} WHERE id NOT IN ({needed})")]
    # A structure is needed by its readings too; those that go with it are in the list above.
    kept = "SELECT structure_id FROM readings WHERE id IN (SELECT reading_id FROM runs)"
    needed_structures = {row[0] for row in connection.execute(kept)}
    failed = {row[0] for row in connection.execute("SELECT toolchain_id FROM failures")}
    found["toolchains"] = [row_id for row_id in found["toolchains"] if row_id not in failed]
    found["structures"] = [row_id for row_id in found["structures"] if row_id not in needed_structures]
    return found


def collect(path: Path) -> dict[str, list[int]]:
    """Delete what `unneeded` names, shrink the file, and return it."""
    with _writing(path) as connection:
        found = unneeded(connection)
        for table in (*reversed(_INSERT_ORDER), *NATURAL):
            column, parts = CONTENT.get(table, ("", ()))
            for row_id in found[table]:
                for part in parts:
                    connection.execute(f"DELETE FROM {part} WHERE {column} = ?", (row_id,))
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))
    if any(found.values()):
        connection = open_for_writing(path)
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(store_sentence(path, error)) from error
        finally:
            connection.close()
    return found


def merge(path: Path, other: Path) -> tuple[int, int]:
    """Bring the runs of `other` into the store at `path`. Returns (runs added, runs that were there already).

    Content comes once, known by its digest; runs are known by their uid. Raises StoreError if a run with the same uid
    says something else: one of the two was altered.
    """
    source = open_for_reading(other)
    source.row_factory = None
    try:
        with _writing(path) as target:
            ids = {table: _merge_natural(source, target, table) for table in NATURAL}
            for table in _INSERT_ORDER:
                ids[table] = _merge_content(source, target, table, ids)
            _merge_failures(source, target, ids)
            return _merge_runs(source, target, ids, other)
    except sqlite3.Error as error:
        raise StoreError(store_sentence(other, error)) from error
    finally:
        source.close()


Ids = dict[str, dict[int, int]]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column != "id"}


def _merge_natural(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> dict[int, int]:
    key = NATURAL[table][1]
    columns = _columns(source, table)
    ids = {}
    for row in source.execute(f"SELECT * FROM {table}").fetchall():
        named = dict(zip(columns, row, strict=True))
        there = find(target, table, {key: named[key]})
        ids[row[0]] = insert(target, table, _without_id(named)) if there is None else there
    return ids


def _merge_content(source: sqlite3.Connection, target: sqlite3.Connection, table: str, ids: Ids) -> dict[int, int]:
    column, parts = CONTENT[table]
    columns = _columns(source, table)
    mapped = {}
    for row in source.execute(f"SELECT * FROM {table}").fetchall():
        named = dict(zip(columns, row, strict=True))
        same = {"digest": named["digest"]}
        if "structure_id" in named:  # a reading is known by its structure and its digest
            named["structure_id"] = same["structure_id"] = ids["structures"][named["structure_id"]]
        there = find(target, table, same)
        if there is not None:
            mapped[row[0]] = there
            continue
        new = insert(target, table, _without_id(named))
        mapped[row[0]] = new
        for part in parts:
            part_columns = _columns(source, part)
            at = part_columns.index(column)
            rows = source.execute(f"SELECT * FROM {part} WHERE {column} = ?", (row[0],)).fetchall()
            insert_many(target, part, part_columns, [[*each[:at], new, *each[at + 1 :]] for each in rows])
    return mapped


def _merge_failures(source: sqlite3.Connection, target: sqlite3.Connection, ids: Ids) -> None:
    """The newer reason of the two, where both stores have one."""
    for chain, *key, reason, at, digest in source.execute("SELECT * FROM failures").fetchall():
        mapped = [ids["toolchains"][chain], *key]
        where = "toolchain_id = ? AND model = ? AND config = ?"
        there = target.execute(f"SELECT at FROM failures WHERE {where}", mapped).fetchone()
        if there is None or there[0] < at:
            target.execute(f"DELETE FROM failures WHERE {where}", mapped)
            insert_many(target, "failures", _columns(source, "failures"), [[*mapped, reason, at, digest]])


def _merge_runs(source: sqlite3.Connection, target: sqlite3.Connection, ids: Ids, other: Path) -> tuple[int, int]:
    columns = _columns(source, "runs")
    owners = {key: table for table, (key, _) in {**CONTENT, **NATURAL}.items()}
    added = known = 0
    for row in source.execute("SELECT * FROM runs ORDER BY started_at, id").fetchall():
        named = dict(zip(columns, row, strict=True))
        there = target.execute("SELECT id, digest FROM runs WHERE uid = ?", (named["uid"],)).fetchone()
        if there:
            if there[1] != named["digest"]:
                raise StoreError(
                    f"run {named['id']} of {other} and run {there[0]} here have one uid and other facts; "
                    "one was altered: `auditdb verify` names which"
                )
            known += 1
            continue
        for key, table in owners.items():
            if named[key] is not None:
                named[key] = ids[table][named[key]]
        new = insert(target, "runs", _without_id(named))
        for part in RUN_PARTS:
            part_columns = _columns(source, part)
            at = part_columns.index("run_id")
            rows = source.execute(f"SELECT * FROM {part} WHERE run_id = ?", (row[0],)).fetchall()
            insert_many(target, part, part_columns, [[*each[:at], new, *each[at + 1 :]] for each in rows])
        added += 1
    return added, known
