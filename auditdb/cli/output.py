"""Where output goes: data to stdout, talk to stderr; progress only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.report.rows import Format, render
from auditdb.report.text import printable


def data(text: str) -> None:
    """Write text to stdout: exactly for a program, and for a terminal with nothing in it that a terminal obeys."""
    sys.stdout.write(_harmless(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def rows(found: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format, *, whole: bool = False) -> None:
    """Write rows to stdout in one of the four formats; `whole` leaves long cells of a table uncut."""
    data(render(found, columns, form, folded=not whole))


def say(text: str) -> None:
    """A line to stderr."""
    sys.stderr.write(_harmless(text) + "\n")
    sys.stderr.flush()


def _harmless(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


class Progress:
    """One line on stderr that says what is being done, rewritten in place; silent unless stderr is a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[2K{text} …")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
