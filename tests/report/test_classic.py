"""The classic files, byte for byte, and the sums that their readers make."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from auditdb.records import Check, Endpoint, Hook, Module, Reading, RunRows
from auditdb.report.classic import classic_files
from auditdb.report.text import printable
from auditdb.store.read import reading, run_rows
from auditdb.store.write import record
from tests.small import look, structure


def files(db: Path, **changes: object) -> dict[str, str]:
    run_id = record(db, look(**changes))
    with reading(db) as connection:
        rows: RunRows = run_rows(connection, run_id)
    return classic_files(rows)


def test_a_fast_run_has_these_files(db: Path) -> None:
    made = files(db)
    assert sorted(made) == [
        "experts.csv",
        "modules.csv",
        "modules.json",
        "routers.csv",
        "skeleton.txt",
        "summary.json",
        "summary.txt",
        "validation_report.txt",
    ]
    assert made["skeleton.txt"] == (
        "<root> :: ToyForCausalLM\n"
        "  embed :: Embedding\n"
        "  layers :: ModuleList\n"
        "    layers.0 :: ToyLayer\n"
        "      layers.0.mlp :: ToyMoe\n"
        "        layers.0.mlp.gate :: ToyRouter\n"
        "        layers.0.mlp.experts :: ToyExperts\n"
        "  norm :: Norm\n"
        "  head :: Linear\n"
    )
    assert made["modules.csv"] == (
        "name,class,parent,depth,n_params,n_trainable,n_buffers,is_router,is_expert,moe_group\n"
        ",ToyForCausalLM,,0,0,0,0,0,0,\n"
        "embed,Embedding,,0,20,20,0,0,0,\n"
        "layers,ModuleList,,0,0,0,0,0,0,\n"
        "layers.0,ToyLayer,layers,1,0,0,0,0,0,\n"
        "layers.0.mlp,ToyMoe,layers.0,2,0,0,0,0,0,\n"
        "layers.0.mlp.gate,ToyRouter,layers.0.mlp,3,8,8,2,1,0,layers.0.mlp\n"
        "layers.0.mlp.experts,ToyExperts,layers.0.mlp,3,32,32,0,0,1,layers.0.mlp\n"
        "norm,Norm,,0,1,0,0,0,0,\n"
        "head,Linear,,0,0,0,0,0,0,\n"
    )
    assert made["routers.csv"] == (
        "name,class,moe_group,n_experts,top_k,source\nlayers.0.mlp.gate,ToyRouter,layers.0.mlp,2,1,declared\n"
    )
    assert made["experts.csv"] == (
        "name,class,parent,moe_group,expert,kind,n_params,source\n"
        "layers.0.mlp.experts[0],ToyExperts,layers.0.mlp.experts,layers.0.mlp,0,routed,16,declared\n"
        "layers.0.mlp.experts[1],ToyExperts,layers.0.mlp.experts,layers.0.mlp,1,routed,16,declared\n"
    )
    assert made["validation_report.txt"] == (
        "MoE groups\n----------\nlayers.0.mlp: experts=2 routers=1 shared=0 top_k=1 params=40\n\n"
        "Warnings\n--------\nnone\n\n"
        "Checks\n------\ntree_total: PASS\n  expected: 61\n  seen: 61\n"
        "tied: SKIP\n  reason: the config has no tie_word_embeddings\n\n"
        "INTEGRITY STATUS: PASS\n"
    )
    assert [json.loads(made[name]) is not None for name in ("summary.json", "modules.json")] == [True, True]


def test_the_classic_readers_make_right_sums(db: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(files(db)["modules.csv"])))
    by_group: dict[str, int] = {}
    for row in rows:
        by_group[row["moe_group"]] = by_group.get(row["moe_group"], 0) + int(row["n_params"])
    assert by_group == {"": 21, "layers.0.mlp": 40}
    assert max(rows, key=lambda row: int(row["n_params"]))["name"] == "layers.0.mlp.experts"


def test_a_fail_says_why(db: Path) -> None:
    made = files(db, checks=(Check("tree_total", "FAIL", "60", "61", "the rows add up to +1"),))
    assert "INTEGRITY STATUS: FAIL\n  - tree_total: the rows add up to +1\n" in made["summary.txt"]
    assert made["validation_report.txt"].endswith("INTEGRITY STATUS: FAIL\n")


def test_a_full_run_has_totals_and_a_hook_log(db: Path) -> None:
    made = files(
        db,
        mode="full",
        rung="loaded",
        hooks_ran=True,
        hooks=(
            Hook("router", "layers.0.mlp.gate", (3, 2), 0.25, 0.5, "chosen=[2, 1]"),
            Hook("expert", "layers.0.mlp.experts", None, None, None, "RuntimeError: no"),
        ),
    )
    assert "Totals\n------\nmodel total: 61\ntable total: 61\ndelta: 0\n" in made["validation_report.txt"]
    assert made["hook_log.txt"] == (
        "first router: layers.0.mlp.gate shape=[3, 2] mean=0.25 std=0.5 chosen=[2, 1]\n"
        "first expert: layers.0.mlp.experts shape=unknown mean=unknown std=unknown RuntimeError: no\n"
    )


def test_the_endpoint_comes_back(db: Path) -> None:
    payload = {"object": "list", "data": [{"id": "alias", "root": "org/toy"}]}
    made = files(db, endpoint=Endpoint("http://h:1/v1", "alias", "org/toy", "0.32.0", json.dumps(payload)))
    assert json.loads(made["endpoint.json"]) == {
        "url": "http://h:1/v1",
        "served_name": "alias",
        "root": "org/toy",
        "version": "0.32.0",
        "models": payload,
    }


@pytest.mark.parametrize("name", ["=cmd()", "@x", "a\x1b[2J", 'q"uote,comma', "new\nline"])
def test_names_are_data(db: Path, name: str) -> None:
    tree = structure()
    modules = (*tree.modules[:7], Module(7, name, name, "", name.count("."), 1, 0, 0), tree.modules[8])
    made = files(db, structure=replace(tree, modules=modules), reading=Reading(n_active=61))
    cell = list(csv.reader(io.StringIO(made["modules.csv"])))[8][0]
    assert cell == ("'" + name if name[0] in "=@" else printable(name))
    assert "\x1b" not in made["skeleton.txt"] and made["skeleton.txt"].count("\n") == 9
    assert json.loads(made["modules.json"])[7]["name"] == name
