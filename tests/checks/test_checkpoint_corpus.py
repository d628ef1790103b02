"""Real index files beside their real configs: each key is expected, a known extra, or a fault to point to.

An index has no shapes and no dtypes. Here each tensor has the shape that the class expects, and bfloat16 but for what
mxfp4 packs in bytes; that the sizes then add up to the index's own `total_size`, to the byte, is the proof that the
shapes are those on disk.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from math import prod
from typing import Any

import pytest
import torch
import transformers

from auditdb.checkpoint.index import parse_index
from auditdb.checks.checkpoint import Fit, checkpoint_fit
from auditdb.checks.extras import MTP, SCALES, TIED
from auditdb.inspect.expected import expected_tensors
from auditdb.inspect.loader import load_on_meta
from auditdb.inspect.tree import read_tree
from auditdb.records import Checkpoint, CheckpointFile, Index, LoaderVerdict, StoredTensor
from tests.checkpoint.families import CORPUS, FIVE
from tests.checks.looks import checkpoint_of

INDEXES = {
    "HuggingFaceTB__SmolLM3-3B": 326,
    "MiniMaxAI__MiniMax-M1-80k": 8243,
    "mistralai__Devstral-Small-2507": 363,
    "mistralai__Mixtral-8x7B-v0.1": 995,
    "openai__gpt-oss-20b": 459,
    "openbmb__MiniCPM-V-2": 694,
    "tiiuae__falcon-180B-chat": 644,
}
# Known extras of those that are not equal to what the class writes.
EXTRAS = {"openai__gpt-oss-20b": {SCALES: 48}, "tiiuae__falcon-180B-chat": {TIED: 1}}
REMOTE_CODE_ONLY = {"MiniMaxAI__MiniMax-M1-80k", "openbmb__MiniCPM-V-2"}


def raw_config(name: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((CORPUS / "configs" / name / "config.json").read_text())
    return raw


def real_index(name: str) -> Index:
    text = gzip.decompress((CORPUS / "index" / f"{name}.json.gz").read_bytes())
    index, faults = parse_index(text, "model.safetensors.index.json")
    assert index is not None
    assert faults == ()
    return index


def unasked(tensors: Sequence[StoredTensor]) -> LoaderVerdict:
    raise AssertionError("the loader is not needed here")


def has_class(name: str) -> bool:
    return hasattr(transformers, raw_config(name)["architectures"][0])


BUILT = [name for name in INDEXES if has_class(name)]


def on_meta(name: str, raw: dict[str, Any]) -> Any:
    model_class = getattr(transformers, raw["architectures"][0])
    with torch.device("meta"):
        return model_class._from_config(model_class.config_class.from_dict(raw))


def test_which_classes_this_toolchain_has() -> None:
    four = {"mistralai__Devstral-Small-2507", "mistralai__Mixtral-8x7B-v0.1", "tiiuae__falcon-180B-chat"}
    assert set(BUILT) == (set(INDEXES) - REMOTE_CODE_ONLY if FIVE else four)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_read_whole(name: str) -> None:
    index = real_index(name)
    assert len(index.weight_map) == INDEXES[name]
    assert index.total_size is not None


@pytest.mark.parametrize("name", BUILT)
def test_its_keys_are_expected_or_known(name: str) -> None:
    raw, index = raw_config(name), real_index(name)
    model = on_meta(name, raw)
    expected = expected_tensors(model)
    shapes = {e.name: e.shape for e in expected}
    tree = read_tree(model)
    tied = {t.name: t.shape for t in tree.tensors if t.tied_to}
    tensors = []
    for key, shard in index.weight_map.items():
        shape, dtype = shapes.get(key) or tied.get(key), "BF16"
        if shape is None:  # mxfp4: 32 numbers of 4 bits and one scale of 8 bits, along the input
            experts, inner, out = shapes[key.removesuffix("_blocks").removesuffix("_scales")]
            shape, dtype = (experts, out, inner // 32), "U8"
            shape += (16,) if key.endswith("_blocks") else ()
        tensors.append(StoredTensor(key, shard, shape, dtype, 0, prod(shape) * (1 if dtype == "U8" else 2)))
    assert sum(t.end for t in tensors) == index.total_size
    files = tuple(CheckpointFile(shard, "safetensors", None) for shard in sorted(set(index.weight_map.values())))
    checkpoint = Checkpoint(files=files, tensors=tuple(tensors), index=index)

    looked = checkpoint_fit(checkpoint, expected, tree, raw, unasked)
    assert (looked.check.status, looked.layout) == ("PASS", "expected")
    assert {e.kind: e.n_tensors for e in looked.extras} == EXTRAS.get(name, {})
    assert "unexplained" not in looked.check.reason


@pytest.mark.parametrize("name", BUILT)
def test_the_loader_says_the_same(name: str) -> None:
    raw = raw_config(name)
    model = on_meta(name, raw)
    expected = [StoredTensor(e.name, "f", e.shape, "BF16", 0, 0) for e in expected_tensors(model)]
    assert load_on_meta(type(model), model.config, expected, model=model) == LoaderVerdict()


if FIVE:

    def deepseek(tensors: dict[str, tuple[str, Sequence[int]]], model: Any, times: int = 1) -> tuple[Fit, float]:
        """The fit, and the fewest seconds of this thread's own work that it took."""
        raw = raw_config("deepseek-ai__DeepSeek-V3")
        checkpoint, tree, expected = checkpoint_of(tensors), read_tree(model), expected_tensors(model)
        seconds = []
        for _ in range(times):
            started = time.thread_time()
            looked = checkpoint_fit(checkpoint, expected, tree, raw, unasked)
            seconds.append(time.thread_time() - started)
        return looked, min(seconds)

    def test_deepseek_v3_s_45_395_tensors_in_under_a_second() -> None:
        model = on_meta("deepseek-ai__DeepSeek-V3", raw_config("deepseek-ai__DeepSeek-V3"))
        looked, seconds = deepseek({e.name: ("BF16", e.shape) for e in expected_tensors(model)}, model, times=3)
        assert (looked.check.status, looked.n_stored) == ("PASS", 45_395)
        assert looked.accounts[0] == (
            "parameters 671,026,404,352; stored numbers 671,026,419,200 (+14,848): "
            "+14,848 persistent buffers (model.layers.{3-60}.mlp.gate.e_score_correction_bias (58))"
        )
        assert seconds < 1

    def test_deepseek_v3_as_it_is_published() -> None:
        """float8 by blocks of 128, and a 62nd layer that predicts the token after the next."""
        model = on_meta("deepseek-ai__DeepSeek-V3", raw_config("deepseek-ai__DeepSeek-V3"))
        stored: dict[str, tuple[str, Sequence[int]]] = {}
        for e in expected_tensors(model):
            quantised = "proj" in e.name
            stored[e.name] = ("F8_E4M3" if quantised else "BF16", e.shape)
            if quantised:
                stored[f"{e.name}_scale_inv"] = ("F32", tuple(-(-side // 128) for side in e.shape))
        stored |= {k.replace("layers.60.", "layers.61."): v for k, v in stored.items() if ".layers.60." in k}
        stored |= {
            f"model.layers.61.{part}.weight": ("BF16", (7168,)) for part in ("enorm", "hnorm", "shared_head.norm")
        }
        looked, _ = deepseek(stored, model)
        assert (looked.check.status, looked.layout) == ("PASS", "expected")
        assert {e.kind: e.n_tensors for e in looked.extras} == {MTP: 785, SCALES: 45_808}
        assert "unexplained" not in looked.check.reason

    def test_minimax_m1_is_the_library_s_minimax_without_its_buffers() -> None:
        """No class of that name is in transformers; the keys are those of its predecessor, which saves decay tables.

        `total_size` is 31,457,280 bytes more than bfloat16: the 80 routers [32, 6144] are stored in float32.
        """
        raw, index = raw_config("MiniMaxAI__MiniMax-M1-80k"), real_index("MiniMaxAI__MiniMax-M1-80k")
        kinds = ["full_attention" if full else "linear_attention" for full in raw["attn_type_list"]]
        keys = {k: v for k, v in raw.items() if k not in ("architectures", "auto_map", "model_type")}
        with torch.device("meta"):
            config = transformers.MiniMaxConfig(**keys, layer_types=kinds)
            model = transformers.MiniMaxForCausalLM._from_config(config)
        expected = {e.name: e.shape for e in expected_tensors(model)}
        buffers = {name for name, _ in model.named_buffers()}
        assert set(index.weight_map) == set(expected) - buffers
        numbers = sum(prod(expected[name]) for name in index.weight_map)
        assert index.total_size == 2 * numbers + 2 * 80 * 32 * 6144
