"""Any RUN selector, any SQL and any file of expectations give rows or an AuditError, and leave the store as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditdb.errors import AuditError
from auditdb.report.rows import FORMATS, render
from auditdb.store import adhoc
from auditdb.store.adhoc import QueryError, ask_freely
from auditdb.store.expectations import ask_expectations, read_expectations
from auditdb.store.migrate import ensure
from auditdb.store.read import reading
from auditdb.store.select import select_run
from auditdb.store.write import record
from tests.fuzz.law import fuzzed, in_time, lawful, texts
from tests.small import look

Store = tuple[Path, bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("fuzz") / "audit.db"
    ensure(path)
    looks = (
        look(),
        look(model="org/toy%_[x]"),
        look(model="/a/b@c~1", model_kind="folder", revision="local-0123456789ab"),
        look(revision="b" * 40, requested="v1"),
    )
    for day, one in enumerate(looks, 1):
        record(path, replace(one, started_at=f"2026-01-0{day}T00:00:00Z"))
    yield path, path.read_bytes()


pieces = texts | st.sampled_from(
    ("org/toy", "toy", "latest", "@", "~", "~1", "~999999", "~١", "1", "4", "9" * 30, "v1", "b", "*", "/", "'", "-1")
)


@fuzzed(500)
@given(st.lists(pieces, max_size=4).map("".join))
@example("latest~1")
@example("x\ud800")
@example("\udcff")
@example("~" * 5_000)
@example("/" * 5_000)
def test_any_selector(store: Store, text: str) -> None:
    with reading(store[0]) as connection, in_time():
        found = lawful(lambda: select_run(connection, text))
    assert isinstance(found, AuditError) or 1 <= found <= 4


words = st.sampled_from(
    (
        *(
            "SELECT",
            "FROM",
            "WHERE",
            "*",
            "1",
            "x'ff'",
            "'a'",
            "9e999",
            "-9e999",
            "NULL",
            ",",
            "(",
            ")",
            ";",
            "=",
            "||",
        ),
        *("run_summary", "run_modules", "run_id", "model", "runs", "sqlite_schema", "UNION ALL", "VALUES", "AS n", "n"),
        *("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)", "FROM n", "randomblob(100)", "count(*)"),
        *("DELETE FROM runs", "DROP TABLE runs", "INSERT INTO runs", "UPDATE runs SET mode = 'x'", "ATTACH 'x' AS y"),
        *("PRAGMA", "journal_mode", "table_info(runs)", "VACUUM", "BEGIN", "COMMIT", "CREATE TEMP TABLE t(x)", ":run"),
        *("load_extension('x')", "CAST(x'ff' AS TEXT)", "zeroblob(1000000000)", "char(0)", "json('{')", "--", "/*"),
    )
)
queries = st.lists(words | texts, max_size=9).map(" ".join) | st.lists(words | texts, max_size=6).map(
    lambda parts: " ".join(("SELECT", *parts))
)


@pytest.fixture(autouse=True, scope="module")
def small_answers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adhoc, "MAX_ANSWER", 20_000_000)
        yield


@fuzzed(400)
@given(queries)
@example("SELECT x'ff', 9e999, CAST(x'ff' AS TEXT)")
@example("SELECT json('{')")
@example("SELECT x'ff' AS n, 9e999 AS \"n:1\", -9e999 AS n, NULL AS n")
@example("SELECT char(27) || '[2J', char(8238), char(155), '=1', '|'")
def test_any_query(store: Store, query: str) -> None:
    found = lawful(lambda: ask_freely(store[0], query, 0.2))
    if isinstance(found, AuditError):
        assert isinstance(found, QueryError)
    else:
        columns, rows = found
        assert all(list(row) == columns for row in rows)
        for form in FORMATS:
            render(rows[:50], columns, form).encode("utf-8")
        json.loads(render(rows[:50], columns, "json"), parse_constant=_not_json)
    assert store[0].read_bytes() == store[1]


@fuzzed(200)
@given(
    st.lists(
        queries.map(lambda query: query.encode("utf-8", "surrogatepass"))
        | st.binary(max_size=30)
        | st.just(b"\n-- name: a\n"),
        max_size=4,
    )
)
def test_any_file_of_expectations(store: Store, parts: list[bytes]) -> None:
    file = store[0].with_name("x.sql")
    file.write_bytes(b"\n".join(parts))
    lawful(lambda: ask_expectations(store[0], 1, read_expectations([file]), 0.2))
    assert store[0].read_bytes() == store[1]


def _not_json(token: str) -> None:
    raise AssertionError(f"{token} is no JSON")
