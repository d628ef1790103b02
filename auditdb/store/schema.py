"""The tables, declared once. Views and indexes over them are in the migrations; nothing here runs SQL.

Every table is STRICT; a composite natural key makes it WITHOUT ROWID. Shapes are JSON text, flags 0 or 1, counts in
elements, sizes in bytes. `tests/store/test_schema.py` holds the migrations to these declarations, text for text.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from sqlalchemy import REAL, CheckConstraint, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}

Id = Annotated[int, mapped_column(primary_key=True)]
Unique = Annotated[str, mapped_column(unique=True)]


def _part_of(target: str) -> Any:
    """A key column that refers to the row it hangs on."""
    return mapped_column(ForeignKey(target), primary_key=True)


def _refers(target: str) -> Any:
    return mapped_column(ForeignKey(target), index=True)


def _key() -> Any:
    return mapped_column(primary_key=True)


def _table(*constraints: Any, rowid: bool) -> tuple[Any, ...]:
    options: dict[str, bool] = {"sqlite_strict": True}
    if not rowid:
        options["sqlite_with_rowid"] = False
    return (*constraints, options)


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, int: Integer, float: REAL}  # as STRICT wants


class Model(Table):
    """A model under the name that its runs are recorded under: `ORG/NAME`, or a folder's resolved path."""

    __tablename__ = "models"
    id: Mapped[Id]
    name: Mapped[Unique]
    kind: Mapped[str]
    __table_args__ = _table(CheckConstraint("kind IN ('hub', 'folder')", name="kind"), rowid=True)


class ToolchainRow(Table):
    """The versions that decided what a class built."""

    __tablename__ = "toolchains"
    id: Mapped[Id]
    label: Mapped[Unique]
    python: Mapped[str]
    torch: Mapped[str]
    transformers: Mapped[str]
    accelerate: Mapped[str]
    safetensors: Mapped[str]
    huggingface_hub: Mapped[str]
    auditdb: Mapped[str]
    __table_args__ = _table(rowid=True)


class Config(Table):
    """A config.json as it was read, stored once."""

    __tablename__ = "configs"
    id: Mapped[Id]
    digest: Mapped[Unique]
    text: Mapped[str]
    __table_args__ = _table(rowid=True)


class StructureRow(Table):
    """A module tree, stored once for all models and toolchains that build it; the totals are sums over its rows."""

    __tablename__ = "structures"
    id: Mapped[Id]
    digest: Mapped[Unique]
    n_modules: Mapped[int]
    n_params: Mapped[int]
    n_trainable: Mapped[int]
    n_buffers: Mapped[int]
    own_total: Mapped[int | None]
    input_embedding: Mapped[str]
    output_embedding: Mapped[str]
    __table_args__ = _table(rowid=True)


class ModuleRow(Table):
    __tablename__ = "modules"
    structure_id: Mapped[int] = _part_of("structures.id")
    position: Mapped[int] = _key()
    name: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    parent: Mapped[str]
    depth: Mapped[int]
    n_params: Mapped[int]
    n_trainable: Mapped[int]
    n_buffers: Mapped[int]
    __table_args__ = _table(UniqueConstraint("structure_id", "name"), rowid=False)


class ParameterRow(Table):
    __tablename__ = "parameters"
    structure_id: Mapped[int] = _part_of("structures.id")
    position: Mapped[int] = _key()
    module: Mapped[int]
    name: Mapped[str]
    kind: Mapped[str]
    shape: Mapped[str]
    numel: Mapped[int]
    trainable: Mapped[int]
    persistent: Mapped[int]
    tied_to: Mapped[str]
    __table_args__ = _table(
        UniqueConstraint("structure_id", "name"),
        Index(None, "structure_id", "module"),
        CheckConstraint("kind IN ('parameter', 'buffer')", name="kind"),
        CheckConstraint("trainable IN (0, 1) AND persistent IN (0, 1)", name="flags"),
        rowid=False,
    )


class ReadingRow(Table):
    """auditdb's reading of a structure (routers, experts, groups), hashed apart from it. Unknown numbers are NULL."""

    __tablename__ = "readings"
    id: Mapped[Id]
    structure_id: Mapped[int] = mapped_column(ForeignKey("structures.id"))
    digest: Mapped[str]
    n_groups: Mapped[int]
    n_routers: Mapped[int]
    n_experts: Mapped[int]
    n_shared: Mapped[int]
    n_zero: Mapped[int]
    n_active_params: Mapped[int | None]
    n_active_params_no_embedding: Mapped[int | None]
    active_is_bound: Mapped[int]
    notes: Mapped[str]
    __table_args__ = _table(
        UniqueConstraint("structure_id", "digest"),
        CheckConstraint("active_is_bound IN (0, 1)", name="active_is_bound"),
        rowid=True,
    )


