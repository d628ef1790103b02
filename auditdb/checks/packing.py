"""Quantised tensors and the weights that they pack, from names, shapes and the raw `quantization_config`; no values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from auditdb.checkpoint.headers import n_elements
from auditdb.fold import template
from auditdb.records import StoredTensor

Shape = tuple[int, ...]

# What stands beside a quantised weight `X.weight` (or a fused `X`): scales, zero points, their shapes and tables.
# Sources: transformers' integrations (finegrained_fp8, fbgemm_fp8, mxfp4, bitsandbytes), AutoGPTQ, AutoAWQ,
# compressed-tensors 0.12's quantization/lifecycle, NVIDIA modelopt's hf export.
_COMPANION = re.compile(
    r"(?:\.weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w+)"
    r"|\.(?:SCB|weight_format)"
    r"|\.(?:qzeros|scales|g_idx)"
    r"|[._](?:weight_)?scale(?:_inv|_2|_ub)?"
    r"|\.(?:weight|input|output|[qkv])_(?:scale|zero_point|global_scale|g_idx|shape)"
    r"|\.activation_scale(?:_ub)?"
    r"|_scales)$"
)
_FP8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
_NEEDED = {".qweight": (".qzeros", ".scales"), ".weight_packed": (".weight_scale",), "_blocks": ("_scales",)}


class Unpacked(NamedTuple):
    """`tensors` are the logical weights, under the names that an unquantised checkpoint would use.

    `companions` are the tensors that only serve to unpack them; `n_packed` counts logical weights that are stored in
    another shape; `problems` are sentences: a weight without its scales, scales of a wrong shape.
    """

    tensors: tuple[StoredTensor, ...]
    companions: tuple[StoredTensor, ...]
    n_packed: int
    problems: tuple[str, ...]


def quantization_of(raw_config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The raw `quantization_config` (once `compression_config` in compressed-tensors), also of a text model inside."""
    parts = [raw_config, *(part for part in raw_config.values() if isinstance(part, dict))]
    for part in parts:
        for key in ("quantization_config", "compression_config"):
            found = part.get(key)
            if isinstance(found, dict) and found:
                return found
    return None


def unpack(
    tensors: Sequence[StoredTensor], expected: Mapping[str, Shape], quantization: Mapping[str, Any] | None
) -> Unpacked:
    """Judge packed tensors by what they pack. Without a `quantization_config` nothing counts as packed.

    A packed shape is turned into the weight's own; what then differs from `expected` is for the caller to see.
    A companion without its weight stays among the tensors, where it is a stray.
    """
    if quantization is None:
        return Unpacked(tuple(tensors), (), 0, ())
    names = {t.name for t in tensors}
    logical: list[StoredTensor] = []
    companions: list[StoredTensor] = []
    problems: list[str] = []
    n_packed = 0
    for tensor in tensors:
        base = _packs(tensor, names)
        if base is not None:
            weight, shape = base, _shape(tensor, base, expected.get(base), quantization)
            logical.append(tensor._replace(name=weight, shape=shape))
            n_packed += 1
            problems += _lacking(tensor.name, names)
        elif tensor.name not in expected and _has_weight(tensor.name, names):
            companions.append(tensor)
        else:
            logical.append(tensor)
    problems += _fp8_problems(tensors, names, quantization)
    return Unpacked(tuple(logical), tuple(companions), n_packed, tuple(problems))


def _packs(tensor: StoredTensor, names: set[str]) -> str | None:
    """The weight that a tensor packs in another shape; None if it is stored as it is."""
    name = tensor.name
    if name.endswith(".qweight"):
        return f"{name.removesuffix('.qweight')}.weight"
    if name.endswith(".weight_packed"):
        return f"{name.removesuffix('.weight_packed')}.weight"
    if name.endswith("_blocks") and tensor.dtype == "U8" and len(tensor.shape) == 4:
        return name.removesuffix("_blocks")
    if name.endswith(".weight") and tensor.dtype == "U8" and {f"{name}.absmax", f"{name}_scale"} & names:
        return name  # bitsandbytes in 4 bit; modelopt's nvfp4
    return None


