"""`auditdb db …`: the store itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption
from auditdb.words import counted

db_app = typer.Typer(help="The store itself.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(db_app, name="db")


@db_app.command("path", epilog="Example:  sqlite3 $(auditdb db path)")
def path(db: DbOption = DB_DEFAULT) -> None:
    """Print the store's full path, whether it exists or not."""
    output.data(f"{db.absolute()}\n")


@db_app.command("status", epilog="Example:  auditdb db status --format json")
def status(form: FormatOption = Format.table, db: DbOption = DB_DEFAULT) -> None:
    """The store's schema revision, its size, and how many rows each table has."""
    from auditdb.store.status import store_status

    facts = store_status(db)
    output.rows(
        [{"fact": key, "value": value} for key, value in facts.items()], ["fact", "value"], form.value, whole=True
    )


@db_app.command("upgrade", epilog="Example:  auditdb db upgrade --db audit.db")
def upgrade(db: DbOption = DB_DEFAULT) -> None:
    """Make the store, or bring it to this program's schema, after a backup."""
    from auditdb.store.migrate import ensure
    from auditdb.store.status import store_status

    backup = ensure(db)
    if backup:
        output.say(f"backup: {backup}")
    output.data(f"{db.absolute()}: schema {store_status(db)['schema']}\n")


@db_app.command("backup", epilog="Example:  auditdb db backup --to audit-2026.db")
def backup(
    to: Annotated[Optional[Path], typer.Option("--to", help="The file to write; it must not exist.")] = None,
    db: DbOption = DB_DEFAULT,
) -> None:
    """Write a compact copy of the store."""
    from auditdb.store.connect import open_for_reading
    from auditdb.store.migrate import back_up

    connection = open_for_reading(db, behind_is_fine=True)
    try:
        output.data(f"{back_up(connection, db, to)}\n")
    finally:
        connection.close()


@db_app.command("forget", epilog="Example:  auditdb db forget 3 org/model~1")
def forget(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="The runs to delete.")],
    db: DbOption = DB_DEFAULT,
) -> None:
    """Delete runs. What they shared with others stays; `db gc` removes what no run needs any more."""
    from auditdb.store.keep import forget as forget_runs
    from auditdb.store.read import reading
    from auditdb.store.select import select_run

    with reading(db) as connection:
        chosen = sorted({select_run(connection, text) for text in runs})
    forget_runs(db, chosen)
    output.data("".join(f"forgot run {run}\n" for run in chosen))


@db_app.command("gc", epilog="Example:  auditdb db gc --yes")
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only said what would be.")] = False,
    db: DbOption = DB_DEFAULT,
) -> None:
    """Delete structures, configs, checkpoints … that no run needs any more, and shrink the file. Dry by default."""
    from auditdb.store.connect import refuse_what_is_no_file
    from auditdb.store.keep import collect, unneeded
    from auditdb.store.read import reading

    if yes:
        refuse_what_is_no_file(db)
        before = db.stat().st_size if db.exists() else 0
        found = collect(db)
        output.say(f"{before - db.stat().st_size:,} bytes freed")
    else:
        with reading(db) as connection:
            found = unneeded(connection)
    verb = "deleted" if yes else "would delete"
    lines = [f"{verb} {len(ids)} of {table}\n" for table, ids in found.items() if ids]
    output.data("".join(lines) or "nothing to delete\n")
    if lines and not yes:
        output.say("nothing was changed; `auditdb db gc --yes` deletes it")


@db_app.command("merge", epilog="Example:  auditdb db merge ci/*.db --db all.db")
def merge(
    others: Annotated[list[Path], typer.Argument(metavar="OTHER…", help="Stores whose runs to bring in.")],
    db: DbOption = DB_DEFAULT,
) -> None:
    """Bring the runs of other stores into this one. Repeating it changes nothing."""
    from auditdb.store.keep import merge as merge_store
    from auditdb.store.migrate import ensure

    ensure(db)
    for other in others:
        added, known = merge_store(db, other)
        output.data(f"{other}: {counted(added, 'run')} added, {known} known already\n")
