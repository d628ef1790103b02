"""`tree_total` and `tied`, on trees made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditdb.checks.tree import check_tied, check_tree_total
from auditdb.records import Check, Module, Structure
from tests.small import structure


def untied() -> Structure:
    tree = structure()
    return replace(tree, tensors=tuple(t._replace(tied_to="") for t in tree.tensors))


def encoder_decoder(head_tied: bool) -> Structure:
    """As T5: the decoder's embedding is the shared one, the head may be."""
    tree = structure()
    tensors = [
        t._replace(tied_to="embed.weight" if head_tied else "") if t.name == "head.weight" else t for t in tree.tensors
    ]
    inner = tree.tensors[0]._replace(module=2, name="decoder.embed.weight", tied_to="embed.weight")
    return replace(tree, tensors=(*tensors, inner))


def entities_tied() -> Structure:
    """As LUKE: a table of entities is shared with what predicts them, the head stands alone."""
    tree = untied()
    modules = (
        *tree.modules,
        Module(9, "entities", "Embedding", "", 0, 20, 20, 0),
        Module(10, "guess", "Linear", "", 0, 0, 0, 0),
    )
    table = tree.tensors[0]._replace(module=9, name="entities.weight")
    return replace(
        tree,
        modules=modules,
        tensors=(*tree.tensors, table, table._replace(module=10, name="guess.weight", tied_to="entities.weight")),
    )


def test_tree_total() -> None:
    tree = structure()
    assert check_tree_total(tree) == Check("tree_total", "PASS", "61", "61")
    assert check_tree_total(replace(tree, own_total=60)) == Check(
        "tree_total", "FAIL", "60", "61", "the rows add up to +1 of what the model counts"
    )
    assert check_tree_total(replace(tree, own_total=None)).status == "SKIP"


@pytest.mark.parametrize(
    ("raw", "tree", "status", "reason"),
    [
        ({}, structure(), "SKIP", "the config has no tie_word_embeddings"),
        ({"tie_word_embeddings": True}, structure(), "PASS", ""),
        ({"tie_word_embeddings": True}, untied(), "FAIL", "the config ties the embeddings, the tree does not"),
        ({"tie_word_embeddings": False}, untied(), "PASS", ""),
        ({"tie_word_embeddings": False}, structure(), "FAIL", "the config keeps the head apart, the tree ties it"),
        ({"text_config": {"tie_word_embeddings": True}}, structure(), "PASS", ""),
        (
            {"tie_word_embeddings": False, "text_config": {"tie_word_embeddings": True}},
            structure(),
            "SKIP",
            "the config says both: tie_word_embeddings = false, text_config.tie_word_embeddings = true",
        ),
        ({"tie_word_embeddings": False}, encoder_decoder(head_tied=False), "PASS", ""),
        (
            {"tie_word_embeddings": False},
            encoder_decoder(head_tied=True),
            "FAIL",
            "the config keeps the head apart, the tree ties it",
        ),
        ({"tie_word_embeddings": True}, encoder_decoder(head_tied=False), "PASS", ""),
        ({"tie_word_embeddings": True}, entities_tied(), "PASS", ""),
        ({"tie_word_embeddings": False}, entities_tied(), "PASS", ""),
        (
            {"tie_word_embeddings": True},
            replace(structure(), output_embedding=""),
            "SKIP",
            "the class has no output head",
        ),
        ({"tie_word_embeddings": "yes"}, structure(), "SKIP", "the config has no tie_word_embeddings"),
    ],
)
def test_tied(raw: dict[str, Any], tree: Structure, status: str, reason: str) -> None:
    check = check_tied(raw, tree)
    assert (check.status, check.reason) == (status, reason)
