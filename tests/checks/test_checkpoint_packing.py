"""Quantised checkpoints: packed shapes are judged by what they pack, scales are known extras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from auditdb.checks.packing import bits_of, quantization_of, unpack
from auditdb.inspect.expected import expected_tensors
from auditdb.records import StoredTensor
from tests.checkpoint.families import FAMILIES, FIVE
from tests.checks.looks import checkpoint_of, fit, plain

Specs = dict[str, tuple[str, Sequence[int]]]


def base() -> Specs:
    """A dense Llama whose sides divide by 32."""
    return plain(expected_tensors(FAMILIES["llama"].on_meta(**SIDES)))


SIDES = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4}


def packed(pack: Callable[[str, int, int], Mapping[str, tuple[str, Sequence[int]]]]) -> Specs:
    """Every linear layer of the decoder through `pack(stem, out, in)`."""
    made: Specs = {}
    for name, (dtype, shape) in base().items():
        if "_proj." in name:
            made.update(pack(name.removesuffix(".weight"), shape[0], shape[1]))
        else:
            made[name] = (dtype, shape)
    return made


def gptq(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.qweight": ("I32", (inner // 8, out)),
        f"{stem}.qzeros": ("I32", (2, out // 8)),
        f"{stem}.scales": ("F16", (2, out)),
        f"{stem}.g_idx": ("I32", (inner,)),
    }


def awq(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.qweight": ("I32", (inner, out // 8)),
        f"{stem}.qzeros": ("I32", (2, out // 8)),
        f"{stem}.scales": ("F16", (2, out)),
    }


def nf4(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight": ("U8", (out * inner // 2, 1)),
        f"{stem}.weight.absmax": ("U8", (out * inner // 64,)),
        f"{stem}.weight.quant_map": ("F32", (16,)),
        f"{stem}.weight.nested_absmax": ("F32", (1,)),
        f"{stem}.weight.nested_quant_map": ("F32", (256,)),
        f"{stem}.weight.quant_state.bitsandbytes__nf4": ("U8", (100,)),
    }


def int8(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight": ("I8", (out, inner)),
        f"{stem}.SCB": ("F32", (out,)),
        f"{stem}.weight_format": ("U8", ()),
    }


def compressed(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight_packed": ("I32", (out, inner // 8)),
        f"{stem}.weight_scale": ("BF16", (out, 2)),
        f"{stem}.weight_shape": ("I64", (2,)),
    }


def nvfp4(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight_packed": ("U8", (out, inner // 2)),
        f"{stem}.weight_scale": ("F8_E4M3", (out, inner // 16)),
        f"{stem}.weight_global_scale": ("F32", (1,)),
        f"{stem}.input_global_scale": ("F32", (1,)),
    }


def modelopt(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight": ("U8", (out, inner // 2)),
        f"{stem}.weight_scale": ("F8_E4M3", (out, inner // 16)),
        f"{stem}.weight_scale_2": ("F32", ()),
        f"{stem}.input_scale": ("F32", ()),
    }


def block_fp8(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight": ("F8_E4M3", (out, inner)),
        f"{stem}.weight_scale_inv": ("F32", (-(-out // 32), -(-inner // 32))),
    }


def fp8(stem: str, out: int, inner: int) -> Specs:
    return {
        f"{stem}.weight": ("F8_E4M3", (out, inner)),
        f"{stem}.weight_scale": ("F32", (out, 1)),
        f"{stem}.input_scale": ("F32", ()),
    }


METHODS: dict[str, tuple[Callable[[str, int, int], Specs], dict[str, Any], bool]] = {
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4}, True),
    "awq": (awq, {"quant_method": "awq", "bits": 4}, True),
    "bitsandbytes nf4": (nf4, {"quant_method": "bitsandbytes", "load_in_4bit": True}, True),
    "bitsandbytes int8": (int8, {"quant_method": "bitsandbytes", "load_in_8bit": True}, False),
    "compressed-tensors int4": (
        compressed,
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}},
        True,
    ),
    "compressed-tensors nvfp4": (nvfp4, {"quant_method": "compressed-tensors", "config_groups": {}}, True),
    "modelopt nvfp4": (modelopt, {"quant_method": "modelopt"}, True),
    "fp8 by block": (block_fp8, {"quant_method": "fp8", "weight_block_size": [32, 32]}, False),
    "fp8": (fp8, {"quant_method": "compressed-tensors"}, False),
}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_fits(method: str) -> None:
    pack, quantization, repacks = METHODS[method]
    stored = packed(pack)
    looked = fit(FAMILIES["llama"], checkpoint_of(stored), {"quantization_config": quantization}, **SIDES)
    n_scales = len(stored) - len(base())
    said = f"{len(stored)} tensors" + (", 14 of them packed" if repacks else "")
    assert looked.check.seen == f"{said}; known extras: {n_scales} quantisation scales"
    assert (looked.check.status, looked.layout, looked.verdict) == ("PASS", "expected", None)
    assert "unexplained" not in looked.check.reason


@pytest.mark.parametrize("method", METHODS)
def test_without_a_quantization_config_nothing_is_packed(method: str) -> None:
    looked = fit(FAMILIES["llama"], checkpoint_of(packed(METHODS[method][0])), {}, **SIDES)
    assert looked.check.status == "FAIL"


def damaged(method: str, change: Callable[[Specs], Any]) -> tuple[str, str]:
    pack, quantization, _ = METHODS[method]
    stored = packed(pack)
    change(stored)
    check = fit(FAMILIES["llama"], checkpoint_of(stored), {"quantization_config": quantization}, **SIDES).check
    return check.status, check.reason


UP = "model.layers.1.mlp.up_proj"


@pytest.mark.parametrize(
    ("method", "change", "reason"),
    [
        ("gptq", lambda s: s.pop(f"{UP}.scales"), f"packing: {UP}.qweight has no {UP}.scales"),
        (
            "gptq",
            lambda s: s.update({f"{UP}.qweight": ("I32", (4, 128))}),
            f"{UP}.weight is [128, 32] on disk, expected [128, 64]",
        ),
        (
            "awq",
            lambda s: s.update({f"{UP}.qweight": ("I32", (64, 8))}),
            f"{UP}.weight is [64, 64] on disk, expected [128, 64]",
        ),
        (
            "bitsandbytes nf4",
            lambda s: s.update({f"{UP}.weight": ("U8", (7, 1))}),
            f"{UP}.weight is [14] on disk, expected [128, 64]",
        ),
        ("fp8 by block", lambda s: s.pop(f"{UP}.weight_scale_inv"), f"packing: {UP}.weight has no scale"),
        (
            "fp8 by block",
            lambda s: s.update({f"{UP}.weight_scale_inv": ("F32", (4, 3))}),
            f"packing: {UP}.weight_scale_inv is [4, 3], its weight needs [4, 2]",
        ),
        (
            "compressed-tensors int4",
            lambda s: s.pop(f"{UP}.weight_scale"),
            f"packing: {UP}.weight_packed has no {UP}.weight_scale",
        ),
        (
            "gptq",
            lambda s: s.pop(f"{UP}.qweight"),
            f"1 missing: {UP}.weight; 3 stray: {UP}.qzeros, {UP}.scales, {UP}.g_idx",
        ),
    ],
)  # fmt: skip
def test_one_fault_at_a_time(method: str, change: Callable[[Specs], Any], reason: str) -> None:
    assert damaged(method, change) == ("FAIL", reason)


def test_where_the_config_may_say_it() -> None:
    said = {"quant_method": "gptq", "bits": 8}
    assert quantization_of({"quantization_config": said}) == said
    assert quantization_of({"text_config": {"quantization_config": said}}) == said
    assert quantization_of({"compression_config": said}) == said
    assert quantization_of({"quantization_config": None, "text_config": None}) is None
    assert (bits_of(said), bits_of({"w_bit": 3}), bits_of({"bits": "4"}), bits_of({"bits": 0})) == (8, 3, 4, 4)


def test_a_rounded_row_is_what_the_class_expects() -> None:
    """131 columns of 4 bits take 17 words of 32."""
    tensors = [
        StoredTensor("x.weight_packed", "f", (8, 17), "I32", 0, 0),
        StoredTensor("x.weight_scale", "f", (8, 1), "BF16", 0, 0),
    ]
    unpacked = unpack(tensors, {"x.weight": (8, 131)}, {"bits": 4})
    assert unpacked == ((StoredTensor("x.weight", "f", (8, 131), "I32", 0, 0),), (tensors[1],), 1, ())


if FIVE:

    def mxfp4() -> tuple[Specs, dict[str, Any]]:
        keys = {"hidden_size": 64, "intermediate_size": 32}
        stored: Specs = {}
        for name, (dtype, shape) in plain(expected_tensors(FAMILIES["gpt_oss"].on_meta(**keys))).items():
            if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
                experts, inner, out = shape
                stored[f"{name}_blocks"] = ("U8", (experts, out, inner // 32, 16))
                stored[f"{name}_scales"] = ("U8", (experts, out, inner // 32))
            else:
                stored[name] = (dtype, shape)
        return stored, keys

    def test_mxfp4() -> None:
        stored, keys = mxfp4()
        raw = {"quantization_config": {"quant_method": "mxfp4"}}
        looked = fit(FAMILIES["gpt_oss"], checkpoint_of(stored), raw, **keys)
        assert looked.check.status == "PASS"
        assert looked.check.seen == "41 tensors, 4 of them packed; known extras: 4 quantisation scales"
        del stored["model.layers.1.mlp.experts.down_proj_scales"]
        looked = fit(FAMILIES["gpt_oss"], checkpoint_of(stored), raw, **keys)
        stem = "model.layers.1.mlp.experts.down_proj"
        assert (looked.check.status, looked.check.reason) == ("FAIL", f"packing: {stem}_blocks has no {stem}_scales")

    def test_block_fp8_experts_one_by_one() -> None:
        stored: Specs = {}
        for name, (dtype, shape) in plain(expected_tensors(FAMILIES["deepseek_v3"].on_meta())).items():
            stored[name] = (dtype, shape)
            if "proj" in name and len(shape) == 2:
                stored[name] = ("F8_E4M3", shape)
                stored[f"{name}_scale_inv"] = ("F32", (1, 1))
        raw = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
        looked = fit(FAMILIES["deepseek_v3"], checkpoint_of(stored), raw)
        assert (looked.check.status, looked.layout) == ("PASS", "expected")
        gone = "model.layers.1.mlp.experts.3.up_proj.weight"
        del stored[gone]
        looked = fit(FAMILIES["deepseek_v3"], checkpoint_of(stored), raw)
        assert looked.check.reason.startswith(f"1 missing: {gone}; 1 stray: {gone}_scale_inv")
