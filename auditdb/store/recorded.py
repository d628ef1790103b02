"""Whether the store has a FAST look of a model, or a reason why there is none. Reads only."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from auditdb.store.connect import if_current
from auditdb.store.questions import question


class Known(Enum):
    NOTHING = 0
    RUN = 1
    FAILURE = 2


def known(path: Path, model: str, at: str, config: str, toolchain: str) -> Known:
    """What is recorded of a model at a revision under a toolchain; `config` is the digest of its config.json."""
    with if_current(path) as connection:
        if connection is None:
            return Known.NOTHING
        parameters = {"model": model, "revision": at, "config": config, "toolchain": toolchain}
        run, failure = connection.execute(question("recorded"), parameters).fetchone()
    return Known.RUN if run else Known.FAILURE if failure else Known.NOTHING
