"""Names that differ in numbers only, folded into one pattern; it knows nothing of what the names stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from auditdb.words import shown

# A number that is a whole part of a dotted name (`layers.31`), or the number of `expert_31`. Not the 1 of `w1`, and
# only in its plainest spelling: of `layers.03` or a number of thousands of digits no name could be made again.
_NUMBER = re.compile(r"(?:(?<=\.)|(?<=\.expert_)|^)(?:0|[1-9][0-9]{0,17})(?=\.|$)")

_MOST_NUMBERS = 8  # in one name; a name of more is a pattern by itself. Real ones have two


class Folded(NamedTuple):
    """`pattern` is like `model.layers.{0-31}.mlp.experts.{0-7}.w2.weight` and stands for exactly `n` names."""

    pattern: str
    n: int


def template(name: str) -> str:
    """The name with each number replaced by `{}`: equal for tensors that differ in layer or expert only."""
    return _NUMBER.sub("{}", name)


def numbers(name: str) -> tuple[int, ...]:
    """The numbers that `template` takes out, in order."""
    return tuple(map(int, _NUMBER.findall(name)))


def fold(names: Iterable[str]) -> tuple[Folded, ...]:
    """Patterns that stand for exactly these names, each name once, in the order of their first name.

    Runs of numbers are written `0-7`, gaps `0-2,5`. Where the numbers are no full grid (layer 3 lacks an expert),
    several patterns of one template come out.
    """
    groups: dict[str, dict[tuple[int, ...], str]] = {}
    plain: dict[str, int] = {}
    for name in names:
        found = () if "{" in name else numbers(name)
        if 0 < len(found) <= _MOST_NUMBERS:
            groups.setdefault(template(name), {})[found] = name
        else:
            groups.setdefault(name, {})
            plain[name] = 1
    folded: list[Folded] = []
    for key, rows in groups.items():
        if key in plain:
            folded.append(Folded(shown(key), 1))
        for grid in _grids(sorted(rows)):
            count = 1
            for axis in grid:
                count *= len(axis)
            text = key
            for axis in grid:
                text = text.replace("{}", str(axis[0]) if len(axis) == 1 else "{" + _runs(axis) + "}", 1)
            folded.append(Folded(shown(text), count))
    return tuple(folded)


def listing(names: Iterable[str], most: int = 5) -> str:
    """The first `most` patterns in one line, with a count where one stands for several, and how many names follow."""
    folded = fold(names)
    parts = [f.pattern if f.n == 1 else f"{f.pattern} ({f.n:,})" for f in folded[:most]]
    rest = sum(f.n for f in folded[most:])
    return ", ".join(parts) + (f" and {rest:,} more" if rest else "")


def _grids(rows: list[tuple[int, ...]]) -> list[tuple[tuple[int, ...], ...]]:
    """Cover sorted tuples of one length exactly by products of number sets: equal remainders share a first axis."""
    if not rows:
        return []
    if len(rows[0]) == 1:
        return [(tuple(row[0] for row in rows),)]
    rests: dict[int, list[tuple[int, ...]]] = {}
    for row in rows:
        rests.setdefault(row[0], []).append(row[1:])
    firsts: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for first, rest in rests.items():
        firsts.setdefault(tuple(rest), []).append(first)
    return [(tuple(axis), *grid) for rest, axis in firsts.items() for grid in _grids(list(rest))]


def _runs(axis: tuple[int, ...]) -> str:
    parts: list[str] = []
    start = last = axis[0]
    for number in (*axis[1:], None):
        if number is not None and number == last + 1:
            last = number
            continue
        parts.append(str(start) if start == last else f"{start}-{last}")
        if number is not None:
            start = last = number
    return ",".join(parts)
