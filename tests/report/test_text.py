"""Names from a model are data: in a terminal, a spreadsheet, a Markdown table, a file system."""

from __future__ import annotations

import pytest

from auditdb.report.text import csv_cell, exact, file_name, human, human_bytes, markdown_cell, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model.layers.0", "model.layers.0"),
        ("größe", "größe"),
        ("a\x1b[31mred", "a\\u001b[31mred"),
        ("a\x9b31m", "a\\u009b31m"),
        ("line\nbreak\ttab", "line\\u000abreak\\u0009tab"),
        ("\u202eright to left", "\\u202eright to left"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        ("a=b", "a=b"),
        (-3, -3),
        ("", ""),
        ("\t=x", "\\u0009=x"),
        ("a\x1b[2J\nb", "a\\u001b[2J\\u000ab"),
    ],
)
def test_csv_cell(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_markdown_cell() -> None:
    assert markdown_cell("&lt; $x$") == "\\&lt; \\$x\\$"
    assert markdown_cell("a|b`c*d_e[f](g)<h>") == "a\\|b\\`c\\*d\\_e\\[f\\](g)\\<h\\>"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("org/Mixtral-8x7B-v0.1", "org_Mixtral-8x7B-v0.1"),
        ("../../etc/passwd", "etc_passwd"),
        ("..", "model"),
        ("a\x00b c", "a_b_c"),
        ("x" * 300, "x" * 100),
    ],
)
def test_file_name(name: str, file: str) -> None:
    assert file_name(name) == file


def test_numbers() -> None:
    assert [human(n) for n in (None, 0, 999, 1_000, 46_702_792_704, 1_026_408_232_448)] == [
        "unknown",
        "0",
        "999",
        "1 K",
        "46.7 B",
        "1.03 T",
    ]
    assert [exact(n) for n in (None, 46_702_792_704)] == ["unknown", "46,702,792,704"]
    assert [human_bytes(n) for n in (None, 5, 2048, 3 * 2**40)] == ["unknown", "5 B", "2.0 KiB", "3.0 TiB"]
