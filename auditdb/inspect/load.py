"""FULL mode's loading: the weights of a folder into the class that FAST chose; it judges nothing, asks no network."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditdb.errors import BuildError, TooLarge
from auditdb.inspect.choose import one_line
from auditdb.inspect.memory import Place
from auditdb.inspect.quiet import quiet
from auditdb.records import LoaderVerdict

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Loaded:
    """A model with its weights. `verdict` is what the loader reported, as data; its names are the model's own.

    `device` is like 'cpu', 'cuda:0' or 'cuda:0, cuda:1'. `made_up` are parameters whose numbers are not the
    checkpoint's: missing or of another shape, and then initialised at random (or left on meta by transformers 4).
    """

    model: PreTrainedModel
    verdict: LoaderVerdict
    device: str
    made_up: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def load(
    model_class: type[PreTrainedModel],
    config: PretrainedConfig,
    folder: Path,
    *,
    place: Place = Place(),  # noqa: B008  frozen
    trust_remote_code: bool = False,
) -> Loaded:
    """Load the weights that lie in `folder` into `model_class`, with `dtype="auto"`, in evaluation mode.

    `config` is one freshly parsed from the raw JSON (`choose.candidates`): building changes a config, its dtype among
    others. Missing, unexpected and mismatched keys never raise: they are in `Loaded.verdict`. Pickled files are
    read with `weights_only=True` (the default of 5.x, fixed in 4.44.2), so that they can run no code. An adapter beside
    the model is left out.

    Raises TooLarge where memory runs out on the way, BuildError for whatever else transformers says.
    """
    import torch

    try:
        with _without_adapter(folder) as (path, notes), quiet(bars=True):
            if hasattr(model_class, "_finalize_model_loading"):
                model, verdict = _load_5(model_class, config, path, place, trust_remote_code)
            else:
                model, verdict = _load_4(model_class, config, path, place)
            model.eval()
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise TooLarge(
            f"memory ran out while {model_class.__name__} was loaded; give --fast, which reads no weights"
        ) from error
    except Exception as error:  # a class, a quantiser or a damaged file may raise anything; it becomes the sentence
        raise BuildError(_sentence(model_class, config, error)) from error
    doubtful = {*verdict.missing, *(name for name, _, _ in verdict.mismatched)}
    doubtful.update(name for name, _ in verdict.conversion_errors)
    return Loaded(model, verdict, _devices(model), frozenset(doubtful), notes)


def _load_5(
    model_class: type[Any], config: Any, path: Path, place: Place, trust_remote_code: bool
) -> tuple[Any, LoaderVerdict]:
    """transformers 5. Conversion errors make `from_pretrained` raise at the very end; the model it had is kept."""
    kept: list[Any] = []

    def finalize(model: Any, load_config: Any, loading_info: Any) -> Any:
        kept.append((model, loading_info, set(loading_info.unexpected_keys)))
        return model_class._finalize_model_loading(model, load_config, loading_info)

    # Of the same name, since the library looks conversions up by the class's name.
    watched: Any = type(
        model_class.__name__,
        (model_class,),
        {"_finalize_model_loading": staticmethod(finalize), "__module__": model_class.__module__},
    )
    try:
        watched.from_pretrained(
            str(path),
            config=config,
            dtype="auto",
            device_map=place.device_map,
            weights_only=True,
            ignore_mismatched_sizes=True,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        )
    except Exception:
        if not kept or not kept[0][1].conversion_errors:
            raise
    model, info, unexpected_before = kept[0]
    model.__class__ = model_class
    unexpected = set(info.unexpected_keys)
    verdict = LoaderVerdict(
        missing=tuple(sorted(info.missing_keys)),
        unexpected=tuple(sorted(unexpected)),
        mismatched=_mismatched(info.mismatched_keys),
        conversion_errors=tuple(sorted((name, _last_line(text)) for name, text in info.conversion_errors.items())),
        ignored=tuple(sorted(unexpected_before - unexpected)),
    )
    return model, verdict


def _load_4(model_class: type[Any], config: Any, path: Path, place: Place) -> tuple[Any, LoaderVerdict]:
    """transformers 4, where memory for a second copy is only spared with `low_cpu_mem_usage`.

    4.44.2 then takes all parameters of one size for tied while they are on meta, and says of none of them that it is
    missing; those that stay on meta are. (With a device map it knows better, and can't move what was mismatched.)
    """
    more: dict[str, Any] = {} if place.device_map is None else {"device_map": place.device_map}
    if "weights_only" in inspect.signature(model_class.from_pretrained).parameters:  # 4.50 and later
        more["weights_only"] = True
    model, info = model_class.from_pretrained(
        str(path),
        config=config,
        torch_dtype="auto",
        low_cpu_mem_usage=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        local_files_only=True,
        **more,
    )
    mismatched = _mismatched(info["mismatched_keys"])
    left = {name for name, parameter in model.named_parameters() if parameter.device.type == "meta"}
    verdict = LoaderVerdict(
        missing=tuple(sorted({*info["missing_keys"], *(left - {name for name, _, _ in mismatched})})),
        unexpected=tuple(sorted(info["unexpected_keys"])),
        mismatched=mismatched,
        error="; ".join(_last_line(text) for text in info["error_msgs"]),
    )
    return model, verdict


def _mismatched(found: Any) -> tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]:
    return tuple(sorted((name, tuple(stored), tuple(built)) for name, stored, built in found))


@contextmanager
def _without_adapter(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folder as transformers shall see it. With peft installed, an adapter in it would be applied, and on 4.x its
    base model fetched in place of this one; then a folder of links without it stands in."""
    if not (folder / ADAPTER).is_file():
        yield folder, ()
        return
    with tempfile.TemporaryDirectory(prefix="auditdb-") as scratch:
        for entry in folder.absolute().iterdir():
            if entry.name != ADAPTER:
                (Path(scratch) / entry.name).symlink_to(entry)
        yield Path(scratch), ("the adapter beside the weights was not loaded",)


def _devices(model: Any) -> str:
    found = {str(parameter.device) for parameter in model.parameters()} - {"meta"}
    return ", ".join(sorted(found)) or "cpu"


def _sentence(model_class: type[Any], config: Any, error: Exception) -> str:
    quantization = getattr(config, "quantization_config", None)
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    what = f"{method} weights" if method else "weights"
    hint = "install what it names, or give --fast" if isinstance(error, ImportError) else "give --fast"
    return (
        f"transformers can't load the {what} into {model_class.__name__} ({one_line(error)}); "
        f"{hint}, which looks at the checkpoint without loading it"
    )


def _last_line(text: object) -> str:
    """The library puts a whole traceback into a conversion error; its last line says what happened."""
    lines = [line.strip() for line in str(text).strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
