"""The start of every look: the model's source, its checkpoint's headers, and the endpoint. Imports no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from auditdb.audit.request import Recorded, Request, Tell
from auditdb.checkpoint.read import read_checkpoint
from auditdb.errors import Unreachable, UsageError
from auditdb.inspect.source import Source, resolve
from auditdb.inspect.toolchain import current
from auditdb.records import Check, Checkpoint, CodeFile, Endpoint, Toolchain


@dataclass(frozen=True)
class Gathered:
    """What is known before a model is built."""

    source: Source
    toolchain: Toolchain
    checkpoint: Checkpoint | None
    endpoint: Endpoint | None
    endpoint_checks: tuple[Check, ...]
    code: tuple[CodeFile, ...]
    notes: tuple[str, ...]
    started_at: str  # UTC, ISO 8601, seconds
    started: float  # time.perf_counter()

    @property
    def duration_ms(self) -> int:
        return round((time.perf_counter() - self.started) * 1000)


def gather(request: Request, tell: Tell, recorded: Recorded) -> Gathered:
    """Resolve the model, ask the endpoint, read headers and index.

    Raises SourceError and Unreachable with a sentence. `recorded` gives the headers that the store has of a commit
    whose files can't be listed now (offline).
    """
    started = time.perf_counter()
    started_at = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    model, served = request.model, None
    if request.endpoint is not None:
        tell("asking the endpoint")
        from auditdb.inspect.endpoint import discover, model_to_audit

        served = discover(
            request.endpoint, api_key=request.api_key, served_name=request.served_name, insecure=request.insecure
        )
        model = model or model_to_audit(served)
    if model is None:
        raise UsageError("name a MODEL (a folder, or ORG/NAME of the hub), or give --endpoint URL")
    tell("finding the model")
    try:
        source = resolve(model, recorded_as=request.recorded_as)
    except Unreachable as error:
        if served is not None:
            raise
        raise Unreachable(f"there is no folder {model} here, and the hub gives none: {error}") from error
    code: tuple[CodeFile, ...] = ()
    if request.trust_remote_code:
        from auditdb.inspect.remote_code import find_code_files

        code = find_code_files(source)
    notes = list(source.notes)
    tell("reading the checkpoint's headers")
    checkpoint = read_checkpoint(source, incomplete=source.incomplete)
    if source.incomplete and (checkpoint is None or checkpoint.incomplete or not checkpoint.files):
        known = recorded(source.model, source.revision)
        if known is not None:
            checkpoint = known
            notes.append("the checkpoint's headers are those that the store has of this commit")
    if request.hash_files and checkpoint is not None:
        tell("hashing the checkpoint's files")
        checkpoint = _hashed(source, checkpoint)
    endpoint_checks: tuple[Check, ...] = ()
    if served is not None:
        from auditdb.inspect.cards import served_check

        endpoint_checks = (served_check(served, source.model),)
        notes += served.notes
    return Gathered(
        source=source,
        toolchain=current(),
        checkpoint=checkpoint,
        endpoint=None if served is None else served.endpoint,
        endpoint_checks=endpoint_checks,
        code=code,
        notes=(*notes, *(checkpoint.notes if checkpoint else ())),
        started_at=started_at,
        started=started,
    )


def _hashed(source: Source, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the sha256 of each file that lies on this machine's disk and has none yet."""
    from auditdb.inspect.folder import digest_file

    files = []
    for file in checkpoint.files:
        path = source.folder / file.path
        files.append(file if file.sha256 or not path.is_file() else replace(file, sha256=digest_file(path)))
    return replace(checkpoint, files=tuple(files))
