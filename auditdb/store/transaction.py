"""Writing: one transaction on a store, and the few statements that recording and housekeeping make in it.

Plain sqlite3, as reading is: SQLAlchemy declares the schema, and importing it would take longer than a repeated look.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from auditdb.errors import StoreError
from auditdb.store.connect import store_sentence

ROWS_AT_A_TIME = 2_000


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction that has the write lock from its start; any exception inside takes all of it back.

    What SQLite says against it becomes a StoreError about the file at `path`.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        if connection.in_transaction:  # of a full disk SQLite has taken it back by itself
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert one row and return its rowid, which is the id where the table has one."""
    row = connection.execute(_insertion(table, list(values)), tuple(values.values())).lastrowid
    assert row is not None
    return row


def insert_many(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows, each in the order of `columns`, in slices that a Ctrl-C can come between."""
    statement = _insertion(table, columns)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        connection.executemany(statement, rows[start : start + ROWS_AT_A_TIME])


def find(connection: sqlite3.Connection, table: str, key: Mapping[str, Any]) -> int | None:
    """The id of the row with these values; None if there is none."""
    where = " AND ".join(f'"{column}" = ?' for column in key)
    row = connection.execute(f"SELECT id FROM {table} WHERE {where}", tuple(key.values())).fetchone()
    return None if row is None else int(row[0])


def _insertion(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
