"""FULL: what transformers saved is loaded and passes; each fault is data or a sentence, and never a traceback."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from auditdb.digests import structure_digest
from auditdb.errors import BuildError, TooLarge
from auditdb.inspect import memory
from auditdb.inspect.memory import Place, available_bytes, needed_bytes, place, refuse_what_does_not_fit
from auditdb.records import Check, Checkpoint, CheckpointFile, StoredTensor
from tests.checkpoint.families import FAMILIES, FIVE
from tests.inspect.full_run import edit, full, loaded_from, saved
from tests.small import structure

# Expert 1 of layer 0 on disk, and the parameter that it becomes.
ON_DISK = "model.layers.0.block_sparse_moe.experts.1.w2.weight"
IN_MODEL = "model.layers.0.mlp.experts.down_proj" if FIVE else ON_DISK


@pytest.mark.parametrize("shard", ["5GB", "20KB"], ids=["single", "sharded"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_what_transformers_saved_passes(family: str, shard: str, tmp_path: Path) -> None:
    run = full(saved(family, tmp_path, shard=shard))
    assert run.statuses == {"full_total": "PASS", "full_load": "PASS", "finite": "PASS"}
    assert run.fast.n_params == run.fast.own_total == run.tree.own_total == run.tree.n_params
    assert structure_digest(run.fast) == structure_digest(run.tree)
    assert (run.loaded.device, run.loaded.made_up, run.loaded.notes) == ("cpu", frozenset(), ())
    assert type(run.loaded.model) is FAMILIES[family].model_class
    assert not run.loaded.model.training
    kept = sum(t.numel for t in run.tree.tensors if t.persistent and not t.tied_to and "float" in t.dtype)
    assert sum(stat.numel for stat in run.stats) == kept


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_dtype_is_the_checkpoints(dtype: torch.dtype, tmp_path: Path) -> None:
    model = FAMILIES["llama"].random().to(dtype)
    model.save_pretrained(tmp_path)
    assert {p.dtype for p in loaded_from(tmp_path)[0].model.parameters()} == {dtype}


def test_nan_and_inf_are_found_where_they_are(tmp_path: Path) -> None:
    def plant(tensors: dict[str, torch.Tensor]) -> None:
        tensors[ON_DISK].view(-1)[:3] = torch.tensor([float("nan"), float("nan"), float("-inf")])
        tensors["lm_head.weight"][5, 5] = float("inf")

    edit(saved("mixtral", tmp_path), plant)
    run = full(tmp_path)
    assert run.statuses == {"full_total": "PASS", "full_load": "PASS", "finite": "FAIL"}
    tensors = len({stat.name for stat in run.stats})
    assert run.check("finite") == Check(
        "finite",
        "FAIL",
        "no NaN, no Inf",
        f"2 NaN and 2 Inf in 2 of {tensors} tensors",
        f"{IN_MODEL}: 2 NaN and 1 Inf; lm_head.weight: 1 Inf",
    )
    odd = [(s.name, s.expert, s.n_nan, s.n_inf) for s in run.stats if s.n_nan or s.n_inf]
    assert odd == [(IN_MODEL, 1 if FIVE else None, 2, 1), ("lm_head.weight", None, 0, 1)]


def test_stored_tied_head_with_other_values(tmp_path: Path) -> None:
    embedding = "model.embed_tokens.weight"

    def other(tensors: dict[str, torch.Tensor]) -> None:
        tensors["lm_head.weight"] = tensors[embedding].clone()
        tensors["lm_head.weight"][3, :2] += 0.5

    def same(tensors: dict[str, torch.Tensor]) -> None:
        tensors["lm_head.weight"] = tensors[embedding].clone()

    edit(saved("llama_tied", tmp_path), other)
    seen = "0 missing, 0 unexpected, 0 mismatched keys"
    reason = f"lm_head.weight is tied to {embedding} and stored with other values (2 numbers differ, by 0.5 at most)"
    assert full(tmp_path).check("full_load") == Check("full_load", "FAIL", "every key loaded", seen, reason)
    edit(tmp_path, same)
    reason = "1 stored copies of tied tensors have equal values"
    assert full(tmp_path).check("full_load") == Check("full_load", "PASS", "every key loaded", seen, reason)


def test_missing_expert_is_data_and_made_up(tmp_path: Path) -> None:
    edit(saved("mixtral", tmp_path), lambda tensors: tensors.pop(ON_DISK))
    run = full(tmp_path)
    check = run.check("full_load")
    assert run.statuses == {"full_total": "PASS", "full_load": "FAIL", "finite": "SKIP"}
    assert IN_MODEL in check.reason and run.loaded.made_up == {IN_MODEL}
    assert IN_MODEL not in {stat.name for stat in run.stats}
    assert run.check("finite").reason == f"1 tensor not looked at: {IN_MODEL}"


def test_missing_stray_and_reshaped(tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.norm.weight"]
        tensors["stray.weight"] = torch.ones(2)
        name = "model.layers.0.mlp.up_proj.weight"
        tensors[name] = tensors[name].T.contiguous()

    edit(saved("llama", tmp_path), change)
    run = full(tmp_path)
    up = "model.layers.0.mlp.up_proj.weight"
    assert run.check("full_load") == Check(
        "full_load",
        "FAIL",
        "every key loaded",
        "1 missing, 1 unexpected, 1 mismatched keys",
        "missing, and made up by the loader: model.norm.weight; not used: stray.weight; "
        f"of another shape, and made up by the loader: {up}; {up} is stored as [16, 32] and built as [32, 16]",
    )
    assert run.loaded.made_up == {"model.norm.weight", up}


def test_known_extra_is_no_fault(tmp_path: Path) -> None:
    edit(saved("bert_base", tmp_path), lambda t: t.update({"embeddings.position_ids": torch.arange(32)[None]}))
    assert full(tmp_path).statuses == {"full_total": "PASS", "full_load": "PASS", "finite": "PASS"}


def test_pickled_checkpoint_is_loaded_and_runs_no_code(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path / "good")
    model = FAMILIES["llama"].random()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert full(folder).statuses == {"full_total": "PASS", "full_load": "PASS", "finite": "PASS"}

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "it-ran"),)

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"model.norm.weight": Bomb()}))
    with pytest.raises(BuildError, match="transformers can't load the weights into LlamaForCausalLM"):
        full(folder)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("damage", ["none", "cut", "shard gone"])
def test_files_that_cannot_be_loaded(damage: str, tmp_path: Path) -> None:
    saved("llama", tmp_path, shard="20KB" if damage == "shard gone" else "5GB")
    first = sorted(tmp_path.glob("*.safetensors"))[0]
    if damage == "cut":
        first.write_bytes(first.read_bytes()[:-1])
    else:
        first.unlink()
    with pytest.raises(BuildError) as caught:
        loaded_from(tmp_path)
    text = str(caught.value)
    assert text.startswith("transformers can't load the weights into LlamaForCausalLM (")
    assert text.endswith("; give --fast, which looks at the checkpoint without loading it")
    assert "\n" not in text


def test_quantised_without_its_package_is_a_sentence(tmp_path: Path) -> None:
    saved("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "hqq", "nbits": 4, "group_size": 64, "weight_quant_params": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BuildError, match="can't load the hqq weights into LlamaForCausalLM"):
        loaded_from(tmp_path)


def test_adapter_beside_the_weights_is_left_out(tmp_path: Path) -> None:
    saved("llama", tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "nobody/nothing", "peft_type": "LORA"}')
    loaded, _ = loaded_from(tmp_path)
    assert loaded.verdict.fits
    assert loaded.notes == ("the adapter beside the weights was not loaded",)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit(saved("llama", tmp_path), lambda tensors: tensors.pop("model.norm.weight"))
    capfd.readouterr()
    loaded_from(tmp_path)
    assert capfd.readouterr() == ("", "")


SPARE = 256 * 2**20


def on_disk(dtype: str, item: int, kind: str = "safetensors") -> Checkpoint:
    tensors = (StoredTensor("embed.weight", "m", (5, 4), dtype, 0, 20 * item),) if kind == "safetensors" else ()
    return Checkpoint(files=(CheckpointFile("m", kind, 1000),), tensors=tensors)


@pytest.mark.parametrize(
    ("checkpoint", "raw", "expected"),
    [
        # 61 parameters, the largest has 32 numbers, 2 buffers in float32.
        (on_disk("BF16", 2), {}, 61 * 2 + 8 + 2 * 32 * 2),
        (on_disk("BF16", 2), {"torch_dtype": "float32"}, 61 * 4 + 8 + 2 * 32 * 4),
        (on_disk("F32", 4), {"text_config": {"dtype": "bfloat16"}}, 61 * 2 + 8 + 2 * 32 * 2),
        (None, {}, 61 * 4 + 8 + 2 * 32 * 4),
        (on_disk("", 0, "pickle"), {"dtype": "float16"}, 61 * 2 + 8 + 2 * 32 * 2 + 1000),
        (on_disk("F8", 1), {"quantization_config": {"quant_method": "fp8"}}, 61 * 2 + 8 + 2 * 32),
        (on_disk("I32", 4), {"quantization_config": {"quant_method": "gptq"}}, 1000 + 8 + 2 * 32 * 4),
    ],
)
def test_needed_bytes(checkpoint: Checkpoint | None, raw: dict[str, Any], expected: int) -> None:
    assert needed_bytes(checkpoint, structure(), raw) == expected + SPARE


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_what_does_not_fit(10, None)
    refuse_what_does_not_fit(10, 10)
    with pytest.raises(TooLarge) as caught:
        refuse_what_does_not_fit(100 * 2**30, 16 * 2**30, 24 * 2**30)
    assert str(caught.value) == (
        "loading this model takes about 100.0 GiB, and 16.0 GiB of memory and 24.0 GiB on GPUs are free; "
        "give --fast, which reads no weights, or use a machine with more memory"
    )
    monkeypatch.setattr(memory, "available_bytes", lambda: 50)
    for gpus, needed, expected in (
        ([], 50, Place()),
        ([10, 40], 40, Place("cuda", {"": 1})),
        ([30, 40], 60, Place("cuda", "auto")),
        ([10], 50, Place()),
    ):
        monkeypatch.setattr(memory, "gpu_bytes", lambda gpus=gpus: gpus)
        assert place(needed) == expected
    with pytest.raises(TooLarge):
        place(51)


def test_memory_of_a_container(tmp_path: Path) -> None:
    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    write({"proc/meminfo": "MemTotal:  2000 kB\nMemAvailable:  1000 kB\n"})
    assert available_bytes(tmp_path) == 1_024_000
    write(
        {
            "proc/self/cgroup": "0::/pod/me\n",
            "sys/fs/cgroup/pod/me/memory.max": "max\n",
            "sys/fs/cgroup/pod/memory.max": "500000\n",
            "sys/fs/cgroup/pod/memory.current": "200000\n",
            "sys/fs/cgroup/pod/memory.stat": "anon 1\ninactive_file 50000\n",
        }
    )
    assert available_bytes(tmp_path) == 350_000
    write(
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "300000",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "280000",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 30000\n",
        }
    )
    assert available_bytes(tmp_path) == 50_000
