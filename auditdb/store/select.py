"""RUN selectors: `17`, `latest`, `MODEL`, `MODEL@REVISION`, each with `~N` for the N-th run of that mode before it."""

from __future__ import annotations

import re
import sqlite3
from difflib import get_close_matches
from pathlib import Path

from auditdb.errors import SelectorError
from auditdb.store.read import Row, ask

_BEFORE = re.compile(r"^(?P<base>.+?)~(?P<steps>\d{1,6})$", re.DOTALL)


def select_run(connection: sqlite3.Connection, text: str) -> int:
    """The id of the run that a selector means.

    Raises SelectorError where it fits nothing, or where it fits two models or two commits; the error lists them.
    """
    before = _BEFORE.match(text)
    base, steps = (before["base"], int(before["steps"])) if before else (text, 0)
    if not text.isprintable():
        raise SelectorError("that RUN holds characters that can't be printed; `auditdb list` shows the runs")
    if not base:
        raise SelectorError("an empty text is no RUN; use an id like 17, `latest`, MODEL or MODEL@REVISION")
    run, model_id, revision = _base(connection, base)
    if steps == 0:
        return int(run["run_id"])
    earlier = ask(
        connection,
        "select_earlier",
        model=model_id,
        mode=run["mode"],
        revision=revision,
        started=run["started_at"],
        run=run["run_id"],
        skip=steps - 1,
    )
    if not earlier:
        raise SelectorError(
            f"there are fewer than {steps} runs of {run['model']} before run {run['run_id']} in mode {run['mode']}; "
            f"`auditdb list --model {run['model']}` shows them"
        )
    return int(earlier[0]["run_id"])


def _base(connection: sqlite3.Connection, base: str) -> tuple[Row, int, str | None]:
    """The run that a selector without `~N` means, its model's id, and the full revision if one was asked for."""
    if base == "latest":
        rows = ask(connection, "select_latest")
        if not rows:
            raise SelectorError("the store has no runs yet; `auditdb run MODEL --fast` records one")
        return rows[0], rows[0]["model_id"], None
    if base.isascii() and base.isdigit() and len(base) < 19:
        rows = ask(connection, "select_id", run=int(base))
        if rows:
            return rows[0], rows[0]["model_id"], None
    models = models_named(connection, base)
    revision = ""
    if not models and "@" in base:
        name, _, revision = base.rpartition("@")
        models = models_named(connection, name)
    if not models:
        raise SelectorError(f"no run fits '{base}'; {_alike(connection, base)}`auditdb list` shows the runs")
    if len(models) > 1:
        listed = ", ".join(str(model["name"]) for model in models[:6]) + (", …" if len(models) > 6 else "")
        raise SelectorError(f"'{base}' fits {len(models)} models: {listed}; write more of the name")
    model = models[0]
    full = _revision(connection, model, revision) if revision else None
    rows = ask(connection, "select_newest", model=model["id"], revision=full)
    if not rows:
        raise SelectorError(f"{model['name']} has no runs any more; `auditdb list` shows the runs")
    return rows[0], model["id"], full


def models_named(connection: sqlite3.Connection, text: str) -> list[Row]:
    """The models that a text names: by full name, by the folder it is a path of, or by the last parts of the name.

    Capitals count only where they tell two models apart.
    """
    exact = ask(connection, "select_model", name=text)
    if exact:
        return exact
    try:
        resolved = str(Path(text).expanduser().resolve())
    except (OSError, RuntimeError, ValueError):
        resolved = text  # a name that is no path on this system
    if not resolved.isprintable():  # what surrounds this folder is no text, and no model is recorded under it
        resolved = text
    exact = ask(connection, "select_model", name=resolved)
    if exact:
        return exact
    tail = "/" + text.strip("/")
    models = ask(connection, "select_models")
    fitting = [model for model in models if str(model["name"]).endswith(tail)]
    return fitting or [model for model in models if f"/{model['name']}".casefold().endswith(tail.casefold())]


def _alike(connection: sqlite3.Connection, text: str) -> str:
    """`did you mean Mixtral-8x7B-v0.1? ` where a model's name, or the last part of one, is nearly the text."""
    names = [str(model["name"]) for model in ask(connection, "select_models")]
    asked = text.partition("@")[0].rpartition("/")[2].casefold()
    parts = {name.rpartition("/")[2].casefold(): name.rpartition("/")[2] for name in names}
    near = get_close_matches(asked[:200], parts, n=1)
    return f"did you mean {parts[near[0]]}? " if near else ""


def _revision(connection: sqlite3.Connection, model: Row, text: str) -> str:
    """The one recorded revision of a model that starts with `text`, or that was asked for under that name."""
    found = ask(connection, "select_revisions", model=model["id"])
    names = {str(row["revision"]) for row in found}
    if text in names:
        return text
    fitting = {name for name in names if name.startswith(text)}
    fitting = fitting or {str(row["revision"]) for row in found if row["requested"] == text}
    if not fitting:
        known = ", ".join(sorted(name[:12] for name in names)[:6])
        raise SelectorError(f"no run of {model['name']} has a revision '{text}'; recorded are {known}")
    if len(fitting) > 1:
        listed = ", ".join(sorted(fitting)[:6])
        raise SelectorError(f"'{text}' fits {len(fitting)} revisions of {model['name']}: {listed}; write more of it")
    return fitting.pop()
