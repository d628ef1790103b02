"""Modules, parameters and built dtypes of two runs compared; knows nothing of routing or of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from auditdb.compare.folding import Matched, fold_alone, fold_alone_below, fold_changed, fold_renamed, match, prefixes
from auditdb.compare.renames import Look, Pair
from auditdb.diff_records import Change, Field, Section
from auditdb.fold import listing, template
from auditdb.store.diff import Thing, knows_prefix, only_in, side_by_side

Row = Mapping[str, Any]

MODULE_FIELDS = ("class", "n_params", "n_trainable", "n_buffers")  # then the shapes of its own tensors, not shown
PARAMETER_FIELDS = ("kind", "shape", "trainable", "persistent", "tied_to")
FEW = 2_000  # tensors whose names are worth fetching for one line

_MODULES = Look(
    signature=lambda thing: thing.facts,
    solid=lambda thing: bool(thing.facts[1] or thing.facts[3]),
    weight=lambda thing: int(thing.facts[1]),
)
# Two tensors may be one under two names whatever they are tied to: that name may have changed as well.
_PARAMETERS = Look(signature=lambda thing: thing.facts[:4])


@dataclass(frozen=True)
class TreeDiff:
    """Both sections, and how the modules of A are called in B."""

    modules: Section
    parameters: Section
    renamed: Mapping[str, str]
    parameters_match: bool  # every parameter is in both, under one name or two, with one shape
    n_renamed_parameters: int


def compare_trees(connection: sqlite3.Connection, a: Row, b: Row, every: bool) -> TreeDiff:
    """The sections `modules` and `parameters`; equal structures are not even looked at."""
    dtypes = dtype_changes(connection, a, b, every)
    if a["structure_id"] == b["structure_id"]:
        return TreeDiff(Section("modules"), Section("parameters", tuple(dtypes)), {}, True, 0)
    modules = _matched_modules(connection, a["structure_id"], b["structure_id"])
    renamed = modules.names
    templates = {template(name): template(other) for name, other in renamed.items()}
    parameters = match(
        only_in(connection, "parameters", a["structure_id"], b["structure_id"]),
        only_in(connection, "parameters", b["structure_id"], a["structure_id"]),
        _PARAMETERS,
        lambda name: _moved(name, renamed),
        templates,
    )
    changes = _parameter_changes(connection, a, b, parameters, every)
    notes: tuple[str, ...] = ()
    module_changes = _module_changes(modules, every)
    if not module_changes and not changes:
        notes = ("the same modules and parameters in another order, or under another embedding's name",)
    return TreeDiff(
        Section("modules", tuple(module_changes), notes),
        Section("parameters", tuple(changes + dtypes)),
        renamed,
        _all_match(parameters),
        sum(pair.a.facts[0] == "parameter" for pair in parameters.renamed),
    )


def _matched_modules(connection: sqlite3.Connection, a: int, b: int) -> Matched:
    return match(only_in(connection, "modules", a, b), only_in(connection, "modules", b, a), _MODULES)


def _moved(name: str, renamed: Mapping[str, str]) -> str | None:
    """A tensor's name in B if its module was renamed."""
    module, _, leaf = name.rpartition(".")
    return f"{renamed[module]}.{leaf}" if module in renamed else None


def fields_between(names: tuple[str, ...]) -> Callable[[Pair], tuple[Field, ...]]:
    """The facts in which a pair differs, by these names; facts beyond the names are not shown."""

    def fields_of(pair: Pair) -> tuple[Field, ...]:
        return tuple(Field(name, x, y) for name, x, y in zip(names, pair.a.facts, pair.b.facts, strict=False) if x != y)

    return fields_of


def fields_alone(names: tuple[str, ...], kind: str) -> Callable[[Thing], tuple[Field, ...]]:
    """The facts of a thing that one run lacks, in A or in B as its kind says; without flags that are as usual."""

    def fields_of(thing: Thing) -> tuple[Field, ...]:
        facts = [(name, value) for name, value in zip(names, thing.facts, strict=False) if value is not None]
        return tuple(Field(name, *((fact, None) if kind == "removed" else (None, fact))) for name, fact in facts)

    return fields_of


