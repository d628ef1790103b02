"""Makes what the benchmarks measure on, each in a process of its own: python -m benchmarks.fill THING ARGUMENTS."""

from __future__ import annotations

import gc
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path

from auditdb.records import Check
from auditdb.store.migrate import ensure
from auditdb.store.write import Writer
from benchmarks.measure import KIB
from tests import small
from tests.compare.looks import Decoder

SHARDS = 163  # as many as DeepSeek-V3 has
LARGE = Decoder(layers=58, experts=256)  # 59,862 modules
CHECKS = tuple(
    Check(name, "PASS" if name == "tree_total" else "SKIP", reason="no weights lie beside the config")
    for name in ("tree_total", "tied", "moe_groups", "moe_config", "index", "headers", "checkpoint", "dtypes", "finite")
)


def large(folder: str, times: str) -> None:
    """`one.db` with a look at 59,862 modules, `two.db` with another beside it of which 1 % of the modules differ, and
    in `writing.txt` the seconds that recording the first took, `times` times, with the peak memory of this process."""
    gc.disable()  # as auditdb's own main does
    look = LARGE.look()
    modules = tuple(m._replace(class_name="Other") if m.position % 100 == 50 else m for m in look.structure.modules)
    other = replace(look, revision="1" * 40, structure=replace(look.structure, modules=modules))
    seconds = []
    for number in range(int(times)):
        path = Path(folder) / f"again{number}.db"
        ensure(path)
        with Writer(path) as writer:
            start = time.perf_counter()
            writer.record(look)
            seconds.append(time.perf_counter() - start)
        path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    (Path(folder) / "writing.txt").write_text(json.dumps([[each, peak] for each in seconds]))
    for name, looks in (("one.db", [look]), ("two.db", [look, other])):
        ensure(Path(folder) / name)
        with Writer(Path(folder) / name) as writer:
            for each in looks:
                writer.record(each)


def runs(path: str, number: str, structures: str) -> None:
    """A store of `number` runs over at most `structures` structures and as many models: the first run of each is
    recorded, the others are copies of them in SQL, made later and as reused looks (their digests are not right)."""
    gc.disable()
    total, distinct = int(number), min(int(number), int(structures))
    ensure(Path(path))
    toy = small.structure()
    with Writer(Path(path)) as writer:
        for place in range(distinct):
            first = toy.modules[0]._replace(class_name=f"Toy{place}ForCausalLM")
            structure = replace(toy, modules=(first, *toy.modules[1:]))
            writer.record(
                small.look(
                    model=f"org/toy-{place}",
                    config_text=json.dumps({"model_type": "toy", "number": place}),
                    structure=structure,
                    checks=CHECKS,
                    started_at=f"2026-01-01T00:{place // 60 % 60:02}:{place % 60:02}Z",
                ),
                reusable=True,
            )
    _copy_runs(Path(path), total - distinct, distinct)


def _copy_runs(path: Path, wanted: int, distinct: int) -> None:
    connection = sqlite3.connect(path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    changed = {
        "id": "?",
        "uid": "lower(hex(randomblob(16)))",
        "reused": "uid",
        "started_at": "strftime('%Y-%m-%dT%H:%M:%SZ', started_at, '+' || ? || ' minutes')",
    }
    chosen = ", ".join(changed.get(column, f'"{column}"') for column in columns)
    connection.executemany(
        f"INSERT INTO runs SELECT {chosen} FROM runs WHERE id = ?",
        ((distinct + 1 + place, 60 + place, 1 + place % distinct) for place in range(wanted)),
    )
    connection.executemany(
        "INSERT INTO integrity SELECT ?, position, name, status, expected, seen, reason FROM integrity"
        " WHERE run_id = ?",
        ((distinct + 1 + place, 1 + place % distinct) for place in range(wanted)),
    )
    connection.commit()
    connection.close()


def checkpoint(model: str, folder: str) -> None:
    """The config of `model` with a checkpoint beside it of real headers and index, spread over shards whose bodies are
    holes: every tensor that its class would write, in bfloat16."""
    from auditdb.inspect.build import build
    from auditdb.inspect.expected import expected_tensors

    text = (Path(model) / "config.json").read_text()
    expected = expected_tensors(build(json.loads(text)).model)
    (Path(folder) / "config.json").write_text(text)
    weight_map = {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:06}.safetensors"
        header, end = {}, 0
        for tensor in expected[len(expected) * shard // SHARDS : len(expected) * (shard + 1) // SHARDS]:
            size = 2 * prod(tensor.shape)
            header[tensor.name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [end, end + size]}
            weight_map[tensor.name] = name
            end += size
        data = json.dumps(header).encode()
        with (Path(folder) / name).open("wb") as file:
            file.write(len(data).to_bytes(8, "little") + data)
            file.truncate(8 + len(data) + end)
    total = sum(2 * prod(tensor.shape) for tensor in expected)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(index))


def defaults(folder: str, at_most: str) -> None:
    """A folder with the default config.json of each model type of the installed transformers that can write one."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    made = 0
    for model_type in CONFIG_MAPPING:
        if made == int(at_most):
            break
        try:
            text = json.dumps(CONFIG_MAPPING[model_type]().to_dict(), indent=1)
        except Exception as error:  # a default that is no real config: a None, a package that is not installed
            print(f"{model_type}: {type(error).__name__}", file=sys.stderr)
            continue
        place = Path(folder) / model_type
        place.mkdir(parents=True)
        (place / "config.json").write_text(text)
        made += 1


THINGS: dict[str, Callable[..., None]] = {
    "large": large,
    "runs": runs,
    "checkpoint": checkpoint,
    "defaults": defaults,
}

if __name__ == "__main__":
    THINGS[sys.argv[1]](*sys.argv[2:])
