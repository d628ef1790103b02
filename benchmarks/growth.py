"""(d) Stores of 10, 1,000 and 100,000 runs, and (f) what one more look costs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import AUDITDB, ROOT, Case, Failed, Sample, fill, interleaved, run
from benchmarks.table import Row, timed

SIZES = (10, 1_000, 100_000)
QUICK_SIZES = (10, 200)
STRUCTURES = 1_000
LOOKS = 20  # that are recorded to see what one adds
MIXTRAL = ROOT / "examples" / "Mixtral-8x7B-v0.1"

TITLE = "(d) A growing store, and (f) what a repeated look adds"
NOTE = """Stores of 10, 1,000 and 100,000 runs over up to 1,000 models and small structures; `run` is a repeated look at
Mixtral-8x7B, which each of them holds as well. Each is beside the same command on the store of 10 runs. The bytes are
what the file of 10 runs grew by over 20 repeated looks, each."""


def measure(folder: Path, rounds: int, quick: bool) -> list[Row]:
    sizes = QUICK_SIZES if quick else SIZES
    cases = {}
    for size in sizes:
        store = folder / f"{size}.db"
        fill("runs", store, str(size), str(STRUCTURES))
        _look(store)
        cases |= {(name, size): case for name, case in _cases(folder, store).items()}
    found = interleaved({f"{name} {size}": case for (name, size), case in cases.items()}, rounds)
    rows = []
    for name in dict.fromkeys(name for name, _ in cases):
        first = found[f"{name} {sizes[0]}"]
        rows.append(timed(f"`{name}`, {sizes[0]} runs", first))
        for size in sizes[1:]:
            limit = 1.5 if size == SIZES[-1] and name in ("list", "show", "diff") else None
            rows.append(timed(f"`{name}`, {size:,} runs", found[f"{name} {size}"], floor=first, at_most=limit))
    return [*rows, _bytes_a_look(folder / f"{sizes[0]}.db")]


def _cases(folder: Path, store: Path) -> dict[str, Case]:
    def command(*words: str | Path) -> list[str | Path]:
        return [AUDITDB, *words, "--db", store]

    return {
        "list": Case(command("list")),
        "show": Case(command("show", "toy-3")),
        "report": Case(command("report", "5", "-o", folder / "growth-report")),
        "diff": Case(command("diff", "5", "toy-7"), good=(1,)),
        "run": Case(command("run", MIXTRAL, "--fast")),
    }


def _look(store: Path) -> Sample:
    sample = run([AUDITDB, "run", MIXTRAL, "--fast", "--db", store])
    if sample.code:
        raise Failed(sample.said)
    return sample


def _bytes_a_look(store: Path) -> Row:
    before = store.stat().st_size
    for _ in range(LOOKS):
        _look(store)
    each = (store.stat().st_size - before) / LOOKS
    return Row("(f) a repeated look", f"{each:,.0f} bytes", target="< 4,096 bytes", met=each < 4096)
