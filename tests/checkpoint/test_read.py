from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checkpoint.folder import LocalFile
from auditdb.checks.files import check_headers, check_index
from auditdb.records import Check, Checkpoint, CheckpointFile, Fault, StoredTensor
from tests.checkpoint.files import ONE, SHARDS, TWO, encoded, header, split, write_sharded

INDEX = "model.safetensors.index.json"
OUTSIDE = "../secret.safetensors"
NO_NAME = "Expecting property name enclosed in double quotes"  # json's own words


def read(folder: Path) -> Checkpoint:
    checkpoint = read_checkpoint(FolderBytes(folder))
    assert checkpoint is not None
    return checkpoint


def test_a_sharded_checkpoint(tmp_path: Path) -> None:
    write_sharded(tmp_path, SHARDS)
    checkpoint = read(tmp_path)
    sizes = {f.name: f.size for f in FolderBytes(tmp_path).files}
    lengths = {name: 8 + int.from_bytes((tmp_path / name).read_bytes()[:8], "little") for name in (ONE, TWO)}
    assert checkpoint.files == (
        CheckpointFile(INDEX, "index", sizes[INDEX]),
        CheckpointFile(ONE, "safetensors", sizes[ONE], header_bytes=lengths[ONE]),
        CheckpointFile(TWO, "safetensors", sizes[TWO], header_bytes=lengths[TWO]),
    )
    assert checkpoint.tensors == (
        StoredTensor("a.0.weight", ONE, (2, 3), "BF16", 0, 12),
        StoredTensor("a.1.weight", ONE, (2, 3), "BF16", 12, 24),
        StoredTensor("b.weight", TWO, (4,), "F32", 0, 16),
        StoredTensor("c.weight", TWO, (3, 2), "F4", 16, 19),
    )
    assert (checkpoint.faults, checkpoint.notes) == ((), ())
    assert check_index(checkpoint) == Check("index", "PASS", "4 tensors, 43 bytes", "4 tensors, 43 bytes")
    assert check_headers(checkpoint) == Check("headers", "PASS", "2 well-formed headers", "4 tensors in 2 files")


