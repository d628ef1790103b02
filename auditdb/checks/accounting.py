"""Parameters, stored numbers and bytes of a checkpoint, and why they differ; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auditdb.checkpoint.headers import n_elements
from auditdb.checks.extras import Extra
from auditdb.fold import listing
from auditdb.records import StoredTensor, Structure


def numbers_line(
    structure: Structure,
    expected: Mapping[str, tuple[int, ...]],
    logical: Iterable[StoredTensor],
    extras: Sequence[Extra],
) -> str:
    """`parameters N; stored numbers M (+d): +b persistent buffers (…), +s quantisation scales (…)`.

    Stored numbers are logical ones: a packed weight counts as what it packs, its scales as an extra. Whatever the
    named parts leave over is said to be unexplained.
    """
    buffers = [t for t in structure.tensors if t.kind == "buffer" and t.persistent and not t.tied_to]
    # Those that the class saves: all of them where the numbers say so, since their names on disk may be others.
    if sum(t.numel for t in buffers) != sum(map(n_elements, expected.values())) - structure.n_params:
        buffers = [t for t in buffers if t.name in expected]
    in_buffers = sum(t.numel for t in buffers)
    parts = [(in_buffers, f"persistent buffers ({listing((t.name for t in buffers), 2)})")] if in_buffers else []
    parts += [(e.numbers, f"{e.kind} ({_names(e)})") for e in extras]
    total = sum(n_elements(t.shape) for t in logical)
    total += sum(e.numbers for e in extras)
    delta = total - structure.n_params
    rest = delta - sum(count for count, _ in parts)
    if rest:
        parts.append((rest, "unexplained"))
    tied = [t.name for t in structure.tensors if t.tied_to and t.kind == "parameter"]
    line = f"parameters {structure.n_params:,}; stored numbers {total:,}"
    line += f" ({delta:+,}): " + ", ".join(f"{count:+,} {what}" for count, what in parts) if parts else ""
    return line + (f"; tied, counted once: {listing(tied, 2)}" if tied else "")


def bytes_line(tensors: Iterable[StoredTensor]) -> str:
    """`bytes B in T tensors: n BF16 (x bytes), …`, largest share first."""
    counts: dict[str, int] = {}
    sizes: dict[str, int] = {}
    n = 0
    for tensor in tensors:
        n += 1
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + n_elements(tensor.shape)
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.end - tensor.begin
    order = sorted(sizes, key=lambda dtype: (-sizes[dtype], dtype))
    shares = ", ".join(f"{counts[dtype]:,} {dtype} ({sizes[dtype]:,} bytes)" for dtype in order)
    return f"bytes {sum(sizes.values()):,} in {n:,} tensors: {shares}"


def _names(extra: Extra) -> str:
    first = extra.names[0].pattern
    rest = extra.n_tensors - extra.names[0].n
    return first + (f" and {rest:,} more" if rest else "")
