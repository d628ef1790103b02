"""Identity, totals and integrity of two runs compared: what comes once a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from auditdb.diff_records import Change, Field, Section
from auditdb.store.diff import side_by_side

Row = Mapping[str, Any]

IDENTITY = ("model", "revision", "toolchain", "mode", "model_class", "rung")
TOTALS = (
    "n_modules",
    "n_params",
    "n_trainable",
    "n_buffers",
    "n_active_params",
    "n_active_params_no_embedding",
    "n_groups",
    "n_routers",
    "n_experts",
    "n_shared",
    "n_zero",
    "n_expected",
)
# Where the count stands for "this look did not take it", its absence is no difference.
_OPTIONAL = frozenset({"n_expected"})


def compare_identity(a: Row, b: Row) -> Section:
    """The section `identity`, which never counts: two revisions with the same content are the same."""
    changes = [
        Change("changed", name, name, fields=(Field("value", a[name], b[name]),), counts=False)
        for name in IDENTITY
        if a[name] != b[name]
    ]
    return Section("identity", tuple(changes))


def compare_totals(a: Row, b: Row) -> Section:
    """The section `totals`: only those that differ."""
    changes = []
    for name in TOTALS:
        if a[name] == b[name] or (name in _OPTIONAL and None in (a[name], b[name])):
            continue
        changes.append(Change("changed", name, name, fields=(Field("value", a[name], b[name]),)))
    return Section("totals", tuple(changes))


def compare_integrity(connection: sqlite3.Connection, a: Row, b: Row) -> Section:
    """The section `integrity`. A check counts where one side fails and the other does not, or both fail otherwise.

    PASS against SKIP, or against a check that a look did not make, is shown: the looks differ, not the model.
    """
    changes = []
    for row in side_by_side(connection, "integrity", a=a["run_id"], b=b["run_id"]):
        x, y = row["status_a"], row["status_b"]
        fields = [Field("status", x, y)] if x != y else []
        for name in ("expected", "seen", "reason"):
            left, right = row[f"{name}_a"], row[f"{name}_b"]
            if (left or "") != (right or ""):
                fields.append(Field(name, left, right))
        counts = "FAIL" in (x, y)
        if x is None:
            changes.append(Change("added", None, row["name"], fields=tuple(fields), counts=counts))
        elif y is None:
            changes.append(Change("removed", row["name"], None, fields=tuple(fields), counts=counts))
        else:
            changes.append(Change("changed", row["name"], row["name"], fields=tuple(fields), counts=counts))
    return Section("integrity", tuple(changes))
