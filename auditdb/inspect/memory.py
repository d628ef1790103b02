"""How much memory loading takes and how much there is; it decides where a model goes and loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from auditdb.errors import TooLarge
from auditdb.records import Checkpoint, Structure

_ITEM_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "half": 2, "float": 4, "double": 8}

# Methods whose weights transformers turns back into bfloat16 where their kernels are missing (FP8 and MXFP4 on CPU).
_TURNED_BACK = frozenset({"mxfp4", "fp8", "fbgemm_fp8"})

# For activations of a short prompt, what the libraries allocate, and what the estimate does not know.
_SPARE_BYTES = 256 * 2**20
_GPU_SHARE = 0.9  # of what is free: the caching allocator and the context take the rest


@dataclass(frozen=True)
class Place:
    """Where the weights go. `device_map` is what `from_pretrained` is given; None is the CPU without accelerate."""

    device: Literal["cpu", "cuda"] = "cpu"
    device_map: str | dict[str, int] | None = None


def needed_bytes(checkpoint: Checkpoint | None, structure: Structure, raw_config: Mapping[str, Any]) -> int:
    """An estimate, from headers alone, of the bytes that the loaded model takes at its peak.

    Parameters in the dtype that `dtype="auto"` gives (the config's, else the stored one), buffers in float32, two
    copies of the largest parameter (experts are stacked while they are loaded), and a spare. Pickled files are read as
    a whole beside the model.
    """
    sizes = [f.size or 0 for f in checkpoint.files if f.kind != "index"] if checkpoint else []
    stored = sum(t.end - t.begin for t in checkpoint.tensors) if checkpoint else 0
    numbers = _stored_numbers(checkpoint)
    item = _config_item_bytes(raw_config) or (-(-stored // numbers) if numbers else 4)
    weights = structure.n_params * item
    method = quantization_method(raw_config)
    if method:
        weights = max(stored, structure.n_params * 2) if method in _TURNED_BACK else max(stored, sum(sizes))
    largest = max((t.numel for t in structure.tensors if t.kind == "parameter"), default=0) * item
    pickled = sum(f.size or 0 for f in checkpoint.files if f.kind == "pickle") if checkpoint else 0
    return weights + 4 * structure.n_buffers + 2 * largest + pickled + _SPARE_BYTES


def quantization_method(raw_config: Mapping[str, Any]) -> str:
    """`quant_method` of the raw `quantization_config`, of a text model inside too; '' for a model that has none."""
    for part in (raw_config, *(part for part in raw_config.values() if isinstance(part, dict))):
        found = part.get("quantization_config")
        if isinstance(found, dict) and found:
            return str(found.get("quant_method", "unnamed method"))
    return ""


def _stored_numbers(checkpoint: Checkpoint | None) -> int:
    total = 0
    for tensor in checkpoint.tensors if checkpoint else ():
        size = 1
        for length in tensor.shape:
            size *= length
        total += size
    return total


def _config_item_bytes(raw_config: Mapping[str, Any]) -> int | None:
    parts = [raw_config, *(part for part in raw_config.values() if isinstance(part, dict))]
    for part in parts:
        word = part.get("dtype") or part.get("torch_dtype")
        if isinstance(word, str) and word.removeprefix("torch.") in _ITEM_BYTES:
            return _ITEM_BYTES[word.removeprefix("torch.")]
    return None


def place(needed: int) -> Place:
    """Where a model of `needed` bytes goes: one GPU if it fits there, several together, else the CPU.

    Nothing is ever spread over GPU and CPU: accelerate keeps what it moved away on the meta device, where no weight
    can be looked at. Raises TooLarge where it fits nowhere.
    """
    gpus = gpu_bytes()
    if any(needed <= free for free in gpus):
        return Place("cuda", {"": max(range(len(gpus)), key=gpus.__getitem__)})
    if needed <= sum(gpus):
        return Place("cuda", "auto")
    available = available_bytes()
    refuse_what_does_not_fit(needed, available, sum(gpus))
    return Place()


def refuse_what_does_not_fit(needed: int, available: int | None, on_gpus: int = 0) -> None:
    """Raise TooLarge for a model that has no room; an unknown size of memory (None) refuses nothing."""
    if available is None or needed <= available:
        return
    gpus = f" and {_gib(on_gpus)} on GPUs" if on_gpus else ""
    raise TooLarge(
        f"loading this model takes about {_gib(needed)}, and {_gib(available)} of memory{gpus} are free; "
        "give --fast, which reads no weights, or use a machine with more memory"
    )


def _gib(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"


def gpu_bytes() -> list[int]:
    """Usable bytes of each CUDA device that torch sees."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [int(torch.cuda.mem_get_info(i)[0] * _GPU_SHARE) for i in range(torch.cuda.device_count())]


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes of RAM that can still be had, cgroup limits of a container included; None where nobody says.

    `root` is the folder that holds `proc` and `sys`. What a cgroup uses for cached files counts as free, as it does in
    the kernel's own `MemAvailable`.
    """
    found = [_mem_available(root / "proc/meminfo"), *_cgroup_rooms(root)]
    known = [number for number in found if number is not None]
    if known:
        return max(0, min(known))
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or one that has no such name
        return None


def _mem_available(path: Path) -> int | None:
    for line in _lines(path):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_rooms(root: Path) -> Iterable[int | None]:
    """The room that each cgroup above this process leaves: version 2 from its path, version 1 where it is mounted."""
    top = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        number, _, path = line.partition("::")
        if number == "0":
            folder = top / path.strip("/")
            while folder != top.parent:
                yield _room(folder, "memory.max", "memory.current", "inactive_file")
                folder = folder.parent
    yield _room(top, "memory.max", "memory.current", "inactive_file")
    yield _room(top / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _room(folder: Path, limit_file: str, used_file: str, cached_key: str) -> int | None:
    limit, used = ("".join(_lines(folder / file)).strip() for file in (limit_file, used_file))
    if not limit.isdigit() or not used.isdigit():
        return None  # 'max', or no such file
    cached = 0
    for line in _lines(folder / "memory.stat"):
        key, _, value = line.partition(" ")
        if key == cached_key:
            cached = int(value)
    return int(limit) - int(used) + cached


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").split("\n")
    except OSError:  # not Linux, another cgroup version, or not for us to read: that witness is silent
        return []
