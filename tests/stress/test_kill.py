"""Stress: `run` killed at random moments, and many writers at once. Out of the default run: `make stress`."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auditdb.audit.judge import TREE_CHECKS
from auditdb.records import Check
from auditdb.store.migrate import ensure
from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import record
from tests.small import look

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


def another(folder: Path, number: int) -> Path:
    """The example with another vocabulary: a model of which nothing is in the store yet."""
    folder.mkdir()
    raw = json.loads((EXAMPLE / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, "vocab_size": 1_000 + number}))
    return folder


@pytest.mark.timeout(3600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """By turns: the same model again, killed at any moment of its life; a new model, and a first run that makes the
    store, both killed around their commit, which is found by trying. The store then opens, verifies, takes a run."""
    db = tmp_path / "audit.db"
    rng = random.Random(7)

    def life(*how: str) -> float:
        """Seconds that a run takes, once warm."""
        lives = []
        for _ in range(3):
            started = time.monotonic()
            auditdb("run", str(EXAMPLE), "--fast", "--db", str(db), *how).communicate()
            lives.append(time.monotonic() - started)
        return min(lives)

    built = life("--rebuild")
    moment = {"again": life(), "new": built, "first": built}  # of the commit, as far as is known
    assert whole_runs(db) == 6
    landed = dict.fromkeys(moment, 0)
    for number in range(KILLS):
        kind = tuple(moment)[number % 3]
        model = EXAMPLE if kind == "again" else another(tmp_path / str(number), number)
        store = tmp_path / f"{number}.db" if kind == "first" else db
        before = whole_runs(store) if store.exists() else 0
        process = auditdb("run", str(model), "--fast", "--db", str(store))
        time.sleep(rng.uniform(0, 1.2 * moment[kind]) if kind == "again" else moment[kind] + rng.uniform(-0.2, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        after = whole_runs(store) if store.exists() and is_made(store) else 0
        assert before <= after <= before + 1
        landed[kind] += after - before
        if kind != "again":  # earlier after a run that was recorded, later after one that was not
            moment[kind] += 0.1 if after == before else -0.1
    for store in tmp_path.glob("*.db"):
        before = whole_runs(store) if is_made(store) else 0
        ensure(store)
        record(store, look(checks=tuple(Check(name, "PASS") for name in TREE_CHECKS)))
        assert whole_runs(store) == before + 1
    print(f"\n{KILLS} kills; runs that were recorded nonetheless: {landed}")


def is_made(store: Path) -> bool:
    """Whether a first run got as far as the tables: what it leaves before is an empty database, and no store."""
    connection = sqlite3.connect(store)
    try:
        return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    finally:
        connection.close()


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
