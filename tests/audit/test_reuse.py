"""A look that was had before is not built again; and where that could be wrong, it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auditdb.audit import Request, fast
from auditdb.cli.output import Progress
from auditdb.cli.run import look_and_record
from auditdb.store.read import ask, reading, shown
from tests.audit import tiny
from tests.cli.command import ROOT


@pytest.fixture(autouse=True)
def releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run from a checkout, which is never reused: here it is taken for a release."""
    monkeypatch.setattr(fast, "is_release", lambda _: True)


def look(db: Path, folder: Path, **options: Any) -> dict[str, Any]:
    """Audit and record; the run as `show` has it, with its checks by name."""
    rebuild = options.pop("rebuild", False)
    run_id, _ = look_and_record(Request(model=str(folder), **options), db, Progress(True), rebuild=rebuild)
    with reading(db) as connection:
        checks = {check["name"]: check for check in ask(connection, "integrity", run=run_id)}
        return {**shown(connection, run_id), "checks": checks}


def change(db: Path, statement: str) -> None:
    connection = sqlite3.connect(db)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_second_look_takes_the_structure_and_says_so(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    first, second = look(db, folder), look(db, folder)
    assert (first["reused"], second["reused"]) == ("", 1)
    same = (
        "structure",
        "config",
        "model_class",
        "rung",
        "n_params",
        "n_modules",
        "n_active_params",
        "expected_tensors",
    )
    assert {key: second[key] for key in same} == {key: first[key] for key in same}
    for name in ("tree_total", "tied"):
        was, now = first["checks"][name], second["checks"][name]
        assert now["status"] == was["status"]
        assert now["reason"] == "; ".join(filter(None, (was["reason"], "as in run 1, not rebuilt")))
    assert second["checks"].keys() == first["checks"].keys()


def test_a_third_look_refers_to_the_one_that_was_built(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    assert [look(db, folder)["reused"] for _ in range(3)] == ["", 1, 1]


def test_reuse_imports_neither_torch_nor_sqlalchemy(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    look(db, folder)
    code = (
        "import sys\n"
        "from auditdb.audit import fast\n"
        "fast.is_release = lambda package: True\n"
        "from auditdb.cli.main import run_command\n"
        f"code = run_command(['run', {str(folder)!r}, '--fast', '--db', {str(db)!r}])\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'sqlalchemy'} & set(sys.modules)), code, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"
    assert "reused       the structure of run 1, not rebuilt" in done.stdout.splitlines()


def test_the_checkpoint_is_read_and_judged_all_the_same(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    assert look(db, folder)["checks"]["checkpoint"]["status"] == "SKIP"
    tiny.add_checkpoint(folder)
    second = look(db, folder)
    assert (second["reused"], second["checks"]["checkpoint"]["status"]) == (1, "PASS")
    assert second["checkpoint_tensors"] == len(tiny.TENSORS) == second["expected_tensors"]


def test_headers_that_differ_have_the_model_built_after_all(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    look(db, folder)
    tiny.add_checkpoint(folder, model_layers_1_mlp_up_proj_weight=(31, 16))
    second = look(db, folder)
    check = second["checks"]["checkpoint"]
    assert (second["reused"], check["status"], second["status"]) == ("", "FAIL", "FAIL")
    assert "model.layers.1.mlp.up_proj.weight" in check["reason"] + check["seen"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE modules SET class = 'Other' WHERE position = 3",
        "UPDATE parameters SET shape = '[1]' WHERE position = 0",
        "DELETE FROM parameters WHERE position = 2",
        "UPDATE structures SET own_total = 1",
    ],
)
def test_altered_rows_are_not_reused(db: Path, tmp_path: Path, statement: str) -> None:
    folder = tiny.folder(tmp_path / "model")
    look(db, folder)
    change(db, statement)
    assert look(db, folder)["reused"] == ""


def test_what_is_never_reused(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.folder(tmp_path / "model")
    look(db, folder)
    assert look(db, folder, rebuild=True)["reused"] == ""
    assert look(db, folder, hooks=True)["reused"] == ""
    assert look(db, tiny.folder(tmp_path / "other", vocab_size=63))["reused"] == ""
    monkeypatch.setattr(fast, "is_release", lambda package: package != "auditdb")
    assert look(db, folder)["reused"] == ""  # a checkout of the same version may build or read it otherwise


def test_what_a_checkout_recorded_is_never_reused(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.folder(tmp_path / "model")
    with monkeypatch.context() as patch:
        patch.setattr(fast, "is_release", lambda package: package != "transformers")
        look(db, folder)
    assert look(db, folder)["reused"] == ""


def test_another_toolchain_is_not_reused(db: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "model")
    look(db, folder)
    change(db, "UPDATE toolchains SET label = replace(label, 'torch2', 'torch1')")
    assert look(db, folder)["reused"] == ""
