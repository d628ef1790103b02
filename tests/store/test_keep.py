"""Forget, collect, merge: what shared content survives, and that doing it twice changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from auditdb.digests import failure_digest
from auditdb.errors import StoreError
from auditdb.records import Module, Reading, Structure
from auditdb.store.keep import collect, forget, merge, unneeded
from auditdb.store.migrate import ensure
from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import Writer, record
from tests.small import look

OTHER = Structure((Module(0, "", "Empty", "", 0, 0, 0, 0),), (), 0)


def count(db: Path, *tables: str) -> list[int]:
    connection = sqlite3.connect(db)
    try:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    finally:
        connection.close()


def whole(db: Path) -> bool:
    with reading(db) as connection:
        return verify(connection) == []


def test_forget_then_collect(db: Path) -> None:
    record(db, look())
    record(db, look(model="org/empty", structure=OTHER, reading=Reading(n_active=0)))
    forget(db, [2])
    assert count(db, "runs", "integrity", "structures", "models") == [1, 2, 2, 2]
    with reading(db) as connection:
        connection.row_factory = None
        found = {table: ids for table, ids in unneeded(connection).items() if ids}
    assert found == {"structures": [2], "readings": [2], "dtype_maps": [2], "models": [2]}
    assert {table: ids for table, ids in collect(db).items() if ids} == found
    assert count(db, "runs", "structures", "readings", "modules", "models") == [1, 1, 1, 9, 1]
    assert not any(collect(db).values())
    assert whole(db)


def test_merge_twice(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    ensure(other)
    record(db, look())
    record(other, look(model="org/empty", structure=OTHER, reading=Reading(n_active=0)))
    record(other, look(started_at="2026-05-05T00:00:00Z"))
    assert merge(db, other) == (2, 0)
    assert count(db, "runs", "structures", "models", "modules") == [3, 2, 2, 10]
    before = db.read_bytes()
    assert merge(db, other) == (0, 2)
    assert count(db, "runs", "structures", "models", "modules") == [3, 2, 2, 10]
    assert len(db.read_bytes()) == len(before)
    assert merge(other, db) == (1, 2)
    assert whole(db) and whole(other)
    connection = sqlite3.connect(db)
    latest = connection.execute("SELECT model, started_at FROM run_summary WHERE is_latest ORDER BY model").fetchall()
    connection.close()
    assert latest == [("org/empty", "2026-01-02T03:04:05Z"), ("org/toy", "2026-05-05T00:00:00Z")]


def test_merge_refuses_one_uid_with_two_stories(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    record(db, look())
    other.write_bytes(db.read_bytes())
    connection = sqlite3.connect(other)
    connection.execute("UPDATE runs SET digest = 'r1:0'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="have one uid and other facts"):
        merge(db, other)
    assert count(db, "runs") == [1]


def test_forget_and_merge_need_a_store(tmp_path: Path, db: Path) -> None:
    for act in (lambda: forget(tmp_path / "no.db", [1]), lambda: merge(db, tmp_path / "no.db")):
        with pytest.raises(StoreError, match="there is no store at"):
            act()
    assert not (tmp_path / "no.db").exists()


def test_failures_merge_the_newer_reason(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    ensure(other)
    for path, reason in ((db, "old"), (other, "new")):
        with Writer(path) as writer:
            writer.record_failure(look().toolchain, "org/none", "c1:00", reason)
    connection = sqlite3.connect(db)
    old = "2000-01-01T00:00:00Z"
    digest = failure_digest(str(look().toolchain), "org/none", "c1:00", "old", old)
    connection.execute("UPDATE failures SET at = ?, digest = ?", (old, digest))
    connection.commit()
    connection.close()
    for _ in range(2):
        merge(db, other)
    assert count(db, "failures", "toolchains") == [1, 1]
    assert sqlite3.connect(db).execute("SELECT reason FROM failures").fetchall() == [("new",)]
    assert not any(collect(db).values())
    assert whole(db)
