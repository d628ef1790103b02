"""Owns running `resolve` in a process of its own, where huggingface_hub reads the variables that a test sets; asserts
nothing itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent

_PROGRAM = """
import json, sys, warnings
warnings.simplefilter("error")
from auditdb.errors import AuditError
from auditdb.inspect.source import resolve
exec(sys.argv[3])
answers = []
for model in json.loads(sys.argv[1]):
    try:
        source = resolve(model, **json.loads(sys.argv[2]))
    except AuditError as error:
        answers.append({"error": type(error).__name__, "message": str(error), "exit": error.exit_code,
                        "context": repr(error.__context__)})
        continue
    answer = {name: getattr(source, name) for name in ("kind", "model", "revision", "requested", "config_text")}
    answer |= {"files": source.files, "notes": source.notes, "folder": str(source.folder), "repr": repr(source)}
    try:
        answer["extra"] = EXTRA
    except AuditError as error:
        answer["extra"] = f"{type(error).__name__}: {error}"
    answers.append(answer)
print(json.dumps(answers, default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))
"""


@dataclass(frozen=True)
class Looked:
    """What the process printed: one answer for each model, and its raw streams."""

    answers: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def one(self) -> dict[str, Any]:
        (answer,) = self.answers
        return answer

    @property
    def refusals(self) -> list[tuple[str, str]]:
        return [(answer["error"], answer["message"]) for answer in self.answers]


def look(
    hub: str,
    home: Path,
    *models: str,
    extra: str = "None",
    first: str = "",
    arguments: dict[str, Any] | None = None,
    **env: str,
) -> Looked:
    """`resolve` of each of `models` against the hub at this address, with `home` as HF_HOME; `extra` is an expression
    over each `source`, `first` a statement before the first of them."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))
    }
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            _PROGRAM.replace("EXTRA", extra),
            json.dumps(models),
            json.dumps(arguments or {}),
            first,
        ],
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub,
            "HF_HOME": str(home),
            "NO_PROXY": "*",
            **env,
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return Looked(json.loads(process.stdout.splitlines()[-1]), process.stdout, process.stderr)
