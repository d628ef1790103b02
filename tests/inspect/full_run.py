"""A folder through everything that FULL does, in the order of audit.py."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checks.full import check_finite, check_full_load, check_full_total
from auditdb.inspect.build import build
from auditdb.inspect.choose import candidates
from auditdb.inspect.declared import read_declared
from auditdb.inspect.load import Loaded, load
from auditdb.inspect.tied import TiedCopy, tied_copies
from auditdb.inspect.tree import read_tree
from auditdb.inspect.weights import weight_stats
from auditdb.moe.read import read_moe
from auditdb.records import Check, Reading, Structure, WeightStat
from tests.checkpoint.families import FAMILIES


@dataclass(frozen=True)
class FullRun:
    fast: Structure
    reading: Reading
    loaded: Loaded
    tree: Structure
    stats: tuple[WeightStat, ...]
    copies: tuple[TiedCopy, ...]
    checks: tuple[Check, ...]

    @property
    def statuses(self) -> dict[str, str]:
        return {check.name: check.status for check in self.checks}

    def check(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)


def saved(family: str, folder: Path, *, shard: str = "5GB", **changed: Any) -> Path:
    """A small random model of a family, written by transformers itself."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a generation config that today's version would write otherwise
        FAMILIES[family].random(**changed).save_pretrained(folder, max_shard_size=shard)
    return folder


def fast_tree(folder: Path) -> tuple[Any, Structure, Reading, dict[str, Any]]:
    raw = json.loads((folder / "config.json").read_text())
    model = build(raw).model
    structure = read_tree(model)
    return model, structure, read_moe(structure, read_declared(model), raw), raw


def loaded_from(folder: Path) -> tuple[Loaded, Reading]:
    model, _, reading, raw = fast_tree(folder)
    config = next(c.config for c in candidates(raw) if c.model_class is type(model))
    return load(type(model), config, folder), reading


def full(folder: Path) -> FullRun:
    meta, fast, reading, raw = fast_tree(folder)
    checkpoint = read_checkpoint(FolderBytes(folder))
    config = next(c.config for c in candidates(raw) if c.model_class is type(meta))
    loaded = load(type(meta), config, folder)
    tree = read_tree(loaded.model)
    stats = weight_stats(loaded.model, reading, made_up=loaded.made_up)
    copies = tied_copies(fast, checkpoint, folder, loaded.model)
    checks = (
        check_full_total(fast, tree, raw),
        check_full_load(loaded.verdict, copies, checkpoint, fast, raw),
        check_finite(stats, unread=sorted(loaded.made_up)),
    )
    return FullRun(fast, reading, loaded, tree, stats, copies, checks)


def edit(folder: Path, change: Any, file: str = "model.safetensors") -> None:
    """Rewrite one shard after `change(tensors)`."""
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file, metadata={"format": "pt"})
