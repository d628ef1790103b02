"""Small random models of many families, by the names under which each toolchain has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

CORPUS = Path(__file__).parents[1] / "data" / "corpus"

TOKENS = {"bos_token_id": 1, "eos_token_id": 2}
H: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
EXPERTS: dict[str, Any] = {**H, "moe_intermediate_size": 8, "num_experts_per_tok": 2}
DEEPSEEK: dict[str, Any] = {
    **EXPERTS, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4,
}  # fmt: skip
ENCODER_DECODER: dict[str, Any] = {
    "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4, "vocab_size": 64,
}  # fmt: skip
NLLB: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_experts": 4, "vocab_size": 64, "encoder_sparse_step": 2,
    "decoder_sparse_step": 2, "max_position_embeddings": 32,
}  # fmt: skip
JAMBA: dict[str, Any] = {
    **H, "num_hidden_layers": 4, "num_experts": 4, "attn_layer_period": 4, "attn_layer_offset": 2,
    "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_dt_rank": 4, "mamba_d_state": 4,
}  # fmt: skip
DBRX: dict[str, Any] = {
    "d_model": 16, "n_heads": 4, "n_layers": 2, "max_seq_len": 32, "vocab_size": 64,
    "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10000.0},
    "ffn_config": {"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2},
}  # fmt: skip
JETMOE: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_key_value_heads": 2, "kv_channels": 4, "intermediate_size": 32,
    "num_local_experts": 4, "vocab_size": 64,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 8,
    "patch_size": 4,
}  # fmt: skip
QWEN_VISION: dict[str, Any] = {
    "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 4, "out_hidden_size": 16, "patch_size": 4,
    "deepstack_visual_indexes": [0], "num_position_embeddings": 16,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    class_name: str
    config_name: str
    keys: dict[str, Any]

    @property
    def model_class(self) -> Any:
        return getattr(transformers, self.class_name)

    def config(self, **changed: Any) -> Any:
        keys = {**self.keys, **changed}
        return getattr(transformers, self.config_name)(**{k: v() if callable(v) else v for k, v in keys.items()})

    def on_meta(self, **changed: Any) -> Any:
        with torch.device("meta"):
            return self.model_class._from_config(self.config(**changed))

    def random(self, **changed: Any) -> Any:
        torch.manual_seed(0)
        return self.model_class._from_config(self.config(**changed))


def _sub(name: str, keys: dict[str, Any]) -> Callable[[], Any]:
    return lambda: getattr(transformers, name)(**keys)


_ALL = {
    "mixtral": Family("MixtralForCausalLM", "MixtralConfig", {**H, "num_local_experts": 4}),
    "qwen2_moe": Family(
        "Qwen2MoeForCausalLM", "Qwen2MoeConfig", {**EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 8}
    ),
    "qwen3_moe": Family("Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**EXPERTS, "num_experts": 4, "head_dim": 4}),
    "deepseek_v3": Family("DeepseekV3ForCausalLM", "DeepseekV3Config", DEEPSEEK),
    "gpt_oss": Family(
        "GptOssForCausalLM", "GptOssConfig", {**H, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 4}
    ),
    "llama4": Family(
        "Llama4ForCausalLM",
        "Llama4TextConfig",
        {**H, "num_local_experts": 4, "intermediate_size_mlp": 32, "head_dim": 4, "interleave_moe_layer_step": 1},
    ),
    "jamba": Family("JambaForCausalLM", "JambaConfig", JAMBA),
    "olmoe": Family("OlmoeForCausalLM", "OlmoeConfig", {**H, "num_experts": 4, "num_experts_per_tok": 2}),
    "glm4_moe": Family(
        "Glm4MoeForCausalLM",
        "Glm4MoeConfig",
        {**EXPERTS, "n_routed_experts": 4, "first_k_dense_replace": 1, "head_dim": 4, "n_group": 1, "topk_group": 1},
    ),
    "qwen3_vl_moe": Family(
        "Qwen3VLMoeForConditionalGeneration",
        "Qwen3VLMoeConfig",
        {"text_config": {**EXPERTS, "num_experts": 4, "head_dim": 4}, "vision_config": QWEN_VISION},
    ),
    "llava": Family(
        "LlavaForConditionalGeneration",
        "LlavaConfig",
        {
            "text_config": _sub("LlamaConfig", H),
            "vision_config": _sub("CLIPVisionConfig", {**VISION, "projection_dim": 16}),
            "image_token_index": 63,
        },
    ),
    "llama": Family("LlamaForCausalLM", "LlamaConfig", {**H, "tie_word_embeddings": False}),
    "llama_tied": Family("LlamaForCausalLM", "LlamaConfig", {**H, "tie_word_embeddings": True}),
    "t5": Family("T5ForConditionalGeneration", "T5Config", ENCODER_DECODER),
    "switch": Family(
        "SwitchTransformersForConditionalGeneration",
        "SwitchTransformersConfig",
        {**ENCODER_DECODER, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    ),
    "nllb_moe": Family("NllbMoeForConditionalGeneration", "NllbMoeConfig", NLLB),
    "bert": Family("BertForMaskedLM", "BertConfig", H),
    "bert_base": Family("BertModel", "BertConfig", H),
    "gpt2": Family(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 64, "n_positions": 32, **TOKENS},
    ),
    "mamba": Family(
        "MambaForCausalLM",
        "MambaConfig",
        {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 64, "state_size": 4},
    ),
    "falcon": Family(
        "FalconForCausalLM",
        "FalconConfig",
        {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64},
    ),
    "dbrx": Family("DbrxForCausalLM", "DbrxConfig", DBRX),
    "jetmoe": Family("JetMoeForCausalLM", "JetMoeConfig", JETMOE),
}  # fmt: skip

FAMILIES = {
    name: family
    for name, family in _ALL.items()
    if hasattr(transformers, family.class_name) and hasattr(transformers, family.config_name)
}
FIVE = int(transformers.__version__.partition(".")[0]) >= 5
