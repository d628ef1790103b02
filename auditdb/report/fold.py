"""Rows of repeated layers folded into one: `model.layers.{3-60}.mlp`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.fold import fold, template

Row = Mapping[str, Any]


def fold_groups(groups: Sequence[Row]) -> list[dict[str, Any]]:
    """MoE groups that are alike in all but their layer as one row; `groups` says how many it stands for.

    Numbers are those of one group, so that a row reads the same folded or not.
    """
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for group in groups:
        key = (template(group["name"]), *(value for column, value in group.items() if column != "name"))
        alike.setdefault(key, []).append(group)
    rows = []
    for members in alike.values():
        by_name = {member["name"]: member for member in members}
        for folded in fold(by_name):
            rows.append({**members[0], "name": folded.pattern, "groups": folded.n})
    return rows
