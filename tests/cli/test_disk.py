"""Disks and files as they can go wrong: a sentence, code 3, nothing lost, and nothing left lying about."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditdb.cli.main import run_command
from auditdb.errors import StoreError
from auditdb.report.write import write_files
from auditdb.store import write
from auditdb.store.connect import open_for_writing
from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import Writer, record
from tests.audit import tiny
from tests.small import look


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run_command([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@contextmanager
def no_larger_files(size: int) -> Iterator[None]:
    """The disk that no file may grow on: each write past `size` bytes fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def runs(db: Path) -> list[int]:
    with reading(db) as connection:
        assert verify(connection) == []
        return [row[0] for row in connection.execute("SELECT run_id FROM run_summary ORDER BY run_id")]


def test_a_disk_that_gives_errors_loses_nothing(db: Path) -> None:
    record(db, look())
    before = db.read_bytes()
    with no_larger_files(30_000), pytest.raises(StoreError) as caught:
        record(db, look(config_text="{" + " " * 100_000 + "}"))
    assert str(caught.value) == f"the disk under {db} gave an error (disk I/O error); nothing was recorded"
    assert runs(db) == [1]
    assert db.read_bytes() == before
    assert record(db, look()) == 2


def test_a_full_disk_loses_nothing(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own limit of pages gives the error of a full disk; the full disk itself is in tests/stress."""
    record(db, look())
    before = db.read_bytes()

    def tight(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    monkeypatch.setattr(write, "open_for_writing", tight)
    with pytest.raises(StoreError) as caught:
        record(db, look(config_text="{" + " " * 100_000 + "}"))
    assert str(caught.value) == f"the disk is full: nothing was written to {db}; make room and run again"
    monkeypatch.undo()
    assert runs(db) == [1]
    assert db.read_bytes() == before


def test_what_is_committed_counts_although_the_log_can_not_be_folded_in(db: Path) -> None:
    """On a full disk the checkpoint at the end may fail; the run is in the log, and the next reader finds it there."""
    size = db.stat().st_size
    reader = sqlite3.connect(db, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM runs").fetchone()
    writer = Writer(db)
    with writer:
        assert writer.record(look(config_text="{" + " " * 100_000 + "}")) == 1
        # A soft limit in the middle: the log is written already, the file would have to grow.
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        reader.execute("COMMIT")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reader.close()
    assert runs(db) == [1]


def test_a_report_on_a_full_disk_leaves_the_old_one_whole(tmp_path: Path) -> None:
    write_files(tmp_path, {"summary.txt": "old\n"})
    with no_larger_files(100), pytest.raises(StoreError) as caught:
        write_files(tmp_path, {"summary.txt": "new\n" * 1_000})
    assert str(caught.value) == f"the report can't be written to {tmp_path}: File too large"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("summary.txt", "old\n")]


def test_a_backup_on_a_full_disk_leaves_no_half_copy(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(db, look())
    with no_larger_files(40_000):
        code, out, err = run(capsys, "db", "backup", "--db", db, "--to", db.parent / "copy.db")
    assert (code, out) == (3, "")
    assert err.startswith(f"auditdb: the disk under {db.parent / 'copy.db'} gave an error")
    assert not (db.parent / "copy.db").exists()


COMMANDS = (
    "list", "show 1", "report 1 -o out", "top 1", "moe 1", "layers 1", "prune 1", "diff 1 1", "verify", "db status",
    "db backup", "db gc", "db gc --yes", "db forget 1", "db upgrade", "sql SELECT\u00a0*\u00a0FROM\u00a0runs",
    "db merge other.db", "run model --fast", "sweep model --jobs 1",
)  # fmt: skip


def each_command() -> Iterator[list[str]]:
    for command in COMMANDS:
        yield [word.replace("\u00a0", " ") for word in command.split(" ")]


def test_a_store_of_garbage_after_its_first_pages(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command says that it is damaged, or what else keeps it from its work; none falls over it."""
    monkeypatch.chdir(tmp_path)
    tiny.folder(tmp_path / "model")
    record(db, look())
    shutil.copy(db, "other.db")
    data = bytearray(db.read_bytes())
    for start in range(4096 * 2, len(data), 4096):
        data[start : start + 4096] = bytes((start + at) % 251 for at in range(4096))
    db.write_bytes(data)
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments in each_command():
        code, _, err = run(capsys, *arguments, "--db", db)
        assert code == 3, arguments
        assert f"{db} is damaged" in err, (arguments, err)
    left = {path.name for path in tmp_path.iterdir()} - set(before)
    assert left <= {"audit.db-wal", "audit.db-shm"}
    assert db.read_bytes() == data
    assert run(capsys, "db", "merge", db, "--db", "other.db")[0] == 3
    assert runs(Path("other.db")) == [1]


@pytest.mark.parametrize("kind", ["folder", "fifo", "loop", "below-a-file", "too-long"])
def test_what_is_no_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.folder(tmp_path / "model")
    Path("file").write_text("")
    Path("folder").mkdir()
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    path = {"below-a-file": "file/audit.db", "too-long": "x" * 300}.get(kind, kind)
    why = {
        "folder": "folder is a folder; --db takes a file, like folder/audit.db",
        "fifo": "fifo is not a regular file; --db takes the path of a SQLite file",
        "loop": "the store can't be reached at loop: Too many levels of symbolic links",
        "below-a-file": "the store can't be reached at file/audit.db: Not a directory",
        "too-long": f"the store can't be reached at {path}: File name too long",
    }[kind]
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments in each_command():
        assert run(capsys, *arguments, "--db", path) == (3, "", f"auditdb: {why}\n"), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("folder", ["plain", "100% of? #1 'it' \"is\" größe ☃", "file:x?mode=memory"])
def test_paths_that_mean_something_to_sqlite_alembic_or_an_address(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.folder(tmp_path / folder / "model")
    db = Path(folder) / "st%41?ore#.db"
    assert run(capsys, "run", Path(folder) / "model", "--fast", "--quiet", "--db", db) == (0, "1\n", "")
    assert run(capsys, "db", "backup", "--to", Path(folder) / "copy%.db", "--db", db)[0] == 0
    assert run(capsys, "db", "merge", Path(folder) / "copy%.db", "--db", db)[:2] == (
        0,
        f"{folder}/copy%.db: 0 runs added, 1 known already\n",
    )
    assert run(capsys, "verify", "--db", db) == (0, "the store is whole: every digest and every sum holds\n", "")
    assert run(capsys, "report", "1", "-o", Path(folder) / "re%port?", "--db", db)[0] == 0
    stem = {path.name.partition(".db-")[0].removesuffix(".db") for path in Path(folder).iterdir()}
    assert stem == {"model", "st%41?ore#", "copy%", "re%port?"}
    assert [path.name for path in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize("writable", ["neither", "folder", "file"])
def test_a_store_that_can_not_be_written_is_still_read(
    writable: str, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`os.access` is asked in place of a mount, since root may write anywhere; SQLite's own answer is in tests/stress."""
    tiny.folder(tmp_path / "model")
    record(db, look())
    before = db.read_bytes()

    def access(path: str | Path, mode: int) -> bool:
        return mode != os.W_OK or Path(path) == {"folder": db.parent, "file": db}.get(writable)

    monkeypatch.setattr("auditdb.store.connect.os.access", access)
    code, out, err = run(capsys, "list", "--db", db, "--format", "csv")
    assert (code, out.count("\n"), err) == (0, 2, "")
    assert run(capsys, "sql", "SELECT 1", "--db", db)[0] == 0
    code, _, err = run(capsys, "run", tmp_path / "model", "--fast", "--db", db)
    if writable == "file":
        assert code == 0
    else:
        assert (code, err) == (
            3,
            f"auditdb: {db} can't be written; nothing would be recorded: give another --db\n",
        )
        assert db.read_bytes() == before


def test_a_path_of_bytes_that_are_no_text(tmp_path: Path, empty_store: Path) -> None:
    """Given as an argument, and as the folder that one stands in: the names are told with escapes."""
    from tests.cli.command import auditdb

    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    tiny.folder(folder)
    shutil.copy(empty_store, folder / "audit.db")
    given = auditdb("run", folder, "--fast", cwd=tmp_path)
    stood_in = auditdb("run", ".", "--fast", cwd=folder)
    assert [(done.code, done.out, done.err) for done in (given, stood_in)] == [
        (2, "", "auditdb: The model's name holds characters that can't be printed: give a folder or ORG/NAME.\n"),
        (2, "", "auditdb: The folder's full path holds characters that can't be printed: rename what it lies in.\n"),
    ]
    assert (auditdb("show", ".", cwd=folder).code, auditdb("show", "x\udcff", cwd=folder).code) == (3, 3)
    printed = auditdb("db", "path", cwd=folder)
    assert (printed.code, printed.out) == (0, f"{tmp_path}/bad\\udcff/audit.db\n")
    swept = auditdb("sweep", ".", "--jobs", "1", "--format", "json", cwd=tmp_path)
    assert (swept.code, "Traceback" in swept.err) == (1, False)
    assert '"model": "bad\\\\udcff"' in swept.out


def test_a_terminal_that_knows_ascii_alone(db: Path, tmp_path: Path) -> None:
    from tests.cli.command import auditdb

    record(db, look(model="org/größe→☃"))
    done = auditdb("list", "--db", db, cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.code, done.err) == (0, "")
    assert "org/gr\\xf6\\xdfe\\u2192\\u2603" in done.out
