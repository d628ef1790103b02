"""Every model type of the installed transformers, from its default config: MoE families exact, all others dense."""

from __future__ import annotations

import json
import string

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from auditdb.checks.moe import check_moe_config, check_moe_groups
from tests.moe.models import COLUMNS, build_default, in_columns, major, read, rows

# `moe_families.csv` was read by hand. The other two were written down from auditdb's reading and then checked: rows without
# changed keys of `more_families.csv` against counts made apart from it, from a dump of modules and shapes; rows with
# changed keys against their config and one expert's size by formula; `transformers_4.csv` against moe_families.csv
# (dbrx and gptsan-japanese, which are not in it, like the rows with changed keys).
TABLES = ("moe/moe_families.csv", "moe/more_families.csv") if major() >= 5 else ("moe/transformers_4.csv",)
ROWS = [row for table in TABLES for row in rows(table)]
BY_TYPE = {row["model_type"]: row for row in ROWS if not row.get("config")}
CHANGED = [row for row in ROWS if row.get("config")]
INITIALS = [letter for letter in string.ascii_lowercase if any(name.startswith(letter) for name in CONFIG_MAPPING)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("initial", INITIALS)
def test_default_configs(initial: str) -> None:
    wrong = {}
    for model_type in [name for name in CONFIG_MAPPING if name.startswith(initial)]:
        built = build_default(model_type)
        if built is None:
            assert model_type not in BY_TYPE
            continue
        structure, reading = read(*built)
        seen = in_columns(structure, reading)
        if model_type in BY_TYPE:
            expected = {column: BY_TYPE[model_type][column] for column in COLUMNS}
        else:
            expected = in_columns(structure, type(reading)())
            assert (reading.marks, reading.n_active) == ((), structure.n_params), model_type
        if seen != expected:
            wrong[model_type] = (seen, expected)
        checks = (check_moe_groups(structure, reading), check_moe_config(built[1], structure, reading))
        assert "FAIL" not in [check.status for check in checks], checks
    assert wrong == {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", CHANGED, ids=[row["model_type"] for row in CHANGED])
def test_families_with_a_few_keys(row: dict[str, str]) -> None:
    class_name = row["model_class"] if row["model_type"] in ("qwen3_omni_moe", "vitpose") else ""
    built = build_default(row["model_type"], json.loads(row["config"]), class_name)
    assert built is not None
    structure, reading = read(*built)
    assert in_columns(structure, reading) == {column: row[column] for column in COLUMNS}
    assert sum(group.n_zero for group in reading.groups) == int(row["n_zero"])
    checks = (check_moe_groups(structure, reading), check_moe_config(built[1], structure, reading))
    assert "FAIL" not in [check.status for check in checks], checks


@pytest.mark.filterwarnings("ignore")
def test_most_types_build() -> None:
    """A sweep that builds nothing would pass: one well-known type of each kind must be there."""
    for model_type in ("llama", "bert", "t5", "sam", "mixtral", "mamba", "lxmert"):
        assert build_default(model_type) is not None, model_type
