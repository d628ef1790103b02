"""The checks `index` and `headers`: faults that reading found, as rows; it reads nothing itself."""

from __future__ import annotations

from auditdb.checks.checkpoint import unreadable
from auditdb.records import Check, Checkpoint, Fault
from auditdb.words import counted, shown

MOST_TOLD = 5  # faults in one reason; the rest is counted


def check_index(checkpoint: Checkpoint | None) -> Check:
    """Every tensor of the index is in its shard, and the other way round; `total_size` adds up."""
    if checkpoint is None:
        return Check("index", "SKIP", reason="no weights lie beside the config")
    faults = [f for f in checkpoint.faults if f.check == "index"]
    if faults:
        return _failed("index", _stated(checkpoint), faults)
    if not checkpoint.readable:
        return Check("index", "SKIP", reason=unreadable(checkpoint))
    if checkpoint.incomplete:
        return Check("index", "SKIP", reason=checkpoint.incomplete)
    if checkpoint.index is None:
        return Check("index", "SKIP", reason="the checkpoint is one file, which needs no index")
    size = sum(t.end - t.begin for t in checkpoint.tensors)
    reason = "" if checkpoint.index.total_size is not None else "the index states no total_size"
    return Check(
        "index", "PASS", _stated(checkpoint), f"{counted(len(checkpoint.tensors), 'tensor')}, {size:,} bytes", reason
    )


def check_headers(checkpoint: Checkpoint | None) -> Check:
    """Each safetensors header is well-formed: offsets gapless, size = shape × dtype, file neither cut nor longer."""
    if checkpoint is None:
        return Check("headers", "SKIP", reason="no weights lie beside the config")
    files = [f for f in checkpoint.files if f.kind == "safetensors"]
    expected = counted(len(files), "well-formed header")
    faults = [f for f in checkpoint.faults if f.check == "headers"]
    if faults:
        return _failed("headers", expected, faults)
    if not files:
        return Check("headers", "SKIP", reason=unreadable(checkpoint))
    unsized = sum(f.size is None for f in files)
    seen = f"{counted(len(checkpoint.tensors), 'tensor')} in {counted(len(files), 'file')}"
    reason = f"the size of {counted(unsized, 'file')} is unknown, so their ends are unchecked" if unsized else ""
    return Check("headers", "PASS", expected, seen, reason)


def _stated(checkpoint: Checkpoint) -> str:
    index = checkpoint.index
    if index is None:
        return "an index"
    size = "" if index.total_size is None else f", {index.total_size:,} bytes"
    return f"{counted(len(index.weight_map), 'tensor')}{size}"


def _failed(name: str, expected: str, faults: list[Fault]) -> Check:
    told = [f"{shown(f.file)}: {f.message}" for f in faults[:MOST_TOLD]]
    if len(faults) > MOST_TOLD:
        told.append(f"{len(faults) - MOST_TOLD:,} more")
    return Check(name, "FAIL", expected, counted(len(faults), "fault"), "; ".join(told))
