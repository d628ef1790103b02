"""What a source says it found, before anyone pairs it up: banks of experts and routers. Records only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from auditdb.records import Source_


class Bank(NamedTuple):
    """Experts that one router chooses from.

    Fused: `places` are the modules whose tensors hold one slice an expert, `holder` names the slices (`holder[3]`).
    Else `places` are the expert modules themselves and `holder` is their container.
    `n_experts` is the (smaller) leading dimension, or how many modules there are. `start`: the lowest module that can
    also hold the router.
    """

    holder: int
    places: tuple[int, ...]
    start: int
    fused: bool
    n_experts: int
    source: Source_
    flat: bool = False  # 2-D tensors, in which an expert is a run of rows


@dataclass(frozen=True)
class Claims:
    """Places of banks and routers that one source stands for; `pairs` where it also knows which belong together."""

    banks: tuple[Bank, ...] = ()
    routers: dict[int, Source_] = field(default_factory=dict)
    pairs: dict[int, int] = field(default_factory=dict)  # holder of a bank → router


def merge(sources: list[Claims]) -> Claims:
    """Strongest source first: a bank or router keeps the source that named it first."""
    banks: dict[int, Bank] = {}
    taken: set[int] = set()
    routers: dict[int, Source_] = {}
    pairs: dict[int, int] = {}
    for claims in sources:
        for bank in claims.banks:
            if bank.holder not in banks and taken.isdisjoint(bank.places):
                banks[bank.holder] = bank
                taken.update(bank.places)
        for router, source in claims.routers.items():
            routers.setdefault(router, source)
        for holder, router in claims.pairs.items():
            pairs.setdefault(holder, router)
    return Claims(tuple(banks.values()), routers, pairs)
