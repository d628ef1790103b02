"""A comparison as text: a table for a terminal, Markdown for a pull request, JSON for a program. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from auditdb.diff_records import Change, Diff, Field, Section, SectionName
from auditdb.report.text import exact, markdown_cell, printable

Format = Literal["table", "json", "markdown"]

FORMAT_TAG = "auditdb-diff/1"
MOST_LINES = 16  # a section, unless everything is asked for
TITLES: Mapping[SectionName, str] = {
    "identity": "identity (never counts)",
    "config": "config",
    "totals": "totals",
    "modules": "modules",
    "parameters": "parameters and buffers",
    "moe": "MoE",
    "expected": "expected tensors",
    "checkpoint": "checkpoint",
    "integrity": "integrity",
}
_COUNT_FIELDS = frozenset({"n_params", "n_trainable", "n_buffers"})


def diff_text(diff: Diff, form: Format, *, whole: bool = False) -> str:
    """The comparison, ending with a newline. `whole`: no section is cut short and nothing is summed up."""
    if form == "json":
        return json.dumps(document(diff), indent=2, allow_nan=False) + "\n"
    return _markdown(diff, whole) if form == "markdown" else _table(diff, whole)


def document(diff: Diff) -> dict[str, Any]:
    """The JSON form, described by `diff.schema.json` beside this file. Names are as recorded, numbers exact."""
    return {
        "format": FORMAT_TAG,
        "verdict": diff.verdict,
        "different": diff.differs,
        "sentence": diff.sentence,
        "a": dict(diff.a),
        "b": dict(diff.b),
        "sections": {
            section.name: {
                "different": section.differs,
                "notes": list(section.notes),
                "changes": [_change_document(change) for change in section.changes],
            }
            for section in diff.sections
        },
    }


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "a": change.a,
        "b": change.b,
        "n": change.n,
        "below": change.below,
        "fields": [{"name": field.name, "a": field.a, "b": field.b} for field in change.fields],
        "counts": change.counts,
    }


def _table(diff: Diff, whole: bool) -> str:
    lines = [printable(diff.sentence), "", _run_line("A", diff.a), _run_line("B", diff.b)]
    for section in diff.sections:
        rows = [_cells(section.name, change) for change in _shown(section, diff, whole)]
        if section.name == "identity":
            rows = [row for row in rows if row[0] == "toolchain"]
        if not rows and not section.notes:
            continue
        lines += ["", TITLES[section.name]]
        kept = rows if whole else rows[:MOST_LINES]
        width = max((len(name) for name, *_ in kept if len(name) <= 72), default=0)
        says_kind = section.name not in ("identity", "totals")
        for name, kind, detail, count in kept:
            cells = [name.ljust(width), *([kind.ljust(7)] if says_kind else []), detail, count]
            lines.append(("  " + "  ".join(cell for cell in cells if cell.strip())).rstrip())
        if len(rows) > len(kept):
            lines.append(f"  … {len(rows) - len(kept)} more lines: --only {section.name} --all")
        lines += [f"  {printable(note)}" for note in section.notes]
    return "\n".join(lines) + "\n"


def _run_line(side: str, run: Mapping[str, Any]) -> str:
    model, revision = str(run["model"]), str(run["revision"])[:18]
    text = f"{side}  run {run['run_id']}  {model}@{revision}  {run['model_class']}  {run['mode']}  {run['status']}"
    return printable(f"{text}  {run['started_at']}")


def _shown(section: Section, diff: Diff, whole: bool) -> list[Change]:
    """The changes that a reader is shown: what another section says already is one line or none."""
    changes = list(section.changes)
    if whole:
        return changes
    names = {other.name for other in diff.sections if other.changes}
    if section.name == "modules" and "parameters" in names:
        changes = _summed(changes, _is_count_only, "modules hold other numbers (see parameters)")
    if section.name == "expected" and "parameters" in names and len(changes) > 4:
        changes = _summed(changes, lambda change: change.kind == "changed", "tensors in other shapes (see parameters)")
    if section.name == "totals":
        changes = _without_repeats(changes, {"n_trainable": "n_params", "n_routers": "n_groups"})
    return changes


def _is_count_only(change: Change) -> bool:
    return change.kind == "changed" and all(field.name in _COUNT_FIELDS for field in change.fields)


def _summed(changes: Sequence[Change], belongs: Any, label: str) -> list[Change]:
    """Changes that belong together as one line behind the others."""
    inside = [change for change in changes if belongs(change)]
    if len(inside) < 2:
        return list(changes)
    total = sum(change.n for change in inside)
    line = Change("changed", f"{total:,} {label}", f"{total:,} {label}")
    return [*(change for change in changes if not belongs(change)), line]


def _without_repeats(changes: Sequence[Change], repeats: Mapping[str, str]) -> list[Change]:
    values = {change.a: (change.fields[0].a, change.fields[0].b) for change in changes}
    return [c for c in changes if values[c.a] != values.get(repeats.get(c.a or ""))]


def _cells(section: SectionName, change: Change) -> tuple[str, str, str, str]:
    """Name, kind, what differs, and how many."""
    # The root's name is the empty text.
    name = (change.b if change.a is None else change.a) or "<root>"
    if change.kind == "renamed":
        name = f"{change.a} → {change.b}"
    detail = ", ".join(_field_text(section, change, field) for field in _told(change.fields))
    if not change.counts and section != "identity":
        detail = f"{detail}  (does not count)".strip()
    return printable(name), change.kind, printable(detail), _count_text(section, change)


def _count_text(section: SectionName, change: Change) -> str:
    many = f"×{change.n:,}" if change.n > 1 else ""
    what = "modules" if section == "modules" else "rows"
    below = f"with {change.below:,} {what if change.below > 1 else what[:-1]} below" if change.below else ""
    return ", ".join(text for text in (many, below) if text)


def _told(fields: Sequence[Field]) -> list[Field]:
    """`n_trainable` is left out where it only repeats `n_params`."""
    params = next(((field.a, field.b) for field in fields if field.name == "n_params"), None)
    return [field for field in fields if not (field.name == "n_trainable" and (field.a, field.b) == params)]


def _field_text(section: SectionName, change: Change, field: Field) -> str:
    form = _config_value if section == "config" else _value
    label = "" if field.name in ("value", "status") else field.name + " "
    if change.a == "toolchain":
        return _toolchains(str(field.a), str(field.b))
    if change.kind in ("added", "removed"):
        value = field.b if change.kind == "added" else field.a
        bare = field.name in ("value", "status", "class", "kind", "shape", "dtype", "sha256")
        return form(value) if bare else f"{label}{form(value)}"
    if section == "totals" and isinstance(field.a, int) and isinstance(field.b, int):
        return f"{form(field.a)} → {form(field.b)}{_growth(field.a, field.b)}"
    if field.name == "sha256":
        return f"{label}{str(field.a)[:12]} → {str(field.b)[:12]}"
    return f"{label}{form(field.a)} → {form(field.b)}"


def _toolchains(a: str, b: str) -> str:
    """The versions that differ, out of two labels like `py3.11.7 torch2.13.0+cpu transformers5.23.0`."""
    left, right = a.split(" "), b.split(" ")
    gone = [part for part in left if part not in right]
    come = [part for part in right if part not in left]
    return f"{' '.join(gone) or 'nothing'} → {' '.join(come) or 'nothing'}"


def _growth(a: int, b: int) -> str:
    if not a or not b:
        return ""
    percent = (b - a) * 100 / a
    return f"  ({percent:+.2f} %)" if b < 2 * a else f"  (×{b / a:.3g})"


def _value(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return exact(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if value != "" else "none"


def _config_value(value: Any) -> str:
    """A value as JSON; in a long list neighbours that are equal are counted: `["full" ×3, "sliding"]`."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and len(text) > 40:
        encoded = [json.dumps(item, ensure_ascii=False) for item in value]
        runs = [(item, len(list(group))) for item, group in groupby(encoded)]
        text = "[" + ", ".join(item if n == 1 else f"{item} ×{n}" for item, n in runs) + "]"
    return text if len(text) <= 120 else f"{text[:100]}… ({len(value) if isinstance(value, list) else len(text)} long)"


def _markdown(diff: Diff, whole: bool) -> str:
    lines = [f"**{markdown_cell(diff.sentence)}**", "", "| | A | B |", "|:--|:--|:--|"]
    for name in ("run_id", "model", "revision", "model_class", "toolchain", "mode", "status"):
        lines.append("| " + " | ".join(markdown_cell(str(cell)) for cell in (name, diff.a[name], diff.b[name])) + " |")
    for section in diff.sections:
        if section.name == "identity":
            continue
        changes = _shown(section, diff, whole)
        lines += ["", f"### {markdown_cell(TITLES[section.name])}", ""]
        lines += [markdown_cell(note) + "\n" for note in section.notes]
        if changes:
            rows = [_cells(section.name, change) for change in changes]
            long = len(rows) > MOST_LINES
            lines += [f"<details><summary>{len(rows)} lines</summary>", ""] if long else []
            lines += ["| what | change | how | count |", "|:--|:--|:--|:--|"]
            lines += ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
            lines += ["", "</details>"] if long else []
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema that `document` follows."""
    text = Path(__file__).with_name("diff.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
