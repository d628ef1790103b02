"""Expectations: named queries in `.sql` files that must return no row for a run; it writes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditdb.errors import AuditError
from auditdb.inspect.folder import open_regular
from auditdb.store.adhoc import QueryError, ask_freely

_HEADER = re.compile(r"^\s*--\s*name:\s*(?P<name>\S.*?)\s*$", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
LARGEST_FILE = 1_000_000  # bytes; a file of queries is a page or two


class ExpectationError(AuditError):
    """A file that holds no expectation, or a query that could not be asked."""


@dataclass(frozen=True)
class Expectation:
    """One query, which may use `:run` for the run's id, and where it is from."""

    name: str
    query: str
    file: Path


@dataclass(frozen=True)
class Outcome:
    """What an expectation gave: it is met if there is no row."""

    expectation: Expectation
    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]

    @property
    def met(self) -> bool:
        return not self.rows


def read_expectations(paths: Iterable[Path]) -> tuple[Expectation, ...]:
    """The expectations of files, and of the `.sql` files in folders by name.

    A file is one query, named after the file, or several, each after a line `-- name: NAME`.
    Raises ExpectationError for a file without a query, and for what is no text.
    """
    found: list[Expectation] = []
    for path in paths:
        files = sorted(path.glob("*.sql")) if path.is_dir() else [path]
        if not files:
            raise ExpectationError(f"the folder {path} holds no .sql file; put one query a file there")
        for file in files:
            found += parse_expectations(_text(file), file)
    return tuple(found)


def parse_expectations(text: str, file: Path) -> tuple[Expectation, ...]:
    """The queries of one file's text, in order. Raises ExpectationError."""
    headers = list(_HEADER.finditer(text))
    if not headers:
        parts = [(file.stem, text)]
    else:
        if _is_query(text[: headers[0].start()]):
            raise ExpectationError(f"{file} has SQL above its first `-- name:` line; give that query a name as well")
        ends = [*(header.start() for header in headers[1:]), len(text)]
        parts = [(header["name"], text[header.end() : end]) for header, end in zip(headers, ends, strict=True)]
    for name, query in parts:
        if not _is_query(query):
            where = f" under the name {name}" if headers else ""
            raise ExpectationError(f"{file} holds no query{where}; write a SELECT")
    names = [name for name, _ in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ExpectationError(f"{file} has two queries of the name {twice}; give each its own")
    return tuple(Expectation(name, query.strip(), file) for name, query in parts)


def ask_expectations(
    store: Path, run_id: int, expectations: Iterable[Expectation], timeout: float
) -> tuple[Outcome, ...]:
    """Each expectation asked of a run, on a connection that cannot write, `timeout` seconds each.

    Raises ExpectationError where a query is wrong, not allowed or too slow, and StoreError for the store.
    """
    outcomes = []
    for expectation in expectations:
        try:
            columns, rows = ask_freely(store, expectation.query, timeout, {"run": run_id})
        except QueryError as error:
            raise ExpectationError(f"{expectation.name} ({expectation.file}): {error}") from error
        outcomes.append(Outcome(expectation, columns, rows))
    return tuple(outcomes)


def _is_query(text: str) -> bool:
    return bool(_COMMENT.sub("", text).strip(" \t\r\n;"))


def _text(file: Path) -> str:
    with os.fdopen(open_regular(file), "rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ExpectationError(f"{file} has over {LARGEST_FILE:,} bytes, too much for a file of queries")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ExpectationError(f"{file} is no UTF-8 text; `auditdb check` takes files of SQL") from error
