"""Which tables hang on which: what merging, forgetting and collecting need to know. Plain names, no SQLAlchemy."""

from __future__ import annotations

# Content-addressed table → (the column by which others refer to it, the tables whose rows are its content).
CONTENT: dict[str, tuple[str, tuple[str, ...]]] = {
    "configs": ("config_id", ()),
    "structures": ("structure_id", ("modules", "parameters")),
    "readings": ("reading_id", ("moe_groups", "routers", "experts", "module_marks")),
    "dtype_maps": ("dtype_map_id", ("dtype_exceptions",)),
    "expectations": ("expectation_id", ("expected_tensors",)),
    "checkpoints": ("checkpoint_id", ("files", "checkpoint_tensors", "index_strays", "checkpoint_faults")),
}

# Tables known by a natural key.
NATURAL: dict[str, tuple[str, str]] = {"models": ("model_id", "name"), "toolchains": ("toolchain_id", "label")}

# Tables whose rows belong to one run.
RUN_PARTS = ("integrity", "hooks", "weight_stats", "endpoints", "code_files")
