"""A model, built on meta or loaded, turned into plain rows: the only place that walks `nn.Module`s for the tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditdb.errors import TooLarge
from auditdb.records import Module, Structure, Tensor, TensorKind

if TYPE_CHECKING:
    import torch
    from torch import nn

# Modules of these packages change only with a version that the toolchain records.
KNOWN_PACKAGES = frozenset({"torch", "transformers"})

_MOST = 2**63  # each tensor stays under it by torch's own rule, their sum need not


def walk(model: nn.Module) -> Iterator[tuple[str, str, nn.Module, str]]:
    """Yield (name, parent, module, first name) in the order of `named_modules()`.

    A module that is reachable twice is yielded again with the other name and its first name, and not entered again:
    `named_modules(remove_duplicate=False)` would walk a shared subtree as often as it is shared.
    """
    first_names: dict[int, str] = {}
    stack: list[tuple[str, str, nn.Module]] = [("", "", model)]
    while stack:
        name, parent, module = stack.pop()
        first = first_names.setdefault(id(module), name)
        yield name, parent, module, first
        if first == name:
            children = [(child, sub) for child, sub in module._modules.items() if sub is not None]
            prefix = name + "." if name else ""
            stack.extend((prefix + child, name, sub) for child, sub in reversed(children))


def read_tree(model: nn.Module) -> Structure:
    """List every module, parameter and buffer of a model.

    A parameter object counts at the first module that holds it; later holders get a row with `tied_to` and no count.
    Raises TooLarge where the sum is no number that a store can hold.
    """
    modules: list[Module] = []
    tensors: list[Tensor] = []
    aliases: list[tuple[str, str]] = []
    first_holder: dict[int, str] = {}
    last_holder: dict[int, str] = {}  # a tied head comes after what it is tied to
    packages: set[str] = set()
    for name, parent, module, first in walk(model):
        if first != name:
            aliases.append((name, first))
            continue
        position = len(modules)
        packages.add(type(module).__module__.partition(".")[0])
        n_params = n_trainable = n_buffers = 0
        prefix = name + "." if name else ""
        for key, parameter in module._parameters.items():
            if parameter is None:
                continue
            row = _row(position, prefix + key, "parameter", parameter, True, first_holder)
            tensors.append(row)
            last_holder[id(parameter)] = row.name
            if not row.tied_to:
                n_params += row.numel
                n_trainable += row.numel if row.trainable else 0
        for key, buffer in module._buffers.items():
            if buffer is None:
                continue
            kept = key not in module._non_persistent_buffers_set
            row = _row(position, prefix + key, "buffer", buffer, kept, first_holder)
            tensors.append(row)
            n_buffers += 0 if row.tied_to else row.numel
        depth = name.count(".")
        modules.append(Module(position, name, type(module).__name__, parent, depth, n_params, n_trainable, n_buffers))
    if sum(row.n_params + row.n_buffers for row in modules) >= _MOST:
        raise TooLarge("the tree adds up to more than 2^63 numbers: a size in config.json is absurd")
    embedding = _embedding_parameter(model, "get_input_embeddings")
    head = _embedding_parameter(model, "get_output_embeddings")
    return Structure(
        modules=tuple(modules),
        tensors=tuple(tensors),
        own_total=sum(parameter.numel() for parameter in model.parameters()),
        input_embedding="" if embedding is None else first_holder.get(id(embedding), ""),
        output_embedding="" if head is None else last_holder.get(id(head), ""),
        aliases=tuple(aliases),
        foreign=tuple(sorted(packages - KNOWN_PACKAGES)),
    )


def _row(
    position: int, name: str, kind: TensorKind, tensor: torch.Tensor, persistent: bool, first_holder: dict[int, str]
) -> Tensor:
    first = first_holder.setdefault(id(tensor), name)
    return Tensor(
        module=position,
        name=name,
        kind=kind,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        numel=tensor.numel(),
        trainable=tensor.requires_grad,
        persistent=persistent,
        tied_to="" if first == name else first,
    )


def _embedding_parameter(model: nn.Module, getter: str) -> torch.Tensor | None:
    """The weight of the input or output embedding. None where the class has none or says so by raising.

    Classes without that embedding raise NotImplementedError; composite ones pass the question on to a part that may
    lack the attribute (AttributeError).
    """
    try:
        module = getattr(model, getter)()
    except (NotImplementedError, AttributeError):
        return None
    weight = getattr(module, "weight", None)
    return weight if hasattr(weight, "numel") else None
