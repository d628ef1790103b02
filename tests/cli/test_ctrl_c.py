"""Ctrl-C at any moment: code 130, one sentence, no traceback, and no half of a run. (`sweep` is in tests/sweep.)"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import record
from tests.audit import tiny
from tests.cli.command import auditdb, in_a_group_of_its_own
from tests.small import look

# Each stops a process at a chosen moment, which a busy machine moves: out of the default run.
pytestmark = pytest.mark.stress

SENTENCE = "auditdb: stopped by Ctrl-C; nothing was recorded half\n"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
# One step of SQLite that takes many seconds, in which it looks neither at a clock nor at a signal.
ONE_LONG_STEP = "SELECT instr(hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1')"


def stopped(*arguments: str | Path, cwd: Path, after_s: float) -> tuple[int, str, str, float]:
    """Exit code, output and complaint of a command that gets SIGINT as from a terminal, and seconds until its end."""
    process = in_a_group_of_its_own(*arguments, cwd=cwd)
    try:
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        sent = time.monotonic()
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err, time.monotonic() - sent


@pytest.mark.parametrize(
    "query", [f"{ENDLESS} count(*) FROM n", f"{ENDLESS} x FROM n", ONE_LONG_STEP], ids=["steps", "rows", "one-step"]
)
def test_sql(query: str, db: Path) -> None:
    before = db.read_bytes()
    code, out, err, took = stopped("sql", query, "--db", db, cwd=db.parent, after_s=3)
    assert (code, out, err) == (130, "", SENTENCE)
    assert took < 10
    assert db.read_bytes() == before


def test_one_long_step_ends_at_its_timeout(db: Path) -> None:
    started = time.monotonic()
    done = auditdb("sql", ONE_LONG_STEP, "--timeout", "0.5", "--db", db, cwd=db.parent)
    assert (done.code, done.out, done.err) == (
        3,
        "",
        "auditdb: stopped after 0.5 s; give --timeout for longer, or ask for less\n",
    )
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("after_s", [0.8, 2.0, 3.5])
def test_run(after_s: float, db: Path) -> None:
    """Whichever moment it is, the store holds the run or does not, and the command says which by its code."""
    tiny.folder(db.parent / "model")
    record(db, look())
    code, _, err, _ = stopped("run", "model", "--fast", "--quiet", "--db", db, cwd=db.parent, after_s=after_s)
    assert "Traceback" not in err
    # CPython may end itself by the signal (-2), which a shell shows as 130 as well.
    assert code in (0, 130, -2)
    with reading(db) as connection:
        assert verify(connection) == []
        kept = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    assert kept == 2 if code == 0 else kept in (1, 2)
