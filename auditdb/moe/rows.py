"""From groups to rows: logical experts with their sizes, and the marks of the modules that belong to a group."""

from __future__ import annotations

from auditdb.moe.claims import Bank
from auditdb.moe.groups import Group
from auditdb.moe.shapes import number_of
from auditdb.moe.tree import Tree
from auditdb.records import Expert, ExpertKind, Mark, Source_


def expert_rows(tree: Tree, group: Group, start: int) -> list[Expert]:
    """Routed experts, numbered from `start`, then zero experts, then shared ones."""
    name = tree.modules[group.place].name
    rows: list[Expert] = []
    for bank in group.banks:
        at = start + len(rows)
        rows += _slices(tree, bank, name, at) if bank.fused else _modules(tree, bank, name, at)
    rows += _zero(tree, group, name)
    source = group.banks[0].source if group.banks else "name"
    rows += [_module(tree, at, name, None, "shared", source) for at in group.shared]
    return rows


def _modules(tree: Tree, bank: Bank, name: str, start: int) -> list[Expert]:
    """Experts that are modules, with the numbers that their names give them."""
    return [
        _module(tree, at, name, start + number_of(tree.modules[at].name), "routed", bank.source) for at in bank.places
    ]


def _module(tree: Tree, at: int, name: str, index: int | None, kind: ExpertKind, source: Source_) -> Expert:
    module = tree.modules[at]
    return Expert(module.name, module.class_name, module.parent, name, index, kind, tree.n_params(at), source)


def _slices(tree: Tree, bank: Bank, name: str, start: int) -> list[Expert]:
    holder, class_name = tree.modules[bank.holder].name, tree.modules[bank.places[0]].class_name
    size, _ = slice_sizes(tree, bank)
    return [
        Expert(f"{holder}[{i}]", class_name, holder, name, start + i, "routed", size, bank.source)
        for i in range(bank.n_experts)
    ]


def _zero(tree: Tree, group: Group, name: str) -> list[Expert]:
    """Experts that compute nothing. They are numbered on from the routed ones, as the router's rows are."""
    if not group.zero or not group.banks:
        return []
    bank = group.banks[-1]
    holder, class_name = tree.modules[bank.holder].name, tree.modules[bank.places[0]].class_name
    _, size = slice_sizes(tree, bank) if bank.fused else (0, 0)
    numbers = range(group.routed, group.routed + group.zero)
    return [Expert(f"{holder}[{i}]", class_name, holder, name, i, "zero", size, bank.source) for i in numbers]


def slice_sizes(tree: Tree, bank: Bank) -> tuple[int, int]:
    """Parameters of a routed slice, and of a slice beyond the routed ones; tied tensors count nothing here.

    Biases [E, X] are cut like the matrices [E, X, Y]; a parameter without the leading dimension is nobody's slice. A
    flat matrix [E·I, H] is cut into E runs of rows.
    """
    routed = beyond = 0
    for at in bank.places:
        for tensor in tree.own(at):
            if tensor.tied_to or len(tensor.shape) < 2:
                continue
            length = tensor.shape[0]
            if bank.flat:
                routed += tensor.numel // bank.n_experts
            elif length >= bank.n_experts:
                routed += tensor.numel // length
                beyond += tensor.numel // length if length > bank.n_experts else 0
    return routed, beyond


def mark(tree: Tree, group: Group, marks: dict[int, Mark]) -> int:
    """Mark routers, experts, shared-expert gates and what lies under them, by position; gives their parameters."""
    name = tree.modules[group.place].name
    experts = {at for bank in group.banks for at in bank.places} | set(group.shared)
    tops = experts | set(group.gates) | ({group.router} if group.router is not None else set())
    n_params = 0
    for top in sorted(tops):
        for at in tree.below(top):
            module = tree.modules[at]
            if module.position not in marks:
                n_params += module.n_params
                marks[module.position] = Mark(module.position, at == group.router, at in experts, name)
    return n_params
