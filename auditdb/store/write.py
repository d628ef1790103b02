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

from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from auditdb.digests import config_digest, failure_digest, run_digest, shape_text
from auditdb.errors import StoreError
from auditdb.records import Look, Toolchain
from auditdb.store import facts, rows, schema
from auditdb.store.connect import open_for_writing, store_sentence
from auditdb.store.migrate import engine_for
from auditdb.store.tables import CONTENT

Tables = schema.Table.metadata.tables

ROWS_AT_A_TIME = 2_000


class Writer:
    """A store that is open for recording: one engine for many looks, each look one transaction.

    The store must exist with today's schema (`migrate.ensure`). Use as a context manager; leaving it folds the
    write-ahead log into the file, so that the file alone is the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = engine_for(path)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()
        # What was committed is safe in the log: where it can't be folded in (a full disk), the next writer does it.
        with suppress(sqlite3.Error, StoreError), closing(open_for_writing(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
        runs = Tables["runs"].c
        checkpoint = _checkpoint(look)
        with self._transaction() as connection:
            names = ("structure_id", "reading_id", "dtype_map_id", "expectation_id")
            asked = select(runs.uid, *(runs[name] for name in names)).where(runs.id == earlier)
            found = connection.execute(asked).one()
            references = dict(zip(names, found[1:], strict=True))
            return _insert_run(connection, look, checkpoint, references, reusable=True, reused=found[0])

    def record_failure(self, toolchain: Toolchain, model: str, config: str, reason: str) -> None:
        """Write why a model could not be audited; a newer reason replaces an older one. `config` is a digest or ''."""
        table = Tables["failures"]
        with self._transaction() as connection:
            key = {"toolchain_id": _toolchain_id(connection, toolchain), "model": model, "config": config}
            connection.execute(delete(table).where(and_(*(table.c[name] == value for name, value in key.items()))))
            at = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
            digest = failure_digest(str(toolchain), model, config, reason, at)
            connection.execute(insert(table).values(**key, reason=reason, at=at, digest=digest))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.Error):
                raise StoreError(store_sentence(self._path, error.orig)) from error
            raise
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
    connection: Connection,
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
    run_id = _new_id(connection, "runs", run)
    for table, part in _run_parts(look).items():
        _fill(connection, table, {"run_id": run_id}, part)
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    runs = Tables["runs"]
    found = facts.run_facts(raw, run_id)
    assert found is not None
    digest = run_digest(found)
    connection.execute(update(runs).where(runs.c.id == run_id).values(digest=digest))
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


def _natural_id(connection: Connection, table: str, key: Mapping[str, Any], rest: Mapping[str, Any]) -> int:
    """The id of the row with this natural key, inserted if absent."""
    columns = Tables[table].c
    found = connection.execute(
        select(columns.id).where(and_(*(columns[name] == value for name, value in key.items())))
    ).scalar()
    return int(found) if found is not None else _new_id(connection, table, {**key, **rest})


def _toolchain_id(connection: Connection, chain: Toolchain) -> int:
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


def _content_id(connection: Connection, table: str, content: rows.Content | None, **scope: int) -> int | None:
    """The id of a content-addressed thing, written with all its rows if it is not there yet."""
    if content is None:
        return None
    columns = Tables[table].c
    same = [columns.digest == content.digest, *(columns[name] == value for name, value in scope.items())]
    found = connection.execute(select(columns.id).where(and_(*same))).scalar()
    if found is not None:
        return int(found)
    new = _new_id(connection, table, {**content.head, **scope})
    for part, part_rows in content.parts.items():
        _fill(connection, part, {CONTENT[table][0]: new}, part_rows)
    return new


def _new_id(connection: Connection, table: str, values: Mapping[str, Any]) -> int:
    key = connection.execute(insert(Tables[table]).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _fill(connection: Connection, table: str, owner: Mapping[str, int], part: rows.Rows) -> None:
    """Insert rows in slices, as tuples: Core itself would want a dict for each, and takes twice as long with them."""
    columns = [*owner, *rows.COLUMNS[table]]
    quote = connection.dialect.identifier_preparer.quote
    statement = f"INSERT INTO {table} ({', '.join(map(quote, columns))}) VALUES ({', '.join('?' * len(columns))})"
    key = tuple(owner.values())
    for start in range(0, len(part), ROWS_AT_A_TIME):
        connection.exec_driver_sql(statement, [key + tuple(row) for row in part[start : start + ROWS_AT_A_TIME]])
