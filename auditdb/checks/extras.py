"""Tensors on disk that a class does not expect and that are no fault: which kind each is; it judges no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from auditdb.checkpoint.headers import n_elements
from auditdb.fold import Folded, fold
from auditdb.records import StoredTensor, Structure

SCALES = "quantisation scales"
MTP = "multi-token prediction (MTP) layers"
BUFFERS = "buffers of the tree, which the class no longer saves"
TIED = "stored copies of tied tensors (copy not compared)"
IGNORED = "left out by the class itself"

_LAYER = re.compile(r"^(.*\blayers\.([0-9]{1,9}))\.")
_MTP_NAME = re.compile(r"(?:^|\.)mtp(?:_\w+)?\.")


class Extra(NamedTuple):
    """Known extras of one kind: how many tensors, numbers (elements as stored) and bytes, and their folded names."""

    kind: str
    n_tensors: int
    numbers: int
    bytes: int
    names: tuple[Folded, ...]


def known_extras(
    tensors: Iterable[StoredTensor], matched: set[str], structure: Structure, raw_config: Mapping[str, Any]
) -> dict[str, list[StoredTensor]]:
    """Kind → tensors, of those among `tensors` (none of which is expected) that are known extras.

    `matched` are the expected names that are stored: only beside its original is a tied tensor a copy.
    """
    candidates = list(tensors)
    buffers = {t.name for t in structure.tensors if t.kind == "buffer"}
    tied = _tied_copies(structure, matched)
    predicts = _mtp_layers(candidates, raw_config)
    kinds: dict[str, list[StoredTensor]] = {}
    for tensor in candidates:
        if tensor.name in buffers:
            kinds.setdefault(BUFFERS, []).append(tensor)
        elif tied.get(tensor.name) == tensor.shape:
            kinds.setdefault(TIED, []).append(tensor)
        elif _MTP_NAME.search(tensor.name) or _layer(tensor.name) in predicts:
            kinds.setdefault(MTP, []).append(tensor)
    return kinds


def as_extra(kind: str, tensors: Sequence[StoredTensor]) -> Extra:
    return Extra(
        kind,
        len(tensors),
        sum(n_elements(t.shape) for t in tensors),
        sum(t.end - t.begin for t in tensors),
        fold(t.name for t in tensors),
    )


def _tied_copies(structure: Structure, matched: set[str]) -> dict[str, tuple[int, ...]]:
    """Names of tied parameters, the first of each included: which of them a class saves is its own choice."""
    groups: dict[str, list[str]] = {}
    shapes = {t.name: t.shape for t in structure.tensors if t.kind == "parameter"}
    for tensor in structure.tensors:
        if tensor.tied_to:
            groups.setdefault(tensor.tied_to, [tensor.tied_to]).append(tensor.name)
    for other, first in structure.aliases:  # one module under two names: its tensors stand under the first only
        for tensor in structure.tensors:
            if tensor.name.startswith(f"{first}."):
                root = tensor.tied_to or tensor.name
                groups.setdefault(root, [root]).append(other + tensor.name.removeprefix(first))
    return {
        name: shapes[first]
        for first, names in groups.items()
        if first in shapes and not matched.isdisjoint(names)
        for name in names
    }


def _mtp_layers(tensors: Iterable[StoredTensor], raw_config: Mapping[str, Any]) -> set[str]:
    """Prefixes like `model.layers.61` that hold a multi-token-prediction layer.

    Either the raw config declares them (`num_nextn_predict_layers`, after `num_hidden_layers` ordinary ones), or the
    layer lies behind the last ordinary one and holds the three tensors that only such a layer has. A layer too many
    without either is a fault: the config is of another checkpoint.
    """
    n_layers, n_mtp = _layer_counts(raw_config)
    parts: dict[str, set[str]] = {}
    for tensor in tensors:
        match = _LAYER.match(tensor.name)
        if match and n_layers is not None and int(match[2]) >= n_layers:
            parts.setdefault(match[1], set()).add(tensor.name[match.end() :].partition(".")[0])
    return {
        prefix
        for prefix, held in parts.items()
        if n_layers is not None
        and (int(prefix.rpartition(".")[2]) < n_layers + n_mtp or {"eh_proj", "enorm", "hnorm"} <= held)
    }


def _layer_counts(raw_config: Mapping[str, Any]) -> tuple[int | None, int]:
    nested = [raw_config.get(key) for key in ("text_config", "llm_config", "language_config")]
    for part in (raw_config, *(part for part in nested if isinstance(part, dict))):
        layers, predicted = part.get("num_hidden_layers"), part.get("num_nextn_predict_layers")
        if type(layers) is int:
            return layers, predicted if type(predicted) is int else 0
    return None, 0


def _layer(name: str) -> str:
    match = _LAYER.match(name)
    return match[1] if match else ""
