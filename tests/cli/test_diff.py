"""`auditdb diff` on the command line: what it prints, what it returns, what it leaves alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from auditdb.cli import diff as command
from auditdb.errors import AuditError, SelectorError, UsageError
from tests.compare.looks import Decoder, store_of

BASE = Decoder()
Call = Callable[..., int]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 and 2 differ in their revision only, run 3 has a layer more."""
    more = replace(BASE, layers=3).look()
    return store_of(
        tmp_path_factory.mktemp("diff") / "audit.db",
        BASE,
        replace(BASE, revision="1" * 40),
        replace(more, model="org/larger"),
    )


@pytest.fixture
def call(recorded: Path, tmp_path: Path) -> Call:
    """`auditdb diff …` on a copy of the store; the exit code."""
    store = Path(shutil.copy(recorded, tmp_path / "audit.db"))

    def run(*arguments: str, db: Path = store) -> int:
        app = typer.Typer()
        app.callback()(lambda: None)
        command.register(app)
        code = app(["diff", *arguments, "--db", str(db)], standalone_mode=False)
        assert isinstance(code, int)
        return code

    return run


def test_the_same_content_under_two_revisions(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("1", "2") == 0
    zero, one = "0" * 18, "1" * 18
    assert capsys.readouterr().out == (
        "same: nothing differs; weight values were not compared\n"
        "\n"
        f"A  run 1  org/tiny@{zero}  TinyForCausalLM  fast  PASS  2026-01-01T00:00:00Z\n"
        f"B  run 2  org/tiny@{one}  TinyForCausalLM  fast  PASS  2026-01-01T00:00:00Z\n"
    )


def test_a_run_and_itself(call: Call) -> None:
    assert call("org/tiny", "org/tiny") == 0


def test_a_difference(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("1", "org/larger", "--only", "modules,moe") == 1
    assert capsys.readouterr().out == (
        "different: modules +24; MoE groups +1 (compared: modules, moe)\n"
        "\n"
        f"A  run 1  org/tiny@{'0' * 18}  TinyForCausalLM  fast  PASS  2026-01-01T00:00:00Z\n"
        f"B  run 3  org/larger@{'0' * 18}  TinyForCausalLM  fast  PASS  2026-01-01T00:00:00Z\n"
        "\n"
        "modules\n"
        "  model.layers.2  added    TinyLayer  with 23 modules below\n"
        "\n"
        "MoE\n"
        "  model.layers.2.mlp  added    n_routers 1, n_experts 4, top_k 2\n"
    )


def test_only_sections_that_are_the_same(call: Call) -> None:
    assert call("1", "3", "--only", "integrity") == 0
    assert call("1", "3", "--only", "integrity, totals") == 1


def test_quiet(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert (call("1", "2", "--quiet"), call("1", "3", "-q")) == (0, 1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_formats(call: Call, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("1", "3", "--format", form) == 1
    out = capsys.readouterr().out
    if form == "json":
        assert json.loads(out)["verdict"] == "different"
    else:
        assert "| model.layers.2 | added | TinyLayer | with 23 modules below |" in out.splitlines()


def test_an_unknown_section(call: Call) -> None:
    with pytest.raises(UsageError, match="it was given 'modulez'"):
        call("1", "3", "--only", "moe,modulez")


def test_the_bytes_of_the_store_are_unchanged(call: Call, tmp_path: Path) -> None:
    store = tmp_path / "audit.db"

    def digest() -> str:
        return hashlib.sha256(store.read_bytes()).hexdigest()

    before = digest()
    call("1", "3", "--all", "--format", "json")
    assert digest() == before


@pytest.mark.parametrize("selector", ["org/other", "org/tiny@" + "2" * 40])
def test_what_nobody_has_looked_at(call: Call, selector: str) -> None:
    with pytest.raises(SelectorError, match=f"`auditdb run {selector} --fast --db .*` records it"):
        call("1", selector)


@pytest.mark.parametrize("selector", ["99", "latest~9", "org/tiny~9"])
def test_a_run_that_no_audit_would_make(call: Call, selector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "record_fast", lambda *_: pytest.fail("nothing to audit"))
    with pytest.raises(AuditError) as raised:
        call("1", selector, "--run")
    assert "--run" not in str(raised.value)


def test_run_audits_what_is_missing_and_nothing_else(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def look(db: Path, model: str, progress: object) -> int:
        from auditdb.store.write import record

        asked.append(model)
        return record(db, replace(replace(BASE, experts=5).look(), model="org/other"))

    monkeypatch.setattr(command, "record_fast", look)
    assert call("org/tiny", "org/other", "--run", "--quiet") == 1
    assert call("org/tiny", "org/other", "--run", "--quiet") == 1
    assert asked == ["org/other"]


def test_run_starts_a_store(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(db: Path, model: str, progress: object) -> int:
        store_of(db, replace(BASE.look(), model=model))
        return 1

    monkeypatch.setattr(command, "record_fast", look)
    assert call("org/one", "org/two", "--run", db=tmp_path / "new.db") == 0
