"""Active parameters per token, from a structure's total and the rows of its experts. It reads no config."""

from __future__ import annotations

from typing import NamedTuple

from auditdb.moe.shapes import hides_experts
from auditdb.records import Expert, MoeGroup, Structure


class Active(NamedTuple):
    """`n_active` and `n_active_no_embedding` in parameters; None where they are not known."""

    n_active: int | None
    n_active_no_embedding: int | None
    is_bound: bool
    notes: tuple[str, ...]


def active(structure: Structure, groups: tuple[MoeGroup, ...], experts: tuple[Expert, ...]) -> Active:
    """Everything except routed and zero experts, plus the top-k of the routed ones in each group.

    Papers count with the input embedding or without it, so both are given. An upper bound where zero experts can take
    places in the top-k, or where the experts of a group differ in size (the largest are taken).
    """
    if not groups and hides_experts(structure):
        note = "the tensors' names speak of experts in a layout that is not recognised: active parameters unknown"
        return Active(None, None, False, (note,))
    notes: list[str] = []
    sizes: dict[str, list[int]] = {group.name: [] for group in groups}
    left = structure.n_params
    for row in experts:
        if row.kind == "shared":
            continue
        left -= row.n_params
        if row.kind == "routed":
            sizes[row.moe_group].append(row.n_params)
    is_bound = any(group.n_zero for group in groups)
    if is_bound:
        notes.append("zero experts can take places in the top-k: the active parameters are an upper bound")
    for group in groups:
        if group.top_k is None:
            notes.append(f"no top-k is known for {group.name}: active parameters unknown")
            return Active(None, None, is_bound, tuple(notes))
        mine = sizes[group.name]
        if len(set(mine)) > 1:
            is_bound = True
            notes.append(f"the experts of {group.name} differ in size: the active parameters are an upper bound")
            mine.sort(reverse=True)
        left += sum(mine[: group.top_k * max(1, group.n_routers)])
    return Active(left, _without_embedding(structure, left), is_bound, tuple(dict.fromkeys(notes)))


def _without_embedding(structure: Structure, n_active: int) -> int | None:
    """Less the input embedding, whether or not the head is tied to it. A tree that no class built may hide one."""
    if not structure.input_embedding:
        return None if structure.own_total is None else n_active
    return n_active - next((t.numel for t in structure.tensors if t.name == structure.input_embedding), 0)
