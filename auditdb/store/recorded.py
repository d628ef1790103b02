"""Whether the store has a FAST look of a model, or a reason why there is none. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditdb.store.connect import if_current
from auditdb.store.questions import question


@dataclass(frozen=True)
class Known:
    """What is recorded: `status` is PASS or FAIL of the newest look, 'failed' where there is only a reason why none."""

    status: str
    run_id: int | None
    reason: str  # of a FAIL or a failure


def known(path: Path, model: str, at: str, config: str, toolchain: str) -> Known | None:
    """What the store has of a model at a revision under a toolchain; `config` is the digest of its config.json."""
    with if_current(path) as connection:
        if connection is None:
            return None
        parameters = {"model": model, "revision": at, "config": config, "toolchain": toolchain}
        row = connection.execute(question("recorded"), parameters).fetchone()
    return None if row is None else Known(*row)
