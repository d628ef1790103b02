"""The commands that look at a store or keep it, on a store with hand-made looks."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest

from auditdb.cli.main import run_command
from auditdb.store.migrate import ensure
from auditdb.store.write import record
from tests.small import look


@pytest.fixture
def store(db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    record(db, look())
    record(db, look(started_at="2026-02-02T00:00:00Z", revision="b" * 40))
    monkeypatch.setenv("AUDITDB_DB", str(db))
    return db


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run_command([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "command", [["list"], ["top", "1"], ["moe", "1"], ["layers", "1"], ["show", "1"], ["db", "status"]]
)
def test_four_formats(store: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    codes = []
    for form in ("table", "json", "csv", "markdown"):
        code, out, err = run(capsys, *command, "--format", form)
        codes.append((code, err))
        if form == "json":
            assert json.loads(out)
        if form == "csv":
            widths = {len(row) for row in csv.reader(io.StringIO(out))}
            assert len(widths) == 1
        if form == "markdown":
            assert {line[0] + line[-1] for line in out.splitlines()} == {"||"}
    assert codes == [(0, "")] * 4


def test_list_shows_the_newest_first(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "--format", "json")
    assert [(row["run_id"], row["n_params"], row["is_latest"]) for row in json.loads(out)] == [(2, 61, 1), (1, 61, 1)]
    _, out, _ = run(capsys, "list", "--limit", "1", "--offset", "1", "--format", "csv")
    assert [row["run_id"] for row in csv.DictReader(io.StringIO(out))] == ["1"]


def test_the_tree(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "show", "latest", "--tree")
    assert out.splitlines()[:3] == ["<root> :: ToyForCausalLM", "  embed :: Embedding", "  layers :: ModuleList"]


def test_verify_finds_a_changed_cell(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "verify") == (0, "the store is whole: every digest and every sum holds\n", "")
    connection = sqlite3.connect(store)
    connection.execute("UPDATE integrity SET status = 'FAIL' WHERE run_id = 1 AND name = 'tied'")
    connection.commit()
    connection.close()
    code, out, _ = run(capsys, "verify", "--format", "csv")
    assert (code, [row["table"] + row["row"] for row in csv.DictReader(io.StringIO(out))]) == (1, ["runs1", "runs1"])


def test_forget_gc_backup_merge(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.db"
    assert run(capsys, "db", "backup", "--to", copy) == (0, f"{copy}\n", "")
    assert run(capsys, "db", "backup", "--to", copy) == (
        3,
        "",
        f"auditdb: {copy} exists already; name another file for the backup\n",
    )
    assert run(capsys, "db", "forget", "org/toy@b", "1") == (0, "forgot run 1\nforgot run 2\n", "")
    code, out, err = run(capsys, "db", "gc")
    assert (code, "would delete 1 of structures" in out, "nothing was changed" in err) == (0, True, True)
    assert run(capsys, "db", "gc", "--yes")[0] == 0
    assert run(capsys, "db", "gc") == (0, "nothing to delete\n", "")
    assert run(capsys, "db", "merge", copy) == (0, f"{copy}: 2 runs added, 0 known already\n", "")
    assert run(capsys, "db", "merge", copy) == (0, f"{copy}: 0 runs added, 2 known already\n", "")
    assert run(capsys, "verify")[0] == 0


def test_path_and_upgrade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.db"
    assert run(capsys, "db", "path", "--db", path) == (0, f"{path}\n", "")
    assert run(capsys, "db", "upgrade", "--db", path) == (0, f"{path}: schema 0001\n", "")
    ensure(path)


@pytest.mark.parametrize(
    "command", [["list"], ["show", "1"], ["verify"], ["sql", "SELECT 1"], ["db", "forget", "1"], ["diff", "1", "2"]]
)
def test_a_store_that_is_not_there_is_3_and_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path = tmp_path / "none.db"
    code, out, err = run(capsys, *command, "--db", path)
    assert (code, out) == (3, "")
    assert err == f"auditdb: there is no store at {path}; `auditdb run MODEL --fast --db {path}` makes one\n"
    assert not path.exists()
