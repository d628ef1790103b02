"""What is recorded comes back; what is there already is not written again."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from auditdb.errors import StoreError
from auditdb.records import Checkpoint, CheckpointFile, ExpectedTensor, Hook, Index, StoredTensor, WeightStat
from auditdb.store.keep import forget
from auditdb.store.read import ask, reading, run_rows
from auditdb.store.write import Writer, record
from tests.small import look, structure


def rows(db: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(db)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_run_comes_back_as_it_was(db: Path) -> None:
    assert record(db, look()) == 1
    with reading(db) as connection:
        found = run_rows(connection, 1)
    assert {key: found.run[key] for key in ("model", "revision", "mode", "status", "n_params", "n_buffers")} == {
        "model": "org/toy",
        "revision": "a" * 40,
        "mode": "fast",
        "status": "PASS",
        "n_params": 61,
        "n_buffers": 2,
    }
    assert found.run["toolchain"] == (
        "py3.11.7 torch2.13.0+cpu transformers5.23.0 accelerate1.15.0 safetensors0.8.0 huggingface_hub2.4.0 auditdb0.1.0"
    )
    assert [(row["name"], row["n_params"], row["is_router"], row["is_expert"]) for row in found.modules][4:7] == [
        ("layers.0.mlp", 0, 0, 0),
        ("layers.0.mlp.gate", 8, 1, 0),
        ("layers.0.mlp.experts", 32, 0, 1),
    ]
    assert [(row["name"], row["expert"], row["n_params"]) for row in found.experts] == [
        ("layers.0.mlp.experts[0]", 0, 16),
        ("layers.0.mlp.experts[1]", 1, 16),
    ]
    assert rows(
        db, "SELECT name, shape, dtype, tied_to FROM run_parameters WHERE name LIKE '%ate.%' OR tied_to <> ''"
    ) == [
        ("layers.0.mlp.gate.weight", "[2, 4]", "bfloat16", ""),
        ("layers.0.mlp.gate.bias", "[2]", "float32", ""),
        ("head.weight", "[5, 4]", "bfloat16", "embed.weight"),
    ]


def test_a_second_look_stores_the_structure_once_and_is_the_latest(db: Path) -> None:
    record(db, look())
    before = db.stat().st_size
    for second in range(6, 26):
        record(db, look(started_at=f"2026-01-02T03:04:{second:02d}Z"))
    counts = {
        table: rows(db, f"SELECT count(*) FROM {table}")[0][0]
        for table in ("runs", "structures", "readings", "configs", "dtype_maps", "models", "toolchains", "modules")
    }
    assert counts == {
        "runs": 21,
        "structures": 1,
        "readings": 1,
        "configs": 1,
        "dtype_maps": 1,
        "models": 1,
        "toolchains": 1,
        "modules": 9,
    }
    assert rows(db, "SELECT run_id FROM run_summary WHERE is_latest") == [(21,)]
    assert (db.stat().st_size - before) / 20 < 4096


def test_the_same_structure_under_another_dtype_is_one_structure(db: Path) -> None:
    record(db, look())
    in_float = replace(structure(), tensors=tuple(t._replace(dtype="float32") for t in structure().tensors))
    record(db, look(structure=in_float))
    assert rows(db, "SELECT count(*) FROM structures") == [(1,)]
    assert rows(db, "SELECT run_id, dtype FROM run_parameters WHERE name = 'embed.weight' ORDER BY run_id") == [
        (1, "bfloat16"),
        (2, "float32"),
    ]


def test_checkpoint_hooks_and_statistics(db: Path) -> None:
    checkpoint = Checkpoint(
        files=(CheckpointFile("model.safetensors", "safetensors", 100, "", 8), CheckpointFile("i.json", "index", 9)),
        tensors=(StoredTensor("embed.weight", "model.safetensors", (5, 4), "BF16", 0, 40),),
        index=Index("i.json", {"embed.weight": "model.safetensors", "stray": "model.safetensors"}, 40),
    )
    record(
        db,
        look(
            mode="full",
            rung="loaded",
            checkpoint=checkpoint,
            expected=(ExpectedTensor("embed.weight", (5, 4)),),
            hooks=(Hook("router", "layers.0.mlp.gate", (3, 2), float("nan"), 0.5, "NaN"),),
            hooks_ran=True,
            stats=(WeightStat("embed.weight", None, float("inf"), 0, 1, 2, 20),),
        ),
    )
    assert rows(db, "SELECT n_files, n_tensors, n_numbers, n_bytes, index_total_size FROM checkpoints") == [
        (2, 1, 20, 40, 40)
    ]
    assert rows(db, "SELECT name, indexed_in FROM checkpoint_tensors") == [("embed.weight", "model.safetensors")]
    assert rows(db, "SELECT name, file FROM index_strays") == [("stray", "model.safetensors")]
    assert rows(db, "SELECT name, shape FROM expected_tensors") == [("embed.weight", "[5, 4]")]
    assert rows(db, "SELECT kind, shape, mean, std, detail FROM run_hooks") == [("router", "[3, 2]", None, 0.5, "NaN")]
    assert rows(db, "SELECT name, expert, norm, n_nan, n_inf FROM weight_stats") == [("embed.weight", -1, None, 1, 2)]


def test_list_filters(db: Path) -> None:
    record(db, look())
    record(db, look(model="org/other_model", mode="full", started_at="2026-02-02T03:04:05Z"))
    everything = {"model": None, "revision": None, "toolchain": None, "mode": None, "status": None}

    def ids(**filters: str) -> list[int]:
        with reading(db) as connection:
            return [row["run_id"] for row in ask(connection, "list", **{**everything, **filters}, limit=9, offset=0)]

    assert ids() == [2, 1]
    assert ids(model="%toy%") == [1]
    assert ids(mode="full") == [2]
    assert ids(status="FAIL") == []
    assert ids(toolchain="%transformers5%", model="%other\\_model%") == [2]


@pytest.mark.parametrize("name", ["a b", "per%cent", "what?", "ha#sh", "quo'te\"s", "schöne Größe", "semi;colon"])
def test_a_store_may_have_any_name(tmp_path: Path, name: str) -> None:
    from auditdb.store.migrate import ensure

    folder = tmp_path / name
    folder.mkdir()
    path = folder / f"{name}.db"
    ensure(path)
    record(path, look())
    with reading(path) as connection:
        assert run_rows(connection, 1).run["n_params"] == 61
    assert sorted(file.name for file in tmp_path.iterdir()) == [name]


def test_what_no_store_can_keep_takes_the_whole_look_back(db: Path) -> None:
    record(db, look())
    with pytest.raises(StoreError, match="nothing was recorded"):
        record(db, look(config_text="{} ", notes=("\ud800",)))
    assert rows(db, "SELECT count(*) FROM runs") == [(1,)]
    assert rows(db, "SELECT count(*) FROM configs") == [(1,)]
    assert record(db, look()) == 2


def test_a_look_whose_structure_was_forgotten_meanwhile(db: Path) -> None:
    record(db, look())
    with Writer(db) as writer:
        assert writer.record_again(look(), 1) == 2
        forget(db, [1])
        with pytest.raises(StoreError) as caught:
            writer.record_again(look(), 1)
    assert str(caught.value) == "run 1, whose tree was to be reused, was forgotten meanwhile; run it again"
    assert rows(db, "SELECT id FROM runs") == [(2,)]
