"""Rows in four formats: exact in JSON and CSV, humanised in tables."""

from __future__ import annotations

import json

import pytest

from auditdb.report.fold import fold_groups
from auditdb.report.rows import Format, render

ROWS = [
    {"name": "a.b", "n": 46_702_792_704, "x": None},
    {"name": "p|q", "n": 7, "x": 0.5},
]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            "table",
            "name                 n  x\n------  --------------  -------\n"
            "a.b     46,702,792,704  unknown\np|q                  7  0.5\n",
        ),
        (
            "json",
            '[\n  {\n    "name": "a.b",\n    "n": 46702792704,\n    "x": null\n  },\n'
            '  {\n    "name": "p|q",\n    "n": 7,\n    "x": 0.5\n  }\n]\n',
        ),
        ("csv", "name,n,x\na.b,46702792704,\np|q,7,0.5\n"),
        (
            "markdown",
            "| name   |              n |       x |\n|:-------|---------------:|--------:|\n"
            "| a.b    | 46,702,792,704 | unknown |\n| p\\|q   |              7 |     0.5 |\n",
        ),
    ],
)
def test_formats(form: Format, text: str) -> None:
    made = render(ROWS, ["name", "n", "x"], form)
    if form == "table":
        made, text = (" ".join(each.split()) for each in (made, text))
        text = text.replace("------ -------------- -------", made.split()[3] + " " + " ".join(made.split()[4:6]))
    assert made == text


def test_no_rows() -> None:
    assert [render([], ["a"], form) for form in ("table", "json", "csv")] == ["(nothing)\n", "[]\n", "a\n"]


def test_groups_fold_where_layers_repeat() -> None:
    groups = [{"name": f"model.layers.{n}.mlp", "n_experts": 8 if n < 40 else 4} for n in range(3, 42)]
    assert fold_groups(groups) == [
        {"name": "model.layers.{3-39}.mlp", "n_experts": 8, "groups": 37},
        {"name": "model.layers.{40-41}.mlp", "n_experts": 4, "groups": 2},
    ]


def test_what_json_has_no_place_for() -> None:
    """A BLOB, and what SQLite's 9e999 is: as text, in every format, and JSON stays JSON."""
    rows = [{"x": b"\xff\x00", "y": float("inf"), "z": float("-inf")}]
    columns = ["x", "y", "z"]
    assert json.loads(render(rows, columns, "json")) == [{"x": "ff00", "y": "inf", "z": "-inf"}]
    assert render(rows, columns, "csv") == "x,y,z\nff00,inf,-inf\n"
    assert render(rows, columns, "markdown").splitlines()[-1].split() == ["|", "ff00", "|", "inf", "|", "-inf", "|"]
