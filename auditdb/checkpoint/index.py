"""One `….safetensors.index.json`, from bytes to an Index and faults; it opens no file."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from auditdb.fold import listing
from auditdb.records import Fault, Index
from auditdb.words import shown

MAX_INDEX_BYTES = 200_000_000  # of 200,000 tensors, the largest real ones, an index takes 20 MB
MAX_ENTRIES = 2_000_000


def parse_index(text: bytes, file: str) -> tuple[Index | None, tuple[Fault, ...]]:
    """The index and what is wrong with it as text; never raises for what is in it.

    Entries whose shard is no path inside the folder are faults and left out, so that nobody opens them.
    None where the file is no index at all.
    """

    def fault(message: str) -> Fault:
        return Fault("index", file, message)

    try:
        raw = json.loads(text.decode("utf-8"))
    except RecursionError:
        return None, (fault("it is nested too deeply"),)
    except ValueError as error:
        return None, (fault(f"it is no JSON: {shown(str(error))}"),)
    weight_map = raw.get("weight_map") if isinstance(raw, dict) else None
    if not isinstance(weight_map, dict):
        return None, (fault("it has no weight_map"),)
    if len(weight_map) > MAX_ENTRIES:
        return None, (fault(f"it lists {len(weight_map):,} tensors; more than {MAX_ENTRIES:,} are not read"),)
    faults: list[Fault] = []
    if not weight_map:
        faults.append(fault("its weight_map is empty"))
    kept: dict[str, str] = {}
    outside: dict[str, list[str]] = {}
    no_text: list[str] = []
    all_text = _is_text("".join(weight_map))  # tens of thousands of names, and nearly always
    judged: dict[str, bool | None] = {}  # shard → whether it lies in the folder; None: it is no text
    for name, shard in weight_map.items():
        if isinstance(shard, str) and shard not in judged:
            judged[shard] = is_inside(shard) if _is_text(shard) else None
        inside = judged[shard] if isinstance(shard, str) and (all_text or _is_text(name)) else None
        if inside:
            kept[name] = shard
        elif inside is None:
            no_text.append(name.encode("utf-8", "replace").decode())
        else:
            outside.setdefault(shard, []).append(name)
    if no_text:
        faults.append(fault(f"{len(no_text):,} entries are no pair of texts: {listing(no_text)}"))
    for shard, names in outside.items():
        faults.append(
            fault(
                f"it points to {shown(shard)!r}, which is no file of this folder, and is not opened: {listing(names)}"
            )
        )
    total_size, metadata = _metadata(raw.get("metadata"), faults, file)
    return Index(file, kept, total_size, metadata), tuple(faults)


@lru_cache(maxsize=1_000)  # an index names each of its shards some hundred times
def is_inside(path: str) -> bool:
    """Whether a path in an index stays in its folder: relative, POSIX, in its plainest spelling, no `..`."""
    return (
        bool(path)
        and "\\" not in path
        and "\x00" not in path
        and ":" not in path.partition("/")[0]  # C:x
        and not path.startswith(("/", "~"))
        and ".." not in path.split("/")
        and str(PurePosixPath(path)) == path
        and path != "."
    )


def _metadata(raw: Any, faults: list[Fault], file: str) -> tuple[int | None, dict[str, Any]]:
    """`total_size` in bytes: an integer, or a float or a text that is one, as old writers left it."""
    if raw is None:
        return None, {}
    if not isinstance(raw, dict):
        faults.append(Fault("index", file, "its metadata is no object"))
        return None, {}
    try:
        json.dumps(raw, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        faults.append(Fault("index", file, "its metadata holds text that is no Unicode, or is nested too deeply"))
        return None, {}
    stated = raw.get("total_size")
    if type(stated) is int and 0 <= stated < 2**63:
        return stated, raw
    if isinstance(stated, float) and stated.is_integer() and 0 <= stated < 2**63:
        return int(stated), raw
    if isinstance(stated, str) and stated.isascii() and stated.isdigit() and len(stated) < 19:
        return int(stated), raw
    if stated is not None:
        faults.append(Fault("index", file, f"its total_size is no number of bytes: {shown(repr(stated))}"))
    return None, raw


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair: legal in JSON, but no text
        return False
    return True
