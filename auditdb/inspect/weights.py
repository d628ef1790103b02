"""What the loaded numbers look like: a norm and counts per tensor and per expert's slice; loads and judges nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from auditdb.records import Reading, WeightStat

if TYPE_CHECKING:
    import torch
    from torch import nn

# Elements that are looked at together: 32 MiB as float64, whatever the tensor's size.
CHUNK = 2**22


def weight_stats(model: nn.Module, reading: Reading, *, made_up: Collection[str] = ()) -> tuple[WeightStat, ...]:
    """A row for each floating-point parameter and persistent buffer, in the model's order; tied tensors once.

    A fused bank has a row per slice along its first dimension (`expert` ≥ 0) and none for the whole. Left out are
    `made_up` tensors (missing on disk, so their numbers are nobody's), those on the meta device, and packed integers.
    `norm` is the Frobenius norm, added up in float64: NaN or infinite where the tensor holds such numbers.
    """
    rows: list[WeightStat] = []
    counts = bank_sizes(reading)
    for name, tensor in _tensors(model):
        if name in made_up or tensor.device.type == "meta" or not tensor.is_floating_point() or _packed(tensor):
            continue
        parts = slices(name, tensor, counts, model)
        if parts is None:
            rows.append(_stat(name, None, tensor))
        else:
            rows += [_stat(name, expert, part) for expert, part in enumerate(parts)]
    return tuple(rows)


def bank_sizes(reading: Reading) -> dict[str, int]:
    """Name of each fused bank (`model.layers.0.mlp.experts`) → how many routed experts it holds."""
    counts: dict[str, int] = {}
    for expert in reading.experts:
        holder, bracket, _ = expert.name.rpartition("[")
        if bracket and expert.kind == "routed":
            counts[holder] = counts.get(holder, 0) + 1
    return counts


def slices(name: str, tensor: torch.Tensor, counts: Mapping[str, int], model: nn.Module) -> list[torch.Tensor] | None:
    """The experts' parts of a bank's tensor, along its first dimension; None for a tensor that is cut no further.

    A bank holds matrices `[E, …, …]` and, in the same module, biases `[E, X]`; a flat bank (DBRX) is one matrix
    `[E · I, H]`. A router that stands within the holder has a matrix `[E, H]` and no stack beside it: never cut.
    """
    module_name = name.rpartition(".")[0]
    holder = _holder(module_name, counts)
    if holder is None or tensor.dim() < 2:
        return None
    count, rows = counts[holder], tensor.shape[0]
    beside = list(model.get_submodule(module_name).parameters(recurse=False))
    if any(other.dim() >= 3 and other.shape[0] >= count for other in beside):
        return list(tensor) if rows >= count else None
    stacked = any(other.dim() >= 3 for other in model.get_submodule(holder).parameters())
    if not stacked and rows > count and rows % count == 0:
        return list(tensor.split(rows // count))
    return None


def _holder(module_name: str, counts: Mapping[str, int]) -> str | None:
    while module_name:
        if module_name in counts:
            return module_name
        module_name = module_name.rpartition(".")[0]
    return None


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in model.named_parameters():
        yield name, parameter.detach()
    for prefix, module in model.named_modules():
        for key, buffer in module._buffers.items():
            if buffer is not None and key not in module._non_persistent_buffers_set:
                yield f"{prefix}.{key}" if prefix else key, buffer.detach()


def _packed(tensor: torch.Tensor) -> bool:
    """Two numbers in a byte: torch has the dtype (`float4_e2m1fn_x2`) and no arithmetic for it."""
    return "float4" in str(tensor.dtype)


def _stat(name: str, expert: int | None, tensor: torch.Tensor) -> WeightStat:
    import torch

    squares, n_zero, n_nan, n_inf = 0.0, 0, 0, 0
    for chunk in _chunks(tensor):
        if chunk.element_size() == 1:  # float8 has few operations of its own
            chunk = chunk.float()
        n_zero += chunk.numel() - int(torch.count_nonzero(chunk))
        wide = chunk.double()
        square = float(torch.dot(wide, wide))
        if not math.isfinite(square):
            n_nan += int(torch.isnan(chunk).sum())
            n_inf += int(torch.isinf(chunk).sum())
        squares += square
    return WeightStat(name, expert, math.sqrt(squares), n_zero, n_nan, n_inf, tensor.numel())


def _chunks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor as vectors of at most CHUNK elements; only one that is not contiguous is copied, row by row."""
    if tensor.is_contiguous():
        yield from tensor.view(-1).split(CHUNK)
    elif tensor.numel() <= CHUNK:
        yield tensor.reshape(-1)
    else:
        for row in tensor:
            yield from _chunks(row)
