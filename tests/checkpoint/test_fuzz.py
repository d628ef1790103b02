"""Any bytes give a result: faults are data, and nothing but a result ever comes out."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checkpoint.headers import DTYPE_BITS, parse_header
from auditdb.checkpoint.index import parse_index
from tests.checkpoint.files import encoded

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPE_BITS, "F7"]),
        "shape": st.lists(st.integers(0, 5), max_size=3),
        "data_offsets": st.lists(st.integers(0, 60), min_size=2, max_size=2),
    }
)
headers_like = st.dictionaries(st.text(max_size=6), entries | json_values, max_size=4)


@quick
@given(
    st.binary(max_size=200) | headers_like.map(lambda raw: json.dumps(raw).encode()), st.integers(0, 500) | st.none()
)
def test_any_header_gives_a_result(text: bytes, size: int | None) -> None:
    started = time.perf_counter()
    parsed = parse_header(text, "f", size)
    assert all(len(t.shape) >= 0 and t.begin <= t.end for t in parsed.tensors)
    assert all(isinstance(problem, str) and "\n" not in problem for problem in parsed.problems)
    assert time.perf_counter() - started < 2


@quick
@given(st.dictionaries(st.text("ab", max_size=2), entries, max_size=3), st.integers(0, 60))
def test_what_passes_here_passes_safetensors(raw: dict[str, object], data_size: int) -> None:
    """No false alarm and no blind eye, against the library that will read the file."""
    file = encoded(json.dumps(raw).encode(), data_size)
    length = int.from_bytes(file[:8], "little")
    ours = not parse_header(file[8 : 8 + length], "f", len(file)).problems
    try:
        safetensors.deserialize(file)
        theirs = True
    except safetensors.SafetensorError:
        theirs = False
    assert ours == theirs


@quick
@given(st.binary(max_size=200) | json_values.map(lambda raw: json.dumps({"weight_map": raw, "metadata": raw}).encode()))
def test_any_index_gives_a_result(text: bytes) -> None:
    index, faults = parse_index(text, "i")
    assert index is not None or faults


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=120))
def test_any_folder_gives_a_result(one: bytes, index: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model-00001-of-00001.safetensors").write_bytes(one)
        (folder / "model.safetensors.index.json").write_bytes(index)
        checkpoint = read_checkpoint(FolderBytes(folder))
    assert checkpoint is not None and checkpoint.faults
