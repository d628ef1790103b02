"""The command tree: every command registered once, nothing imported that a command does not need."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from auditdb import __version__

# Each file of this room that has commands, with their names, in the order of the help.
COMMANDS = {
    "run": ("run",),
    "look": ("list", "show", "report", "top", "moe", "layers"),
    "diff": ("diff",),
    "check": ("check",),
    "prune": ("prune",),
    "ask": ("sql",),
    "sweep": ("sweep",),
    "verify": ("verify",),
    "store": ("db",),
}


def make_app(first: str = "") -> typer.Typer:
    """The whole tree; where the command line's `first` word names a command, only the file that has it.

    Importing all of them and reading their signatures takes longer than most of them work.
    """
    app = typer.Typer(
        name="auditdb",
        help="What a Hugging Face model is made of, whether its parts fit together, and what changed between looks.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done; 1 done, and there is something to see; 2 wrong usage; 3 could not do it.",
    )
    app.callback()(_root)
    for name in [name for name, commands in COMMANDS.items() if first in commands] or COMMANDS:
        import_module(f"auditdb.cli.{name}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auditdb {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
