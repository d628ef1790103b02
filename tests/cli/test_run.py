"""`auditdb run` on the examples, as a user meets it."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import EXAMPLES, auditdb


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an audit.db that holds two looks at Mixtral."""
    folder = tmp_path_factory.mktemp("mixtral")
    for expected in ("run 1", "run 2"):
        done = auditdb("run", EXAMPLES / "Mixtral-8x7B-v0.1", "--fast", cwd=folder)
        assert (done.code, done.err) == (0, f"recorded as {expected} in audit.db\n")
    return folder


def test_the_first_audit_reads_at_a_glance(mixtral: Path) -> None:
    shown = auditdb("show", "1", cwd=mixtral).out.splitlines()
    facts = {line[:12].strip(): line[13:] for line in shown if not line.startswith(" ")}
    assert facts["model"] == str(EXAMPLES / "Mixtral-8x7B-v0.1")
    assert facts["class"] == "MixtralForCausalLM, from its config, on the meta device"
    assert facts["parameters"].startswith("46,702,792,704  (46.7 B, built as ")
    assert facts["active"] == "12,879,925,248  (12.9 B) a token; without the input embedding 12,748,853,248"
    assert facts["MoE"] == "32 groups, 32 routers, 256 routed experts (8 a group, top-2)"
    assert facts["integrity"] == "PASS: 4 passed, 5 skipped"


def test_a_second_look_stores_the_structure_once(mixtral: Path) -> None:
    connection = sqlite3.connect(mixtral / "audit.db")
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("runs", "structures")]
    connection.close()
    assert counts == [2, 1]


def test_the_classic_snippets_of_reading_modules_csv(mixtral: Path) -> None:
    assert auditdb("report", "latest", "-o", "report", cwd=mixtral).code == 0
    with (mixtral / "report" / "modules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups: dict[str, int] = {}
    for row in rows:
        groups[row["moe_group"]] = groups.get(row["moe_group"], 0) + int(row["n_params"])
    assert sum(int(row["n_params"]) for row in rows) == 46_702_792_704
    assert len(groups) == 33
    assert {count for name, count in groups.items() if name} == {1_409_318_912}
    assert [row["name"] for row in rows[:4]] == ["", "model", "model.embed_tokens", "model.layers"]
    assert [int(row["depth"]) for row in rows] == [row["name"].count(".") for row in rows]


def test_report_gives_the_same_bytes_twice_and_outdir_the_same(mixtral: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert auditdb("report", "1", "-o", tmp_path / folder, "--db", mixtral / "audit.db", cwd=tmp_path).code == 0
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert first == second
    done = auditdb(
        "run", EXAMPLES / "Llama-3.2-1B", "--fast", "--outdir", "reports", "--db", "x.db", "--quiet", cwd=tmp_path
    )
    (made,) = (tmp_path / "reports").iterdir()
    assert (done.code, done.out, made.name.split("_", 1)[1]) == (0, "1\n", "Llama-3.2-1B")
    assert auditdb("report", "1", "-o", "again", "--db", "x.db", cwd=tmp_path).code == 0
    assert {f.name: f.read_bytes() for f in made.iterdir()} == {
        f.name: f.read_bytes() for f in (tmp_path / "again").iterdir()
    }


def test_report_without_torch_and_transformers(mixtral: Path, tmp_path: Path) -> None:
    """Modules of these names that refuse to be imported stand in for libraries that are not there."""
    for name in ("torch", "transformers", "accelerate", "sqlalchemy", "alembic", "huggingface_hub"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    done = auditdb(
        "report",
        "1",
        "-o",
        tmp_path / "out",
        cwd=mixtral,
        PYTHONPATH=f"{tmp_path}:{EXAMPLES.parent}",
    )
    assert (done.code, done.err) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_the_plain_sqlite_shell(mixtral: Path) -> None:
    query = f"SELECT name, n_params FROM run_modules WHERE model = '{EXAMPLES / 'Mixtral-8x7B-v0.1'}' AND run_id = 1 LIMIT 3"
    shell = shutil.which("sqlite3")
    if shell:  # the same file, by SQLite's own program where it is installed, by Python's else
        done = subprocess.run([shell, mixtral / "audit.db", query], capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
    else:
        connection = sqlite3.connect(mixtral / "audit.db")
        lines = ["|".join(map(str, row)) for row in connection.execute(query)]
        connection.close()
    assert lines == ["|0", "model|0", "model.embed_tokens|131072000"]


def test_json_is_exact(mixtral: Path) -> None:
    shown = json.loads(auditdb("show", "1", "--format", "json", cwd=mixtral).out)
    assert shown["run"]["n_params"] == 46_702_792_704
    groups = json.loads(auditdb("moe", "1", "--format", "json", cwd=mixtral).out)
    assert [(row["name"].split(".")[2], row["groups"], row["n_params"]) for row in groups] == [
        ("{0-31}", 32, 1_409_318_912)
    ]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "config.json"),
        ({"config.json": "{"}, "config.json"),
        ({"config.json": "[]"}, "config.json"),
        ({"config.json": "{}"}, "has no model_type"),
        ({"config.json": '{"model_type": "nonsense"}'}, "no class for model_type 'nonsense'"),
        (
            {"config.json": '{"model_type": "x", "auto_map": {"AutoModel": "m.M"}}', "m.py": "raise SystemExit"},
            "--trust-remote-code",
        ),
        ({"adapter_config.json": '{"base_model_name_or_path": "org/base"}'}, "org/base"),
    ],
    ids=["empty", "broken", "list", "no type", "unknown type", "remote code", "adapter"],
)
def test_what_is_no_model_is_a_sentence(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    done = auditdb("run", folder, "--fast", cwd=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("auditdb: ") and done.err.count("\n") == 1
    assert sentence in done.err
    assert not (tmp_path / "audit.db").exists()


def test_a_strangers_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    done = auditdb("run", EXAMPLES / "Llama-3.2-1B", "--fast", cwd=tmp_path)
    assert (done.code, done.err) == (
        3,
        "auditdb: audit.db is a SQLite database, but not an auditdb store; it was left untouched\n",
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "a", "--model", "b"],
        ["run", "a", "--fast", "--no-hooks"],
        ["run", "a", "--json", "--quiet", "--fast"],
        ["show"],
        ["list", "--format", "xml"],
        ["nonsense"],
        ["sql"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(tmp_path: Path, arguments: list[str]) -> None:
    done = auditdb(*arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err and done.err


def test_a_failing_model_is_recorded_and_1(tmp_path: Path) -> None:
    """The JSON says 9 experts where the class built 8: written so that the tree can't follow."""
    raw = json.loads((EXAMPLES / "Llama-3.2-1B" / "config.json").read_text())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**raw, "num_local_experts": 8, "num_experts_per_tok": 2}))
    done = auditdb("run", folder, "--fast", cwd=tmp_path)
    assert done.code == 1
    assert "FAIL  moe_config" in done.out
    assert auditdb("show", "latest", cwd=tmp_path).code == 0
    assert auditdb("list", "--status", "fail", "--format", "csv", cwd=tmp_path).out.count("\n") == 2
