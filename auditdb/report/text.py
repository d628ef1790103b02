"""Text that a terminal, a CSV reader or a Markdown page can be given: names from a model are data, never commands."""

from __future__ import annotations

import unicodedata

# A spreadsheet takes a cell that starts with one of these for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@")

# Characters that change how the rest of a line is shown: controls, bidi and other format characters, line separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text with control and format characters written as escapes, so that no terminal obeys them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSAFE_CATEGORIES else char for char in text)


def csv_cell(value: object) -> object:
    """A value for a classic CSV: printable text; what a spreadsheet would take for a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def markdown_cell(text: str) -> str:
    """A table cell of Markdown in which nothing is markup."""
    safe = printable(text)
    for char in ("\\", "`", "*", "_", "[", "]", "<", ">", "|", "#", "~", "&", "$"):
        safe = safe.replace(char, "\\" + char)
    return safe


def file_name(text: str) -> str:
    """A model's name as one harmless file name: letters, digits, dot, dash and underscore, never empty or hidden."""
    cleaned = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in text)
    return (cleaned.strip("._")[:100]) or "model"


def human(number: int | None) -> str:
    """A count as people say it: `46.7 B`; 'unknown' for None."""
    if number is None:
        return "unknown"
    for size, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def exact(number: int | None) -> str:
    """A count with thousands separators; 'unknown' for None."""
    return "unknown" if number is None else f"{number:,}"


def human_bytes(number: int | None) -> str:
    """A size as people say it: `3.2 MiB`."""
    if number is None:
        return "unknown"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")
