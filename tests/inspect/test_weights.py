"""Statistics of weights: exact numbers, expert by expert, and the values of tied copies."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.inspect import tied, weights
from auditdb.inspect.tied import TiedCopy, tied_copies
from auditdb.inspect.tree import read_tree
from auditdb.inspect.weights import bank_sizes, weight_stats
from auditdb.records import Expert, Reading, WeightStat
from tests.checkpoint.families import FAMILIES, FIVE
from tests.inspect.full_run import full, saved

NAN, INF = float("nan"), float("inf")


def fill(parameter: torch.Tensor, *values: float) -> None:
    with torch.no_grad():
        parameter.view(-1)[: len(values)] = torch.tensor(values).to(parameter.dtype)
        parameter.view(-1)[len(values) :] = 0


class Bank(nn.Module):
    """Three fused experts of 2 × 2 with a bias each, a scale that is nobody's, and a router within."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.tensor([[[3.0, 4.0], [0, 0]], [[0, 0], [0, 0]], [[1.0, 1.0], [1.0, 1.0]]]))
        self.up_bias = nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]))
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.router = nn.Linear(2, 3, bias=False)
        fill(self.router.weight, 6.0, 8.0)


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(2, 2)
        fill(self.embed.weight, NAN, INF, -INF, 5.0)
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight = self.embed.weight
        self.experts = Bank()
        self.register_buffer("bias", torch.tensor([0.0, -2.0]))
        self.register_buffer("scratch", torch.tensor([9.0]), persistent=False)
        self.register_buffer("steps", torch.tensor([9]))


def reading_of(bank: str, count: int) -> Reading:
    experts = tuple(Expert(f"{bank}[{i}]", "Bank", "", "moe", i, "routed", 6, "declared") for i in range(count))
    return Reading(experts=(*experts, Expert("shared", "MLP", "", "moe", None, "shared", 6, "declared")))


EXPECTED = (
    WeightStat("embed.weight", None, NAN, 0, 1, 2, 4),
    WeightStat("experts.up", 0, 5.0, 2, 0, 0, 4),
    WeightStat("experts.up", 1, 0.0, 4, 0, 0, 4),
    WeightStat("experts.up", 2, 2.0, 0, 0, 0, 4),
    WeightStat("experts.up_bias", 0, 1.0, 1, 0, 0, 2),
    WeightStat("experts.up_bias", 1, 2.0, 1, 0, 0, 2),
    WeightStat("experts.up_bias", 2, 0.0, 2, 0, 0, 2),
    WeightStat("experts.scale", None, 2.0, 0, 0, 0, 1),
    WeightStat("experts.router.weight", None, 10.0, 4, 0, 0, 6),
    WeightStat("bias", None, 2.0, 1, 0, 0, 2),
)


@pytest.mark.parametrize("chunk", [1, 3, 2**22])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.float8_e5m2])
def test_every_number(dtype: torch.dtype, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CHUNK", chunk)
    model = Toy()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(dtype)
    assert str(weight_stats(model, reading_of("experts", 3))) == str(EXPECTED)  # as text, since NaN equals nothing


def test_left_out() -> None:
    model = Toy()
    model.experts.scale = nn.Parameter(torch.empty(1, device="meta"))
    names = {row.name for row in weight_stats(model, Reading(), made_up={"embed.weight"})}
    assert names == {"experts.up", "experts.up_bias", "experts.router.weight", "bias"}


def test_strided_and_huge() -> None:
    model = nn.Linear(2, 3, bias=False)
    model.weight = nn.Parameter(torch.tensor([[1.0, 2.0, 2.0], [0.0, 4.0, 0.0]]).T)
    assert weight_stats(model, Reading()) == (WeightStat("weight", None, 5.0, 2, 0, 0, 6),)
    model.weight = nn.Parameter(torch.full((2, 2), 3e38))
    (row,) = weight_stats(model, Reading())
    assert (row.norm, row.n_inf) == (pytest.approx(6e38), 0)


def test_flat_bank_is_cut_by_rows() -> None:
    """DBRX: one matrix `[experts · rows, columns]` for all experts."""
    model = nn.Module()
    model.mlp = nn.Linear(2, 6, bias=False)
    model.mlp.weight = nn.Parameter(torch.arange(12.0).reshape(6, 2))
    rows = weight_stats(model, reading_of("mlp", 3))
    assert rows == tuple(
        WeightStat("mlp.weight", i, math.sqrt(sum((4 * i + j) ** 2 for j in range(4))), int(i == 0), 0, 0, 4)
        for i in range(3)
    )


# Family → (rows of slices, numbers in them): all that the reading counts as routed experts, and nothing else.
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("bert", "llama", "t5", "llava")])
def test_slices_are_the_experts(family: str, tmp_path: Path) -> None:
    run = full(saved(family, tmp_path))
    fused = [e for e in run.reading.experts if e.name.endswith("]") and e.kind == "routed"]
    assert sum(s.numel for s in run.stats if s.expert is not None) == sum(e.n_params for e in fused)
    assert sum(bank_sizes(run.reading).values()) == len(fused)


