"""`auditdb sql`: ad-hoc SQL on a connection that cannot write."""

from __future__ import annotations

from typing import Annotated

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption
from auditdb.errors import UsageError

EXAMPLES = """Examples:

  auditdb sql "SELECT model, n_params, n_active_params FROM run_summary WHERE is_latest"

  auditdb sql "SELECT name, n_params FROM run_modules WHERE run_id = 1 ORDER BY n_params DESC LIMIT 5" --format csv
"""


def register(app: typer.Typer) -> None:
    app.command("sql", epilog=EXAMPLES)(sql)


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT…", help="One statement; `-` reads it from stdin.")],
    timeout: Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds after which it is stopped.")] = 60.0,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> None:
    """Ask the store in SQL. The views run_summary, run_modules, run_parameters, run_routers, run_experts,
    run_moe_groups, run_integrity and run_hooks are made for this; nothing can be written."""
    from auditdb.store.adhoc import ask_freely

    columns, found = ask_freely(db, _stdin() if query == "-" else query, timeout)
    output.rows(found, columns, form.value, whole=True)


def _stdin() -> str:
    import sys

    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is no UTF-8 text (byte {error.start}); give one SQL statement") from error
