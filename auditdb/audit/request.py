"""What somebody asked for, and what a look may take from the store: the arguments of the use case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from auditdb.records import Checkpoint, Look
from auditdb.store.recall import Recalled

# Told what is being done, for a progress line.
Tell = Callable[[str], None]

# (config digest, toolchain label) → the run whose structure may be taken over.
Recall = Callable[[str, str], "Recalled | None"]

# (model, revision) → the headers that the store has of it.
Recorded = Callable[[str, str], "Checkpoint | None"]


@dataclass(frozen=True)
class Request:
    """One look. `model` may be None where `endpoint` says it. Secrets have no repr."""

    model: str | None = None
    endpoint: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    served_name: str | None = None
    insecure: bool = False
    fast: bool = True
    hooks: bool = False
    hash_files: bool = False
    recorded_as: str | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Audited:
    """A look, and how the store should keep it: `reused` is the run that the tree was taken from."""

    look: Look
    reusable: bool = False
    reused: int | None = None
