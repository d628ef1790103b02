"""Budgets, generous by a factor of three: the reading must not cost more than the build of the tree."""

from __future__ import annotations

import gc
import time

from auditdb.moe import read_moe
from auditdb.records import Declared, Structure
from tests.moe.trees import fused_moe, module_moe, tree


def seconds(structure: Structure, experts: int) -> float:
    raw = {"n_routed_experts": experts, "num_experts_per_tok": 8}
    best = 10.0
    for _ in range(3):
        gc.collect()
        start = time.perf_counter()
        reading = read_moe(structure, Declared(), raw)
        best = min(best, time.perf_counter() - start)
    assert sum(row.kind == "routed" for row in reading.experts) == 58 * experts
    return best


def test_fused_banks_of_deepseek_v3() -> None:
    """58 layers of 256 experts; 0.04 s when this was written."""
    assert seconds(tree(fused_moe(layers=58, experts=256)), 256) < 0.3


def test_sixty_thousand_modules() -> None:
    """The same as modules, 59,800 of them; 0.7 s when this was written."""
    structure = tree(module_moe(layers=58, experts=256))
    assert len(structure.modules) > 59_000
    assert seconds(structure, 256) < 4.5
