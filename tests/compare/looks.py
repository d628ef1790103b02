"""Small MoE decoders as records, made by hand: what a look would have found, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from auditdb.records import (
    Check,
    Checkpoint,
    CheckpointFile,
    ExpectedTensor,
    Expert,
    Look,
    Mark,
    Module,
    MoeGroup,
    Reading,
    Router,
    StoredTensor,
    Structure,
    Tensor,
    Toolchain,
)
from auditdb.store.migrate import ensure
from auditdb.store.write import record

FIVE = Toolchain("3.11.7", "2.13.0", "5.23.0", "1.15.0", "0.8.0", "2.4.0", "0.1.0")
FOUR = replace(FIVE, transformers="4.44.2")


@dataclass(frozen=True)
class Decoder:
    """A decoder of two layers with four experts each; each field is one thing that a test may change."""

    layers: int = 2
    experts: int = 4
    hidden: int = 8
    inner: int = 16
    vocab: int = 32
    top_k: int = 2
    tie: bool = False
    block: str = "mlp"
    prefix: str = "model"
    norm: str = "RMSNorm"
    dtype: str = "bfloat16"
    dtypes: Mapping[str, str] = field(default_factory=dict)
    buffers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # 'module.leaf' → shape
    config: Mapping[str, Any] = field(default_factory=dict)
    toolchain: Toolchain = FIVE
    revision: str = "0" * 40
    checks: tuple[Check, ...] = (Check("tree_total", "PASS"), Check("checkpoint", "SKIP", reason="nothing on disk"))
    checkpoint: Checkpoint | None = None
    expects: bool = True
    source: str = "declared"

    def look(self) -> Look:
        structure = self.structure()
        raw = {
            "architectures": ["TinyForCausalLM"],
            "num_hidden_layers": self.layers,
            "num_experts": self.experts,
            "num_experts_per_tok": self.top_k,
            "hidden_size": self.hidden,
            "tie_word_embeddings": self.tie,
            **self.config,
        }
        expected = [ExpectedTensor(t.name, t.shape) for t in structure.tensors if t.persistent and not t.tied_to]
        return Look(
            model="org/tiny",
            model_kind="hub",
            revision=self.revision,
            requested="main",
            toolchain=self.toolchain,
            mode="fast",
            started_at="2026-01-01T00:00:00Z",
            duration_ms=5,
            config_text=json.dumps(raw),
            model_class="TinyForCausalLM",
            rung="meta",
            structure=structure,
            reading=self.reading(structure),
            checks=self.checks,
            expected=tuple(expected) if self.expects else (),
            checkpoint=self.checkpoint,
        )

    def structure(self) -> Structure:
        h, i = self.hidden, self.inner
        plan: list[tuple[str, str, dict[str, tuple[int, ...]]]] = [
            ("", "TinyForCausalLM", {}),
            (self.prefix, "TinyModel", {}),
            (f"{self.prefix}.embed_tokens", "Embedding", {"weight": (self.vocab, h)}),
            (f"{self.prefix}.layers", "ModuleList", {}),
        ]
        for number in range(self.layers):
            layer = f"{self.prefix}.layers.{number}"
            plan += [
                (layer, "TinyLayer", {}),
                (f"{layer}.self_attn", "TinyAttention", {}),
                (f"{layer}.self_attn.q_proj", "Linear", {"weight": (h, h)}),
                (f"{layer}.self_attn.o_proj", "Linear", {"weight": (h, h), "bias": (h,)}),
                (f"{layer}.{self.block}", "TinyMoe", {}),
                (f"{layer}.{self.block}.gate", "Linear", {"weight": (self.experts, h)}),
                (f"{layer}.{self.block}.experts", "ModuleList", {}),
            ]
            for expert in range(self.experts):
                one = f"{layer}.{self.block}.experts.{expert}"
                plan += [
                    (one, "TinyMLP", {}),
                    (f"{one}.up_proj", "Linear", {"weight": (i, h)}),
                    (f"{one}.down_proj", "Linear", {"weight": (h, i)}),
                    (f"{one}.act_fn", "SiLU", {}),
                ]
            plan.append((f"{layer}.input_layernorm", self.norm, {"weight": (h,)}))
        plan += [
            (f"{self.prefix}.norm", "RMSNorm", {"weight": (h,)}),
            ("lm_head", "Linear", {"weight": (self.vocab, h)}),
        ]
        return self._built(plan)

    def _built(self, plan: list[tuple[str, str, dict[str, tuple[int, ...]]]]) -> Structure:
        modules, tensors = [], []
        embedding = f"{self.prefix}.embed_tokens.weight"
        for position, (name, class_name, own) in enumerate(plan):
            buffers = {
                full.rpartition(".")[2]: s for full, s in self.buffers.items() if full.rpartition(".")[0] == name
            }
            counted = 0
            for leaf, shape in own.items():
                full = f"{name}.{leaf}"
                tied = embedding if self.tie and full == "lm_head.weight" else ""
                counted += 0 if tied else prod(shape)
                dtype = self.dtypes.get(full, self.dtype)
                tensors.append(Tensor(position, full, "parameter", shape, dtype, prod(shape), True, True, tied))
            for leaf, shape in buffers.items():
                tensors.append(
                    Tensor(position, f"{name}.{leaf}", "buffer", shape, self.dtype, prod(shape), False, True, "")
                )
            n_buffers = sum(map(prod, buffers.values()))
            parent = name.rpartition(".")[0]
            modules.append(Module(position, name, class_name, parent, name.count("."), counted, counted, n_buffers))
        total = sum(module.n_params for module in modules)
        return Structure(tuple(modules), tuple(tensors), total, embedding, "lm_head.weight")

    def reading(self, structure: Structure) -> Reading:
        position = {module.name: module.position for module in structure.modules}
        each = 2 * self.hidden * self.inner
        groups, routers, experts, marks = [], [], [], []
        for number in range(self.layers):
            group = f"{self.prefix}.layers.{number}.{self.block}"
            size = self.experts * (each + self.hidden)
            groups.append(MoeGroup(group, 1, self.experts, 0, 0, self.top_k, size))
            routers.append(Router(f"{group}.gate", "Linear", group, self.experts, self.top_k, self.source))  # type: ignore[arg-type]
            marks.append(Mark(position[f"{group}.gate"], True, False, group))
            for expert in range(self.experts):
                name = f"{group}.experts.{expert}"
                experts.append(
                    Expert(name, "TinyMLP", f"{group}.experts", group, expert, "routed", each, self.source)  # type: ignore[arg-type]
                )
                marks.append(Mark(position[name], False, True, group))
        idle = self.layers * (self.experts - self.top_k) * each
        active = structure.n_params - idle
        return Reading(
            tuple(groups), tuple(routers), tuple(experts), tuple(marks), active, active - self.vocab * self.hidden
        )


def on_disk(decoder: Decoder, *, shards: int = 1, dtype: str = "BF16", digest: str = "") -> Checkpoint:
    """A checkpoint that holds what the decoder expects, spread over shards in turn."""
    names = [f"model-{shard + 1:05}-of-{shards:05}.safetensors" for shard in range(shards)]
    tensors = []
    for place, tensor in enumerate(decoder.look().expected):
        size = 2 * prod(tensor.shape)
        tensors.append(StoredTensor(tensor.name, names[place % shards], tensor.shape, dtype, 0, size))
    files = tuple(CheckpointFile(name, "safetensors", 1000, digest, 100) for name in names)
    return Checkpoint(files, tuple(tensors))


def store_of(path: Path, *looks: Look | Decoder) -> Path:
    """A new store with these looks as runs 1, 2, …"""
    ensure(path)
    for look in looks:
        record(path, look if isinstance(look, Look) else look.look())
    return path
