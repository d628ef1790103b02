"""What separates a checkpoint from its class, named as it stands on disk; it decides PASS, FAIL or unknown from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from auditdb.checkpoint.headers import n_elements
from auditdb.fold import listing, numbers, template
from auditdb.records import Checkpoint, LoaderVerdict, Status, StoredTensor, Structure
from auditdb.words import shown

_EXPERT = re.compile(r"experts\.(?:expert_)?\{\}")  # in a template
Shape = tuple[int, ...]
Reshaped = tuple[str, Shape, Shape]


@dataclass(frozen=True)
class Differences:
    """`missing`, `stray` and `reshaped` are names on disk where that can be told, else names of the state dict.

    `renumbered`: experts that the loader would take in their order whatever their numbers are.
    `lost`: shard → its tensors by the index, where the shard can't be read. `head`: an output head that nobody ties,
    and that disk lacks. `undecided`: why nobody can tell.
    """

    missing: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    reshaped: tuple[Reshaped, ...] = ()
    experts: tuple[str, ...] = ()
    renumbered: bool = False
    problems: tuple[str, ...] = ()
    lost: tuple[tuple[str, tuple[str, ...]], ...] = ()
    loader: tuple[str, ...] = ()
    head: str = ""
    undecided: str = ""

    @classmethod
    def between(
        cls,
        stored: Sequence[StoredTensor],
        wanted: Mapping[str, Shape],
        verdict: LoaderVerdict | None,
        problems: tuple[str, ...],
        lost: Mapping[str, Sequence[str]],
    ) -> Differences:
        """`stored` are logical tensors without known extras; a verdict that fits leaves numbering and problems only."""
        shapes = {t.name: t.shape for t in stored}
        gone = {name for names in lost.values() for name in names}
        absent = [name for name in wanted if name not in shapes and name not in gone]
        new = [name for name in shapes if name not in wanted]
        on_disk, in_class = {template(name) for name in shapes}, {template(name) for name in wanted}
        # Of a name whose like is on disk, it can be told that it is missing; else its kind may be stored otherwise.
        missing = [name for name in absent if template(name) in on_disk]
        stray = [name for name in new if template(name) in in_class]
        reshaped = [(name, shape, wanted[name]) for name, shape in shapes.items() if wanted.get(name, shape) != shape]
        common = cls(problems=problems, lost=tuple((shard, tuple(names)) for shard, names in lost.items()))
        if verdict is None or verdict.error:
            definite = bool(missing or reshaped or (stray and not absent)) or verdict is None
            why = "" if verdict is None else f"the library's loader could not be asked ({verdict.error})"
            return replace(
                common,
                missing=tuple(absent),
                stray=tuple(new),
                reshaped=tuple(reshaped),
                experts=_experts(absent, new, reshaped, shapes, wanted),
                loader=(why,) if definite and why else (),
                undecided="" if definite else why,
            )
        if verdict.fits:
            # A stack of experts is loaded by order; other kinds of names the library renumbers on purpose.
            renumbered = any(_EXPERT.search(template(name)) for name in missing) and bool(stray)
            if not renumbered:
                return common
            return replace(common, missing=tuple(missing), stray=tuple(stray), renumbered=True)
        said, unknown = set(verdict.missing), set(verdict.unexpected)
        missing = [name for name in absent if name in said or template(name) in on_disk]
        stray = [name for name in new if name in unknown or template(name) in in_class]
        if not (missing or stray or reshaped):  # another layout, so the loader's own names are all there is
            missing, stray, reshaped = sorted(said), sorted(unknown), list(verdict.mismatched)
        return replace(
            common,
            missing=tuple(missing),
            stray=tuple(stray),
            reshaped=tuple(reshaped),
            experts=_experts(missing, stray, reshaped or list(verdict.mismatched), shapes, wanted),
            loader=_loader_says(verdict, {*missing, *stray, *(name for name, _, _ in reshaped)}),
        )

    def with_head(self, head: str) -> Differences:
        return replace(self, head=head)

    @property
    def status(self) -> Status:
        if self.undecided and not (self.problems or self.lost):
            return "SKIP"
        faults = (self.missing, self.stray, self.reshaped, self.problems, self.lost, self.loader, self.head)
        return "FAIL" if any(faults) else "PASS"


def sentences(found: Differences) -> tuple[str, ...]:
    """The differences in words, the most telling first, names folded."""
    parts: list[str] = []
    if found.undecided:
        parts.append(found.undecided)
    parts += found.experts
    parts += [
        f"{len(names):,} tensors of {shown(shard)} can't be seen: {listing(names, 3)}" for shard, names in found.lost
    ]
    if found.head:
        parts.append(f"the output head {shown(found.head)} is not tied to the input embedding, and not on disk")
    if found.missing:
        parts.append(f"{len(found.missing):,} missing: {listing(found.missing)}")
    if found.stray:
        parts.append(f"{len(found.stray):,} stray: {listing(found.stray)}")
    if found.renumbered:
        parts.append("the loader would take them in their order, as if they were the missing ones")
    parts += _reshaped(found.reshaped)
    if found.problems:
        more = f" and {len(found.problems) - 3:,} more" if len(found.problems) > 3 else ""
        parts.append("packing: " + "; ".join(map(shown, found.problems[:3])) + more)
    return (*parts, *found.loader)


def lost_tensors(checkpoint: Checkpoint) -> dict[str, list[str]]:
    """Shard → names that the index puts into it, for shards that are not there or whose header can't be read."""
    if checkpoint.index is None:
        return {}
    read = {t.file for t in checkpoint.tensors}
    seen = {t.name for t in checkpoint.tensors}
    lost: dict[str, list[str]] = {}
    for name, shard in checkpoint.index.weight_map.items():
        if shard not in read and name not in seen:
            lost.setdefault(shard, []).append(name)
    return lost


