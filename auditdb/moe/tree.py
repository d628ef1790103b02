"""A structure indexed for questions about its shape: children, subtrees, own tensors. It judges nothing."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import accumulate

from auditdb.records import Module, Structure, Tensor

Signature = tuple[tuple[str, tuple[int, ...]], ...]

_NUMERAL = re.compile(r"[0-9]{1,9}")


class Tree:
    """The modules of a structure in depth-first order, so that each subtree is one slice.

    Everything is addressed by *place*: the index in that order. `modules[place].position` is the structure's own.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        by_parent: dict[str, list[Module]] = {}
        for module in structure.modules:
            if module.name:
                by_parent.setdefault(module.parent, []).append(module)
        self.modules: list[Module] = []
        self.ends: list[int] = []
        self._order(by_parent)
        self.place: dict[str, int] = {module.name: index for index, module in enumerate(self.modules)}
        self._own: dict[int, list[Tensor]] = {}
        stacked: set[int] = set()
        for tensor in structure.tensors:
            if tensor.kind == "parameter":
                self._own.setdefault(tensor.module, []).append(tensor)
                if len(tensor.shape) >= 3:
                    stacked.add(tensor.module)
        # Places of the modules that hold a parameter of 3 dimensions or more, in order.
        self.stacked = [at for at, module in enumerate(self.modules) if module.position in stacked]
        self._signatures: dict[int, Signature] = {}
        self._tensors = [0, *accumulate(len(self._own.get(module.position, ())) for module in self.modules)]
        self._sums = [0, *accumulate(module.n_params for module in self.modules)]

    def _order(self, by_parent: dict[str, list[Module]]) -> None:
        """Depth first. (Trees from tensor names may come in any order, `named_modules()` is in this one already.)"""
        todo: list[tuple[Module | None, int]] = [(m, -1) for m in reversed(self.structure.modules) if not m.name]
        while todo:
            module, opened = todo.pop()
            if module is None:
                self.ends[opened] = len(self.modules)
                continue
            place = len(self.modules)
            self.modules.append(module)
            self.ends.append(place + 1)
            below = by_parent.get(module.name)
            if below:
                todo.append((None, place))
                todo.extend((child, -1) for child in reversed(below))

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """Place → places of the direct children."""
        found: dict[int, list[int]] = {}
        for place, module in enumerate(self.modules):
            if module.name:
                found.setdefault(self.place[module.parent], []).append(place)
        return found

    def own(self, place: int) -> list[Tensor]:
        """The parameters that a module holds itself."""
        return self._own.get(self.modules[place].position, [])

    def below(self, place: int) -> range:
        """Places of a module and everything under it."""
        return range(place, self.ends[place])

    def tensors(self, place: int) -> list[Tensor]:
        """The parameters of a whole subtree, in order."""
        return [tensor for at in self.below(place) for tensor in self.own(at)]

    def n_params(self, place: int) -> int:
        """Parameters of a whole subtree, each counted where it stands first."""
        return self._sums[self.ends[place]] - self._sums[place]

    def n_tensors(self, place: int) -> int:
        """How many parameter tensors a subtree holds."""
        return self._tensors[self.ends[place]] - self._tensors[place]

    def signature(self, place: int) -> Signature:
        """Names (from the module on) and shapes of a subtree's parameters: equal for modules of one make."""
        known = self._signatures.get(place)
        if known is None:
            cut = len(self.modules[place].name) + 1
            known = tuple([(tensor.name[cut:], tensor.shape) for at in self.below(place) for tensor in self.own(at)])
            self._signatures[place] = known
        return known

    def parent(self, place: int) -> int:
        """Place of the parent; the root is its own."""
        module = self.modules[place]
        return self.place[module.parent] if module.name else place

    def contains(self, outer: int, inner: int) -> bool:
        """Whether a module is, or lies under, another."""
        return outer <= inner < self.ends[outer]

    def common(self, places: list[int]) -> int:
        """Nearest module that has all of these under it, or is one of them."""
        low, high = min(places), max(places)
        at = low
        while not self.contains(at, high):
            at = self.parent(at)
        return at


def last(name: str) -> str:
    """The last component of a dotted name."""
    return name.rpartition(".")[2]


def is_of_names(structure: Structure) -> bool:
    """Whether a tree was had from the tensors' names alone: what is not recognised there may have a name of its own."""
    return not any(module.class_name for module in structure.modules)


def numeral(component: str) -> int | None:
    """The number that a component of a name is, as of a layer or an expert; None for a word.

    Numbers of ten digits are words: int() refuses long ones. So are numbers of other scripts, and `²`, which isdigit()
    takes.
    """
    return int(component) if _NUMERAL.fullmatch(component) else None
