"""`auditdb run`: look, judge, record, print what was found and the run's id."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from auditdb.cli import output
from auditdb.cli.options import DB_DEFAULT, DbOption
from auditdb.errors import UsageError

if TYPE_CHECKING:
    from auditdb.audit import Request

EXAMPLES = """Examples:

  auditdb run mistralai/Mixtral-8x7B-v0.1 --fast

  auditdb run ./my-finetune --as my-org/my-finetune@v2 --fast

  auditdb run --model org/model@<commit> --fast --outdir reports

  auditdb run --endpoint http://localhost:8000 --fast
"""


def register(app: typer.Typer) -> None:
    app.command("run", epilog=EXAMPLES)(run)


def run(
    model_argument: Annotated[
        Optional[str], typer.Argument(metavar="[MODEL[@REVISION]]", help="A folder, or a model of the hub.")
    ] = None,
    model_option: Annotated[Optional[str], typer.Option("--model", help="The same as the argument.")] = None,
    endpoint: Annotated[
        Optional[str],
        typer.Option("--endpoint", help="A running server; its model is audited. Without a MODEL: VLLM_ENDPOINT."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="From the config alone: no weights are read.")] = False,
    no_hooks: Annotated[bool, typer.Option("--no-hooks", help="FULL: no forward pass.")] = False,
    hooks: Annotated[
        bool,
        typer.Option("--hooks", help="FAST: one forward pass on the meta device, for shapes; FULL makes one anyway."),
    ] = False,
    outdir: Annotated[
        Optional[Path], typer.Option("--outdir", help="Write the classic report files to DIR/<started_at>_<model>/.")
    ] = None,
    recorded_as: Annotated[
        Optional[str], typer.Option("--as", metavar="NAME[@REVISION]", help="Record a folder under this name.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code that the model brings. Read it first.")
    ] = False,
    api_key: Annotated[
        Optional[str], typer.Option("--api-key", help="The endpoint's key; else VLLM_API_KEY or OPENAI_API_KEY.")
    ] = None,
    served_name: Annotated[
        Optional[str], typer.Option("--served-name", help="Which of the models that the endpoint serves.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept a self-signed certificate.")] = False,
    hash_files: Annotated[bool, typer.Option("--hash", help="Compute the sha256 of local weight files.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the model even where an earlier look has its structure.")
    ] = False,
    db: DbOption = DB_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the run's id alone.")] = False,
) -> int:
    """Audit one model: build its tree, find routers and experts, check that its parts fit, record the look.

    Without --fast the weights are loaded (FULL). Exit code 1: recorded, and an integrity check failed.
    """
    if model_argument and model_option and model_argument != model_option:
        raise UsageError(f"the argument says {model_argument} and --model says {model_option}; give one of them")
    model = model_argument or model_option
    if not model and not endpoint:
        # Only then: somebody who names a model does not mean a server that happens to be in the environment.
        endpoint = os.environ.get("VLLM_ENDPOINT")
    if not model and not endpoint:
        raise UsageError(
            "name a MODEL (a folder, or ORG/NAME of the hub), or give --endpoint URL; see auditdb run --help"
        )
    if no_hooks and fast:
        raise UsageError("--no-hooks is for FULL mode, where the weights are loaded; leave it out with --fast")
    if no_hooks and hooks:
        raise UsageError("--hooks and --no-hooks contradict each other; give one of them")
    if quiet and as_json:
        raise UsageError("--quiet prints the id alone and --json the run; give one of them")
    from auditdb.audit import Request

    request = Request(
        model=model,
        endpoint=endpoint,
        api_key=api_key or os.environ.get("VLLM_API_KEY") or os.environ.get("OPENAI_API_KEY"),
        served_name=served_name,
        insecure=insecure,
        fast=fast,
        hooks=hooks if fast else not no_hooks,
        hash_files=hash_files,
        recorded_as=recorded_as,
        trust_remote_code=trust_remote_code,
    )
    progress = output.Progress(quiet)
    try:
        run_id, status = look_and_record(request, db, progress, rebuild=rebuild)
    finally:
        progress.clear()
    _print(db, run_id, outdir, as_json=as_json, quiet=quiet)
    return 1 if status == "FAIL" else 0


def look_and_record(request: Request, db: Path, progress: output.Progress, *, rebuild: bool = False) -> tuple[int, str]:
    """Audit one model and record the look. Returns the run's id and its status."""
    from auditdb.audit import audit
    from auditdb.store.connect import refuse_unusable
    from auditdb.store.migrate import ensure
    from auditdb.store.recall import recall, recorded_checkpoint

    refuse_unusable(db)  # before a minute is spent on a look that can't be recorded
    audited = audit(
        request,
        progress,
        (lambda *_: None) if rebuild else partial(recall, db),
        partial(recorded_checkpoint, db),
    )
    progress("recording")
    backup = ensure(db)
    if backup:
        output.say(f"the store was upgraded; its backup is {backup}")
    from auditdb.store.write import Writer

    with Writer(db) as writer:
        if audited.reused is not None:
            return writer.record_again(audited.look, audited.reused), audited.look.status
        return writer.record(audited.look, reusable=audited.reusable), audited.look.status


def _print(db: Path, run_id: int, outdir: Path | None, *, as_json: bool, quiet: bool) -> None:
    from auditdb.report.classic import classic_files, summary_json
    from auditdb.report.summary import glance
    from auditdb.report.write import run_folder, write_files
    from auditdb.store.read import ask, reading, run_rows, shown

    if quiet and outdir is None:
        output.data(f"{run_id}\n")
        return
    with reading(db) as connection:
        run = shown(connection, run_id)
        groups = ask(connection, "moe", run=run_id)
        integrity = ask(connection, "integrity", run=run_id)
        if outdir is not None:
            folder = run_folder(outdir, run["started_at"], run["model"])
            write_files(folder, classic_files(run_rows(connection, run_id)))
            output.say(f"report files: {folder}")
    if quiet:
        output.data(f"{run_id}\n")
    elif as_json:
        output.data(summary_json(run, groups, integrity))
    else:
        output.data(glance(run, groups, integrity))
        output.say(f"recorded as run {run_id} in {db}")
