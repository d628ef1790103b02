"""Real configs: experts, layers and top-k as published, active parameters as counted, alike under transformers 4 and 5."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditdb.checks.moe import check_moe_config, check_moe_groups
from auditdb.errors import BuildError
from auditdb.inspect.build import build
from tests.moe.models import DATA, read, rows

TRUTH = {row["model"]: row for row in rows("truth.csv")}
# What auditdb counts, what is published, and which of the two counts the publisher means.
ACTIVE = {row["model"]: row for row in rows("moe/active.csv")}
CONFIGS = {path.parent.name.replace("__", "/", 1): path for path in sorted((DATA / "configs").glob("*/config.json"))}


def raw_config(model: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(CONFIGS[model].read_text(encoding="utf-8"))
    return loaded


def test_every_config_has_its_truth() -> None:
    assert set(CONFIGS) == set(TRUTH)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", CONFIGS)
def test_published_numbers(model: str) -> None:
    raw = raw_config(model)
    try:
        built = build(raw)
    except BuildError:
        return  # no class of this transformers; test_names_only.py reads such models by their tensor names
    structure, reading = read(built.model, raw)
    truth = TRUTH[model]
    seen = (
        {group.n_experts for group in reading.groups},
        len(reading.groups),
        {group.top_k for group in reading.groups},
        [check.status for check in (check_moe_groups(structure, reading), check_moe_config(raw, structure, reading))],
    )
    if truth["moe_layers"] == "0":
        assert seen == (set(), 0, set(), ["SKIP", "SKIP"])
        assert reading.n_active == structure.n_params
        return
    assert seen == (
        {int(truth["routed_experts_per_layer"])},
        int(truth["moe_layers"]),
        {int(truth["top_k"])},
        ["PASS", "PASS"],
    )
    has_shared = truth["shared_experts"] != "0"
    assert sum(row.kind == "shared" for row in reading.experts) == (len(reading.groups) if has_shared else 0)
    counted = ACTIVE[model]
    assert (reading.n_active, reading.n_active_no_embedding) == (
        int(counted["n_active"]),
        int(counted["n_active_no_embedding"]),
    )


@pytest.mark.parametrize("model", ACTIVE)
def test_active_as_published(model: str) -> None:
    """The count that the publisher means gives the published digits, rounded or (where the note says so) cut off."""
    row = ACTIVE[model]
    published = row["published"].rstrip("B")
    digits = len(published.partition(".")[2])
    count = (int(row["n_active"]) if row["meant"] == "with" else int(row["n_active_no_embedding"])) - int(
        row["less"] or 0
    )
    billions = count / 1e9
    if row["cut"]:
        billions = int(billions * 10**digits) / 10**digits
    assert f"{billions:.{digits}f}" == published


ALIKE = {
    # model: groups, routed experts a group, top-k, shared, active, active without embedding
    "mistralai/Mixtral-8x7B-v0.1": (32, {8}, {2}, 0, 12_879_925_248, 12_748_853_248),
    "Qwen/Qwen1.5-MoE-A2.7B": (24, {60}, {4}, 24, 2_689_173_504, 2_378_008_576),
    "ai21labs/AI21-Jamba-1.5-Mini": (16, {16}, {2}, 0, 12_110_311_296, 11_841_875_840),
    "databricks/dbrx-instruct": (40, {16}, {4}, 0, 36_469_708_800, 35_853_146_112),
    "jetmoe": (24, {8}, {2}, 0, 1_198_491_648, 1_132_955_648),
    "switch_transformers": (6, {8}, {1}, 0, 185_191_680, 160_517_376),
    "nllb-moe": (6, {128}, {2}, 0, 535_054_336, 403_867_648),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ALIKE)
def test_alike_under_both_toolchains(model: str) -> None:
    """The modules differ, and the group names with them; the counts do not."""
    from tests.moe.models import build_default

    if model in CONFIGS:
        raw = raw_config(model)
        reading = read(build(raw).model, raw)[1]
    else:
        made = build_default(model)
        assert made is not None
        reading = read(*made)[1]
    assert ALIKE[model] == (
        len(reading.groups),
        {group.n_experts for group in reading.groups},
        {group.top_k for group in reading.groups},
        sum(group.n_shared for group in reading.groups),
        reading.n_active,
        reading.n_active_no_embedding,
    )
    assert {row.moe_group for row in reading.routers} == {group.name for group in reading.groups}
