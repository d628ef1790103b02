"""Trees from dotted tensor names, as the `headers` rung makes them, and small MoE models of the shapes that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from auditdb.records import Module, Structure, Tensor

Shapes = dict[str, tuple[int, ...]]


def tree(shapes: Mapping[str, Iterable[int]], classes: Mapping[str, str] | None = None) -> Structure:
    """A structure with these parameters; class names are '' unless given."""
    rows = {name: tuple(shape) for name, shape in shapes.items()}
    modules: dict[str, int] = {"": 0}
    own: dict[str, int] = {}
    for name, shape in rows.items():
        words = name.split(".")[:-1]
        for length in range(1, len(words) + 1):
            modules.setdefault(".".join(words[:length]), len(modules))
        holder = name.rpartition(".")[0]
        own[holder] = own.get(holder, 0) + prod(shape)
    made = tuple(
        Module(
            at,
            name,
            (classes or {}).get(name, ""),
            name.rpartition(".")[0],
            name.count("."),
            n := own.get(name, 0),
            n,
            0,
        )
        for name, at in modules.items()
    )
    tensors = tuple(
        Tensor(modules[name.rpartition(".")[0]], name, "parameter", shape, "", prod(shape), True, True, "")
        for name, shape in rows.items()
    )
    return Structure(made, tensors)


def linear(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns)}


def glu(name: str, hidden: int, inner: int, words: str = "gate_proj up_proj down_proj") -> Shapes:
    """Up twice and down once."""
    gate, up, down = words.split()
    return (
        linear(f"{name}.{gate}", inner, hidden)
        | linear(f"{name}.{up}", inner, hidden)
        | linear(f"{name}.{down}", hidden, inner)
    )


def attention(
    name: str, hidden: int, heads: int = 0, kv: int = 0, words: str = "q_proj k_proj v_proj o_proj"
) -> Shapes:
    """Projections of `heads` and `kv` columns (the hidden size, unless given)."""
    q, k, v, o = words.split()
    heads, kv = heads or hidden, kv or heads or hidden
    return {
        f"{name}.{q}.weight": (heads, hidden),
        f"{name}.{k}.weight": (kv, hidden),
        f"{name}.{v}.weight": (kv, hidden),
        f"{name}.{o}.weight": (hidden, heads),
    }


def module_moe(
    layers: int = 2,
    experts: int = 4,
    hidden: int = 8,
    inner: int = 6,
    block: str = "block_sparse_moe",
    words: str = "w1 w3 w2",
    gate: str = "gate",
) -> Shapes:
    """A decoder of MoE layers whose experts are modules, as in transformers 4 and in remote code."""
    shapes: Shapes = {"model.embed_tokens.weight": (32, hidden)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= attention(f"{at}.self_attn", hidden)
        shapes |= linear(f"{at}.{block}.{gate}", experts, hidden)
        for expert in range(experts):
            shapes |= glu(f"{at}.{block}.experts.{expert}", hidden, inner, words)
        shapes[f"{at}.input_layernorm.weight"] = (hidden,)
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (32, hidden)}


def fused_moe(layers: int = 2, experts: int = 4, hidden: int = 8, inner: int = 6) -> Shapes:
    """The same with fused banks, as in transformers 5."""
    shapes: Shapes = {"model.embed_tokens.weight": (32, hidden)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= attention(f"{at}.self_attn", hidden)
        shapes |= linear(f"{at}.mlp.gate", experts, hidden)
        shapes[f"{at}.mlp.experts.gate_up_proj"] = (experts, 2 * inner, hidden)
        shapes[f"{at}.mlp.experts.down_proj"] = (experts, hidden, inner)
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (32, hidden)}


MIXTRAL = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "num_hidden_layers": 2}
