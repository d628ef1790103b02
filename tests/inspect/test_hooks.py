"""One forward pass: shapes, moments and choices of routers and experts, real and on meta; it never fails a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from auditdb.inspect.hooks import run_hooks
from auditdb.inspect.prompt import N_FIXED, PROMPT, make_inputs
from auditdb.records import Expert, Hook, Reading, Router
from tests.checkpoint.families import FAMILIES, FIVE
from tests.inspect.full_run import fast_tree, loaded_from, saved

LAYERS = ("model.layers.0", "model.layers.1")
BLOCK = "mlp" if FIVE else "block_sparse_moe"


def of_kind(hooks: tuple[Hook, ...], kind: str) -> list[Hook]:
    return [hook for hook in hooks if hook.kind == kind]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_router_and_group_of_every_family(family: str, tmp_path: Path) -> None:
    # Jamba's default wants CUDA kernels, which transformers 4 insists on.
    changed = {"use_mamba_kernels": False} if family == "jamba" else {}
    loaded, reading = loaded_from(saved(family, tmp_path, **changed))
    hooks = run_hooks(loaded.model, reading, folder=tmp_path)
    (forward,) = of_kind(hooks, "forward")
    assert (forward.detail, forward.shape is None) == ("", False)
    routers = {hook.module: hook for hook in of_kind(hooks, "router")}
    assert set(routers) == {router.name for router in reading.routers}
    for router in reading.routers:
        hook = routers[router.name]
        facts = json.loads(hook.detail)
        assert hook.shape is not None and hook.shape[-1] == router.n_experts
        assert facts["tokens"] == N_FIXED
        assert sum(facts["chosen"]) == N_FIXED * (router.top_k or 0)
        assert len(facts["chosen"]) == router.n_experts
    assert len(of_kind(hooks, "expert")) == len(reading.groups)
    # jetmoe's attention experts are used through their parts, never called themselves.
    silent = [hook.module for hook in of_kind(hooks, "expert") if hook.shape is None]
    assert silent == ([f"{layer}.self_attention.experts" for layer in LAYERS] if family == "jetmoe" else [])


def test_whole_rows_of_mixtral(tmp_path: Path) -> None:
    loaded, reading = loaded_from(saved("mixtral", tmp_path))
    outputs: dict[str, torch.Tensor] = {}
    names = [f"{layer}.{BLOCK}.gate" for layer in LAYERS]
    handles = [
        loaded.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: outputs.update({name: output[0] if FIVE else output})
        )
        for name in names
    ]
    hooks = run_hooks(loaded.model, reading)
    for handle in handles:
        handle.remove()
    expected = []
    for name in names:
        logits = outputs[name]
        chosen = torch.bincount(logits.topk(2).indices.view(-1), minlength=4).tolist()
        how = "indices" if FIVE else "top-k of logits"
        detail = json.dumps({"tokens": 8, "chosen": chosen, "from": how}, separators=(",", ":"))
        moments = float(logits.double().mean()), float(logits.double().std(correction=0))
        expected.append(Hook("router", name, (8, 4), *moments, detail))
    assert of_kind(hooks, "router") == expected
    assert [hook.kind for hook in hooks] == ["router", "router", "expert", "expert", "forward"]
    assert hooks[-1].shape == (1, 8, 64)
    assert not any(module._forward_hooks for module in loaded.model.modules())


# transformers 4 chooses experts by looking at values, and most of its dense models look at something as well.
ON_META = ["t5"]
if FIVE:
    ON_META += ["mixtral", "qwen3_moe", "deepseek_v3", "gpt_oss", "llama4", "jamba", "glm4_moe", "qwen3_vl_moe"]


@pytest.mark.parametrize("family", ON_META)
def test_on_meta_the_shapes_are_those_of_the_real_pass(family: str, tmp_path: Path) -> None:
    folder = saved(family, tmp_path)
    model, _, reading, _ = fast_tree(folder)
    before = model.get_experts_implementation() if FIVE else None
    meta = run_hooks(model, reading, folder=folder)
    real = run_hooks(loaded_from(folder)[0].model, reading)
    assert [hook[:3] for hook in meta] == [hook[:3] for hook in real]
    assert {(hook.mean, hook.std) for hook in meta} == {(None, None)}
    assert [hook.detail for hook in of_kind(meta, "router")] == ['{"tokens":8}'] * len(reading.routers)
    assert (model.get_experts_implementation() if FIVE else None) == before


@pytest.mark.parametrize("family", ["switch"] if FIVE else ["mixtral", "switch"])
def test_where_meta_cannot_there_is_one_row_with_the_reason(family: str, tmp_path: Path) -> None:
    model, _, reading, _ = fast_tree(saved(family, tmp_path))
    (row,) = run_hooks(model, reading)
    assert row[:5] == ("forward", "", None, None, None)
    assert row.detail.startswith("no pass on the meta device: NotImplementedError: ")


def test_nan_is_said_and_not_stored(tmp_path: Path) -> None:
    loaded, reading = loaded_from(saved("mixtral", tmp_path))
    with torch.no_grad():
        loaded.model.get_submodule(f"{LAYERS[1]}.{BLOCK}.gate").weight[:] = float("nan")
    hooks = run_hooks(loaded.model, reading)
    first, second = of_kind(hooks, "router")
    assert first.mean is not None
    assert (second.mean, second.std, json.loads(second.detail)["output"]) == (None, None, "NaN")
    assert hooks[-1] == Hook("forward", "", (1, 8, 64), None, None, "NaN in the output")


def test_a_pass_that_fails_is_a_row(tmp_path: Path) -> None:
    loaded, reading = loaded_from(saved("mixtral", tmp_path))

    def burst(*_: Any) -> None:
        raise RuntimeError("a kernel\nis missing")

    loaded.model.model.layers[1].register_forward_pre_hook(burst)
    hooks = run_hooks(loaded.model, reading)
    assert [(hook.kind, hook.module, hook.shape) for hook in of_kind(hooks, "router")] == [
        ("router", f"{LAYERS[0]}.{BLOCK}.gate", (8, 4)),
        ("router", f"{LAYERS[1]}.{BLOCK}.gate", None),
    ]
    assert of_kind(hooks, "router")[1].detail == "its forward was not called"
    assert hooks[-1] == Hook("forward", "", None, None, None, "RuntimeError: a kernel is missing")


class Picture(nn.Module):
    main_input_name = "pixel_values"

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.linear(pixel_values)


def test_a_model_that_takes_no_text() -> None:
    reason = "the model takes pixel_values and no text, so no prompt could be given to it"
    assert run_hooks(Picture(), Reading()) == (Hook("forward", "", None, None, None, reason),)


class Sparse(nn.Module):
    """A router and three expert modules, of which only the last is ever called."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"is_encoder_decoder": False})()
        self.embed = nn.Embedding(64, 4)
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.idle = nn.ModuleList([nn.Linear(4, 4)])
        self.dtype = torch.float32

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(input_ids)
        return self.experts[2](hidden) + self.gate(hidden).sum()


