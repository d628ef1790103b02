"""The law of every fuzz test: any input gives a result or an AuditError, in time, and what it gives can be stored.

`AUDITDB_FUZZ=10000` runs that many examples of each kind, new ones each time; without it a few hundred, always the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from auditdb.errors import AuditError

EXAMPLES = int(os.environ.get("AUDITDB_FUZZ", "0"))
PARSING_S = 2.0

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., Any])


def fuzzed(few: int) -> Callable[[Test], Test]:
    """Settings of one fuzz test: `few` fixed examples in the default run, all the rest of the law beside."""

    def decorate(test: Test) -> Test:
        configured = settings(
            max_examples=EXAMPLES or few,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )(test)
        return pytest.mark.timeout(4 * 3600 if EXAMPLES else 120)(configured)  # type: ignore[no-any-return]

    return decorate


def lawful(work: Callable[[], T]) -> T | AuditError:
    """What `work` gives, or the AuditError that it raises, whose sentence is text; anything else goes through."""
    try:
        return work()
    except AuditError as error:
        sentence = str(error)
        assert len(sentence) > 10
        return error


@contextmanager
def in_time(seconds: float = PARSING_S) -> Iterator[None]:
    """Asserts on the processor's time and not the clock's, since other tests run beside."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


def assert_storable(value: object) -> None:
    """Every text in a record or rows can be encoded, and every integer fits 64 bits: SQLite takes nothing else."""
    todo: list[object] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, int):
            assert -(2**63) <= item < 2**63, item
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif is_dataclass(item):
            todo += [getattr(item, field.name) for field in fields(item)]
        elif isinstance(item, Iterable) and not isinstance(item, bytes):
            todo += list(item)


# Text as strangers write it: escapes, bidi, half of a surrogate pair, formulas, markup, numbers that overflow.
HOSTILE_TEXT = (
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "\u202egnp.exe",
    "\ud800",
    "\x00",
    "a\nb\r\nc",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "| a | `b` <script> [x](http://y)",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "",
    " ",
    ".",
    "..",
    "a." * 300,
    "x" * 5000,
    "layers." + "9" * 5000 + ".weight",
    "layers.٣.weight",
    "layers.².weight",
    "layers.03.{}.weight",
    "%s%n{0}",
    "'; DROP TABLE runs; --",
)
texts = st.sampled_from(HOSTILE_TEXT) | st.text(max_size=12) | st.text(st.characters(), max_size=6)
NUMBERS = (-(2**63), -1, 0, 1, 2, 3, 7, 64, 1000, 10**6, 2**31, 2**40, 2**53, 2**63 - 1, 2**63, 10**30, 10**400)
FLOATS = (0.0, -0.0, 0.5, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers(-3, 100) | st.sampled_from(FLOATS) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
