"""One safetensors header, from bytes to tensors and faults; it opens no file.

The format: 8 bytes little-endian length N, N bytes of JSON, then the data section. What counts as well-formed is what
safetensors 0.8.0 accepts, and its README besides: the JSON begins with `{`, and no name stands there twice.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from auditdb.records import StoredTensor
from auditdb.words import shown

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_TENSORS = 1_000_000  # in one file; the largest real checkpoint has 200,000 in all its shards
_MOST = 2**63  # sizes and positions stay under it: no file is larger, and a database holds no larger integer
_MOST_IN_FILE = 2**48  # elements, and bytes, of one file's tensors together: 10,000 files stay under _MOST then
_MOST_PROBLEMS = 1_000  # told of one file; the rest is counted

# Bits per element of every dtype of safetensors 0.8.0. Bits, because F4 and F6 are smaller than a byte.
DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


class Header(NamedTuple):
    """The tensors of one file in the header's order, its free metadata, and what is wrong with it, in sentences."""

    tensors: tuple[StoredTensor, ...]
    metadata: dict[str, str]
    problems: tuple[str, ...]


class _Malformed(ValueError):
    pass


def header_length(first: bytes, file_size: int | None) -> int | str:
    """N from a file's first 8 bytes, or the sentence that says why there is no header to read."""
    if len(first) < LENGTH_BYTES:
        return f"the file has {len(first)} bytes, fewer than the 8 of a header length"
    length = int.from_bytes(first[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        return f"the header length says {length:,} bytes; the format allows {MAX_HEADER_BYTES:,}"
    if file_size is not None and LENGTH_BYTES + length > file_size:
        return f"the header length says {length:,} bytes, and the whole file has {file_size:,}"
    return length


def parse_header(text: bytes, file: str, file_size: int | None) -> Header:
    """Tensors of one file from its N bytes of JSON. Never raises for what is in them.

    `file_size` is in bytes; where it is None, nothing is said about the end of the file.
    A tensor whose own entry can't be read is left out and named in `problems`.
    """
    try:
        raw = _json(text)
    except (ValueError, RecursionError) as error:
        return Header((), {}, (f"the header is no JSON object of the format: {_short(error)}",))
    problems: list[str] = []
    metadata = _metadata(raw.pop("__metadata__", None), problems)
    if len(raw) > MAX_TENSORS:
        return Header((), metadata, (f"the header lists {len(raw):,} tensors; more than {MAX_TENSORS:,} are not read",))
    tensors: list[StoredTensor] = []
    for name, entry in raw.items():
        try:
            tensors.append(_tensor(name, entry, file))
        except _Malformed as error:
            problems.append(f"{shown(name)}: {error}")
    if max(sum(n_elements(t.shape) for t in tensors), sum(t.end - t.begin for t in tensors)) >= _MOST_IN_FILE:
        return Header((), metadata, (*problems[:_MOST_PROBLEMS], "its tensors add up to more than any file holds"))
    data_size = None if file_size is None else file_size - LENGTH_BYTES - len(text)
    if not problems:  # with an entry left out, each neighbour would look like a gap
        problems += _offsets(tensors, data_size)
    problems += _sizes(tensors)
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"and {len(problems) - _MOST_PROBLEMS:,} problems more"]
    return Header(tuple(tensors), metadata, tuple(problems))


@lru_cache(maxsize=10_000)  # tens of thousands of tensors have a dozen shapes
def n_elements(shape: tuple[int, ...]) -> int:
    """Product of a shape; stops at 2^63, before numbers grow that nothing can hold."""
    count = 1
    for dim in shape:
        count *= dim
        if count >= _MOST:
            return _MOST
    return count


def _json(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise _Malformed("it does not begin with '{'")
    decoded = text.decode("utf-8")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise _Malformed(f"the name {shown(twice)!r} stands there twice")
        return made

    raw = json.loads(decoded, object_pairs_hook=unique, parse_constant=_no_constant)
    if not isinstance(raw, dict):
        raise _Malformed("it is no object")
    if "\\u" in decoded:
        # Half of a surrogate pair is legal JSON and no text: it could be neither stored nor printed.
        for name in raw:
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                raise _Malformed("a name holds half of a surrogate pair") from None
    return raw


def _no_constant(text: str) -> Any:
    raise _Malformed(f"{text} is no JSON")


def _metadata(raw: Any, problems: list[str]) -> dict[str, str]:
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        problems.append("__metadata__ is no map from text to text")
        return {}
    return raw


def _tensor(name: str, entry: Any, file: str) -> StoredTensor:
    if not isinstance(entry, dict):
        raise _Malformed("its entry is no object")
    try:
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    except KeyError as error:
        raise _Malformed(f"its entry has no {error.args[0]}") from None
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise _Malformed(f"unknown dtype {shown(str(dtype))!r}")
    if not isinstance(shape, list) or not _are_counts(shape):
        raise _Malformed("its shape is no list of sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not _are_counts(offsets):
        raise _Malformed("its data_offsets are no two positions")
    begin, end = offsets
    sizes = tuple(shape)
    if n_elements(sizes) >= _MOST:
        raise _Malformed(f"{_shape(sizes)} of {dtype} is more than any file holds")
    if end < begin:
        raise _Malformed(f"its data ends at {end:,}, before it begins at {begin:,}")
    return StoredTensor(name, file, sizes, dtype, begin, end)


def _are_counts(values: list[Any]) -> bool:
    for value in values:  # noqa: SIM110  `all` takes three times as long, and 45,000 tensors ask twice
        if type(value) is not int or not 0 <= value < _MOST:  # a bool is an int as well
            return False
    return True


def _sizes(tensors: list[StoredTensor]) -> list[str]:
    """Size = shape × dtype."""
    problems = []
    for tensor in tensors:
        bits = n_elements(tensor.shape) * DTYPE_BITS[tensor.dtype]
        span = tensor.end - tensor.begin
        if bits == span * 8:
            continue
        what = f"{shown(tensor.name)}: {_shape(tensor.shape)} of {tensor.dtype}"
        if bits % 8:
            problems.append(f"{what} does not end on a byte")
        else:
            problems.append(f"{what} takes {bits // 8:,} bytes, its data_offsets span {span:,}")
    return problems


def _offsets(tensors: list[StoredTensor], data_size: int | None) -> list[str]:
    """Gapless from 0, no two overlapping, and the last one ends where the file ends."""
    problems = []
    at = 0
    before = ""
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin < at:
            problems.append(
                f"{shown(tensor.name)}: begins at {tensor.begin:,} and overlaps {shown(before)}, which ends at {at:,}"
            )
        elif tensor.begin > at:
            problems.append(f"{shown(tensor.name)}: begins at {tensor.begin:,}, a gap of {tensor.begin - at:,} bytes")
        if tensor.end >= at:
            at, before = tensor.end, tensor.name
    if data_size is not None and data_size < at:
        problems.append(f"the file is cut short: {at - data_size:,} of {at:,} data bytes are missing")
    if data_size is not None and data_size > at:
        problems.append(f"the file is longer than its header says: {data_size - at:,} bytes follow the last tensor")
    return problems


def _shape(shape: tuple[int, ...]) -> str:
    text = ", ".join(map(str, shape[:8]))
    return f"[{text}{', …' if len(shape) > 8 else ''}]"


def _short(error: BaseException) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else shown(str(error))
