"""Owns the reading of a `/v1/models` payload: which cards are one model, which are adapters; makes no request."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auditdb.errors import SourceError, Unreachable
from auditdb.inspect.folder import cached_as, is_folder
from auditdb.records import Check, Endpoint

_SHOWN = 10  # names in a sentence


@dataclass(frozen=True)
class Served:
    """The model that a server serves. `names` are all its aliases, `adapters` the ids of adapters on offer beside it;
    `root` is what the server loaded, or, where it does not tell (`has_root` False), the name that it is served under.
    """

    endpoint: Endpoint
    root: str
    has_root: bool
    names: tuple[str, ...]
    adapters: tuple[str, ...]
    notes: tuple[str, ...]


class _Card(NamedTuple):
    name: str
    root: str  # '' where the server does not tell
    parent: str


@dataclass(frozen=True)
class Choice:
    """One model among the cards."""

    served_name: str
    root: str
    has_root: bool
    names: tuple[str, ...]
    adapters: tuple[str, ...]
    notes: tuple[str, ...]


def choose(payload: Mapping[str, Any], url: str, served_name: str | None) -> Choice:
    """The one model of the payload, or the one that `served_name` names.

    Raises:
        Unreachable: the payload is no list of models.
        SourceError: no model, several, or none of that name; the sentence lists the names.
    """
    cards = _cards(payload, url)
    bases = [card for card in cards if not card.parent]
    adapters = tuple(card.name for card in cards if card.parent)
    if not cards:
        raise SourceError(f"The server at {url} serves no model: wait until it has loaded one, or correct --endpoint.")
    if not bases:
        raise SourceError(
            f"The server at {url} serves only adapters ({_listed(adapters)}): give --model with the base."
        )
    groups: dict[str, list[_Card]] = {}
    for card in bases:
        groups.setdefault(card.root or card.name, []).append(card)
    if served_name is not None:
        group = _group_of(served_name, cards, groups, url)
        chosen = served_name
    elif len(groups) > 1:
        names = [card.name for card in bases]
        raise SourceError(
            f"The server at {url} serves {len(groups)} models ({_listed(names)}): choose one with --served-name."
        )
    else:
        group = next(iter(groups.values()))
        chosen = group[0].name
    root, has_root = (group[0].root or group[0].name), bool(group[0].root)
    names_of_it = tuple(card.name for card in group)
    notes = [f"the server also offers the adapter {card.name} on {card.parent}" for card in cards if card.parent]
    if not has_root:
        notes.insert(0, f"the server does not say what it loaded: {root} is the name that it is served under")
    elif names_of_it != (root,):
        notes.insert(0, f"{root} is served as {', '.join(names_of_it)}")
    return Choice(chosen, root, has_root, names_of_it, adapters, tuple(notes))


def _cards(payload: Mapping[str, Any], url: str) -> list[_Card]:
    data = payload.get("data")
    if not isinstance(data, list):
        raise Unreachable(f"{url}/v1/models answered with no list of models: give the base URL of a model server.")
    cards = []
    for item in data:
        if not isinstance(item, dict) or not _text(item.get("id")):
            raise Unreachable(f"{url}/v1/models lists a model without a name: give the base URL of a model server.")
        cards.append(_Card(_text(item["id"]), _text(item.get("root")), _text(item.get("parent"))))
    return cards


def _group_of(name: str, cards: list[_Card], groups: Mapping[str, list[_Card]], url: str) -> list[_Card]:
    for group in groups.values():
        if any(card.name == name for card in group):
            return group
    for card in cards:
        if card.name == name:
            raise SourceError(f"{name} is an adapter on {card.parent}: give --served-name {card.parent} for its base.")
    names = [card.name for card in cards if not card.parent]
    raise SourceError(f"The server at {url} serves no {name!r}, it serves {_listed(names)}: correct --served-name.")


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""


def comparable(payload: str) -> str:
    """A payload as canonical JSON without what changes with each call: `created`, and the ids of permissions."""

    def still(value: Any, in_permission: bool = False) -> Any:
        if isinstance(value, dict):
            moving = {"created", "id"} if in_permission else {"created"}
            return {key: still(item, key == "permission") for key, item in value.items() if key not in moving}
        if isinstance(value, list):
            return [still(item, in_permission) for item in value]
        return value

    return json.dumps(still(json.loads(payload)), sort_keys=True, ensure_ascii=False)


def served_check(served: Served, audited: str) -> Check:
    """The check `endpoint`: the served model with the audited one, by name, for a server tells no revision.

    `audited` is the name that the run is recorded under. FAIL needs two names of one kind that differ: a folder's name
    may be anybody's, and says nothing against a hub's name.
    """
    root = served.root
    if found := cached_as(Path(root)):
        root = found[0]
    told = "by name: a server tells no revision"
    if audited in (root, served.root) or audited in served.names:
        return Check("endpoint", "PASS", audited, served.root, told)
    if not served.has_root:
        return Check("endpoint", "SKIP", audited, served.root, "the server does not say what it loaded")
    root_is_path, audited_is_path = _is_path(root), _is_path(audited)
    if root_is_path and audited_is_path and is_folder(root):
        if os.path.realpath(root) == os.path.realpath(audited):
            return Check("endpoint", "PASS", audited, served.root, "the same folder")
        return Check("endpoint", "FAIL", audited, served.root, "the server loaded another folder")
    if (root_is_path or audited_is_path) and _last(root) == _last(audited):
        return Check(
            "endpoint", "PASS", audited, served.root, "by the last part of the name alone, for one is a folder"
        )
    if root_is_path or audited_is_path:
        return Check("endpoint", "SKIP", audited, served.root, "a folder's name does not tell which model lies in it")
    return Check("endpoint", "FAIL", audited, served.root, "the server loaded another model")


def _is_path(name: str) -> bool:
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or "://" in name


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
