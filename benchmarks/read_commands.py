"""(b) Each command that only reads, on a small store, beside importing what such a program must import."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import AUDITDB, PYTHON, ROOT, Case, Failed, interleaved, run
from benchmarks.table import Row, timed

TITLE = "(b) Read commands"
NOTE = """A store of two looks at Mixtral-8x7B (391 modules), the second with half the experts. The floor is
`python -c "import sqlite3, typer, tabulate"`."""

COMMANDS: dict[str, list[str]] = {
    "list": ["list"],
    "show": ["show", "1"],
    "show --tree": ["show", "1", "--tree"],
    "top": ["top", "1"],
    "moe": ["moe", "1"],
    "layers": ["layers", "1"],
    "report": ["report", "1", "-o", "{report}"],
    "sql": ["sql", "SELECT count(*) FROM run_modules"],
    "diff": ["diff", "1", "2"],
    "check": ["check", "1", str(ROOT / "examples" / "checks")],
    "verify": ["verify"],
    "db status": ["db", "status"],
}
DIFFERENT = {"diff"}  # exit code 1 is what they are to say


def measure(folder: Path, rounds: int, quick: bool) -> list[Row]:
    store = _store(folder)
    cases = {"floor": Case([PYTHON, "-c", "import sqlite3, typer, tabulate"])}
    for name, words in COMMANDS.items():
        words = [word.format(report=folder / "report") for word in words]
        cases[name] = Case([AUDITDB, *words, "--db", store], good=(1,) if name in DIFFERENT else (0,))
    found = interleaved(cases, 5 if quick else 2 * rounds)
    rows = [timed("floor", found["floor"])]
    return rows + [timed(f"`{name}`", found[name], floor=found["floor"], at_most=1.5) for name in COMMANDS]


def _store(folder: Path) -> Path:
    store, changed = folder / "small.db", folder / "half"
    mixtral = ROOT / "examples" / "Mixtral-8x7B-v0.1"
    raw = json.loads((mixtral / "config.json").read_text())
    changed.mkdir()
    (changed / "config.json").write_text(json.dumps(raw | {"num_local_experts": 4}))
    for model in (mixtral, changed):
        sample = run([AUDITDB, "run", model, "--fast", "--db", store])
        if sample.code:
            raise Failed(sample.said)
    return store
