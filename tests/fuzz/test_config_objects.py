"""Any config.json that is a JSON object gives a tree, a reading and checks that can be stored, or an AuditError."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given

from auditdb.audit.judge import tree_checks
from auditdb.errors import BuildError
from auditdb.inspect import build as build_room
from auditdb.inspect.budget import build_budget
from auditdb.inspect.build import build
from auditdb.inspect.declared import read_declared
from auditdb.inspect.expected import expected_tensors
from auditdb.inspect.from_headers import read_headers_tree
from auditdb.inspect.quiet import quiet
from auditdb.inspect.tree import read_tree
from auditdb.moe import read_moe
from auditdb.records import Declared, StoredTensor, Structure
from auditdb.store import rows
from tests.fuzz.configs import made_up, mutated
from tests.fuzz.law import assert_storable, fuzzed, lawful
from tests.small import structure


def tree_of(*layers: str) -> Structure:
    """Eight experts and a router in each of these layers, from tensor names."""
    return read_headers_tree(
        [
            StoredTensor(f"model.layers.{layer}.mlp.{name}.weight", "f", shape, "BF16", 0, 0)
            for layer in layers
            for name, shape in (("gate", (8, 4)), *((f"experts.{expert}.up", (4, 4)) for expert in range(8)))
        ]
    )


# Layers that are no numbers to Python's int(), and layers with a gap, as an incomplete checkpoint has them.
TREES = (structure(), tree_of("0", "1", "²", "٣"), tree_of("0", "5"))


@pytest.fixture(autouse=True, scope="module")
def small_budget() -> Iterator[None]:
    """A budget that nonsense uses up in seconds; that the real one holds is shown in tests/inspect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_room, "build_budget", lambda **_: build_budget(20_000, 2 * 2**30, 5.0))
        yield


def look(raw: dict[str, Any]) -> None:
    """All that FAST does with a config, and that each part of it can be stored."""
    before = copy.deepcopy(raw)
    with quiet():
        built = build(raw)
        structure = read_tree(built.model)
        reading = read_moe(structure, read_declared(built.model), raw)
        checks = tree_checks(raw, structure, reading)
        try:
            expected = expected_tensors(built.model)
        except BuildError as error:
            expected = ()
            assert str(error).startswith("transformers can't say which tensors")
    assert repr(raw) == repr(before)
    assert structure.n_params == structure.own_total
    parts = (rows.structure_content(structure), rows.reading_content(reading), rows.expectation_content(expected))
    assert_storable((built.notes, checks, parts))


@fuzzed(120)
@given(mutated())
def test_a_mutated_real_config(raw: dict[str, Any]) -> None:
    lawful(lambda: look(raw))


@fuzzed(400)
@given(mutated() | made_up())
@example({"num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": [2, 3]})
@example({"num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 10**30})
@example({"num_hidden_layers": 2, "num_experts": 2, "moe_layers_enum": "1 2"})
@example({"num_hidden_layers": 2, "num_experts": 2, "moe_layers_enum": "9" * 5_000})
@example({"num_hidden_layers": 2, "num_experts": 2, "mlp_layer_types": [[1], {}]})
def test_any_config_beside_any_tree(raw: dict[str, Any]) -> None:
    """A tree that was had from headers, or an earlier run, is read beside a config that no class ever validated."""
    for tree in TREES:
        reading = read_moe(tree, Declared(), raw)
        assert_storable((tree_checks(raw, tree, reading), rows.reading_content(reading)))


@fuzzed(60)
@given(made_up())
@example({"model_type": "gpt2", "num_labels": 10**9})
@example({"model_type": "opt", "id2label": {"x": 1}})
def test_a_made_up_config(raw: dict[str, Any]) -> None:
    lawful(lambda: look(raw))
