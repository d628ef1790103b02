"""A tree from tensor names alone: in natural order, and never larger than a model can be."""

from __future__ import annotations

import pytest

from auditdb.errors import TooLarge
from auditdb.inspect import from_headers
from auditdb.inspect.from_headers import read_headers_tree
from auditdb.records import StoredTensor


def stored(*names: str) -> list[StoredTensor]:
    return [StoredTensor(name, "model.safetensors", (2, 3), "BF16", 0, 12) for name in names]


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    digits = "9" * 900
    tree = read_headers_tree(stored(f"a.{digits}.w", "a.10.w", "a.2.w", "a.02.w", "a.².w", "a.b.w", "a.w"))
    assert [module.name for module in tree.modules] == [
        "", "a", "a.02", "a.2", "a.10", f"a.{digits}", "a.b", "a.²",
    ]  # fmt: skip
    assert tree.n_params == 42


@pytest.mark.parametrize(
    ("name", "characters", "levels"),
    [("a." * 200 + "w", "401", "200"), ("x" * 2_000, "2,000", "0"), ("a." * 500_000 + "w", "1,000,001", "500,000")],
    ids=["deep", "long", "both"],
)
def test_a_name_that_no_model_has(name: str, characters: str, levels: str) -> None:
    with pytest.raises(TooLarge) as caught:
        read_headers_tree(stored("a.w", name))
    assert str(caught.value) == (
        f"a tensor's name has {characters} characters and {levels} levels; no tree is made of over 1,000 or 100"
    )


def test_more_modules_than_any_model_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_headers, "MAX_MODULES", 5)
    assert len(read_headers_tree(stored("a.b.c.d.w")).modules) == 5
    with pytest.raises(TooLarge) as caught:
        read_headers_tree(stored("a.b.c.d.w", "e.w"))
    assert str(caught.value) == "the tensors' names make over 5 modules; no tree is made of them"
