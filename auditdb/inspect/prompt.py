"""The short prompt of the one forward pass, as a model's keyword arguments; it runs nothing."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from auditdb.inspect.choose import one_line
from auditdb.inspect.quiet import quiet

PROMPT = "The quick brown fox jumps over the lazy dog."
N_FIXED = 8

# Without one of these no tokenizer can be made, and the library's way of saying so is long.
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "spiece.model",
    "sentencepiece.bpe.model", "tekken.json",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Keyword arguments of `forward`, how many tokens they hold, and why these are fixed ones where that is odd."""

    values: dict[str, Any]
    n_tokens: int
    note: str = ""


def make_inputs(model: Any, folder: Path | None, *, meta: bool, trust_remote_code: bool = False) -> Inputs:
    """Text for any model that takes `input_ids`; VLMs get no picture, encoder-decoders the same ids for their decoder.

    On meta, masks of transformers 5 have four dimensions (`[1, 1, tokens, tokens]`, additive), since it makes those
    from two-dimensional ones by looking at values; transformers 4 looks at the values of four-dimensional ones, and
    gets none.

    Raises ValueError with a sentence for a model that takes no text.
    """
    accepted = inspect.signature(model.forward).parameters
    if "input_ids" not in accepted:
        takes = getattr(model, "main_input_name", "something else")
        raise ValueError(f"the model takes {takes} and no text, so no prompt could be given to it")
    rows = _embedding_rows(model)
    ids, note = _token_ids(model, folder, rows, trust_remote_code)
    device = next(model.parameters()).device if meta else _input_device(model)
    tokens = torch.tensor([ids], dtype=torch.long).to(device)
    mask = _square_mask(len(ids), model.dtype, device) if meta else torch.ones_like(tokens)
    values: dict[str, Any] = {"input_ids": tokens}
    masked = not meta or hasattr(model, "set_experts_implementation")
    if masked and "attention_mask" in accepted:
        values["attention_mask"] = mask
    if "use_cache" in accepted:
        values["use_cache"] = False
    if getattr(model.config, "is_encoder_decoder", False) and "decoder_input_ids" in accepted:
        values["decoder_input_ids"] = tokens
        if meta and masked and "decoder_attention_mask" in accepted:
            values["decoder_attention_mask"] = mask
    return Inputs(values, len(ids), note)


def _square_mask(n_tokens: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.zeros((1, 1, n_tokens, n_tokens), dtype=dtype, device=device)


def _input_device(model: Any) -> torch.device:
    embedding = model.get_input_embeddings()
    weight = getattr(embedding, "weight", None)
    device: torch.device = weight.device if isinstance(weight, torch.Tensor) else model.device
    return device


def _embedding_rows(model: Any) -> int:
    """Rows of the input embedding: ids beyond them would be read from nowhere."""
    try:
        weight = getattr(model.get_input_embeddings(), "weight", None)
    except (NotImplementedError, AttributeError):  # a class without that embedding says so like this
        weight = None
    if isinstance(weight, torch.Tensor) and weight.dim() == 2:
        return int(weight.shape[0])
    vocabulary = getattr(model.config.get_text_config(), "vocab_size", None)
    return vocabulary if isinstance(vocabulary, int) and vocabulary > 0 else 2


def _token_ids(model: Any, folder: Path | None, rows: int, trust_remote_code: bool) -> tuple[list[int], str]:
    if folder is None or not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return _fixed_ids(model, rows), ""
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer: Any = AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=trust_remote_code
            )
            ids = [int(token) for token in tokenizer(PROMPT)["input_ids"]]
    except Exception as error:  # tokenizers raise whatever their files make them raise; fixed ids do as well
        return _fixed_ids(model, rows), f"fixed token ids, since the tokenizer can't be used ({one_line(error, 160)})"
    if not ids or max(ids) >= rows:
        return _fixed_ids(model, rows), f"fixed token ids, since the tokenizer's do not fit the {rows:,} embeddings"
    return ids, ""


def _fixed_ids(model: Any, rows: int) -> list[int]:
    """N_FIXED ids spread over the vocabulary, none of which means a picture, a sound, padding or an end."""
    special = _special_ids(model.config)
    usable = [i for i in range(min(rows, 4096)) if i not in special] or [0]
    step = max(1, len(usable) // N_FIXED)
    return [usable[i * step % len(usable)] for i in range(N_FIXED)]


def _special_ids(config: Any) -> set[int]:
    found: set[int] = set()
    todo = [config]
    while todo:
        part = todo.pop()
        for key, value in vars(part).items():
            if hasattr(value, "to_dict") and hasattr(value, "model_type"):
                todo.append(value)
            elif key.endswith(("_token_id", "_token_index", "_token_ids")):
                found.update(i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int))
    return found
