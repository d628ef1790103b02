"""`full_total`, `full_load`, `finite`: whole rows, from plain data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditdb.checks.full import check_finite, check_full_load, check_full_total
from auditdb.records import (
    Check,
    Checkpoint,
    CheckpointFile,
    LoaderVerdict,
    StoredTensor,
    Structure,
    Tensor,
    WeightStat,
)
from tests.small import structure

FP8 = {"quantization_config": {"quant_method": "fp8"}}
GPTQ = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
UP = "layers.0.mlp.experts.up"


def changed(tensor: str, /, **fields: object) -> Structure:
    tree = structure()
    return replace(tree, tensors=tuple(t._replace(**fields) if t.name == tensor else t for t in tree.tensors))  # type: ignore[arg-type]


def without(name: str) -> Structure:
    tree = structure()
    return replace(tree, tensors=tuple(t for t in tree.tensors if t.name != name), own_total=29)


def with_scales() -> Structure:
    tree = structure()
    scale = Tensor(6, f"{UP}_scale_inv", "parameter", (2, 1, 1), "float32", 2, True, True, "")
    return replace(tree, tensors=(*tree.tensors, scale), own_total=63)


@pytest.mark.parametrize(
    ("loaded", "raw", "expected"),
    [
        (structure(), {}, Check("full_total", "PASS", "61", "61")),
        (replace(structure(), own_total=None), {}, Check("full_total", "PASS", "61", "61")),
        (without(UP), {}, Check("full_total", "FAIL", "61", "29", f"not in the loaded model: {UP}")),
        (
            changed(UP, name="layers.0.mlp.experts.down"),
            {},
            Check(
                "full_total",
                "FAIL",
                "61",
                "61",
                f"not in the loaded model: {UP}; only in the loaded model: layers.0.mlp.experts.down",
            ),
        ),
        (
            changed(UP, shape=(2, 2, 8)),
            {},
            Check(
                "full_total",
                "FAIL",
                "61",
                "61",
                f"of another shape: {UP}; {UP} is [2, 2, 8], the tree has [2, 4, 4]",
            ),
        ),
        (replace(structure(), own_total=60), {}, Check("full_total", "FAIL", "61", "60", "the totals differ by -1")),
        (with_scales(), FP8, Check("full_total", "PASS", "61", "61", "1 tensor of fp8 besides")),
        (with_scales(), {}, Check("full_total", "FAIL", "61", "63", f"only in the loaded model: {UP}_scale_inv")),
        (
            without(UP),
            GPTQ,
            Check(
                "full_total",
                "SKIP",
                "61",
                "29",
                "the weights are packed by gptq, and the library did not unpack them",
            ),
        ),
    ],
)
def test_full_total(loaded: Structure, raw: dict[str, object], expected: Check) -> None:
    assert check_full_total(structure(), loaded, raw) == expected


def stored(*names: str) -> Checkpoint:
    tensors = tuple(StoredTensor(name, "m", (2,), "BF16", 4 * i, 4 * i + 4) for i, name in enumerate(names))
    return Checkpoint(files=(CheckpointFile("m", "safetensors", None),), tensors=tensors)


def load_row(status: str, seen: str, reason: str = "") -> Check:
    return Check("full_load", status, "every key loaded", seen, reason)  # type: ignore[arg-type]


NONE = "0 missing, 0 unexpected, 0 mismatched keys"
LAYERS = [f"layers.{i}.mlp.up" for i in range(3)]


@pytest.mark.parametrize(
    ("verdict", "copies", "expected"),
    [
        (LoaderVerdict(), [], load_row("PASS", NONE)),
        (
            LoaderVerdict(missing=tuple(LAYERS)),
            [],
            load_row(
                "FAIL",
                "3 missing, 0 unexpected, 0 mismatched keys",
                "missing, and made up by the loader: layers.{0-2}.mlp.up (3)",
            ),
        ),
        (
            LoaderVerdict(unexpected=("stray", "layers.0.mlp.gate.bias", "mtp.0.up")),
            [],
            load_row("FAIL", "0 missing, 3 unexpected, 0 mismatched keys", "not used: stray"),
        ),
        (
            LoaderVerdict(unexpected=("layers.0.mlp.gate.bias", "mtp.0.up")),
            [],
            load_row(
                "PASS",
                "0 missing, 2 unexpected, 0 mismatched keys",
                "1 unexpected are buffers of the tree, which the class no longer saves; "
                "1 unexpected are multi-token prediction (MTP) layers",
            ),
        ),
        (
            LoaderVerdict(mismatched=(("a", (2,), (3,)), ("b", (), (1,)))),
            [],
            load_row(
                "FAIL",
                "0 missing, 0 unexpected, 2 mismatched keys",
                "of another shape, and made up by the loader: a, b; a is stored as [2] and built as [3]",
            ),
        ),
        (
            LoaderVerdict(conversion_errors=(("up", "ValueError: no"),), error="gave\nup"),
            [],
            load_row("FAIL", NONE, "the loader says: gave\\x0aup; not convertible: up; up: ValueError: no"),
        ),
        (
            LoaderVerdict(),
            [("head.weight", "embed.weight", 2, 0.25), ("tail.weight", "embed.weight", 0, 0.0)],
            load_row(
                "FAIL",
                NONE,
                "head.weight is tied to embed.weight and stored with other values (2 numbers differ, by 0.25 at most)",
            ),
        ),
        (
            LoaderVerdict(),
            [("head.weight", "embed.weight", 0, 0.0)],
            load_row("PASS", NONE, "1 stored copies of tied tensors have equal values"),
        ),
    ],
)
def test_full_load(verdict: LoaderVerdict, copies: list[tuple[str, str, int, float]], expected: Check) -> None:
    checkpoint = stored("embed.weight", "layers.0.mlp.gate.bias", "mtp.0.up", "stray")
    assert check_full_load(verdict, copies, checkpoint, structure(), {}) == expected


def test_scales_are_known_extras() -> None:
    checkpoint = stored("proj.weight", "proj.weight_scale_inv")
    verdict = LoaderVerdict(unexpected=("proj.weight_scale_inv",))
    seen = "0 missing, 1 unexpected, 0 mismatched keys"
    passed = load_row("PASS", seen, "1 unexpected are quantisation scales")
    assert check_full_load(verdict, (), checkpoint, structure(), FP8) == passed
    failed = load_row("FAIL", seen, "not used: proj.weight_scale_inv")
    assert check_full_load(verdict, (), checkpoint, structure(), {}) == failed
    assert check_full_load(verdict, (), None, structure(), FP8) == failed


def stat(name: str, n_nan: int = 0, n_inf: int = 0, expert: int | None = None) -> WeightStat:
    return WeightStat(name, expert, 1.0, 0, n_nan, n_inf, 10)


def test_finite() -> None:
    expected = "no NaN, no Inf"
    assert check_finite(None) == Check("finite", "SKIP", reason="weights were not looked at: a FAST run reads none")
    assert check_finite(()) == Check("finite", "SKIP", reason="no floating-point weight was loaded")
    good = [stat("a"), stat("b", expert=0), stat("b", expert=1)]
    assert check_finite(good) == Check("finite", "PASS", expected, "30 finite numbers in 2 tensors")
    assert check_finite(good, unread=["c"]) == Check(
        "finite", "SKIP", expected, "30 finite numbers in 2 tensors", "1 tensor not looked at: c"
    )
    bad = [stat("a", 1), stat("b", 2, 1, expert=0), stat("b", 0, 4, expert=1), stat("c")]
    row = Check("finite", "FAIL", expected, "3 NaN and 5 Inf in 2 of 3 tensors", "a: 1 NaN; b: 2 NaN and 5 Inf")
    assert check_finite(bad) == row
    many = [stat(f"t{i}", 1) for i in range(7)]
    assert check_finite(many).reason == "; ".join([*(f"t{i}: 1 NaN" for i in range(5)), "and 2 more tensors"])
