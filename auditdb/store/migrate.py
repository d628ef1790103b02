"""Making and upgrading a store: Alembic on one connection, in one transaction, after a backup."""

from __future__ import annotations

import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditdb.errors import StoreError
from auditdb.store.connect import (
    BUSY_TIMEOUT_MS,
    check_identity,
    check_revision,
    head_revision,
    is_fresh,
    migrations_folder,
    no_store,
    open_for_writing,
    revision,
    store_sentence,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine


def ensure(path: Path) -> Path | None:
    """Make the store, or bring it to this program's schema. Returns the path of the backup if one was made.

    Raises ForeignStore, StoreAhead, StoreError; a failing migration leaves the file as it was.
    """
    connection = open_for_writing(path)
    try:
        fresh = is_fresh(connection)
        if not fresh:
            check_identity(connection, path)
            found = revision(connection)
            if found == head_revision():
                return None
            if found > head_revision():
                check_revision(found, path)
        backup = None if fresh else back_up(connection, path)
        _use_wal(connection)
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        connection.close()
    _run_migrations(path)
    return backup


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. The busy handler is not called for this switch, so other processes are waited for by hand."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def back_up(connection: sqlite3.Connection, path: Path, target: Path | None = None) -> Path:
    """Write a compact copy of the store (`VACUUM INTO`) beside it, or to `target`, which must not exist."""
    if target is None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        target = path.with_name(f"{path.name}.backup-{stamp}")
        number = 1
        while target.exists():
            number += 1
            target = path.with_name(f"{path.name}.backup-{stamp}-{number}")
    if target.exists():
        raise StoreError(f"{target} exists already; name another file for the backup")
    if not target.parent.is_dir():
        raise StoreError(f"the folder of the backup does not exist: {target.parent}")
    try:
        if is_fresh(connection):  # asked here too, since of a damaged schema VACUUM says that it can't open the copy
            raise StoreError(no_store(path))
        # Absolute, since SQLite takes a name like `file:x` for an address.
        connection.execute("VACUUM INTO ?", (str(target.absolute()),))
    except BaseException as error:
        target.unlink(missing_ok=True)  # half a copy is no backup
        if isinstance(error, sqlite3.Error):
            # What is damaged is the store; what is full or can't be written is where the copy goes.
            where = path if "malformed" in str(error) else target
            raise StoreError(store_sentence(where, error)) from error
        raise
    return target


def _engine(path: Path) -> Engine:
    """An engine whose transactions start with BEGIN IMMEDIATE; left to itself sqlite3 runs DDL outside of any."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite://", creator=lambda: open_for_writing(path), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _run_migrations(path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    engine = _engine(path)
    try:
        with engine.begin() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            # Another process may have been quicker; it held the lock that this transaction has now.
            if revision(raw) >= head_revision():
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise StoreError(store_sentence(path, error.orig)) from error
        raise
    finally:
        engine.dispose()
