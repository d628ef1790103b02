"""What is no transformers model says what it is, and what to audit in its stead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditdb.errors import NotAModel
from auditdb.inspect.source import resolve

BERT = json.dumps({"model_type": "bert"})


def make(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "F is empty: give a folder with a config.json, or ORG/NAME of a model on the hub."),
        (
            {"m.Q4.gguf": "", "m.Q8.gguf": "", "README.md": ""},
            "F holds GGUF files only (m.Q4.gguf and 1 more) and no config.json: "
            "audit the model that it was converted from.",
        ),
        (
            {"m.gguf": "", "config.json": {"x": 1}},
            "F holds GGUF files only (m.gguf) with a config.json that names no model_type: "
            "audit the model that it was converted from.",
        ),
        (
            {"onnx/model.onnx": ""},
            "F holds ONNX files only (onnx/model.onnx) and no config.json: audit the model that it was converted from.",
        ),
        (
            {"rank0.engine": "", "config.json": {"pretrained_config": {}, "build_config": {}}},
            "F is a TensorRT-LLM engine (rank0.engine): audit the model that it was built from.",
        ),
        (
            {"rank0.engine": ""},
            "F holds TensorRT-LLM engines only (rank0.engine) and no config.json: "
            "audit the model that it was converted from.",
        ),
        (
            {"adapter_config.json": {"base_model_name_or_path": "org/base"}, "adapter_model.safetensors": ""},
            "F is an adapter on org/base, not a model of its own: audit org/base.",
        ),
        (
            {"adapter_config.json": "damaged"},
            "F is an adapter, not a model of its own: audit the base model that it was trained on.",
        ),
        (
            {
                "model_index.json": {"_class_name": "FluxPipeline"},
                "vae/config.json": {"_class_name": "AutoencoderKL"},
                "text_encoder/config.json": BERT,
            },
            "F is a diffusers pipeline (FluxPipeline), not one transformers model: audit F/text_encoder.",
        ),
        (
            {"config.json": {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.3"}},
            "F is a part of a diffusers pipeline (UNet2DConditionModel), not a transformers model.",
        ),
        (
            {"modules.json": "[]", "0_Transformer/config.json": BERT, "1_Pooling/config.json": {"dim": 3}},
            "F is a sentence-transformers folder whose transformer lies inside: audit F/0_Transformer.",
        ),
        (
            {"a/config.json": BERT, "b/config.json": BERT},
            "F holds no config.json itself: audit F/a or F/b.",
        ),
        (
            {"params.json": {}, "consolidated.00.pth": ""},
            "F holds a checkpoint in its maker's own format (params.json) and no config.json: "
            "audit its transformers version.",
        ),
        (
            dict.fromkeys("abcdefg", ""),
            "F holds no config.json (found: a, b, c, d, e and 2 more): give the folder or model that has one.",
        ),
    ],
)
def test_refusals(files: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(NotAModel) as caught:
        resolve(str(make(tmp_path, files)))
    assert str(caught.value) == expected.replace("F/", f"{tmp_path}/").replace("F ", f"{tmp_path} ", 1)


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    make(tmp_path, {"m.gguf": "", "config.json": BERT})
    messages = []
    for name in ("m.gguf", "config.json"):
        with pytest.raises(NotAModel) as caught:
            resolve(str(tmp_path / name))
        messages.append(str(caught.value))
    assert messages == [
        f"{tmp_path}/m.gguf is a GGUF file, not a transformers model: audit the model that it was made from.",
        f"{tmp_path}/config.json is a file: give the folder that it lies in.",
    ]


def test_ordinary_models_with_something_beside(tmp_path: Path) -> None:
    make(tmp_path, {"config.json": BERT, "modules.json": "[]", "adapter_config.json": {}, "m.gguf": "", "o/m.onnx": ""})
    assert resolve(str(tmp_path)).notes == (
        "a sentence-transformers folder: the transformer in it is audited, pooling and heads are not",
        "an adapter lies beside config.json: the model of the config is audited, without the adapter",
    )
