from __future__ import annotations

from auditdb.checks.dtypes import check_dtypes
from auditdb.records import Check, Checkpoint, CheckpointFile, Fault
from tests.checks.looks import checkpoint_of

KIND = "model.layers.{}.mlp.experts.{}.w1.weight"
NAMES = [KIND.replace("{}", str(i), 1).replace("{}", str(j), 1) for i in range(3) for j in range(4)]


def test_one_dtype_in_each_kind() -> None:
    specs = {**dict.fromkeys(NAMES, ("BF16", (2, 2))), "model.layers.0.norm": ("F32", (2,)), "lm_head": ("F16", (2,))}
    assert check_dtypes(checkpoint_of(specs), {}) == Check(
        "dtypes", "PASS", "one dtype in each of 1 kinds of repeated tensors", "12 BF16, 1 F16, 1 F32"
    )


def test_a_minority_is_named() -> None:
    specs = {**dict.fromkeys(NAMES, ("BF16", (2, 2))), NAMES[6]: ("F16", (2, 2)), NAMES[1]: ("F32", (2, 2))}
    assert check_dtypes(checkpoint_of(specs), {}) == Check(
        "dtypes",
        "FAIL",
        "one dtype in each of 1 kinds of repeated tensors",
        "2 tensors of another dtype",
        f"{NAMES[6]} is F16, its like are BF16; {NAMES[1]} is F32, its like are BF16",
    )


def test_of_two_the_rarer_dtype_is_odd() -> None:
    """Two layers only, so that the kind itself is split evenly."""
    specs = {"l.0.a": ("F32", (1,)), "l.1.a": ("BF16", (1,)), "l.0.b": ("BF16", (1,)), "l.1.b": ("BF16", (1,))}
    check = check_dtypes(checkpoint_of(specs), {})
    assert (check.status, check.reason) == ("FAIL", "l.0.a is F32, its like are BF16")


def test_names_are_folded_and_kinds_counted() -> None:
    specs = {f"l.{i}.{k}": ("F32" if i == 7 else "BF16", (1,)) for k in "abcdefg" for i in range(9)}
    check = check_dtypes(checkpoint_of(specs), {})
    words = [f"l.7.{k} is F32, its like are BF16" for k in "abcde"]
    assert (check.seen, check.reason) == ("7 tensors of another dtype", "; ".join([*words, "2 more kinds"]))


def test_no_look_no_pass() -> None:
    stored = checkpoint_of(dict.fromkeys(NAMES, ("BF16", (2, 2))))
    quantised = {"text_config": {"quantization_config": {"quant_method": "fp8"}}}
    pickled = Checkpoint(files=(CheckpointFile("pytorch_model.bin", "pickle", 1),))
    empty = Checkpoint(files=(CheckpointFile("m", "safetensors", 1),), faults=(Fault("headers", "m", "no header"),))
    reasons = [
        check_dtypes(None, {}),
        check_dtypes(pickled, {}),
        check_dtypes(empty, {}),
        check_dtypes(stored, quantised),
    ]
    assert reasons == [
        Check("dtypes", "SKIP", reason="no weights lie beside the config"),
        Check("dtypes", "SKIP", reason="the weights are pickled, and nothing is unpickled without loading the model"),
        Check("dtypes", "SKIP", reason="no header could be read"),
        Check("dtypes", "SKIP", reason="the config has a quantization_config: dtypes are mixed on purpose"),
    ]