def absent_head(stored: Sequence[StoredTensor], wanted: Mapping[str, Shape], structure: Structure) -> str:
    """The untied output head that is not on disk; '' if there is none.

    Some classes let the loader ignore its absence, and the server then answers from a random head. Told only where
    numbers are missing too: else the head is there under another name.
    """
    head = structure.output_embedding
    tied = any(t.tied_to == head or (t.name == head and t.tied_to) for t in structure.tensors)
    if tied or head not in wanted or any(t.name == head for t in stored):
        return ""
    short = sum(n_elements(t.shape) for t in stored) < sum(map(n_elements, wanted.values()))
    return head if short else ""


def _experts(
    missing: Iterable[str],
    stray: Iterable[str],
    reshaped: Iterable[Reshaped],
    stored: Mapping[str, Shape],
    wanted: Mapping[str, Shape],
) -> tuple[str, ...]:
    """`the config builds 9 experts, the checkpoint holds 8`, where that alone is the difference of their numbers."""
    pairs: set[tuple[int, int]] = set()
    banks = {match.string[: match.end()] for name in (*missing, *stray) if (match := _EXPERT.search(template(name)))}
    for bank in banks:
        built, _ = _expert_numbers(bank, wanted)
        some, whole = _expert_numbers(bank, stored)
        if built and some < built:  # all tensors of an expert are gone, in every layer
            pairs.add((len(built), len(some)))
        elif built and whole > built:
            pairs.add((len(built), len(whole)))
    for name, seen, built_shape in reshaped:
        if ".experts." in name and seen and built_shape and seen[1:] == built_shape[1:]:
            pairs.add((built_shape[0], seen[0]))
    return tuple(f"the config builds {built:,} experts, the checkpoint holds {held:,}" for built, held in sorted(pairs))


def _expert_numbers(bank: str, names: Iterable[str]) -> tuple[set[int], set[int]]:
    """Numbers of the experts of a bank that hold any tensor, and of those that hold as many kinds as any other."""
    at = bank.count("{}") - 1
    kinds: dict[int, set[str]] = {}
    for name in names:
        kind = template(name)
        if kind.startswith(f"{bank}."):
            kinds.setdefault(numbers(name)[at], set()).add(kind)
    most = max(map(len, kinds.values()), default=0)
    return set(kinds), {number for number, held in kinds.items() if len(held) == most}


def _reshaped(rows: Sequence[Reshaped]) -> list[str]:
    """One sentence for each pair of shapes and kind of name, since a config that is off is off in every layer."""
    groups: dict[tuple[str, Shape, Shape], list[str]] = {}
    for name, seen, built in rows:
        groups.setdefault((template(name), seen, built), []).append(name)
    parts = [
        f"{listing(names, 1)} is {list(seen)} on disk, expected {list(built)}"
        for (_, seen, built), names in list(groups.items())[:4]
    ]
    rest = sum(len(names) for names in list(groups.values())[4:])
    return parts + ([f"{rest:,} more of another shape"] if rest else [])


def _loader_says(verdict: LoaderVerdict, told: set[str]) -> tuple[str, ...]:
    """What the loader found in names of the state dict, unless it is told already in names of the disk."""
    parts = []
    left = [name for name in verdict.missing if name not in told]
    if left:
        parts.append(f"the loader would leave as initialised: {listing(left, 3)}")
    unknown = [name for name in verdict.unexpected if name not in told]
    if unknown:
        parts.append(f"the loader does not know: {listing(unknown, 3)}")
    off = [(name, seen, built) for name, seen, built in verdict.mismatched if name not in told]
    if off:
        parts.append("the loader: " + "; ".join(_reshaped(off)[:2]))
    if verdict.conversion_errors:
        name, why = verdict.conversion_errors[0]
        n = len(verdict.conversion_errors)
        parts.append(f"the loader can't convert {n:,} tensors, first {shown(name)}: {shown(why)}")
    return tuple(parts)
