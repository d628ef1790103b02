"""Two runs of one store compared: differing rows by SQL, renames and folds over them, one sentence on top."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from auditdb.compare.config import compare_configs
from auditdb.compare.disk import compare_checkpoints, compare_expected, values_compared
from auditdb.compare.judge import IDENTITY, compare_identity, compare_integrity, compare_totals
from auditdb.compare.moe import compare_moe
from auditdb.compare.sentence import sentence_of, verdict_of
from auditdb.compare.tree import compare_trees
from auditdb.diff_records import SECTIONS, Diff, Section, SectionName
from auditdb.store.diff import run_head


def compare(
    connection: sqlite3.Connection, a: int, b: int, *, only: Collection[SectionName] = SECTIONS, every: bool = False
) -> Diff:
    """What differs between the runs with these ids.

    `only`: the sections wanted; the sentence and `differs` are about these alone. `every`: nothing is folded.
    Raises SelectorError if a run is not there.
    """
    left, right = run_head(connection, a), run_head(connection, b)
    tree = compare_trees(connection, left, right, every)
    expected = compare_expected(connection, left, right, every)
    found: tuple[Section, ...] = (
        compare_identity(left, right),
        _configs(left, right),
        compare_totals(left, right),
        tree.modules,
        tree.parameters,
        compare_moe(connection, left, right, tree.renamed, every),
        expected.section,
        compare_checkpoints(connection, left, right, every),
        compare_integrity(connection, left, right),
    )
    wanted = [section for section in found if section.name in only]
    verdict = verdict_of(left, right, wanted, tree, expected)
    if len(wanted) < len(SECTIONS):
        # A part of the sections can't tell that the rest is the same.
        verdict = "different" if any(section.differs for section in wanted) else "same"
    by_name: dict[str, Section] = {section.name: section for section in wanted}
    known = "checkpoint" not in only or values_compared(connection, left, right)
    sentence = sentence_of(verdict, left, right, by_name, tree, expected, known)
    if len(wanted) < len(SECTIONS):
        sentence = f"{sentence} (compared: {', '.join(by_name)})"
    return Diff(
        a=_identity(left),
        b=_identity(right),
        verdict=verdict,
        sentence=sentence,
        sections=tuple(section for section in wanted if section.changes or section.notes),
    )


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("run_id", *IDENTITY, "started_at", "status")}


def _configs(a: dict[str, Any], b: dict[str, Any]) -> Section:
    if a["config_id"] == b["config_id"]:
        return Section("config")
    return compare_configs(a["config_text"], b["config_text"])
