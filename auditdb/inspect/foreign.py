"""Owns the recognition of what is no transformers model, from file names and small JSON files; never opens a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditdb.errors import NotAModel, SourceError
from auditdb.inspect.json_text import load_config

ReadJson = Callable[[str], Mapping[str, Any]]

_ENGINES = (".engine", ".plan")
_MODULE_FILES = "modules.json"
_MOST_PARTS = 12  # configs inside that are opened for the message


def json_reader(read_all: Callable[[str], bytes], where: str) -> ReadJson:
    """A reader of small JSON objects that gives an empty one where the file is damaged: it serves only a message."""

    def read(name: str) -> Mapping[str, Any]:
        try:
            return load_config(read_all(name), f"{name} of {where}")
        except SourceError:
            return {}

    return read


def refuse_without_config(where: str, names: Sequence[str], read_json: ReadJson, *, on_disk: bool) -> NotAModel:
    """The sentence for a place without `config.json`: what was found there, and what to audit in its stead.

    `names` are the relative file names; `on_disk` tells whether a folder inside can be audited as it stands.
    """
    if not names:
        return NotAModel(f"{where} is empty: give a folder with a config.json, or ORG/NAME of a model on the hub.")
    top = {name for name in names if "/" not in name}
    if "adapter_config.json" in top:
        base = _text(read_json("adapter_config.json").get("base_model_name_or_path"))
        on, give = (f" on {base}", base) if base else ("", "the base model that it was trained on")
        return NotAModel(f"{where} is an adapter{on}, not a model of its own: audit {give}.")
    if "model_index.json" in top:
        pipeline = _text(read_json("model_index.json").get("_class_name"))
        what = f"a diffusers pipeline ({pipeline})" if pipeline else "a diffusers pipeline"
        return NotAModel(
            f"{where} is {what}, not one transformers model: {_audit_inside(where, names, read_json, on_disk)}"
        )
    if _MODULE_FILES in top:
        return NotAModel(
            f"{where} is a sentence-transformers folder whose transformer lies inside: "
            f"{_audit_inside(where, names, read_json, on_disk)}"
        )
    if found := _other_format(names):
        return NotAModel(f"{where} holds {found} and no config.json: audit the model that it was converted from.")
    if any(name.endswith("/config.json") for name in names):
        return NotAModel(f"{where} holds no config.json itself: {_audit_inside(where, names, read_json, on_disk)}")
    if "params.json" in top:
        return NotAModel(
            f"{where} holds a checkpoint in its maker's own format (params.json) and no config.json: "
            "audit its transformers version."
        )
    shown = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return NotAModel(f"{where} holds no config.json (found: {shown}): give the folder or model that has one.")


def refuse_foreign_config(where: str, config: Mapping[str, Any], names: Sequence[str]) -> NotAModel | None:
    """The sentence for a `config.json` that belongs to something else; None for one that may be an ordinary one."""
    if "model_type" in config or "architectures" in config or "auto_map" in config:
        return None
    engines = [name for name in names if name.endswith(_ENGINES)]
    if ("pretrained_config" in config and "build_config" in config) or ("builder_config" in config) or engines:
        shown = f" ({engines[0]})" if engines else ""
        return NotAModel(f"{where} is a TensorRT-LLM engine{shown}: audit the model that it was built from.")
    if "_diffusers_version" in config:
        part = _text(config.get("_class_name")) or "of unknown class"
        return NotAModel(f"{where} is a part of a diffusers pipeline ({part}), not a transformers model.")
    if "peft_type" in config:
        base = _text(config.get("base_model_name_or_path")) or "its base model"
        return NotAModel(f"{where} is an adapter, not a model of its own: audit {base}.")
    if found := _other_format(names):
        return NotAModel(
            f"{where} holds {found} with a config.json that names no model_type: "
            "audit the model that it was converted from."
        )
    return None


def notes_on_company(names: Sequence[str]) -> tuple[str, ...]:
    """Notes on what lies beside an ordinary config.json and could be taken for something else."""
    top = {name for name in names if "/" not in name}
    notes = []
    if _MODULE_FILES in top:
        notes.append("a sentence-transformers folder: the transformer in it is audited, pooling and heads are not")
    if "adapter_config.json" in top:
        notes.append("an adapter lies beside config.json: the model of the config is audited, without the adapter")
    return tuple(notes)


def _other_format(names: Sequence[str]) -> str:
    """Weights in a format that no config.json belongs to, in words; '' where there are others too, or none."""
    if any(name.endswith((".safetensors", ".bin", ".pt", ".pth")) for name in names):
        return ""
    for endings, words in (
        ((".gguf",), "GGUF files only"),
        (_ENGINES, "TensorRT-LLM engines only"),
        ((".onnx",), "ONNX files only"),
    ):
        if found := sorted(name for name in names if name.endswith(endings)):
            return f"{words} ({found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''})"
    return ""


def _audit_inside(where: str, names: Sequence[str], read_json: ReadJson, on_disk: bool) -> str:
    configs = sorted(name for name in names if name.endswith("/config.json"))[:_MOST_PARTS]
    # A pooling layer and a scheduler have a config.json too; only a transformers config names a model_type.
    inside = [name.rpartition("/")[0] for name in configs if "model_type" in read_json(name)]
    if not inside:
        return "no part of it is a transformers model."
    if on_disk:
        return f"audit {' or '.join(f'{where}/{part}' for part in inside)}."
    return f"download it, and audit the folder {' or '.join(inside)} in it."


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
