"""Which class a config.json is built with, and whether that choice was a guess. No prompt, no remote code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditdb.errors import BuildError, TooLarge

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# In DESIGN's order. (`AutoModel` drops the head; the causal class silently drops the towers of several families.)
AUTO_MAPPINGS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_PRETRAINING_MAPPING",
    "MODEL_MAPPING",
)

# Keys that pick kernels, not shapes; a config that asks for flash-attention can't be built where it is not installed.
_KERNEL_KEYS = frozenset({"_attn_implementation", "attn_implementation", "_attn_implementation_internal"})

# More layers, heads, experts or labels than any model has: a config that says so would fill the memory with lists
# before the first module is built. budget.py catches what is merely large, and what goes by other names.
MAX_COUNT = 100_000
_COUNT_WORDS = ("layer", "block", "depth", "head", "expert", "stage", "label")


@dataclass(frozen=True)
class Candidate:
    """A class and the config parsed for it. `guessed`: nobody named this class for this config.json."""

    model_class: type[PreTrainedModel]
    config: PretrainedConfig
    guessed: bool
    notes: tuple[str, ...]


def candidates(raw: Mapping[str, Any]) -> list[Candidate]:
    """The classes of the library that may build this config, best first.

    One, by `architectures[0]`, where the library has that class; else those of the auto classes for its `model_type`.
    Raises BuildError with a sentence where there is none, TooLarge for absurd counts.
    """
    refuse_absurd_counts(raw)
    model_type = raw.get("model_type")
    architecture = _architecture(raw)
    remote = "auto_map" in raw
    named = _library_class(architecture)
    if named is not None:
        config_class: type[PretrainedConfig] = named.config_class
        guessed = remote or (bool(model_type) and model_type != config_class.model_type)
        notes = []
        if guessed:
            why = "declares remote code" if remote else f"has model_type '{model_type}'"
            notes.append(f"the config {why}; built with the library's own {architecture}, which is a guess")
        config = _parse(config_class, raw)
        return _fitting([Candidate(named, config, guessed, tuple(notes))], raw, remote)
    if not isinstance(model_type, str) or not model_type:
        raise BuildError(
            "config.json has no model_type and names no class of the installed transformers; "
            "add the model_type that its code would have"
        )
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if model_type not in CONFIG_MAPPING:
        raise BuildError(_no_class(model_type, architecture, remote))
    config = _parse(CONFIG_MAPPING[model_type], raw)
    classes = _auto_classes(config)
    if not classes:
        raise BuildError(
            f"the installed transformers has a config but no model class for model_type '{model_type}': "
            "it is a part of another model; audit that model"
        )
    said = f"'{architecture}', which transformers does not have" if architecture else "no architecture"
    found = []
    for cls in classes:
        note = f"the config names {said}; {cls.__name__} was taken by its model_type '{model_type}', which is a guess"
        found.append(Candidate(cls, config, True, (note,)))
    return _fitting(found, raw, remote) if remote or architecture else found


def _architecture(raw: Mapping[str, Any]) -> str:
    names = raw.get("architectures")
    first = names[0] if isinstance(names, list) and names else None
    return first if isinstance(first, str) else ""


def names_library_class(raw: Mapping[str, Any]) -> bool:
    """Whether `architectures[0]` is a class of the installed transformers."""
    return _library_class(_architecture(raw)) is not None


def _library_class(name: str) -> type[PreTrainedModel] | None:
    """`transformers.NAME` if that is a model class with a config class of its own."""
    if not name.isidentifier():
        return None
    import transformers

    try:
        cls = getattr(transformers, name, None)
    except Exception as error:  # its file is imported now, and may want what is not installed
        raise BuildError(f"transformers can't import {name}: {one_line(error)}") from error
    if not isinstance(cls, type) or not issubclass(cls, transformers.PreTrainedModel):
        return None
    return cls if getattr(cls, "config_class", None) is not None else None


def _auto_classes(config: PretrainedConfig) -> list[type[PreTrainedModel]]:
    from transformers.models.auto import modeling_auto

    found: list[type[PreTrainedModel]] = []
    for mapping_name in AUTO_MAPPINGS:
        mapping = getattr(modeling_auto, mapping_name, None)
        if mapping is None or type(config) not in mapping:
            continue
        try:
            entry = mapping[type(config)]
        except ValueError:
            continue  # the library's table names a class that it does not have (voxtral_realtime_text in 5.23)
        for cls in entry if isinstance(entry, tuple) else (entry,):
            if cls not in found:
                found.append(cls)
    return found


def _no_class(model_type: str, architecture: str, remote: bool) -> str:
    what = f"transformers has no class for model_type '{model_type}'"
    if architecture:
        what += f" nor for '{architecture}'"
    if remote:
        return what + "; it brings code of its own: read that code, then give --trust-remote-code to run it"
    return what + "; a newer transformers may have one"


def _parse(config_class: type[PretrainedConfig], raw: Mapping[str, Any]) -> PretrainedConfig:
    """The parsed config. The library validates in many ways (strict dataclasses, ValueError, KeyError, TypeError, …),
    so whatever it raises becomes a BuildError that quotes it."""
    try:
        return config_class.from_dict(without_kernel_keys(raw))
    except MemoryError:
        raise
    except Exception as error:
        raise BuildError(f"{config_class.__name__} refuses this config.json: {one_line(error)}") from error


def without_kernel_keys(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy without the keys that pick attention kernels."""
    return {
        key: without_kernel_keys(value) if isinstance(value, dict) else _copied(value)
        for key, value in raw.items()
        if key not in _KERNEL_KEYS
    }


