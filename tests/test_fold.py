from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from auditdb.fold import Folded, fold, listing, numbers, template
from auditdb.words import shown


def test_a_full_grid_is_one_pattern() -> None:
    names = [f"model.layers.{i}.mlp.experts.{j}.w2.weight" for i, j in product(range(32), range(8))]
    assert fold(names) == (Folded("model.layers.{0-31}.mlp.experts.{0-7}.w2.weight", 256),)


def test_a_grid_with_a_hole_is_told_exactly() -> None:
    names = [f"l.{i}.e.{j}" for i, j in product(range(4), range(3)) if (i, j) != (2, 1)]
    assert fold(names) == (Folded("l.{0-1,3}.e.{0-2}", 9), Folded("l.2.e.{0,2}", 2))


def test_kinds_stay_apart_and_in_order() -> None:
    names = ["x.1.w1.weight", "x.0.w2.weight", "x.0.w1.weight", "lm_head.weight"]
    assert fold(names) == (
        Folded("x.{0-1}.w1.weight", 2),
        Folded("x.0.w2.weight", 1),
        Folded("lm_head.weight", 1),
    )


def test_switch_experts_fold_and_other_digits_do_not() -> None:
    assert (
        template("encoder.block.3.mlp.experts.expert_7.wi.weight") == "encoder.block.{}.mlp.experts.expert_{}.wi.weight"
    )
    assert template("h.0.dense_4h_to_h.fc_1.w1") == "h.{}.dense_4h_to_h.fc_1.w1"
    assert numbers("encoder.block.3.mlp.experts.expert_7.wi") == (3, 7)


def test_a_listing_says_how_many_follow() -> None:
    names = [f"k{letter}.{i}" for letter in "abc" for i in range(2)]
    assert listing(names, 2) == "ka.{0-1} (2), kb.{0-1} (2) and 2 more"


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_folding_counts_each_name_once(rows: set[tuple[int, int]]) -> None:
    assert sum(f.n for f in fold(f"a.{i}.b.{j}" for i, j in rows)) == len(rows)


def test_names_that_only_look_like_a_pattern_are_kept_each_by_itself() -> None:
    """A number that int() would not give back, braces, and a name of a thousand numbers: none may swallow another."""
    names = ["l.3.w", "l.03.w", "l.٣.w", "l.².w", "l.{}.w", "l.4.w", f"l.{'9' * 5_000}.w", "0." * 3_000 + "w"]
    assert fold(names) == (
        Folded("l.{}.w", 1),
        Folded("l.{3-4}.w", 2),
        Folded("l.03.w", 1),
        Folded("l.٣.w", 1),
        Folded("l.².w", 1),
        Folded(shown(f"l.{'9' * 5_000}.w"), 1),
        Folded(shown("0." * 3_000 + "w"), 1),
    )
