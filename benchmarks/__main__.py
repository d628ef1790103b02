"""The one command: `python -m benchmarks [PART…] [--quick] [--rounds N]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import first_look, growth, large, many, read_commands
from benchmarks.measure import AUDITDB, PYTHON, Failed, run
from benchmarks.table import machine, paragraph, table

PARTS = {"a": first_look, "b": read_commands, "c": large, "d": growth, "g": many}
RESULTS = Path(__file__).parent / "RESULTS.md"
RELEASES = (
    "from auditdb.inspect.toolchain import is_release as f; assert all(map(f, ('torch', 'transformers', 'auditdb')))"
)

INTRODUCTION = """Each command ran {rounds} times or more as a process of its own, in turn with what it is compared
with, after one run that does not count. Times beside another are the median of the quotients within a round. Peak
memory is that of the process."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure auditdb; see benchmarks/__init__.py."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="few rounds, small inputs, nothing written")
    parser.add_argument("--rounds", type=int, help="how often each command is run (5; with --quick 2)")
    given = parser.parse_args()
    strange = sorted(set(given.parts) - set(PARTS))
    if strange:
        parser.error(f"no part {', '.join(strange)}; there are {', '.join(PARTS)}")
    if not Path(AUDITDB).exists() or run([PYTHON, "-c", RELEASES]).code:
        print("auditdb is not installed here as a wheel: repeated looks are built again", file=sys.stderr)
    chosen = given.parts or list(PARTS)
    rounds = given.rounds or (2 if given.quick else 5)
    start = time.perf_counter()
    try:
        text = _measured(chosen, rounds, given.quick)
    except Failed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(text, end="")
    print(f"\n{time.perf_counter() - start:.0f} s in all", file=sys.stderr)
    if not given.quick and not given.parts:
        RESULTS.write_text(text, encoding="utf-8")
    return 1 if "**missed**" in text else 0


def _measured(chosen: list[str], rounds: int, quick: bool) -> str:
    texts = [
        "# How fast auditdb is\n",
        paragraph(f"Made by `python -m benchmarks` on {machine()}") + "\n",
        paragraph(INTRODUCTION.format(rounds=rounds)) + "\n",
    ]
    for name in chosen:
        part = PARTS[name]
        print(f"measuring {part.TITLE} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="auditdb-benchmark-") as folder:
            rows = part.measure(Path(folder), rounds, quick)
        texts.append(table(part.TITLE, part.NOTE, rows))
    return "\n".join(texts)


if __name__ == "__main__":
    sys.exit(main())
