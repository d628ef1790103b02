"""The SQL that the commands ask, one file a question in `sql/`, named as the command that asks it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "sql"


@cache
def question(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