def _module_changes(modules: Matched, every: bool) -> list[Change]:
    between = fields_between(MODULE_FIELDS)
    return [
        *fold_changed(modules.changed, between, every),
        *fold_renamed(modules.renamed, between, every),
        *fold_alone(modules.removed, "removed", fields_alone(MODULE_FIELDS[:1], "removed"), every),
        *fold_alone(modules.added, "added", fields_alone(MODULE_FIELDS[:1], "added"), every),
    ]


def _parameter_changes(
    connection: sqlite3.Connection, a: Row, b: Row, parameters: Matched, every: bool
) -> list[Change]:
    names = parameters.names

    def between(pair: Pair) -> tuple[Field, ...]:
        """A tie to a tensor that was itself renamed is the same tie."""
        fields = fields_between(PARAMETER_FIELDS)(pair)
        return tuple(f for f in fields if not (f.name == "tied_to" and names.get(f.a, f.a) == f.b))

    known_b = knows_prefix(connection, "parameters", b["structure_id"])
    known_a = knows_prefix(connection, "parameters", a["structure_id"])
    over_a = prefixes(pair.a.name for pair in parameters.renamed)
    over_b = prefixes(pair.b.name for pair in parameters.renamed)
    shown = PARAMETER_FIELDS[:2]
    return [
        *fold_changed(parameters.changed, between, every),
        *fold_renamed(parameters.renamed, between, every),
        *fold_alone_below(
            parameters.removed,
            "removed",
            fields_alone(shown, "removed"),
            lambda prefix: prefix in over_a or known_b(prefix),
            every,
        ),
        *fold_alone_below(
            parameters.added,
            "added",
            fields_alone(shown, "added"),
            lambda prefix: prefix in over_b or known_a(prefix),
            every,
        ),
    ]


def _all_match(parameters: Matched) -> bool:
    alone = any(thing.facts[0] == "parameter" for thing in (*parameters.removed, *parameters.added))
    pairs = (*parameters.changed, *parameters.renamed)
    solid = [pair for pair in pairs if "parameter" in (pair.a.facts[0], pair.b.facts[0])]
    return not alone and all(pair.a.facts[:2] == pair.b.facts[:2] for pair in solid)


def dtype_changes(connection: sqlite3.Connection, a: Row, b: Row, every: bool) -> list[Change]:
    """One line for all dtypes. It counts between looks of one mode and one major version of transformers.

    Otherwise it tells of the library's default (4 builds float32, 5 what the config says), not of the model.
    """
    if a["dtype_map_id"] == b["dtype_map_id"]:
        return []
    ids = {
        "a": a["structure_id"],
        "b": b["structure_id"],
        "dtypes_a": a["dtype_map_id"],
        "dtypes_b": b["dtype_map_id"],
    }
    found = side_by_side(connection, "dtypes", **ids)
    counts = (a["mode"], _major(a)) == (b["mode"], _major(b))
    defaults = Field("dtype", a["default_dtype"], b["default_dtype"])
    if not found:
        # No tensor has kept its name: the defaults are all there is to compare.
        lone = Change("changed", "most tensors", "most tensors", fields=(defaults,), counts=counts)
        return [lone] if defaults.a != defaults.b else []
    found.sort(key=lambda row: (-row["n"], sorted((row["a"], row["b"]))))
    total = sum(row["n"] for row in found)

    def names_of(row: Row) -> list[str]:
        asked = side_by_side(connection, "dtype_names", **ids, dtype_a=row["a"], dtype_b=row["b"])
        return [str(named["name"]) for named in asked]

    if every:
        return [
            Change("changed", name, name, fields=(Field("dtype", row["a"], row["b"]),), counts=counts)
            for row in found
            for name in names_of(row)
        ]
    if total <= FEW and defaults.a == defaults.b:
        label = listing([name for row in found for name in names_of(row)], most=2)
    else:
        label = f"{total:,} tensor{'' if total == 1 else 's'}"
    fields = tuple(Field("dtype", row["a"], row["b"]) for row in found)
    return [Change("changed", label, label, total, fields=fields, counts=counts)]


def _major(run: Row) -> str:
    return str(run["transformers"]).partition(".")[0]
