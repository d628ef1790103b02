"""The records of a comparison: what `compare/` finds and `report/` writes. Standard library only, no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

SectionName = Literal[
    "identity", "config", "totals", "modules", "parameters", "moe", "expected", "checkpoint", "integrity"
]
SECTIONS: tuple[SectionName, ...] = (
    "identity",
    "config",
    "totals",
    "modules",
    "parameters",
    "moe",
    "expected",
    "checkpoint",
    "integrity",
)

Kind = Literal["changed", "renamed", "removed", "added"]
Verdict = Literal["same", "same weights, other modules", "same model, read differently", "different"]


class Field(NamedTuple):
    """One fact that differs. In an addition `a` is None, in a removal `b` is; an unknown number is None as well."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Change:
    """One difference, or `n` alike ones folded into a pattern.

    `a` is the name (or pattern) in run A, None for what was added; `b` the one in run B, None for what was removed.
    `below` counts further rows that stand under the named ones and share their fate (the modules of an added layer).
    `counts`: whether it makes the two runs different; what does not is shown for the reader's sake.
    """

    kind: Kind
    a: str | None
    b: str | None
    n: int = 1
    below: int = 0
    fields: tuple[Field, ...] = ()
    counts: bool = True


@dataclass(frozen=True)
class Section:
    """The differences of one kind of fact; `notes` say what could not be compared and why."""

    name: SectionName
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return any(change.counts for change in self.changes)


@dataclass(frozen=True)
class Diff:
    """Two runs compared. `a` and `b` are their identities; `sections` holds only those with something in them."""

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    verdict: Verdict
    sentence: str
    sections: tuple[Section, ...]

    @property
    def differs(self) -> bool:
        return any(section.differs for section in self.sections)
