"""One changed thing at a time between two small models: the diff names exactly that, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditdb.records import Check
from auditdb.report.diff import schema
from auditdb.report.text import human
from tests.compare.documents import changes, compared, counted, mirrored, ordered
from tests.compare.looks import FOUR, Decoder, on_disk, store_of

BASE = Decoder()


def diff(tmp_path: Path, other: Decoder, base: Decoder = BASE) -> dict[str, Any]:
    """The comparison, held to its schema and to its mirror image."""
    store = store_of(tmp_path / "audit.db", base, other)
    found, back = compared(store), compared(store, 2, 1)
    jsonschema.validate(found, schema())
    assert ordered(back) == mirrored(found)
    return found


def value(name: str, a: Any, b: Any) -> tuple[Any, ...]:
    return ("changed", name, name, 1, 0, {"value": (a, b)})


def test_nothing(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, revision="1" * 40))
    assert counted(found) == {}
    assert list(found["sections"]) == ["identity"]
    assert not found["different"]
    assert found["sentence"] == "same: nothing differs; weight values were not compared"


def test_a_run_and_itself(tmp_path: Path) -> None:
    found = compared(store_of(tmp_path / "audit.db", BASE), 1, 1)
    assert found["sections"] == {}


def test_a_layer_more(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, layers=3))
    added = 7 + 4 * 4 + 1
    each = 8 * 8 * 2 + 8 + 4 * 8 + 4 * 2 * 8 * 16 + 8
    idle = 2 * 2 * 8 * 16
    before = BASE.structure().n_params
    active = BASE.look().reading.n_active
    assert active is not None
    assert counted(found) == {
        "config": [value("num_hidden_layers", 2, 3)],
        "totals": [
            value("n_modules", 54, 54 + added),
            value("n_params", before, before + each),
            value("n_trainable", before, before + each),
            value("n_active_params", active, active + each - idle),
            value("n_active_params_no_embedding", active - 256, active - 256 + each - idle),
            value("n_groups", 2, 3),
            value("n_routers", 2, 3),
            value("n_experts", 8, 12),
            value("n_expected", 29, 42),
        ],
        "modules": [("added", None, "model.layers.2", 1, added - 1, {"class": (None, "TinyLayer")})],
        "parameters": [("added", None, "model.layers.2.*", 13, 0, {})],
        "moe": [
            (
                "added",
                None,
                "model.layers.2.mlp",
                1,
                0,
                {"n_routers": (None, 1), "n_experts": (None, 4), "top_k": (None, 2)},
            )
        ],
        "expected": [("added", None, "model.layers.2.*", 13, 0, {})],
    }
    assert found["sentence"] == (
        f"different: num_hidden_layers 2 → 3; {human(before)} → {human(before + each)} parameters; "
        f"{human(active)} → {human(active + each - idle)} active; modules +24; tensors +13; MoE groups +1"
    )


def test_an_expert_more(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, experts=5))
    assert changes(found, "config") == [value("num_experts", 4, 5)]
    gate = {"n_params": (32, 40), "n_trainable": (32, 40)}
    assert changes(found, "modules") == [
        ("changed", "model.layers.{0-1}.mlp.gate", "model.layers.{0-1}.mlp.gate", 2, 0, gate),
        ("added", None, "model.layers.{0-1}.mlp.experts.4", 2, 6, {"class": (None, "TinyMLP")}),
    ]
    shape = {"shape": ("[4, 8]", "[5, 8]")}
    assert changes(found, "parameters") == [
        ("changed", "model.layers.{0-1}.mlp.gate.weight", "model.layers.{0-1}.mlp.gate.weight", 2, 0, shape),
        ("added", None, "model.layers.{0-1}.mlp.experts.4.*", 4, 0, {}),
    ]
    assert changes(found, "expected") == changes(found, "parameters")
    assert changes(found, "moe") == [
        (
            "changed",
            "model.layers.{0-1}.mlp",
            "model.layers.{0-1}.mlp",
            2,
            0,
            {"n_experts": (4, 5), "n_params": (1056, 1320)},
        )
    ]
    assert "experts a group 4 → 5" in found["sentence"]


def test_another_hidden_size(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, hidden=12))
    assert changes(found, "config") == [value("hidden_size", 8, 12)]
    kinds = {change[0] for section in counted(found).values() for change in section}
    assert kinds == {"changed"}
    assert {row["name"] for c in found["sections"]["parameters"]["changes"] for row in c["fields"]} == {"shape"}
    assert sum(change[3] for change in changes(found, "parameters")) == 29
    assert "n_modules" not in {change[1] for change in changes(found, "totals")}


def test_a_renamed_module(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, block="block_sparse_moe"))
    old, new = "model.layers.{0-1}.mlp", "model.layers.{0-1}.block_sparse_moe"
    assert counted(found) == {
        "modules": [("renamed", old, new, 2, 2 * (2 + 4 * 4), {})],
        "parameters": [("renamed", f"{old}.*", f"{new}.*", 18, 0, {})],
        "moe": [("renamed", old, new, 2, 0, {})],
        "expected": [("renamed", f"{old}.*", f"{new}.*", 18, 0, {})],
    }
    assert found["verdict"] == "same weights, other modules"


def test_a_renamed_prefix(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, prefix="model.language_model"), replace(BASE, prefix="language_model.model"))
    assert changes(found, "expected") == [
        ("renamed", "language_model.model.*", "model.language_model.*", 28, 0, {}),
    ]
    assert found["verdict"] == "same weights, other modules"


def test_a_level_taken_out(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, prefix="tower"), replace(BASE, prefix="tower.inner"))
    assert changes(found, "expected") == [("renamed", "tower.inner.*", "tower.*", 28, 0, {})]


def test_a_rename_and_a_layer_more(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, block="moe", layers=3))
    assert changes(found, "modules") == [
        ("renamed", "model.layers.{0-1}.mlp", "model.layers.{0-1}.moe", 2, 36, {}),
        ("added", None, "model.layers.2", 1, 23, {"class": (None, "TinyLayer")}),
    ]


def test_tying_switched(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, tie=True))
    head = {"n_params": (256, 0), "n_trainable": (256, 0)}
    tied = {"tied_to": ("", "model.embed_tokens.weight")}
    assert changes(found, "config") == [value("tie_word_embeddings", False, True)]
    assert changes(found, "modules") == [("changed", "lm_head", "lm_head", 1, 0, head)]
    assert changes(found, "parameters") == [("changed", "lm_head.weight", "lm_head.weight", 1, 0, tied)]
    assert changes(found, "expected") == [("removed", "lm_head.weight", None, 1, 0, {"shape": ("[32, 8]", None)})]
    assert changes(found, "moe") == []


def test_one_dtype(tmp_path: Path) -> None:
    names = {f"model.layers.{layer}.mlp.gate.weight": "float32" for layer in range(2)}
    found = diff(tmp_path, replace(BASE, dtypes=names))
    gates = "model.layers.{0-1}.mlp.gate.weight (2)"
    assert counted(found) == {"parameters": [("changed", gates, gates, 2, 0, {"dtype": ("bfloat16", "float32")})]}


def test_the_built_dtype_of_another_library_is_told_and_does_not_count(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, dtype="float32", toolchain=FOUR))
    assert counted(found) == {}
    line = found["sections"]["parameters"]["changes"]
    assert [(c["a"], c["n"], c["counts"]) for c in line] == [("29 tensors", 29, False)]
    assert found["sentence"].startswith("same: nothing that counts differs (see parameters)")


def test_top_k_in_the_config_only(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, top_k=3))
    assert changes(found, "config") == [value("num_experts_per_tok", 2, 3)]
    assert [change[1] for change in changes(found, "totals")] == ["n_active_params", "n_active_params_no_embedding"]
    group = "model.layers.{0-1}.mlp"
    assert changes(found, "moe") == [("changed", group, group, 2, 0, {"top_k": (2, 3)})]
    assert set(counted(found)) == {"config", "totals", "moe"}


def test_a_buffer(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, buffers={"model.norm.scale": (3,)}))
    assert counted(found) == {
        "totals": [value("n_buffers", 0, 3), value("n_expected", 29, 30)],
        "modules": [("changed", "model.norm", "model.norm", 1, 0, {"n_buffers": (0, 3)})],
        "parameters": [("added", None, "model.norm.scale", 1, 0, {"kind": (None, "buffer"), "shape": (None, "[3]")})],
        "expected": [("added", None, "model.norm.scale", 1, 0, {"shape": (None, "[3]")})],
    }


def test_a_class_with_the_same_parameters(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, norm="LayerNorm"))
    norms = "model.layers.{0-1}.input_layernorm"
    assert counted(found) == {"modules": [("changed", norms, norms, 2, 0, {"class": ("RMSNorm", "LayerNorm")})]}
    assert found["verdict"] == "same weights, other modules"


def test_who_wrote_the_config_never_counts(tmp_path: Path) -> None:
    config = {
        "_name_or_path": "trained/x",
        "transformers_version": "5.0.0",
        "dtype": "bfloat16",
        "text": {"_name_or_path": "y"},
    }
    found = diff(tmp_path, replace(BASE, config=config), replace(BASE, config={"torch_dtype": "bfloat16"}))
    assert counted(found) == {}
    kinds = sorted(
        (c["kind"], c["a"], c["b"]) for c in found["sections"]["config"]["changes"] if c["kind"] == "renamed"
    )
    assert kinds == [("renamed", "torch_dtype", "dtype")]


def test_another_reading_of_the_same_tree(tmp_path: Path) -> None:
    by_source = diff(tmp_path, replace(BASE, source="family"))
    assert counted(by_source) == {}
    look = BASE.look()
    other = replace(look, reading=replace(look.reading, groups=(), routers=(), experts=(), marks=()))
    found = compared(store_of(tmp_path / "other.db", look, other))
    assert found["verdict"] == "same model, read differently"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [("PASS", "FAIL", True), ("SKIP", "FAIL", True), ("PASS", "SKIP", False), ("FAIL", "PASS", True)],
)
def test_integrity(tmp_path: Path, before: str, after: str, counts: bool) -> None:
    def checked(status: str) -> Decoder:
        return replace(BASE, checks=(Check("tree_total", status, reason=status.lower()),))  # type: ignore[arg-type]

    found = diff(tmp_path, checked(after), checked(before))
    (change,) = found["sections"]["integrity"]["changes"]
    assert (change["a"], change["counts"]) == ("tree_total", counts)
    assert change["fields"][0] == {"name": "status", "a": before, "b": after}


def test_a_checkpoint_in_other_shards(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, checkpoint=on_disk(BASE, shards=3)), replace(BASE, checkpoint=on_disk(BASE)))
    assert counted(found) == {
        "checkpoint": [
            ("changed", "totals", "totals", 1, 0, {"n_files": (1, 3)}),
            ("removed", "model-*-of-00001.safetensors", None, 1, 0, {}),
            ("added", None, "model-*-of-00003.safetensors", 3, 0, {}),
        ]
    }


def test_a_checkpoint_of_other_weights(tmp_path: Path) -> None:
    one, other = on_disk(BASE, digest="a" * 64), on_disk(BASE, digest="b" * 64)
    found = diff(tmp_path, replace(BASE, checkpoint=other), replace(BASE, checkpoint=one))
    assert counted(found) == {
        "checkpoint": [
            (
                "changed",
                "model-00001-of-00001.safetensors",
                "model-00001-of-00001.safetensors",
                1,
                0,
                {"sha256": ("a" * 64, "b" * 64)},
            )
        ]
    }


def test_equal_digests_say_that_the_values_are_the_same(tmp_path: Path) -> None:
    disk = on_disk(BASE, digest="a" * 64)
    found = diff(tmp_path, replace(BASE, checkpoint=disk, revision="1" * 40), replace(BASE, checkpoint=disk))
    assert found["sentence"] == "same: nothing differs"


def test_what_one_look_did_not_record_is_a_note(tmp_path: Path) -> None:
    found = diff(tmp_path, replace(BASE, expects=False, checkpoint=on_disk(BASE)))
    assert counted(found) == {}
    assert found["sections"]["expected"]["notes"] == ["expected tensors were recorded for A only"]
    assert found["sections"]["checkpoint"]["notes"] == ["a checkpoint was recorded for B only"]


def test_all_unfolds(tmp_path: Path) -> None:
    store = store_of(tmp_path / "audit.db", BASE, replace(BASE, block="moe", layers=3))
    found = compared(store, every=True)
    names = [(c["kind"], c["a"], c["b"]) for c in found["sections"]["modules"]["changes"]]
    old = [m.name for m in BASE.structure().modules]
    new = [m.name for m in replace(BASE, block="moe", layers=3).structure().modules]
    assert sorted(a for kind, a, _ in names if kind == "renamed") == sorted(name for name in old if ".mlp" in name)
    assert sorted(b for kind, _, b in names if kind == "added") == sorted(name for name in new if ".layers.2" in name)
    assert ordered(compared(store, 2, 1, every=True)) == mirrored(found)
