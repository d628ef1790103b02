"""From a structure and what was declared to the reading: the one door of this room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from auditdb.moe.active import active
from auditdb.moe.claims import Claims, merge
from auditdb.moe.config import Numbers
from auditdb.moe.declared import declared
from auditdb.moe.families import UNROUTED, families
from auditdb.moe.groups import Group, gather
from auditdb.moe.names import names
from auditdb.moe.rows import expert_rows, mark
from auditdb.moe.structural import structural
from auditdb.moe.tree import Tree
from auditdb.records import Declared, Expert, Mark, MoeGroup, Reading, Router, Structure
from auditdb.words import counted

# Strongest first.
SOURCES: dict[str, Callable[[Tree, Numbers], Claims]] = {
    "declared": declared,
    "family": families,
    "structural": structural,
    "name": names,
}


def read_moe(
    structure: Structure,
    declared: Declared,
    raw_config: Mapping[str, Any],
    sources: tuple[str, ...] = tuple(SOURCES),
) -> Reading:
    """auditdb's reading of a structure: DESIGN section 4, "Routers and experts" and "Active parameters".

    `declared` may be empty (transformers 4, trees made from tensor names), and class names may be ''. `raw_config` is
    the JSON as it came. `sources` leaves some of them out, for the benchmark.
    """
    tree = Tree(structure)
    numbers = Numbers(raw_config, declared)
    claims = merge([find(tree, numbers) for name, find in SOURCES.items() if name in sources])
    if numbers.model_types & UNROUTED:
        claims = Claims(tuple(b for b in claims.banks if b.source != "name"), claims.routers, claims.pairs)
    marks: dict[int, Mark] = {}
    groups: dict[str, MoeGroup] = {}
    routers: list[Router] = []
    experts: list[Expert] = []
    for group in gather(tree, claims, numbers):
        name = tree.modules[group.place].name
        beside = groups.get(name)
        experts += expert_rows(tree, group, beside.n_experts if beside else 0)
        if group.router is not None:
            module = tree.modules[group.router]
            source = claims.routers[group.router]
            routers.append(Router(module.name, module.class_name, name, group.routed, group.top_k, source))
        row = _row(group, name, mark(tree, group, marks))
        groups[name] = row if beside is None else _together(beside, row)
    counted = active(structure, tuple(groups.values()), tuple(experts))
    return Reading(
        groups=tuple(groups.values()),
        routers=tuple(routers),
        experts=tuple(experts),
        marks=tuple(marks[position] for position in sorted(marks)),
        n_active=counted.n_active,
        n_active_no_embedding=counted.n_active_no_embedding,
        active_is_bound=counted.is_bound,
        notes=(*counted.notes, *_low_trust(experts)),
    )


def _row(group: Group, name: str, n_params: int) -> MoeGroup:
    return MoeGroup(
        name=name,
        n_routers=0 if group.router is None else 1,
        n_experts=group.routed,
        n_shared=len(group.shared),
        n_zero=group.zero,
        top_k=group.top_k,
        n_params=n_params,
    )


def _together(one: MoeGroup, other: MoeGroup) -> MoeGroup:
    """Two populations whose nearest common module is the same one: a group of two routers."""
    return MoeGroup(
        name=one.name,
        n_routers=one.n_routers + other.n_routers,
        n_experts=one.n_experts + other.n_experts,
        n_shared=one.n_shared + other.n_shared,
        n_zero=one.n_zero + other.n_zero,
        top_k=one.top_k if one.top_k == other.top_k else None,
        n_params=one.n_params + other.n_params,
    )


def _low_trust(experts: list[Expert]) -> tuple[str, ...]:
    guessed = Counter(row.moe_group for row in experts if row.source == "name")
    return tuple(f"{counted(count, 'expert')} of {group} known by name only" for group, count in guessed.items())
