"""A model's rows against the model itself."""

from __future__ import annotations

import torch
from torch import nn

from auditdb.inspect.tree import read_tree
from auditdb.records import Module, Structure, Tensor


class Tied(nn.Module):
    """A module under two names, a parameter in two modules, buffers kept and not kept, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.again = self.embed
        self.empty = None
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)
        self.register_buffer("kept", torch.zeros(3))
        self.register_buffer("dropped", torch.zeros(2, dtype=torch.int64), persistent=False)

    def get_input_embeddings(self) -> nn.Module:
        return self.again

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def test_every_row() -> None:
    with torch.device("meta"):
        tree = read_tree(Tied())
    assert tree == Structure(
        modules=(
            Module(0, "", "Tied", "", 0, 1, 0, 5),
            Module(1, "embed", "Embedding", "", 0, 20, 20, 0),
            Module(2, "head", "Linear", "", 0, 0, 0, 0),
        ),
        tensors=(
            Tensor(0, "scale", "parameter", (), "float32", 1, False, True, ""),
            Tensor(0, "kept", "buffer", (3,), "float32", 3, False, True, ""),
            Tensor(0, "dropped", "buffer", (2,), "int64", 2, False, False, ""),
            Tensor(1, "embed.weight", "parameter", (5, 4), "float32", 20, True, True, ""),
            Tensor(2, "head.weight", "parameter", (5, 4), "float32", 20, True, True, "embed.weight"),
        ),
        own_total=21,
        input_embedding="embed.weight",
        output_embedding="head.weight",
        aliases=(("again", "embed"),),
        foreign=(__name__.partition(".")[0],),
    )


def test_order_is_that_of_named_modules() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.ReLU())
    assert [m.name for m in read_tree(model).modules] == [name for name, _ in model.named_modules()]


def test_a_subtree_shared_many_times_is_walked_once() -> None:
    """Thirty levels, each holding the next twice: a walk that enters shared modules would take 2^30 steps."""
    block: nn.Module = nn.Linear(1, 1, bias=False)
    for _ in range(30):
        outer = nn.Module()
        outer.a, outer.b = block, block
        block = outer
    tree = read_tree(block)
    assert (len(tree.modules), tree.n_params, len(tree.aliases)) == (31, 1, 30)
