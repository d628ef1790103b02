"""Every command says what it does, with an example; the README names each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from auditdb.cli import app
from tests.cli.command import ROOT


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app.make_app())))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_and_example(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help and command.help.strip().endswith(".")
    assert command.epilog and "auditdb " in command.epilog
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(path)} {parameter.name} has no help"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_readme_names_it(path: tuple[str, ...]) -> None:
    assert f"auditdb {' '.join(path)}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_file_alone_has_the_commands_that_it_is_asked_for() -> None:
    for names in app.COMMANDS.values():
        for name in names:
            group: Any = typer.main.get_command(app.make_app(name))
            assert tuple(group.commands) == names
    assert {path[0] for path in COMMANDS} == {name for names in app.COMMANDS.values() for name in names}
