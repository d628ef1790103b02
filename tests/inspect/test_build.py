"""Real configs to real trees: published parameter counts to the last digit, and what is refused with a sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from auditdb.errors import BuildError, TooLarge
from auditdb.inspect.budget import build_budget
from auditdb.inspect.build import build
from auditdb.inspect.tree import read_tree

DATA = Path(__file__).parent.parent / "data"


def truth() -> dict[str, dict[str, str]]:
    with (DATA / "truth.csv").open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def config(model: str) -> dict[str, Any]:
    text = (DATA / "configs" / model.replace("/", "__") / "config.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


# What no class of any transformers fits; each needs code of its own or says too little.
REFUSED = {
    "MiniMaxAI/MiniMax-M1-80k",
    "OpenGVLab/InternVL2-2B",
    "Qwen/Qwen-72B-Chat",
    "THUDM/chatglm3-6b",
    "THUDM/glm-4-9b-chat",
    "deepseek-ai/deepseek-moe-16b-base",
    "deepseek-ai/deepseek-vl2-tiny",
    "liuhaotian/llava-v1.5-7b",
    "microsoft/Phi-3-vision-128k-instruct",
    "microsoft/phi-2",
    "openbmb/MiniCPM-MoE-8x2B",
    "openbmb/MiniCPM-V-2",
    "tiiuae/falcon-40b",
}


def known(model: str) -> bool:
    """Whether the installed transformers knows the model type at all (4.44.2 knows fewer)."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    raw = config(model)
    return raw.get("model_type") in CONFIG_MAPPING or any(
        hasattr(transformers, a) for a in raw.get("architectures", [])
    )


@pytest.mark.parametrize("model", [m for m in sorted(truth()) if m not in REFUSED and known(m)])
def test_counts_what_was_counted_by_hand(model: str) -> None:
    tree = read_tree(build(config(model)).model)
    expected = truth()[model]["counted_total"]
    # Four of the hand-made formulas count the routers' correction biases, which are buffers.
    biases = sum(t.numel for t in tree.tensors if t.kind == "buffer" and t.name.endswith("e_score_correction_bias"))
    assert tree.n_params == tree.own_total
    if expected:
        assert int(expected) in (tree.n_params, tree.n_params + biases)
    if expected and int(expected) != tree.n_params:
        assert model in {
            "deepseek-ai/DeepSeek-R1",
            "deepseek-ai/DeepSeek-V3",
            "moonshotai/Kimi-K2-Instruct",
            "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
            "zai-org/GLM-4.5-Air",
        }


@pytest.mark.parametrize("model", sorted(REFUSED))
def test_refuses_what_would_be_made_up(model: str) -> None:
    with pytest.raises(BuildError) as caught:
        build(config(model))
    sentence = str(caught.value)
    assert ("no class for model_type" in sentence) or ("does not fit this config.json" in sentence)
    if "auto_map" in config(model):
        assert "--trust-remote-code" in sentence


def test_no_model_type() -> None:
    with pytest.raises(BuildError) as caught:
        build({"hidden_size": 4})
    assert str(caught.value) == (
        "config.json has no model_type and names no class of the installed transformers; "
        "add the model_type that its code would have"
    )


def test_an_old_config_is_no_model_of_todays_class() -> None:
    """microsoft/phi-2 as first published speaks of n_embd and n_layer, which PhiConfig does not read."""
    with pytest.raises(BuildError) as caught:
        build(config("microsoft/phi-2"))
    assert str(caught.value) == (
        "PhiForCausalLM does not fit this config.json: it has no hidden_size, num_hidden_layers, so the class would make "
        "up a model from its defaults; the model brings code of its own: read it, then give --trust-remote-code to run it"
    )


def test_a_guess_says_so() -> None:
    built = build(config("mosaicml/mpt-7b"))
    assert built.guessed
    assert built.notes == (
        "the config names 'MPTForCausalLM', which transformers does not have; MptForCausalLM was taken by its "
        "model_type 'mpt', which is a guess",
    )


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_local_experts", "num_attention_heads"])
def test_absurd_counts_are_refused_before_building(key: str) -> None:
    raw = {**config("mistralai/Mixtral-8x7B-v0.1"), key: 10**9}
    with pytest.raises(TooLarge) as caught:
        build(raw)
    assert str(caught.value) == f"config.json says {key} = 1000000000: over 100,000 of them are not built"


def test_the_module_budget_counts_while_it_builds() -> None:
    with pytest.raises(TooLarge, match="over 10 modules"), build_budget(10), torch.device("meta"):
        nn.ModuleList(nn.Linear(1, 1) for _ in range(100))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "wide"},
        {"hidden_size": -1},
        {"hidden_size": None},
        {"hidden_act": "no such activation"},
        {"num_attention_heads": 0},
        {"vocab_size": 10**30},
        {"rope_scaling": {"type": "?"}},
        {"architectures": "MixtralForCausalLM"},
        {"architectures": [None]},
        {"architectures": ["os.system"]},
        {"architectures": ["PreTrainedModel"]},
    ],
    ids=str,
)
def test_nonsense_gives_a_tree_or_a_sentence(change: dict[str, Any]) -> None:
    raw = {**config("mistralai/Mixtral-8x7B-v0.1"), **change}
    try:
        tree = read_tree(build(raw).model)
    except BuildError as error:
        assert len(str(error)) > 20
    else:
        assert tree.n_params == tree.own_total
