"""`auditdb sql` answers questions and can do nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from auditdb.store.adhoc import QueryError, ask_freely
from auditdb.store.write import record
from tests.small import look


def test_answers(db: Path) -> None:
    record(db, look())
    assert ask_freely(db, "SELECT model, n_params, n_params FROM run_summary", 5) == (
        ["model", "n_params", "n_params:1"],
        [{"model": "org/toy", "n_params": 61, "n_params:1": 61}],
    )


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM runs",
        "INSERT INTO models VALUES (9, 'x', 'hub')",
        "CREATE TEMP TABLE t (x)",
        "ATTACH DATABASE '{folder}/other.db' AS other",
        "VACUUM INTO '{folder}/copy.db'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA query_only = OFF",
        "SELECT load_extension('x')",
        "BEGIN",
        "SELECT 1; DELETE FROM runs",
        "",
        "SELEC",
        "SELECT \x00",
    ],
)
def test_does_nothing_else(db: Path, query: str) -> None:
    record(db, look())
    before = (db.read_bytes(), sorted(file.name for file in db.parent.iterdir() if file.suffix == ".db"))
    with pytest.raises(QueryError):
        ask_freely(db, query.replace("{folder}", str(db.parent)), 5)
    assert (db.read_bytes(), sorted(file.name for file in db.parent.iterdir() if file.suffix == ".db")) == before


def test_stops_in_time(db: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    started = time.monotonic()
    with pytest.raises(QueryError) as caught:
        ask_freely(db, endless, 0.2)
    assert time.monotonic() - started < 3
    assert str(caught.value) == "stopped after 0.2 s; give --timeout for longer, or ask for less"
