"""The first line of a diff: what is different, in one sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from auditdb.compare.disk import ExpectedDiff
from auditdb.compare.tree import TreeDiff
from auditdb.diff_records import Change, Section, Verdict
from auditdb.report.text import exact, human, printable
from auditdb.words import counted

Row = Mapping[str, Any]

CONFIG_KEYS_TOLD = 3
# What a reader asks first; other keys follow in the order of the file.
_FIRST_KEYS = (
    "num_hidden_layers",
    "hidden_size",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "intermediate_size",
    "moe_intermediate_size",
    "vocab_size",
    "tie_word_embeddings",
)


_MOE_WORDS = {"n_experts": "experts a group", "top_k": "top-k", "n_shared": "shared experts a group"}


def verdict_of(a: Row, b: Row, sections: Sequence[Section], tree: TreeDiff, expected: ExpectedDiff) -> Verdict:
    """One of four. `sections` are all that were compared."""
    differing = {section.name for section in sections if section.differs}
    if not differing:
        return "same"
    if a["structure_id"] == b["structure_id"] and differing <= {"moe", "totals"}:
        return "same model, read differently"
    same_numbers = all(a[name] == b[name] for name in ("n_params", "n_experts", "n_shared", "n_zero"))
    known = a["expectation_id"] is not None and b["expectation_id"] is not None
    if (
        tree.modules.differs
        and same_numbers
        and not differing & {"config", "checkpoint"}
        and (expected.match if known else tree.parameters_match)
    ):
        return "same weights, other modules"
    return "different"


def sentence_of(
    verdict: Verdict,
    a: Row,
    b: Row,
    sections: Mapping[str, Section],
    tree: TreeDiff,
    expected: ExpectedDiff,
    values_known: bool,
) -> str:
    modes = "" if a["mode"] == b["mode"] else f" (a {a['mode'].upper()} look beside a {b['mode'].upper()} one)"
    if verdict == "same":
        return _same(sections, values_known) + modes
    if verdict == "same weights, other modules":
        return _reorganised(a, b, sections, tree, expected) + modes
    parameters = sections.get("parameters")
    pieces = [
        *_config_piece(sections.get("config")),
        *_number_pieces(a, b, sections.get("totals")),
        *_tree_piece(sections.get("modules"), "modules"),
        *_tree_piece(parameters, "tensors"),
        *_moe_piece(sections.get("moe")),
        # Where the parameters have said it, the expected tensors only say it again.
        *([] if parameters and parameters.differs else _tree_piece(sections.get("expected"), "expected tensors")),
        *_checkpoint_piece(sections.get("checkpoint")),
        *_integrity_piece(sections.get("integrity")),
    ]
    told = pieces or [f"see {', '.join(name for name, section in sections.items() if section.differs)}"]
    return printable(f"{verdict}: {'; '.join(told)}{modes}")


def _same(sections: Mapping[str, Section], values_known: bool) -> str:
    shown = [name for name, section in sections.items() if name != "identity" and section.changes]
    text = "same: nothing differs" if not shown else f"same: nothing that counts differs (see {', '.join(shown)})"
    return text if values_known else f"{text}; weight values were not compared"


def _reorganised(a: Row, b: Row, sections: Mapping[str, Section], tree: TreeDiff, expected: ExpectedDiff) -> str:
    chains = ""
    if a["transformers"] != b["transformers"]:
        chains = f" (transformers {a['transformers'] or 'none'} → {b['transformers'] or 'none'})"
    elif a["toolchain"] != b["toolchain"]:
        chains = " (another toolchain)"
    modules = (
        f"{exact(a['n_modules'])} → {exact(b['n_modules'])} modules"
        if a["n_modules"] != b["n_modules"]
        else f"{exact(a['n_modules'])} modules in both"
    )
    pieces = [modules, f"{human(a['n_params'])} parameters in both"]
    if a["n_experts"]:
        pieces.append(f"{exact(a['n_experts'])} logical experts in both")
    if a["expectation_id"] is not None and b["expectation_id"] is not None:
        how = (
            f"equal up to {counted(expected.n_renamed, 'rename')}" if expected.n_renamed else "equal by name and shape"
        )
        pieces.append(f"{exact(a['n_expected'])} expected tensors {how}")
    elif tree.n_renamed_parameters:
        pieces.append(f"parameters equal up to {counted(tree.n_renamed_parameters, 'rename')}")
    pieces += _integrity_piece(sections.get("integrity"))
    return printable(f"same weights, other modules{chains}: {', '.join(pieces)}")


def _config_piece(section: Section | None) -> list[str]:
    changes = [change for change in section.changes if change.counts] if section else []
    if not changes:
        return []

    def order(change: Change) -> tuple[bool, int, int]:
        """What changed before what is there on one side only, the outer config before the inner ones."""
        above, _, key = (change.a or change.b or "").rpartition(".")
        rank = _FIRST_KEYS.index(key) if key in _FIRST_KEYS else len(_FIRST_KEYS)
        return change.kind != "changed" and rank == len(_FIRST_KEYS), above.count(".") + bool(above), rank

    changes.sort(key=order)
    told = [text for change in changes if (text := _config_text(change))][:CONFIG_KEYS_TOLD]
    rest = len(changes) - len(told)
    if not told:
        return [counted(len(changes), "config key")]
    return [", ".join(told) + (f" and {counted(rest, 'more config key')}" if rest else "")]


def _config_text(change: Change) -> str:
    """`hidden_size 2048 → 4096`; '' for what has no room in a sentence."""
    field = change.fields[0]
    if isinstance(field.a, (list, dict)) or isinstance(field.b, (list, dict)):
        return ""
    a, b = json.dumps(field.a, ensure_ascii=False), json.dumps(field.b, ensure_ascii=False)
    if len(a) + len(b) > 50:
        return ""
    if change.kind == "changed":
        return f"{change.a} {a} → {b}"
    return f"{change.b} {b} added" if change.kind == "added" else f"{change.a} {a} removed"


def _number_pieces(a: Row, b: Row, section: Section | None) -> list[str]:
    names = {change.a for change in section.changes} if section else set()
    pieces = []
    if "n_params" in names:
        pieces.append(f"{_pair(a['n_params'], b['n_params'])} parameters")
    if "n_active_params" in names and (a["n_groups"] or b["n_groups"]):
        pieces.append(f"{_pair(a['n_active_params'], b['n_active_params'])} active")
    return pieces


def _pair(a: int | None, b: int | None) -> str:
    """Rounded where that still tells the two apart."""
    rounded = human(a), human(b)
    return f"{rounded[0]} → {rounded[1]}" if rounded[0] != rounded[1] else f"{exact(a)} → {exact(b)}"


def _tree_piece(section: Section | None, what: str) -> list[str]:
    """`modules +598, 32 renamed`."""
    sums: Counter[str] = Counter()
    for change in section.changes if section else ():
        if change.counts:
            sums[change.kind] += change.n + change.below
    texts = [
        *([f"+{exact(sums['added'])}"] if sums["added"] else []),
        *([f"−{exact(sums['removed'])}"] if sums["removed"] else []),
        *([f"{exact(sums['renamed'])} renamed"] if sums["renamed"] else []),
        *([f"{exact(sums['changed'])} changed"] if sums["changed"] else []),
    ]
    return [f"{what} {', '.join(texts)}"] if texts else []


def _moe_piece(section: Section | None) -> list[str]:
    """The one or two facts of routing that changed in all groups alike."""
    changes = [change for change in section.changes if change.counts and change.kind != "renamed"] if section else []
    told: dict[str, None] = {}
    for change in changes:
        for field in change.fields if change.kind == "changed" else ():
            if field.name in _MOE_WORDS:
                told[f"{_MOE_WORDS[field.name]} {exact(field.a)} → {exact(field.b)}"] = None
    added = sum(c.n for c in changes if c.kind == "added")
    removed = sum(c.n for c in changes if c.kind == "removed")
    counts = [f"+{exact(added)}"] if added else []
    counts += [f"−{exact(removed)}"] if removed else []
    return [*list(told)[:2], *([f"MoE groups {', '.join(counts)}"] if counts else [])]


def _checkpoint_piece(section: Section | None) -> list[str]:
    if section is None or not section.differs:
        return []
    return ["the checkpoint differs"]


def _integrity_piece(section: Section | None) -> list[str]:
    changes = [change for change in section.changes if change.counts] if section else []
    texts = []
    for change in changes[:3]:
        status = next((field for field in change.fields if field.name == "status"), None)
        how = f"{status.a or 'not made'} → {status.b or 'not made'}" if status else "fails otherwise"
        texts.append(f"{change.a or change.b} {how}")
    if len(changes) > 3:
        texts.append(f"{len(changes) - 3} more checks")
    return texts