class MarkRow(Table):
    """The modules that are part of a MoE group; all others have no row."""

    __tablename__ = "module_marks"
    reading_id: Mapped[int] = _part_of("readings.id")
    position: Mapped[int] = _key()
    is_router: Mapped[int]
    is_expert: Mapped[int]
    moe_group: Mapped[str]
    __table_args__ = _table(CheckConstraint("is_router IN (0, 1) AND is_expert IN (0, 1)", name="flags"), rowid=False)


class MoeGroupRow(Table):
    __tablename__ = "moe_groups"
    reading_id: Mapped[int] = _part_of("readings.id")
    position: Mapped[int] = _key()
    name: Mapped[str]
    n_routers: Mapped[int]
    n_experts: Mapped[int]
    n_shared: Mapped[int]
    n_zero: Mapped[int]
    top_k: Mapped[int | None]
    n_params: Mapped[int]
    __table_args__ = _table(UniqueConstraint("reading_id", "name"), rowid=False)


class RouterRow(Table):
    __tablename__ = "routers"
    reading_id: Mapped[int] = _part_of("readings.id")
    position: Mapped[int] = _key()
    name: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    moe_group: Mapped[str]
    n_experts: Mapped[int | None]
    top_k: Mapped[int | None]
    source: Mapped[str]
    __table_args__ = _table(
        UniqueConstraint("reading_id", "name"),
        CheckConstraint("source IN ('declared', 'family', 'structural', 'name')", name="source"),
        rowid=False,
    )


class ExpertRow(Table):
    __tablename__ = "experts"
    reading_id: Mapped[int] = _part_of("readings.id")
    position: Mapped[int] = _key()
    name: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    parent: Mapped[str]
    moe_group: Mapped[str]
    expert: Mapped[int | None]
    kind: Mapped[str]
    n_params: Mapped[int]
    source: Mapped[str]
    __table_args__ = _table(
        UniqueConstraint("reading_id", "name"),
        CheckConstraint("kind IN ('routed', 'shared', 'zero')", name="kind"),
        CheckConstraint("(kind = 'shared') = (expert IS NULL)", name="numbered"),
        CheckConstraint("source IN ('declared', 'family', 'structural', 'name')", name="source"),
        rowid=False,
    )


class DtypeMap(Table):
    """The dtypes of a tree: a default and the exceptions by name; apart from the structure, which has none."""

    __tablename__ = "dtype_maps"
    id: Mapped[Id]
    digest: Mapped[Unique]
    default_dtype: Mapped[str]
    __table_args__ = _table(rowid=True)


class DtypeException(Table):
    __tablename__ = "dtype_exceptions"
    dtype_map_id: Mapped[int] = _part_of("dtype_maps.id")
    name: Mapped[str] = _key()
    dtype: Mapped[str]
    __table_args__ = _table(rowid=False)


class ExpectationRow(Table):
    """The list of tensors that a class would write to disk, stored once."""

    __tablename__ = "expectations"
    id: Mapped[Id]
    digest: Mapped[Unique]
    n_tensors: Mapped[int]
    __table_args__ = _table(rowid=True)


class ExpectedTensorRow(Table):
    __tablename__ = "expected_tensors"
    expectation_id: Mapped[int] = _part_of("expectations.id")
    name: Mapped[str] = _key()
    shape: Mapped[str]
    __table_args__ = _table(rowid=False)


class CheckpointRow(Table):
    """What the headers and the index of a checkpoint say, stored once. `n_numbers` counts stored numbers."""

    __tablename__ = "checkpoints"
    id: Mapped[Id]
    digest: Mapped[Unique]
    n_files: Mapped[int]
    n_tensors: Mapped[int]
    n_numbers: Mapped[int]
    n_bytes: Mapped[int]
    index_file: Mapped[str]
    index_total_size: Mapped[int | None]
    index_metadata: Mapped[str]
    notes: Mapped[str]
    incomplete: Mapped[str]
    __table_args__ = _table(rowid=True)


class FileRow(Table):
    __tablename__ = "files"
    checkpoint_id: Mapped[int] = _part_of("checkpoints.id")
    path: Mapped[str] = _key()
    kind: Mapped[str]
    size: Mapped[int | None]
    sha256: Mapped[str]
    header_bytes: Mapped[int]
    __table_args__ = _table(rowid=False)


class CheckpointTensorRow(Table):
    """A tensor on disk; `indexed_in` is the shard that the index names for it, '' where the index has no such name."""

    __tablename__ = "checkpoint_tensors"
    checkpoint_id: Mapped[int] = _part_of("checkpoints.id")
    name: Mapped[str] = _key()
    file: Mapped[str] = _key()
    shape: Mapped[str]
    dtype: Mapped[str]
    begin: Mapped[int]
    end: Mapped[int]
    indexed_in: Mapped[str]
    __table_args__ = _table(rowid=False)


