"""The parts of the README that are generated: the commands with their one-line help, and the schema as migrations make
it. `python docs/generate.py` rewrites them; a test holds the README to them."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from auditdb.cli.app import make_app
from auditdb.store.migrate import ensure
from auditdb.store.schema import Table

README = Path(__file__).parent.parent / "README.md"


def commands() -> str:
    """A table row a command: how it is called, and the first sentence of its help."""
    lines = ["| command | does |", "|---|---|"]
    for path, command in _commands(typer.main.get_command(make_app())):
        arguments = " ".join(
            parameter.metavar or parameter.name.upper()
            for parameter in command.params
            if parameter.param_type_name == "argument"
        )
        sentence = re.split(r"(?<=\.)\s", " ".join(command.help.split()))[0]
        called = " ".join(["auditdb", *path, arguments]).strip().replace("|", "\\|")
        lines.append(f"| `{called}` | {sentence} |")
    return "\n".join(lines)


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def schema() -> str:
    """The views with their columns, then the tables with theirs, from a store that the migrations have just made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        ensure(path)
        connection = sqlite3.connect(path)
        views = [
            row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")
        ]
        columns = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for name in [*views, *Table.metadata.tables]
        }
        connection.close()
    lines = ["| view | columns |", "|---|---|"]
    lines += [f"| `{name}` | {' '.join(columns[name])} |" for name in views if name != "run_key"]
    lines += ["", "| table | columns | what a row is |", "|---|---|---|"]
    for mapper in sorted(Table.registry.mappers, key=lambda mapper: mapper.local_table.name):
        doc = (mapper.class_.__doc__ or "").strip().split("\n")[0]
        name = mapper.local_table.name
        lines.append(f"| `{name}` | {' '.join(columns[name])} | {doc} |")
    return "\n".join(lines)


PARTS = {"commands": commands, "schema": schema}


def generated(text: str) -> str:
    """The README with its generated parts made anew."""
    for name, make in PARTS.items():
        begin, end = f"<!-- generated: {name} -->\n", f"\n<!-- end: {name} -->"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + make() + end + after
    return text


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
