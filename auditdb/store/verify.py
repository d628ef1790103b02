"""Is the store what was written? Every digest and every stored sum is derived again from the rows. Reads only."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from auditdb import digests
from auditdb.store.facts import run_facts
from auditdb.store.questions import question

Tick = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold: where, and what."""

    table: str
    row: str
    problem: str


def verify(connection: sqlite3.Connection, tick: Tick = lambda _: None) -> list[Finding]:
    """Everything that does not hold, in the order of the tables; an empty list says that the store is whole.

    Covered is every column of every table. Not covered, because nothing in the file could witness it: the ids
    themselves where they are consistent, and content that no run refers to and whose digest was altered with it.
    """
    connection.row_factory = None
    found: list[Finding] = []
    for name, check in CHECKS:
        tick(name)
        try:
            found += check(connection)
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError, OverflowError) as error:
            # A cell that is not what its column holds (a shape that is no JSON, a text in which a byte was broken).
            found.append(Finding(name, "", f"can't be read: {type(error).__name__}: {error}"))
    return found


def _rows(connection: sqlite3.Connection, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(question(name), parameters).fetchall()


def _file(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield Finding("file", "", str(line))
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(table, "" if rowid is None else str(rowid), f"refers to a row of {parent} that is not there")


def _toolchains(connection: sqlite3.Connection) -> Iterator[Finding]:
    names = ("py", "torch", "transformers", "accelerate", "safetensors", "huggingface_hub", "auditdb")
    for row_id, label, *versions in _rows(connection, "verify_toolchains"):
        if label != " ".join(name + version for name, version in zip(names, versions, strict=True) if version):
            yield Finding("toolchains", str(row_id), "the label does not say its versions")


def _configs(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, text in _rows(connection, "verify_configs"):
        if digest != digests.config_digest(text):
            yield Finding("configs", str(row_id), "the text does not give the digest")


def _structures(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, n_modules, *totals, own_total, embedding, head in _rows(connection, "verify_structures"):
        modules = _rows(connection, "verify_modules", id=row_id)
        tensors = _rows(connection, "verify_parameters", id=row_id)
        again = digests.structure_rows_digest(
            [row[:3] for row in modules],
            [(row[1], row[2], row[3], row[4], row[6], row[7], row[8]) for row in tensors],
            own_total,
            embedding,
            head,
        )
        if again != digest:
            yield Finding("structures", str(row_id), "its modules and parameters do not give the digest")
        if n_modules != len(modules) or totals != [sum(row[at] for row in modules) for at in (5, 6, 7)]:
            yield Finding("structures", str(row_id), "its totals are not the sums over its modules")
        if [row[0] for row in tensors] != list(range(len(tensors))):
            yield Finding("parameters", str(row_id), "their positions are not 0, 1, 2, …")
        yield from _own_counts(row_id, modules, tensors)


def _own_counts(row_id: int, modules: list[tuple[Any, ...]], tensors: list[tuple[Any, ...]]) -> Iterator[Finding]:
    """Each module's counts, parent and depth against its name and its tensors; each tensor's size against its shape."""
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for position, module, name, kind, shape, numel, trainable, _, tied_to in tensors:
        if numel != prod(json.loads(shape)):
            yield Finding("parameters", f"{row_id}/{position} {name}", f"{numel} numbers do not fill {shape}")
        if not tied_to:
            if kind == "buffer":
                counts[module][2] += numel
            else:
                counts[module][0] += numel
                counts[module][1] += numel if trainable else 0
    for position, name, _, parent, depth, *own in modules:
        if parent != name.rpartition(".")[0] or depth != name.count("."):
            yield Finding("modules", f"{row_id}/{position} {name}", "parent or depth is not that of its name")
        if own != counts[position]:
            yield Finding(
                "modules", f"{row_id}/{position} {name}", f"says {own} of its own, its tensors {counts[position]}"
            )


def _readings(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, *totals, active, bare, bound, notes in _rows(connection, "verify_readings"):
        groups, routers, experts, marks = (
            _rows(connection, f"verify_{part}", id=row_id) for part in ("groups", "routers", "experts", "marks")
        )
        parts = ([row[1:] for row in groups], [row[1:] for row in routers], [row[1:] for row in experts], marks)
        if digest != digests.reading_digest(*parts, (active, bare, bound, notes)):
            yield Finding("readings", str(row_id), "its groups, routers, experts and marks do not give the digest")
        for name, rows in (("moe_groups", groups), ("routers", routers), ("experts", experts)):
            if [row[0] for row in rows] != list(range(len(rows))):
                yield Finding(name, str(row_id), "its positions are not 0, 1, 2, …")
        kinds = [row[6] for row in experts]
        counted = [len(groups), len(routers), *(kinds.count(kind) for kind in ("routed", "shared", "zero"))]
        if totals != counted:
            yield Finding("readings", str(row_id), f"says {totals}, its rows {counted}")


def _dtype_maps(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, default in _rows(connection, "verify_dtype_maps"):
        if digest != digests.dtypes_digest(default, dict(_rows(connection, "verify_dtype_exceptions", id=row_id))):
            yield Finding("dtype_maps", str(row_id), "its dtypes do not give the digest")


def _expectations(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, n_tensors in _rows(connection, "verify_expectations"):
        rows = _rows(connection, "verify_expected_tensors", id=row_id)
        if digest != digests.expectation_digest(rows):
            yield Finding("expectations", str(row_id), "its expected tensors do not give the digest")
        if n_tensors != len(rows):
            yield Finding("expectations", str(row_id), f"says {n_tensors} tensors and has {len(rows)}")


def _checkpoints(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row_id, digest, *head in _rows(connection, "verify_checkpoints"):
        files, tensors, strays, faults = (
            _rows(connection, f"verify_{part}", id=row_id) for part in ("files", "stored", "strays", "faults")
        )
        if digest != digests.checkpoint_digest(head, files, tensors, strays, faults):
            yield Finding("checkpoints", str(row_id), "its files and tensors do not give the digest")
        numbers = sum(prod(json.loads(row[2])) for row in tensors)
        counted = [len(files), len(tensors), numbers, sum(row[5] - row[4] for row in tensors)]
        if head[:4] != counted:
            yield Finding("checkpoints", str(row_id), f"says {head[:4]}, its rows {counted}")


def _runs(connection: sqlite3.Connection) -> Iterator[Finding]:
    for run_id, digest, status in _rows(connection, "verify_runs"):
        facts = run_facts(connection, run_id)
        if facts is None:
            yield Finding("runs", str(run_id), "something that it refers to is not there")
            continue
        if digest != digests.run_digest(facts):
            yield Finding("runs", str(run_id), "its identity, totals, integrity or hooks do not give its digest")
        failed = any(row[2] == "FAIL" for row in facts["integrity"])
        if status != ("FAIL" if failed else "PASS"):
            yield Finding("runs", str(run_id), f"its status is {status}, its checks say otherwise")
    for run_id, reading_of, structure in _rows(connection, "verify_run_readings"):
        yield Finding("runs", str(run_id), f"its reading is of structure {reading_of}, its structure is {structure}")


def _failures(connection: sqlite3.Connection) -> Iterator[Finding]:
    for toolchain, model, config, reason, at, digest in _rows(connection, "verify_failures"):
        if digest != digests.failure_digest(toolchain, model, config, reason, at):
            yield Finding("failures", model, "the row does not give its digest")


CHECKS: tuple[tuple[str, Callable[[sqlite3.Connection], Iterator[Finding]]], ...] = (
    ("file", _file),
    ("toolchains", _toolchains),
    ("configs", _configs),
    ("structures", _structures),
    ("readings", _readings),
    ("dtype_maps", _dtype_maps),
    ("expectations", _expectations),
    ("checkpoints", _checkpoints),
    ("runs", _runs),
    ("failures", _failures),
)
