"""Owns running `auditdb` as a user does, in a process of its own; asserts nothing itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

# What a developer's shell may hold, and a test must not see.
_LEAKS = ("HF_", "HUGGING", "TRANSFORMERS_", "VLLM_", "OPENAI_", "AUDITDB_")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def in_a_group_of_its_own(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """`python -m auditdb ARGUMENTS`, started: a process group that gets a signal as a whole, as from a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "auditdb", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def auditdb(*arguments: str | Path, cwd: Path, timeout: float = 120, **environment: str) -> Done:
    """Run `python -m auditdb ARGUMENTS` in `cwd`, with no standard input and a home of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(_LEAKS)}
    clean |= {"PYTHONPATH": str(ROOT), "HF_HOME": str(cwd / "hf-home"), "PYTHONWARNINGS": "ignore", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "auditdb", *map(str, arguments)],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
