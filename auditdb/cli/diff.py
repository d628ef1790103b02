"""`auditdb diff A B`: what differs between two recorded runs; with --run it audits first what nobody has looked at."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, AllOption, DbOption
from auditdb.diff_records import SECTIONS, Diff, SectionName
from auditdb.errors import SelectorError, UsageError
from auditdb.store.read import reading
from auditdb.store.select import select_run

EXAMPLES = """Examples:

  auditdb diff MODEL~1 MODEL

  auditdb diff org/model@<old> org/model@<new> --run --format markdown

  auditdb diff 17 latest --only moe,integrity --quiet
"""

OnlyOption = Annotated[
    Optional[str], typer.Option("--only", metavar="NAMES", help=f"Sections, with commas: {','.join(SECTIONS)}.")
]


class DiffFormat(str, Enum):
    table = "table"
    json = "json"
    markdown = "markdown"


def register(app: typer.Typer) -> None:
    app.command("diff", epilog=EXAMPLES)(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run: an id, `latest`, MODEL, MODEL@REVISION, each with ~N.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    only: OnlyOption = None,
    every: AllOption = False,
    form: Annotated[DiffFormat, typer.Option("--format", "-f", help="How it is printed.")] = DiffFormat.table,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code says it.")] = False,
    run: Annotated[bool, typer.Option("--run", help="Audit what is not recorded yet, FAST.")] = False,
    db: DbOption = DB_DEFAULT,
) -> int:
    """What differs between two runs: config, totals, modules, parameters, MoE, tensors on disk, integrity.

    Exit code 0: the same; 1: different. Model, revision, toolchain and times never count.
    """
    sections = _sections(only)
    if run:
        _audit_unrecorded(db, [a, b], quiet)
    found = _compared(db, a, b, sections, every)
    if not quiet:
        from auditdb.report.diff import diff_text

        whole = every or only is not None
        output.data(diff_text(found, form.value, whole=whole))
    return 1 if found.differs else 0


def _sections(only: str | None) -> tuple[SectionName, ...]:
    if only is None:
        return SECTIONS
    asked = [name.strip() for name in only.split(",") if name.strip()]
    strange = [name for name in asked if name not in SECTIONS]
    if strange or not asked:
        raise UsageError(f"--only takes {', '.join(SECTIONS)}; it was given '{', '.join(strange) or only}'")
    return tuple(name for name in SECTIONS if name in asked)


def _compared(db: Path, a: str, b: str, sections: tuple[SectionName, ...], every: bool) -> Diff:
    from auditdb.compare import compare
    from auditdb.store.diff import is_unrecorded

    with reading(db) as connection:
        ids = []
        for selector in (a, b):
            try:
                ids.append(select_run(connection, selector))
            except SelectorError as error:
                if not is_unrecorded(connection, selector):
                    raise
                raise SelectorError(
                    f"nobody has looked at {selector} yet: `auditdb run {selector} --fast --db {db}` records it, "
                    "and `auditdb diff … --run` does so by itself"
                ) from error
        return compare(connection, ids[0], ids[1], only=sections, every=every)


def _audit_unrecorded(db: Path, selectors: list[str], quiet: bool) -> None:
    """Record a FAST look at each selector that names a model or a revision without a run."""
    from auditdb.store.diff import is_unrecorded, names_a_model

    wanted = [selector for selector in dict.fromkeys(selectors) if names_a_model(selector)]
    if db.exists() and db.stat().st_size:
        with reading(db) as connection:
            wanted = [selector for selector in wanted if is_unrecorded(connection, selector)]
    for selector in wanted:
        record_fast(db, selector, output.Progress(quiet))


def record_fast(db: Path, model: str, progress: output.Progress) -> int:
    """Audit a model from its config and record it, as `auditdb run MODEL --fast` does; the run's id."""
    from functools import partial

    from auditdb.audit import Request, audit
    from auditdb.store.migrate import ensure
    from auditdb.store.recall import recall, recorded_checkpoint
    from auditdb.store.write import Writer

    found = audit(Request(model=model, fast=True), progress, partial(recall, db), partial(recorded_checkpoint, db))
    progress("recording")
    backup = ensure(db)
    with Writer(db) as writer:
        if found.reused is not None:
            run_id = writer.record_again(found.look, found.reused)
        else:
            run_id = writer.record(found.look, reusable=found.reusable)
    progress.clear()
    if backup:
        output.say(f"the store was upgraded; its backup is {backup}")
    return run_id
