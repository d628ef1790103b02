"""(g) `auditdb sweep` over the default config of every model type of the installed transformers."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from benchmarks.measure import AUDITDB, Case, fill, interleaved, run
from benchmarks.table import MIB, Row, in_seconds, timed

JOBS = 2
QUICK_MODELS = 60

TITLE = "(g) A sweep"
NOTE = """The default configs of all model types of the installed transformers that have one, as folders, FAST, with two
processes; many are towers and parts without a model class of their own, which fail with a reason. The rate is over the
time after the first outcome was recorded. Memory is that of all processes together (shared pages counted once,
looked at four times a second). The second sweep finds everything recorded."""


def measure(folder: Path, rounds: int, quick: bool) -> list[Row]:
    configs, store = folder / "defaults", folder / "sweep.db"
    fill("defaults", configs, str(QUICK_MODELS if quick else 100_000))
    models = len(list(configs.iterdir()))
    watched = _Watched(store)
    command = [AUDITDB, "sweep", configs, "--jobs", str(JOBS), "--db", store, "--format", "csv"]
    sample = run(command, timeout=1200, watch=watched.look)
    connection = sqlite3.connect(store)
    passed = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    failed = connection.execute("SELECT count(*) FROM failures WHERE reason <> ''").fetchone()[0]
    connection.close()
    rate = (models - 1) / (sample.seconds - watched.startup)
    again = interleaved({"again": Case(command, good=(0, 1))}, 2 if quick else rounds)["again"]
    return [
        Row(
            f"{models} models: {passed} recorded, {failed} failures with their reason",
            in_seconds(sample.seconds),
            "once",
            beside=f"exit code {sample.code}",
            target="all accounted for",
            met=passed + failed == models,
        ),
        Row("start-up, to the first outcome", in_seconds(watched.startup), "once"),
        Row("rate after that", f"{rate:.1f} models a second", "once", target="≥ 8 models a second", met=rate >= 8),
        Row(
            "peak of all processes",
            "",
            "once",
            f"{watched.peak / MIB:,.0f}",
            target="< 1,500 MB",
            met=watched.peak < 1500e6,
        ),
        timed("the same sweep again: everything skipped", again, seconds_at_most=3),
    ]


class _Watched:
    """Looks at a process and all below it: their memory, and when the store got its first row."""

    def __init__(self, store: Path) -> None:
        self.peak = 0
        self.startup = 0.0
        self._store = store
        self._start = time.perf_counter()

    def look(self, pid: int) -> None:
        self.peak = max(self.peak, sum(map(_memory, _family(pid))))
        if not self.startup and self._has_a_row():
            self.startup = time.perf_counter() - self._start

    def _has_a_row(self) -> bool:
        if not self._store.exists():
            return False
        connection = sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)
        try:
            query = "SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM failures)"
            return bool(connection.execute(query).fetchone()[0])
        except sqlite3.Error:  # it is being made
            return False
        finally:
            connection.close()


def _family(pid: int) -> list[int]:
    """A process and its descendants; only the process itself where there is no /proc."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(place.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _memory(pid: int) -> int:
    """Bytes of a process, shared pages in equal parts; 0 where the system does not say."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
