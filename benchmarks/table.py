"""Measurements as the rows of one Markdown table, and the machine in words that name no host. Measures nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import textwrap
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Sample, median, peak, ratio

PACKAGES = ("torch", "transformers", "accelerate", "safetensors", "huggingface_hub", "sqlalchemy", "typer", "auditdb")
MIB = 2**20


class Row(NamedTuple):
    """One line: what was measured, the numbers as text, and whether the target, where there is one, is met."""

    what: str
    median: str
    spread: str = ""
    memory: str = ""
    beside: str = ""
    target: str = ""
    met: bool | None = None


def timed(
    what: str,
    samples: Sequence[Sample],
    *,
    floor: Sequence[Sample] | None = None,
    at_most: float | None = None,
    memory_at_most: float | None = None,
    seconds_at_most: float | None = None,
    target: str = "",
) -> Row:
    """A row of process times; with `floor`, beside that. Limits are quotients, but for `seconds_at_most`."""
    times = [sample.seconds for sample in samples]
    beside, targets, held = "", [target] if target else [], []
    if floor is not None:
        by, more = ratio(samples, floor), peak(samples) / peak(floor)
        beside = f"{by:.2f} × time, {more:.2f} × memory"
        if at_most is not None:
            targets.append(f"≤ {at_most:g} × time")
            held.append(by <= at_most)
        if memory_at_most is not None:
            targets.append(f"≤ {memory_at_most:g} × memory")
            held.append(more <= memory_at_most)
    if seconds_at_most is not None:
        targets.append(f"< {seconds_at_most:g} s")
        held.append(median(samples) < seconds_at_most)
    met = all(held) if held else None
    spread = f"{in_seconds(min(times))} – {in_seconds(max(times))}"
    memory = f"{peak(samples) / MIB:,.0f}"
    return Row(what, in_seconds(median(samples)), spread, memory, beside, ", ".join(targets), met)


def in_seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(title: str, note: str, rows: Sequence[Row]) -> str:
    head = ["| | median | spread | peak MiB | beside | target | |", "|---|---|---|---|---|---|---|"]
    lines = [f"## {title}", "", paragraph(note), "", *head]
    for row in rows:
        verdict = "" if row.met is None else "met" if row.met else "**missed**"
        lines.append(f"| {' | '.join((*row[:-1], verdict))} |")
    return "\n".join(lines) + "\n"


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def machine() -> str:
    """Cores, processor, memory, system, Python and library versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    return (
        f"{cores} cores of {_processor()}, {memory:.0f} GiB of memory, {platform.system()}; "
        f"Python {platform.python_version()}, {', '.join(versions)}."
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or platform.machine()
    return platform.machine()
