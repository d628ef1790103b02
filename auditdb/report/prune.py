"""Pruning candidates from what a FULL run recorded: the experts of the smallest norms. Pure; it prunes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Row = Mapping[str, Any]

HARDLY_SMALLER = 0.95  # of the median: said of such an expert, which is a candidate only because one must be last
COLUMNS = ["moe_group", "expert", "name", "norm", "relative", "chosen", "n_params", "reason"]


@dataclass(frozen=True)
class Pruning:
    """`rows` have COLUMNS. `unranked` are experts that have no finite norm, or whose weights nobody looked at."""

    rows: tuple[dict[str, Any], ...]
    unranked: tuple[str, ...]


def candidates(
    experts: Sequence[Row],
    stats: Iterable[Row],
    routers: Sequence[Row],
    hooks: Sequence[Row],
    *,
    per_group: int,
    limit: int,
) -> Pruning:
    """The `per_group` routed experts of the smallest norm in each group, the smallest relative norm first.

    `norm` is the Frobenius norm over all tensors of an expert, `relative` that over the median of its group: groups
    lie in layers of different scale, so only the second can be compared between them. `chosen` is how often the
    router chose it in the run's one forward pass; None where nobody counted. All from the rows of one run.
    """
    norms = expert_norms(experts, stats)
    chosen = chosen_counts(routers, hooks)
    groups: dict[str, list[Row]] = {}
    unranked = []
    for expert in experts:
        if expert["kind"] != "routed":
            continue
        if norms.get(expert["name"]) is None:
            unranked.append(str(expert["name"]))
        else:
            groups.setdefault(expert["moe_group"], []).append(expert)
    found = []
    for group, members in groups.items():
        middle = median(norms[expert["name"]] or 0.0 for expert in members)
        ranked = sorted(members, key=lambda expert: (norms[expert["name"]], expert["expert"]))
        for place, expert in enumerate(ranked[:per_group], 1):
            norm = norms[expert["name"]] or 0.0
            times = _at(chosen.get(group), expert["expert"])
            relative = norm / middle if middle else None
            found.append(
                {
                    "moe_group": group,
                    "expert": expert["expert"],
                    "name": expert["name"],
                    "norm": norm,
                    "relative": relative,
                    "chosen": times,
                    "n_params": expert["n_params"],
                    "reason": _reason(place, len(members), relative, times),
                }
            )
    found.sort(key=lambda row: math.inf if row["relative"] is None else row["relative"])
    return Pruning(tuple(found[:limit]), tuple(unranked))


def expert_norms(experts: Iterable[Row], stats: Iterable[Row]) -> dict[str, float | None]:
    """Expert → Frobenius norm over its tensors; None as soon as one of them has no finite norm.

    A tensor belongs to the expert module that its name lies under, or, with `expert` ≥ 0, to that slice of the bank.
    """
    names = {expert["name"] for expert in experts}
    squares: dict[str, float | None] = {}
    for stat in stats:
        suffix = f"[{stat['expert']}]" if stat["expert"] >= 0 else ""
        holder = stat["name"].rpartition(".")[0]
        while holder and holder + suffix not in names:
            holder = holder.rpartition(".")[0]
        if not holder:
            continue
        before = squares.get(holder + suffix, 0.0)
        norm = stat["norm"]
        squares[holder + suffix] = None if before is None or norm is None else before + norm * norm
    return {name: None if square is None else math.sqrt(square) for name, square in squares.items()}


def chosen_counts(routers: Iterable[Row], hooks: Iterable[Row]) -> dict[str, list[int]]:
    """Group → how often each of its experts was chosen, for groups of one router whose hook counted."""
    groups = {router["name"]: router["moe_group"] for router in routers}
    counts: dict[str, list[int]] = {}
    several: set[str] = set()
    for hook in hooks:
        group = groups.get(hook["module"])
        if hook["kind"] != "router" or group is None or not hook["detail"].startswith("{"):
            continue
        chosen = json.loads(hook["detail"]).get("chosen")
        if chosen is not None:
            several.update({group} & counts.keys())
            counts[group] = chosen
    return {group: chosen for group, chosen in counts.items() if group not in several}


def _at(counts: list[int] | None, expert: int) -> int | None:
    return counts[expert] if counts is not None and expert < len(counts) else None


def _reason(place: int, of: int, relative: float | None, chosen: int | None) -> str:
    which = "smallest norm" if place == 1 else f"{place}. smallest norm"
    scale = "of a group whose median is 0" if relative is None else f"{relative:.1%} of the group's median"
    text = f"{which} of {of}, {scale}"
    if relative is not None and relative > HARDLY_SMALLER:
        text += f", {'hardly' if relative < 1 else 'not'} smaller than the others"
    if chosen == 0:
        text += "; not chosen in the one forward pass (weak evidence)"
    return text
