"""The third source: a bank of E, a sibling router with E rows, and E in the config. It needs all of them at once."""

from __future__ import annotations

from auditdb.moe.claims import Bank, Claims
from auditdb.moe.config import SINK_KEYS, Numbers
from auditdb.moe.families import zero_experts
from auditdb.moe.shapes import candidates, find_router, in_experts, stacks, uniform
from auditdb.moe.tree import Tree
from auditdb.records import Source_


def structural(tree: Tree, numbers: Numbers) -> Claims:
    """Banks and routers that prove each other by shape."""
    banks: list[Bank] = []
    routers: dict[int, Source_] = {}
    pairs: dict[int, int] = {}
    for bank in candidates(tree, numbers.counts, "structural"):
        name = tree.modules[bank.holder].name
        if not (bank.n_experts in numbers.counts if numbers.counts else in_experts(name)):
            continue
        if not uniform(tree, bank) and not zero_slices(tree, bank, numbers):
            continue
        router = find_router(tree, bank, expected_rows(tree, bank, numbers))
        if router is None:
            continue
        banks.append(bank)
        routers[router] = "structural"
        pairs[bank.holder] = router
    return Claims(tuple(banks), routers, pairs)


def expected_rows(tree: Tree, bank: Bank, numbers: Numbers) -> tuple[int, ...]:
    """Rows that a router of this bank may have: one an expert; with zero experts; with rows for shared experts."""
    name = tree.modules[bank.holder].name
    zero = zero_experts(numbers, name)
    sinks = numbers.number(name, SINK_KEYS) or 0
    return tuple(dict.fromkeys((bank.n_experts, bank.n_experts + zero, bank.n_experts + sinks)))


def zero_slices(tree: Tree, bank: Bank, numbers: Numbers) -> bool:
    """Whether the longer tensors of a fused bank are longer by the config's number of zero experts (longcat)."""
    if not bank.fused:
        return False
    longest = max(shape[0] for place in bank.places for shape in stacks(tree, place))
    return longest - bank.n_experts == zero_experts(numbers, tree.modules[bank.holder].name)
