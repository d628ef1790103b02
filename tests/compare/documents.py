"""Comparisons as JSON documents: made from two looks, and mirrored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auditdb.compare import compare
from auditdb.report.diff import document
from auditdb.store.read import reading

MIRRORED = {"added": "removed", "removed": "added"}


def compared(store: Path, a: int = 1, b: int = 2, **options: Any) -> dict[str, Any]:
    with reading(store) as connection:
        return document(compare(connection, a, b, **options))


def changes(found: dict[str, Any], section: str) -> list[tuple[Any, ...]]:
    """The counted changes of a section, each as (kind, a, b, n, below, {field: (a, b)})."""
    return [
        (c["kind"], c["a"], c["b"], c["n"], c["below"], {f["name"]: (f["a"], f["b"]) for f in c["fields"]})
        for c in found["sections"].get(section, {"changes": []})["changes"]
        if c["counts"]
    ]


def counted(found: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Each section with a counted change."""
    return {name: changes(found, name) for name in found["sections"] if changes(found, name)}


def mirrored(found: dict[str, Any]) -> dict[str, Any]:
    """The document that B against A must give; the sentence and the order of lines apart."""

    def swapped(change: dict[str, Any]) -> dict[str, Any]:
        fields = [{"name": f["name"], "a": f["b"], "b": f["a"]} for f in change["fields"]]
        kind = MIRRORED.get(change["kind"], change["kind"])
        return {**change, "kind": kind, "a": change["b"], "b": change["a"], "fields": fields}

    sections = {
        name: {**section, "changes": [swapped(change) for change in section["changes"]]}
        for name, section in found["sections"].items()
    }
    return ordered({**found, "a": found["b"], "b": found["a"], "sections": sections})


def ordered(found: dict[str, Any]) -> dict[str, Any]:
    """The document without its sentence, the lines of each section sorted, notes that name a side taken neutrally."""
    sections = {
        name: {
            **section,
            "changes": sorted(section["changes"], key=lambda c: json.dumps(c, sort_keys=True)),
            "notes": [],
        }
        for name, section in found["sections"].items()
    }
    return {**found, "sentence": "", "sections": sections}
