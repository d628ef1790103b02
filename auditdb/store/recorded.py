"""Whether the store has a FAST look of a model, or a reason why there is none. Reads only."""

from __future__ import annotations

import sqlite3
from enum import Enum
from pathlib import Path

from auditdb.errors import StoreError
from auditdb.store.connect import head_revision, open_for_reading, revision, store_sentence
from auditdb.store.questions import question


class Known(Enum):
    NOTHING = 0
    RUN = 1
    FAILURE = 2


def known(path: Path, model: str, at: str, config: str, toolchain: str) -> Known:
    """What is recorded of a model at a revision under a toolchain; `config` is the digest of its config.json."""
    if not path.exists() or path.stat().st_size == 0:
        return Known.NOTHING
    connection = open_for_reading(path, behind_is_fine=True)
    try:
        if revision(connection) != head_revision():
            return Known.NOTHING
        parameters = {"model": model, "revision": at, "config": config, "toolchain": toolchain}
        run, failure = connection.execute(question("recorded"), parameters).fetchone()
        return Known.RUN if run else Known.FAILURE if failure else Known.NOTHING
    except sqlite3.Error as error:
        raise StoreError(store_sentence(path, error)) from error
    finally:
        connection.close()
