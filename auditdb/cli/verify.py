"""`auditdb verify`: is the store what was written, and does a build still give what a run recorded?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption

EXAMPLES = """Examples:

  auditdb verify --db audit.db

  auditdb verify --rebuild latest
"""


def register(app: typer.Typer) -> None:
    app.command("verify", epilog=EXAMPLES)(verify)


def verify(
    rebuild: Annotated[
        Optional[str],
        typer.Option("--rebuild", metavar="RUN", help="Instead: build this run's model anew, and compare."),
    ] = None,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> int:
    """Derive every digest and every stored sum again from the rows, and name what does not hold.

    With --rebuild RUN, build the model of that FAST run from its stored config instead, and compare the tree, its
    reading and the expected tensors with what was recorded: the proof that reusing it is right.

    Exit code 1: something was altered or lost, or the build gives something else.
    """
    if rebuild is not None:
        return _rebuild(rebuild, form, db)
    from auditdb.store.read import reading
    from auditdb.store.verify import verify as verify_store

    progress = output.Progress()
    with reading(db) as connection:
        found = verify_store(connection, lambda table: progress(f"verifying {table}"))
    progress.clear()
    if form is Format.table and not found:
        output.data("the store is whole: every digest and every sum holds\n")
    else:
        rows = [{"table": one.table, "row": one.row, "problem": one.problem} for one in found]
        output.rows(rows, ["table", "row", "problem"], form.value, whole=True)
    return 1 if found else 0


def _rebuild(selector: str, form: Format, db: Path) -> int:
    from auditdb.audit.again import build_again
    from auditdb.store.read import ask, reading
    from auditdb.store.select import select_run

    with reading(db) as connection:
        run = ask(connection, "rebuild", run=select_run(connection, selector))[0]
    progress = output.Progress()
    progress(f"building the model of run {run['run_id']}")
    found = build_again(run)
    progress.clear()
    same = all(one.equal for one in found)
    if form is Format.table and same:
        output.data(f"run {run['run_id']} holds: built anew, its {', '.join(one.what for one in found)} are the same\n")
    else:
        rows = [{"what": o.what, "recorded": o.recorded, "rebuilt": o.rebuilt, "equal": int(o.equal)} for o in found]
        output.rows(rows, ["what", "recorded", "rebuilt", "equal"], form.value, whole=True)
    return 0 if same else 1
