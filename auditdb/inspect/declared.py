"""What a built model says about its own routing, as plain data; the only place that asks the model object for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from auditdb.inspect.tree import walk
from auditdb.records import Declared

if TYPE_CHECKING:
    from torch import nn

# Integers and flags that routers, experts and their blocks carry. `top_k` means routing only beside one of the others,
# which `moe/` sees to; a bare `k` means too many things to be read.
ATTRIBUTES = frozenset(
    {
        "num_experts", "num_local_experts", "n_routed_experts", "num_routed_experts", "moe_num_experts",
        "total_experts", "zero_expert_num", "num_router_classes",
        "top_k", "moe_top_k", "num_experts_per_tok", "num_experts_per_token", "moe_topk",
        "is_moe", "enable_moe_block",
        "has_gate", "has_bias", "is_transposed", "is_concatenated", "has_post_expert_norm",
    }
)  # fmt: skip

# What the wrapper of `use_experts_implementation` (transformers 5) sets on each instance of the class it decorates.
_DECORATED = frozenset({"has_gate", "has_bias", "is_transposed", "is_concatenated"})


class _Task(NamedTuple):
    """One `router_logits` recorder: which modules of a model it hooks."""

    target_class: type | None
    class_name: str | None
    layer_name: str | None
    how: str

    def fits(self, module: nn.Module, name: str) -> bool:
        """The test of the library's `recursively_install_hooks`."""
        named = self.class_name is not None and name.endswith(self.class_name)
        if not named and (self.target_class is None or not isinstance(module, self.target_class)):
            return False
        return self.layer_name is None or f".{self.layer_name.strip('.')}." in f".{name}."


def read_declared(model: nn.Module) -> Declared:
    """Collect `_can_record_outputs["router_logits"]`, expert attributes, `base_model_ep_plan` and the configs' paths.

    transformers 4 declares none of it but the attributes (`num_experts`, `top_k`) of blocks and routers.
    """
    config_paths = _config_paths(getattr(model, "config", None))
    routers: dict[str, str] = {}
    attributes: dict[str, Mapping[str, int | bool]] = {}
    banks: set[str] = set()
    scopes: dict[str, str] = {}
    tasks: dict[str, tuple[_Task, ...]] = {}
    plans: dict[str, re.Pattern[str] | None] = {}
    for name, parent, module, first in walk(model):
        if name != first:
            continue
        own_tasks, plan = tasks.get(parent, ()), plans.get(parent)
        config = getattr(module, "config", None) if hasattr(module, "base_model_prefix") else None
        if config is not None:
            own_tasks = tuple(dict.fromkeys((*_tasks(module), *own_tasks)))
            plan = _plan(config) or plan
            if id(config) in config_paths:
                scopes[name] = config_paths[id(config)][0]
        if module._modules:
            tasks[name], plans[name] = own_tasks, plan
        for task in own_tasks:
            if task.fits(module, name):
                routers[name] = task.how
                break
        present = ATTRIBUTES & module.__dict__.keys()
        values = {key: module.__dict__[key] for key in sorted(present) if isinstance(module.__dict__[key], int)}
        if values:
            attributes[name] = values
        if values.keys() >= _DECORATED or (plan is not None and plan.search(name)):
            banks.add(name)
    configs = dict(config_paths.values())
    return Declared(routers=routers, attributes=attributes, banks=frozenset(banks), configs=configs, scopes=scopes)


def _tasks(model: nn.Module) -> Iterator[_Task]:
    """The `router_logits` recorders of one model: a class, a class name, an OutputRecorder, or a list of them."""
    flags = getattr(model, "_can_record_outputs", None) or {}
    specs = flags.get("router_logits", ()) if isinstance(flags, Mapping) else ()
    for spec in specs if isinstance(specs, (list, tuple)) else (specs,):
        if isinstance(spec, str):
            yield _Task(None, spec, None, f"'{spec}'")
        elif isinstance(spec, type):
            yield _Task(spec, None, None, spec.__name__)
        else:
            target, layer, named = spec.target_class, spec.layer_name, spec.class_name
            words = [target.__name__ if target is not None else f"class_name='{named}'", f"index={spec.index}"]
            words += [f"layer_name='{layer}'"] if layer else []
            yield _Task(target, named, layer, f"OutputRecorder({', '.join(words)})")


def _plan(config: Any) -> re.Pattern[str] | None:
    """The modules that `base_model_ep_plan` spreads over devices as experts, as one pattern for the end of a name."""
    plan = getattr(config, "base_model_ep_plan", None)
    if not isinstance(plan, Mapping):
        return None
    dispatched = [pattern for pattern, style in plan.items() if style == "ep_dispatch_experts"]
    if not dispatched:
        return None
    # `*` stands for a layer's number; the plan's paths start at the base model, wherever that is in the tree.
    spelled = "|".join(re.escape(pattern).replace(r"\*", r"\d+") for pattern in dispatched)
    return re.compile(rf"(?:^|\.)(?:{spelled})$")


def _config_paths(config: Any) -> dict[int, tuple[str, str]]:
    """id of each (sub)config → (dotted path from the outermost, model_type)."""
    found: dict[int, tuple[str, str]] = {}
    todo = [("", config)] if config is not None else []
    while todo:
        path, part = todo.pop(0)
        if id(part) in found:
            continue
        found[id(part)] = (path, str(getattr(part, "model_type", "") or ""))
        for key, value in vars(part).items():
            if hasattr(value, "to_dict") and hasattr(value, "model_type"):
                todo.append((f"{path}.{key}" if path else key, value))
    return found
