"""The last source: modules called experts. Low trust, and never alone.

Two of three numbers must agree (the bank's size, the rows of a named router, the config's count); where nothing counts
experts, a named router must stand beside them. It is there for what is broken: a bank whose router is gone, or
that lacks an expert, or has one of another shape.
"""

from __future__ import annotations

from auditdb.moe.claims import Bank, Claims
from auditdb.moe.config import Numbers
from auditdb.moe.shapes import candidates, in_experts, logit_rows, named_router, usual_signature
from auditdb.moe.structural import expected_rows
from auditdb.moe.tree import Tree
from auditdb.records import Source_


def names(tree: Tree, numbers: Numbers) -> Claims:
    """Banks below `experts` where the bank's size, a named router's rows and the config's count agree in two."""
    banks: list[Bank] = []
    routers: dict[int, Source_] = {}
    pairs: dict[int, int] = {}
    for bank in candidates(tree, numbers.counts, "name"):
        if not in_experts(tree.modules[bank.holder].name) or not _of_one_make(tree, bank):
            continue
        router = named_router(tree, bank)
        rows = None if router is None else logit_rows(tree, router, expected_rows(tree, bank, numbers))
        counted = bank.n_experts in numbers.counts
        agree = counted or rows in expected_rows(tree, bank, numbers) or rows in numbers.counts
        if not agree and (numbers.counts or router is None):
            continue
        banks.append(bank)
        if router is not None:
            routers[router] = "name"
            pairs[bank.holder] = router
    return Claims(tuple(banks), routers, pairs)


def _of_one_make(tree: Tree, bank: Bank) -> bool:
    """At least half of the modules have one shape, which holds a matrix."""
    if bank.fused:
        return True
    _, common = usual_signature(tree, bank)
    return 2 * common >= bank.n_experts and any(len(tensor.shape) == 2 for tensor in tree.tensors(bank.places[0]))
