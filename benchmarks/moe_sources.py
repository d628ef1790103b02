"""How good each source of moe/ is alone: precision and recall over the MoE families of the installed transformers.

    python benchmarks/moe_sources.py            prints the table
    python benchmarks/moe_sources.py --write    writes benchmarks/moe_sources.md

The yardstick are the tables in tests/data/moe/ (tests/moe/test_defaults.py says how each was made): a family is used
only if the reading by all sources together agrees with its row in every column. What a source finds is then
compared with that reading name by name, over these families and over all dense model types, where
anything found is wrong.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from auditdb.inspect.declared import read_declared  # noqa: E402
from auditdb.inspect.toolchain import current  # noqa: E402
from auditdb.inspect.tree import read_tree  # noqa: E402
from auditdb.moe.read import SOURCES, read_moe  # noqa: E402
from auditdb.records import Declared, Reading, Structure  # noqa: E402
from tests.moe.models import COLUMNS, build_default, in_columns, major, rows  # noqa: E402

TABLES = ("moe/moe_families.csv", "moe/more_families.csv") if major() >= 5 else ("moe/transformers_4.csv",)
# Sources alone, then what is left where nothing is declared: remote code, and trees from tensor names.
SETUPS: dict[str, tuple[tuple[str, ...], bool]] = {name: ((name,), True) for name in SOURCES} | {
    "all": (tuple(SOURCES), True),
    "all, nothing declared": (tuple(SOURCES), False),
}


class Score(NamedTuple):
    """Names found that are right, found that are wrong, and not found."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def plus(self, found: set[str], truth: set[str]) -> Score:
        return Score(self.right + len(found & truth), self.wrong + len(found - truth), self.missed + len(truth - found))

    def shown(self) -> str:
        found, truth = self.right + self.wrong, self.right + self.missed
        precision = f"{self.right / found:.3f}" if found else "–"
        return f"{precision} | {self.right / truth:.3f}" if truth else f"{precision} | –"


def names(reading: Reading) -> tuple[set[str], set[str]]:
    return {row.name for row in reading.routers}, {row.name for row in reading.experts}


def measure() -> tuple[dict[str, tuple[Score, Score]], dict[str, list[str]], list[str], int]:
    """Scores of routers and experts by setup, where each is off, the families, and the number of dense types."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    scores = {setup: (Score(), Score()) for setup in SETUPS}
    off: dict[str, list[str]] = {setup: [] for setup in SETUPS}
    table = [row for name in TABLES for row in rows(name)]
    known = {row["model_type"] for row in table}
    cases: list[tuple[str, dict[str, Any], dict[str, str] | None]] = [
        (row["model_type"], json.loads(row.get("config") or "{}"), row) for row in table
    ]
    cases += [(model_type, {}, None) for model_type in CONFIG_MAPPING if model_type not in known]
    families: list[str] = []
    dense = 0
    for model_type, changes, row in cases:
        built = build_default(model_type, changes, row["model_class"] if row and row.get("config") else "")
        if built is None:
            continue
        structure, declared, raw = read_tree(built[0]), read_declared(built[0]), built[1]
        whole = read_moe(structure, declared, raw)
        if row is not None and in_columns(structure, whole) != {column: row[column] for column in COLUMNS}:
            raise SystemExit(f"{model_type} is not read as its row in {TABLES} says; run the tests first")
        truth = names(whole if row is not None else Reading())
        label = model_type + (" (with changed keys)" if changes else "")
        if whole.groups:
            families.append(label)
        else:
            dense += 1
        for setup in SETUPS:
            found = names(_read(setup, structure, declared, raw))
            scores[setup] = (scores[setup][0].plus(found[0], truth[0]), scores[setup][1].plus(found[1], truth[1]))
            if found != truth:
                off[setup].append(label)
    return scores, off, families, dense


def _read(setup: str, structure: Structure, declared: Declared, raw: dict[str, Any]) -> Reading:
    sources, told = SETUPS[setup]
    return read_moe(structure, declared if told else Declared(), raw, sources)


def text() -> str:
    scores, off, all_families, dense = measure()
    lines = [
        "# Sources of routers and experts, one by one",
        "",
        f"Made by `python benchmarks/moe_sources.py --write` with {current()}.",
        f"{len(all_families)} MoE configurations and {dense} dense ones, each a default config of the installed",
        "transformers or one with a few keys changed (`tests/data/moe/`). An expert counts by its name.",
        "",
        "| source | routers: precision | recall | experts: precision | recall | configurations with any difference |",
        "|---|---|---|---|---|---|",
    ]
    for setup, (routers, experts) in scores.items():
        lines.append(f"| {setup} | {routers.shown()} | {experts.shown()} | {len(off[setup])} |")
    lines += [
        "",
        "A source alone pairs only what it found itself: `declared` lacks banks that carry no declaration (and points",
        "at the block around the router in doge and ernie4_5_vl_moe), `family` is a handful of spellings and is",
        "meant to find nothing else, `name` is never used where a stronger one speaks.",
        "",
        "## Where each is off",
        "",
    ]
    for setup, types in off.items():
        right = [model_type for model_type in all_families if model_type not in types]
        few = f"everywhere but in {', '.join(right)}" if len(types) > len(right) else ", ".join(types)
        lines.append(f"- **{setup}**: {few if types else 'nowhere'}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    made = text()
    if "--write" in sys.argv[1:]:
        (ROOT / "benchmarks" / "moe_sources.md").write_text(made, encoding="utf-8")
    else:
        print(made, end="")
