"""Rows to text in the four formats that every row-printing command has. Pure: returns strings, prints nothing."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from auditdb.report.text import exact, markdown_cell, printable

Format = Literal["table", "json", "csv", "markdown"]
FORMATS: tuple[Format, ...] = ("table", "json", "csv", "markdown")


def render(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format, *, folded: bool = True) -> str:
    """Rows as text, ending with a newline. JSON and CSV carry exact values; only tables are humanised.

    `folded`: long cells of a table are cut (never in the other formats).
    """
    if form == "json":
        picked = [{column: strict(row[column]) for column in columns} for row in rows]
        return json.dumps(picked, indent=2, allow_nan=False) + "\n"
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([strict(row[column]) for column in columns] for row in rows)
        return out.getvalue()
    return _tabulated(rows, columns, form, folded)


def _tabulated(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format, folded: bool) -> str:
    from tabulate import tabulate

    if form == "markdown":
        cells = [[markdown_cell(_cell(row[column])) for column in columns] for row in rows]
        align = ["right" if _is_number(rows, column) else "left" for column in columns]
        headers = [markdown_cell(column) for column in columns]
        return (
            tabulate(cells, headers=headers, tablefmt="pipe", colalign=align if cells else None, disable_numparse=True)
            + "\n"
        )
    cells = [[_cut(printable(_cell(row[column])), folded) for column in columns] for row in rows]
    align = ["right" if _is_number(rows, column) else "left" for column in columns]
    if not cells:
        return "(nothing)\n"
    return tabulate(cells, headers=list(columns), tablefmt="simple", colalign=align, disable_numparse=True) + "\n"


def _is_number(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return any(isinstance(row[column], (int, float)) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return exact(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(strict(value))


def strict(value: Any) -> Any:
    """A value as JSON can carry it: of SQLite a BLOB as hex digits, and what is no finite number as text (`inf`)."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [strict(item) for item in value]
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cut(text: str, folded: bool, limit: int = 100) -> str:
    if not folded or len(text) <= limit:
        return text
    return text[: limit // 2 - 1] + "…" + text[-(limit // 2) :]
