"""Pairs banks with their routers, finds the shared experts beside them, and gives each group its name and numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from auditdb.moe.claims import Bank, Claims
from auditdb.moe.config import ZERO_KEYS, Numbers
from auditdb.moe.families import FIXED_TOP_K, zero_experts
from auditdb.moe.shapes import NUMBERED, REACH, SHARED, logit_rows, namesake, stacks
from auditdb.moe.tree import Tree, last, numeral

_TOP_K_ATTRIBUTES = ("top_k", "moe_top_k", "moe_topk", "num_experts_per_tok", "num_experts_per_token")


@dataclass
class Group:
    """A router and what it feeds, while it is being put together. Places are those of the tree."""

    place: int
    router: int | None
    banks: list[Bank]
    shared: list[int] = field(default_factory=list)
    gates: list[int] = field(default_factory=list)
    routed: int = 0
    zero: int = 0
    rows: int | None = None
    top_k: int | None = None


def gather(tree: Tree, claims: Claims, numbers: Numbers) -> list[Group]:
    """All groups in the order of the tree, shared experts and top-k included."""
    around = _routers_around(tree, claims)
    routers = {bank.holder: _router_of(tree, bank, claims, around) for bank in claims.banks}
    by_router: dict[int, list[Bank]] = {}
    groups: list[Group] = []
    for bank in claims.banks:
        router = routers[bank.holder]
        if router is None:
            groups.append(Group(bank.start, None, [bank]))
        else:
            by_router.setdefault(router, []).append(bank)
    for router, banks in by_router.items():
        places = [router, *(place for bank in banks for place in bank.places)]
        groups.append(Group(tree.common(places), router, banks))
    for router, source in claims.routers.items():
        if router not in by_router and source == "declared" and not _is_block(tree, router, claims):
            groups.append(Group(tree.parent(router), router, []))
    groups.sort(key=lambda group: (group.place, -1 if group.router is None else group.router))
    _share(tree, groups)
    for group in groups:
        _count(tree, group, numbers)
    return groups


def _is_block(tree: Tree, place: int, claims: Claims) -> bool:
    return any(tree.contains(place, bank.holder) or tree.contains(place, bank.places[0]) for bank in claims.banks)


def _routers_around(tree: Tree, claims: Claims) -> dict[int, list[int]]:
    """Module → declared routers at most REACH steps below it. Blocks that hold a bank are none."""
    outer = {at for bank in claims.banks for at in _upward(tree, bank.start)}
    found: dict[int, list[int]] = {}
    for router, source in claims.routers.items():
        if source == "declared" and router not in outer:
            for step, at in enumerate(_upward(tree, tree.parent(router))):
                if step < REACH:
                    found.setdefault(at, []).append(router)
    return found


def _upward(tree: Tree, place: int) -> list[int]:
    """A module and those around it, up to its layer: no router feeds experts of another layer."""
    found = [place]
    while tree.modules[place].name and numeral(last(tree.modules[place].name)) is None:
        place = tree.parent(place)
        found.append(place)
    return found


def _router_of(tree: Tree, bank: Bank, claims: Claims, around: dict[int, list[int]]) -> int | None:
    """The nearest declared router (of several, the one with as many rows as experts), else what the source paired."""
    for at in _upward(tree, bank.start)[:REACH]:
        near = around.get(at)
        if near:
            fitting = [router for router in near if logit_rows(tree, router, ()) == bank.n_experts]
            return namesake(tree, bank, fitting or near)
    return claims.pairs.get(bank.holder)


def _share(tree: Tree, groups: list[Group]) -> None:
    """Shared experts stand in the group's module or right beside it (granitemoehybrid's `shared_mlp`).

    Where two groups have one beside them both (ernie4_5_vl_moe), the first group gets it: it is one module, one row.
    """
    taken: set[int] = set()
    for group in groups:
        beside = [group.place]
        if numeral(last(tree.modules[group.place].name)) is None and tree.modules[group.place].name:
            beside.append(tree.parent(group.place))
        busy = {group.router, *(bank.holder for bank in group.banks)}
        for at in beside:
            for child in tree.children.get(at, ()):
                word = last(tree.modules[child].name)
                if not SHARED.search(word) or child in busy or child in taken or tree.contains(child, group.place):
                    continue
                taken.add(child)
                if _is_gate(tree, child):
                    group.gates.append(child)
                elif _is_expert(tree, child):
                    group.shared.extend(_each(tree, child))
        group.shared.sort()


def _is_gate(tree: Tree, place: int) -> bool:
    """A shared-expert gate scores one number a token: its only matrix has one row."""
    matrices = [tensor.shape for tensor in tree.tensors(place) if len(tensor.shape) == 2]
    return len(matrices) == 1 and matrices[0][0] == 1


def _is_expert(tree: Tree, place: int) -> bool:
    """A shared expert goes up and down again: two matrices, or a stack of them."""
    shapes = [tensor.shape for tensor in tree.tensors(place)]
    return sum(len(shape) == 2 for shape in shapes) >= 2 or any(len(shape) >= 3 for shape in shapes)


def _each(tree: Tree, place: int) -> list[int]:
    """The modules of a list of shared experts, else the module itself."""
    below = tree.children.get(place, [])
    if below and not tree.own(place) and all(NUMBERED.fullmatch(last(tree.modules[child].name)) for child in below):
        return below
    return [place]


def _count(tree: Tree, group: Group, numbers: Numbers) -> None:
    """Routed and zero experts, rows of the router, top-k."""
    around = (group.router, *(bank.holder for bank in group.banks), group.place)
    names = [tree.modules[at].name for at in around if at is not None]
    group.routed = sum(bank.n_experts for bank in group.banks)
    said = numbers.attribute(names, ZERO_KEYS) or zero_experts(numbers, names[-1])
    longest = max((shape[0] for b in group.banks for at in b.places for shape in stacks(tree, at)), default=0)
    if group.router is not None:
        group.rows = logit_rows(tree, group.router, (group.routed + said, group.routed))
        if said and group.rows == group.routed + said:
            group.zero = said
    elif said and longest - group.routed == said:
        group.zero = said
    group.top_k = _top_k(tree, group, names, numbers)


def _top_k(tree: Tree, group: Group, names: list[str], numbers: Numbers) -> int | None:
    """What the router, the bank or the block carries; else the class's fixed number; else the raw config's."""
    below = [] if group.router is None else [tree.modules[at].name for at in tree.below(group.router)]
    carried = numbers.attribute([*names, *below[1:]], _TOP_K_ATTRIBUTES)
    if carried is not None:
        return carried
    fixed = next((FIXED_TOP_K[t] for t in sorted(numbers.model_types & FIXED_TOP_K.keys())), None)
    return fixed if fixed is not None else numbers.top_k(names[-1])
