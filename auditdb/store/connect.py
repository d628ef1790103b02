"""Opening a store file with the standard library's sqlite3: the checks that keep a stranger's database untouched."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditdb.errors import ForeignStore, StoreAhead, StoreBehind, StoreError

APPLICATION_ID = 0x41554442  # 'AUDB', in the file's header
BUSY_TIMEOUT_MS = 30_000
DEFAULT_STORE = "audit.db"
_ALONE = "mode=ro&immutable=1"


def migrations_folder() -> Path:
    """Where the migration scripts lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def head_revision() -> str:
    """The newest migration that this program has, from the file names, so that no Alembic is imported for it."""
    names = [path.name[:4] for path in (migrations_folder() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")]
    if not names:
        raise StoreError("the migration scripts are missing from this installation; install auditdb again")
    return max(names)


def open_for_reading(path: Path, *, behind_is_fine: bool = False) -> sqlite3.Connection:
    """A connection that cannot write, with rows by name.

    Raises StoreError where no store can be read at `path`, ForeignStore for somebody else's database, StoreBehind and
    StoreAhead where its schema is not this program's.
    """
    refuse_what_is_no_file(path)
    if not path.exists() or path.stat().st_size == 0:
        raise StoreError(no_store(path))
    # In a folder that can't be written SQLite can't make the -shm file that a WAL reader needs; without a -wal beside
    # it the file is whole by itself.
    wal = path.with_name(path.name + "-wal")
    whole = not (wal.exists() and wal.stat().st_size)
    try:
        connection = _connect(path, "mode=ro" if os.access(path.parent, os.W_OK) or not whole else _ALONE)
    except StoreError as error:
        if not whole or "disk I/O" not in str(error.__cause__):
            raise
        connection = _connect(path, _ALONE)  # a full disk has no room for a -shm file either
    try:
        if not is_fresh(connection):
            check_identity(connection, path)
        elif not behind_is_fine:
            raise StoreError(no_store(path))
        if not behind_is_fine:
            check_revision(revision(connection), path)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise StoreError(store_sentence(path, error)) from error
        raise
    connection.row_factory = sqlite3.Row
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode (the caller says BEGIN IMMEDIATE), made if absent; identity is not checked."""
    refuse_what_is_no_file(path)
    if not path.parent.is_dir():
        raise StoreError(f"the folder of the store does not exist: {path.parent}")
    connection = _connect(path, "mode=rwc")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    # as_uri() quotes %, ?, # and what is not ASCII.
    uri = f"{path.absolute().as_uri()}?{options}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    return connection


def refuse_what_is_no_file(path: Path) -> None:
    """Raise StoreError for a folder, a FIFO, a device: opening one could block or hurt."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreError(f"the store can't be reached at {path}: {why}") from error
    if stat.S_ISDIR(mode):
        raise StoreError(f"{path} is a folder; --db takes a file, like {path / DEFAULT_STORE}")
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path} is not a regular file; --db takes the path of a SQLite file")


def refuse_unusable(path: Path) -> None:
    """Raise StoreError early for a path at which no store can be written, as far as can be known without writing."""
    refuse_what_is_no_file(path)
    if not path.parent.is_dir():
        raise StoreError(f"the folder of the store does not exist: {path.parent}")
    if path.exists() and path.stat().st_size:
        open_for_reading(path, behind_is_fine=True).close()
        if not os.access(path, os.W_OK):
            raise StoreError(f"{path} can't be written; nothing would be recorded: give another --db")
    elif not os.access(path.parent, os.W_OK):
        raise StoreError(f"the folder {path.parent} can't be written; nothing would be recorded: give another --db")


def is_fresh(connection: sqlite3.Connection) -> bool:
    """An empty file that is nobody's: no table, no application id. What is left where a first run was stopped, too."""
    nobodys: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return nobodys == 0 and tables == 0


def no_store(path: Path) -> str:
    return f"there is no store at {path}; `auditdb run MODEL --fast --db {path}` makes one"


def check_identity(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ForeignStore unless the file carries auditdb's application id."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ForeignStore(f"{path} is a SQLite database, but not an auditdb store; it was left untouched")


def revision(connection: sqlite3.Connection) -> str:
    """The store's schema revision; '' for a file without one."""
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return str(row[0]) if row else ""


def check_revision(found: str, path: Path) -> None:
    head = head_revision()
    if found > head:
        raise StoreAhead(
            f"{path} was written by a newer auditdb (schema {found}, this one knows {head}); update auditdb"
        )
    if found < head:
        raise StoreBehind(
            f"{path} has schema {found or 'none'}, this auditdb {head}: run `auditdb db upgrade --db {path}`"
        )


def store_sentence(path: Path, error: sqlite3.Error) -> str:
    """What an SQLite error means to the person who owns the file."""
    text = str(error)
    if "not a database" in text:
        return f"{path} is not a SQLite database; it was left untouched"
    if "malformed" in text or "corrupt" in text:
        return f"{path} is damaged ({text}); restore a backup, or read what is left with `sqlite3 {path} .recover`"
    if "readonly" in text or "read-only" in text:
        return f"{path} can't be written: the file or its folder is read-only; nothing was recorded"
    if "full" in text:
        return f"the disk is full: nothing was written to {path}; make room and run again"
    if "locked" in text or "busy" in text:
        return f"{path} is locked by another process for over {BUSY_TIMEOUT_MS // 1000} s; nothing was recorded"
    if "unable to open" in text:
        return f"{path} can't be opened; check that the folder exists and can be written"
    if "disk I/O" in text:
        return f"the disk under {path} gave an error ({text}); nothing was recorded"
    return f"SQLite could not use {path}: {text}"


@contextmanager
def if_current(path: Path) -> Iterator[sqlite3.Connection | None]:
    """An open read-only store with plain rows; None where there is no store yet, or one that is to be upgraded first.

    What SQLite says against it becomes a StoreError.
    """
    if not path.exists() or path.stat().st_size == 0:
        yield None
        return
    connection = open_for_reading(path, behind_is_fine=True)
    connection.row_factory = None
    try:
        yield connection if revision(connection) == head_revision() else None
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        connection.close()
