"""(a) FAST runs as processes, beside the floor and beside accelerate's way of building."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.measure import AUDITDB, PYTHON, ROOT, Case, Sample, fill, interleaved, run
from benchmarks.table import MIB, Row, in_seconds, timed

MODELS = ("Mixtral-8x7B-v0.1", "DeepSeek-V3", "Qwen3-VL-30B-A3B-Instruct")
OTHER = "Llama-3.2-1B"
FLOOR = Path(__file__).parent / "floor.py"
EMPTY_WEIGHTS = Path(__file__).parent / "empty_weights.py"
LIMIT_S, LIMIT_BYTES = 60, 16 * 2**30

TITLE = "(a) A FAST look, as a process"
NOTE = """The floor of each model is `benchmarks/floor.py`: import torch and the one model class, build it on meta,
list its modules. A first look records into a fresh store (which is made on the way) or into one that is there; a
repeated look finds its structure there; `--rebuild` builds all the same. `accelerate estimate-memory` builds a model
as `benchmarks/empty_weights.py` does: once, with 60 s and 16 GiB of address space. The last rows have a checkpoint
beside the config: the headers of every tensor that the class writes, in 163 shards without bodies."""


def measure(folder: Path, rounds: int, quick: bool) -> list[Row]:
    if quick:
        return _beside_floor(folder, MODELS[0], 1)
    rows = [row for model in MODELS for row in _beside_floor(folder, model, rounds)]
    rows += [_with_empty_weights(model) for model in MODELS]
    return rows + _with_checkpoint(folder, rounds)


def _beside_floor(folder: Path, model: str, rounds: int) -> list[Row]:
    path = ROOT / "examples" / model
    other, known, fresh, there = (folder / f"{name}.db" for name in ("other", "known", "fresh", "there"))
    for store, recorded in ((other, OTHER), (known, model)):
        store.unlink(missing_ok=True)
        _recorded(run(_look(ROOT / "examples" / recorded, store)))
    cases = {
        "floor": Case([PYTHON, FLOOR, path]),
        "fresh": Case(_look(path, fresh), lambda: fresh.unlink(missing_ok=True)),
        "there": Case(_look(path, there), lambda: shutil.copy(other, there)),
        "again": Case(_look(path, known)),
        "--rebuild": Case([*_look(path, known), "--rebuild"]),
    }
    found = interleaved(cases, rounds)
    floor = found["floor"]
    limits = {"floor": floor, "at_most": 1.25, "memory_at_most": 1.35}
    return [
        timed(f"{model}: floor", floor),
        timed(f"{model}: first look, fresh store", found["fresh"], **limits),
        timed(f"{model}: first look, store there", found["there"], **limits),
        timed(f"{model}: repeated look", found["again"], floor=floor),
        timed(f"{model}: `--rebuild`", found["--rebuild"], floor=floor),
    ]


def _look(model: Path, store: Path) -> list[str | Path]:
    return [AUDITDB, "run", model, "--fast", "--db", store]


def _recorded(sample: Sample) -> None:
    if sample.code != 0:
        raise SystemExit(f"a look that should be recorded gave exit code {sample.code}: {sample.said}")


def _with_empty_weights(model: str) -> Row:
    sample = run([PYTHON, EMPTY_WEIGHTS, ROOT / "examples" / model], timeout=LIMIT_S, memory=LIMIT_BYTES)
    if sample.code == 0:
        outcome = "built"
    elif sample.code == -9:
        outcome = f"killed after {LIMIT_S} s"
    else:
        outcome = "failed: " + sample.said.splitlines()[-1][:90].replace("|", "/")
    what = f"{model}: accelerate's way"
    return Row(what, in_seconds(sample.seconds), "once", f"{sample.peak / MIB:,.0f}", outcome)


def _with_checkpoint(folder: Path, rounds: int) -> list[Row]:
    model = folder / "sharded"
    model.mkdir()
    fill("checkpoint", ROOT / "examples" / "DeepSeek-V3", model)
    fresh, known = folder / "sharded-fresh.db", folder / "sharded-known.db"
    _recorded(run(_look(model, known)))
    cases = {
        "first": Case(_look(model, fresh), lambda: fresh.unlink(missing_ok=True)),
        "again": Case(_look(model, known)),
    }
    found = interleaved(cases, rounds)
    shutil.rmtree(model)
    return [
        timed("DeepSeek-V3 with a checkpoint: first look", found["first"]),
        timed(
            "DeepSeek-V3 with a checkpoint: repeated, beside the first",
            found["again"],
            floor=found["first"],
            at_most=0.2,
        ),
    ]
