"""Config to model on the meta device: the ladder of FAST mode. No weight is read or allocated here."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditdb.errors import BuildError, TooLarge
from auditdb.inspect.budget import MAX_BYTES, build_budget
from auditdb.inspect.choose import Candidate, candidates, names_library_class, one_line, text_part
from auditdb.inspect.quiet import quiet
from auditdb.records import Rung

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# `init_empty_weights` allocates each parameter for real before it moves it to meta: peak memory is that of the largest
# module at least, and of fused experts all of them. Refused above this many bytes of parameters.
EMPTY_WEIGHTS_LIMIT = 8 * 2**30


@dataclass(frozen=True)
class Built:
    """A model on the meta device, the rung it was had on, and what the run should note."""

    model: PreTrainedModel
    rung: Rung
    guessed: bool
    notes: tuple[str, ...]


def candidates_for(raw: Mapping[str, Any], trusted: Path | None = None) -> list[Candidate]:
    """The classes that may build a raw config, best first: the library's own by architecture; else, where the user
    trusts the code in the folder `trusted`, those of `auto_map`; else the library's by model type.

    Raises BuildError with a sentence where there is none.
    """
    if trusted is not None and "auto_map" in raw and not names_library_class(raw):
        from auditdb.inspect.remote_build import remote_candidates

        with quiet():
            return remote_candidates(raw, trusted)
    with quiet():
        return candidates(raw)


def build(raw: Mapping[str, Any], trusted: Path | None = None) -> Built:
    """Build the model of a raw config.json; without `trusted` no remote code runs.

    Raises BuildError where no class builds it (with what each said), TooLarge at the end of the build's budget.
    """
    failures: list[str] = []
    with build_budget():
        found = candidates_for(raw, trusted)
    for candidate in found:
        try:
            with quiet():
                model, rung = _on_meta(candidate)
        except TooLarge:
            raise
        except BuildError as error:
            failures.append(str(error))
            continue
        notes = candidate.notes + tuple(f"tried before: {failure}" for failure in failures)
        return Built(model, rung, candidate.guessed, notes)
    raise BuildError("no class builds this config.json: " + "; ".join(failures))


def _on_meta(candidate: Candidate) -> tuple[PreTrainedModel, Rung]:
    """The two rungs for one class. A model class may raise anything on a config that it did not expect."""
    import torch

    cls, config = candidate.model_class, candidate.config
    try:
        with quick_allocation(), torch.device("meta"), build_budget():
            return cls._from_config(config), "meta"
    except TooLarge:
        raise
    except Exception as error:
        first = error
    if not _needs_real_tensors(first):
        raise BuildError(f"{cls.__name__}: {one_line(first)}") from first
    try:
        with quick_allocation(), build_budget(memory=MAX_BYTES + EMPTY_WEIGHTS_LIMIT):
            return _with_empty_weights(candidate), "init_empty_weights"
    except BuildError:
        raise
    except Exception as error:
        raise BuildError(f"{cls.__name__}: {one_line(first)}; with real tensors: {one_line(error)}") from error


def _needs_real_tensors(error: Exception) -> bool:
    """Whether a class failed because it reads values while it builds (`.item()` on meta), which other rungs allow."""
    text = str(error)
    return isinstance(error, (NotImplementedError, RuntimeError)) and ("meta" in text or ".item()" in text)


def _with_empty_weights(candidate: Candidate) -> PreTrainedModel:
    from accelerate import init_empty_weights

    bound = estimated_parameters(candidate.config)
    if bound * 4 > EMPTY_WEIGHTS_LIMIT:
        raise BuildError(
            f"{candidate.model_class.__name__} can't be built on the meta device, and building it with real tensors "
            f"may take {bound * 4 / 2**30:.0f} GiB; that is not tried above {EMPTY_WEIGHTS_LIMIT / 2**30:.0f} GiB"
        )
    with init_empty_weights(include_buffers=False):
        model = candidate.model_class._from_config(candidate.config)
    # init_empty_weights makes a new Parameter of each, which unties what the class had tied.
    model.tie_weights()
    return model


def estimated_parameters(config: Any) -> int:
    """A generous guess at a config's parameters: experts × layers × 16 · hidden² + embeddings. For limits only."""
    text = text_part(config)

    def number(*names: str) -> int:
        values = [getattr(text, name, None) for name in names]
        return max([value for value in values if isinstance(value, int)], default=1)

    hidden = number("hidden_size")
    layers = number("num_hidden_layers")
    experts = number("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    wide = max(number("intermediate_size"), number("moe_intermediate_size"))
    return layers * (4 * hidden * hidden + experts * 3 * hidden * wide) + 2 * hidden * number("vocab_size")


@contextmanager
def quick_allocation() -> Iterator[None]:
    """No garbage collection while thousands of long-lived objects are made: it would walk them again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
