"""FAST: a look from the config (and headers) alone, by building on meta, by taking over an earlier structure, or from
the headers where no class fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditdb.audit.gather import Gathered
from auditdb.audit.judge import checkpoint_checks, taken_over, tree_checks
from auditdb.audit.request import Audited, Recall, Request, Tell
from auditdb.checks.full import check_finite
from auditdb.digests import config_digest
from auditdb.errors import BuildError, TooLarge
from auditdb.inspect.toolchain import is_release
from auditdb.records import Declared, ExpectedTensor, Hook, LoaderVerdict, Look, Reading, StoredTensor, Structure
from auditdb.store.recall import Recalled


class _NeedsModel(Exception):
    """The headers differ from the expected tensors, so that the library's loader must be asked after all."""


def look_fast(request: Request, found: Gathered, tell: Tell, recall: Recall) -> Audited:
    """Look at what was gathered. Raises BuildError where no class fits and no headers are there."""
    if not request.trust_remote_code and not request.hooks and _only_releases():
        earlier = recall(config_digest(found.source.config_text), str(found.toolchain))
        if earlier is not None:
            try:
                return _again(found, earlier)
            except _NeedsModel:
                pass
    try:
        return _built(request, found, tell)
    except TooLarge:
        raise
    except BuildError as error:
        if found.checkpoint is None or not found.checkpoint.tensors:
            raise
        return _from_headers(found, str(error), tell)


def _again(found: Gathered, earlier: Recalled) -> Audited:
    def load(stored: object) -> LoaderVerdict:
        raise _NeedsModel

    raw = found.source.config
    checks = (
        *found.endpoint_checks,
        *taken_over(earlier.checks, earlier.run_id),
        *checkpoint_checks(raw, earlier.structure, found.checkpoint, earlier.expected, load),
        check_finite(None),
    )
    look = _look(
        found,
        model_class=earlier.model_class,
        rung=earlier.rung,
        structure=earlier.structure,
        reading=Reading(),
        checks=checks,
        build_notes=earlier.build_notes,
    )
    return Audited(look, reusable=True, reused=earlier.run_id)


def _built(request: Request, found: Gathered, tell: Tell) -> Audited:
    tell("importing torch and transformers")
    from auditdb.inspect.importing import import_libraries

    import_libraries()
    from auditdb.inspect.build import build, quick_allocation
    from auditdb.inspect.declared import read_declared
    from auditdb.inspect.loader import load_on_meta
    from auditdb.inspect.tree import read_tree
    from auditdb.moe import read_moe

    raw = found.source.config
    tell("building the tree on the meta device")
    built = build(raw, found.source.folder if request.trust_remote_code else None)
    with quick_allocation():
        structure = read_tree(built.model)
        tell("reading routers and experts")
        reading = read_moe(structure, read_declared(built.model), raw)
        expected, no_names = expected_or_reason(built.model)

        def load(stored: Sequence[StoredTensor]) -> LoaderVerdict:
            tell("asking the library's loader")
            return load_on_meta(type(built.model), built.model.config, stored, model=built.model)

        tell("checking")
        checks = (
            *found.endpoint_checks,
            *tree_checks(raw, structure, reading),
            *checkpoint_checks(raw, structure, found.checkpoint, expected, load, no_class=no_names),
            check_finite(None),
        )
    hooks: tuple[Hook, ...] = ()
    if request.hooks:
        from auditdb.inspect.hooks import run_hooks

        tell("one forward pass on the meta device")
        hooks = run_hooks(built.model, reading)
    look = _look(
        found,
        model_class=type(built.model).__name__,
        rung=built.rung,
        structure=structure,
        reading=reading,
        checks=checks,
        expected=expected,
        hooks=hooks,
        hooks_ran=request.hooks,
        build_notes=built.notes,
    )
    return Audited(look, reusable=not request.trust_remote_code and _says_all(structure))


def expected_or_reason(model: Any) -> tuple[tuple[ExpectedTensor, ...], str]:
    """What the class would write, or nothing and the reason why the library can't say."""
    from auditdb.inspect.expected import expected_tensors

    try:
        return expected_tensors(model), ""
    except BuildError as error:
        return (), str(error)


def _says_all(structure: Structure) -> bool:
    """Whether versions say all about what was built: releases only, and modules of torch and transformers only."""
    return not structure.foreign and _only_releases()


def _only_releases() -> bool:
    return all(map(is_release, ("torch", "transformers", "auditdb")))


def _from_headers(found: Gathered, why: str, tell: Tell) -> Audited:
    from auditdb.inspect.from_headers import read_headers_tree
    from auditdb.moe import read_moe

    tell("making a tree of the tensor names")
    assert found.checkpoint is not None
    raw = found.source.config
    structure = read_headers_tree(found.checkpoint.tensors)
    reading = read_moe(structure, Declared(), raw)

    def load(stored: object) -> LoaderVerdict:
        raise AssertionError("there is no class to load into")

    checks = (
        *found.endpoint_checks,
        *tree_checks(raw, structure, reading),
        *checkpoint_checks(raw, structure, found.checkpoint, (), load, no_class="no model class was built"),
        check_finite(None),
    )
    notes = (
        f"no class: {why}",
        "from the headers alone: every stored tensor counts as a parameter, buffers, scales and tied copies included",
    )
    look = _look(
        found, model_class="", rung="headers", structure=structure, reading=reading, checks=checks, build_notes=notes
    )
    return Audited(look)


def _look(found: Gathered, **facts: object) -> Look:
    source = found.source
    return Look(
        model=source.model,
        model_kind=source.kind,
        revision=source.revision,
        requested=source.requested,
        toolchain=found.toolchain,
        mode="fast",
        started_at=found.started_at,
        duration_ms=found.duration_ms,
        config_text=source.config_text,
        checkpoint=found.checkpoint,
        endpoint=found.endpoint,
        code=found.code,
        notes=found.notes,
        **facts,  # type: ignore[arg-type]
    )
