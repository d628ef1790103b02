"""The check `checkpoint`: what fits, what is another layout, and one fault at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from auditdb.checks.checkpoint import Fit, checkpoint_fit
from auditdb.checks.extras import BUFFERS, IGNORED, MTP, TIED, Extra
from auditdb.fold import Folded
from auditdb.inspect.expected import expected_tensors
from auditdb.inspect.tree import read_tree
from auditdb.records import (
    Check,
    Checkpoint,
    CheckpointFile,
    ExpectedTensor,
    LoaderVerdict,
    Module,
    StoredTensor,
    Structure,
    Tensor,
)
from tests.checkpoint.families import FAMILIES, FIVE
from tests.checkpoint.files import encoded, header, split
from tests.checks.looks import Specs, checkpoint_of, fit, plain, statuses

MOE = "model.layers.{}.block_sparse_moe"
PASSED = {"index": "PASS", "headers": "PASS", "checkpoint": "PASS", "dtypes": "PASS"}


def specs(name: str, **changed: Any) -> dict[str, tuple[str, Sequence[int]]]:
    return plain(expected_tensors(FAMILIES[name].on_meta(**changed)))


def unasked(tensors: Sequence[StoredTensor]) -> LoaderVerdict:
    raise AssertionError("the loader is not needed here")


@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
@pytest.mark.parametrize("name", FAMILIES)
def test_what_transformers_saves_fits(name: str, shard_size: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    family.random().save_pretrained(tmp_path, max_shard_size=shard_size)
    sharded = (tmp_path / "model.safetensors.index.json").exists()
    found, looked = statuses(family, tmp_path)
    assert found == {**PASSED, "index": "PASS" if sharded else "SKIP"}
    assert (looked.layout, looked.missing, looked.stray, looked.reshaped, looked.verdict) == (
        "expected",
        (),
        (),
        (),
        None,
    )
    assert "unexplained" not in looked.check.reason


def test_a_pass_explains_its_numbers() -> None:
    looked = fit(FAMILIES["mixtral"], checkpoint_of(specs("mixtral")))
    assert looked == Fit(
        Check(
            "checkpoint",
            "PASS",
            "41 tensors, 16,080 numbers",
            "41 tensors",
            "names and shapes are those that the class writes; parameters 16,080; stored numbers 16,080; "
            "bytes 32,160 in 41 tensors: 16,080 BF16 (32,160 bytes)",
        ),
        layout="expected",
        n_expected=41,
        n_stored=41,
        accounts=(
            "parameters 16,080; stored numbers 16,080",
            "bytes 32,160 in 41 tensors: 16,080 BF16 (32,160 bytes)",
        ),
    )


# Mixtral, one fault at a time: the change, then missing, stray and reshaped, and the first words of the reason.
Change = Callable[[dict[str, tuple[str, Sequence[int]]]], Any]
ONE_EXPERT = f"{MOE.format(1)}.experts.2.w1.weight"
FAULTS: dict[str, tuple[Change, dict[str, Any], str]] = {
    "a tensor of one expert missing": (
        lambda s: s.pop(ONE_EXPERT),
        {"missing": (Folded(ONE_EXPERT, 1),)},
        f"1 missing: {ONE_EXPERT}",
    ),
    "one transposed": (
        lambda s: s.update({ONE_EXPERT: ("BF16", (16, 32))}),
        {"reshaped": ((ONE_EXPERT, (16, 32), (32, 16)),)},
        f"{ONE_EXPERT} is [16, 32] on disk, expected [32, 16]",
    ),
    "a stray tensor": (
        lambda s: s.update({"model.stray.weight": ("BF16", (4,))}),
        {"stray": (Folded("model.stray.weight", 1),)},
        "1 stray: model.stray.weight",
    ),
    "a stray tensor in an expert's place": (
        lambda s: s.update({ONE_EXPERT.replace(".2.", ".7."): ("BF16", (32, 16))}),
        {"stray": (Folded(ONE_EXPERT.replace(".2.", ".7."), 1),)},
        f"1 stray: {ONE_EXPERT.replace('.2.', '.7.')}",
    ),
    "an expert under another number": (
        lambda s: [s.update({k.replace("experts.2.", "experts.9."): s.pop(k)}) for k in list(s) if "experts.2." in k],
        {
            "missing": tuple(Folded(MOE.format("{0-1}") + f".experts.2.w{k}", 2) for k in (1, 2, 3)),
            "stray": tuple(Folded(MOE.format("{0-1}") + f".experts.9.w{k}", 2) for k in (1, 2, 3)),
        },
        "6 missing: model.layers.{0-1}.block_sparse_moe.experts.2.w",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_at_a_time(name: str) -> None:
    change, named, reason = FAULTS[name]
    stored = specs("mixtral")
    change(stored)
    looked = fit(FAMILIES["mixtral"], checkpoint_of(stored))
    assert (looked.check.status, looked.layout) == ("FAIL", "")
    found = {key: getattr(looked, key) for key in ("missing", "stray", "reshaped") if getattr(looked, key)}
    if "under another number" in name:
        found = {k: tuple(sorted(Folded(f.pattern.removesuffix(".weight"), f.n) for f in v)) for k, v in found.items()}
    assert found == named
    assert looked.check.reason.startswith(reason)


@pytest.mark.parametrize(("config", "disk"), [(5, 4), (3, 4)])
def test_a_config_with_another_number_of_experts(config: int, disk: int) -> None:
    looked = fit(FAMILIES["mixtral"], checkpoint_of(specs("mixtral")), num_local_experts=config)
    odd = max(config, disk) - 1
    names = {f"model.layers.{{0-1}}.block_sparse_moe.experts.{odd}.w{k}.weight" for k in (1, 2, 3)}
    told = looked.missing if config > disk else looked.stray
    assert {f.pattern for f in told} == names
    assert [f.n for f in told] == [2, 2, 2]
    assert looked.check.status == "FAIL"
    assert looked.check.reason.startswith(f"the config builds {config} experts, the checkpoint holds {disk}; 6 ")
    gates = tuple((f"{MOE.format(i)}.gate.weight", (disk, 16), (config, 16)) for i in range(2))
    assert looked.reshaped == gates


def test_a_config_with_a_layer_more_and_one_less() -> None:
    more = fit(FAMILIES["llama"], checkpoint_of(specs("llama")), num_hidden_layers=3)
    assert (more.check.status, sum(f.n for f in more.missing), more.stray) == ("FAIL", 9, ())
    assert {f.pattern.split(".")[2] for f in more.missing} == {"2"}
    raw = {"num_hidden_layers": 1}
    less = fit(FAMILIES["llama"], checkpoint_of(specs("llama")), raw, num_hidden_layers=1)
    assert (less.check.status, sum(f.n for f in less.stray), less.missing) == ("FAIL", 9, ())


def test_an_untied_head_that_is_not_on_disk() -> None:
    stored = specs("llama")
    del stored["lm_head.weight"]
    looked = fit(FAMILIES["llama"], checkpoint_of(stored), {"tie_word_embeddings": False})
    assert looked.check == Check(
        "checkpoint",
        "FAIL",
        "21 tensors, 6,736 numbers",
        "20 tensors",
        "the output head lm_head.weight is not tied to the input embedding, and not on disk; 1 missing: lm_head.weight",
    )


def test_a_head_that_the_loader_keeps_silent_about() -> None:
    """Some classes let its absence pass (`_keys_to_ignore_on_load_missing`); the numbers do not."""
    model = FAMILIES["llama"].on_meta()
    stored = specs("llama")
    del stored["lm_head.weight"]
    looked = checkpoint_fit(
        checkpoint_of(stored), expected_tensors(model), read_tree(model), {}, lambda tensors: LoaderVerdict()
    )
    assert (looked.check.status, looked.check.reason) == (
        "FAIL",
        "the output head lm_head.weight is not tied to the input embedding, and not on disk",
    )


def test_a_stored_copy_of_a_tied_head_is_a_known_extra() -> None:
    looked = fit(FAMILIES["llama_tied"], checkpoint_of(specs("llama")), {"tie_word_embeddings": True})
    assert looked.extras == (Extra(TIED, 1, 1024, 2048, (Folded("lm_head.weight", 1),)),)
    assert looked.check == Check(
        "checkpoint",
        "PASS",
        "20 tensors, 5,712 numbers",
        "21 tensors; known extras: 1 stored copies of tied tensors (copy not compared)",
        "names and shapes are those that the class writes; parameters 5,712; stored numbers 6,736 (+1,024): "
        "+1,024 stored copies of tied tensors (copy not compared) (lm_head.weight); "
        "tied, counted once: lm_head.weight; bytes 13,472 in 21 tensors: 6,736 BF16 (13,472 bytes)",
    )


def test_a_copy_of_another_shape_is_none() -> None:
    stored = {**specs("llama_tied"), "lm_head.weight": ("BF16", (65, 16))}
    looked = fit(FAMILIES["llama_tied"], checkpoint_of(stored))
    assert (looked.check.status, looked.extras) == ("FAIL", ())
    assert looked.reshaped == (("lm_head.weight", (65, 16), (64, 16)),)


def test_the_other_name_of_a_tied_pair_is_enough() -> None:
    stored = specs("llama_tied")
    stored["lm_head.weight"] = stored.pop("model.embed_tokens.weight")
    looked = fit(FAMILIES["llama_tied"], checkpoint_of(stored))
    assert (looked.check.status, looked.layout, looked.extras) == ("PASS", "another", ())


def test_all_copies_that_t5_once_stored() -> None:
    copies = dict.fromkeys(["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"], ("F32", (64, 16)))
    looked = fit(FAMILIES["t5"], checkpoint_of({**specs("t5"), **copies}))
    assert looked.check.status == "PASS"
    assert looked.extras == (
        Extra(TIED, 2, 2048, 8192, tuple(Folded(name, 1) for name in copies)),
    )  # fmt: skip


def test_a_buffer_that_the_class_no_longer_saves() -> None:
    stored = {**specs("bert_base"), "embeddings.position_ids": ("I64", (1, 32))}
    looked = fit(FAMILIES["bert_base"], checkpoint_of(stored))
    assert looked.check.status == "PASS"
    assert looked.extras == (Extra(BUFFERS, 1, 32, 256, (Folded("embeddings.position_ids", 1),)),)


def test_rotary_frequencies_of_each_layer() -> None:
    names = [f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(2)]
    looked = fit(FAMILIES["llama"], checkpoint_of({**specs("llama"), **dict.fromkeys(names, ("F32", (2,)))}))
    kind = IGNORED if FIVE else BUFFERS
    assert looked.check.status == "PASS"
    assert looked.extras == (Extra(kind, 2, 4, 16, (Folded("model.layers.{0-1}.self_attn.rotary_emb.inv_freq", 2),)),)


MTP_PARTS = ("eh_proj.weight", "enorm.weight", "hnorm.weight", "mlp.gate.weight")


@pytest.mark.parametrize(
    ("raw", "parts", "known"),
    [
        ({"num_hidden_layers": 2, "num_nextn_predict_layers": 1}, ("mlp.gate.weight",), True),
        ({"num_hidden_layers": 2}, MTP_PARTS, True),
        ({"text_config": {"num_hidden_layers": 2}}, MTP_PARTS, True),
        ({"num_hidden_layers": 2}, ("mlp.gate.weight",), False),
        ({}, MTP_PARTS, False),
    ],
)
def test_mtp_layers(raw: Mapping[str, Any], parts: tuple[str, ...], known: bool) -> None:
    extra: Specs = {f"model.layers.2.{part}": ("BF16", (4,)) for part in parts}
    looked = fit(FAMILIES["llama"], checkpoint_of({**specs("llama"), **extra}), raw)
    n = len(parts)
    names = tuple(Folded(name, 1) for name in extra)
    expected = ("PASS", (Extra(MTP, n, 4 * n, 8 * n, names),), ()) if known else ("FAIL", (), names)
    assert (looked.check.status, looked.extras, looked.stray) == expected


def test_a_layer_named_mtp() -> None:
    extra = {"mtp.layers.0.input_layernorm.weight": ("BF16", (4,)), "mtp.fc.weight": ("BF16", (4, 4))}
    looked = fit(FAMILIES["llama"], checkpoint_of({**specs("llama"), **extra}))
    assert (looked.check.status, [e.kind for e in looked.extras]) == ("PASS", [MTP])


def test_no_look_no_pass() -> None:
    family = FAMILIES["llama"]
    model = family.on_meta()
    tree, expected = read_tree(model), expected_tensors(model)

    def reason(checkpoint: Checkpoint | None, expected: Any = expected, **why: str) -> tuple[str, str]:
        check = checkpoint_fit(checkpoint, expected, tree, {}, unasked, **why).check
        assert (check.expected, check.seen) == ("", "")
        return check.status, check.reason

    pickled = Checkpoint(files=(CheckpointFile("pytorch_model.bin", "pickle", 1),))
    stored = checkpoint_of(specs("llama"))
    assert reason(None) == ("SKIP", "no weights lie beside the config")
    assert reason(pickled) == ("SKIP", "the weights are pickled, and nothing is unpickled without loading the model")
    assert reason(stored, ()) == ("SKIP", "no class says which tensors to expect")
    assert reason(stored, no_class="the tree is from the headers") == ("SKIP", "the tree is from the headers")
    partial = Checkpoint(files=stored.files, tensors=stored.tensors, incomplete="1 of 2 shards: a partial cache")
    assert reason(partial) == ("SKIP", "1 of 2 shards: a partial cache")
    other = Checkpoint(notes=("not part of the checkpoint: consolidated.safetensors",))
    assert reason(other) == (
        "SKIP",
        "no weights that transformers would load; not part of the checkpoint: consolidated.safetensors",
    )


def test_a_header_that_lists_nothing_is_no_pass() -> None:
    looked = fit(FAMILIES["llama"], checkpoint_of({}))
    assert (looked.check.status, sum(f.n for f in looked.missing)) == ("FAIL", 21)


def test_where_the_loader_gives_up_nobody_knows() -> None:
    model = FAMILIES["llama"].on_meta()
    expected, tree = expected_tensors(model), read_tree(model)

    def gives_up(tensors: Sequence[StoredTensor]) -> LoaderVerdict:
        return LoaderVerdict(error="ImportError: no timm")

    def look(stored: Specs) -> tuple[str, str]:
        check = checkpoint_fit(checkpoint_of(stored), expected, tree, {}, gives_up).check
        return check.status, check.reason

    words = "the library's loader could not be asked (ImportError: no timm)"
    other = {name.replace("self_attn", "attention"): spec for name, spec in specs("llama").items()}
    assert look(other)[0] == "SKIP"
    assert look(other)[1].startswith(f"{words}; 8 missing: model.layers.{{0-1}}.self_attn.q_proj.weight (2)")
    one_less = specs("llama")
    del one_less["model.layers.1.mlp.up_proj.weight"]
    assert look(one_less) == ("FAIL", f"1 missing: model.layers.1.mlp.up_proj.weight; {words}")


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    family = FAMILIES["mixtral"]
    family.random().save_pretrained(tmp_path, max_shard_size="40KB")
    shard = "model-00002-of-00002.safetensors"
    lost = set(split((tmp_path / shard).read_bytes())[0]) - {"__metadata__"}
    (tmp_path / shard).unlink()
    found, looked = statuses(family, tmp_path)
    assert found == {**PASSED, "index": "FAIL", "checkpoint": "FAIL"}
    assert looked.check.reason.startswith(f"{len(lost)} tensors of {shard} can't be seen: ")
    assert (looked.missing, looked.stray, looked.reshaped, looked.verdict) == ((), (), (), None)


def test_persistent_buffers_under_another_name_on_disk_are_explained() -> None:
    """As in Nemotron 3: `backbone.layers.…` on disk, `model.layers.…` in the tree."""
    modules = (Module(0, "", "Net", "", 0, 6, 6, 2),)
    tensors = (
        Tensor(0, "model.w", "parameter", (2, 3), "float32", 6, True, True, ""),
        Tensor(0, "model.bias", "buffer", (2,), "float32", 2, False, True, ""),
    )
    stored = checkpoint_of({"backbone.w": ("F32", (2, 3)), "backbone.bias": ("F32", (2,))})
    expected = [ExpectedTensor(t.name, t.shape) for t in stored.tensors]
    looked = checkpoint_fit(stored, expected, Structure(modules, tensors), {}, unasked)
    assert looked.accounts[0] == "parameters 6; stored numbers 8 (+2): +2 persistent buffers (model.bias)"


def test_one_tensor_of_another_dtype(tmp_path: Path) -> None:
    family = FAMILIES["mixtral"]
    family.random().save_pretrained(tmp_path)
    raw, _ = split((tmp_path / "model.safetensors").read_bytes())
    del raw["__metadata__"]
    shapes = {name: (("F16" if name == ONE_EXPERT else entry["dtype"]), entry["shape"]) for name, entry in raw.items()}
    (tmp_path / "model.safetensors").write_bytes(encoded(header(shapes)))
    found, _ = statuses(family, tmp_path)
    assert found == {**PASSED, "index": "SKIP", "dtypes": "FAIL"}


def test_a_fault_of_a_header_leaves_the_other_checks_their_say(tmp_path: Path) -> None:
    family = FAMILIES["llama"]
    family.random().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    found, _ = statuses(family, tmp_path)
    assert found == {**PASSED, "index": "SKIP", "headers": "FAIL"}
    file.write_bytes((2**63).to_bytes(8, "little") + file.read_bytes()[8:])
    found, looked = statuses(family, tmp_path)
    assert found == {"index": "SKIP", "headers": "FAIL", "checkpoint": "FAIL", "dtypes": "SKIP"}
    assert sum(f.n for f in looked.missing) == 21


def test_names_of_a_stranger_do_not_break_the_line() -> None:
    looked = fit(FAMILIES["llama"], checkpoint_of({**specs("llama"), "a\n\x1b[31m": ("BF16", (1,))}))
    assert looked.check.reason == "1 stray: a\\x0a\\x1b[31m"


if FIVE:

    def fused(name: str, **changed: Any) -> dict[str, tuple[str, Sequence[int]]]:
        tree: Structure = read_tree(FAMILIES[name].on_meta(**changed))
        return {t.name: ("BF16", t.shape) for t in tree.tensors if t.kind == "parameter" and not t.tied_to}

    @pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "olmoe"])
    def test_fused_on_disk_is_another_layout(name: str) -> None:
        looked = fit(FAMILIES[name], checkpoint_of(fused(name)))
        assert (looked.check.status, looked.layout) == ("PASS", "another")
        assert "unexplained" not in looked.check.reason

    def test_one_fault_in_another_layout() -> None:
        stored = fused("mixtral")
        del stored["model.layers.1.mlp.experts.down_proj"]
        looked = fit(FAMILIES["mixtral"], checkpoint_of(stored))
        assert (looked.check.status, looked.missing) == ("FAIL", (Folded("model.layers.1.mlp.experts.down_proj", 1),))
        more = fit(FAMILIES["mixtral"], checkpoint_of(fused("mixtral")), num_local_experts=5)
        assert more.check.reason.startswith("the config builds 5 experts, the checkpoint holds 4; ")

    def test_old_names_of_llava_s_tower_are_another_layout() -> None:
        old = {
            name.replace("vision_tower.", "vision_tower.vision_model.", 1)
            if name.startswith("vision_tower.")
            else name: s
            for name, s in specs("llava").items()
        }
        looked = fit(FAMILIES["llava"], checkpoint_of(old))
        assert (looked.check.status, looked.layout) == ("PASS", "another")
        del old["vision_tower.vision_model.post_layernorm.weight"]
        looked = fit(FAMILIES["llava"], checkpoint_of(old))
        assert looked.check.status == "FAIL"
        assert looked.missing == (Folded("model.vision_tower.post_layernorm.weight", 1),)  # its name in the model
        assert looked.stray == ()


def test_reports_can_be_made_of_it() -> None:
    """What a Fit holds besides the check is plain data."""
    looked = fit(FAMILIES["mixtral"], checkpoint_of(specs("mixtral")), num_local_experts=5)
    assert json.loads(json.dumps([looked.missing, looked.reshaped]))[0][0][1] == 2