def _copied(value: Any) -> Any:
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _fitting(found: list[Candidate], raw: Mapping[str, Any], remote: bool) -> list[Candidate]:
    """Refuse a guess whose size would come from defaults: that would make up a model."""
    candidate = found[0]
    if not candidate.guessed:
        return found
    absent = sizes_from_defaults(candidate.config, raw)
    if not absent:
        return found
    message = (
        f"{candidate.model_class.__name__} does not fit this config.json: it has no {', '.join(absent)}, "
        "so the class would make up a model from its defaults"
    )
    if remote:
        message += "; the model brings code of its own: read it, then give --trust-remote-code to run it"
    raise BuildError(message)


_LAYER_PATTERNS = ("layer_types", "layers_block_type", "hybrid_override_pattern", "block_sizes", "block_types")


def sizes_from_defaults(config: PretrainedConfig, raw: Mapping[str, Any]) -> list[str]:
    """Which of hidden size, vocabulary size and layer count the parsed config has, and the JSON does not.

    A name is looked up through `attribute_map`; a layer pattern says the layer count as well. For a model of several
    towers the text config is asked, with its own part of the JSON. Where that part is missing, the outer keys may be
    what the class reads (old flat configs) or not: then a changed value must change the parsed config.
    """
    text = text_part(config)
    part: Mapping[str, Any] = raw
    if text is not config:
        for key, value in raw.items():
            if isinstance(value, dict) and getattr(config, key, None) is text:
                part = value
    flat = text is not config and part is raw
    absent = []
    for name, patterns in (("hidden_size", ()), ("vocab_size", ()), ("num_hidden_layers", _LAYER_PATTERNS)):
        if not _has(text, name):
            continue
        mapped = text.attribute_map.get(name)
        spellings = [name, *patterns] + ([mapped] if isinstance(mapped, str) else [])
        present = [spelling for spelling in spellings if spelling in part]
        if not present or (flat and not any(_is_read(type(config), raw, spelling, name) for spelling in present)):
            absent.append(name)
    return absent


def text_part(config: PretrainedConfig) -> PretrainedConfig:
    """The config of the text model inside a config of several towers; the config itself where it is one tower."""
    if hasattr(config, "get_text_config"):  # transformers 4.45
        found: PretrainedConfig = config.get_text_config()
        return found
    inner = getattr(config, "text_config", None)
    return inner if hasattr(inner, "attribute_map") else config


def _is_read(config_class: type[PretrainedConfig], raw: Mapping[str, Any], key: str, name: str) -> bool:
    """Whether a class takes `name` of its text config from the outer `key`: another value there must show."""
    value = raw[key]
    if not isinstance(value, int):
        return True
    sizes = []
    for number in (value, 2 * value):
        try:
            sizes.append(getattr(text_part(_parse(config_class, {**raw, key: number})), name, None))
        except BuildError:
            return True  # it looked at the number, or it would not complain of it
    return sizes[0] != sizes[1]


def _has(config: PretrainedConfig, name: str) -> bool:
    try:
        return getattr(config, name, None) is not None
    except NotImplementedError:
        return False


def refuse_absurd_counts(raw: Mapping[str, Any]) -> None:
    """Raise TooLarge for a count of layers, heads, experts or labels over MAX_COUNT anywhere in the JSON."""
    todo: list[Mapping[str, Any]] = [raw]
    while todo:
        for key, value in todo.pop().items():
            if isinstance(value, dict):
                todo.append(value)
            elif isinstance(value, int) and value > MAX_COUNT and _is_count(key):
                raise TooLarge(f"config.json says {key} = {value}: over {MAX_COUNT:,} of them are not built")


def _is_count(key: str) -> bool:
    lowered = key.lower()
    return (
        lowered.startswith(("num_", "n_", "moe_num")) or "_num_" in lowered or lowered in ("depth", "depths")
    ) and any(word in lowered for word in _COUNT_WORDS)


def one_line(error: BaseException, limit: int = 300) -> str:
    """An exception as one line: `TypeError: …`, cut at `limit` characters."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
