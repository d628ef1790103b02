"""Shapes that may be experts and routers: candidates only. Whether one is believed, a source decides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import takewhile

from auditdb.moe.claims import Bank
from auditdb.moe.tree import Tree, is_of_names, last, numeral
from auditdb.records import Source_, Structure

NUMBERED = re.compile(r"(?:[A-Za-z]\w*_)?([0-9]{1,9})")
SHARED = re.compile(r"(^|_)shared?(_|$)")
EXPERTS = re.compile(r"(^|\.)(\w+_)?experts(\.|$)")
ROUTER = re.compile(r"(^|_)(gate|router|gating|routing|wg|classifier|switch|router_gate)$")

# How far from its experts a router may stand: `mlp.moe.experts` and `mlp.router` are two steps apart.
REACH = 3


def in_experts(name: str) -> bool:
    """Whether a name passes through a component like `experts`, and through none like `shared_experts`."""
    return EXPERTS.search(name) is not None and not any(SHARED.search(word) for word in name.split("."))


def hides_experts(structure: Structure) -> bool:
    """Whether a tree that was had from names alone speaks of several experts: without a group, none was recognised."""
    numbered = (module.name for module in structure.modules if NUMBERED.fullmatch(last(module.name)))
    return is_of_names(structure) and any(number_of(name) > 0 and in_experts(name) for name in numbered)


def number_of(name: str) -> int:
    """The number that a name ends in: 3 of `experts.3` and of `experts.expert_3`."""
    found = NUMBERED.fullmatch(last(name))
    if found is None:
        raise ValueError(f"no expert's name: {name}")
    return int(found[1])


def candidates(tree: Tree, counts: Collection[int], source: Source_) -> Iterator[Bank]:
    """Fused modules and numbered containers that could be banks, `shared_…` ones apart."""
    yield from fused(tree, source)
    for holder, below in tree.children.items():
        if not any(tree.modules[below[end]].name[-1].isdigit() for end in (0, -1)):
            continue
        name = tree.modules[holder].name
        # A container may hold something beside its experts, but nothing with parameters (nllb's dropout).
        if len(below) < 2 or not (in_experts(name) or len(below) in counts) or SHARED.search(last(name)):
            continue
        numbered = [at for at in below if NUMBERED.fullmatch(last(tree.modules[at].name)) and tree.n_tensors(at)]
        places = tuple(sorted(numbered, key=lambda at: number_of(tree.modules[at].name)))
        known = set(places)
        if len(places) > 1 and not any(tree.n_tensors(at) for at in below if at not in known):
            yield Bank(holder, places, tree.parent(holder), False, len(places), source)


def fused(tree: Tree, source: Source_) -> Iterator[Bank]:
    """Modules with a parameter of 3 or more dimensions; parallel ones under one parent are one bank (jetmoe)."""
    parallel: dict[tuple[int, int], list[int]] = {}
    for place in tree.stacked:
        module, shapes = tree.modules[place], stacks(tree, place)
        if not shapes or SHARED.search(last(module.name)) or "Conv" in module.class_name:
            continue
        if len(shapes) == 1:
            parallel.setdefault((tree.parent(place), shapes[0][0]), []).append(place)
            continue
        yield bank_of(tree, place, source)
    for (parent, count), places in parallel.items():
        if len(places) == 1:
            yield bank_of(tree, places[0], source)
        else:
            yield Bank(parent, tuple(places), parent, True, count, source)


def bank_of(tree: Tree, place: int, source: Source_) -> Bank:
    """A fused bank in one module. Where its tensors disagree on the leading dimension, the smaller one counts."""
    count = min(shape[0] for shape in stacks(tree, place))
    return Bank(place, (place,), tree.parent(place), True, count, source)


def stacks(tree: Tree, place: int) -> list[tuple[int, ...]]:
    """Shapes of a module's own parameters that can be stacks of matrices: 3 dimensions or more, none of them 1."""
    return [tensor.shape for tensor in tree.own(place) if len(tensor.shape) >= 3 and min(tensor.shape) > 1]


def uniform(tree: Tree, bank: Bank) -> bool:
    """Whether all experts of a bank have one shape."""
    if bank.fused:
        return len({shape[0] for place in bank.places for shape in stacks(tree, place)}) == 1
    return len({tree.signature(place) for place in bank.places}) == 1


def usual_signature(tree: Tree, bank: Bank) -> tuple[object, int]:
    """The most common signature among the modules of a bank, and how many have it."""
    return Counter(tree.signature(place) for place in bank.places).most_common(1)[0]


def find_router(tree: Tree, bank: Bank, rows: Collection[int]) -> int | None:
    """The module beside a bank whose logits have one of `rows` rows; a name of a router goes before any other.

    Without such a name it must hold one matrix and nothing more, right beside the bank.
    """
    at = bank.start
    for step in range(REACH):
        named: list[int] = []
        plain: list[int] = []
        for child in tree.children.get(at, ()):
            word = last(tree.modules[child].name)
            if SHARED.search(word) or any(tree.contains(child, place) for place in bank.places):
                continue
            matrices = [tensor.shape[0] for tensor in tree.tensors(child) if len(tensor.shape) == 2]
            if not any(count in rows for count in matrices):
                continue
            if ROUTER.search(word):
                named.append(child)
            elif step == 0 and len(matrices) == 1 and not stacks(tree, child):
                plain.append(child)
        if named or plain:
            return namesake(tree, bank, named or plain)
        # A layer is as far as a router can be: the next step up holds the routers of other layers.
        if numeral(last(tree.modules[at].name)) is not None or not tree.modules[at].name:
            return None
        at = tree.parent(at)
    return None


def namesake(tree: Tree, bank: Bank, routers: list[int]) -> int:
    """Of several routers beside a bank the one that begins like it (`vision_gate`, `vision_experts`), or the first."""
    word = last(tree.modules[bank.holder].name)

    def alike(router: int) -> int:
        pairs = zip(word, last(tree.modules[router].name), strict=False)
        return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))

    return max(routers, key=alike)


def named_router(tree: Tree, bank: Bank) -> int | None:
    """The nearest module with a router's name and a matrix of two rows or more, whatever their number."""
    at = bank.start
    for _ in range(REACH):
        for child in tree.children.get(at, ()):
            word = last(tree.modules[child].name)
            if ROUTER.search(word) and not SHARED.search(word) and (logit_rows(tree, child, ()) or 0) > 1:
                return child
        if numeral(last(tree.modules[at].name)) is not None or not tree.modules[at].name:
            return None
        at = tree.parent(at)
    return None


def logit_rows(tree: Tree, router: int, wanted: Collection[int]) -> int | None:
    """Rows of a router's logits: of the matrix that has a wanted number, else of its own, else of the last one below.

    None for a router without a matrix.
    """
    matrices = [tensor for tensor in tree.tensors(router) if len(tensor.shape) == 2]
    for count in wanted:
        if any(tensor.shape[0] == count for tensor in matrices):
            return count
    own = [tensor.shape[0] for tensor in tree.own(router) if len(tensor.shape) == 2]
    below = [tensor.shape[0] for tensor in matrices if tensor.shape[0] > 1]
    return own[0] if own else (below[-1] if below else None)
