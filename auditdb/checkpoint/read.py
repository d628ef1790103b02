"""The checkpoint beside a config, from its index and headers alone; it reads no weight and unpickles nothing."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from auditdb.checkpoint.folder import ByteSource, FileLike
from auditdb.checkpoint.headers import LENGTH_BYTES, Header, header_length, parse_header
from auditdb.checkpoint.index import MAX_INDEX_BYTES, parse_index
from auditdb.fold import listing
from auditdb.records import Checkpoint, CheckpointFile, Fault, Index
from auditdb.words import shown

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
_SHARD = re.compile(r"model-\d{5,}-of-\d{5,}\.safetensors")
_PICKLED_SHARD = re.compile(r"pytorch_model-\d{5,}-of-\d{5,}\.bin")

PARALLEL_READS = 8  # a hub answers a range in 0.1 s, whatever its size
MAX_SHARDS = 10_000


class _Read(NamedTuple):
    file: CheckpointFile
    header: Header


def read_checkpoint(source: ByteSource, *, incomplete: str = "") -> Checkpoint | None:
    """What transformers would load from `source`: `model.safetensors`, else the shards of its index, else pickles.

    The order is that of `_get_resolved_checkpoint_files` (4.44.2 and 5.23). None where no weight file lies there at
    all; a checkpoint without files and with `notes` where only others do (`consolidated.safetensors`, adapters, GGUF).
    `incomplete` says why `source` may list fewer files than the model has (a partial cache): a shard that is not
    listed is then unknown and no fault.
    Damaged content never raises: faults are data. What the source itself raises on the way (no network) goes through,
    except an OSError on one file, which is a fault of that file.
    """
    with _collector_off():
        return _read(source, incomplete)


def _read(source: ByteSource, incomplete: str) -> Checkpoint | None:
    files = {file.name: file for file in source.files}
    if SINGLE in files:
        return _single(source, files)
    shards = [name for name in files if _SHARD.fullmatch(name)]
    if INDEX in files or shards:
        return _sharded(source, files, shards, incomplete)
    pickles = [name for name in files if name == PICKLE or _PICKLED_SHARD.fullmatch(name)]
    if pickles:
        kinds = [(name, "pickle") for name in sorted(pickles)] + [(PICKLE_INDEX, "index")] * (PICKLE_INDEX in files)
        listed = tuple(CheckpointFile(name, kind, files[name].size, files[name].sha256) for name, kind in kinds)
        return Checkpoint(files=listed, notes=_strays(files, set(pickles)))
    notes = _strays(files, set())
    return Checkpoint(notes=notes) if notes else None


def _single(source: ByteSource, files: Mapping[str, FileLike]) -> Checkpoint:
    read = _read_headers(source, [files[SINGLE]])
    notes = _strays(files, {SINGLE})
    if INDEX in files:
        notes = (f"{INDEX} lies beside {SINGLE}; transformers takes the single file", *notes)
    return Checkpoint(
        files=tuple(r.file for r in read),
        tensors=tuple(t for r in read for t in r.header.tensors),
        faults=_header_faults(read),
        notes=notes,
    )


def _sharded(source: ByteSource, files: Mapping[str, FileLike], shards: list[str], incomplete: str) -> Checkpoint:
    index, faults, index_files = _read_index(source, files)
    named = sorted({*shards, *(index.weight_map.values() if index else ())})
    if len(named) > MAX_SHARDS:
        faults.append(Fault("index", INDEX, f"{len(named):,} shards; more than {MAX_SHARDS:,} are not read"))
        named = named[:MAX_SHARDS]
    read = _read_headers(source, [files[name] for name in named if name in files])
    unlisted = [name for name in named if name not in files]
    if index is not None:
        there = set(files) | set(unlisted if incomplete else ())
        faults += _against_shards(index, read, there)
    elif INDEX not in files and not incomplete:
        faults.append(Fault("index", INDEX, f"it is not there, and {len(read)} shards are, which no loader would find"))
    faults += _duplicates(read)
    return Checkpoint(
        files=(*index_files, *(r.file for r in read)),
        tensors=tuple(t for r in read for t in r.header.tensors),
        index=index,
        faults=(*faults, *_header_faults(read)),
        notes=_strays(files, set(named)),
        incomplete=f"{len(unlisted):,} of {len(named):,} shards: {incomplete}" if incomplete and unlisted else "",
    )


def _read_index(
    source: ByteSource, files: Mapping[str, FileLike]
) -> tuple[Index | None, list[Fault], list[CheckpointFile]]:
    file = files.get(INDEX)
    if file is None:
        return None, [], []
    listed = [CheckpointFile(INDEX, "index", file.size, file.sha256)]
    try:
        text = source.read(INDEX, 0, MAX_INDEX_BYTES + 1)
    except OSError as error:
        return None, [Fault("index", INDEX, f"it can't be read: {_why(error)}")], listed
    if len(text) > MAX_INDEX_BYTES:
        return None, [Fault("index", INDEX, f"it is larger than {MAX_INDEX_BYTES:,} bytes")], listed
    index, faults = parse_index(text, INDEX)
    return index, list(faults), listed


def _read_headers(source: ByteSource, files: list[FileLike]) -> list[_Read]:
    if not source.is_far or len(files) == 1:  # from a disk threads only take turns, and half as long again
        return [_read_header(source, file) for file in files]
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        return list(pool.map(lambda file: _read_header(source, file), files))


def _read_header(source: ByteSource, file: FileLike) -> _Read:
    def failed(problem: str) -> _Read:
        return _Read(CheckpointFile(file.name, "safetensors", file.size, file.sha256), Header((), {}, (problem,)))

    try:
        # Two reads, since one that guessed the header's length would ask a hub for weights.
        length = header_length(source.read(file.name, 0, LENGTH_BYTES), file.size)
        if isinstance(length, str):
            return failed(length)
        text = source.read(file.name, LENGTH_BYTES, LENGTH_BYTES + length) if length else b""
    except OSError as error:
        return failed(f"it can't be read: {_why(error)}")
    if len(text) < length:
        return failed(f"the header length says {length:,} bytes, and {len(text):,} follow")
    header = parse_header(text, file.name, file.size)
    return _Read(CheckpointFile(file.name, "safetensors", file.size, file.sha256, LENGTH_BYTES + length), header)


def _header_faults(read: Iterable[_Read]) -> tuple[Fault, ...]:
    return tuple(Fault("headers", r.file.path, problem) for r in read for problem in r.header.problems)


def _against_shards(index: Index, read: list[_Read], there: set[str]) -> list[Fault]:
    """Every tensor of the index is in its shard, and the other way round; the stated size is the sum."""
    held = {r.file.path: {t.name for t in r.header.tensors} for r in read}
    whole = {r.file.path for r in read if not r.header.problems}
    home: dict[str, str] = {name: path for path, names in held.items() for name in names}
    absent: dict[str, list[str]] = {}
    elsewhere: dict[tuple[str, str], list[str]] = {}
    nowhere: dict[str, list[str]] = {}
    for name, shard in index.weight_map.items():
        if shard not in there:
            absent.setdefault(shard, []).append(name)
        elif name in held.get(shard, ()):
            continue
        elif name in home:
            elsewhere.setdefault((shard, home[name]), []).append(name)
        elif shard in whole:  # a damaged header is named as such, and not once more for each of its tensors
            nowhere.setdefault(shard, []).append(name)
    faults = [
        Fault("index", shard, f"the shard is not there; it should hold {len(names):,} tensors: {listing(names)}")
        for shard, names in absent.items()
    ]
    faults += [
        Fault("index", index.file, f"it says {shown(said)}, and {shown(lies)} holds {listing(names)}")
        for (said, lies), names in elsewhere.items()
    ]
    faults += [
        Fault("index", shard, f"the index says that it holds {listing(names)}, and no shard does")
        for shard, names in nowhere.items()
    ]
    for path, names in held.items():
        unlisted = sorted(name for name in names if name not in index.weight_map)
        if unlisted:
            faults.append(Fault("index", path, f"it holds {listing(unlisted)}, which the index does not list"))
    return faults + _total_size(
        index, read, complete=not absent and len(whole) == len(read) and set(index.weight_map.values()) <= whole
    )


def _total_size(index: Index, read: list[_Read], *, complete: bool) -> list[Fault]:
    if index.total_size is None or not complete:
        return []
    total = sum(t.end - t.begin for r in read for t in r.header.tensors)
    if total == index.total_size:
        return []
    off = f"{abs(total - index.total_size):,} {'more' if total > index.total_size else 'fewer'}"
    message = f"total_size says {index.total_size:,} bytes, the shards hold {total:,}: {off}"
    return [Fault("index", index.file, message)]


def _duplicates(read: list[_Read]) -> list[Fault]:
    first: dict[str, str] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for r in read:
        for tensor in r.header.tensors:
            if first.setdefault(tensor.name, tensor.file) != tensor.file:
                twice.setdefault((first[tensor.name], tensor.file), []).append(tensor.name)
    return [
        Fault("index", later, f"{listing(names)}: in {earlier} as well") for (earlier, later), names in twice.items()
    ]


def _strays(files: Mapping[str, FileLike], taken: set[str]) -> tuple[str, ...]:
    """Weight files at the top that transformers leaves alone, in one sentence per kind."""
    kinds = (".safetensors", ".gguf", ".bin", ".pth", ".pt", ".ckpt", ".h5", ".msgpack")
    strays = sorted(name for name in files if name.endswith(kinds) and name not in taken and "/" not in name)
    strays = [name for name in strays if name not in ("training_args.bin", "scheduler.pt", "optimizer.pt")]
    return (f"not part of the checkpoint: {listing(strays)}",) if strays else ()


@contextmanager
def _collector_off() -> Iterator[None]:
    """No garbage collection inside: among 45,000 long-lived records it takes half of the reading's time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
