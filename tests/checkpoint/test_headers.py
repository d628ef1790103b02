from __future__ import annotations

import json
from typing import Any

import pytest
import safetensors

from auditdb.checkpoint.headers import DTYPE_BITS, header_length, parse_header
from auditdb.records import StoredTensor
from tests.checkpoint.files import encoded, header


def problems(raw: Any, data_size: int | None = None) -> tuple[str, ...]:
    file = encoded(raw, data_size)
    length = int.from_bytes(file[:8], "little")
    return parse_header(file[8 : 8 + length], "f", len(file)).problems


def changed(**entry: Any) -> dict[str, Any]:
    raw = header({"a": ("F32", (2, 2)), "b": ("BF16", (3,))})
    raw["b"].update(entry)
    return raw


def test_a_well_formed_header() -> None:
    raw = {"__metadata__": {"format": "pt"}, **header({"a": ("F32", (2, 2)), "b": ("F4", (3, 2)), "c": ("I8", ())})}
    text = json.dumps(raw).encode()
    parsed = parse_header(text + b"   ", "f", 8 + len(text) + 3 + 20)
    assert parsed.tensors == (
        StoredTensor("a", "f", (2, 2), "F32", 0, 16),
        StoredTensor("b", "f", (3, 2), "F4", 16, 19),
        StoredTensor("c", "f", (), "I8", 19, 20),
    )
    assert (parsed.metadata, parsed.problems) == ({"format": "pt"}, ())


def test_the_dtypes_are_those_of_safetensors() -> None:
    """Each dtype is taken with its own size, and not with another, by the installed safetensors as well."""
    for dtype, bits in DTYPE_BITS.items():
        good = {"t": {"dtype": dtype, "shape": [8], "data_offsets": [0, bits]}}
        assert problems(good) == ()
        wrong = {"t": {"dtype": dtype, "shape": [8], "data_offsets": [0, bits + 1]}}
        assert problems(wrong) == (f"t: [8] of {dtype} takes {bits} bytes, its data_offsets span {bits + 1}",)
        if tuple(map(int, safetensors.__version__.split(".")[:2])) >= (0, 8):
            assert [name for name, _ in safetensors.deserialize(encoded(good))] == ["t"]


@pytest.mark.parametrize(
    ("raw", "data_size", "expected"),
    [
        (changed(dtype="F31"), 22, "b: unknown dtype 'F31'"),
        (changed(shape=[4]), None, "b: [4] of BF16 takes 8 bytes, its data_offsets span 6"),
        (changed(shape=[-3]), None, "b: its shape is no list of sizes"),
        (changed(shape=[True]), None, "b: its shape is no list of sizes"),
        (changed(shape=[2**40, 2**40]), None, "b: [1099511627776, 1099511627776] of BF16 is more than any file holds"),
        (changed(data_offsets=[12, 18]), None, "b: begins at 12 and overlaps a, which ends at 16"),
        (changed(data_offsets=[18, 24]), None, "b: begins at 18, a gap of 2 bytes"),
        (changed(data_offsets=[22, 16]), 22, "b: its data ends at 16, before it begins at 22"),
        (changed(data_offsets=[16]), 22, "b: its data_offsets are no two positions"),
        (changed(data_offsets=[16, 1e9]), 22, "b: its data_offsets are no two positions"),
        ({"a": {"dtype": "F32", "shape": [1]}}, 4, "a: its entry has no data_offsets"),
        ({"a": 7}, 0, "a: its entry is no object"),
        (changed(), 21, "the file is cut short: 1 of 22 data bytes are missing"),
        (changed(), 25, "the file is longer than its header says: 3 bytes follow the last tensor"),
        ({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}, None, "a: [3] of F4 does not end on a byte"),
        (b"not json", 0, "the header is no JSON object of the format: it does not begin with '{'"),
        (b'{"a": NaN}', 0, "the header is no JSON object of the format: NaN is no JSON"),
        (b'{"a":1,"a":2}', 0, "the header is no JSON object of the format: the name 'a' stands there twice"),
        (b'{"\\ud800":1}', 0, "the header is no JSON object of the format: a name holds half of a surrogate pair"),
        (b'{"a":' * 100_000, 0, "the header is no JSON object of the format: nested too deeply"),
        ({"__metadata__": {"n": 1}}, 0, "__metadata__ is no map from text to text"),
    ],
)  # fmt: skip
def test_one_fault_at_a_time(raw: Any, data_size: int | None, expected: str) -> None:
    assert problems(raw, data_size) == (expected,)


@pytest.mark.parametrize(
    ("first", "size", "expected"),
    [
        (b"\x07", 1, "the file has 1 bytes, fewer than the 8 of a header length"),
        ((2**63).to_bytes(8, "little"), 999, f"the header length says {2**63:,} bytes; the format allows 100,000,000"),
        ((1000).to_bytes(8, "little"), 999, "the header length says 1,000 bytes, and the whole file has 999"),
        ((991).to_bytes(8, "little"), 999, 991),
        ((991).to_bytes(8, "little"), None, 991),
    ],
)  # fmt: skip
def test_header_length(first: bytes, size: int | None, expected: int | str) -> None:
    assert header_length(first, size) == expected


def test_without_a_size_nothing_is_said_about_the_end() -> None:
    text = json.dumps(header({"a": ("F32", (2,))})).encode()
    assert parse_header(text, "f", None).problems == ()


def test_tensors_that_add_up_to_more_than_any_file_holds_are_left_out() -> None:
    """Each fits 64 bits, their sum does not, and a store takes no such number."""
    entry = {"dtype": "U8", "shape": [2**62], "data_offsets": [0, 2**62]}
    found = parse_header(json.dumps({"a": entry, "b": entry}).encode(), "f", None)
    assert (found.tensors, found.problems) == ((), ("its tensors add up to more than any file holds",))


def test_the_problems_of_one_file_are_counted_after_a_thousand() -> None:
    raw = json.dumps({f"t.{at}": 7 for at in range(1_200)}).encode()
    found = parse_header(raw, "f", None).problems
    assert (len(found), found[0], found[999], found[1000]) == (
        1_001,
        "t.0: its entry is no object",
        "t.999: its entry is no object",
        "and 200 problems more",
    )