def test_norms_are_torchs(tmp_path: Path) -> None:
    run = full(saved("mixtral", tmp_path))
    parameters = dict(run.loaded.model.named_parameters())
    for stat in run.stats:
        tensor = parameters[stat.name] if stat.expert is None else parameters[stat.name][stat.expert]
        assert stat.norm == pytest.approx(float(tensor.detach().double().norm()), rel=1e-12)
        assert (stat.n_zero, stat.numel) == (int((tensor == 0).sum()), tensor.numel())


def llama_with(folder: Path, head: torch.Tensor, embedding: torch.Tensor) -> tuple[TiedCopy, ...]:
    model = FAMILIES["llama_tied"].random()
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return tied_copies(read_tree(model), read_checkpoint(FolderBytes(folder)), folder, model)


@pytest.mark.parametrize("chunk", [16, 2**22])
def test_tied_copies(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tied, "CHUNK", chunk)
    names = ("lm_head.weight", "model.embed_tokens.weight")
    one = torch.arange(64 * 16.0).reshape(64, 16) / 1024
    assert llama_with(tmp_path, one, one.clone()) == (TiedCopy(*names, 0, 0.0),)
    other = one.clone()
    other[0, 0] += 1
    other[63, 15] -= 2
    assert llama_with(tmp_path, other, one) == (TiedCopy(*names, 2, 2.0),)
    # A copy in another dtype is no other tensor, and two NaN are the same.
    third = (one / 3).to(torch.bfloat16)
    assert llama_with(tmp_path, third, one / 3) == (TiedCopy(*names, 0, 0.0),)
    odd = one.clone()
    odd[1, 1] = NAN
    assert llama_with(tmp_path, odd, odd.clone()) == (TiedCopy(*names, 0, 0.0),)
    assert str(llama_with(tmp_path, odd, one)) == str((TiedCopy(*names, 1, NAN),))
    assert str(llama_with(tmp_path, one[:32].clone(), one)) == str((TiedCopy(*names, 512, NAN),))


def test_tied_copies_under_other_names(tmp_path: Path) -> None:
    """T5 ties its embedding three times; LLaVA's older names are renamed while transformers 5 loads."""
    model = FAMILIES["t5"].random()
    names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
    tensors = {name: torch.full((64, 16), float(i)) for i, name in enumerate(names)}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = tied_copies(read_tree(model), read_checkpoint(FolderBytes(tmp_path)), tmp_path, model)
    assert sorted(found) == [
        TiedCopy("decoder.embed_tokens.weight", "shared.weight", 1024, 2.0),
        TiedCopy("encoder.embed_tokens.weight", "shared.weight", 1024, 1.0),
    ]
    if FIVE:
        model = FAMILIES["llava"].random(tie_word_embeddings=True)
        old = ["language_model.model.embed_tokens.weight", "language_model.lm_head.weight"]
        save_file(
            {name: torch.full((64, 16), float(i)) for i, name in enumerate(old)},
            tmp_path / "model.safetensors",
            metadata={"format": "pt"},
        )
        found = tied_copies(read_tree(model), read_checkpoint(FolderBytes(tmp_path)), tmp_path, model)
        assert found == (TiedCopy(old[1], old[0], 1024, 1.0),)
