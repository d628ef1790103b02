"""How long `auditdb diff` takes on two runs of 60,000 modules of which 1 % differ, against two tiny runs.

Run it from the repository: `python benchmarks/diff_speed.py`. It exits with 1 if a whole process takes over 1 s, or
over 0.5 s more than on tiny runs (the best of five, so that a busy machine is not measured).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.compare.looks import Decoder, store_of  # noqa: E402

LIMIT_S, LIMIT_MORE_S = 1.0, 0.5
REPEATS = 5
COMMAND = """
import gc; gc.disable()
import sys, typer
from auditdb.cli import diff
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.callback()(lambda: None)
diff.register(app)
sys.exit(app(sys.argv[1:], standalone_mode=False))
"""


def best(store: Path, *options: str) -> float:
    """Seconds of the quickest of several whole processes."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "diff", "1", "2", "--db", str(store), *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 1, done
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tiny = store_of(Path(folder) / "tiny.db", Decoder(), replace(Decoder(), layers=3))
        base = Decoder(layers=58, experts=256)
        look = base.look()
        modules = tuple(
            module._replace(class_name="Other") if module.position % 100 == 50 else module
            for module in look.structure.modules
        )
        other = replace(look, revision="1" * 40, structure=replace(look.structure, modules=modules))
        renamed = replace(base, block="moe").look()
        large = store_of(Path(folder) / "large.db", look, other)
        worst = store_of(Path(folder) / "worst.db", look, renamed)
        small, much, all_renamed = best(tiny), best(large), best(worst)
    print(f"two tiny runs: {small:.2f} s for the whole process")
    print(f"{len(modules):,} modules, 1 % different: {much:.2f} s; every MoE block renamed: {all_renamed:.2f} s")
    return 0 if much < LIMIT_S and much - small < LIMIT_MORE_S else 1


if __name__ == "__main__":
    sys.exit(main())
