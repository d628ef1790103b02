"""Running processes and measuring them from outside: seconds, peak memory, exit codes. Nothing heavy is imported here,
because Linux counts the memory of the process that starts another one into the other's peak."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
AUDITDB = str(Path(sys.executable).parent / "auditdb")
KIB = 1024 if sys.platform != "darwin" else 1  # ru_maxrss is in KiB on Linux, in bytes on macOS


class Sample(NamedTuple):
    """One process. `peak` is in bytes; `said` is the end of what it wrote to stderr."""

    seconds: float
    peak: int
    code: int
    said: str = ""


@dataclass(frozen=True)
class Case:
    """A command to measure, what to do before each time, and the exit codes that mean that it did its work."""

    command: Sequence[str | Path]
    before: Callable[[], object] = lambda: None
    good: tuple[int, ...] = (0,)


class Failed(Exception):
    """A measured command did not do its work."""


def run(
    command: Sequence[str | Path],
    *,
    timeout: float = 600,
    memory: int | None = None,
    watch: Callable[[int], object] | None = None,
) -> Sample:
    """Run one process to its end; after `timeout` seconds it is killed (code -9). `memory` limits its address space.

    `watch` is called with its process id four times a second.
    """
    words = [str(word) for word in command]
    if memory is not None:
        words = [PYTHON, str(Path(__file__)), str(memory), *words]
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=_environment()
        )
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, watch, stop))
        if watch is not None:
            watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        killer.cancel()
        stop.set()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()[-2000:]
    return Sample(seconds, usage.ru_maxrss * KIB, process.returncode, said)


def _watch(pid: int, watch: Callable[[int], object] | None, stop: threading.Event) -> None:
    while watch is not None and not stop.wait(0.25):
        watch(pid)


def _environment() -> dict[str, str]:
    """The user's own, without what would change what is measured."""
    leaks = ("AUDITDB_", "PYTHON", "HF_", "TRANSFORMERS_", "VLLM_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(leaks)}
    return kept | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def interleaved(cases: Mapping[str, Case], rounds: int) -> dict[str, list[Sample]]:
    """Each case once a round, so that whatever else the machine does falls on all of them alike. Raises Failed.

    One more run of each comes first and is not counted: it fills the file system's cache.
    """
    found: dict[str, list[Sample]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            case.before()
            sample = run(case.command)
            if sample.code not in case.good:
                raise Failed(f"{name}: exit code {sample.code}: {sample.said[-500:]}")
            if number:
                found[name].append(sample)
    return found


def median(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.seconds for sample in samples)


def peak(samples: Sequence[Sample]) -> float:
    """The median of the peaks, in bytes."""
    return statistics.median(sample.peak for sample in samples)


def ratio(samples: Sequence[Sample], floor: Sequence[Sample]) -> float:
    """The median over the rounds of the quotient within a round."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(samples, floor, strict=True))


def fill(*arguments: str | Path) -> None:
    """Run `benchmarks/fill.py` in a process of its own. Raises Failed."""
    command = [PYTHON, "-m", "benchmarks.fill", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command[2:])}: {done.stderr[-1000:]}")


if __name__ == "__main__":  # LIMIT COMMAND…: become the command, with a limit on its address space
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.execv(sys.argv[2], sys.argv[2:])
