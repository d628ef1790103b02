"""One look into the store, in one transaction: killed at any moment, the store holds the whole run or nothing of it."""

from __future__ import annotations

import json
import math
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from auditdb.digests import config_digest, failure_digest, run_digest, shape_text
from auditdb.errors import StoreError
from auditdb.records import Look, Toolchain
from auditdb.store import facts, rows
from auditdb.store.connect import open_for_writing
from auditdb.store.tables import CONTENT
from auditdb.store.transaction import find, insert, insert_many, transaction


class Writer:
    """A store that is open for recording: one connection for many looks, each look one transaction.

    The store must exist with today's schema (`migrate.ensure`). Use as a context manager; leaving it folds the
    write-ahead log into the file, so that the file alone is the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_for_writing(path)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        # What was committed is safe in the log: where it can't be folded in (a full disk), the next writer does it.
        with closing(self._connection), suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def record(self, look: Look, *, reusable: bool = False) -> int:
        """Write a look and return its run id.

        What is content-addressed and there already is referred to, not written again. All rows are built before the
        transaction is opened. Raises StoreError.
        """
        content = _contents(look)
        checkpoint = _checkpoint(look)
        with self._transaction() as connection:
            structure_id = _content_id(connection, "structures", content["structures"])
            assert structure_id is not None
            references = {
                "structure_id": structure_id,
                "reading_id": _content_id(connection, "readings", content["readings"], structure_id=structure_id),
                "dtype_map_id": _content_id(connection, "dtype_maps", content["dtype_maps"]),
                "expectation_id": _content_id(connection, "expectations", content["expectations"]),
            }
            return _insert_run(connection, look, checkpoint, references, reusable=reusable, reused="")

    def record_again(self, look: Look, earlier: int) -> int:
        """Write a look that took its tree from the run `earlier`: the references of that run, its own facts."""
        checkpoint = _checkpoint(look)
        with self._transaction() as connection:
            names = ("structure_id", "reading_id", "dtype_map_id", "expectation_id")
            asked = f"SELECT uid, {', '.join(names)} FROM runs WHERE id = ?"
            found = connection.execute(asked, (earlier,)).fetchone()
            if found is None:
                raise StoreError(f"run {earlier}, whose tree was to be reused, was forgotten meanwhile; run it again")
            uid, *ids = found
            references = dict(zip(names, ids, strict=True))
            return _insert_run(connection, look, checkpoint, references, reusable=True, reused=uid)

    def record_failure(self, toolchain: Toolchain, model: str, config: str, reason: str) -> None:
        """Write why a model could not be audited; a newer reason replaces an older one. `config` is a digest or ''."""
        with self._transaction() as connection:
            key = {"toolchain_id": _toolchain_id(connection, toolchain), "model": model, "config": config}
            where = " AND ".join(f"{column} = ?" for column in key)
            connection.execute(f"DELETE FROM failures WHERE {where}", tuple(key.values()))
            at = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
            digest = failure_digest(str(toolchain), model, config, reason, at)
            insert(connection, "failures", {**key, "reason": reason, "at": at, "digest": digest})

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._connection, self._path) as connection:
                yield connection
        except (OverflowError, UnicodeEncodeError) as error:  # what SQLite has no place for; nothing was written
            raise StoreError(f"the model holds what no store can keep ({error}); nothing was recorded") from error


def record(path: Path, look: Look, *, reusable: bool = False) -> int:
    """Write one look into the (existing, current) store at `path` and return its run id. Raises StoreError."""
    with Writer(path) as writer:
        return writer.record(look, reusable=reusable)


def _contents(look: Look) -> dict[str, rows.Content | None]:
    """Everything content-addressed that a first look brings, as rows."""
    return {
        "structures": rows.structure_content(look.structure),
        "readings": rows.reading_content(look.reading),
        "dtype_maps": rows.dtypes_content(look.structure),
        "expectations": rows.expectation_content(look.expected) if look.expected else None,
    }


def _checkpoint(look: Look) -> rows.Content | None:
    return rows.checkpoint_content(look.checkpoint) if look.checkpoint else None


def _insert_run(
    connection: sqlite3.Connection,
    look: Look,
    checkpoint: rows.Content | None,
    references: Mapping[str, int | None],
    *,
    reusable: bool,
    reused: str,
) -> int:
    run = {
        "uid": str(uuid.uuid4()),
        "digest": "",
        "model_id": _natural_id(connection, "models", {"name": look.model}, {"kind": look.model_kind}),
        "toolchain_id": _toolchain_id(connection, look.toolchain),
        "config_id": _natural_id(
            connection, "configs", {"digest": config_digest(look.config_text)}, {"text": look.config_text}
        ),
        **references,
        "checkpoint_id": _content_id(connection, "checkpoints", checkpoint),
        "mode": look.mode,
        "revision": look.revision,
        "requested": look.requested,
        "status": look.status,
        "model_class": look.model_class,
        "rung": look.rung,
        "reusable": int(reusable),
        "reused": reused,
        "started_at": look.started_at,
        "duration_ms": look.duration_ms,
        "hooks_ran": int(look.hooks_ran),
        "notes": json.dumps(look.notes, ensure_ascii=False),
        "build_notes": json.dumps(look.build_notes, ensure_ascii=False),
    }
    run_id = insert(connection, "runs", run)
    for table, part in _run_parts(look).items():
        _fill(connection, table, {"run_id": run_id}, part)
    found = facts.run_facts(connection, run_id)
    assert found is not None
    connection.execute("UPDATE runs SET digest = ? WHERE id = ?", (run_digest(found), run_id))
    return run_id


def _run_parts(look: Look) -> dict[str, rows.Rows]:
    """What hangs on the run itself, by table, in the order of `rows.COLUMNS`."""
    served = look.endpoint
    return {
        "integrity": [
            (position, check.name, check.status, check.expected, check.seen, check.reason)
            for position, check in enumerate(look.checks)
        ],
        "hooks": [
            (
                position,
                hook.kind,
                hook.module,
                None if hook.shape is None else shape_text(hook.shape),
                _real(hook.mean),
                _real(hook.std),
                hook.detail,
            )
            for position, hook in enumerate(look.hooks)
        ],
        "weight_stats": [
            (
                stat.name,
                -1 if stat.expert is None else stat.expert,
                _real(stat.norm),
                stat.n_zero,
                stat.n_nan,
                stat.n_inf,
                stat.numel,
            )
            for stat in look.stats
        ],
        "code_files": [(code.path, code.sha256) for code in look.code],
        "endpoints": [(served.url, served.served_name, served.root, served.version, served.payload)] if served else [],
    }


def _real(value: float | None) -> float | None:
    """SQLite has no NaN (it binds as NULL) and JSON no infinity: what is not finite is NULL, and told in words."""
    return value if value is not None and math.isfinite(value) else None


def _natural_id(connection: sqlite3.Connection, table: str, key: Mapping[str, Any], rest: Mapping[str, Any]) -> int:
    """The id of the row with this natural key, inserted if absent."""
    found = find(connection, table, key)
    return insert(connection, table, {**key, **rest}) if found is None else found


def _toolchain_id(connection: sqlite3.Connection, chain: Toolchain) -> int:
    versions = {
        "python": chain.python,
        "torch": chain.torch,
        "transformers": chain.transformers,
        "accelerate": chain.accelerate,
        "safetensors": chain.safetensors,
        "huggingface_hub": chain.huggingface_hub,
        "auditdb": chain.auditdb,
    }
    return _natural_id(connection, "toolchains", {"label": str(chain)}, versions)


def _content_id(connection: sqlite3.Connection, table: str, content: rows.Content | None, **scope: int) -> int | None:
    """The id of a content-addressed thing, written with all its rows if it is not there yet."""
    if content is None:
        return None
    found = find(connection, table, {"digest": content.digest, **scope})
    if found is not None:
        return found
    new = insert(connection, table, {**content.head, **scope})
    for part, part_rows in content.parts.items():
        _fill(connection, part, {CONTENT[table][0]: new}, part_rows)
    return new


def _fill(connection: sqlite3.Connection, table: str, owner: Mapping[str, int], part: rows.Rows) -> None:
    """Insert the rows of a part, in front of each the id that it belongs to."""
    key = tuple(owner.values())
    insert_many(connection, table, [*owner, *rows.COLUMNS[table]], [key + tuple(row) for row in part])
