"""Looking at what is recorded: list, show, report, top, moe, layers. Reads only."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, AllOption, DbOption, Format, FormatOption, LimitOption, RunArgument
from auditdb.store.read import Row, ask, reading, run_rows, shown
from auditdb.store.select import select_run


class Mode(str, Enum):
    fast = "fast"
    full = "full"


class Status(str, Enum):
    PASS = "PASS"
    FAIL = "FAIL"


LIST_COLUMNS = ["run_id", "model", "revision", "mode", "status", "model_class", "n_params", "n_experts"]
LIST_COLUMNS += ["started_at", "toolchain"]


def register(app: typer.Typer) -> None:
    app.command("list", epilog="Example:  auditdb list --model Mixtral --status FAIL")(list_runs)
    app.command("show", epilog="Example:  auditdb show latest --tree")(show)
    app.command("report", epilog="Example:  auditdb report latest -o report/")(report)
    app.command("top", epilog="Example:  auditdb top latest -n 5")(top)
    app.command("moe", epilog="Example:  auditdb moe Mixtral-8x7B-v0.1 --format csv")(moe)
    app.command("layers", epilog="Example:  auditdb layers latest")(layers)


def list_runs(
    model: Annotated[Optional[str], typer.Option("--model", help="Part of the model's name.")] = None,
    revision: Annotated[Optional[str], typer.Option("--revision", help="Start of the revision.")] = None,
    toolchain: Annotated[Optional[str], typer.Option("--toolchain", help="Part of it, like transformers5.")] = None,
    mode: Annotated[Optional[Mode], typer.Option("--mode", case_sensitive=False, help="How it was had.")] = None,
    status: Annotated[Optional[Status], typer.Option("--status", case_sensitive=False, help="What came of it.")] = None,
    limit: LimitOption = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Skip so many rows.")] = 0,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> None:
    """The recorded runs, newest first."""
    with reading(db) as connection:
        found = ask(
            connection,
            "list",
            model=_containing(model),
            revision=None if revision is None else _escaped(revision) + "%",
            toolchain=_containing(toolchain),
            mode=None if mode is None else mode.value,
            status=None if status is None else status.value,
            limit=limit,
            offset=offset,
        )
    if form is Format.table:
        found = [{**row, **_short(row)} for row in found]
        output.rows(found, [column for column in LIST_COLUMNS if column != "toolchain"] + ["transformers"], form.value)
    else:
        output.rows(found, [*LIST_COLUMNS, "is_latest"], form.value)


def _short(row: Row) -> Row:
    """What a terminal has room for: the end of a path, the start of a revision, the one version that matters most."""
    model = str(row["model"])
    versions = [part for part in str(row["toolchain"]).split() if part.startswith("transformers")]
    return {
        "model": model if len(model) <= 44 else "…" + model[-43:],
        "revision": str(row["revision"])[:18],
        "transformers": versions[0].removeprefix("transformers") if versions else "none",
        "started_at": str(row["started_at"]).replace("T", " ").removesuffix("Z"),
    }


def _escaped(text: str) -> str:
    """Text for LIKE with ESCAPE '\\'."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _containing(text: str | None) -> str | None:
    return None if text is None else f"%{_escaped(text)}%"


def show(
    run: RunArgument,
    tree: Annotated[bool, typer.Option("--tree", help="Draw the module tree.")] = False,
    form: FormatOption = Format.table,
    db: DbOption = DB_DEFAULT,
) -> None:
    """One run: identity, totals, MoE, and each integrity check."""
    from auditdb.report.classic import skeleton_text, summary_json
    from auditdb.report.summary import glance

    with reading(db) as connection:
        run_id = select_run(connection, run)
        if tree:
            modules = ask(connection, "modules", run=run_id)
            if form is Format.table:
                output.data(skeleton_text(modules))
            else:
                output.rows(modules, ["position", "name", "class", "parent", "depth", "n_params"], form.value)
            return
        row = shown(connection, run_id)
        checks = ask(connection, "integrity", run=run_id)
        groups = ask(connection, "moe", run=run_id)
    if form is Format.table:
        output.data(glance(row, groups, checks))
    elif form is Format.json:
        output.data(summary_json(row, groups, checks))
    else:
        facts = [{"fact": key, "value": value} for key, value in row.items()]
        facts += [{"fact": f"check {check['name']}", "value": check["status"]} for check in checks]
        output.rows(facts, ["fact", "value"], form.value)


def report(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write into.")],
    db: DbOption = DB_DEFAULT,
) -> None:
    """Regenerate the classic report files from the store alone; the same bytes each time."""
    from auditdb.report.classic import classic_files
    from auditdb.report.write import write_files

    with reading(db) as connection:
        rows = run_rows(connection, select_run(connection, run))
    files = classic_files(rows)
    write_files(out, files)
    output.data("".join(f"{out / name}\n" for name in sorted(files)))


def top(
    run: RunArgument, limit: LimitOption = 25, form: FormatOption = Format.table, db: DbOption = DB_DEFAULT
) -> None:
    """The largest modules by their own parameters."""
    with reading(db) as connection:
        found = ask(connection, "top", run=select_run(connection, run), limit=limit)
    output.rows(found, ["n_params", "name", "class", "moe_group"], form.value)


def moe(
    run: RunArgument, every: AllOption = False, form: FormatOption = Format.table, db: DbOption = DB_DEFAULT
) -> None:
    """The MoE groups: routers, experts, top-k, parameters, and how they were found."""
    from auditdb.report.fold import fold_groups

    with reading(db) as connection:
        found = ask(connection, "moe", run=select_run(connection, run))
    if not found and form is Format.table:
        output.data("no MoE groups: the model is dense\n")
        return
    columns = ["name", "n_routers", "n_experts", "n_shared", "n_zero", "top_k", "n_params", "source"]
    if every:
        output.rows(found, columns, form.value, whole=True)
    else:
        output.rows(fold_groups(found), ["name", "groups", *columns[1:]], form.value, whole=True)


def layers(
    run: RunArgument, every: AllOption = False, form: FormatOption = Format.table, db: DbOption = DB_DEFAULT
) -> None:
    """Parameters per layer: attention, dense MLP, experts, shared experts, router, norm, embedding apart."""
    from auditdb.report.layers import histogram, layer_rows

    with reading(db) as connection:
        modules = ask(connection, "modules", run=select_run(connection, run))
        experts = ask(connection, "experts", run=select_run(connection, run))
    found = layer_rows(modules, experts)
    if form is Format.table:
        output.data(histogram(found, folded=not every))
    else:
        output.rows(found, list(found[0]) if found else ["layer"], form.value)
