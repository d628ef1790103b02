"""One forward pass over a short prompt, real or on meta: what routers and experts gave. It never fails a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from auditdb.inspect.choose import one_line
from auditdb.inspect.prompt import Inputs, make_inputs
from auditdb.inspect.quiet import quiet
from auditdb.records import Hook, Reading, Router


def run_hooks(
    model: Any, reading: Reading, *, folder: Path | None = None, trust_remote_code: bool = False
) -> tuple[Hook, ...]:
    """Run `model` once and say what came out of every router and of every group's first expert.

    Rows, each kind in the order in which the pass met them, what was never called last: 'router' (one each), 'expert'
    (one a group: the bank, or the first expert that a token reached), and one 'forward' with the model's own output.
    `shape` is that of the output (of a router with several: of the one with a column per expert), `mean` and `std`
    (population) are taken over it; None, with 'NaN' in `detail`, where they are no number.

    `detail` of a router is JSON: `tokens`, and `chosen`, how often each expert was chosen, `from` which evidence
    ('indices' of the router, 'bank inputs', or 'top-k of logits', which ignores group limits and biases).

    `folder` may hold a tokenizer; without one fixed token ids are used. A model on the meta device gives shapes only,
    and a single 'forward' row with the reason where the pass can't be made there. What fails is a row with its reason:
    nothing is raised.
    """
    meta = all(parameter.device.type == "meta" for parameter in model.parameters())
    try:
        inputs = make_inputs(model, None if meta else folder, meta=meta, trust_remote_code=trust_remote_code)
    except ValueError as error:
        return (Hook("forward", "", None, None, None, str(error)),)
    watch = _Watch(reading, inputs.n_tokens)
    handles = watch.attach(model)
    was_training = model.training
    reason, output = "", None
    try:
        model.eval()
        with torch.no_grad(), quiet(), _experts_without_values(model, meta):
            output = model(**inputs.values)
    except Exception as error:  # a model's forward may raise anything, and that is an answer
        reason = one_line(error)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    if reason and meta:
        return (Hook("forward", "", None, None, None, f"no pass on the meta device: {reason}"),)
    return (*watch.rows(), _forward_row(output, reason, inputs))


def _forward_row(output: Any, reason: str, inputs: Inputs) -> Hook:
    if reason:
        return Hook("forward", "", None, None, None, reason)
    seen = _Seen.of(_first_float(_tensors(output)))
    words = [inputs.note] if inputs.note else []
    words += ["NaN in the output"] if seen.odd else []
    return Hook("forward", "", seen.shape, seen.mean, seen.std, "; ".join(words))


@contextmanager
def _experts_without_values(model: Any, meta: bool) -> Iterator[None]:
    """On meta, the experts' implementation that needs no values: a fixed number of products, whoever is chosen."""
    if not meta or not hasattr(model, "set_experts_implementation") or not hasattr(model, "get_experts_implementation"):
        yield
        return
    before = model.get_experts_implementation()
    model.set_experts_implementation("batched_mm")
    try:
        yield
    finally:
        model.set_experts_implementation(before)


@dataclass(frozen=True)
class _Seen:
    """An output's shape and moments. `odd`: there are values, and their mean or deviation is no finite number."""

    shape: tuple[int, ...] | None = None
    mean: float | None = None
    std: float | None = None
    odd: str = ""

    @classmethod
    def of(cls, tensor: torch.Tensor | None) -> _Seen:
        if tensor is None:
            return cls()
        shape = tuple(tensor.shape)
        if tensor.device.type == "meta" or not tensor.numel():
            return cls(shape)
        wide = tensor.detach().double()
        mean, std = float(wide.mean()), float(wide.std(correction=0))
        odd = "" if math.isfinite(mean) and math.isfinite(std) else "NaN" if math.isnan(mean + std) else "Inf"
        return cls(shape, None if odd else mean, None if odd else std, odd)


