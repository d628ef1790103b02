"""Checks that need the tree and the raw config alone: `tree_total` and `tied`. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditdb.records import Check, Structure

TIE_KEY = "tie_word_embeddings"
_TEXT_PARTS = ("text_config", "language_config", "llm_config", "thinker_config", "decoder")


def check_tree_total(structure: Structure) -> Check:
    """The sum over the rows against the model's own unique total."""
    counted = structure.n_params
    if structure.own_total is None:
        return Check("tree_total", "SKIP", seen=str(counted), reason="no model was built that could count itself")
    if counted == structure.own_total:
        return Check("tree_total", "PASS", str(structure.own_total), str(counted))
    reason = f"the rows add up to {counted - structure.own_total:+,} of what the model counts"
    return Check("tree_total", "FAIL", str(structure.own_total), str(counted), reason)


def said_tied(raw: Mapping[str, Any]) -> tuple[bool | None, str]:
    """What the raw config says of tying, and where; None with a reason where it says nothing, or two things.

    A parsed config is no witness here: classes fill in a default.
    """
    said = {}
    if isinstance(raw.get(TIE_KEY), bool):
        said[TIE_KEY] = raw[TIE_KEY]
    for part in _TEXT_PARTS:
        inner = raw.get(part)
        if isinstance(inner, Mapping) and isinstance(inner.get(TIE_KEY), bool):
            said[f"{part}.{TIE_KEY}"] = inner[TIE_KEY]
    if not said:
        return None, f"the config has no {TIE_KEY}"
    if len(set(said.values())) > 1:
        return None, "the config says both: " + ", ".join(
            f"{key} = {str(value).lower()}" for key, value in said.items()
        )
    key, value = next(iter(said.items()))
    return value, key


def check_tied(raw: Mapping[str, Any], structure: Structure) -> Check:
    """The raw config's explicit `tie_word_embeddings` with what the tree shares.

    `true` passes if any embedding is tied; `false` fails only if the output head is: encoder-decoders share their
    input embeddings whatever the key says.
    """
    said, where = said_tied(raw)
    tied = tied_embeddings(structure)
    seen = ", ".join(f"{name} = {first}" for name, first in tied) or "no tied embedding"
    if said is None:
        return Check("tied", "SKIP", seen=seen, reason=where)
    if not structure.output_embedding:
        return Check("tied", "SKIP", f"{where} = {str(said).lower()}", seen, "the class has no output head")
    expected = f"{where} = {str(said).lower()}"
    if said:
        if tied:
            return Check("tied", "PASS", expected, seen)
        return Check("tied", "FAIL", expected, seen, "the config ties the embeddings, the tree does not")
    head_is_tied = any(name == structure.output_embedding for name, _ in tied)
    if head_is_tied:
        return Check("tied", "FAIL", expected, seen, "the config keeps the head apart, the tree ties it")
    return Check("tied", "PASS", expected, seen)


def tied_embeddings(structure: Structure) -> list[tuple[str, str]]:
    """(name, first name) of each parameter that shares the input embedding, the output head, or any other embedding.

    An embedding of entities (luke) or of codes (csm) counts: the key speaks of all that the class can tie.
    """
    ends = {structure.input_embedding, structure.output_embedding} - {""}
    ends |= {f"{module.name}.weight" for module in structure.modules if module.class_name.endswith("Embedding")}
    found = [(t.name, t.tied_to) for t in structure.tensors if t.tied_to and ends & {t.name, t.tied_to}]
    for other, first in structure.aliases:
        if any(end.rpartition(".")[0] == first for end in ends):
            found.append((other, first))
    return found
