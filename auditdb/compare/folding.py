"""Matched rows to folded `Change` records: repeated layers as one pattern, subtrees by their topmost name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auditdb.compare.renames import Look, Pair, renames, subject_of
from auditdb.diff_records import Change, Field
from auditdb.fold import fold, template
from auditdb.store.diff import Thing

Fields = tuple[Field, ...]
Alone = Literal["removed", "added"]


@dataclass(frozen=True)
class Matched:
    """What became of the rows that are not equal: `changed` has one name on both sides, `renamed` two."""

    changed: list[Pair]
    renamed: list[Pair]
    removed: list[Thing]
    added: list[Thing]

    @property
    def names(self) -> dict[str, str]:
        """Renamed: name in A → name in B."""
        return {pair.a.name: pair.b.name for pair in self.renamed}


def match(
    a: Sequence[Thing],
    b: Sequence[Thing],
    look: Look,
    given: Callable[[str], str | None] = lambda name: None,
    parents: dict[str, str] | None = None,
) -> Matched:
    """Pair the differing rows of two runs: by name, by a rename that is known (`given`), by finding renames."""
    in_b = {thing.name: thing for thing in b}
    changed = [Pair(thing, in_b.pop(thing.name)) for thing in a if thing.name in in_b]
    paired = {pair.a.name for pair in changed}
    left = [thing for thing in a if thing.name not in paired]
    renamed = []
    for thing in left:
        other = given(thing.name)
        if other is not None and other in in_b:
            renamed.append(Pair(thing, in_b.pop(other)))
    paired = {pair.a.name for pair in renamed}
    left = [thing for thing in left if thing.name not in paired]
    if left and in_b:
        renamed += renames(left, in_b.values(), look, parents)
    renamed.sort(key=lambda pair: (pair.a.position, pair.b.position, pair.a.name))
    gone, come = {pair.a.name for pair in renamed}, {pair.b.name for pair in renamed}
    return Matched(
        changed,
        renamed,
        [thing for thing in left if thing.name not in gone],
        [thing for thing in in_b.values() if thing.name not in come],
    )


def fold_changed(pairs: Iterable[Pair], fields_of: Callable[[Pair], Fields], every: bool) -> list[Change]:
    """Pairs of one name and differing facts; a pair without a differing field is left out."""
    groups: dict[tuple[str, Fields], list[str]] = defaultdict(list)
    for pair in pairs:
        fields = fields_of(pair)
        if fields:
            groups[pair.a.name if every else template(pair.a.name), fields].append(pair.a.name)
    return [
        Change("changed", name, name, n, fields=fields)
        for (_, fields), names in groups.items()
        for name, n in _patterns(names, every)
    ]


def fold_renamed(pairs: Sequence[Pair], fields_of: Callable[[Pair], Fields], every: bool) -> list[Change]:
    """Renames by what was renamed (a block, not each module in it); one with other facts besides stands for itself."""
    plain: dict[tuple[str, str], list[tuple[str, str, bool]]] = defaultdict(list)
    changed: dict[tuple[str, str, Fields], list[Pair]] = defaultdict(list)
    for pair in pairs:
        fields = fields_of(pair)
        a, b = pair.a.name, pair.b.name
        if every:
            changed[a, b, fields].append(pair)
            continue
        if fields:
            changed[template(a), template(b), fields].append(pair)
        (over, under), _ = subject_of(a, b)
        itself = (over, under) == (a, b)
        if not fields or itself:
            plain[template(over), template(under)].append((over, under, itself))
    result = [change for rows in plain.values() for change in _subjects(rows)]
    listed = {(change.a, change.b) for change in result}
    for (_, _, fields), group in changed.items():
        for a, b, n in _double_patterns([(pair.a.name, pair.b.name) for pair in group], every):
            if (a, b) in listed:  # the renamed block itself has changed: one line for both
                place = next(i for i, change in enumerate(result) if (change.a, change.b) == (a, b))
                result[place] = replace(result[place], fields=fields)
            else:
                result.append(Change("renamed", a, b, n, fields=fields))
    return result


def _subjects(rows: Sequence[tuple[str, str, bool]]) -> list[Change]:
    """One subject's renames: itself with what is below it, or `name.*` where only things below are renamed."""
    themselves = dict.fromkeys((a, b) for a, b, itself in rows if itself)
    below = [(a, b) for a, b, itself in rows if not itself]
    if not themselves:
        counted: dict[tuple[str, str], int] = defaultdict(int)
        for pair in below:
            counted[pair] += 1
        names = list(counted)
        folded = _double_patterns(names, False)
        each = len(below) // len(names) if len(below) % len(names) == 0 and len(set(counted.values())) == 1 else 0
        if each:
            return [Change("renamed", f"{a}.*", f"{b}.*", n * each) for a, b, n in folded]
        return [Change("renamed", f"{a}.*", f"{b}.*", count) for (a, b), count in counted.items()]
    folded = _double_patterns(list(themselves), False)
    share = len(below) if len(folded) == 1 else 0
    result = [Change("renamed", a, b, n, below=share) for a, b, n in folded]
    if not share and below:
        result[0] = replace(result[0], below=len(below))
    return result


