"""Two FULL looks: which tensors hold other values; and a FULL look beside a FAST one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from auditdb.records import Check, WeightStat
from tests.compare.documents import changes, compared, counted
from tests.compare.looks import Decoder, store_of

BASE = Decoder()
SKIPPED = Check("finite", "SKIP", reason="weights were not looked at")


def stats(**norms: float) -> tuple[WeightStat, ...]:
    """A matrix of two layers, a norm, a bank of two slices; `norms` by the first letters of their names."""
    named = [
        ("model.layers.0.up.weight", None, norms.get("up", 1.0)),
        ("model.layers.1.up.weight", None, norms.get("up", 1.0)),
        ("model.norm.weight", None, norms.get("norm", 2.0)),
        ("model.bank.down", 0, norms.get("bank", 3.0)),
        ("model.bank.down", 1, norms.get("bank", 3.0)),
    ]
    return tuple(WeightStat(name, expert, norm, 0, 0, 0, 4) for name, expert, norm in named)


def full(tmp_path: Path, **norms: float) -> Path:
    one = replace(BASE.look(), mode="full", stats=stats())
    return store_of(tmp_path / "audit.db", one, replace(one, stats=stats(**norms)))


def test_equal_values(tmp_path: Path) -> None:
    found = compared(full(tmp_path, norm=2.0 + 1e-9))
    assert (counted(found), found["sentence"]) == ({}, "same: nothing differs")


def test_other_values_are_named(tmp_path: Path) -> None:
    label = "weight values (norm, zeros, NaN, Inf) of 5 of 5 tensors and slices"
    bank, norm, up = (
        f"values of {name}" for name in ("model.bank.down", "model.norm.weight", "model.layers.{0-1}.up.weight")
    )
    store = full(tmp_path, up=1.5, norm=2.5, bank=3.5)
    assert changes(compared(store), "checkpoint") == [
        ("changed", label, label, 5, 0, {}),
        ("changed", bank, bank, 2, 0, {}),
        ("changed", up, up, 2, 0, {}),
        ("changed", norm, norm, 1, 0, {"norm": (2.0, 2.5)}),
    ]
    assert [change[1] for change in changes(compared(store, every=True), "checkpoint")[1:]] == [
        bank,
        "values of model.layers.0.up.weight",
        "values of model.layers.1.up.weight",
        norm,
    ]


def test_a_fast_look_beside_a_full_one(tmp_path: Path) -> None:
    """It is told in the first line, and an empty text is no unknown."""
    fast = replace(BASE.look(), checks=(SKIPPED,))
    looked = replace(fast, mode="full", checks=(Check("finite", "PASS", "no NaN", "4 numbers"),))
    found = compared(store_of(tmp_path / "audit.db", fast, looked))
    assert found["sentence"] == (
        "same: nothing that counts differs (see integrity); weight values were not compared "
        "(a FAST look beside a FULL one)"
    )
    fields = {
        field["name"]: (field["a"], field["b"]) for field in found["sections"]["integrity"]["changes"][0]["fields"]
    }
    assert fields == {
        "status": ("SKIP", "PASS"),
        "expected": ("", "no NaN"),
        "seen": ("", "4 numbers"),
        "reason": ("weights were not looked at", ""),
    }
