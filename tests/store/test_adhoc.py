"""`auditdb sql` answers questions and can do nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from auditdb.errors import StoreError
from auditdb.store import adhoc
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


def test_columns_of_one_name_are_told_apart_whatever_they_are_called(db: Path) -> None:
    assert ask_freely(db, 'SELECT 1 AS n, 2 AS "n:1", 3 AS n', 5) == (
        ["n", "n:1", "n:2"],
        [{"n": 1, "n:1": 2, "n:2": 3}],
    )


def test_an_answer_that_would_fill_the_memory(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adhoc, "MAX_ANSWER", 10_000)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    with pytest.raises(QueryError) as caught:
        ask_freely(db, endless, 60)
    assert str(caught.value) == "stopped after 100 rows, which fill the memory; give a LIMIT"


@pytest.mark.parametrize("timeout", [1e300, float("inf"), float("nan")])
def test_a_timeout_that_no_clock_reaches(db: Path, timeout: float) -> None:
    assert ask_freely(db, "SELECT 1 AS x", timeout) == (["x"], [{"x": 1}])


def test_a_store_of_which_the_schema_is_damaged(db: Path) -> None:
    data = bytearray(db.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    db.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        ask_freely(db, "SELECT * FROM run_summary", 5)
