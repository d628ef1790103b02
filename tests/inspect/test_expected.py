from __future__ import annotations

import time
from pathlib import Path

import pytest

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.errors import BuildError
from auditdb.inspect.expected import expected_tensors
from auditdb.records import ExpectedTensor
from tests.checkpoint.families import CORPUS, FAMILIES, FIVE


@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
@pytest.mark.parametrize("name", FAMILIES)
def test_expected_is_what_save_pretrained_writes(name: str, shard_size: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    family.random().save_pretrained(tmp_path, max_shard_size=shard_size)
    checkpoint = read_checkpoint(FolderBytes(tmp_path))
    assert checkpoint is not None
    assert checkpoint.faults == ()
    written = {ExpectedTensor(t.name, t.shape) for t in checkpoint.tensors}
    expected = expected_tensors(family.on_meta())
    assert set(expected) == written
    assert len(expected) == len(written) == len(checkpoint.tensors)


def test_a_real_model_says_the_same_as_one_on_meta() -> None:
    family = FAMILIES["mixtral"]
    assert expected_tensors(family.random()) == expected_tensors(family.on_meta())


def test_every_family_of_this_toolchain_is_in_the_list() -> None:
    both = {"mixtral", "qwen2_moe", "jamba", "olmoe", "llava", "llama", "llama_tied", "t5", "switch", "nllb_moe"}
    both |= {"bert", "bert_base", "gpt2", "mamba", "falcon", "dbrx", "jetmoe"}
    five = {"qwen3_moe", "deepseek_v3", "gpt_oss", "llama4", "glm4_moe", "qwen3_vl_moe"}
    assert set(FAMILIES) >= (both | five if FIVE else both - {"olmoe"})


if FIVE:

    def test_deepseek_v3_has_45_395_names_in_a_moment() -> None:
        import json

        import torch
        import transformers

        raw = json.loads(CORPUS.joinpath("configs/deepseek-ai__DeepSeek-V3/config.json").read_text())
        with torch.device("meta"):
            model = transformers.DeepseekV3ForCausalLM._from_config(transformers.DeepseekV3Config.from_dict(raw))
        started = time.thread_time()
        expected = expected_tensors(model)
        assert time.thread_time() - started < 3
        assert len(expected) == 45_395
        assert ExpectedTensor("model.layers.60.mlp.experts.255.down_proj.weight", (7168, 2048)) in expected

    def test_a_conversion_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
        import transformers.core_model_loading as library

        def fails(model: object, state: object) -> None:
            raise ZeroDivisionError("no experts")

        monkeypatch.setattr(library, "revert_weight_conversion", fails)
        with pytest.raises(BuildError) as caught:
            expected_tensors(FAMILIES["llama"].on_meta())
        assert str(caught.value) == (
            "transformers can't say which tensors LlamaForCausalLM writes to disk (ZeroDivisionError: no experts)."
        )
