"""One process of a sweep: audits the models that it is given, one after the other. Writes nothing."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
import warnings
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

    name: str  # what the store calls the model: that of a folder is its full path
    audited: Audited | None = None
    reason: str = ""
    config: str = ""  # digest of its config.json, '' where none was had
    there: Known | None = None  # recorded before, and therefore skipped


_state: dict[str, object] = {}


def start(db: str, retry: bool) -> None:
    """What a process needs to know; torch is imported by its first audit, and not at all where all is skipped.

    Ctrl-C is the parent's affair. Libraries talk here, hundreds of models long, into the void: stdout is data, and the
    progress bar has stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # collected by hand after each model: a model on meta is a web of cycles
    warnings.simplefilter("ignore")
    void = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(void, stream.fileno())
    _state["db"], _state["retry"] = Path(db), retry


def answer(model: str) -> Answer:
    """Audit one model FAST. Never raises: a defect of ours becomes a reason that says so, and the sweep goes on."""
    db, retry = _state["db"], _state["retry"]
    assert isinstance(db, Path)
    name, digest = model, ""
    try:
        source = resolve(model)
        name, digest = source.model, config_digest(source.config_text)
        there = known(db, name, source.revision, digest, str(current()))
        if there is not None and not (retry and there.status == "failed"):
            return Answer(name, there=there)
        audited = audit(Request(model=model), lambda _: None, partial(recall, db), partial(recorded_checkpoint, db))
        return Answer(name, audited, config=digest)
    except AuditError as error:
        return Answer(name, reason=str(error), config=digest)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Answer(name, reason=f"a defect of auditdb: {type(error).__name__}: {error} ({last.name})", config=digest)
    finally:
        gc.collect()
        gc.freeze()  # what is left are libraries: a collection that walks them takes longer than an audit
