"""The first source: routers and banks that transformers itself declares. It adds no guess of its own."""

from __future__ import annotations

from auditdb.moe.claims import Claims
from auditdb.moe.config import Numbers
from auditdb.moe.shapes import SHARED, bank_of, stacks
from auditdb.moe.tree import Tree, last


def declared(tree: Tree, numbers: Numbers) -> Claims:
    """Declared banks that hold stacks of matrices, and declared routers.

    `_can_record_outputs` may point at the block around a router (doge, ernie4_5_vl_moe) or at the attention (jetmoe):
    a module with a bank or another declared router inside is no router.
    """
    said = numbers.declared
    banks = tuple(
        bank_of(tree, tree.place[name], "declared")
        for name in sorted(said.banks)
        if name in tree.place and stacks(tree, tree.place[name]) and not SHARED.search(last(name))
    )
    named = {name for name in said.routers if name in tree.place}
    inside = [bank.holder for bank in banks] + [tree.place[name] for name in named]
    around = {above for place in inside for above in _above(tree, place)}
    return Claims(banks, {tree.place[name]: "declared" for name in said.routers if name in named - around})


def _above(tree: Tree, place: int) -> list[str]:
    """Names of all modules around one."""
    words = tree.modules[place].name.split(".")
    return [".".join(words[:length]) for length in range(1, len(words))]
