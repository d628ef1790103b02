"""Parameters per layer, by part, as rows and as a histogram of letters. Pure text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.fold import fold
from auditdb.moe.parts import KINDS, classify
from auditdb.records import Expert, Mark, Module, Reading, Structure
from auditdb.report.text import human, printable

Row = Mapping[str, Any]

LETTERS = {
    "attention": "A",
    "dense MLP": "D",
    "experts": "E",
    "shared experts": "S",
    "router": "R",
    "norm": "N",
    "embedding": "V",
    "head": "H",
    "other": "O",
}
BAR_WIDTH = 48


def layer_rows(modules: Sequence[Row], experts: Sequence[Row]) -> list[dict[str, Any]]:
    """A row a layer in tree order, what lies outside of layers in the row named '': parameters in all and by part."""
    structure = Structure(
        tuple(
            Module(
                row["position"],
                row["name"],
                row["class"],
                row["parent"],
                row["depth"],
                row["n_params"],
                row["n_trainable"],
                row["n_buffers"],
            )
            for row in modules
        ),
        (),
    )
    reading = Reading(
        experts=tuple(
            Expert(
                row["name"], row["class"], row["parent"], row["moe_group"], row["expert"], row["kind"], 0, row["source"]
            )
            for row in experts
            if row["kind"] == "shared"
        ),
        marks=tuple(
            Mark(row["position"], bool(row["is_router"]), bool(row["is_expert"]), row["moe_group"])
            for row in modules
            if row["moe_group"] or row["is_router"] or row["is_expert"]
        ),
    )
    counts: dict[str, Counter[str]] = {}
    for part, module in zip(classify(structure, reading), modules, strict=True):
        name = f"{part.stack}.{part.layer}" if part.layer is not None else ""
        counts.setdefault(name, Counter())[part.kind] += module["n_params"]
    return [
        {"layer": name, "n_params": kinds.total(), **{kind: kinds[kind] for kind in KINDS}}
        for name, kinds in counts.items()
        if kinds.total() or name
    ]


def histogram(rows: Sequence[Row], *, folded: bool = True) -> str:
    """One bar a layer, a letter a part, as long as its parameters; layers that are alike share a line if `folded`."""
    if not rows:
        return "(nothing)\n"
    lines = _alike(rows) if folded else [(row["layer"], 1, row) for row in rows]
    labels = [
        (printable(name) or "outside of layers") + (f" ×{count}" if count > 1 else "") for name, count, _ in lines
    ]
    widest = max(map(len, labels))
    largest = max(row["n_params"] for _, _, row in lines) or 1
    text = []
    for label, (_, _, row) in zip(labels, lines, strict=True):
        text.append(f"{label:<{widest}}  {human(row['n_params']):>8}  {_bar(row, largest)}".rstrip() + "\n")
    used = [kind for kind in KINDS if any(row[kind] for row in rows)]
    legend = ", ".join(f"{LETTERS[kind]} {kind} {human(sum(row[kind] for row in rows))}" for kind in used)
    total = sum(row["n_params"] for row in rows)
    letter = human(round(largest / BAR_WIDTH))
    scale = f"total {human(total)}; each letter is {letter} of one layer, a smaller part has one too"
    return f"{''.join(text)}\n{legend}\n{scale}\n"


def _alike(rows: Sequence[Row]) -> list[tuple[str, int, Row]]:
    """Layers of one stack with the same numbers as one line, in the order of their first."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        stack = row["layer"].rpartition(".")[0]
        groups.setdefault((stack, *(row[kind] for kind in KINDS)), []).append(row)
    lines = []
    for members in groups.values():
        for pattern, count in fold([row["layer"] for row in members]) if members[0]["layer"] else (("", 1),):
            lines.append((pattern, count, members[0]))
    return lines


def _bar(row: Row, largest: int) -> str:
    """Letters in the order of the parts; a part that is there gets one letter at least."""
    return "".join(LETTERS[kind] * max(1, round(BAR_WIDTH * row[kind] / largest)) for kind in KINDS if row[kind])
