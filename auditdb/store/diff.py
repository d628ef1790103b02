"""What two runs have that the other lacks, asked of the store: rows that differ, never rows that are equal."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

from auditdb.errors import SelectorError
from auditdb.store.questions import question
from auditdb.store.read import Row, ask, ask_one
from auditdb.store.select import models_named


class Thing(NamedTuple):
    """One row that the other run lacks or has otherwise: its name, its place, and its facts in the query's order."""

    name: str
    position: int
    facts: tuple[Any, ...]


def run_head(connection: sqlite3.Connection, run_id: int) -> Row:
    """Identity, totals and content ids of a run. Raises SelectorError if it is not there."""
    row = ask_one(connection, "diff_run", run=run_id)
    if row is None:
        raise SelectorError(f"there is no run {run_id}; `auditdb list` shows the runs")
    return row


def only_in(connection: sqlite3.Connection, subject: str, a: int, b: int) -> list[Thing]:
    """The rows of `a` (an id of the content that `sql/diff_SUBJECT.sql` asks about) that `b` lacks or has otherwise."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(question(f"diff_{subject}"), {"a": a, "b": b})
    return [Thing(row[0], row[1], tuple(row[2:])) for row in cursor]


def knows_prefix(connection: sqlite3.Connection, subject: str, owner: int) -> Callable[[str], bool]:
    """A function that says whether anything of `owner` lies under a dotted prefix."""
    text = question(f"diff_known_{subject}")
    known: dict[str, bool] = {}

    def knows(prefix: str) -> bool:
        if prefix not in known:
            known[prefix] = bool(connection.execute(text, {"owner": owner, "prefix": prefix}).fetchone()[0])
        return known[prefix]

    return knows


def side_by_side(connection: sqlite3.Connection, subject: str, /, **parameters: Any) -> list[Row]:
    """The rows that `sql/diff_SUBJECT.sql` gives for both runs at once."""
    return ask(connection, f"diff_{subject}", **parameters)


def names_a_model(selector: str) -> bool:
    """Whether a RUN selector is written as MODEL or MODEL@REVISION, not as an id, `latest` or with `~N`."""
    return bool(selector) and selector != "latest" and not selector.isdigit() and not re.search(r".~\d+$", selector)


def is_unrecorded(connection: sqlite3.Connection, selector: str) -> bool:
    """Whether a selector that fits no run names a model or a revision that nobody has looked at yet.

    False for an id, for `latest`, for `~N`, and for what fits several models or commits: an audit would not help.
    """
    if not names_a_model(selector):
        return False
    models = models_named(connection, selector)
    name, _, revision = selector.rpartition("@")
    if not models and name:
        models = models_named(connection, name)
        if len(models) == 1 and revision:
            recorded = ask(connection, "select_revisions", model=models[0]["id"])
            return not any(
                str(row["revision"]).startswith(revision) or row["requested"] == revision for row in recorded
            )
    return not models
