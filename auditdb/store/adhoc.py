"""Ad-hoc SQL that can't write, attach, load an extension or run for ever: what SQLite's authorizer and clock allow."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from auditdb.errors import AuditError, StoreError
from auditdb.inspect.deadline import Overdue, within
from auditdb.store.connect import open_for_reading, store_sentence


class QueryError(AuditError):
    """The statement is wrong, not allowed, or took too long."""


_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
# Pragmas that only describe the schema. `PRAGMA query_only = 0` and its like change the connection.
_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "writefile", "readfile", "edit"})
MAX_LENGTH = 50_000_000  # bytes of one value: `zeroblob(2e9)` is no answer to anything
MAX_ANSWER = 2_000_000_000  # bytes of memory, as they are estimated: an endless recursion gathers 100 MB a second
_CELL = 100  # bytes that a value takes beside its text
_GRACE_S = 1.0  # SQLite looks at the clock between two steps; a function like `instr` may take for ever in one


def ask_freely(
    path: Path, query: str, timeout: float, parameters: Mapping[str, Any] | None = None
) -> tuple[list[str], list[dict[str, Any]]]:
    """Column names and rows of one SELECT. Raises QueryError after `timeout` seconds, StoreError for the file.

    `parameters` are values for the `:name`s in it; one that the query does not use is no error.
    It is asked in a thread of its own, so that Ctrl-C and the timeout end it at once wherever SQLite is.
    """
    deadline = time.monotonic() + timeout
    left = threading.Event()
    try:
        return within(
            timeout + _GRACE_S,
            lambda: _ask(path, query, parameters or {}, timeout, lambda: left.is_set() or time.monotonic() > deadline),
        )
    except Overdue:
        raise QueryError(_too_slow(timeout)) from None
    finally:
        left.set()


def _ask(
    path: Path, query: str, parameters: Mapping[str, Any], timeout: float, stop: Callable[[], bool]
) -> tuple[list[str], list[dict[str, Any]]]:
    connection = open_for_reading(path)

    def authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action in _ALLOWED and not (action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN_FUNCTIONS):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    try:
        connection.execute("PRAGMA query_only = ON")
        if sys.version_info >= (3, 11):
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
        connection.set_authorizer(authorize)
        connection.set_progress_handler(stop, 10_000)
        cursor = connection.execute(query, parameters)
        columns = _distinct([column[0] for column in cursor.description or ()])
        if not columns:
            raise QueryError("the statement returns no rows; `auditdb sql` answers SELECT and WITH")
        rows: list[dict[str, Any]] = []
        size = 0
        for row in cursor:
            size += sum(_CELL + len(value) if isinstance(value, (str, bytes)) else _CELL for value in row)
            if size > MAX_ANSWER:
                raise QueryError(f"stopped after {len(rows):,} rows, which fill the memory; give a LIMIT")
            rows.append(dict(zip(columns, row, strict=True)))
        return columns, rows
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise QueryError(_too_slow(timeout)) from error
        raise _complaint(path, error) from error
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise _complaint(path, error) from error
    finally:
        connection.close()


def _too_slow(timeout: float) -> str:
    return f"stopped after {timeout:g} s; give --timeout for longer, or ask for less"


def _complaint(path: Path, error: Exception) -> AuditError:
    text = str(error)
    if any(word in text for word in ("not authorized", "authorization denied", "prohibited")):
        return QueryError(f"{text}: `auditdb sql` only reads; use the sqlite3 shell on a copy to change anything")
    # Of `json('{')` SQLite says "malformed JSON", in a subclass.
    damaged = type(error) is sqlite3.DatabaseError and ("malformed" in text or "not a database" in text)
    if isinstance(error, sqlite3.DatabaseError) and (damaged or text == "disk I/O error"):
        return StoreError(store_sentence(path, error))
    return QueryError(f"SQLite says: {text}")


def _distinct(names: list[str]) -> list[str]:
    """Column names made different: `n, n:1`, as the sqlite3 shell's JSON mode can't and a dict must."""
    seen: dict[str, int] = {}
    result: dict[str, None] = {}
    for name in names:
        made = name
        while made in result:
            seen[name] = seen.get(name, 0) + 1
            made = f"{name}:{seen[name]}"
        result[made] = None
    return list(result)
