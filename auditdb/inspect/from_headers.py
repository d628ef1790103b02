"""A tree from the dotted names of a checkpoint's tensors: rung `headers`. Knows no class and builds nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from auditdb.errors import TooLarge
from auditdb.inspect.budget import MAX_MODULES
from auditdb.records import Module, StoredTensor, Structure, Tensor

# The headers' spelling of dtypes → torch's. What is not here (F4, F6_E2M3, …) has no torch name and stays as it is.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
}

MAX_NAME = 1_000  # characters; the longest real one has 130
MAX_LEVELS = 100  # of one name; the deepest real one has 15

_PARTS = re.compile(r"([0-9]+)")
_Piece = tuple[int, int, str, str]  # not a number, length, digits; the spelling, so that `02` and `2` have an order


def read_headers_tree(stored: Sequence[StoredTensor]) -> Structure:
    """Each prefix of a dotted name is a module, each tensor a parameter of the module before its last dot.

    Classes are unknown (''), and so are ties and which tensors are buffers: all are counted as parameters, integers
    and packed weights as the numbers that are stored. `own_total` is None: there is no model to ask.

    Raises TooLarge for names that would make more modules than any model has.
    """
    unique = {tensor.name: tensor for tensor in stored}
    names = sorted(unique, key=_natural)
    positions: dict[str, int] = {"": 0}
    for name in names:
        parts = name.split(".")[:-1]
        if len(name) > MAX_NAME or len(parts) > MAX_LEVELS:
            raise TooLarge(
                f"a tensor's name has {len(name):,} characters and {len(parts):,} levels; "
                f"no tree is made of over {MAX_NAME:,} or {MAX_LEVELS}"
            )
        for length in range(1, len(parts) + 1):
            positions.setdefault(".".join(parts[:length]), 0)
        if len(positions) > MAX_MODULES:
            raise TooLarge(f"the tensors' names make over {MAX_MODULES:,} modules; no tree is made of them")
    ordered = sorted(positions, key=_natural)
    positions = {name: position for position, name in enumerate(ordered)}
    counts = [0] * len(ordered)
    tensors = []
    for name in names:
        tensor = unique[name]
        position = positions[name.rpartition(".")[0]]
        numel = prod(tensor.shape)
        counts[position] += numel
        dtype = DTYPES.get(tensor.dtype, tensor.dtype)
        tensors.append(Tensor(position, name, "parameter", tensor.shape, dtype, numel, True, True, ""))
    tensors.sort(key=lambda row: row.module)
    modules = tuple(
        Module(at, name, "", name.rpartition(".")[0], name.count("."), counts[at], counts[at], 0)
        for at, name in enumerate(ordered)
    )
    return Structure(modules, tuple(tensors))


def _natural(name: str) -> tuple[tuple[_Piece, ...], ...]:
    """Sort key by parts, numbers as numbers: `layers.2` before `layers.10`, a module right before what lies under it.

    A number is compared by its length and then as text, since Python refuses to convert thousands of digits.
    """
    return tuple(tuple(map(_piece, filter(None, _PARTS.split(part)))) for part in name.split(".")) if name else ()


def _piece(piece: str) -> _Piece:
    if not (piece.isascii() and piece.isdigit()):
        return 1, 0, piece, piece
    digits = piece.lstrip("0")
    return 0, len(digits), digits, piece
