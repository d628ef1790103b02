"""One process of a sweep: audits the models that it is given, one after the other. Writes nothing."""

from __future__ import annotations

import gc
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditdb.audit import Audited, Request, audit
from auditdb.digests import config_digest
from auditdb.errors import AuditError
from auditdb.inspect.source import resolve
from auditdb.inspect.toolchain import current
from auditdb.store.recall import recall, recorded_checkpoint
from auditdb.store.recorded import Known, known


@dataclass(frozen=True)
class Answer:
    """What became of one model: a look, a reason why there is none, or that the store has it already."""

    model: str
    audited: Audited | None = None
    reason: str = ""
    config: str = ""  # digest of its config.json, '' where none was had
    skipped: bool = False


_state: dict[str, object] = {}


def start(db: str, retry: bool) -> None:
    """What a process needs to know; torch is imported by its first audit, and not at all where all is skipped."""
    gc.disable()  # collected by hand after each model: a model on meta is a web of cycles
    _state["db"], _state["retry"] = Path(db), retry


def answer(model: str) -> Answer:
    """Audit one model FAST. Never raises: a defect of ours becomes a reason that says so, and the sweep goes on."""
    db, retry = _state["db"], _state["retry"]
    assert isinstance(db, Path)
    digest = ""
    try:
        source = resolve(model)
        digest = config_digest(source.config_text)
        there = known(db, source.model, source.revision, digest, str(current()))
        if there is Known.RUN or (there is Known.FAILURE and not retry):
            return Answer(model, skipped=True)
        audited = audit(Request(model=model), lambda _: None, partial(recall, db), partial(recorded_checkpoint, db))
        return Answer(model, audited, config=digest)
    except AuditError as error:
        return Answer(model, reason=str(error), config=digest)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Answer(
            model, reason=f"a defect of auditdb: {type(error).__name__}: {error} ({last.name})", config=digest
        )
    finally:
        gc.collect()
