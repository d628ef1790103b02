"""The law of the house: a room imports only from lower floors, and only `inspect/` may know torch or transformers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "auditdb"

# Room → floor. A room is a module of the package's top level, or a folder of it.
FLOORS = {
    "__init__": 0,
    "errors": 0,
    "records": 0,
    "digests": 0,
    "fold": 0,
    "words": 0,
    "diff_records": 0,
    "inspect": 1,
    "moe": 1,
    "checkpoint": 1,
    "checks": 1,
    "store": 2,
    "report": 2,
    "audit": 3,
    "compare": 3,
    "sweep": 4,
    "cli": 5,
    "__main__": 6,
}
# Rooms of one floor that may speak to each other: checks judge what checkpoint and moe give as records.
NEIGHBOURS = {
    ("checks", "checkpoint"),
    ("inspect", "checkpoint"),
    ("checks", "moe"),
    ("digests", "records"),
    ("fold", "words"),
}
HEAVY = {"torch", "transformers", "accelerate"}


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Dotted names of everything that a file imports, at any depth."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module or "")
            names += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "auditdb"]
    return names


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_go_down(path: Path) -> None:
    here = room(path)
    wrong = []
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in HEAVY and here != "inspect":
            wrong.append(name)
        if parts[0] != "auditdb" or len(parts) == 1:
            continue
        there = parts[1]
        if there == "__version__" or there == here or (here, there) in NEIGHBOURS:
            continue
        if FLOORS[there] >= FLOORS[here]:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize(
    "command",
    [
        ["--version"],
        ["--help"],
        ["list"],
        ["show", "latest"],
        ["show", "latest", "--tree"],
        ["top", "latest"],
        ["moe", "latest"],
        ["layers", "latest"],
        ["report", "latest", "-o", "REPORT"],
        ["sql", "SELECT 1"],
        ["db", "status"],
        ["diff", "latest", "latest"],
        ["check", "latest", str(PACKAGE.parent / "examples" / "checks")],
    ],
    ids=" ".join,
)
def test_read_commands_import_nothing_heavy(command: list[str], db: Path, tmp_path: Path) -> None:
    from auditdb.store.write import record
    from tests.small import look

    record(db, look())
    arguments = [part.replace("REPORT", str(tmp_path / "report")) for part in command]
    code = (
        "import sys\nfrom auditdb.cli.main import run_command\n"
        f"code = run_command({arguments!r})\n"
        "heavy = {'torch', 'transformers', 'accelerate', 'sqlalchemy', 'alembic', 'huggingface_hub', 'requests',"
        " 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"AUDITDB_DB": str(db), "PATH": "", "PYTHONPATH": str(PACKAGE.parent)},
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[] 0"
