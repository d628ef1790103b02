"""One run at a glance: the lines that `run`, `show` and `summary.txt` share. Pure text, no colour."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.report.text import exact, human, human_bytes, printable
from auditdb.words import counted

Row = Mapping[str, Any]


def _line(label: str, value: str) -> str:
    return f"{label:<12} {value}"


def identity_lines(run: Row) -> list[str]:
    """Which model, which revision, built by what."""
    revision = printable(run["revision"])
    if run["requested"] and run["requested"] != run["revision"]:
        revision += f" (asked for as {printable(run['requested'])})"
    how = {
        "meta": "from its config, on the meta device",
        "init_empty_weights": "from its config, with empty weights",
        "headers": "from its checkpoint's headers, classes unknown",
        "loaded": "from its loaded weights",
    }[run["rung"]]
    lines = [
        _line("model", printable(run["model"])),
        _line("revision", revision),
        _line("class", f"{printable(run['model_class']) or 'unknown'}, {how}"),
        _line("toolchain", printable(run["toolchain"])),
        _line("run", f"{run['run_id']}, {run['mode']}, {run['started_at']}, {run['duration_ms']} ms"),
    ]
    if run["reused"]:
        lines.append(_line("reused", f"the structure of run {printable(str(run['reused']))}, not rebuilt"))
    return lines


def counted_lines(run: Row, groups: Sequence[Row]) -> list[str]:
    """Modules, parameters, active parameters, MoE counts, checkpoint."""
    lines = [
        _line("parameters", f"{exact(run['n_params'])}  ({human(run['n_params'])}, {_dtype(run)})"),
        _line("active", _active(run)),
        _line("modules", f"{exact(run['n_modules'])}, with {exact(run['n_buffers'])} numbers in buffers"),
        _line("MoE", moe_line(run, groups)),
    ]
    if run["quantization"]:
        method = printable(str(run["quantization"]))
        lines.append(_line("quantised", f"{method}, says the config; what is counted are the logical weights"))
    if run["checkpoint_files"] is not None:
        lines.append(
            _line(
                "checkpoint",
                f"{counted(run['checkpoint_tensors'], 'tensor')} in {counted(run['checkpoint_files'], 'file')}, "
                f"{counted(run['checkpoint_numbers'], 'stored number')}, {human_bytes(run['checkpoint_bytes'])}",
            )
        )
    for note in notes_of(run):
        lines.append(_line("note", printable(str(note))))
    return lines


def notes_of(run: Row) -> list[str]:
    """What was noted of the source, of the class that was built, and of the reading."""
    return [note for kind in ("notes", "build_notes", "reading_notes") for note in json.loads(run[kind])]


def _dtype(run: Row) -> str:
    """The dtype of most tensors: what the class builds of the config, unless the weights were loaded or read."""
    if not run["default_dtype"]:
        return "no dtype"
    return f"{'' if run['rung'] in ('loaded', 'headers') else 'built as '}{run['default_dtype']}"


def _active(run: Row) -> str:
    active, bare = run["n_active_params"], run["n_active_params_no_embedding"]
    if active is None:
        return "unknown: a group's top-k is unknown" if run["n_groups"] else "unknown: experts are not recognised"
    bound = "at most " if run["active_is_bound"] else ""
    return f"{bound}{exact(active)}  ({human(active)}) a token; without the input embedding {exact(bare)}"


def moe_line(run: Row, groups: Sequence[Row]) -> str:
    """`32 groups, 32 routers, 256 routed experts (8 a group, top-2)`; `none` for a dense model."""
    if not run["n_groups"] and run["n_active_params"] is None:
        return "unknown: the tensors' names speak of experts, and none is recognised"
    if not run["n_groups"]:
        return "none: dense, no router, no expert"
    sizes = _sizes(Counter(group["n_experts"] for group in groups))
    top_k = _sizes(Counter("unknown" if group["top_k"] is None else group["top_k"] for group in groups))
    text = (
        f"{counted(run['n_groups'], 'group')}, {counted(run['n_routers'], 'router')}, "
        f"{counted(run['n_experts'], 'routed expert')} ({sizes} a group, top-{top_k})"
    )
    if run["n_shared"]:
        text += f", {exact(run['n_shared'])} shared"
    if run["n_zero"]:
        text += f", {exact(run['n_zero'])} zero"
    return text


def _sizes(values: Counter[Any]) -> str:
    """One value, or the values in order of size: `4/8/256`."""
    return "/".join(str(value) for value in sorted(values, key=lambda value: (isinstance(value, str), value)))


def status_line(run: Row, integrity: Sequence[Row]) -> str:
    """`integrity PASS: 4 passed, 5 skipped`."""
    counts = Counter(check["status"] for check in integrity)
    parts = [
        f"{counts[status]} {word}"
        for status, word in (("FAIL", "failed"), ("PASS", "passed"), ("SKIP", "skipped"))
        if counts[status]
    ]
    return _line("integrity", f"{run['status']}: {', '.join(parts) or 'nothing was checked'}")


def integrity_lines(integrity: Sequence[Row]) -> list[str]:
    """A line a check; what was expected and seen where it failed."""
    lines = []
    for check in integrity:
        reason = f"  {printable(check['reason'])}" if check["reason"] else ""
        lines.append(f"  {check['status']:<4}  {check['name']:<12}{reason}".rstrip())
        if check["status"] == "FAIL":
            lines.append(f"        expected: {printable(check['expected'])}")
            lines.append(f"        seen:     {printable(check['seen'])}")
    return lines


def glance(run: Row, groups: Sequence[Row], integrity: Sequence[Row]) -> str:
    """What `auditdb run` and `auditdb show` print."""
    lines = [
        *identity_lines(run),
        *counted_lines(run, groups),
        status_line(run, integrity),
        *integrity_lines(integrity),
    ]
    return "\n".join(lines) + "\n"
