"""Owns the one way in which a call that can't be interrupted is bounded in time; never retries, judges no answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Overdue(Exception):
    """The work did not end within its time."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work()` returns, or what it raises, within `seconds`.

    A socket's own time-out starts anew with each byte, and neither the look-up of a name nor a server that drips
    its headers is bounded by it; nor is one long step of SQLite. So the work runs in a daemon thread, which is left
    behind when its time is up.

    Raises:
        Overdue: the time is up.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # nothing is lost: it is raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="auditdb-bounded")
    thread.start()
    thread.join(min(threading.TIMEOUT_MAX, seconds))
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise Overdue
