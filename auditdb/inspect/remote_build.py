"""Classes that a model brings as code of its own. Runs that code: only ever called where the user trusts it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditdb.errors import BuildError
from auditdb.inspect.choose import Candidate, one_line, refuse_absurd_counts, without_kernel_keys

# In the order of the auto classes that choose.py asks.
MODEL_KEYS = (
    "AutoModelForImageTextToText",
    "AutoModelForVision2Seq",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForPreTraining",
    "AutoModel",
)


def remote_candidates(raw: Mapping[str, Any], folder: Path) -> list[Candidate]:
    """The classes that `auto_map` names, best first, from the files in `folder`.

    transformers copies the files into its module cache and imports them there. Raises BuildError where the map names
    no model class, or where the code fails.
    """
    refuse_absurd_counts(raw)
    auto_map = raw.get("auto_map")
    if not isinstance(auto_map, Mapping):
        return []
    references = [auto_map[key] for key in MODEL_KEYS if isinstance(auto_map.get(key), str)]
    if not references:
        raise BuildError(f"auto_map names no model class, only {', '.join(map(str, auto_map)) or 'nothing'}")
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    found: list[Candidate] = []
    for reference in references:
        try:
            model_class = get_class_from_dynamic_module(reference, str(folder), local_files_only=True)
            if isinstance(auto_map.get("AutoConfig"), str):
                config_class = get_class_from_dynamic_module(auto_map["AutoConfig"], str(folder), local_files_only=True)
            else:
                config_class = model_class.config_class
            config = config_class.from_dict(without_kernel_keys(raw))
        except MemoryError:
            raise
        except Exception as error:  # a stranger's code may raise anything
            raise BuildError(f"the model's own code fails at {reference}: {one_line(error)}") from error
        note = f"built with the model's own {reference}"
        found.append(Candidate(model_class, config, False, (note,)))
    return found
