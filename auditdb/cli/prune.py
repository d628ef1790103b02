"""`auditdb prune`: pruning candidates of a FULL run. Reads only; imports neither torch nor SQLAlchemy."""

from __future__ import annotations

from typing import Annotated

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption, Format, FormatOption, LimitOption, RunArgument
from auditdb.errors import AuditError
from auditdb.store.read import ask, reading, shown
from auditdb.store.select import select_run


def register(app: typer.Typer) -> None:
    app.command("prune", epilog="Example:  auditdb prune latest --per-group 2 -n 10")(prune)


def prune(
    run: RunArgument,
    per_group: Annotated[int, typer.Option("--per-group", min=1, help="So many experts of each group.")] = 1,
    limit: LimitOption = 25,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> None:
    """Pruning candidates: the experts of the smallest norms in each group, with the reason. Nothing is changed.

    `relative` is the norm over the median of the group, `chosen` how often its router took the expert in the one
    forward pass of the run.
    """
    from auditdb.report.prune import COLUMNS, candidates

    with reading(db) as connection:
        run_id = select_run(connection, run)
        row = shown(connection, run_id)
        stats = ask(connection, "prune", run=run_id)
        if not stats:
            raise AuditError(_no_weights(run_id, str(row["mode"]), str(row["model"])))
        experts = ask(connection, "experts", run=run_id)
        routers = ask(connection, "routers", run=run_id)
        hooks = ask(connection, "hooks", run=run_id)
    if not experts and form is Format.table:
        output.data("no experts: the model is dense\n")
        return
    found = candidates(experts, stats, routers, hooks, per_group=per_group, limit=limit)
    if found.unranked:
        output.say(
            f"{len(found.unranked):,} experts have no norm, the first is {found.unranked[0]}: their weights are "
            f"missing, packed, or not finite; auditdb show {run_id} says which"
        )
    output.rows(found.rows, COLUMNS, form.value, whole=True)


def _no_weights(run_id: int, mode: str, model: str) -> str:
    if mode == "fast":
        return (
            f"run {run_id} is FAST, and pruning candidates need the weights; "
            f"`auditdb run {model}` without --fast loads them"
        )
    return f"run {run_id} recorded no weight statistics; `auditdb run {model}` without --fast takes them"
