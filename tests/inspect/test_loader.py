from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import transformers

from auditdb.inspect.expected import expected_tensors
from auditdb.inspect.loader import load_on_meta
from auditdb.records import LoaderVerdict, StoredTensor
from tests.checkpoint.families import CORPUS, FAMILIES, FIVE, Family


def stored(family: Family, **changed: Any) -> list[StoredTensor]:
    return [StoredTensor(e.name, "f", e.shape, "BF16", 0, 0) for e in expected_tensors(family.on_meta(**changed))]


def asked(family: Family, tensors: Sequence[StoredTensor], **changed: Any) -> LoaderVerdict:
    return load_on_meta(family.model_class, family.config(**changed), tensors)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_class_writes_it_loads(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    family = FAMILIES[name]
    tensors = stored(family)
    capfd.readouterr()
    assert asked(family, tensors) == LoaderVerdict()
    assert capfd.readouterr() == ("", "")


def test_missing_stray_and_reshaped_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    family = FAMILIES["llama"]
    tensors = {t.name: t for t in stored(family)}
    gone = tensors.pop("model.layers.1.mlp.up_proj.weight")
    tensors["model.layers.0.mlp.up_proj.weight"] = gone._replace(
        name="model.layers.0.mlp.up_proj.weight", shape=(16, 32)
    )
    tensors["stray"] = gone._replace(name="stray")
    capfd.readouterr()
    assert asked(family, list(tensors.values())) == LoaderVerdict(
        missing=("model.layers.1.mlp.up_proj.weight",),
        unexpected=("stray",),
        mismatched=(("model.layers.0.mlp.up_proj.weight", (16, 32), (32, 16)),),
    )
    assert capfd.readouterr() == ("", "")


def test_the_library_agrees_on_real_weights(tmp_path: Path) -> None:
    """What `from_pretrained` says of the same damage on disk, with weights."""
    from safetensors.torch import load_file, save_file

    family = FAMILIES["llama"]
    family.random().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.norm.weight"], weights["lm_head.weight"]
    weights["stray"] = weights["model.layers.0.mlp.up_proj.weight"].clone()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    _, said = family.model_class.from_pretrained(tmp_path, output_loading_info=True)
    verdict = asked(family, [StoredTensor(k, "f", tuple(v.shape), "F32", 0, 0) for k, v in weights.items()])
    assert (set(verdict.missing), set(verdict.unexpected)) == (set(said["missing_keys"]), set(said["unexpected_keys"]))
    assert verdict == LoaderVerdict(missing=("lm_head.weight", "model.norm.weight"), unexpected=("stray",))


def test_a_tied_head_is_not_missing_and_an_untied_one_is() -> None:
    family = FAMILIES["llama"]
    without = [t for t in stored(family) if t.name != "lm_head.weight"]
    assert asked(family, without, tie_word_embeddings=True) == LoaderVerdict()
    assert asked(family, without) == LoaderVerdict(missing=("lm_head.weight",))


def test_a_base_model_s_checkpoint_in_a_class_with_a_head() -> None:
    bare = [t._replace(name=t.name.removeprefix("model.")) for t in stored(FAMILIES["llama_tied"])]
    assert asked(FAMILIES["llama_tied"], bare) == LoaderVerdict()


def test_old_names_of_llava_s_tower() -> None:
    """Written by 4.44.2, taken by both."""
    family = FAMILIES["llava"]
    olds = {}
    for tensor in stored(family):
        name = tensor.name
        if FIVE and name.startswith("vision_tower.") and not name.startswith("vision_tower.vision_model."):
            name = name.replace("vision_tower.", "vision_tower.vision_model.", 1)
        olds[name] = tensor._replace(name=name)
    assert any(name.startswith("vision_tower.vision_model.") for name in olds)
    assert asked(family, list(olds.values())) == LoaderVerdict()


def test_old_buffers_are_ignored() -> None:
    family = FAMILIES["llama"]
    extra = StoredTensor("model.layers.0.self_attn.rotary_emb.inv_freq", "f", (2,), "F32", 0, 0)
    assert asked(family, [*stored(family), extra]) == LoaderVerdict(ignored=(extra.name,))


def test_one_expert_more_than_stored() -> None:
    family = FAMILIES["mixtral"]
    verdict = asked(family, stored(family), num_local_experts=5)
    if FIVE:
        layers = [f"model.layers.{i}.mlp" for i in range(2)]
        assert verdict == LoaderVerdict(
            mismatched=tuple(
                row
                for layer in layers
                for row in (
                    (f"{layer}.experts.down_proj", (4, 16, 32), (5, 16, 32)),
                    (f"{layer}.experts.gate_up_proj", (4, 64, 16), (5, 64, 16)),
                    (f"{layer}.gate.weight", (4, 16), (5, 16)),
                )
            )
        )
    else:
        layers = [f"model.layers.{i}.block_sparse_moe" for i in range(2)]
        assert verdict == LoaderVerdict(
            missing=tuple(f"{layer}.experts.4.w{k}.weight" for layer in layers for k in (1, 2, 3)),
            mismatched=tuple((f"{layer}.gate.weight", (4, 16), (5, 16)) for layer in layers),
        )


def test_a_config_with_quantization_asks_for_no_quantiser() -> None:
    family = FAMILIES["llama"]
    quantization = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    config = family.config(quantization_config=quantization)
    assert load_on_meta(family.model_class, config, stored(family)) == LoaderVerdict()
    assert config.quantization_config == quantization


def test_a_shape_that_nothing_holds_is_an_answer() -> None:
    family = FAMILIES["llama"]
    tensors = [*stored(family), StoredTensor("x", "f", (2**31, 2**31), "BF16", 0, 0)]
    verdict = asked(family, tensors)
    if FIVE:
        assert verdict == LoaderVerdict(error="ValueError: x claims the shape [2147483648, 2147483648]")
    else:
        assert verdict == LoaderVerdict(unexpected=("x",))


def test_a_class_that_does_not_build_is_an_answer() -> None:
    class Broken(FAMILIES["llama"].model_class):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            raise ValueError("first line\nlast line")

    verdict = load_on_meta(Broken, FAMILIES["llama"].config(), [])
    assert verdict == LoaderVerdict(error="ValueError: last line")


def test_the_library_s_own_settings_are_put_back() -> None:
    logging = transformers.utils.logging
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    asked(FAMILIES["llama"], [])
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


if FIVE:

    def test_a_conversion_error_is_data() -> None:
        family = FAMILIES["mixtral"]
        tensors = [t for t in stored(family) if t.name != "model.layers.1.block_sparse_moe.experts.2.w1.weight"]
        verdict = asked(family, tensors)
        assert [name for name, _ in verdict.conversion_errors] == ["model.layers.1.mlp.experts.gate_up_proj"]
        assert not verdict.fits

    def test_deepseek_v3_at_full_size_loads() -> None:
        import torch

        raw = json.loads(CORPUS.joinpath("configs/deepseek-ai__DeepSeek-V3/config.json").read_text())
        config = transformers.DeepseekV3Config.from_dict(raw)
        with torch.device("meta"):
            model = transformers.DeepseekV3ForCausalLM._from_config(config)
        tensors = [StoredTensor(e.name, "f", e.shape, "F8_E4M3", 0, 0) for e in expected_tensors(model)]
        assert load_on_meta(type(model), config, tensors) == LoaderVerdict()
