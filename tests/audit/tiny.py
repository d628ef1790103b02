"""A tiny Llama as a folder, with a checkpoint beside it if wanted; asserts nothing itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.checkpoint.files import Spec, encoded, header

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 64,
    "tie_word_embeddings": False,
}

LAYER = {
    "input_layernorm.weight": (16,),
    "mlp.down_proj.weight": (16, 32),
    "mlp.gate_proj.weight": (32, 16),
    "mlp.up_proj.weight": (32, 16),
    "post_attention_layernorm.weight": (16,),
    "self_attn.k_proj.weight": (16, 16),
    "self_attn.o_proj.weight": (16, 16),
    "self_attn.q_proj.weight": (16, 16),
    "self_attn.v_proj.weight": (16, 16),
}
TENSORS: dict[str, tuple[int, ...]] = {
    "lm_head.weight": (64, 16),
    "model.embed_tokens.weight": (64, 16),
    "model.norm.weight": (16,),
    **{f"model.layers.{layer}.{name}": shape for layer in range(2) for name, shape in LAYER.items()},
}


def folder(path: Path, **changes: Any) -> Path:
    """A folder with the config; `changes` replace keys of it."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG | changes))
    return path


def add_checkpoint(path: Path, **changes: tuple[int, ...]) -> None:
    """`model.safetensors` with what the class writes; `changes` give tensors of other shapes, by their name with
    underscores for dots."""
    other = {name: changes.get(name.replace(".", "_"), shape) for name, shape in TENSORS.items()}
    spec: Spec = {name: ("F32", shape) for name, shape in other.items()}
    (path / "model.safetensors").write_bytes(encoded(header(spec)))
