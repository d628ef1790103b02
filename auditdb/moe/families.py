"""The second source: spellings of families that shapes alone do not explain. One row a family, no code of its own.

Each row has a fixture in tests/data/moe/families/. What a row says of shapes is checked against the tree all the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from auditdb.moe.claims import Bank, Claims
from auditdb.moe.config import ZERO_KEYS, Numbers
from auditdb.moe.shapes import logit_rows
from auditdb.moe.tree import Tree


class Spelling(NamedTuple):
    """A bank that is no stack of matrices.

    `modules`: names of the modules that hold the experts, below the module that `beside` steps up hold the router.
    `tensors`: what each holds itself, all 2-D. `flat`: expert e is the e-th run of rows; else it is row e.
    """

    family: str
    modules: tuple[str, ...]
    tensors: tuple[str, ...]
    router: str
    flat: bool
    product_keys: bool = False


SPELLINGS = (
    # One matrix [E·I, H] for all experts of a block (transformers 4 and 5, and the original code).
    Spelling("dbrx", ("experts.mlp",), ("w1", "v1", "w2"), "router", flat=True),
    # Experts are rows of two embeddings [E, H]; the router scores ⌊√E⌋ keys twice, and a pair of keys is an expert.
    Spelling("doge", ("down_embed", "up_embed"), ("weight",), "router_gate", flat=False, product_keys=True),
)

# top-k that is in a class's code and in no config: Top1Router, Top2Router.
FIXED_TOP_K = {"switch_transformers": 1, "nllb-moe": 2, "gptsan-japanese": 1}

# Rows of the router beyond the routed experts that send a token past all of them: `skip_expert` of zaya.
SKIP_EXPERTS = {"zaya": 1}

# `num_experts` without routing: vitpose's experts are chosen by the number of the data set that an image is from.
UNROUTED = frozenset({"vitpose", "vitpose_backbone"})


def families(tree: Tree, numbers: Numbers) -> Claims:
    """Banks and routers by the table's spellings, where the shapes agree with them."""
    banks: list[Bank] = []
    pairs: dict[int, int] = {}
    for spelling in SPELLINGS:
        first = spelling.modules[0]
        for name in [name for name in tree.place if name == first or name.endswith("." + first)]:
            block = name[: -len(first)].rstrip(".")
            found = _at(tree, numbers, spelling, block)
            if found is not None:
                banks.append(found[0])
                pairs[found[0].holder] = found[1]
    return Claims(tuple(banks), dict.fromkeys(pairs.values(), "family"), pairs)


def _at(tree: Tree, numbers: Numbers, spelling: Spelling, block: str) -> tuple[Bank, int] | None:
    prefix = block + "." if block else ""
    router = tree.place.get(prefix + spelling.router)
    places = [tree.place.get(prefix + module) for module in spelling.modules]
    if router is None or block not in tree.place:
        return None
    lengths: set[int] = set()
    kept: list[int] = []
    for place in places:
        if place is None:
            return None
        own = {tensor.name.rpartition(".")[2]: tensor.shape for tensor in tree.own(place)}
        if set(own) != set(spelling.tensors) or any(len(shape) != 2 for shape in own.values()):
            return None
        kept.append(place)
        lengths.update(shape[0] for shape in own.values())
    rows = logit_rows(tree, router, ())
    if len(lengths) != 1 or rows is None:
        return None
    length = lengths.pop()
    count = rows if spelling.flat else length
    if length % count or (spelling.product_keys and rows != product_key_rows(count)):
        return None
    at = tree.place[block]
    holder = kept[0] if len(kept) == 1 else at
    return Bank(holder, tuple(kept), at, True, count, "family", spelling.flat), router


def zero_experts(numbers: Numbers, module: str) -> int:
    """Experts that compute nothing and have rows in the logits: the config's number, else the class's own."""
    skipped = (SKIP_EXPERTS[model_type] for model_type in sorted(numbers.model_types & SKIP_EXPERTS.keys()))
    return numbers.number(module, ZERO_KEYS) or next(skipped, 0)


def product_key_rows(count: int) -> int:
    """Rows of the logits of a product-key router: two scores for each of ⌊√E⌋ keys."""
    return 2 * int(count**0.5)


def is_product_key_router(name: str) -> bool:
    """Whether a router is spelled like one whose logits are keys, not experts."""
    return any(row.product_keys and re.search(rf"(^|\.){row.router}$", name) for row in SPELLINGS)
