"""The library's own loader, run on meta over the names and shapes of a checkpoint; it never reads a weight."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from auditdb.inspect.build import quick_allocation
from auditdb.inspect.quiet import quiet
from auditdb.records import LoaderVerdict, StoredTensor

_INV_FREQ = r"rotary_emb\.inv_freq"


def load_on_meta(
    model_class: type[Any], config: Any, stored: Sequence[StoredTensor], *, model: torch.nn.Module | None = None
) -> LoaderVerdict:
    """What loading `stored` into a `model_class` built from `config` would miss, not know, or find of another shape.

    With transformers 5 this is `from_pretrained` itself, given a state dict of meta tensors. `stored` must be
    logical tensors: a quantised checkpoint is unpacked first (`checks/packing.py`), and `config` loses its
    `quantization_config`, since quantisers ask for GPUs and kernels.
    With transformers 4, whose loader can't run on meta without taking equal sizes for tied tensors, it is the same
    comparison of names that `PreTrainedModel._load_pretrained_model` makes (4.44.2). `model` spares a build there.

    Never raises for what is in the checkpoint: where the loader gives up, `LoaderVerdict.error` says why.
    """
    bare = _without_quantization(config)
    with quiet(), quick_allocation():
        try:
            if hasattr(model_class, "_finalize_model_loading"):
                return _load_5(model_class, bare, stored)
            if model is None:
                with torch.device("meta"):
                    model = model_class._from_config(bare)
            return _compare_4(model_class, model, stored)
        except Exception as error:  # the library may raise anything, and that is an answer
            return LoaderVerdict(error=_one_line(error))


def _load_5(model_class: type[Any], config: Any, stored: Sequence[StoredTensor]) -> LoaderVerdict:
    kept: list[Any] = []

    def finalize(model: Any, load_config: Any, loading_info: Any) -> Any:
        # from_pretrained raises after a conversion error, and what it had found would be lost.
        ignored = set(loading_info.unexpected_keys)
        kept.append((loading_info, ignored))
        return model_class._finalize_model_loading(model, load_config, loading_info)

    # Of the same name, since the library looks conversions up by the class's name.
    watched = type(
        model_class.__name__,
        (model_class,),
        {"_finalize_model_loading": staticmethod(finalize), "__module__": model_class.__module__},
    )
    try:
        watched.from_pretrained(  # type: ignore[attr-defined]
            None,
            config=config,
            state_dict=_meta_tensors(stored),
            device_map="meta",
            dtype=torch.bfloat16,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    except Exception:
        if not kept or not kept[0][0].conversion_errors:
            raise
    info, unexpected_before = kept[0]
    unexpected = set(info.unexpected_keys)
    return LoaderVerdict(
        missing=tuple(sorted(info.missing_keys)),
        unexpected=tuple(sorted(unexpected)),
        mismatched=tuple(sorted((name, tuple(stored_), tuple(built)) for name, stored_, built in info.mismatched_keys)),
        conversion_errors=tuple(sorted((name, _last_line(str(text))) for name, text in info.conversion_errors.items())),
        ignored=tuple(sorted(unexpected_before - unexpected)),
    )


def _compare_4(model_class: type[Any], model: torch.nn.Module, stored: Sequence[StoredTensor]) -> LoaderVerdict:
    """`_load_pretrained_model` of 4.44.2 without the loading: prefix of the base model, ties, patterns of the class."""
    shapes = {_old_names(t.name): t.shape for t in stored}
    state = {name: tuple(t.shape) for name, t in model.state_dict().items() if isinstance(t, torch.Tensor)}
    prefix = getattr(model_class, "base_model_prefix", "")
    on_disk = bool(prefix) and any(name.startswith(prefix) for name in shapes)
    in_model = bool(prefix) and any(name.startswith(prefix) for name in state)

    def as_on_disk(name: str) -> str:
        if in_model and not on_disk:
            return name.removeprefix(f"{prefix}.")
        return f"{prefix}.{name}" if on_disk and not in_model else name

    if in_model and not on_disk:
        base = {name.removeprefix(f"{prefix}.") for name in state if name.startswith(f"{prefix}.")}
        heads = {name for name in state if not name.startswith(f"{prefix}.")}
        if any(name in heads and name not in base for name in shapes):
            return LoaderVerdict(error=f"the head is stored beside a base model without its prefix {prefix!r}")

    built = {as_on_disk(name): shape for name, shape in state.items()}
    buffers = {as_on_disk(name) for name, _ in model.named_buffers()}
    missing = {name for name in built if name not in shapes}
    for group in _shared_names(model):
        names = {as_on_disk(name) for name in group}
        if names - missing:
            missing -= names
    unknown = {name for name in shapes if name not in built}
    unexpected = unknown - buffers
    missing -= _matching(model_class._keys_to_ignore_on_load_missing, missing)
    # 4.44.2 drops old rotary buffers class by class; those that a loaded model recomputes are harmless everywhere.
    by_design = _matching((*(model_class._keys_to_ignore_on_load_unexpected or ()), _INV_FREQ), unexpected)
    return LoaderVerdict(
        missing=tuple(sorted(missing)),
        unexpected=tuple(sorted(unexpected - by_design)),
        mismatched=tuple(
            sorted((name, shape, built[name]) for name, shape in shapes.items() if built.get(name, shape) != shape)
        ),
        ignored=tuple(sorted(by_design | (unknown & buffers))),
    )


def _old_names(name: str) -> str:
    """LayerNorm's names in TensorFlow days, which 4.x still renames."""
    if "beta" in name:
        return name.replace("beta", "bias")
    return name.replace("gamma", "weight") if "gamma" in name else name


def _shared_names(model: torch.nn.Module) -> list[list[str]]:
    names_of: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names_of.setdefault(id(parameter), []).append(name)
    return [names for names in names_of.values() if len(names) > 1]


def _matching(patterns: Iterable[str] | None, names: set[str]) -> set[str]:
    compiled = [re.compile(pattern) for pattern in patterns or ()]
    return {name for name in names if any(pattern.search(name) for pattern in compiled)}


def _meta_tensors(stored: Sequence[StoredTensor]) -> dict[str, torch.Tensor]:
    """One meta tensor each, all bfloat16: the dtype check is another one, and quantised dtypes wake quantisers."""
    for tensor in stored:
        if math.prod(tensor.shape) >= 2**60:
            raise ValueError(f"{tensor.name} claims the shape {list(tensor.shape)}")
    return {t.name: torch.empty(t.shape, dtype=torch.bfloat16, device="meta") for t in stored}


def _without_quantization(config: Any) -> Any:
    bare = copy.deepcopy(config)
    pending = [bare]
    while pending:
        part = pending.pop()
        pending += [
            value for value in vars(part).values() if hasattr(value, "model_type") and hasattr(value, "to_dict")
        ]
        if "quantization_config" in vars(part):
            del part.quantization_config
    return bare


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {_last_line(str(error))}"


def _last_line(text: str) -> str:
    """The library puts a whole traceback into a conversion error; its last lines say what happened."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
