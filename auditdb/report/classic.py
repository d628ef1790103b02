"""The classic report files, as text, from a run's rows alone. Pure: the same rows give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditdb.report.rows import strict
from auditdb.report.summary import counted_lines, identity_lines, integrity_lines, notes_of
from auditdb.report.text import csv_cell, printable

if TYPE_CHECKING:
    from auditdb.records import RunRows

Row = Mapping[str, Any]

MODULE_COLUMNS = ["name", "class", "parent", "depth", "n_params", "n_trainable", "n_buffers"]
MODULE_COLUMNS += ["is_router", "is_expert", "moe_group"]
ROUTER_COLUMNS = ["name", "class", "moe_group", "n_experts", "top_k", "source"]
EXPERT_COLUMNS = ["name", "class", "parent", "moe_group", "expert", "kind", "n_params", "source"]


def classic_files(rows: RunRows) -> dict[str, str]:
    """File name → text of every classic file that this run has."""
    files = {
        "summary.txt": summary_text(rows),
        "skeleton.txt": skeleton_text(rows.modules),
        "modules.csv": _csv(rows.modules, MODULE_COLUMNS),
        "routers.csv": _csv(rows.routers, ROUTER_COLUMNS),
        "experts.csv": _csv(rows.experts, EXPERT_COLUMNS),
        "validation_report.txt": validation_text(rows),
        "summary.json": summary_json(rows.run, rows.groups, rows.integrity),
        "modules.json": _json_rows(rows.modules, MODULE_COLUMNS),
    }
    if rows.run["hooks_ran"]:
        files["hook_log.txt"] = hook_text(rows)
    if rows.endpoint is not None:
        files["endpoint.json"] = endpoint_text(rows.endpoint)
    return files


def skeleton_text(modules: Iterable[Row]) -> str:
    """A line a module in tree order, two spaces a level, `name :: Class`, the root as `<root>`."""
    lines = []
    for row in modules:
        name = str(row["name"])
        level = name.count(".") + 1 if name else 0
        lines.append(f"{'  ' * level}{printable(name) if name else '<root>'} :: {printable(str(row['class']))}\n")
    return "".join(lines)


def summary_text(rows: RunRows) -> str:
    """Identity, totals, counts, and the line `INTEGRITY STATUS: …` with the reasons of a FAIL."""
    run = rows.run
    lines = [*identity_lines(run), "", *counted_lines(run, rows.groups), "", f"INTEGRITY STATUS: {run['status']}"]
    for check in rows.integrity:
        if check["status"] == "FAIL":
            lines.append(f"  - {check['name']}: {printable(check['reason'])}")
    lines += ["", "Checks:", *integrity_lines(rows.integrity)]
    return "\n".join(lines) + "\n"


def validation_text(rows: RunRows) -> str:
    """MoE groups with their numbers; warnings of incomplete ones; notes; FULL: totals and delta; every check."""
    run = rows.run
    lines = ["MoE groups", "----------"]
    for group in rows.groups:
        top_k = "unknown" if group["top_k"] is None else group["top_k"]
        lines.append(
            f"{printable(group['name']) or '<root>'}: experts={group['n_experts']} routers={group['n_routers']} "
            f"shared={group['n_shared']} top_k={top_k} params={group['n_params']:,}"
        )
    if not rows.groups:
        lines.append("none: no router and no expert was found")
    warnings = [f"{printable(group['name'])}: no router" for group in rows.groups if not group["n_routers"]] + [
        f"{printable(group['name'])}: no experts" for group in rows.groups if not group["n_experts"]
    ]
    lines += ["", "Warnings", "--------", *(warnings or ["none"])]
    notes = [printable(str(note)) for note in notes_of(run)]
    lines += ["", "Notes", "-----", *notes] if notes else []
    if run["mode"] == "full":
        total, own = run["n_params"], run["own_total"]
        delta = "unknown" if own is None else f"{own - total:,}"
        shown = "unknown" if own is None else f"{own:,}"
        lines += ["", "Totals", "------", f"model total: {shown}", f"table total: {total:,}", f"delta: {delta}"]
    lines += ["", "Checks", "------"]
    for check in rows.integrity:
        lines.append(f"{check['name']}: {check['status']}")
        for label in ("expected", "seen", "reason"):
            if check[label]:
                lines.append(f"  {label}: {printable(check[label])}")
    lines += ["", f"INTEGRITY STATUS: {run['status']}"]
    return "\n".join(lines) + "\n"


def hook_text(rows: RunRows) -> str:
    """The first router and the first expert that the forward pass met, then every failure with its reason."""
    lines = []
    for kind in ("router", "expert"):
        first = next((hook for hook in rows.hooks if hook["kind"] == kind), None)
        if first is None:
            lines.append(f"first {kind}: none")
            continue
        lines.append(
            f"first {kind}: {printable(first['module'])} shape={first['shape'] or 'unknown'} "
            f"mean={_number(first['mean'])} std={_number(first['std'])}"
            + (f" {printable(first['detail'])}" if first["detail"] else "")
        )
    for hook in rows.hooks:
        if hook["kind"] not in ("router", "expert") and hook["detail"]:
            lines.append(f"{printable(hook['kind'])} {printable(hook['module'])}: {printable(hook['detail'])}".strip())
    return "\n".join(lines) + "\n"


def endpoint_text(endpoint: Row) -> str:
    """What the server said, with the URL that was asked (without its user part)."""
    facts = {
        "url": endpoint["url"],
        "served_name": endpoint["served_name"],
        "root": endpoint["root"],
        "version": endpoint["version"],
        "models": strict(json.loads(endpoint["payload"])),
    }
    return _json(facts)


def summary_json(run: Row, groups: Sequence[Row], integrity: Sequence[Row]) -> str:
    """The facts of `summary.txt` with exact numbers; null is unknown."""
    facts = {
        "run": {key: value for key, value in run.items() if key not in ("notes", "build_notes", "reading_notes")},
        "notes": notes_of(run),
        "groups": [dict(group) for group in groups],
        "integrity": [dict(check) for check in integrity],
    }
    return _json(facts)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_cell("" if row[column] is None else row[column]) for column in columns] for row in rows)
    return out.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _json_rows(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """What `_json` gives for a list of flat rows; json's own indenting runs in Python and takes four times as long."""
    encode = json.JSONEncoder(separators=(",\n    ", ": ")).encode
    texts = [encode({column: row[column] for column in columns})[1:-1] for row in rows]
    return "[\n  {\n    " + "\n  },\n  {\n    ".join(texts) + "\n  }\n]\n" if texts else "[]\n"
