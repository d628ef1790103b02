"""What a model says of itself: recorders in all their forms, attributes, plans and configs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, MixtralConfig, MixtralForCausalLM, PretrainedConfig, PreTrainedModel

from auditdb.inspect.declared import read_declared
from auditdb.records import Declared


@dataclass
class Recorder:
    """The fields of transformers 5's OutputRecorder, so that transformers 4 is asked the same."""

    target_class: type | None
    index: int = 0
    layer_name: str | None = None
    class_name: str | None = None


class ToyRouter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_experts, self.top_k, self.temperature = 4, 2, 7
        self.weight = nn.Parameter(torch.empty(4, 8))


class ToyExperts(nn.Module):
    def __init__(self, decorated: bool) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.empty(4, 6, 8))
        if decorated:
            self.has_gate, self.has_bias, self.is_transposed, self.is_concatenated = True, False, False, True


class ToyConfig(PretrainedConfig):
    model_type = "toy"


class Toy(PreTrainedModel):
    """Two layers; the second experts are decorated."""

    config_class = ToyConfig
    base_model_prefix = "model"

    def __init__(self, config: PretrainedConfig, recorders: Any = None, inner: nn.Module | None = None) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList()
        for decorated in (False, True):
            layer = nn.Module()
            layer.gate, layer.other, layer.experts = ToyRouter(), ToyRouter(), ToyExperts(decorated)
            self.layers.append(layer)
        if inner is not None:
            self.inner = inner
        if recorders is not None:
            self._can_record_outputs = {"router_logits": recorders, "hidden_states": nn.Module}

    def forward(self) -> None:
        raise NotImplementedError


def toy(recorders: Any = None, inner: nn.Module | None = None, config: PretrainedConfig | None = None) -> Toy:
    with torch.device("meta"):
        return Toy(config or ToyConfig(), recorders, inner)


BOTH = [f"layers.{layer}.{word}" for layer in range(2) for word in ("gate", "other")]


@pytest.mark.parametrize(
    ("recorders", "routers"),
    [
        (None, {}),
        ({}, {}),
        (ToyRouter, dict.fromkeys(BOTH, "ToyRouter")),
        (Recorder(ToyRouter), dict.fromkeys(BOTH, "OutputRecorder(ToyRouter, index=0)")),
        (
            Recorder(ToyRouter, 2, "gate"),
            dict.fromkeys(["layers.0.gate", "layers.1.gate"], "OutputRecorder(ToyRouter, index=2, layer_name='gate')"),
        ),
        (Recorder(None, 1, None, "1.gate"), {"layers.1.gate": "OutputRecorder(class_name='1.gate', index=1)"}),
        ("0.other", {"layers.0.other": "'0.other'"}),
        (
            [Recorder(ToyRouter, 0, "gate"), Recorder(ToyExperts, 1)],
            {
                "layers.0.gate": "OutputRecorder(ToyRouter, index=0, layer_name='gate')",
                "layers.0.experts": "OutputRecorder(ToyExperts, index=1)",
                "layers.1.gate": "OutputRecorder(ToyRouter, index=0, layer_name='gate')",
                "layers.1.experts": "OutputRecorder(ToyExperts, index=1)",
            },
        ),
        ((), {}),
    ],
)
def test_recorders(recorders: Any, routers: dict[str, str]) -> None:
    assert read_declared(toy(recorders or None)).routers == routers


def test_recorders_of_an_inner_model_hold_there_alone() -> None:
    model = toy(inner=toy(ToyRouter))
    assert set(read_declared(model).routers) == {f"inner.{name}" for name in BOTH}


def test_attributes_and_decorated_banks() -> None:
    said = read_declared(toy())
    carried = {"num_experts": 4, "top_k": 2}
    decorated = {"has_bias": False, "has_gate": True, "is_concatenated": True, "is_transposed": False}
    assert said.attributes == {**dict.fromkeys(BOTH, carried), "layers.1.experts": decorated}
    assert said.banks == {"layers.1.experts"}


def test_expert_parallel_plan() -> None:
    class Planned(ToyConfig):
        base_model_ep_plan: ClassVar[dict[str, str]] = {
            "layers.*.experts.up": "grouped_gemm",
            "layers.*.experts": "ep_dispatch_experts",
        }

    assert read_declared(toy(config=Planned())).banks == {"layers.0.experts", "layers.1.experts"}


def test_configs_and_the_models_they_built() -> None:
    outer = ToyConfig()
    outer.text_config = LlamaConfig()
    said = read_declared(toy(config=outer, inner=toy(config=outer.text_config)))
    assert dict(said.configs) == {"": "toy", "text_config": "llama"}
    assert dict(said.scopes) == {"": "", "inner": "text_config"}


def test_a_module_without_a_config() -> None:
    assert read_declared(nn.Linear(2, 2)) == Declared()


def test_mixtral_of_the_installed_transformers() -> None:
    """transformers 5 declares routers and banks; 4 says only what its blocks carry."""
    import transformers

    config = MixtralConfig(
        hidden_size=16,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=32,
    )
    with torch.device("meta"):
        said = read_declared(MixtralForCausalLM(config))
    if int(transformers.__version__.partition(".")[0]) >= 5:
        assert dict(said.routers) == {"model.layers.0.mlp.gate": "OutputRecorder(MixtralTopKRouter, index=0)"}
        assert said.banks == {"model.layers.0.mlp.experts"}
        assert said.attributes["model.layers.0.mlp.gate"]["top_k"] == 2
    else:
        assert (dict(said.routers), said.banks) == ({}, frozenset())
        assert said.attributes["model.layers.0.block_sparse_moe"] == {"num_experts": 8, "top_k": 2}
    assert dict(said.scopes) == {"": "", "model": ""}