def edit_index(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        raw = json.loads((folder / INDEX).read_text())
        change(raw)
        (folder / INDEX).write_text(json.dumps(raw))

    return edit


def edit_shard(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return edit


def with_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def edit(file: bytes) -> bytes:
        raw, data = split(file)
        change(raw)
        return encoded(raw, len(data))

    return edit


def more_in_two(folder: Path) -> None:
    """`a.0.weight` once more in the second shard, which stays well-formed."""
    (folder / TWO).write_bytes(encoded(header({**SHARDS[TWO], "a.0.weight": ("BF16", (2, 3))})))


def unlisted_in_two(folder: Path) -> None:
    (folder / TWO).write_bytes(encoded(header({**SHARDS[TWO], "d.weight": ("BF16", (2, 3))})))


INDEX_FAULTS: dict[str, tuple[Callable[[Path], None], list[Fault]]] = {
    "a shard missing": (
        lambda folder: (folder / TWO).unlink(),
        [Fault("index", TWO, "the shard is not there; it should hold 2 tensors: b.weight, c.weight")],
    ),
    "an entry that points to the wrong shard": (
        edit_index(lambda raw: raw["weight_map"].update({"a.0.weight": TWO})),
        [Fault("index", INDEX, f"it says {TWO}, and {ONE} holds a.0.weight")],
    ),
    "an entry for a tensor that is nowhere": (
        edit_index(lambda raw: raw["weight_map"].update({"z": TWO})),
        [Fault("index", TWO, "the index says that it holds z, and no shard does")],
    ),
    "a tensor in no index": (
        edit_index(lambda raw: raw["weight_map"].pop("b.weight")),
        [Fault("index", TWO, "it holds b.weight, which the index does not list")],
    ),
    "total_size off by one": (
        edit_index(lambda raw: raw["metadata"].update(total_size=44)),
        [Fault("index", INDEX, "total_size says 44 bytes, the shards hold 43: 1 fewer")],
    ),
    "a tensor in two shards": (
        more_in_two,
        [
            Fault("index", INDEX, "total_size says 43 bytes, the shards hold 55: 12 more"),
            Fault("index", TWO, f"a.0.weight: in {ONE} as well"),
        ],
    ),
    "a tensor more in a shard": (
        unlisted_in_two,
        [
            Fault("index", TWO, "it holds d.weight, which the index does not list"),
            Fault("index", INDEX, "total_size says 43 bytes, the shards hold 55: 12 more"),
        ],
    ),
    "an entry that leaves the folder": (
        edit_index(lambda raw: raw["weight_map"].update({"b.weight": OUTSIDE})),
        [
            Fault("index", INDEX, f"it points to {OUTSIDE!r}, which is no file of this folder, and is not opened: b.weight"),
            Fault("index", TWO, "it holds b.weight, which the index does not list"),
        ],
    ),
    "no JSON": (
        lambda folder: (folder / INDEX).write_text("{"),
        [Fault("index", INDEX, f"it is no JSON: {NO_NAME}: line 1 column 2 (char 1)")],
    ),
    "no index beside the shards": (
        lambda folder: (folder / INDEX).unlink(),
        [Fault("index", INDEX, "it is not there, and 2 shards are, which no loader would find")],
    ),
}  # fmt: skip

HEADER_FAULTS: dict[str, tuple[Callable[[Path], None], list[Fault]]] = {
    "cut by one byte": (
        edit_shard(TWO, lambda file: file[:-1]),
        [Fault("headers", TWO, "the file is cut short: 1 of 19 data bytes are missing")],
    ),
    "bytes appended": (
        edit_shard(TWO, lambda file: file + b"xyz"),
        [Fault("headers", TWO, "the file is longer than its header says: 3 bytes follow the last tensor")],
    ),
    "overlapping offsets": (
        edit_shard(ONE, with_header(lambda raw: raw["a.1.weight"].update(data_offsets=[11, 23]))),
        [
            Fault("headers", ONE, "a.1.weight: begins at 11 and overlaps a.0.weight, which ends at 12"),
            Fault("headers", ONE, "the file is longer than its header says: 1 bytes follow the last tensor"),
        ],
    ),
    "a header length of 2^63": (
        edit_shard(TWO, lambda file: (2**63).to_bytes(8, "little") + file[8:]),
        [Fault("headers", TWO, f"the header length says {2**63:,} bytes; the format allows 100,000,000")],
    ),
    "a header that is no JSON": (
        edit_shard(TWO, lambda file: file[:8] + b"?" + file[9:]),
        [Fault("headers", TWO, "the header is no JSON object of the format: it does not begin with '{'")],
    ),
    "an empty file": (
        edit_shard(TWO, lambda file: b""),
        [Fault("headers", TWO, "the file has 0 bytes, fewer than the 8 of a header length")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INDEX_FAULTS)
def test_one_fault_of_the_index(name: str, tmp_path: Path) -> None:
    damage, expected = INDEX_FAULTS[name]
    write_sharded(tmp_path, SHARDS)
    damage(tmp_path)
    checkpoint = read(tmp_path)
    assert list(checkpoint.faults) == expected
    check = check_index(checkpoint)
    assert (check.status, check.reason) == ("FAIL", "; ".join(f"{f.file}: {f.message}" for f in expected))
    assert check_headers(checkpoint).status == "PASS"


@pytest.mark.parametrize("name", HEADER_FAULTS)
def test_one_fault_of_a_header(name: str, tmp_path: Path) -> None:
    damage, expected = HEADER_FAULTS[name]
    write_sharded(tmp_path, SHARDS)
    damage(tmp_path)
    checkpoint = read(tmp_path)
    assert list(checkpoint.faults) == expected
    assert check_headers(checkpoint) == Check(
        "headers",
        "FAIL",
        "2 well-formed headers",
        f"{len(expected)} fault{'s' if len(expected) > 1 else ''}",
        "; ".join(f"{f.file}: {f.message}" for f in expected),
    )
    assert check_index(checkpoint).status == "PASS"


def test_the_single_file_comes_first(tmp_path: Path) -> None:
    write_sharded(tmp_path, SHARDS)
    (tmp_path / "model.safetensors").write_bytes(encoded(header({"a": ("F32", (1,))})))
    checkpoint = read(tmp_path)
    assert checkpoint.tensors == (StoredTensor("a", "model.safetensors", (1,), "F32", 0, 4),)
    assert checkpoint.notes == (
        f"{INDEX} lies beside model.safetensors; transformers takes the single file",
        "not part of the checkpoint: model-00001-of-00002.safetensors, model-00002-of-00002.safetensors",
    )
    assert check_index(checkpoint) == Check("index", "SKIP", reason="the checkpoint is one file, which needs no index")


def test_pickles_are_listed_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n")
    checkpoint = read(tmp_path)
    assert checkpoint == Checkpoint(files=(CheckpointFile("pytorch_model.bin", "pickle", 14),))
    reason = "the weights are pickled, and nothing is unpickled without loading the model"
    assert check_index(checkpoint) == Check("index", "SKIP", reason=reason)
    assert check_headers(checkpoint) == Check("headers", "SKIP", "0 well-formed headers"[:0], "", reason)


def test_no_weights_at_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert read_checkpoint(FolderBytes(tmp_path)) is None
    assert check_index(None) == Check("index", "SKIP", reason="no weights lie beside the config")
    assert check_headers(None) == Check("headers", "SKIP", reason="no weights lie beside the config")


def test_weights_of_others_are_noted(tmp_path: Path) -> None:
    (tmp_path / "consolidated.safetensors").write_bytes(b"")
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "consolidated.00.pth").write_bytes(b"")
    checkpoint = read(tmp_path)
    assert checkpoint == Checkpoint(notes=("not part of the checkpoint: consolidated.safetensors",))
    reason = "no weights that transformers would load; not part of the checkpoint: consolidated.safetensors"
    assert check_headers(checkpoint) == Check("headers", "SKIP", reason=reason)


def test_only_regular_files_are_listed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    (tmp_path / "zero.bin").symlink_to("/dev/zero")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(tmp_path / "s"))
    (tmp_path / "blob").write_bytes(b"x")
    (tmp_path / "link.json").symlink_to(tmp_path / "blob")
    (tmp_path / "loop").symlink_to(tmp_path)
    source = FolderBytes(tmp_path)
    assert source.files == (LocalFile("blob", 1), LocalFile("link.json", 1))
    assert read_checkpoint(source) is None
    with pytest.raises(FileNotFoundError):
        source.read("model.safetensors", 0, 1)


def test_a_fifo_put_there_after_listing_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    source = FolderBytes(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    os.mkfifo(tmp_path / "model.safetensors")
    checkpoint = read_checkpoint(source)
    assert checkpoint is not None
    assert checkpoint.faults == (
        Fault("headers", "model.safetensors", "it can't be read: model.safetensors is no regular file"),
    )


def test_a_partial_cache_is_unknown_and_no_fault(tmp_path: Path) -> None:
    write_sharded(tmp_path, SHARDS)
    (tmp_path / TWO).unlink()
    checkpoint = read_checkpoint(FolderBytes(tmp_path), incomplete="not in the cache")
    assert checkpoint is not None
    assert (checkpoint.faults, checkpoint.incomplete) == ((), "1 of 2 shards: not in the cache")
    assert check_index(checkpoint) == Check("index", "SKIP", reason="1 of 2 shards: not in the cache")


def test_a_large_header_takes_a_second_read(tmp_path: Path) -> None:
    spec = {f"layer.{i}.weight": ("F32", (1,)) for i in range(2000)}
    (tmp_path / "model.safetensors").write_bytes(encoded(header(spec)))
    checkpoint = read(tmp_path)
    assert (len(checkpoint.tensors), checkpoint.faults) == (2000, ())


def test_45_395_tensors_in_a_moment(tmp_path: Path) -> None:
    spec = {f"layers.{i // 768}.experts.{i % 256}.{i % 3}.weight_{i}": ("BF16", (4, 4)) for i in range(45_395)}
    (tmp_path / "model.safetensors").write_bytes(encoded(header(spec)))
    seconds = []
    for _ in range(3):
        started = time.thread_time()  # of this thread's own work: the machine may be busy with other things
        checkpoint = read(tmp_path)
        seconds.append(time.thread_time() - started)
    assert (len(checkpoint.tensors), checkpoint.faults) == (45_395, ())
    assert min(seconds) < 0.6
