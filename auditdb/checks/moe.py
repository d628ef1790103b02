"""The checks `moe_groups` and `moe_config`: a reading against its own shapes, and against the raw JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from auditdb.moe.config import COUNT_KEYS, OFF_SWITCHES, TOP_K_KEYS, Numbers, Part, is_number, layer_of, stack_of, tower
from auditdb.moe.families import UNROUTED, is_product_key_router
from auditdb.moe.layers import moe_layers, said_layers
from auditdb.moe.shapes import hides_experts, logit_rows, number_of, stacks
from auditdb.moe.tree import Tree, is_of_names, last
from auditdb.records import Check, Declared, Expert, MoeGroup, Reading, Structure
from auditdb.words import counted

SHOWN = 5  # faults that a check spells out; the rest are counted


class Fault(NamedTuple):
    """One disagreement, both sides in words."""

    where: str
    expected: str
    seen: str


def check_moe_groups(structure: Structure, reading: Reading) -> Check:
    """Each group has its router, a row of logits for each expert, and all its experts, of equal shape."""
    if not reading.groups:
        return Check("moe_groups", "SKIP", reason="the tree has no MoE groups")
    tree = Tree(structure)
    experts: dict[str, list[Expert]] = {group.name: [] for group in reading.groups}
    for row in reading.experts:
        experts[row.moe_group].append(row)
    routers: dict[str, list[str]] = {group.name: [] for group in reading.groups}
    for router in reading.routers:
        routers[router.moe_group].append(router.name)
    faults: list[Fault] = []
    unknown = _stacks_without_routers(structure, reading)
    for group in reading.groups:
        routed = [row for row in experts[group.name] if row.kind == "routed"]
        shared = [row.name for row in experts[group.name] if row.kind == "shared"]
        if stack_of(group.name) not in unknown:
            faults += _router_faults(tree, group, routers[group.name], shared)
        faults += _slice_faults(tree, group, routed) if group_is_fused(routed) else _module_faults(tree, group, routed)
    whole = f"{counted(len(reading.groups), 'group')}, each with its router and its experts of one shape"
    return _verdict("moe_groups", faults, whole, [f"no router is recognised by its name in {name}" for name in unknown])


def _stacks_without_routers(structure: Structure, reading: Reading) -> list[str]:
    """Lists of layers with groups and without any router, in a tree that was had from names: one of another name, or
    a bare parameter of the block, is not recognised there (dots3_note's vision tower)."""
    if not is_of_names(structure):
        return []
    routed = {stack_of(router.name) for router in reading.routers}
    return [name for name in dict.fromkeys(stack_of(group.name) for group in reading.groups) if name not in routed]


def group_is_fused(routed: list[Expert]) -> bool:
    """Whether a group's experts are slices: their names end in `[3]`."""
    return bool(routed) and routed[0].name.endswith("]")


def _router_faults(tree: Tree, group: MoeGroup, routers: list[str], shared: list[str]) -> list[Fault]:
    """A router, and a row of logits for each expert and zero expert (and, in inkling, for each shared slice)."""
    if not routers:
        return [Fault(group.name, f"1 router for {counted(group.n_experts, 'expert')}", "0 routers")]
    wanted = group.n_experts + group.n_zero
    slices = max((shape[0] for name in shared for shape in stacks(tree, tree.place[name])), default=0)
    each = [logit_rows(tree, tree.place[name], (wanted, wanted + slices)) for name in routers]
    rows = sum(count for count in each if count is not None)
    if not group.n_experts:
        return [Fault(group.name, f"experts for the {rows} rows of {routers[0]}", "0 experts")]
    if None in each or rows in (wanted, wanted + slices) or is_product_key_router(routers[0]):
        return []
    return [
        Fault(group.name, f"{counted(rows, 'expert')}, as {last(routers[0])} has rows", f"{counted(wanted, 'expert')}")
    ]


def _slice_faults(tree: Tree, group: MoeGroup, routed: list[Expert]) -> list[Fault]:
    """Tensors of a fused bank have a slice for each expert, or for each expert and zero expert."""
    faults = []
    holder = tree.place[routed[0].parent]
    inside = [holder] if stacks(tree, holder) else tree.children.get(holder, [])
    for at in inside:
        for tensor in tree.own(at):
            if len(tensor.shape) >= 3 and tensor.shape[0] not in (group.n_experts, group.n_experts + group.n_zero):
                faults.append(Fault(group.name, f"{group.n_experts} slices", f"{tensor.shape[0]} in {tensor.name}"))
    return faults


def _module_faults(tree: Tree, group: MoeGroup, routed: list[Expert]) -> list[Fault]:
    """Experts that are modules have the shapes of the others, and no number of theirs is missing."""
    faults = []
    makes = {row.name: tree.signature(tree.place[row.name]) for row in routed}
    usual = Counter(makes.values()).most_common(1)[0][0] if makes else ()
    for name, make in makes.items():
        if make != usual:
            mine, others = dict(make), dict(usual)
            key = next((key for key in {**others, **mine} if mine.get(key) != others.get(key)), "")
            expected = f"{key} {list(others[key])}" if key in others else f"no {key}"
            seen = f"{key} {list(mine[key])}" if key in mine else f"no {key}"
            faults.append(Fault(name, f"{expected}, as in the other experts of {group.name}", seen))
    for holder in dict.fromkeys(row.parent for row in routed):
        numbers = {number_of(row.name) for row in routed if row.parent == holder}
        gone = next(number for number in count(min(numbers)) if number not in numbers)
        if gone < max(numbers):
            many = f"{max(numbers) + 1} experts or more", f"{len(numbers)}: number {gone} is missing"
            faults.append(Fault(group.name, *many))
    return faults


def check_moe_config(raw_config: Mapping[str, Any], structure: Structure, reading: Reading) -> Check:
    """Numbers of experts, top-k and MoE layers in the raw JSON against those of the tree, list elements one by one."""
    numbers = Numbers(raw_config, Declared())
    parts = [part for part in numbers.expert_parts if part.first(COUNT_KEYS)]
    if not parts:
        seen = counted(len(reading.groups), "group") if reading.groups else ""
        return Check("moe_config", "SKIP", "", seen, "config.json says nothing of a number of experts")
    owners = {group.name: numbers.part_of(group.name) for group in reading.groups}
    tree = Tree(structure)
    faults: list[Fault] = []
    skipped: list[str] = []
    for part in parts:
        groups = [group for group in reading.groups if owners[group.name] == part]
        if groups:
            faults += _count_faults(tree, part, groups, skipped)
            faults += _layer_faults(tree, part, groups, skipped)
        else:
            faults += _absent(tree, numbers, part, skipped)
    strays = [name for name, part in owners.items() if part is None or part not in parts]
    skipped += [f"no part of config.json speaks of {strays[0]}"] if strays else []
    return _verdict("moe_config", faults, "; ".join(_said(part) for part in parts), skipped)


def _said(part: Part) -> str:
    words = [f"{found[0]} {_short(found[1])}" for keys in (COUNT_KEYS, TOP_K_KEYS) if (found := part.first(keys))]
    return (part.path + ": " if part.path else "") + ", ".join(words)


def _short(value: int | list[int]) -> str:
    return str(value) if isinstance(value, int) else "/".join(map(str, sorted(set(value))))


def _count_faults(tree: Tree, part: Part, groups: list[MoeGroup], skipped: list[str]) -> list[Fault]:
    faults: list[Fault] = []
    for what, keys, seen in (("experts", COUNT_KEYS, "n_experts"), ("top-k", TOP_K_KEYS, "top_k")):
        said = [(key, part.values[key]) for key in keys if part.values.get(key) is not None]
        if not said:
            continue
        for index, group in enumerate(groups):
            number = getattr(group, seen)
            key, value = said[0]
            wanted = [_element(part, tree, key, value, groups, index) for key, value in said]
            if number is None or number in wanted:
                continue
            if any(element is None for element in wanted):
                skipped.append(f"{key} {value} can't be read for {group.name}")
            else:
                faults.append(
                    Fault(
                        group.name,
                        f"{key} = {wanted[0]}",
                        f"{number} {what}" if seen == "n_experts" else f"top-k {number}",
                    )
                )
    return faults


def _element(part: Part, tree: Tree, key: str, value: Any, groups: list[MoeGroup], index: int) -> int | None:
    """What a number, or one element of a list of numbers, says of one group; None if that can't be told.

    A list has an element a layer (hunyuan), a population of each layer (ernie: text, vision), or a MoE layer.
    `per_layer_config` overrides single layers (dots3_note).
    """
    group = groups[index]
    layer = layer_of(group.name)
    changed = part.values.get("per_layer_config")
    if isinstance(changed, Mapping) and isinstance(changed.get(str(layer)), Mapping):
        override = changed[str(layer)].get(key)
        value = value if override is None else override
    if is_number(value):
        return int(value)
    if not isinstance(value, list) or not all(map(is_number, value)):
        return None
    if len(set(value)) == 1:
        return int(value[0])
    beside = [
        other.name for other in groups if layer_of(other.name) == layer and stack_of(other.name) == stack_of(group.name)
    ]
    # An incomplete checkpoint has layers 0 and 5 as its two.
    if layer is not None and layer < len(value) == len(tree.children.get(tree.place[stack_of(group.name)], ())):
        return int(value[layer])
    if len(value) == len(beside):
        return int(value[beside.index(group.name)])
    return int(value[index]) if len(value) == len(groups) else None


def _layer_faults(tree: Tree, part: Part, groups: list[MoeGroup], skipped: list[str]) -> list[Fault]:
    """MoE layers by the rules of the JSON against those of each stack that has any."""
    faults = []
    for stack in dict.fromkeys(stack_of(group.name) for group in groups):
        seen = {layer_of(group.name) for group in groups if stack_of(group.name) == stack} - {None}
        if not seen or stack not in tree.place:
            continue
        rule = moe_layers(part.values, len(tree.children[tree.place[stack]]), stack)
        if not rule.readings or frozenset(seen) in rule.readings:
            skipped += [f"{key} can't be read" for key in rule.unread if not rule.readings]
        elif rule.unread:
            skipped.append(
                f"{', '.join(rule.rules)} does not say which layers have experts, and {rule.unread[0]} can't be read"
            )
        else:
            wanted = rule.readings[0]
            odd = sorted(wanted ^ seen)  # type: ignore[type-var]
            faults.append(
                Fault(
                    f"{stack}.{odd[0]}",
                    f"{len(wanted)} MoE layers by {', '.join(rule.rules)}",
                    f"{len(seen)} MoE layers; they differ in layer {', '.join(map(str, odd[:SHOWN]))}",
                )
            )
    return faults


def _absent(tree: Tree, numbers: Numbers, part: Part, skipped: list[str]) -> list[Fault]:
    """A part that counts experts, and no group that belongs to it."""
    found = part.first(COUNT_KEYS)
    counts = [] if found is None else ([found[1]] if isinstance(found[1], int) else found[1])
    if found is None or max(counts) < 2:
        return []
    for switch in OFF_SWITCHES:
        if part.values.get(switch) is False:
            return []
    if numbers.model_types & UNROUTED:
        skipped.append("its experts are chosen by data set, not by a router")
        return []
    rule = moe_layers(part.values, said_layers(part.values), "")
    if rule.readings and not any(rule.readings):
        return []
    if rule.unread:
        skipped.append(f"{rule.unread[0]} can't be read")
        return []
    if hides_experts(tree.structure):
        skipped.append("the tensors' names speak of experts in a layout that is not recognised")
        return []
    meant = tower(part.path)
    if meant not in ("", "text") and not any(tower(module.name) == meant for module in tree.modules):
        skipped.append(f"the tree has no part for {part.path}")
        return []
    return [Fault(part.path or "config.json", f"{found[0]} = {_short(found[1])}", "no experts in the tree")]


def _verdict(name: str, faults: list[Fault], whole: str, skipped: list[str]) -> Check:
    if not faults:
        reason = "; ".join(dict.fromkeys(skipped))
        return Check(name, "SKIP" if skipped else "PASS", whole, "" if skipped else whole, reason)
    shown = faults[:SHOWN]
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Check(
        name,
        "FAIL",
        expected="; ".join(f"{fault.where}: {fault.expected}" for fault in shown) + more,
        seen="; ".join(f"{fault.where}: {fault.seen}" for fault in shown) + more,
        reason="; ".join(f"{fault.where}: expected {fault.expected}, seen {fault.seen}" for fault in shown) + more,
    )
