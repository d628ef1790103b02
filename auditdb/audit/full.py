"""FULL: the weights loaded by transformers, the real modules listed, one forward pass, statistics of every weight."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

from auditdb.audit.fast import look_fast
from auditdb.audit.gather import Gathered
from auditdb.audit.request import Audited, Request, Tell
from auditdb.checks.full import check_finite, check_full_load, check_full_total
from auditdb.errors import BuildError, SourceError
from auditdb.inspect.source import Source
from auditdb.records import Check, Checkpoint, Hook, Look


def look_full(request: Request, found: Gathered, tell: Tell) -> Audited:
    """Look at the model with its weights. The FAST look is made first: its tree is what the loaded one is held to.

    Raises TooLarge, before a byte of weights is fetched, for a model that does not fit; BuildError where
    transformers can't load it; SourceError where there are no weights.
    """
    if found.checkpoint is None or not found.checkpoint.files:
        raise SourceError(
            f"{found.source.model} has no weights beside its config; give --fast to audit it from the config alone"
        )
    fast = look_fast(replace(request, hooks=False), found, tell, lambda *_: None).look
    gc.collect()  # the tree on meta holds itself in cycles
    if fast.rung == "headers":
        raise BuildError(f"{fast.build_notes[0]}; without a class no weights are loaded: give --fast")

    if any(check.name == "headers" and check.status == "FAIL" for check in fast.checks):
        return _not_loaded(fast)

    from auditdb.inspect.build import candidates_for
    from auditdb.inspect.declared import read_declared
    from auditdb.inspect.hooks import run_hooks
    from auditdb.inspect.load import load
    from auditdb.inspect.memory import needed_bytes, place, quantization_method
    from auditdb.inspect.tied import tied_copies
    from auditdb.inspect.tree import read_tree
    from auditdb.inspect.weights import weight_stats
    from auditdb.moe import read_moe

    raw = found.source.config
    where = place(needed_bytes(found.checkpoint, fast.structure, raw))
    tell("fetching the weights")
    folder = fetch_weights(found.source, found.checkpoint)
    chosen = next(
        candidate
        for candidate in candidates_for(raw, found.source.folder if request.trust_remote_code else None)
        if candidate.model_class.__name__ == fast.model_class
    )
    tell("loading the weights")
    loaded = load(chosen.model_class, chosen.config, folder, place=where, trust_remote_code=request.trust_remote_code)
    tree = read_tree(loaded.model)
    # A quantised model holds packed weights and scales; what it is made of is what its class builds.
    structure = fast.structure if quantization_method(raw) else tree
    reading = fast.reading if structure is fast.structure else read_moe(tree, read_declared(loaded.model), raw)
    hooks: tuple[Hook, ...] = ()
    if request.hooks:
        tell("one forward pass")
        hooks = run_hooks(loaded.model, reading, folder=folder, trust_remote_code=request.trust_remote_code)
    tell("looking at every weight")
    stats = weight_stats(loaded.model, reading, made_up=loaded.made_up)
    copies = tied_copies(fast.structure, found.checkpoint, folder, loaded.model)
    checks = (
        *(check for check in fast.checks if check.name != "finite"),
        check_full_total(fast.structure, tree, raw),
        check_full_load(loaded.verdict, copies, found.checkpoint, fast.structure, raw),
        check_finite(stats, unread=sorted(loaded.made_up)),
    )
    look = replace(
        fast,
        mode="full",
        rung="loaded",
        duration_ms=found.duration_ms,
        structure=structure,
        reading=reading,
        checks=checks,
        hooks=hooks,
        hooks_ran=request.hooks,
        stats=stats,
        build_notes=(*fast.build_notes, *loaded.notes, f"loaded on {loaded.device}"),
    )
    del loaded
    gc.collect()
    return Audited(look)


def _not_loaded(fast: Look) -> Audited:
    """A FULL look at files that no library can load: what FAST found of them is the answer, and it is a FAIL."""
    reason = "the weights were not loaded, since their headers fail"
    skipped = tuple(Check(name, "SKIP", reason=reason) for name in ("full_total", "full_load", "finite"))
    checks = (*(check for check in fast.checks if check.name != "finite"), *skipped)
    return Audited(replace(fast, mode="full", checks=checks))


def fetch_weights(source: Source, checkpoint: Checkpoint) -> Path:
    """The folder in which the checkpoint's files lie, fetched into the hub cache where they are not yet."""
    folder = source.folder
    for file in checkpoint.files:
        if not (folder / file.path).exists():
            folder = source.fetch(file.path).parent
    return folder
