"""Stress: disks that are full or read-only, as the system makes them. Needs root, for mounts. Out of the default run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditdb.store.read import reading
from auditdb.store.verify import verify
from tests.audit import tiny
from tests.cli.command import EXAMPLES, Done, auditdb

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1800)]
MODELS = ("Llama-3.2-1B", "Mixtral-8x7B-v0.1", "gpt-oss-20b")
SIZES_KB = tuple(range(40, 1_400, 120))


def mounted(*arguments: str | Path) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"this test mounts file systems, which root may: {done.stderr}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on which file systems are mounted, and taken off at the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def audited(disk: Path, model: str | Path, *more: str | Path) -> Done:
    return auditdb("run", model, "--fast", "--rebuild", "--quiet", "--db", disk / "audit.db", *more, cwd=disk.parent)


def whole(store: Path) -> int:
    """How many runs a store holds, none where there is none yet."""
    if not store.exists() or not store.stat().st_size:
        return 0
    with reading(store) as connection:
        assert verify(connection) == []
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


@pytest.mark.parametrize("size", SIZES_KB)
def test_a_disk_that_fills_up(disk: Path, size: int) -> None:
    """Runs until the disk is full, each recorded whole or not at all; once there is room, the next is recorded."""
    mounted("-t", "tmpfs", "-o", f"size={size}k", "none", disk)
    kept = 0
    for model in MODELS:
        done = audited(disk, EXAMPLES / model)
        assert (done.code, "Traceback" in done.err) in ((0, False), (3, False)), done.err
        if done.code == 3:
            assert "the disk is full" in done.err or "gave an error" in done.err, done.err
        kept += done.code == 0
        for command in (("list",), ("verify",), ("show", "latest"), ("db", "backup"), ("report", "latest", "-o", "x")):
            read = auditdb(*command, "--db", disk / "audit.db", cwd=disk)
            assert read.code in (0, 3) and "Traceback" not in read.err, (command, read.err)
            for copy in disk.glob("audit.db.backup-*"):
                assert whole(copy) == kept
                copy.unlink()
    assert not list(disk.glob("x/.*"))
    mounted("-o", f"remount,size={size + 20_000}k", disk)
    recorded = whole(disk / "audit.db") if (disk / "audit.db").exists() and kept else 0
    assert recorded == kept
    assert audited(disk, EXAMPLES / MODELS[0]).code == 0
    assert whole(disk / "audit.db") == kept + 1


def test_a_read_only_disk(disk: Path) -> None:
    """Every read works; every write is a sentence; the file keeps its bytes."""
    mounted("-t", "tmpfs", "-o", "size=20m", "none", disk)
    tiny.folder(disk / "model")
    assert audited(disk, disk / "model").code == 0
    before = (disk / "audit.db").read_bytes()
    mounted("-o", "remount,ro", disk)
    for command in (("list",), ("show", "1"), ("sql", "SELECT 1"), ("verify",), ("db", "status"), ("layers", "1")):
        assert auditdb(*command, "--db", disk / "audit.db", cwd=disk.parent).code == 0, command
    for command in (
        *(("run", disk / "model", "--fast"), ("sweep", disk / "model"), ("db", "forget", "1"), ("db", "backup")),
        *(("db", "gc", "--yes"), ("db", "upgrade", "--db", disk / "new.db"), ("report", "1", "-o", disk / "out")),
    ):
        done = auditdb(*command, *(() if "--db" in command else ("--db", disk / "audit.db")), cwd=disk.parent)
        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1), (command, done)
    assert (disk / "audit.db").read_bytes() == before
    assert sorted(path.name for path in disk.iterdir() if "-shm" not in path.name and "-wal" not in path.name) == [
        "audit.db",
        "model",
    ]
