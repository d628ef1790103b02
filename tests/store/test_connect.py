"""Files that are no store, or not this program's: a sentence, and not a byte changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from auditdb.errors import AuditError, ForeignStore, StoreAhead, StoreBehind, StoreError
from auditdb.store.connect import open_for_reading, refuse_unusable
from auditdb.store.migrate import back_up, ensure
from auditdb.store.write import record
from tests.small import look


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with pytest.raises(StoreError) as caught:
        open_for_reading(path)
    assert str(caught.value) == f"there is no store at {path}; `auditdb run MODEL --fast --db {path}` makes one"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_what_a_stopped_first_run_leaves(tmp_path: Path) -> None:
    """Killed, or the disk full, between the switch to WAL and the first table: the next run makes the store."""
    path = tmp_path / "audit.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size > 0
    with pytest.raises(StoreError) as caught:
        open_for_reading(path)
    assert str(caught.value) == f"there is no store at {path}; `auditdb run MODEL --fast --db {path}` makes one"
    nothing = open_for_reading(path, behind_is_fine=True)
    with closing(nothing), pytest.raises(StoreError, match="there is no store"):
        back_up(nothing, path)
    refuse_unusable(path)
    assert ensure(path) is None
    assert record(path, look()) == 1


def test_somebody_elses_database(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for use in (open_for_reading, ensure):
        with pytest.raises(ForeignStore) as caught:
            use(path)
        assert str(caught.value) == f"{path} is a SQLite database, but not an auditdb store; it was left untouched"
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["app.db"]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    before = path.read_bytes()
    for use in (open_for_reading, ensure):
        with pytest.raises(StoreError) as caught:
            use(path)
        assert str(caught.value) == f"{path} is not a SQLite database; it was left untouched"
    assert path.read_bytes() == before


@pytest.mark.parametrize("use", [open_for_reading, ensure])
def test_a_folder_and_a_fifo(tmp_path: Path, use: object) -> None:
    assert callable(use)
    with pytest.raises(StoreError, match="is a folder; --db takes a file"):
        use(tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(StoreError, match="is not a regular file"):
        use(fifo)


def test_a_newer_and_an_older_store(db: Path) -> None:
    connection = sqlite3.connect(db)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    for use in (open_for_reading, ensure):
        with pytest.raises(StoreAhead) as caught:
            use(db)
        assert (
            str(caught.value)
            == f"{db} was written by a newer auditdb (schema 9999, this one knows 0001); update auditdb"
        )
    connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreBehind) as behind:
        open_for_reading(db)
    assert str(behind.value) == f"{db} has schema 0000, this auditdb 0001: run `auditdb db upgrade --db {db}`"


def test_reading_cannot_write(db: Path) -> None:
    record(db, look())
    connection = open_for_reading(db)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM integrity")
    connection.close()


def test_a_damaged_store_is_a_sentence(db: Path) -> None:
    record(db, look())
    data = bytearray(db.read_bytes())
    data[4096 : 4096 * 40] = b"\xff" * (4096 * 39)
    db.write_bytes(bytes(data))
    from auditdb.store.read import ask, reading

    with pytest.raises(AuditError, match="damaged"), reading(db) as connection:
        ask(connection, "modules", run=1)
