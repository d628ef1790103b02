"""A recorded FAST run, built once more from its stored config: was it right to take its structure over? Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditdb.errors import BuildError
from auditdb.inspect.json_text import load_config
from auditdb.inspect.toolchain import current
from auditdb.store import rows


@dataclass(frozen=True)
class Compared:
    """One thing that the run recorded, beside what the build gave now: a class name, or digests."""

    what: str
    recorded: str
    rebuilt: str

    @property
    def equal(self) -> bool:
        return self.recorded == self.rebuilt


def build_again(run: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Build the model of a row of `sql/rebuild.sql` in this toolchain and compare class, modules and tensors, dtypes,
    auditdb's reading, and the tensors that the class would write.

    Raises BuildError where it can't be built here, with the reason.
    """
    _refuse(run)
    from auditdb.audit.fast import expected_or_reason
    from auditdb.inspect.build import build, quick_allocation
    from auditdb.inspect.declared import read_declared
    from auditdb.inspect.tree import read_tree
    from auditdb.moe import read_moe

    raw = load_config(str(run["config_text"]).encode("utf-8"), f"the config.json of run {run['run_id']}")
    built = build(raw)
    with quick_allocation():
        structure = read_tree(built.model)
        reading = read_moe(structure, read_declared(built.model), raw)
        expected, _ = expected_or_reason(built.model)
        names = rows.expectation_content(expected).digest if expected else ""
        return (
            Compared("class", run["model_class"], type(built.model).__name__),
            Compared("structure", run["structure"], rows.structure_content(structure).digest),
            Compared("dtypes", run["dtypes"], rows.dtypes_content(structure).digest),
            Compared("reading", run["reading"], rows.reading_content(reading).digest),
            Compared("expected tensors", run["expected"], names),
        )


def _refuse(run: Mapping[str, Any]) -> None:
    """Raise BuildError for a run that was not built from its config alone by this toolchain."""
    name = f"run {run['run_id']}"
    if run["mode"] == "full":
        raise BuildError(f"{name} is FULL: it was loaded from weights, and only FAST runs are ever reused")
    if run["rung"] == "headers":
        raise BuildError(f"{name} was made of the checkpoint's tensor names; there is no class to build")
    if run["remote_code"]:
        raise BuildError(f"{name} ran code that the model brings, which the store does not hold; it is never reused")
    if run["toolchain"] != str(current()):
        raise BuildError(
            f"{name} was built by another toolchain: {run['toolchain']}; this one is {current()}: "
            "install those versions to build it again"
        )
