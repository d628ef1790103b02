"""Expected tensors, and what lies on disk, of two runs compared; knows nothing of modules."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from auditdb.compare.folding import Matched, fold_alone_below, fold_changed, fold_renamed, match, prefixes
from auditdb.compare.renames import Look, Pair
from auditdb.compare.tree import fields_alone, fields_between
from auditdb.diff_records import Change, Field, Section
from auditdb.fold import fold
from auditdb.store.diff import Thing, knows_prefix, only_in, side_by_side

Row = Mapping[str, Any]

HEAD_FIELDS = ("n_files", "n_tensors", "n_numbers", "n_bytes", "index_total_size")
FILE_FIELDS = ("kind", "size", "sha256")
_TENSORS = Look(signature=lambda thing: thing.facts)
_SHARD = re.compile(r"\d{5}(?=-of-\d{5})")


@dataclass(frozen=True)
class ExpectedDiff:
    section: Section
    match: bool  # both were recorded, and every tensor is in both, under one name or two
    n_renamed: int


def compare_expected(connection: sqlite3.Connection, a: Row, b: Row, every: bool) -> ExpectedDiff:
    """The section `expected`."""
    mine, other = a["expectation_id"], b["expectation_id"]
    if mine is None or other is None:
        missing = _which(mine, other)
        notes = (f"expected tensors were recorded for {missing} only",) if missing else ()
        return ExpectedDiff(Section("expected", notes=notes), False, 0)
    if mine == other:
        return ExpectedDiff(Section("expected"), True, 0)
    tensors = _matched(connection, "expected", mine, other)
    changes = _tensor_changes(connection, "expected", tensors, ("shape",), mine, other, every)
    whole = not (tensors.changed or tensors.removed or tensors.added)
    return ExpectedDiff(Section("expected", tuple(changes)), whole, len(tensors.renamed))


def compare_checkpoints(connection: sqlite3.Connection, a: Row, b: Row, every: bool) -> Section:
    """The section `checkpoint`: totals, tensors, shards, files, remote code that ran, values that FULL measured."""
    changes = [*_code_changes(connection, a, b), *_weight_changes(connection, a, b, every)]
    mine, other = a["checkpoint_id"], b["checkpoint_id"]
    if mine is None or other is None:
        missing = _which(mine, other)
        notes = (f"a checkpoint was recorded for {missing} only",) if missing else ()
        return Section("checkpoint", tuple(changes), notes)
    if mine == other:
        return Section("checkpoint", tuple(changes))
    head = tuple(Field(name, a[name], b[name]) for name in HEAD_FIELDS if a[name] != b[name])
    if head:
        changes.insert(0, Change("changed", "totals", "totals", fields=head))
    tensors = _matched(connection, "checkpoint_tensors", mine, other)
    changes += _tensor_changes(connection, "checkpoint_tensors", tensors, ("shape", "dtype"), mine, other, every)
    moved = side_by_side(connection, "shards", a=mine, b=other)[0]["n"]
    if moved:
        # The files differ by name then, which is what counts.
        label = "tensors in another file"
        changes.append(Change("changed", label, label, moved, counts=False))
    changes += _file_changes(connection, mine, other, every)
    for subject, field in (("faults", "message"), ("strays", "file")):
        wrong = match(only_in(connection, subject, mine, other), only_in(connection, subject, other, mine), _TENSORS)
        pairs = [*wrong.changed, *wrong.renamed]
        changes += fold_changed(pairs, fields_between((field,)), True)
        gone, come = fields_alone((field,), "removed"), fields_alone((field,), "added")
        changes += fold_alone_below(wrong.removed, "removed", gone, lambda prefix: True, every)
        changes += fold_alone_below(wrong.added, "added", come, lambda prefix: True, every)
    return Section("checkpoint", tuple(changes))


def _which(a: int | None, b: int | None) -> str:
    if (a is None) == (b is None):
        return ""
    return "B" if a is None else "A"


def _matched(connection: sqlite3.Connection, subject: str, a: int, b: int) -> Matched:
    def rows(mine: int, other: int) -> list[Thing]:
        """Sorted by name as the store gives them; their place in that order stands for a position."""
        return [thing._replace(position=place) for place, thing in enumerate(only_in(connection, subject, mine, other))]

    return match(rows(a, b), rows(b, a), _TENSORS)


def _tensor_changes(
    connection: sqlite3.Connection, subject: str, tensors: Matched, fields: tuple[str, ...], a: int, b: int, every: bool
) -> list[Change]:
    between = fields_between(fields)
    known_a, known_b = knows_prefix(connection, subject, a), knows_prefix(connection, subject, b)
    over_a = prefixes(pair.a.name for pair in tensors.renamed)
    over_b = prefixes(pair.b.name for pair in tensors.renamed)
    return [
        *fold_changed(tensors.changed, between, every),
        *fold_renamed(tensors.renamed, between, every),
        *fold_alone_below(
            tensors.removed,
            "removed",
            fields_alone(fields, "removed"),
            lambda prefix: prefix in over_a or known_b(prefix),
            every,
        ),
        *fold_alone_below(
            tensors.added,
            "added",
            fields_alone(fields, "added"),
            lambda prefix: prefix in over_b or known_a(prefix),
            every,
        ),
    ]


def _file_changes(connection: sqlite3.Connection, a: int, b: int, every: bool) -> list[Change]:
    mine = {thing.name: thing for thing in only_in(connection, "files", a, b)}
    others = {thing.name: thing for thing in only_in(connection, "files", b, a)}

    def between(pair: Pair) -> tuple[Field, ...]:
        """A size or digest that one look did not take is no difference."""
        fields = fields_between(FILE_FIELDS)(pair)
        return tuple(f for f in fields if f.a not in (None, "") and f.b not in (None, ""))

    both = [Pair(mine.pop(name), others.pop(name)) for name in sorted(mine.keys() & others.keys())]
    changes = []
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[str, tuple[Field, ...]]]] = defaultdict(list)
    for pair in both:
        fields = between(pair)
        if fields:
            label = pair.a.name if every else _SHARD.sub("*", pair.a.name)
            groups[label, tuple(field.name for field in fields)].append((pair.a.name, fields))
    for (label, kinds), rows in groups.items():
        if len(rows) == 1:
            changes.append(Change("changed", rows[0][0], rows[0][0], fields=rows[0][1]))
        else:
            # Many shards with other digests are one line; `--all` gives each digest.
            several = tuple(Field(kind, "various", "various") for kind in kinds)
            changes.append(Change("changed", label, label, len(rows), fields=several))
    for kind, things in (("removed", mine), ("added", others)):
        counted: dict[str, int] = defaultdict(int)
        for name in things:
            counted[name if every else _SHARD.sub("*", name)] += 1
        for name, n in counted.items():
            change = Change("removed", name, None, n) if kind == "removed" else Change("added", None, name, n)
            changes.append(change)
    return changes


def _code_changes(connection: sqlite3.Connection, a: Row, b: Row) -> list[Change]:
    """Remote code that ran: counts where it ran in both looks, else one of them was not allowed to run it."""
    mine, others = (
        {row["name"]: row["sha256"] for row in side_by_side(connection, "code", run=run["run_id"])} for run in (a, b)
    )
    changes = []
    for name in dict.fromkeys([*mine, *others]):
        x, y = mine.get(name), others.get(name)
        if x != y:
            fields = (Field("sha256", x, y),)
            if x is not None and y is not None:
                changes.append(Change("changed", name, name, fields=fields))
            elif x is not None:
                changes.append(Change("removed", name, None, fields=fields))
            else:
                changes.append(Change("added", None, name, fields=fields))
    return changes if mine and others else [replace(change, counts=False) for change in changes]


def _weight_changes(connection: sqlite3.Connection, a: Row, b: Row, every: bool) -> list[Change]:
    """How many tensors hold other values, and which: folded, with the norms where a line stands for one."""
    if not a["mode"] == b["mode"] == "full":
        return []
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in side_by_side(connection, "weights", a=a["run_id"], b=b["run_id"]):
        by_name[row["name"]].append(row)
    if not by_name:
        return []
    other = sum(map(len, by_name.values()))
    label = f"weight values (norm, zeros, NaN, Inf) of {other:,} of {_measured(connection, a, b):,} tensors and slices"
    changes = [Change("changed", label, label, other)]
    for pattern, n in [(name, 1) for name in by_name] if every else fold(by_name):
        rows = by_name.get(pattern, [])
        fields = tuple(Field("norm", row["norm_a"], row["norm_b"]) for row in rows) if len(rows) == 1 else ()
        changes.append(Change("changed", f"values of {pattern}", f"values of {pattern}", len(rows) or n, fields=fields))
    return changes


def values_compared(connection: sqlite3.Connection, a: Row, b: Row) -> bool:
    """Whether anything says that the weights themselves are the same: digests of all files, or FULL's statistics."""
    if a["mode"] == b["mode"] == "full":
        return bool(_measured(connection, a, b))
    if a["checkpoint_id"] is None or a["checkpoint_id"] != b["checkpoint_id"]:
        return False
    return bool(a["n_files"]) and not side_by_side(connection, "undigested", a=a["checkpoint_id"])[0]["n"]


def _measured(connection: sqlite3.Connection, a: Row, b: Row) -> int:
    """How many tensors and slices the statistics of both runs speak of."""
    return int(side_by_side(connection, "measured", a=a["run_id"], b=b["run_id"])[0]["n"])
