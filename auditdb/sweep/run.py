"""The sweep itself: workers look, this process writes, one transaction a look."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from auditdb.errors import AuditError
from auditdb.inspect.toolchain import current
from auditdb.records import Toolchain
from auditdb.store.write import Writer
from auditdb.sweep import worker

# A process is replaced after so many models: what the library caches of each module it imported stays until then.
MODELS_PER_PROCESS = 150


@dataclass(frozen=True)
class Outcome:
    """`status`: PASS or FAIL of a recorded look, 'failed' with a reason, or 'skipped' (recorded before)."""

    model: str
    status: str
    run_id: int | None = None
    reason: str = ""


def sweep(db: Path, models: Sequence[str], jobs: int, *, retry: bool = False) -> Iterator[Outcome]:
    """Audit models FAST with `jobs` processes, yielding each outcome as it is recorded. The store must exist.

    Failures are recorded with their reason. Closing the iterator (Ctrl-C) stops the workers; what was recorded stays.
    """
    todo = list(reversed(models))
    toolchain = current()
    with Writer(db) as writer, _pool(db, retry, jobs) as pool:
        running: dict[Future[worker.Answer], str] = {}
        try:
            while todo or running:
                while todo and len(running) < 2 * jobs:
                    model = todo.pop()
                    running[pool.submit(worker.answer, model)] = model
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield _kept(writer, toolchain, running.pop(future), future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(db: Path, retry: bool, jobs: int) -> ProcessPoolExecutor:
    # Spawned, since torch and its threads do not survive a fork.
    return ProcessPoolExecutor(
        max_workers=jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=worker.start,
        initargs=(str(db), retry),
        max_tasks_per_child=MODELS_PER_PROCESS,
    )


def _kept(writer: Writer, toolchain: Toolchain, model: str, future: Future[worker.Answer]) -> Outcome:
    try:
        answer = future.result()
    except BrokenProcessPool as error:
        raise AuditError(
            f"a process of the sweep died at {model} or one beside it (out of memory?); run the same command again, "
            "with fewer --jobs: what is recorded is skipped"
        ) from error
    if answer.skipped:
        return Outcome(model, "skipped")
    if answer.audited is None:
        writer.record_failure(toolchain, model, answer.config, answer.reason)
        return Outcome(model, "failed", reason=answer.reason)
    look = answer.audited.look
    if answer.audited.reused is not None:
        run_id = writer.record_again(look, answer.audited.reused)
    else:
        run_id = writer.record(look, reusable=answer.audited.reusable)
    reason = "; ".join(f"{check.name}: {check.reason}" for check in look.checks if check.status == "FAIL")
    return Outcome(model, look.status, run_id, reason)
