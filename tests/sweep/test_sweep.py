"""`auditdb sweep` as a user meets it: what is recorded, what is skipped, and what Ctrl-C leaves."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.audit import tiny
from tests.cli.command import Done, auditdb, in_a_group_of_its_own


def sweep(where: Path, *arguments: str | Path) -> Done:
    return auditdb("sweep", *arguments, "--jobs", "2", cwd=where)


def rows(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out)))


def count(store: Path, table: str) -> int:
    connection = sqlite3.connect(store)
    found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A folder with five models of every fate, and what a sweep over them said."""
    where = tmp_path_factory.mktemp("sweep")
    tiny.folder(where / "models" / "a-good")
    tiny.folder(where / "models" / "b-good", vocab_size=65)
    tiny.folder(where / "models" / "c-fail", num_local_experts=8, num_experts_per_tok=2)
    tiny.folder(where / "models" / "d-nonsense", model_type="nonsense", architectures=["Nonsense"])
    (where / "models" / "e-broken").mkdir()
    (where / "models" / "e-broken" / "config.json").write_text("{")
    return where, sweep(where, "models", "--format", "csv")


def test_failures_are_recorded_and_listed_with_their_reason(swept: tuple[Path, Done]) -> None:
    where, done = swept
    assert done.code == 1
    assert done.err.splitlines()[-1] == "5 models: 2 PASS, 1 FAIL, 2 failed; store audit.db"
    found = {Path(row["model"]).name: row for row in rows(done)}
    assert {name: row["status"] for name, row in found.items()} == {
        "c-fail": "FAIL",
        "d-nonsense": "failed",
        "e-broken": "failed",
    }
    assert found["c-fail"]["reason"].startswith("moe_config: ") and found["c-fail"]["run"]
    assert "no class for model_type 'nonsense'" in found["d-nonsense"]["reason"]
    assert "config.json" in found["e-broken"]["reason"]
    assert (count(where / "audit.db", "runs"), count(where / "audit.db", "failures")) == (3, 2)
    assert auditdb("verify", cwd=where).code == 0


def test_again_skips_what_is_recorded(swept: tuple[Path, Done]) -> None:
    """A config that can't even be read is cheap to try again, and may be there by now."""
    where, _ = swept
    done = sweep(where, "models", "--format", "csv")
    assert (
        done.err.splitlines()[-1] == "5 models: 2 PASS, 1 FAIL, 2 failed (4 recorded before, skipped); store audit.db"
    )
    assert done.code == 1  # what was bad is still bad, though nobody looked again
    assert {Path(row["model"]).name: row["status"] for row in rows(done)} == {
        "c-fail": "FAIL",
        "d-nonsense": "failed",
        "e-broken": "failed",
    }
    assert count(where / "audit.db", "runs") == 3


def test_on_a_terminal_each_has_two_lines(swept: tuple[Path, Done]) -> None:
    where, _ = swept
    lines = sweep(where, "models/c-fail", "models/d-nonsense").out.splitlines()
    assert re.fullmatch(r"FAIL    models/c-fail \(run \d\)", lines[0])
    assert lines[1].startswith("        moe_config: ")
    assert lines[2] == "failed  models/d-nonsense"
    assert lines[3].startswith("        transformers has no class for model_type 'nonsense'")
    assert len(lines) == 4


def test_nothing_but_skipped_is_0(swept: tuple[Path, Done]) -> None:
    where, _ = swept
    done = sweep(where, "models/a-good", "models/b-good")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[-1] == "2 models: 2 PASS (2 recorded before, skipped); store audit.db"


def test_retry_tries_what_failed(swept: tuple[Path, Done]) -> None:
    where, _ = swept
    done = sweep(where, "models", "--retry", "--format", "csv")
    assert (
        done.err.splitlines()[-1] == "5 models: 2 PASS, 1 FAIL, 2 failed (3 recorded before, skipped); store audit.db"
    )
    assert count(where / "audit.db", "failures") == 2


def test_no_target_is_3_and_leaves_no_store(tmp_path: Path) -> None:
    done = sweep(tmp_path, "nothing")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert not (tmp_path / "audit.db").exists()


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    for number in range(400):
        tiny.folder(tmp_path / "models" / f"{number:03}", vocab_size=100 + number)
    process = in_a_group_of_its_own("sweep", "models", "--jobs", "2", cwd=tmp_path)
    try:
        store = tmp_path / "audit.db"
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and process.poll() is None:
            if store.exists() and store.stat().st_size and _recorded(store) >= 3:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("auditdb: stopped by Ctrl-C")
    done = count(store, "runs")
    assert 3 <= done < 400
    assert auditdb("verify", cwd=tmp_path).code == 0
    connection = sqlite3.connect(store)
    (recorded,) = connection.execute("SELECT m.name FROM runs r JOIN models m ON m.id = r.model_id LIMIT 1").fetchone()
    connection.close()
    again = sweep(tmp_path, recorded, "models/399")
    assert (again.code, again.err.splitlines()[-1]) == (
        0,
        "2 models: 2 PASS (1 recorded before, skipped); store audit.db",
    )


def _recorded(store: Path) -> int:
    try:
        return count(store, "runs")
    except sqlite3.Error:  # it is being made
        return 0
