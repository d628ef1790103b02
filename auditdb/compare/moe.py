"""What auditdb reads of routing in two runs, compared: groups with their experts and top-k, routers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from auditdb.compare.folding import Matched, fold_alone, fold_changed, fold_renamed, match
from auditdb.compare.renames import Look, Pair
from auditdb.compare.tree import fields_alone, fields_between
from auditdb.diff_records import Change, Field, Section
from auditdb.store.diff import Thing, only_in

Row = Mapping[str, Any]

GROUP_FIELDS = ("n_routers", "n_experts", "n_shared", "n_zero", "top_k", "n_params", "expert_params", "source")
ROUTER_FIELDS = ("class", "n_experts", "top_k", "source")  # then its group, not shown
ALONE_FIELDS = ("n_routers", "n_experts", "n_shared", "n_zero", "top_k")

_GROUPS = Look(signature=lambda thing: thing.facts[:-1])
_ROUTERS = Look(signature=lambda thing: thing.facts[1:3])


def compare_moe(connection: sqlite3.Connection, a: Row, b: Row, renamed: Mapping[str, str], every: bool) -> Section:
    """The section `moe`; `renamed` is how modules of A are called in B.

    Experts are compared as what their group holds (how many, how large): one is a module here, a slice there.
    """
    if a["reading_id"] == b["reading_id"]:
        return Section("moe")
    groups = _matched(connection, "groups", _GROUPS, a, b, renamed)
    routers = _matched(connection, "routers", _ROUTERS, a, b, renamed)
    between = fields_between(GROUP_FIELDS)
    changes = [
        *fold_changed(groups.changed, between, every),
        *fold_renamed(groups.renamed, between, every),
        *fold_alone(groups.removed, "removed", _without_zeros(fields_alone(ALONE_FIELDS, "removed")), every),
        *fold_alone(groups.added, "added", _without_zeros(fields_alone(ALONE_FIELDS, "added")), every),
        *_router_changes(groups, routers, every),
    ]
    return Section("moe", tuple(map(_weighed, changes)))


def _matched(
    connection: sqlite3.Connection, subject: str, look: Look, a: Row, b: Row, renamed: Mapping[str, str]
) -> Matched:
    mine = only_in(connection, subject, a["reading_id"], b["reading_id"])
    others = only_in(connection, subject, b["reading_id"], a["reading_id"])
    return match(mine, others, look, renamed.get)


def _router_changes(groups: Matched, routers: Matched, every: bool) -> list[Change]:
    """What the group's own line does not say already. A router's class is told under modules."""
    told = {pair.a.name for pair in (*groups.changed, *groups.renamed)}
    gone, come = {thing.name for thing in groups.removed}, {thing.name for thing in groups.added}

    def between(pair: Pair) -> tuple[Field, ...]:
        fields = fields_between(ROUTER_FIELDS)(pair)
        said = ("class", "n_experts", "top_k", "source") if pair.a.facts[-1] in told else ("class",)
        return tuple(f for f in fields if f.name not in said)

    def beyond(things: Iterable[Thing], groups_alone: set[str]) -> list[Thing]:
        return [thing for thing in things if thing.facts[-1] not in groups_alone]

    moved = [pair for pair in routers.renamed if pair.a.facts[-1] not in told]
    return [
        *fold_changed(routers.changed, between, every),
        *fold_renamed(moved, between, every),
        *fold_alone(beyond(routers.removed, gone), "removed", fields_alone(ROUTER_FIELDS, "removed"), every),
        *fold_alone(beyond(routers.added, come), "added", fields_alone(ROUTER_FIELDS, "added"), every),
    ]


def _without_zeros(fields_of: Any) -> Any:
    return lambda thing: tuple(f for f in fields_of(thing) if f.a or f.b)


def _weighed(change: Change) -> Change:
    """How a fact was found out is shown, and is no difference of the model."""
    only_source = change.kind == "changed" and all(field.name == "source" for field in change.fields)
    return replace(change, counts=False) if only_source else change
