"""Does this checkpoint fit the class that will load it? Names and shapes only; no torch, no file, no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditdb.checkpoint.headers import n_elements
from auditdb.checks.accounting import bytes_line, numbers_line
from auditdb.checks.differences import Differences, absent_head, lost_tensors, sentences
from auditdb.checks.extras import IGNORED, SCALES, Extra, as_extra, known_extras
from auditdb.checks.packing import Unpacked, quantization_of, unpack
from auditdb.fold import Folded, fold
from auditdb.records import Check, Checkpoint, ExpectedTensor, LoaderVerdict, StoredTensor, Structure
from auditdb.words import counted

NAME = "checkpoint"
Load = Callable[[Sequence[StoredTensor]], LoaderVerdict]


@dataclass(frozen=True)
class Fit:
    """The check as a row, and what it rests on.

    `missing` are expected and not stored, `stray` stored and not expected, `reshaped` (name, shape stored, shape
    expected); all empty where the check passes. `extras` are known extras by kind. `layout` is 'expected',
    'another' (the library's loader takes it) or '' where it does not fit or nobody looked. `verdict` is None where
    the loader was not needed. `accounts` are the lines that explain parameters, stored numbers and bytes.
    """

    check: Check
    layout: str = ""
    n_expected: int = 0
    n_stored: int = 0
    missing: tuple[Folded, ...] = ()
    stray: tuple[Folded, ...] = ()
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    extras: tuple[Extra, ...] = ()
    verdict: LoaderVerdict | None = None
    accounts: tuple[str, ...] = ()


def checkpoint_fit(
    checkpoint: Checkpoint | None,
    expected: Sequence[ExpectedTensor],
    structure: Structure,
    raw_config: Mapping[str, Any],
    load: Load,
    *,
    no_class: str = "",
) -> Fit:
    """Compare header names and shapes with what the class loads.

    PASS at once where they equal `expected`. Else packed weights are unpacked and known extras set aside; if that
    leaves a difference, `load` (the library's loader on meta, called at most once, with logical tensors) decides
    whether it is another legal layout. `expected` then names what is wrong. `no_class` is the reason why there is
    nothing expected (a tree that was had from the headers, a failed conversion): then it is a SKIP.
    """
    skip = _why_skip(checkpoint, expected, no_class)
    if skip or checkpoint is None:
        return Fit(Check(NAME, "SKIP", reason=skip))
    wanted = {e.name: e.shape for e in expected}
    stored = {t.name: t.shape for t in checkpoint.tensors}
    if stored == wanted:
        unpacked = Unpacked(checkpoint.tensors, (), 0, ())
    else:
        unpacked = unpack(checkpoint.tensors, wanted, quantization_of(raw_config))
    matched = {t.name for t in unpacked.tensors if t.name in wanted}
    kinds = known_extras((t for t in unpacked.tensors if t.name not in wanted), matched, structure, raw_config)
    if unpacked.companions:
        kinds[SCALES] = list(unpacked.companions)
    aside = {t.name for tensors in kinds.values() for t in tensors}
    rest = [t for t in unpacked.tensors if t.name not in aside]
    equal = {t.name: t.shape for t in rest} == wanted
    lost = lost_tensors(checkpoint)
    verdict = None if equal or lost or not rest else load(rest)
    if verdict is not None and verdict.ignored:
        left = [t for t in rest if t.name in set(verdict.ignored)]
        kinds.update({IGNORED: left} if left else {})
        rest = [t for t in rest if t.name not in set(verdict.ignored)]
    extras = tuple(as_extra(kind, tensors) for kind, tensors in kinds.items())
    accounts = (numbers_line(structure, wanted, rest, extras), bytes_line(checkpoint.tensors))
    found = Differences()
    if not equal or unpacked.problems:
        found = Differences.between(rest, wanted, verdict, unpacked.problems, lost)
    if verdict is not None and not verdict.error:
        found = found.with_head(absent_head(rest, wanted, structure))
    status = found.status
    check = Check(
        NAME,
        status,
        expected=f"{counted(len(wanted), 'tensor')}, {sum(map(n_elements, wanted.values())):,} numbers",
        seen=_seen(checkpoint.tensors, unpacked, extras),
        reason="; ".join((*_head(status, equal, found), *(accounts if status == "PASS" else ()))),
    )
    if status == "PASS":
        found = Differences()
    return Fit(
        check,
        layout="expected" if status == "PASS" and equal else "another" if status == "PASS" else "",
        n_expected=len(wanted),
        n_stored=len(checkpoint.tensors),
        missing=fold(found.missing),
        stray=fold(found.stray),
        reshaped=found.reshaped,
        extras=extras,
        verdict=verdict,
        accounts=accounts,
    )


def _why_skip(checkpoint: Checkpoint | None, expected: Sequence[ExpectedTensor], no_class: str) -> str:
    if checkpoint is None:
        return "no weights lie beside the config"
    if not checkpoint.readable:
        return unreadable(checkpoint)
    if checkpoint.incomplete:
        return checkpoint.incomplete
    if no_class or not expected:
        return no_class or "no class says which tensors to expect"
    return ""


def unreadable(checkpoint: Checkpoint) -> str:
    """Why a checkpoint has no safetensors headers to look at."""
    if any(f.kind == "pickle" for f in checkpoint.files):
        return "the weights are pickled, and nothing is unpickled without loading the model"
    if checkpoint.faults:
        return f"no shard can be read: {checkpoint.faults[0].file}: {checkpoint.faults[0].message}"
    return "; ".join(("no weights that transformers would load", *checkpoint.notes))


def _head(status: str, equal: bool, found: Differences) -> tuple[str, ...]:
    if status != "PASS":
        return sentences(found)
    if equal:
        return ("names and shapes are those that the class writes",)
    return ("another layout than the class writes, which the library's loader takes",)


def _seen(tensors: Sequence[StoredTensor], unpacked: Unpacked, extras: Sequence[Extra]) -> str:
    text = counted(len(tensors), "tensor")
    if unpacked.n_packed:
        text += f", {unpacked.n_packed:,} of them packed"
    if extras:
        text += "; known extras: " + ", ".join(f"{e.n_tensors:,} {e.kind}" for e in extras)
    return text
