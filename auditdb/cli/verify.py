"""`auditdb verify`: is the store what was written?"""

from __future__ import annotations

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption


def register(app: typer.Typer) -> None:
    app.command("verify", epilog="Example:  auditdb verify --db audit.db")(verify)


def verify(form: FormatOption = Format.table, db: DbOption = DB_DEFAULT) -> int:
    """Derive every digest and every stored sum again from the rows, and name what does not hold.

    Exit code 1: something was altered or lost.
    """
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