class IndexStray(Table):
    """An index entry whose tensor is in none of the shards."""

    __tablename__ = "index_strays"
    checkpoint_id: Mapped[int] = _part_of("checkpoints.id")
    name: Mapped[str] = _key()
    file: Mapped[str]
    __table_args__ = _table(rowid=False)


class CheckpointFault(Table):
    __tablename__ = "checkpoint_faults"
    checkpoint_id: Mapped[int] = _part_of("checkpoints.id")
    position: Mapped[int] = _key()
    check_name: Mapped[str]
    file: Mapped[str]
    message: Mapped[str]
    __table_args__ = _table(rowid=False)


class Run(Table):
    """One look. Never updated. `uid` survives merging; `digest` covers the run's own facts (see digests.run_digest)."""

    __tablename__ = "runs"
    id: Mapped[Id]
    uid: Mapped[Unique]
    digest: Mapped[str]
    model_id: Mapped[int] = _refers("models.id")
    toolchain_id: Mapped[int] = _refers("toolchains.id")
    config_id: Mapped[int] = _refers("configs.id")
    structure_id: Mapped[int] = _refers("structures.id")
    reading_id: Mapped[int] = _refers("readings.id")
    dtype_map_id: Mapped[int] = _refers("dtype_maps.id")
    expectation_id: Mapped[int | None] = _refers("expectations.id")
    checkpoint_id: Mapped[int | None] = _refers("checkpoints.id")
    mode: Mapped[str]
    revision: Mapped[str]
    requested: Mapped[str]
    status: Mapped[str]
    model_class: Mapped[str]
    rung: Mapped[str]
    reusable: Mapped[int]
    reused: Mapped[str]
    started_at: Mapped[str]
    duration_ms: Mapped[int]
    hooks_ran: Mapped[int]
    notes: Mapped[str]
    build_notes: Mapped[str]
    __table_args__ = _table(
        Index(None, "model_id", "revision", "toolchain_id", "mode", "started_at"),
        Index(None, "started_at"),
        CheckConstraint("mode IN ('fast', 'full')", name="mode"),
        CheckConstraint("status IN ('PASS', 'FAIL')", name="status"),
        CheckConstraint("rung IN ('meta', 'init_empty_weights', 'headers', 'loaded')", name="rung"),
        CheckConstraint("reusable IN (0, 1) AND hooks_ran IN (0, 1)", name="flags"),
        rowid=True,
    )


class FailureRow(Table):
    """A model that a sweep could not audit, and why; `config` is the digest of its config.json, '' if none was had."""

    __tablename__ = "failures"
    toolchain_id: Mapped[int] = _part_of("toolchains.id")
    model: Mapped[str] = _key()
    config: Mapped[str] = _key()
    reason: Mapped[str]
    at: Mapped[str]
    digest: Mapped[str]
    __table_args__ = _table(rowid=False)


class IntegrityRow(Table):
    __tablename__ = "integrity"
    run_id: Mapped[int] = _part_of("runs.id")
    position: Mapped[int] = _key()
    name: Mapped[str]
    status: Mapped[str]
    expected: Mapped[str]
    seen: Mapped[str]
    reason: Mapped[str]
    __table_args__ = _table(
        UniqueConstraint("run_id", "name"),
        CheckConstraint("status IN ('PASS', 'FAIL', 'SKIP')", name="status"),
        rowid=False,
    )


class HookRow(Table):
    __tablename__ = "hooks"
    run_id: Mapped[int] = _part_of("runs.id")
    position: Mapped[int] = _key()
    kind: Mapped[str]
    module: Mapped[str]
    shape: Mapped[str | None]
    mean: Mapped[float | None]
    std: Mapped[float | None]
    detail: Mapped[str]
    __table_args__ = _table(rowid=False)


class WeightStatRow(Table):
    """FULL: one tensor's (or one slice's) statistics; `expert` is -1 for a whole tensor. An infinite norm is NULL."""

    __tablename__ = "weight_stats"
    run_id: Mapped[int] = _part_of("runs.id")
    name: Mapped[str] = _key()
    expert: Mapped[int] = _key()
    norm: Mapped[float | None]
    n_zero: Mapped[int]
    n_nan: Mapped[int]
    n_inf: Mapped[int]
    numel: Mapped[int]
    __table_args__ = _table(rowid=False)


class EndpointRow(Table):
    __tablename__ = "endpoints"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    url: Mapped[str]
    served_name: Mapped[str]
    root: Mapped[str]
    version: Mapped[str]
    payload: Mapped[str]
    __table_args__ = _table(rowid=True)


class CodeFileRow(Table):
    """A remote-code file that a run executed."""

    __tablename__ = "code_files"
    run_id: Mapped[int] = _part_of("runs.id")
    path: Mapped[str] = _key()
    sha256: Mapped[str]
    __table_args__ = _table(rowid=False)
