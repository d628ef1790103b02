"""The waist: plain immutable records that every room speaks. Standard library only.

What comes in tens of thousands (modules, tensors, experts, tensors on disk) is a NamedTuple, which costs a third of a
frozen dataclass to make; what comes once or by the dozen is a frozen dataclass.
All counts are in elements, all sizes in bytes. A number that is not known is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Status = Literal["PASS", "FAIL", "SKIP"]
Mode = Literal["fast", "full"]
Rung = Literal["meta", "init_empty_weights", "headers", "loaded"]
TensorKind = Literal["parameter", "buffer"]
ExpertKind = Literal["routed", "shared", "zero"]
Source_ = Literal["declared", "family", "structural", "name"]


class Module(NamedTuple):
    """One module of the tree, in the order of `named_modules()`; one with two names stands once, under the first."""

    position: int
    name: str  # dotted; '' is the root
    class_name: str
    parent: str
    depth: int  # dots in the name, as in the classic files
    n_params: int  # its own parameters, each counted at the first module that holds it
    n_trainable: int
    n_buffers: int  # its own buffers, persistent or not


class Tensor(NamedTuple):
    """One parameter or buffer under the name of the module that holds it."""

    module: int  # position of that module
    name: str  # full dotted name
    kind: TensorKind
    shape: tuple[int, ...]
    dtype: str  # like 'bfloat16'
    numel: int
    trainable: bool
    persistent: bool  # parameters always; buffers if a state dict keeps them
    tied_to: str  # the first name of the same object; '' if this is the first


@dataclass(frozen=True)
class Structure:
    """A module tree with its tensors, as built or loaded.

    `own_total` is the model's own `sum(p.numel() for p in model.parameters())`, taken apart from the rows as a witness.
    `input_embedding` names the parameter of `get_input_embeddings()`, `output_embedding` the row of the output head's
    weight (which may be tied); '' if the model has none.
    `aliases` are (other name, first name) of modules that are reachable twice.
    `foreign` are packages other than torch and transformers whose modules stand in the tree.
    """

    modules: tuple[Module, ...]
    tensors: tuple[Tensor, ...]
    own_total: int | None = None
    input_embedding: str = ""
    output_embedding: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def has_output_head(self) -> bool:
        return bool(self.output_embedding)

    @property
    def n_params(self) -> int:
        return sum(m.n_params for m in self.modules)

    @property
    def n_trainable(self) -> int:
        return sum(m.n_trainable for m in self.modules)

    @property
    def n_buffers(self) -> int:
        return sum(m.n_buffers for m in self.modules)


@dataclass(frozen=True)
class Declared:
    """What the library itself says about a tree's routing; plain data, so that `moe/` needs no torch.

    `routers`: name of each module that `_can_record_outputs["router_logits"]` points at → how, like
    `OutputRecorder(X, index=0)`.
    `attributes`: module name → the integers and flags it carries among those that `inspect/declared.py` lists
    (`num_experts`, `top_k`, `has_gate`, `is_transposed`, …).
    `banks`: names of modules that `base_model_ep_plan` marks as experts, or `use_experts_implementation` decorated.
    `configs`: dotted path of each (sub)config ('' = the outermost) → the model_type of that parsed config.
    `scopes`: name of each model inside the model ('' = the outermost) → dotted path of the (sub)config that built it.
    """

    routers: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, int | bool]] = field(default_factory=dict)
    banks: frozenset[str] = frozenset()
    configs: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)


class Router(NamedTuple):
    name: str
    class_name: str
    moe_group: str
    n_experts: int | None  # routed experts that it feeds; its logits may have more rows (zero experts, shared sinks)
    top_k: int | None
    source: Source_


class Expert(NamedTuple):
    """One logical expert: a module (`experts.3`), or a slice of a fused bank (`experts[3]`)."""

    name: str
    class_name: str
    parent: str
    moe_group: str
    expert: int | None  # None for a shared expert
    kind: ExpertKind
    n_params: int
    source: Source_


class MoeGroup(NamedTuple):
    name: str  # nearest common ancestor of the router and its experts
    n_routers: int
    n_experts: int  # routed only
    n_shared: int
    n_zero: int
    top_k: int | None  # a router
    n_params: int  # routers, experts of every kind, shared-expert gates, and what lies under them


class Mark(NamedTuple):
    """What `moe/` says of one module; modules without a mark are no part of any group."""

    position: int
    is_router: bool
    is_expert: bool
    moe_group: str


@dataclass(frozen=True)
class Reading:
    """auditdb's reading of a structure. `n_active` counts parameters used per token; None where top-k is unknown.

    `active_is_bound`: zero experts can take places in the top-k, so `n_active` is an upper bound.
    """

    groups: tuple[MoeGroup, ...] = ()
    routers: tuple[Router, ...] = ()
    experts: tuple[Expert, ...] = ()
    marks: tuple[Mark, ...] = ()
    n_active: int | None = None
    n_active_no_embedding: int | None = None
    active_is_bound: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One integrity check. A SKIP carries the reason why nobody looked; it never reads as a PASS."""

    name: str
    status: Status
    expected: str = ""
    seen: str = ""
    reason: str = ""


