"""The sweep itself: workers look, this process writes, one transaction a look."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

from auditdb.errors import AuditError
from auditdb.inspect.toolchain import current
from auditdb.records import Toolchain
from auditdb.report.text import printable
from auditdb.store.write import Writer
from auditdb.sweep import worker


@dataclass(frozen=True)
class Outcome:
    """`status`: PASS or FAIL of a recorded look, or 'failed' with a reason; `skipped` if it was recorded before."""

    model: str
    status: str
    run_id: int | None = None
    reason: str = ""
    skipped: bool = False


def sweep(db: Path, models: Sequence[str], jobs: int, *, retry: bool = False) -> Iterator[Outcome]:
    """Audit models FAST with `jobs` processes, yielding each outcome as it is recorded. The store must exist.

    Failures are recorded with their reason. Closing the iterator (Ctrl-C) stops the workers; what was recorded stays.
    """
    todo = list(reversed(models))
    toolchain = current()
    others = set(multiprocessing.active_children())
    with Writer(db) as writer, _pool(db, retry, jobs) as pool:
        running: dict[Future[worker.Answer], str] = {}
        try:
            while todo or running:
                while todo and len(running) < 2 * jobs:
                    model = todo.pop()
                    with _deaf_to_ctrl_c():
                        running[pool.submit(worker.answer, model)] = model
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield _kept(writer, toolchain, running.pop(future), future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if running:  # stopped before the end: what the workers have in hand is for nobody
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()


def _pool(db: Path, retry: bool, jobs: int) -> ProcessPoolExecutor:
    # Spawned, since torch and its threads do not survive a fork.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), worker.start, (str(db), retry))


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started inside never see the Ctrl-C of a terminal, which goes to all at once: each would
    print a traceback. This process sees it right afterwards, and ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it takes the block away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kept(writer: Writer, toolchain: Toolchain, model: str, future: Future[worker.Answer]) -> Outcome:
    try:
        answer = future.result()
    except BrokenProcessPool as error:
        raise AuditError(
            f"a process of the sweep died at {model} or one beside it (out of memory?); run the same command again, "
            "with fewer --jobs: what is recorded is skipped"
        ) from error
    if answer.there is not None:
        return Outcome(model, answer.there.status, answer.there.run_id, answer.there.reason, skipped=True)
    if answer.audited is None:
        # The name of a folder may be bytes that are no text, and a defect's message may hold anything.
        reason = printable(answer.reason)
        writer.record_failure(toolchain, printable(answer.name), answer.config, reason)
        return Outcome(printable(model), "failed", reason=reason)
    look = answer.audited.look
    if answer.audited.reused is not None:
        run_id = writer.record_again(look, answer.audited.reused)
    else:
        run_id = writer.record(look, reusable=answer.audited.reusable)
    reason = "; ".join(f"{check.name}: {check.reason}" for check in look.checks if check.status == "FAIL")
    return Outcome(model, look.status, run_id, reason)