def _shape(tensor: StoredTensor, base: str, wanted: Shape | None, quantization: Mapping[str, Any]) -> Shape:
    """The logical shape; where rounding or a transposition leaves a choice, the expected one if numbers allow it."""
    shape, bits = tensor.shape, bits_of(quantization)
    ways: dict[str, Callable[[], Shape]] = {
        ".qweight": lambda: _qweight(shape, bits, str(quantization.get("quant_method", "")).lower() == "awq"),
        ".weight_packed": lambda: (*shape[:-1], shape[-1] * (2 if tensor.dtype == "U8" else 32 // bits)),
        "_blocks": lambda: (shape[0], shape[1], shape[2] * shape[3] * 2),
    }
    for suffix, way in ways.items():
        if tensor.name.endswith(suffix) and len(shape) >= 2:
            made = way()
            if wanted is not None and suffix == "_blocks" and wanted == (made[0], made[2], made[1]):
                return wanted  # gpt-oss keeps [E, in, out] in the tree and packs [E, out, in]
            if wanted is not None and suffix == ".weight_packed" and _rounded(wanted, shape, bits):
                return wanted
            return made
    count = n_elements(shape) * 2
    if wanted is not None and n_elements(wanted) in (count, count - 1):
        return wanted  # bitsandbytes packs a flat list of nibbles
    return (*shape[:-1], shape[-1] * 2) if f"{base}" == tensor.name and shape and shape[-1] != 1 else (count,)


def _qweight(shape: Shape, bits: int, awq: bool) -> Shape:
    """GPTQ packs along the input, AWQ along the output; both store [in, out]."""
    return (shape[1] * 32 // bits, shape[0]) if awq else (shape[1], shape[0] * 32 // bits)


def _rounded(wanted: Shape, packed: Shape, bits: int) -> bool:
    return len(wanted) == len(packed) and wanted[:-1] == packed[:-1] and -(-wanted[-1] * bits // 32) == packed[-1]


def bits_of(quantization: Mapping[str, Any]) -> int:
    """Bits per packed weight as the config says; 4 where it does not, which is what formats without the key use."""
    for key in ("bits", "w_bit"):
        if type(quantization.get(key)) is int and 1 <= quantization[key] <= 32:
            return int(quantization[key])
    groups = quantization.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        bits = weights.get("num_bits") if isinstance(weights, dict) else None
        if type(bits) is int and 1 <= bits <= 32:
            return bits
    return 4


def _has_weight(name: str, names: set[str]) -> bool:
    """Whether a companion's weight is there, in any of the spellings in which it may be stored."""
    match = _COMPANION.search(name)
    if match is None:
        return False
    base = name[: match.start()]
    if re.search(r"\.[qkv]_scale$|\.output_scale$", name):  # of the KV cache: they belong to an attention, to no weight
        return any(other.startswith(f"{base}.") and other != name for other in names)
    stored = (".weight", ".qweight", ".weight_packed", "", "_blocks")
    return any(f"{base}{suffix}" in names for suffix in stored)


def _lacking(name: str, names: set[str]) -> list[str]:
    for suffix, needed in _NEEDED.items():
        if name.endswith(suffix):
            base = name.removesuffix(suffix)
            return [f"{name} has no {base}{other}" for other in needed if f"{base}{other}" not in names]
    return []


def _fp8_problems(tensors: Sequence[StoredTensor], names: set[str], quantization: Mapping[str, Any]) -> list[str]:
    """A float8 weight whose scale is gone while its like have one; a block scale of another shape than its weight's."""
    block = quantization.get("weight_block_size")
    by_name = {t.name: t for t in tensors}
    weights = [t for t in tensors if t.dtype in _FP8 and not _COMPANION.search(t.name)]
    scale_of = {t.name: next((s for s in _scales(t.name) if s in names), None) for t in weights}
    # Which kinds have scales is asked only once one lacks it: folding 90,000 names takes half a second.
    bare = any(scale is None for scale in scale_of.values())
    scaled = {template(name) for name, scale in scale_of.items() if scale} if bare else set()
    problems = []
    for weight in weights:
        scale = scale_of[weight.name]
        if scale is None:
            if template(weight.name) in scaled:
                problems.append(f"{weight.name} has no scale")
        elif scale.endswith("_scale_inv") and _is_block(block) and len(weight.shape) >= 2:
            assert block is not None
            rows, columns = weight.shape[-2:]
            wanted = (*weight.shape[:-2], -(-rows // block[0]), -(-columns // block[1]))
            if by_name[scale].shape != wanted:
                problems.append(f"{scale} is {list(by_name[scale].shape)}, its weight needs {list(wanted)}")
    return problems


def _scales(name: str) -> tuple[str, ...]:
    stem = name.removesuffix(".weight")
    return (f"{name}_scale_inv", f"{name}_scale", f"{stem}.scale", f"{stem}.scales")


def _is_block(block: Any) -> bool:
    return isinstance(block, list) and len(block) == 2 and all(type(size) is int and size > 0 for size in block)
