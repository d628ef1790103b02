"""The check `dtypes`: tensors that differ in layer or expert number only should agree in dtype; headers only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.checks.checkpoint import unreadable
from auditdb.checks.packing import quantization_of
from auditdb.fold import listing, template
from auditdb.records import Check, Checkpoint, StoredTensor
from auditdb.words import counted

MOST_TOLD = 5


def check_dtypes(checkpoint: Checkpoint | None, raw_config: Mapping[str, Any]) -> Check:
    """FAIL names the tensors of a minority dtype. SKIP for quantised models, which mix dtypes on purpose.

    Where a kind is split evenly, the dtype that is rarer in the whole checkpoint is the odd one.
    """
    if checkpoint is None:
        return Check("dtypes", "SKIP", reason="no weights lie beside the config")
    if not checkpoint.readable:
        return Check("dtypes", "SKIP", reason=unreadable(checkpoint))
    if quantization_of(raw_config) is not None:
        return Check("dtypes", "SKIP", reason="the config has a quantization_config: dtypes are mixed on purpose")
    if not checkpoint.tensors:
        return Check("dtypes", "SKIP", reason="no header could be read")
    overall = Counter(t.dtype for t in checkpoint.tensors)
    kinds: dict[str, list[StoredTensor]] = {}
    for tensor in checkpoint.tensors:
        kinds.setdefault(template(tensor.name), []).append(tensor)
    told: list[str] = []
    odd = 0
    for tensors in kinds.values():
        for dtype, names, common in _odd_ones(tensors, overall):
            odd += len(names)
            told.append(f"{listing(names)} is {dtype}, its like are {common}")
    repeated = sum(len(tensors) > 1 for tensors in kinds.values())
    expected = f"one dtype in each of {repeated:,} kinds of repeated tensors"
    if not told:
        seen = ", ".join(f"{n:,} {dtype}" for dtype, n in sorted(overall.items(), key=lambda row: (-row[1], row[0])))
        return Check("dtypes", "PASS", expected, seen)
    if len(told) > MOST_TOLD:
        told = [*told[:MOST_TOLD], f"{len(told) - MOST_TOLD:,} more kinds"]
    return Check("dtypes", "FAIL", expected, f"{counted(odd, 'tensor')} of another dtype", "; ".join(told))


def _odd_ones(tensors: Sequence[StoredTensor], overall: Counter[str]) -> list[tuple[str, list[str], str]]:
    counts = Counter(t.dtype for t in tensors)
    if len(counts) < 2:
        return []
    order = sorted(counts, key=lambda dtype: (-counts[dtype], -overall[dtype], dtype))
    common = order[0]
    return [(dtype, [t.name for t in tensors if t.dtype == dtype], common) for dtype in order[1:]]
