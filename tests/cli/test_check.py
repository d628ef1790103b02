"""`auditdb check`: expectations are met, fail with their rows, or can't be asked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from auditdb.cli import check as command
from auditdb.errors import AuditError
from auditdb.records import Check
from auditdb.store.expectations import ExpectationError, parse_expectations
from tests.compare.looks import Decoder, store_of

SHIPPED = Path(__file__).parents[2] / "examples" / "checks"
Call = Callable[..., int]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 passes; run 2 of the same model has an expert more and a failed check."""
    failing = replace(Decoder(experts=5), checks=(Check("tree_total", "FAIL", "1", "2", "off by one"),))
    return store_of(tmp_path_factory.mktemp("check") / "audit.db", Decoder(), failing)


@pytest.fixture
def call(store: Path) -> Call:
    def run(*arguments: object) -> int:
        app = typer.Typer()
        app.callback()(lambda: None)
        command.register(app)
        code = app(["check", *map(str, arguments), "--db", str(store)], standalone_mode=False)
        assert isinstance(code, int)
        return code

    return run


def test_shipped_examples_are_met(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(1, SHIPPED) == 0
    assert capsys.readouterr().out == (
        "PASS  experts_per_layer\nPASS  no check fails\nPASS  the tree was checked\nPASS  same_size_as_before\n"
    )


def test_a_failing_one_prints_its_rows(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(2, SHIPPED / "integrity.sql") == 1
    assert capsys.readouterr().out == (
        "FAIL  no check fails  1 row\n"
        "      name          expected    seen  reason\n"
        "      ----------  ----------  ------  ----------\n"
        "      tree_total           1       2  off by one\n"
        "PASS  the tree was checked\n"
    ).replace(
        "      name          expected    seen  reason\n"
        "      ----------  ----------  ------  ----------\n"
        "      tree_total           1       2  off by one\n",
        "      name        expected    seen    reason\n"
        "      ----------  ----------  ------  ----------\n"
        "      tree_total  1           2       off by one\n",
    )


def test_a_run_of_another_size(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(2, SHIPPED / "same_size_as_before.sql", "--format", "json") == 1
    (found,) = json.loads(capsys.readouterr().out)["checks"]
    assert (found["name"], found["status"]) == ("same_size_as_before", "FAIL")
    (row,) = found["rows"]
    assert (row["earlier_run"], row["n_experts_before"], row["n_experts"]) == (1, 8, 10)


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_other_formats(call: Call, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "any.sql").write_text("SELECT name FROM run_routers WHERE run_id = :run ORDER BY name")
    assert call(1, tmp_path, "--format", form) == 1
    out = capsys.readouterr().out
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert rows == [
            {"expectation": "any", "status": "FAIL", "row": json.dumps({"name": f"model.layers.{layer}.mlp.gate"})}
            for layer in range(2)
        ]
    else:
        assert out.startswith("**0 of 1 expectations met** by run 1\n")
        assert "### any" in out


def test_many_rows_are_cut_in_a_table(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "modules.sql").write_text("SELECT name FROM run_modules WHERE run_id = :run")
    assert call(1, tmp_path / "modules.sql") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "      … 34 more rows: --all"
    assert call(1, tmp_path / "modules.sql", "--quiet") == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no query"),
        ("-- only a comment\n;", "holds no query"),
        ("-- name: empty\n-- nothing\n-- name: full\nSELECT 1 WHERE 0", "holds no query under the name empty"),
        ("SELECT 1;\n-- name: late\nSELECT 1", "has SQL above its first"),
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "two queries of the name a"),
    ],
)
def test_files_without_a_query(text: str, complaint: str) -> None:
    with pytest.raises(ExpectationError, match=complaint):
        parse_expectations(text, Path("x.sql"))


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM no_such_table", "DELETE FROM runs", "SELECT 1; SELECT 2", "SELECT :other", "PRAGMA query_only = 0"],
)
def test_a_query_that_errs_is_named(call: Call, tmp_path: Path, query: str) -> None:
    (tmp_path / "bad.sql").write_text(f"-- name: the bad one\n{query}")
    with pytest.raises(AuditError, match=r"the bad one \(.*bad\.sql\): ") as raised:
        call(1, tmp_path / "bad.sql")
    assert raised.value.exit_code == 3


def test_a_query_that_never_ends(call: Call, tmp_path: Path) -> None:
    (tmp_path / "slow.sql").write_text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
    )
    with pytest.raises(AuditError, match=r"slow .*stopped after 0\.1 s"):
        call(1, tmp_path / "slow.sql", "--timeout", "0.1")


def test_no_files_and_no_text(call: Call, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"holds no \.sql file"):
        call(1, tmp_path)
    with pytest.raises(AuditError, match=r"absent.sql can't be read"):
        call(1, tmp_path / "absent.sql")
    (tmp_path / "blob.sql").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AuditError, match="no UTF-8"):
        call(1, tmp_path / "blob.sql")
