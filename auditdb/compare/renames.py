"""Finds what was renamed: families of names (equal but for their numbers) paired by content, place and order.

Works on templates (`model.layers.{}.mlp`), so that 60,000 names are some fifty families, and so that a number alone
never makes a rename: layer 5 is not layer 3 under another name. Everything here is symmetric in A and B.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from auditdb.fold import numbers, template
from auditdb.store.diff import Thing

MANY = 10_000  # pairs of families that look alike; beyond it only the order decides


class Pair(NamedTuple):
    a: Thing
    b: Thing


@dataclass(frozen=True)
class Look:
    """How things of one kind are recognised.

    `signature`: equal for things that may be one under two names. `solid`: whether that signature means much by itself
    (a tensor's shape does, the class of a module without parameters does not). `weight`: own parameters, for things
    that form a tree; a subtree of equal total may be a renamed one even if its class was renamed as well.
    """

    signature: Callable[[Thing], Hashable]
    solid: Callable[[Thing], bool] = lambda thing: True
    weight: Callable[[Thing], int] | None = None


@dataclass
class Family:
    """Things whose names differ in numbers only."""

    key: str
    members: dict[tuple[int, ...], Thing] = field(default_factory=dict)
    total: int = 0  # parameters in the whole subtree of its members, where that is asked for

    @property
    def parts(self) -> list[str]:
        return self.key.split(".")

    @property
    def parent(self) -> str:
        return self.key.rpartition(".")[0]

    @property
    def position(self) -> int:
        return min(thing.position for thing in self.members.values())


class Candidate(NamedTuple):
    subject: tuple[str, str]  # what was renamed: the two names without what they end in alike
    shared: int  # parts that both names have in common
    rank: int  # how far apart the two stand among those that look like them
    a: Family
    b: Family


def renames(a: Iterable[Thing], b: Iterable[Thing], look: Look, parents: Mapping[str, str] | None = None) -> list[Pair]:
    """Pairs of things, one of A and one of B, that are one thing under two names; neither side has the other's name.

    `parents` maps templates of parents that are known to be renamed (modules, when tensors are asked about).
    """
    search = _Search(a, b, look, dict(parents or {}))
    while search.round(search.alike()) or search.round(search.equal_totals()):
        pass
    return search.pairs


class _Search:
    """The families not yet paired on each side, and how templates of A are called in B."""

    def __init__(self, a: Iterable[Thing], b: Iterable[Thing], look: Look, names: dict[str, str]) -> None:
        self.look = look
        self.names = names
        self.free_a = _families(a, look)
        self.free_b = _families(b, look)
        self.pairs: list[Pair] = []

    def round(self, candidates: Sequence[Candidate]) -> bool:
        """Take the candidates, the best supported first, each with all that stands under it; False if none was left."""
        support = Counter(c.subject for c in candidates if self._is_solid(c.a))
        fit = [c for c in candidates if self._is_trusted(c, support[c.subject])]
        if not fit:
            return False
        fit.sort(key=lambda c: (-support[c.subject], -c.shared, c.rank, c.a.position + c.b.position, sorted(c.subject)))
        done: set[tuple[str, str]] = set()
        for candidate in fit:
            if self._take(candidate.a.key, candidate.b.key) and candidate.subject not in done:
                done.add(candidate.subject)
                self._take_below(*candidate.subject)
        return bool(done)

    def _is_solid(self, family: Family) -> bool:
        return self.look.solid(next(iter(family.members.values())))

    def _is_trusted(self, candidate: Candidate, support: int) -> bool:
        """One lone likeness under unlike parents is chance: it takes a sibling, or a level put in or taken out."""
        if self._called(candidate.a.parent) == candidate.b.parent:
            return True
        a, b = len(candidate.a.parts), len(candidate.b.parts)
        return support > 1 or (support == 1 and candidate.shared == min(a, b))

    def _called(self, key: str) -> str:
        return self.names.get(key, key)

    def _take(self, a: str, b: str) -> bool:
        if a not in self.free_a or b not in self.free_b:
            return False
        left, right = self.free_a[a].members, self.free_b[b].members
        common = [key for key in left if key in right]
        if not common:
            return False
        self.pairs += [Pair(left.pop(key), right.pop(key)) for key in common]
        self.names[a] = b
        if not left:
            del self.free_a[a]
        if not right:
            del self.free_b[b]
        return True

    def _take_below(self, a: str, b: str) -> None:
        """What has the same name below a renamed parent goes with it, whatever it has become."""
        start = a + "." if a else ""
        for key in [key for key in self.free_a if key == a or key.startswith(start)]:
            rest = key[len(a) :].removeprefix(".")
            self._take(key, ".".join(part for part in (b, rest) if part))

    def alike(self) -> list[Candidate]:
        """Pairs of equal signature that share their parent, or the last part of their name."""
        found: dict[tuple[str, str], Candidate] = {}
        for by_parent in (True, False):
            left, right = self._buckets(self.free_a, by_parent, True), self._buckets(self.free_b, by_parent, False)
            for bucket in left.keys() & right.keys():
                for candidate in self._candidates(left[bucket], right[bucket]):
                    found.setdefault((candidate.a.key, candidate.b.key), candidate)
        return list(found.values())

    def _buckets(self, families: dict[str, Family], by_parent: bool, is_a: bool) -> dict[Hashable, list[Family]]:
        buckets: dict[Hashable, list[Family]] = defaultdict(list)
        for family in families.values():
            first = min(family.members)
            thing = family.members[first]
            if not by_parent and not self.look.solid(thing):
                continue
            parent = self._called(family.parent) if is_a else family.parent
            place = parent if by_parent else family.parts[-1]
            buckets[place, first, self.look.signature(thing)].append(family)
        return buckets

    def equal_totals(self) -> list[Candidate]:
        """Subtrees under one parent with equally many parameters, where there is but one on each side."""
        if self.look.weight is None:
            return []

        def buckets(families: dict[str, Family], is_a: bool) -> dict[Hashable, list[Family]]:
            found: dict[Hashable, list[Family]] = defaultdict(list)
            for family in families.values():
                if family.total:
                    parent = self._called(family.parent) if is_a else family.parent
                    found[parent, min(family.members), len(family.members), family.total].append(family)
            return found

        left, right = buckets(self.free_a, True), buckets(self.free_b, False)
        return [
            _candidate(left[key][0], right[key][0], 0)
            for key in left.keys() & right.keys()
            if len(left[key]) == len(right[key]) == 1 and left[key][0].key != right[key][0].key
        ]

    def _candidates(self, left: list[Family], right: list[Family]) -> list[Candidate]:
        left, right = sorted(left, key=_place), sorted(right, key=_place)
        if len(left) * len(right) > MANY:
            ranked = [(rank, a, rank, b) for rank, (a, b) in enumerate(zip(left, right, strict=False))]
        else:
            ranked = [(i, a, j, b) for (i, a), (j, b) in product(enumerate(left), enumerate(right))]
        return [_candidate(a, b, abs(i - j)) for i, a, j, b in ranked if a.key != b.key and self._fits(a, b)]

    def _fits(self, a: Family, b: Family) -> bool:
        common = [key for key in a.members if key in b.members]
        if 2 * len(common) < min(len(a.members), len(b.members)):
            return False
        signature = self.look.signature
        return all(signature(a.members[key]) == signature(b.members[key]) for key in common)


def _place(family: Family) -> tuple[int, str]:
    return family.position, family.key


def _families(things: Iterable[Thing], look: Look) -> dict[str, Family]:
    families: dict[str, Family] = {}
    for thing in things:
        key = template(thing.name)
        families.setdefault(key, Family(key)).members[numbers(thing.name)] = thing
    if look.weight is not None:
        for family in list(families.values()):
            own = sum(look.weight(thing) for thing in family.members.values())
            above = family.key
            while above:
                if above in families:
                    families[above].total += own
                above = above.rpartition(".")[0]
    return families


def _candidate(a: Family, b: Family, rank: int) -> Candidate:
    subject, shared = subject_of(a.key, b.key)
    return Candidate(subject, shared, rank, a, b)


def subject_of(a: str, b: str) -> tuple[tuple[str, str], int]:
    """What was renamed, given two full names, and how many parts the names share at both ends together.

    `('model.layers.3.block_sparse_moe.gate', 'model.layers.3.mlp.gate')` gives
    `('model.layers.3.block_sparse_moe', 'model.layers.3.mlp')`. Where one side would be left empty, the last part
    that both end in stays: `language_model.lm_head` became `lm_head`, not nothing.
    """
    left, right = a.split("."), b.split(".")
    shortest = min(len(left), len(right))
    tail = 0
    while tail < shortest and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    head = 0
    while head < shortest - tail and left[head] == right[head]:
        head += 1
    cut = tail - 1 if tail == shortest else tail
    return (".".join(left[: len(left) - cut]), ".".join(right[: len(right) - cut])), head + tail
