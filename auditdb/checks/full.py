"""Checks of the loaded weights: `full_total`, `full_load`, `finite`. Plain data in; no torch, no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.checks.extras import SCALES, known_extras
from auditdb.checks.packing import quantization_of, unpack
from auditdb.fold import listing
from auditdb.records import Check, Checkpoint, LoaderVerdict, StoredTensor, Structure, WeightStat
from auditdb.words import counted, shown

# (name on disk, the stored name that it is a copy of, numbers that differ, the largest difference).
Copy = tuple[str, str, int, float]

NOT_LOOKED = "weights were not looked at: a FAST run reads none"


def check_full_total(fast: Structure, loaded: Structure, raw_config: Mapping[str, Any]) -> Check:
    """The loaded model against the tree that FAST builds of the same config: total, names and shapes of parameters.

    A quantised model holds packed weights and their scales. It passes if every parameter of the tree is there in its
    own shape (what is there besides is counted); else nobody can say without unpacking, and it is a SKIP.
    """
    wanted, found = _parameters(fast), _parameters(loaded)
    total, seen = fast.n_params, loaded.own_total if loaded.own_total is not None else loaded.n_params
    quantization = quantization_of(raw_config)
    if wanted == found and total == seen:
        return Check("full_total", "PASS", str(total), str(seen))
    if quantization is not None:
        method = str(quantization.get("quant_method", "an unnamed method"))
        if wanted.items() <= found.items():
            besides = f"{counted(len(found) - len(wanted), 'tensor')} of {method} besides"
            return Check("full_total", "PASS", str(total), str(sum(_numel(found[name]) for name in wanted)), besides)
        reason = f"the weights are packed by {method}, and the library did not unpack them"
        return Check("full_total", "SKIP", str(total), str(seen), reason)
    reasons = []
    if lost := [name for name in wanted if name not in found]:
        reasons.append(f"not in the loaded model: {listing(lost)}")
    if more := [name for name in found if name not in wanted]:
        reasons.append(f"only in the loaded model: {listing(more)}")
    reshaped = [name for name in wanted if name in found and wanted[name] != found[name]]
    if reshaped:
        name = reshaped[0]
        first = f"{shown(name)} is {list(found[name])}, the tree has {list(wanted[name])}"
        reasons.append(f"of another shape: {listing(reshaped)}; {first}")
    reason = "; ".join(reasons) or f"the totals differ by {seen - total:+,}"
    return Check("full_total", "FAIL", str(total), str(seen), reason)


def check_full_load(
    verdict: LoaderVerdict,
    copies: Sequence[Copy],
    checkpoint: Checkpoint | None,
    structure: Structure,
    raw_config: Mapping[str, Any],
) -> Check:
    """transformers' missing, unexpected and mismatched keys, and stored copies of tied tensors with other values.

    Unexpected keys that are known extras (`checks/extras.py`, quantisation scales) are counted and no fault. `copies`
    come from `inspect/tied.py`; the loader takes one of several copies and says nothing.
    """
    unexpected, aside = _split(verdict, checkpoint, structure, raw_config)
    faults = []
    if verdict.error:
        faults.append(f"the loader says: {shown(verdict.error)}")
    if verdict.missing:
        faults.append(f"missing, and made up by the loader: {listing(verdict.missing)}")
    if unexpected:
        faults.append(f"not used: {listing(unexpected)}")
    if verdict.mismatched:
        name, stored, built = verdict.mismatched[0]
        first = f"{shown(name)} is stored as {list(stored)} and built as {list(built)}"
        names = [name for name, _, _ in verdict.mismatched]
        faults.append(f"of another shape, and made up by the loader: {listing(names)}; {first}")
    if verdict.conversion_errors:
        name, what = verdict.conversion_errors[0]
        names = [name for name, _ in verdict.conversion_errors]
        faults.append(f"not convertible: {listing(names)}; {shown(name)}: {shown(what)}")
    for name, other, n_different, largest in copies:
        if n_different:
            faults.append(
                f"{shown(name)} is tied to {shown(other)} and stored with other values "
                f"({n_different:,} numbers differ, by {largest:.3g} at most)"
            )
    seen = (
        f"{len(verdict.missing):,} missing, {len(verdict.unexpected):,} unexpected, "
        f"{len(verdict.mismatched):,} mismatched keys"
    )
    notes = [f"{n:,} unexpected are {kind}" for kind, n in aside.items()]
    if copies and not any(n_different for _, _, n_different, _ in copies):
        notes.append(f"{len(copies):,} stored copies of tied tensors have equal values")
    status = "FAIL" if faults else "PASS"
    return Check("full_load", status, "every key loaded", seen, "; ".join(faults or notes))  # type: ignore[arg-type]


def check_finite(stats: Sequence[WeightStat] | None, *, unread: Sequence[str] = ()) -> Check:
    """NaN and Inf among the loaded numbers, which tensors and how many.

    `stats` is None in FAST mode, which never looks.
    `unread` are tensors whose numbers are not the checkpoint's, and that nobody counted.
    """
    if stats is None:
        return Check("finite", "SKIP", reason=NOT_LOOKED)
    if not stats:
        return Check("finite", "SKIP", reason="no floating-point weight was loaded")
    bad: dict[str, list[int]] = {}
    for stat in stats:
        if stat.n_nan or stat.n_inf:
            counts = bad.setdefault(stat.name, [0, 0])
            counts[0] += stat.n_nan
            counts[1] += stat.n_inf
    tensors = len({stat.name for stat in stats})
    numbers = sum(stat.numel for stat in stats)
    left = f"{counted(len(unread), 'tensor')} not looked at: {listing(unread)}" if unread else ""
    if not bad and unread:
        seen = f"{counted(numbers, 'finite number')} in {counted(tensors, 'tensor')}"
        return Check("finite", "SKIP", "no NaN, no Inf", seen, left)
    if not bad:
        return Check(
            "finite",
            "PASS",
            "no NaN, no Inf",
            f"{counted(numbers, 'finite number')} in {counted(tensors, 'tensor')}",
            left,
        )
    parts = [f"{shown(name)}: {_not_finite(*counts)}" for name, counts in list(bad.items())[:5]]
    if len(bad) > 5:
        parts.append(f"and {len(bad) - 5:,} more tensors")
    total = _not_finite(sum(n for n, _ in bad.values()), sum(n for _, n in bad.values()))
    seen = f"{total} in {len(bad):,} of {counted(tensors, 'tensor')}"
    return Check("finite", "FAIL", "no NaN, no Inf", seen, "; ".join([*parts, *([left] if left else [])]))


def _not_finite(n_nan: int, n_inf: int) -> str:
    return " and ".join(f"{n:,} {word}" for n, word in ((n_nan, "NaN"), (n_inf, "Inf")) if n)


def _parameters(structure: Structure) -> dict[str, tuple[int, ...]]:
    return {t.name: t.shape for t in structure.tensors if t.kind == "parameter" and not t.tied_to}


def _numel(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _split(
    verdict: LoaderVerdict, checkpoint: Checkpoint | None, structure: Structure, raw_config: Mapping[str, Any]
) -> tuple[list[str], dict[str, int]]:
    """The unexpected keys that are faults, and how many of the others are what kind of known extra."""
    if checkpoint is None or not verdict.unexpected:
        return list(verdict.unexpected), {}
    names = set(verdict.unexpected)
    matched = {t.name for t in checkpoint.tensors if t.name not in names}
    wanted = {t.name: t.shape for t in structure.tensors}
    scales = {t.name for t in unpack(checkpoint.tensors, wanted, quantization_of(raw_config)).companions}
    candidates: list[StoredTensor] = [t for t in checkpoint.tensors if t.name in names and t.name not in scales]
    extras = known_extras(candidates, matched, structure, raw_config)
    kinds = {kind: {t.name for t in found} for kind, found in extras.items()}
    if names & scales:
        kinds[SCALES] = names & scales
    known = {name for found in kinds.values() for name in found}
    left = [name for name in verdict.unexpected if name not in known]
    return left, {kind: len(found) for kind, found in kinds.items()}
