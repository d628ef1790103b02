"""Names and numbers as they stand in sentences."""

from __future__ import annotations

from auditdb.words import counted, shown


def test_names_of_strangers_are_fit_for_one_line() -> None:
    assert shown("a\x1b[31m\nb") == "a\\x1b[31m\\x0ab"
    assert shown("y" * 400) == "y" * 80 + "…" + "y" * 80


def test_a_number_with_its_noun() -> None:
    assert (counted(1, "expert"), counted(0, "expert")) == ("1 expert", "0 experts")
    assert (counted(2_345, "entry", "entries"), counted(1, "entry", "entries")) == ("2,345 entries", "1 entry")
