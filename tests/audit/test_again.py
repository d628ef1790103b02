"""`auditdb verify --rebuild RUN`: a build must give again what the run recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditdb.audit.again import build_again
from auditdb.cli.main import run_command
from auditdb.errors import BuildError
from auditdb.inspect.toolchain import current
from auditdb.store.read import ask, reading
from auditdb.store.write import record
from tests import small
from tests.audit import tiny
from tests.audit.test_reuse import change, look


def verify(db: Path, *options: str) -> int:
    return run_command(["verify", "--db", str(db), *options])


def test_a_run_that_holds(db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look(db, tiny.folder(tmp_path / "model"))
    assert verify(db, "--rebuild", "latest") == 0
    expected = "run 1 holds: built anew, its class, structure, dtypes, reading, expected tensors are the same\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE runs SET model_class = 'Other'", "class"),
        ("UPDATE structures SET digest = 's1:0'", "structure"),
        ("UPDATE readings SET digest = 'm1:0'", "reading"),
        ("UPDATE dtype_maps SET digest = 'd1:0'", "dtypes"),
        ("UPDATE expectations SET digest = 'e1:0'", "expected tensors"),
    ],
)
def test_a_run_that_does_not(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, what: str
) -> None:
    look(db, tiny.folder(tmp_path / "model"))
    change(db, statement)
    with reading(db) as connection:
        found = build_again(ask(connection, "rebuild", run=1)[0])
    assert [one.what for one in found if not one.equal] == [what]
    assert verify(db, "--rebuild", "1", "--format", "csv") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines if line.endswith(",0")] == [what]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": "full", "rung": "loaded"}, "run 1 is FULL"),
        ({"rung": "headers"}, "made of the checkpoint's tensor names"),
        ({"toolchain": replace(small.TOOLCHAIN, torch="1.0")}, "built by another toolchain: py3.11.7 torch1.0 "),
        ({}, "no class for model_type 'toy'"),
    ],
    ids=["full", "headers", "toolchain", "no class"],
)
def test_what_cannot_be_built_here_is_a_sentence(
    db: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], sentence: str
) -> None:
    record(db, small.look(**({"toolchain": current()} | changes)))
    with reading(db) as connection, pytest.raises(BuildError):
        build_again(ask(connection, "rebuild", run=1)[0])
    assert verify(db, "--rebuild", "1") == 3
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert sentence in shown.err
