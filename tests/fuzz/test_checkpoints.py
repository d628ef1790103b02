"""Any safetensors header and any index give a checkpoint whose faults are data; each check then gives a verdict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from auditdb.audit.judge import checkpoint_checks, tree_checks
from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checkpoint.headers import DTYPE_BITS
from auditdb.errors import AuditError
from auditdb.inspect.from_headers import read_headers_tree
from auditdb.moe import read_moe
from auditdb.records import Checkpoint, Declared, ExpectedTensor, LoaderVerdict, StoredTensor
from auditdb.store import rows
from tests.checkpoint.files import encoded, header
from tests.fuzz.law import NUMBERS, assert_storable, fuzzed, in_time, lawful, texts, values
from tests.small import structure

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
EXPECTED = (ExpectedTensor("embed.weight", (5, 4)), ExpectedTensor("layers.0.mlp.experts.up", (2, 4, 4)))
RAW = {"model_type": "toy", "num_experts": 2, "num_hidden_layers": 1, "tie_word_embeddings": True}

names = texts | st.sampled_from(
    ("embed.weight", "layers.0.mlp.gate.weight", "layers.0.mlp.experts.up", "layers.0.mlp.experts.1.up", "0", "0.0")
)
sizes = st.integers(0, 5) | st.sampled_from(NUMBERS)
entries = st.fixed_dictionaries(
    {"dtype": st.sampled_from((*DTYPE_BITS, "F7")), "shape": st.lists(sizes, max_size=4)},
    optional={"data_offsets": st.lists(sizes, min_size=2, max_size=2), "more": values},
)
sound = st.dictionaries(
    names,
    st.tuples(st.sampled_from(("BF16", "F32", "I64", "U8")), st.lists(st.integers(0, 5), max_size=3)),
    max_size=6,
).map(lambda spec: encoded(header(spec)))
headers = (
    st.binary(max_size=60)
    | sound
    | st.dictionaries(names, entries | values, max_size=5).map(lambda raw: encoded(json.dumps(raw).encode(), 40))
    | st.tuples(sound, st.integers(0, 200), st.binary(max_size=3)).map(lambda p: p[0][: p[1]] + p[2] + p[0][p[1] :])
)
indexes = st.binary(max_size=60) | st.fixed_dictionaries(
    {},
    optional={
        "weight_map": st.dictionaries(names, st.sampled_from(SHARDS) | texts | values, max_size=5) | values,
        "metadata": st.fixed_dictionaries({}, optional={"total_size": sizes | values, "more": values}) | values,
    },
).map(lambda raw: json.dumps(raw).encode())


def look(files: dict[str, bytes]) -> None:
    """All that FAST does with a checkpoint: read it, judge it, and make a tree of it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        with in_time():
            checkpoint = read_checkpoint(FolderBytes(folder))
    assert checkpoint is not None
    assert_storable(replace(checkpoint, index=None))  # what the index says beside the map is kept as JSON text
    assert_storable(rows.checkpoint_content(checkpoint))

    def load(stored: Sequence[StoredTensor]) -> LoaderVerdict:
        return LoaderVerdict(missing=tuple(t.name for t in stored), unexpected=tuple(t.name for t in stored))

    assert_storable(checkpoint_checks(RAW, structure(), checkpoint, EXPECTED, load))
    assert_storable(checkpoint_checks(RAW, structure(), checkpoint, (), load, no_class="none"))
    tree = lawful(lambda: as_tree(checkpoint))
    assert isinstance(tree, AuditError) or not checkpoint.tensors or tree > 0


def as_tree(checkpoint: Checkpoint) -> int:
    tree = read_headers_tree(checkpoint.tensors)
    reading = read_moe(tree, Declared(), RAW)
    checks = tree_checks(RAW, tree, reading)
    assert_storable((checks, rows.structure_content(tree), rows.reading_content(reading)))
    return len(tree.modules)


def huge(**changes: Any) -> bytes:
    entry = {"dtype": "U8", "shape": [2**62], "data_offsets": [0, 2**62], **changes}
    return encoded(json.dumps({"a": entry, "b": entry}).encode(), 40)


@fuzzed(300)
@given(headers)
@example(huge())
@example(huge(shape=[2**62, 0], data_offsets=[0, 0]))
@example(encoded(header({"a." * 50_000 + "w": ("U8", (1,))})))
@example(encoded(header({f"layers.{'9' * 5_000}.w": ("U8", (1,))})))
@example(encoded(header({"0." * 3_000 + "w": ("U8", (1,))})))
@example(encoded(header({"layers.٣.w": ("BF16", ()), "layers.0.mlp.gate.weight": ("BF16", ())})))
@example(
    encoded(header({f"mlp.experts.{n}.w": ("U8", (2, 2)) for n in (0, 999_999_999)} | {"mlp.gate.w": ("U8", (2, 2))}))
)
@example(encoded(header({f"mlp.experts.{n}.w": ("U8", (2, 2)) for n in ("3", "03")} | {"mlp.gate.w": ("U8", (2, 2))})))
@example(encoded(header({"layers.3.w": ("U8", (1,)), "layers.03.w": ("U8", (2,)), "layers.{}.w": ("U8", (3,))})))
def test_any_header(file: bytes) -> None:
    look({"model.safetensors": file})


@fuzzed(300)
@given(indexes, headers)
@example(b'{"weight_map":{"a":"../x"},"metadata":{"a":"\\ud800"}}', b"")
@example(b'{"weight_map":{},"metadata":' + b'{"a":' * 900 + b"1" + b"}" * 901, b"")
@example(b'{"weight_map":{"' + b"0." * 3_000 + b'w":"x"}}', b"")
@example(b'{"weight_map":{"layers.' + b"9" * 5_000 + b'.w":"x"}}', b"")
def test_any_index(index: bytes, shard: bytes) -> None:
    look({"model.safetensors.index.json": index, SHARDS[0]: shard})
