"""The command tree: every command registered once, nothing imported that a command does not need."""

from __future__ import annotations

from typing import Annotated

import typer

from auditdb import __version__
from auditdb.cli import ask, check, diff, look, prune, run, store, sweep, verify

app = typer.Typer(
    name="auditdb",
    help="What a Hugging Face model is made of, whether its parts fit together, and what changed between two looks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, and there is something to see; 2 wrong usage; 3 could not do it.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auditdb {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


run.register(app)
look.register(app)
diff.register(app)
check.register(app)
prune.register(app)
ask.register(app)
sweep.register(app)
verify.register(app)
store.register(app)
