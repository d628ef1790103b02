"""A comparison as text: what each format shows of records made by hand."""

from __future__ import annotations

import json

import jsonschema
import pytest

from auditdb.diff_records import Change, Diff, Field, Section
from auditdb.report.diff import diff_text, document, schema

RUN = {
    "run_id": 1,
    "model": "org/model",
    "revision": "a" * 40,
    "toolchain": "py3.11.7 transformers4.44.2",
    "mode": "fast",
    "model_class": "TinyForCausalLM",
    "rung": "meta",
    "started_at": "2026-01-01T00:00:00Z",
    "status": "PASS",
}


def made(*sections: Section) -> Diff:
    return Diff(RUN, {**RUN, "run_id": 2}, "different", "different: everything", sections)


def lines(diff: Diff, **options: bool) -> list[str]:
    """What a table says below the two runs."""
    return diff_text(diff, "table", **options).splitlines()[4:]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_json_is_the_document() -> None:
    change = Change("added", None, "a.*", 3, 0, (Field("shape", None, "[2]"),))
    found = made(Section("parameters", (change,), ("a note",)))
    jsonschema.validate(document(found), schema())
    assert json.loads(diff_text(found, "json")) == document(found)


@pytest.mark.parametrize("wrong", [{"kind": "moved"}, {"a": "x"}, {"n": 0}])
def test_the_schema_refuses(wrong: dict[str, object]) -> None:
    found = document(made(Section("modules", (Change("added", None, "a"),))))
    found["sections"]["modules"]["changes"][0].update(wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema())


def test_totals_say_how_much() -> None:
    totals = (
        Change("changed", "n_params", "n_params", fields=(Field("value", 1_000, 1_250),)),
        Change("changed", "n_trainable", "n_trainable", fields=(Field("value", 1_000, 1_250),)),
        Change("changed", "n_experts", "n_experts", fields=(Field("value", 8, 64),)),
        Change("changed", "n_active_params", "n_active_params", fields=(Field("value", None, 7),)),
    )
    assert lines(made(Section("totals", totals))) == [
        "",
        "totals",
        "  n_params         1,000 → 1,250  (+25.00 %)",
        "  n_experts        8 → 64  (×8)",
        "  n_active_params  unknown → 7",
    ]


def test_config_values_are_json_and_long_lists_are_told_by_runs() -> None:
    config = (
        Change("changed", "use_cache", "use_cache", fields=(Field("value", True, None),)),
        Change("added", None, "layer_types", fields=(Field("value", None, ["full"] * 20 + ["sliding"]),)),
    )
    assert lines(made(Section("config", config))) == [
        "",
        "config",
        "  use_cache    changed  true → null",
        '  layer_types  added    ["full" ×20, "sliding"]',
    ]


def test_only_the_versions_that_differ() -> None:
    change = Change(
        "changed",
        "toolchain",
        "toolchain",
        fields=(Field("value", "py3.11 torch2.4 transformers4.44.2", "py3.11 torch2.4 transformers5.23.0"),),
        counts=False,
    )
    assert lines(made(Section("identity", (change,))))[-1] == "  toolchain  transformers4.44.2 → transformers5.23.0"


def test_modules_that_only_hold_other_numbers_are_one_line_beside_their_parameters() -> None:
    numbers = tuple(Change("changed", x, x, 4, fields=(Field("n_params", 1, 2),)) for x in ("a", "b"))
    shapes = (Change("changed", "a.weight", "a.weight", fields=(Field("shape", "[1]", "[2]"),)),)
    found = made(Section("modules", numbers), Section("parameters", shapes))
    assert lines(found)[1:3] == ["modules", "  8 modules hold other numbers (see parameters)  changed"]
    assert lines(found, whole=True)[1:4] == [
        "modules",
        "  a  changed  n_params 1 → 2  ×4",
        "  b  changed  n_params 1 → 2  ×4",
    ]


def test_a_long_section_is_cut_and_says_how_to_see_the_rest() -> None:
    many = tuple(Change("added", None, f"m{number}") for number in range(40))
    assert lines(made(Section("modules", many)))[-1] == "  … 24 more lines: --only modules --all"
    assert "<details><summary>40 lines</summary>" in diff_text(made(Section("modules", many)), "markdown")


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_names_are_data(form: str) -> None:
    hostile = "x\x1b[31m|`<b>\u202e"
    found = made(Section("modules", (Change("renamed", hostile, hostile + "y"),)))
    text = diff_text(found, "markdown" if form == "markdown" else "table")
    assert not {"\x1b", "\u202e"} & set(text)
    if form == "markdown":
        assert "\\|\\`\\<b\\>" in text


def test_the_root_has_a_name_to_be_read() -> None:
    change = Change("changed", "", "", fields=(Field("class", "A", "B"),))
    assert lines(made(Section("modules", (change,))))[-1] == "  <root>  changed  class A → B"
