"""Options and arguments that several commands share, each declared once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


DbOption = Annotated[
    Path,
    typer.Option("--db", envvar="AUDITDB_DB", help="The store, a SQLite file.", show_default="audit.db here"),
]
DB_DEFAULT = Path("audit.db")

FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How rows are printed.")]

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="An id (17), `latest`, MODEL, MODEL@REVISION, or one of these with ~N for N runs before."
    ),
]

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many rows.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every row, not folded.")]
