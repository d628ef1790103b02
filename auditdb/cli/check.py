"""`auditdb check RUN FILE…`: expectations as queries that must return no row; a gate for CI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, AllOption, DbOption, Format, FormatOption, RunArgument
from auditdb.report.rows import render, strict
from auditdb.report.text import markdown_cell, printable
from auditdb.store.expectations import Outcome, ask_expectations, read_expectations
from auditdb.store.read import reading
from auditdb.store.select import select_run

EXAMPLES = """Examples:

  auditdb check latest examples/checks/experts_per_layer.sql

  auditdb check org/model@main checks/ --format markdown
"""
MOST_ROWS = 20  # of a failing query in a table


def register(app: typer.Typer) -> None:
    app.command("check", epilog=EXAMPLES)(check)


def check(
    run: RunArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Files of SQL, or folders of them; `:run` is the run's id.")
    ],
    timeout: Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds a query may take.")] = 60.0,
    every: AllOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code says it.")] = False,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> int:
    """Check a run against expectations: named queries that must return no row. Exit code 1: one returned some.

    A file holds one query, named after the file, or several, each after a line `-- name: NAME`.
    """
    expectations = read_expectations(files)
    with reading(db) as connection:
        run_id = select_run(connection, run)
    outcomes = ask_expectations(db, run_id, expectations, timeout)
    if not quiet:
        output.data(_WRITERS[form](run_id, outcomes, every))
    return 0 if all(outcome.met for outcome in outcomes) else 1


def _table(run_id: int, outcomes: Sequence[Outcome], every: bool) -> str:
    """A line for each expectation, and below a failing one its rows."""
    parts = []
    for outcome in outcomes:
        parts.append(printable(f"{_status(outcome)}  {outcome.expectation.name}{_rows_text(outcome)}") + "\n")
        if not outcome.met:
            shown = outcome.rows if every else outcome.rows[:MOST_ROWS]
            table = render(shown, outcome.columns, "table", folded=False)
            parts += [f"      {line}".rstrip() + "\n" for line in table.splitlines()]
            if len(shown) < len(outcome.rows):
                parts.append(f"      … {len(outcome.rows) - len(shown):,} more rows: --all\n")
    return "".join(parts)


def _markdown(run_id: int, outcomes: Sequence[Outcome], every: bool) -> str:
    parts = [f"**{sum(o.met for o in outcomes)} of {len(outcomes)} expectations met** by run {run_id}\n\n"]
    rows = [{"expectation": o.expectation.name, "status": _status(o), "rows": len(o.rows)} for o in outcomes]
    parts.append(render(rows, ["expectation", "status", "rows"], "markdown"))
    for outcome in outcomes:
        if not outcome.met:
            shown = outcome.rows if every else outcome.rows[:MOST_ROWS]
            parts.append(f"\n### {markdown_cell(outcome.expectation.name)}\n\n")
            parts.append(render(shown, outcome.columns, "markdown"))
            if len(shown) < len(outcome.rows):
                parts.append(f"\n{len(outcome.rows) - len(shown):,} more rows\n")
    return "".join(parts)


def _json(run_id: int, outcomes: Sequence[Outcome], every: bool) -> str:
    checks = [
        {
            "name": outcome.expectation.name,
            "file": str(outcome.expectation.file),
            "status": _status(outcome),
            "rows": [_strict(row) for row in outcome.rows],
        }
        for outcome in outcomes
    ]
    return json.dumps({"run_id": run_id, "checks": checks}, indent=2, allow_nan=False) + "\n"


def _csv(run_id: int, outcomes: Sequence[Outcome], every: bool) -> str:
    """A line for each row of a failing expectation (as JSON), and one without a row for each that is met."""
    lines: list[dict[str, Any]] = []
    for outcome in outcomes:
        name, status = outcome.expectation.name, _status(outcome)
        lines += [
            {"expectation": name, "status": status, "row": json.dumps(_strict(row), allow_nan=False)}
            for row in outcome.rows
        ]
        if outcome.met:
            lines.append({"expectation": name, "status": status, "row": ""})
    return render(lines, ["expectation", "status", "row"], "csv")


_WRITERS = {Format.table: _table, Format.markdown: _markdown, Format.json: _json, Format.csv: _csv}


def _strict(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: strict(value) for column, value in row.items()}


def _status(outcome: Outcome) -> str:
    return "PASS" if outcome.met else "FAIL"


def _rows_text(outcome: Outcome) -> str:
    count = len(outcome.rows)
    return "" if outcome.met else f"  {count:,} row{'' if count == 1 else 's'}"
