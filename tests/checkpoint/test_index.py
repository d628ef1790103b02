from __future__ import annotations

import json
from typing import Any

import pytest

from auditdb.checkpoint.index import is_inside, parse_index
from auditdb.records import Fault, Index


def parsed(raw: Any) -> tuple[Index | None, list[str]]:
    text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    index, faults = parse_index(text, "i")
    assert all(fault == Fault("index", "i", fault.message) for fault in faults)
    return index, [fault.message for fault in faults]


def test_an_index() -> None:
    raw = {"metadata": {"total_size": 12}, "weight_map": {"a": "m.safetensors"}}
    assert parsed(raw) == (Index("i", {"a": "m.safetensors"}, 12, {"total_size": 12}), [])


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a\\b", "a/../b", "C:x", "~/x", "", ".", "a//b", "./a", "a/", "x\x00y"]
)
def test_a_path_that_leaves_the_folder_is_a_fault_and_left_out(path: str) -> None:
    assert not is_inside(path)
    index, messages = parsed({"weight_map": {"a": path, "b": "m.safetensors"}})
    assert index == Index("i", {"b": "m.safetensors"}, None, {})
    shown = path.replace("\x00", "\x00")
    assert messages == [f"it points to {_escaped(shown)!r}, which is no file of this folder, and is not opened: a"]


def _escaped(path: str) -> str:
    return path.replace("\x00", "\\x00")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[", "it is no JSON: Expecting value: line 1 column 2 (char 1)"),
        (b"\xff", "it is no JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[" * 100_000, "it is nested too deeply"),
        ([1], "it has no weight_map"),
        ({"weight_map": [1]}, "it has no weight_map"),
    ],
)
def test_no_index_at_all(raw: Any, message: str) -> None:
    assert parsed(raw) == (None, [message])


@pytest.mark.parametrize(
    ("stated", "total", "messages"),
    [
        (5, 5, []),
        (5.0, 5, []),
        ("5", 5, []),
        (None, None, []),
        (5.5, None, ["its total_size is no number of bytes: 5.5"]),
        (-5, None, ["its total_size is no number of bytes: -5"]),
        (2**70, None, [f"its total_size is no number of bytes: {2**70}"]),
        (True, None, ["its total_size is no number of bytes: True"]),
        ([1], None, ["its total_size is no number of bytes: [1]"]),
    ],
)
def test_total_size(stated: Any, total: int | None, messages: list[str]) -> None:
    index, said = parsed({"metadata": {"total_size": stated}, "weight_map": {"a": "b"}})
    assert (index and index.total_size, said) == (total, messages)


def test_entries_that_are_no_text() -> None:
    index, messages = parsed(b'{"weight_map": {"a": 1, "\\ud800": "m", "b": "m"}}')
    assert index == Index("i", {"b": "m"}, None, {})
    assert messages == ["2 entries are no pair of texts: a, ?"]


@pytest.mark.parametrize(
    "metadata",
    ['{"total_size":1,"a":"\\ud800"}', '{"total_size":1,"a":' + "[" * 970 + "]" * 970 + "}"],
    ids=["surrogate", "deep"],
)
def test_metadata_that_no_store_can_keep_is_a_fault(metadata: str) -> None:
    index, messages = parsed(b'{"weight_map":{"a":"m.safetensors"},"metadata":' + metadata.encode() + b"}")
    assert messages[-1] in (
        "its metadata holds text that is no Unicode, or is nested too deeply",
        "it is nested too deeply",  # Python's own reader gives up a little earlier in some versions
    )
    assert index in (None, Index("i", {"a": "m.safetensors"}, None, {}))
