"""`auditdb sweep`: many FAST audits, with a progress bar, resumable."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Annotated, Any, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption
from auditdb.report.text import printable
from auditdb.words import counted

EXAMPLES = """Examples:

  auditdb sweep models/ --jobs 4

  auditdb sweep ids.txt --db fleet.db

  ls -d /models/*/ | auditdb sweep -
"""


def register(app: typer.Typer) -> None:
    app.command("sweep", epilog=EXAMPLES)(sweep)


def sweep(
    targets: Annotated[
        list[str], typer.Argument(metavar="FILE|FOLDER…", help="Files of model ids, folders of models, or - for stdin.")
    ],
    jobs: Annotated[Optional[int], typer.Option("--jobs", "-j", min=1, help="Processes; else one a core.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed before.")] = False,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> int:
    """Audit many models FAST in few processes. What is recorded already is skipped, so the same command resumes.

    Exit code 1: a model failed its checks or could not be audited; the list at the end says which and why.
    """
    from auditdb.store.migrate import ensure
    from auditdb.sweep import find_models
    from auditdb.sweep import sweep as sweep_models

    models = find_models(targets, sys.stdin)
    ensure(db)
    counts: Counter[str] = Counter()
    skipped = 0
    bad: list[dict[str, Any]] = []
    with typer.progressbar(
        sweep_models(db, models, jobs or os.cpu_count() or 1, retry=retry),
        length=len(models),
        label="auditing",
        show_pos=True,
        file=sys.stderr,
    ) as outcomes:
        for outcome in outcomes:
            counts[outcome.status] += 1
            skipped += outcome.skipped
            if outcome.status in ("FAIL", "failed"):
                row = {
                    "model": outcome.model,
                    "status": outcome.status,
                    "run": outcome.run_id,
                    "reason": outcome.reason,
                }
                bad.append(row)
    if form is Format.table:
        output.data("".join(map(_told, bad)))
    else:
        output.rows(bad, ["model", "status", "run", "reason"], form.value)
    parts = [f"{counts[status]} {status}" for status in ("PASS", "FAIL", "failed") if counts[status]]
    again = f" ({skipped} recorded before, skipped)" if skipped else ""
    output.say(f"{counted(len(models), 'model')}: {', '.join(parts) or 'nothing to do'}{again}; store {db}")
    return 1 if bad else 0


def _told(row: dict[str, Any]) -> str:
    """What went wrong with one model. Two lines: a table would be as wide as the longest reason."""
    run = f" (run {row['run']})" if row["run"] else ""
    return f"{row['status']:<8}{printable(row['model'])}{run}\n        {printable(row['reason'])}\n"
