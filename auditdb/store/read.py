"""Asking the store: each command's question answered as rows of plain dicts, on a connection that cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditdb.errors import SelectorError, StoreError
from auditdb.store.connect import open_for_reading, store_sentence
from auditdb.store.questions import question

if TYPE_CHECKING:
    from auditdb.records import RunRows

Row = dict[str, Any]


@contextmanager
def reading(path: Path, *, behind_is_fine: bool = False) -> Iterator[sqlite3.Connection]:
    """An open read-only store; what SQLite says against it becomes a StoreError."""
    connection = None
    try:
        connection = open_for_reading(path, behind_is_fine=behind_is_fine)
        yield connection
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        if connection is not None:
            connection.close()


def ask(connection: sqlite3.Connection, question_name: str, /, **parameters: Any) -> list[Row]:
    """The rows that `sql/NAME.sql` gives for these parameters."""
    return [dict(row) for row in connection.execute(question(question_name), parameters)]


def ask_one(connection: sqlite3.Connection, question_name: str, /, **parameters: Any) -> Row | None:
    row = connection.execute(question(question_name), parameters).fetchone()
    return None if row is None else dict(row)


def shown(connection: sqlite3.Connection, run_id: int) -> Row:
    """Identity and totals of a run that is known to exist. Raises SelectorError if it does not."""
    row = ask_one(connection, "show", run=run_id)
    if row is None:
        raise SelectorError(f"there is no run {run_id}; `auditdb list` shows the runs")
    return row


def run_rows(connection: sqlite3.Connection, run_id: int) -> RunRows:
    """Raises SelectorError if there is no such run."""
    from auditdb.records import RunRows  # its many dataclasses cost more than most questions take

    return RunRows(
        run=shown(connection, run_id),
        integrity=ask(connection, "integrity", run=run_id),
        modules=ask(connection, "modules", run=run_id),
        groups=ask(connection, "moe", run=run_id),
        routers=ask(connection, "routers", run=run_id),
        experts=ask(connection, "experts", run=run_id),
        hooks=ask(connection, "hooks", run=run_id),
        endpoint=ask_one(connection, "endpoint", run=run_id),
    )
