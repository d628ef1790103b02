"""Models of the installed transformers on the meta device, and what auditdb reads of them, in the columns of the tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from auditdb.records import Reading, Structure

DATA = Path(__file__).parent.parent / "data"

COLUMNS = (
    "total_params", "moe_groups", "routers", "routed_experts", "experts_per_group", "top_k", "shared_expert_modules",
    "routed_expert_params", "first_group",
)  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def major() -> int:
    import transformers

    return int(transformers.__version__.partition(".")[0])


def in_columns(structure: Structure, reading: Reading) -> dict[str, str]:
    """A reading in the columns of moe_families.csv."""
    routed = [row for row in reading.experts if row.kind == "routed"]
    values = (
        structure.n_params,
        len(reading.groups),
        len(reading.routers),
        len(routed),
        "/".join(map(str, sorted({group.n_experts for group in reading.groups}))),
        "/".join(str(k) for k in sorted({group.top_k for group in reading.groups if group.top_k is not None})),
        sum(row.kind == "shared" for row in reading.experts),
        sum(row.n_params for row in routed),
        reading.groups[0].name if reading.groups else "",
    )
    return dict(zip(COLUMNS, map(str, values), strict=True))


def build_default(
    model_type: str, changes: dict[str, Any] | None = None, class_name: str = ""
) -> tuple[Any, dict[str, Any]] | None:
    """A model from its default config with a few keys changed, and that config as JSON; None if no class builds it.

    Default configs are not real ones: some classes raise on a None, some need a library that is not installed.
    """
    import torch
    import transformers
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from auditdb.inspect.build import quick_allocation
    from auditdb.inspect.choose import AUTO_MAPPINGS

    try:
        config = CONFIG_MAPPING[model_type](**(changes or {}))
    except Exception:
        return None
    classes: list[Any] = [getattr(transformers, class_name)] if class_name else []
    for name in () if class_name else AUTO_MAPPINGS:
        mapping = getattr(modeling_auto, name, {})
        try:
            entry = mapping.get(type(config), ())
        except ValueError:  # the library names a class that it does not have (voxtral_realtime_text)
            continue
        classes += entry if isinstance(entry, tuple) else (entry,)
    for cls in classes:
        try:
            with quick_allocation(), torch.device("meta"):
                model = cls._from_config(config)
        except Exception:
            continue
        return model, json.loads(json.dumps(config.to_dict(), default=str))
    return None


def read(model: Any, raw: dict[str, Any]) -> tuple[Structure, Reading]:
    from auditdb.inspect.declared import read_declared
    from auditdb.inspect.tree import read_tree
    from auditdb.moe import read_moe

    structure = read_tree(model)
    return structure, read_moe(structure, read_declared(model), raw)