class StoredTensor(NamedTuple):
    """One tensor of a checkpoint, as its file's header says. Offsets count from the start of the data section."""

    name: str
    file: str
    shape: tuple[int, ...]
    dtype: str  # the header's spelling: 'BF16', 'F8_E4M3', 'F4'
    begin: int
    end: int


class ExpectedTensor(NamedTuple):
    """A tensor that the model's class, with this toolchain, would write to disk."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class CheckpointFile:
    """A file of a checkpoint. `kind`: 'safetensors', 'index', 'pickle'. `sha256` is '' where nobody computed it."""

    path: str
    kind: str
    size: int | None
    sha256: str = ""
    header_bytes: int = 0


@dataclass(frozen=True)
class Fault:
    """Something wrong with a checkpoint's files, found while reading; `check` is 'headers' or 'index'."""

    check: str
    file: str
    message: str


@dataclass(frozen=True)
class Index:
    """`model.safetensors.index.json`: tensor name → shard. `total_size` is in bytes, as the file states it."""

    file: str
    weight_map: Mapping[str, str]
    total_size: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """What lies on disk or on the hub beside a config, from headers and index alone: no weight is read."""

    files: tuple[CheckpointFile, ...] = ()
    tensors: tuple[StoredTensor, ...] = ()
    index: Index | None = None
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()  # weight files that lie there and that transformers would not take
    incomplete: str = ""  # why shards could not be looked at although the model may well have them (a partial cache)

    @property
    def readable(self) -> bool:
        """Whether there are safetensors headers to compare with."""
        return any(f.kind == "safetensors" for f in self.files)


@dataclass(frozen=True)
class LoaderVerdict:
    """What the library's own loader says of a checkpoint, run on meta over names and shapes alone.

    Names are those of the model's state dict, not those on disk. `mismatched` is (name, shape stored, shape built);
    `conversion_errors` is (name, what went wrong); `ignored` are names on disk that the class leaves out by design;
    `error` is set when the loader itself gave up, and then the lists say nothing.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    conversion_errors: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    error: str = ""

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched or self.conversion_errors or self.error)


@dataclass(frozen=True)
class CodeFile:
    """A remote-code file that a run executed, with its sha256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Toolchain:
    """Versions that decide what a model class builds, from package metadata; '' where a package is absent."""

    python: str
    torch: str
    transformers: str
    accelerate: str
    safetensors: str
    huggingface_hub: str
    auditdb: str

    def __str__(self) -> str:
        names = ("py", "torch", "transformers", "accelerate", "safetensors", "huggingface_hub", "auditdb")
        versions = (
            self.python,
            self.torch,
            self.transformers,
            self.accelerate,
            self.safetensors,
            self.huggingface_hub,
            self.auditdb,
        )
        return " ".join(name + version for name, version in zip(names, versions, strict=True) if version)


class Hook(NamedTuple):
    """What one module gave in the one forward pass. Floats are None where unknown.

    `kind`: 'router', 'expert', or 'forward' for the pass itself (the model's own output, or why there was none).
    """

    kind: str
    module: str
    shape: tuple[int, ...] | None
    mean: float | None
    std: float | None
    detail: str


class WeightStat(NamedTuple):
    """FULL: statistics of one parameter (or one expert's slice of it)."""

    name: str
    expert: int | None  # slice of a fused bank; None for the whole tensor
    norm: float
    n_zero: int
    n_nan: int
    n_inf: int
    numel: int


@dataclass(frozen=True)
class Endpoint:
    """What a server said. `url` has no user part; `payload` is `/v1/models` as it came, `version` is of `/version`."""

    url: str
    served_name: str
    root: str
    version: str
    payload: str


@dataclass(frozen=True)
class Look:
    """Everything that one run found: what `audit.py` hands to the store, in one transaction."""

    model: str
    model_kind: Literal["folder", "hub"]
    revision: str
    requested: str  # the revision that was asked for; '' = none
    toolchain: Toolchain
    mode: Mode
    started_at: str  # UTC, ISO 8601, seconds
    duration_ms: int
    config_text: str
    model_class: str
    rung: Rung
    structure: Structure
    reading: Reading
    checks: tuple[Check, ...]
    expected: tuple[ExpectedTensor, ...] = ()
    checkpoint: Checkpoint | None = None
    hooks: tuple[Hook, ...] = ()
    hooks_ran: bool = False
    stats: tuple[WeightStat, ...] = ()
    endpoint: Endpoint | None = None
    code: tuple[CodeFile, ...] = ()
    notes: tuple[str, ...] = ()  # of the source and the request
    build_notes: tuple[str, ...] = ()  # of the class that was built: they hold as long as the structure is reused

    @property
    def status(self) -> Status:
        return "FAIL" if any(c.status == "FAIL" for c in self.checks) else "PASS"


@dataclass(frozen=True)
class RunRows:
    """Everything of one recorded run that a report is made from, as rows by column name."""

    run: Mapping[str, Any]
    integrity: Sequence[Mapping[str, Any]]
    modules: Sequence[Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    routers: Sequence[Mapping[str, Any]]
    experts: Sequence[Mapping[str, Any]]
    hooks: Sequence[Mapping[str, Any]] = ()
    endpoint: Mapping[str, Any] | None = None
