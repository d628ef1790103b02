"""Which tensors a model's class, with this toolchain, would write to disk; builds nothing and reads no checkpoint."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch

from auditdb.errors import BuildError
from auditdb.inspect.build import quick_allocation
from auditdb.records import ExpectedTensor


def expected_tensors(model: torch.nn.Module) -> tuple[ExpectedTensor, ...]:
    """Names and shapes that `model.save_pretrained()` would write, for a model on any device, meta included.

    transformers 5 keeps some parameters in another layout than on disk (fused experts); its own
    `core_model_loading.revert_weight_conversion` turns them back. transformers 4 writes its state dict.
    This is *one* legal layout: older names and fused layouts may load as well.

    Raises BuildError where the library's reverse conversion fails.
    """
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    for name in getattr(model, "_keys_to_ignore_on_save", None) or ():
        state.pop(name, None)
    for name in tied_away(model, state):
        del state[name]
    with quick_allocation():
        on_disk = _revert(model, state)
        return tuple(ExpectedTensor(name, tuple(tensor.shape)) for name, tensor in on_disk.items())


def tied_away(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> set[str]:
    """Names that `save_pretrained` leaves out because another name holds the same tensor.

    The rule is the library's (`remove_tied_weights_from_state_dict`): of each group of names of one tensor, those that
    match a `_tied_weights_keys` pattern go, but never all of them. It can't be called on meta, where every tensor
    has the address 0, so identity is taken from the parameter objects. What is shared without such a pattern
    makes `save_pretrained` raise; here the first name stays.
    """
    names_of: defaultdict[int, list[str]] = defaultdict(list)
    for name, tensor in _objects(model):
        if name in state:
            names_of[id(tensor)].append(name)
    patterns = [re.compile(pattern) for pattern in _tied_patterns(model)]
    away: set[str] = set()
    for names in names_of.values():
        if len(names) < 2:
            continue
        declared = [name for name in sorted(names) if any(p.search(name) for p in patterns)][: len(names) - 1]
        kept = [name for name in names if name not in declared]
        away.update(declared, kept[1:])
    return away


def _objects(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _tied_patterns(model: torch.nn.Module) -> list[str]:
    """`_tied_weights_keys` of every submodule, prefixed with its name: a list in transformers 4, a dict's keys in 5."""
    patterns = []
    for name, module in model.named_modules():
        for attribute in ("_tied_weights_keys", "_dynamic_tied_weights_keys"):
            patterns += [f"{name}.{key}" if name else key for key in getattr(module, attribute, None) or ()]
    return patterns


def _revert(model: Any, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # transformers 4: what is in the state dict is what is written
        return state
    try:
        reverted: dict[str, Any] = revert_weight_conversion(model, state)
    except Exception as error:  # any of the library's conversion operations may raise anything
        raise BuildError(
            f"transformers can't say which tensors {type(model).__name__} writes to disk "
            f"({type(error).__name__}: {error})."
        ) from error
    return reverted
