"""Which part of its layer each module is: attention, dense MLP, experts, …. It counts nothing."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from auditdb.moe.tree import numeral
from auditdb.records import Reading, Structure

PartKind = Literal[
    "attention", "dense MLP", "experts", "shared experts", "router", "norm", "embedding", "head", "other"
]

KINDS: tuple[PartKind, ...] = (
    "attention", "dense MLP", "experts", "shared experts", "router", "norm", "embedding", "head", "other"
)  # fmt: skip

# Words of names and classes, tried in this order on a module, then on those around it: a norm inside an attention is
# a norm, a projection inside it is attention. Recurrent and state-space mixers (mamba, linear attention by its name
# only) are 'other': they are neither attention nor an MLP.
_BY_WORD: tuple[tuple[PartKind, re.Pattern[str]], ...] = (
    ("norm", re.compile(r"norm(?!ali)|(^|[._])ln(_|\d|$)|(^|_)layer_?norm", re.I)),
    ("other", re.compile(r"rotary|rope|conv|mamba|ssm|activation|dropout|act_fn|pooler", re.I)),
    ("embedding", re.compile(r"embed|^wte$|^wpe$|^shared$", re.I)),
    ("head", re.compile(r"(^|_)lm_head$|^score$|^classifier$|^cls$|^embed_out$|(^|_)head$", re.I)),
    ("attention", re.compile(r"attn|attention|^mixer_attention$", re.I)),
    ("dense MLP", re.compile(r"mlp|feed_?forward|^ffn?$|^ff$|DenseReluDense|^fc\d?$|^(intermediate|output)$", re.I)),
)


class PartOf(NamedTuple):
    """One module: its part, and the layer it lies in.

    `stack` names the list of layers (`model.layers`, `model.visual.blocks`), '' outside of any; `layer` is then None.
    """

    position: int
    kind: PartKind
    stack: str
    layer: int | None


def classify(structure: Structure, reading: Reading) -> tuple[PartOf, ...]:
    """The part of every module, in the structure's order. Marks go before names: a router called `gate` is a router."""
    shared = {row.name for row in reading.experts if row.kind == "shared"}
    marks = {mark.position: mark for mark in reading.marks}
    inside: dict[str, PartKind] = {}  # what the modules below are, unless their own name says otherwise
    places: dict[str, tuple[str, int | None]] = {}
    found: list[PartOf] = []
    for module in sorted(structure.modules, key=lambda module: module.depth if module.name else -1):
        word = module.name.rpartition(".")[2]
        around = inside.get(module.parent) if module.name else None
        mark = marks.get(module.position)
        if mark is not None and (mark.is_router or mark.is_expert):
            kind: PartKind = "router" if mark.is_router else ("shared experts" if module.name in shared else "experts")
            inside[module.name] = kind
        elif mark is not None:
            # Below a router or an expert, whatever its name; a gate of shared experts has neither around it.
            kind = around if around in ("router", "experts", "shared experts") else "shared experts"
            inside[module.name] = kind
        else:
            own = _by_name(word, module.class_name)
            if around in ("attention", "dense MLP", "embedding", "head") and own != "norm":
                own = around  # `attention.output`, and GPT-2's linear layers, whose class is `Conv1D`
            kind = own or around or "other"
            inside[module.name] = kind if kind != "norm" else (around or "norm")
        stack, layer = places.get(module.parent, ("", None)) if module.name else ("", None)
        if layer is None and (number := numeral(word)) is not None:
            stack, layer = module.parent, number
            inside[module.name] = "other"
        places[module.name] = (stack, layer)
        found.append(PartOf(module.position, kind, stack, layer))
    return tuple(sorted(found))


def _by_name(word: str, class_name: str) -> PartKind | None:
    """By the last component of the name first; the class only where the name says nothing (`layer.0`, `mixer`)."""
    for text in (word, class_name):
        if not text:
            continue
        for kind, pattern in _BY_WORD:
            if pattern.search(text):
                return kind
    return None