def fold_alone(things: Iterable[Thing], kind: Alone, fields_of: Callable[[Thing], Fields], every: bool) -> list[Change]:
    """Modules that only one run has, by the topmost of each subtree; `below` counts those under it."""
    alone = {thing.name: thing for thing in things}
    groups: dict[tuple[str, Fields], dict[str, int]] = defaultdict(dict)
    for name in alone:
        top = name if every else _topmost(name, alone)
        fields = fields_of(alone[top])
        group = groups[top if every else template(top), fields]
        group[top] = group.get(top, -1) + 1
    result = []
    for (_, fields), tops in groups.items():
        patterns = _patterns(tops, every)
        below = sum(tops.values())
        for place, (name, n) in enumerate(patterns):
            share = below * n // len(tops)
            share = below - sum(below * m // len(tops) for _, m in patterns[1:]) if place == 0 else share
            result.append(_alone(kind, name, n, share, fields))
    return result


def _topmost(name: str, alone: dict[str, Thing]) -> str:
    top = name
    while "." in name:
        name = name.rpartition(".")[0]
        if name in alone:
            top = name
        else:
            break
    return top


def fold_alone_below(
    things: Iterable[Thing],
    kind: Alone,
    fields_of: Callable[[Thing], Fields],
    is_known: Callable[[str], bool],
    every: bool,
) -> list[Change]:
    """Tensors that only one run has: as `prefix.*` where the other run knows nothing of the prefix, else one by one."""
    tops: dict[str, list[Thing]] = defaultdict(list)
    for thing in things:
        tops[thing.name if every else _unknown_prefix(thing.name, is_known)].append(thing)
    single: dict[tuple[str, Fields], list[str]] = defaultdict(list)
    several: dict[tuple[str, int], list[str]] = defaultdict(list)
    for top, members in tops.items():
        if len(members) == 1:
            name = members[0].name
            single[name if every else template(name), fields_of(members[0])].append(name)
        else:
            several[template(top), len(members)].append(top)
    result = [
        _alone(kind, name, n, 0, fields) for (_, fields), names in single.items() for name, n in _patterns(names, every)
    ]
    result += [
        _alone(kind, f"{name}.*", n * each, 0, ())
        for (_, each), names in several.items()
        for name, n in _patterns(names, False)
    ]
    return result


def _unknown_prefix(name: str, is_known: Callable[[str], bool]) -> str:
    end = name.find(".")
    while end != -1:
        if not is_known(name[:end]):
            return name[:end]
        end = name.find(".", end + 1)
    return name


def prefixes(names: Iterable[str]) -> frozenset[str]:
    """Every dotted prefix of the names."""
    found: set[str] = set()
    for name in names:
        while "." in name:
            name = name.rpartition(".")[0]
            if name in found:
                break
            found.add(name)
    return frozenset(found)


def _alone(kind: Alone, name: str, n: int, below: int, fields: Fields) -> Change:
    if kind == "added":
        return Change(kind, None, name, n, below, fields)
    return Change(kind, name, None, n, below, fields)


def _patterns(names: Iterable[str], every: bool) -> list[tuple[str, int]]:
    if every:
        return [(name, 1) for name in names]
    return [(folded.pattern, folded.n) for folded in fold(names)]


def _double_patterns(pairs: Sequence[tuple[str, str]], every: bool) -> list[tuple[str, str, int]]:
    """Patterns for pairs of names that have the same numbers on both sides."""
    if every:
        return [(a, b, 1) for a, b in pairs]
    left, right = fold(a for a, _ in pairs), fold(b for _, b in pairs)
    return [(a.pattern, b.pattern, a.n) for a, b in zip(left, right, strict=True)]
