"""Stored copies of tied tensors, compared number by number with each other; it loads no model and reads no pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from auditdb.records import Checkpoint, StoredTensor, Structure

if TYPE_CHECKING:
    import torch

# Numbers that are compared together.
CHUNK = 2**22


class TiedCopy(NamedTuple):
    """Two tensors on disk that one parameter of the tree stands for. The loader takes one of them, and says nothing.

    `name` and `other` are the names on disk; `n_different` counts numbers that differ (all, if the shapes do), and
    `largest` is the largest difference, NaN where one side is NaN and the other is not.
    """

    name: str
    other: str
    n_different: int
    largest: float


def tied_copies(structure: Structure, checkpoint: Checkpoint | None, folder: Path, model: Any) -> tuple[TiedCopy, ...]:
    """Compare what is stored more than once for one tied parameter, in the order of the tree.

    `model` is the loaded one: transformers 5 renames while it loads, and its own renaming says which name on disk
    becomes which. Copies of different dtypes are compared in the narrower one.
    """
    groups = _tied_names(structure)
    if checkpoint is None or not checkpoint.tensors or not groups:
        return ()
    wanted = {name for names in groups for name in names}
    becomes = _model_names(model, [t.name for t in checkpoint.tensors])
    stored: dict[str, StoredTensor] = {}
    for tensor in checkpoint.tensors:
        if becomes[tensor.name] in wanted:
            stored.setdefault(becomes[tensor.name], tensor)
    found = []
    for names in groups:
        present = [stored[name] for name in names if name in stored]
        found += [_compare(folder, present[0], other) for other in present[1:]]
    return tuple(found)


def _tied_names(structure: Structure) -> list[list[str]]:
    """The names of each parameter that has several: tied ones, and those of modules that are reachable twice."""
    groups: dict[str, list[str]] = {}
    aliases: dict[str, list[str]] = {}
    for other, first in structure.aliases:
        aliases.setdefault(first, []).append(other)
    for tensor in structure.tensors:
        if tensor.kind != "parameter":
            continue
        module, _, key = tensor.name.rpartition(".")
        names = groups.setdefault(tensor.tied_to or tensor.name, [])
        names.append(tensor.name)
        names += [f"{other}.{key}" for other in aliases.get(module, ())]
    return [names for names in groups.values() if len(names) > 1]


def _model_names(model: Any, stored: Sequence[str]) -> Mapping[str, str]:
    """Name on disk → name in the model. transformers 4 renames nothing but the base model's prefix."""
    prefix = getattr(model, "base_model_prefix", "")
    state = set(dict(model.named_parameters(remove_duplicate=False)))
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
    except ImportError:
        return {name: _with_prefix(name, prefix, state) for name in stored}
    steps = get_model_conversion_mapping(model)
    renamings = [step for step in steps if isinstance(step, WeightRenaming)]
    converters = [step for step in steps if isinstance(step, WeightConverter)]
    keys = dict.fromkeys(state)
    renamed = {name: rename_source_key(name, renamings, converters, prefix, keys)[0] for name in stored}
    # As the loader does it: a name that needed no renaming, and lost by one, is kept.
    return {name: name if new not in state and name in state else new for name, new in renamed.items()}


def _with_prefix(name: str, prefix: str, state: set[str]) -> str:
    if name in state or not prefix:
        return name
    for other in (f"{prefix}.{name}", name.removeprefix(f"{prefix}.")):
        if other in state:
            return other
    return name


def _compare(folder: Path, one: StoredTensor, other: StoredTensor) -> TiedCopy:
    import torch
    from safetensors import safe_open

    if one.shape != other.shape:
        size = 1
        for length in other.shape:
            size *= length
        return TiedCopy(other.name, one.name, size, float("nan"))
    n_different, largest = 0, 0.0
    with safe_open(folder / one.file, "pt") as first, safe_open(folder / other.file, "pt") as second:
        a, b = first.get_slice(one.name), second.get_slice(other.name)
        width = 1
        for length in one.shape[1:]:
            width *= length
        step = max(1, CHUNK // max(1, width))
        for start in range(0, one.shape[0] if one.shape else 0, step):
            left, right = _alike(a[start : start + step], b[start : start + step])
            different = (left != right) & ~(torch.isnan(left) & torch.isnan(right))
            count = int(different.sum())
            if count:
                n_different += count
                gap = float((left.double() - right.double())[different].abs().max())
                largest = gap if gap != gap or gap > largest else largest
    return TiedCopy(other.name, one.name, n_different, largest)


def _alike(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in the narrower of their dtypes: a float32 copy of a bfloat16 tensor is the same tensor."""
    narrow = min(left.dtype, right.dtype, key=lambda dtype: dtype.itemsize)
    return left.to(narrow), right.to(narrow)
