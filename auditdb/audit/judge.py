"""The checks in the order in which a reader wants them; which of them need a model is known here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from auditdb.checks.checkpoint import checkpoint_fit
from auditdb.checks.dtypes import check_dtypes
from auditdb.checks.files import check_headers, check_index
from auditdb.checks.moe import check_moe_config, check_moe_groups
from auditdb.checks.tree import check_tied, check_tree_total
from auditdb.records import Check, Checkpoint, ExpectedTensor, LoaderVerdict, Reading, StoredTensor, Structure

Load = Callable[[Sequence[StoredTensor]], LoaderVerdict]

# Checks that a reused structure takes over from the run that had a model.
TREE_CHECKS = ("tree_total", "tied", "moe_groups", "moe_config")


def tree_checks(raw: Mapping[str, Any], structure: Structure, reading: Reading) -> tuple[Check, ...]:
    """What the raw config and the tree say of each other."""
    return (
        check_tree_total(structure),
        check_tied(raw, structure),
        check_moe_groups(structure, reading),
        check_moe_config(raw, structure, reading),
    )


def taken_over(checks: Sequence[Check], run: int) -> tuple[Check, ...]:
    """The tree checks of an earlier run, each saying so."""
    kept = {check.name: check for check in checks}
    return tuple(
        replace(kept[name], reason="; ".join(filter(None, (kept[name].reason, f"as in run {run}, not rebuilt"))))
        for name in TREE_CHECKS
        if name in kept
    )


def checkpoint_checks(
    raw: Mapping[str, Any],
    structure: Structure,
    checkpoint: Checkpoint | None,
    expected: Sequence[ExpectedTensor],
    load: Load,
    *,
    no_class: str = "",
) -> tuple[Check, ...]:
    """What index, headers, class and config say of each other. `load` is asked only where names or shapes differ."""
    return (
        check_index(checkpoint),
        check_headers(checkpoint),
        checkpoint_fit(checkpoint, expected, structure, raw, load, no_class=no_class).check,
        check_dtypes(checkpoint, raw),
    )
