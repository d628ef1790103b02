"""Stress: `run` killed at random moments, and many writers at once. Out of the default run: `make stress`."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auditdb.store.read import reading
from auditdb.store.verify import verify

pytestmark = pytest.mark.stress
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "Mixtral-8x7B-v0.1"
KILLS = int(os.environ.get("AUDITDB_KILLS", "200"))
PROCESSES, RUNS_EACH = 8, 25


def auditdb(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "auditdb", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


def whole_runs(db: Path) -> int:
    """How many runs there are; asserts that the store verifies and that each run has its four tree checks."""
    with reading(db) as connection:
        assert verify(connection) == []
    connection = sqlite3.connect(db)
    try:
        torn = connection.execute(
            "SELECT id FROM runs WHERE (SELECT count(*) FROM integrity WHERE run_id = runs.id) < 4"
        ).fetchall()
        assert torn == []
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.timeout(3600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Each kill comes at a random moment of a run's whole life, every other time within the writing at its end."""
    db = tmp_path / "audit.db"
    rng = random.Random(7)
    started = time.monotonic()
    done = auditdb("run", str(EXAMPLE), "--fast", "--rebuild", "--db", str(db))
    done.communicate()
    life = time.monotonic() - started
    before = whole_runs(db)
    assert before == 1
    for number in range(KILLS):
        process = auditdb("run", str(EXAMPLE), "--fast", "--db", str(db), *(["--rebuild"] if number % 2 else []))
        time.sleep(rng.uniform(0.6, 1.0) * life if number % 2 else rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        after = whole_runs(db)
        assert before <= after <= before + 1
        before = after


@pytest.mark.timeout(1800)
def test_many_writers(tmp_path: Path) -> None:
    """Eight processes make one store together and record 25 runs each."""
    db = tmp_path / "audit.db"
    code = (
        "import sys\nfrom auditdb.cli.main import run_command\n"
        f"codes = [run_command(['run', {str(EXAMPLE)!r}, '--fast', '--quiet', '--db', {str(db)!r}])"
        f" for _ in range({RUNS_EACH})]\nsys.exit(max(codes))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    for process in started:
        _, complaint = process.communicate()
        assert (process.returncode, complaint) == (0, b"")
    assert whole_runs(db) == PROCESSES * RUNS_EACH
