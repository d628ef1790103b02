"""What a run's own digest covers, read back from its rows: the writer and `verify` ask this one function."""

from __future__ import annotations

import sqlite3
from typing import Any

from auditdb.store.questions import question


def run_facts(connection: sqlite3.Connection, run_id: int) -> dict[str, Any] | None:
    """Identity, totals, digests of what the run refers to, and its integrity, hooks, statistics, endpoint and code.

    None if the run, or something that it refers to, is not there.
    Works inside the writer's transaction as well as on a read-only connection.
    """
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(question("run_facts"), {"run": run_id})
    names = [column[0] for column in cursor.description]
    row = cursor.fetchone()
    if row is None:
        return None
    facts: dict[str, Any] = dict(zip(names, row, strict=True))
    for part in ("integrity", "hooks", "weight_stats", "endpoints", "code_files"):
        cursor.execute(question(f"run_facts_{part}"), {"run": run_id})
        facts[part] = [list(row) for row in cursor.fetchall()]
    return facts