@dataclass
class _Watch:
    """The hooks of one pass and what they saw, in the order of the calls."""

    reading: Reading
    n_tokens: int
    routers: dict[str, _Seen] = field(default_factory=dict)
    experts: dict[str, dict[str, _Seen]] = field(default_factory=dict)  # group → module → what it gave
    chosen: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # (router, evidence) → per expert

    def attach(self, model: Any) -> list[Any]:
        handles = []
        modules = dict(model.named_modules(remove_duplicate=False))
        by_group: dict[str, list[Router]] = {}
        for router in self.reading.routers:
            by_group.setdefault(router.moe_group, []).append(router)
            if router.name in modules:
                handles.append(modules[router.name].register_forward_hook(self._on_router(router)))
        for group, names in self._expert_modules().items():
            feeding = by_group.get(group, [])
            feeder = feeding[0] if len(feeding) == 1 else None
            for name, fused in names.items():
                if name in modules:
                    hook = self._on_expert(group, name, feeder if fused else None)
                    handles.append(modules[name].register_forward_hook(hook, with_kwargs=True))
        return handles

    def _expert_modules(self) -> dict[str, dict[str, bool]]:
        """Group → module of its routed experts → whether it is a fused bank; in the order of the experts."""
        found: dict[str, dict[str, bool]] = {}
        for expert in self.reading.experts:
            if expert.kind == "routed":
                holder, bracket, _ = expert.name.rpartition("[")
                found.setdefault(expert.moe_group, {})[holder if bracket else expert.name] = bool(bracket)
        return found

    def _on_router(self, router: Router) -> Callable[..., None]:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            tensors = list(_tensors(output))
            logits = _with_columns(tensors, router.n_experts)
            if router.name not in self.routers:
                self.routers[router.name] = _Seen.of(logits if logits is not None else _first_float(tensors))
            self._count(router, "indices", _indices(tensors, router))
            if logits is not None and router.top_k and router.top_k <= logits.shape[-1]:
                self._count(router, "top-k of logits", logits.detach().float().topk(router.top_k, dim=-1).indices)

        return hook

    def _on_expert(self, group: str, name: str, router: Router | None) -> Callable[..., None]:
        def hook(module: Any, arguments: Any, keywords: Any, output: Any) -> None:
            seen = self.experts.setdefault(group, {})
            if name not in seen:
                seen[name] = _Seen.of(_first_float(_tensors(output)))
            if router is not None:
                self._count(router, "bank inputs", _indices(list(_tensors((arguments, keywords))), router))

        return hook

    def _count(self, router: Router, evidence: str, indices: torch.Tensor | None) -> None:
        if indices is None or indices.device.type == "meta" or not indices.numel():
            return
        counts = torch.bincount(indices.reshape(-1).long().clamp_min(0).cpu(), minlength=router.n_experts or 0).tolist()
        before = self.chosen.get((router.name, evidence), [])
        wide = max(len(counts), len(before))
        padded = [row + [0] * (wide - len(row)) for row in (before, counts)]
        self.chosen[router.name, evidence] = [a + b for a, b in zip(*padded, strict=True)]

    def rows(self) -> list[Hook]:
        rows = [self._router_row(name, seen) for name, seen in self.routers.items()]
        for router in self.reading.routers:
            if router.name not in self.routers:
                rows.append(Hook("router", router.name, None, None, None, "its forward was not called"))
        wanted = self._expert_modules()
        for group, calls in self.experts.items():
            rows.append(_expert_row(wanted[group], calls))
        for group, names in wanted.items():
            if group not in self.experts:
                fused = next(iter(names.values()))
                why = "its forward was not called" if fused else "no expert of this group was called"
                rows.append(Hook("expert", next(iter(names)), None, None, None, why))
        return rows

    def _router_row(self, name: str, seen: _Seen) -> Hook:
        facts: dict[str, Any] = {"tokens": self.n_tokens}
        for evidence in ("indices", "bank inputs", "top-k of logits"):
            if (name, evidence) in self.chosen:
                facts |= {"chosen": self.chosen[name, evidence], "from": evidence}
                break
        return Hook("router", name, seen.shape, seen.mean, seen.std, _text(facts, seen))


def _expert_row(names: dict[str, bool], calls: dict[str, _Seen]) -> Hook:
    """The group's first expert that was called: which it is follows from the tokens, where experts are modules."""
    numbers = {name: number for number, name in enumerate(names)}
    name = min(calls, key=numbers.__getitem__)
    facts: dict[str, Any] = {"bank": True} if names[name] else {}
    if numbers[name] and not names[name]:
        facts["not_called_before"] = numbers[name]
    seen = calls[name]
    return Hook("expert", name, seen.shape, seen.mean, seen.std, _text(facts, seen))


def _text(facts: dict[str, Any], seen: _Seen) -> str:
    if seen.odd:
        facts = {**facts, "output": seen.odd}
    return json.dumps(facts, separators=(",", ":")) if facts else ""


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of an output in order: tensors, sequences, mappings (ModelOutput is one)."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _first_float(tensors: Any) -> torch.Tensor | None:
    return next((tensor for tensor in tensors if tensor.is_floating_point()), None)


def _with_columns(tensors: list[torch.Tensor], n_experts: int | None) -> torch.Tensor | None:
    """The output with a column per expert (more, where zero experts have columns of their own)."""
    if not n_experts:
        return None
    floats = [t for t in tensors if t.is_floating_point() and t.dim() >= 2 and t.shape[-1] >= n_experts]
    return floats[0] if floats else None


def _indices(tensors: list[torch.Tensor], router: Router) -> torch.Tensor | None:
    """Chosen experts as an integer tensor `[tokens, top_k]`; a mask `[…, experts]` is turned into such a one.

    A mask with fewer ones than top-k (NLLB's, of the first choice only) says too little.
    """
    for tensor in tensors:
        if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool or tensor.dim() < 2:
            continue
        if router.top_k is not None and tensor.shape[-1] == router.top_k:
            return tensor
        if router.n_experts and tensor.shape[-1] == router.n_experts and tensor.device.type != "meta":
            ones = tensor.nonzero()[:, -1:]
            if router.top_k == 1 or len(ones) == tensor[..., 0].numel() * (router.top_k or 0):
                return ones
    return None