def test_the_first_expert_that_a_token_reached() -> None:
    rows = [Expert(f"experts.{i}", "Linear", "experts", "moe", i, "routed", 20, "family") for i in range(3)]
    rows.append(Expert("idle.0", "Linear", "idle", "other", 0, "routed", 20, "family"))
    reading = Reading(experts=tuple(rows), routers=(Router("gate", "Linear", "moe", 3, 1, "family"),))
    hooks = run_hooks(Sparse(), reading)
    experts = of_kind(hooks, "expert")
    assert [(h.module, h.shape, h.detail) for h in experts] == [
        ("experts.2", (1, 8, 4), '{"not_called_before":2}'),
        ("idle.0", None, "no expert of this group was called"),
    ]


def word_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", *dict.fromkeys(PROMPT.replace(".", " .").split())]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)


def test_the_models_own_tokenizer(tmp_path: Path) -> None:
    loaded, reading = loaded_from(saved("mixtral", tmp_path))
    word_tokenizer(tmp_path)
    assert make_inputs(loaded.model, tmp_path, meta=False).values["input_ids"].tolist() == [list(range(1, 11))]
    hooks = run_hooks(loaded.model, reading, folder=tmp_path)
    assert hooks[0].shape == (10, 4)
    (tmp_path / "tokenizer.json").write_text("{")
    hooks = run_hooks(loaded.model, reading, folder=tmp_path)
    assert hooks[0].shape == (8, 4)
    assert hooks[-1].detail.startswith("fixed token ids, since the tokenizer can't be used (")


@pytest.mark.parametrize(
    ("family", "changed", "ids"),
    [
        ("llama", {}, [3, 10, 17, 24, 31, 38, 45, 52]),  # 0 is padding, 1 and 2 are begin and end
        ("llava", {"image_token_index": 10}, [3, 11, 18, 25, 32, 39, 46, 53]),
        ("llama", {"vocab_size": 5}, [3, 4, 3, 4, 3, 4, 3, 4]),
        ("llama", {"vocab_size": 3}, [0] * 8),
    ],
)
def test_fixed_ids_mean_no_picture_and_no_end(family: str, changed: dict[str, Any], ids: list[int]) -> None:
    model = FAMILIES[family].random(**changed)
    inputs = make_inputs(model, None, meta=False)
    assert inputs.values["input_ids"].tolist() == [ids]
    assert inputs.values["attention_mask"].tolist() == [[1] * 8]
    assert (inputs.n_tokens, inputs.note, inputs.values.get("use_cache", False)) == (8, "", False)
