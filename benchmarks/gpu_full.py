"""FULL on whatever device there is: makes a small random Mixtral, loads it, looks at its weights, runs the hooks.

Run from the repository: `python benchmarks/gpu_full.py [LAYERS] [HIDDEN]`. The defaults make 0.8 GB in bfloat16; the
last line is `OK` if every FULL check passes and each router's hook fired on the device that was chosen.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from auditdb.checkpoint import FolderBytes, read_checkpoint
from auditdb.checks.full import check_finite, check_full_load, check_full_total
from auditdb.inspect.build import build
from auditdb.inspect.choose import candidates
from auditdb.inspect.declared import read_declared
from auditdb.inspect.hooks import run_hooks
from auditdb.inspect.load import load
from auditdb.inspect.memory import available_bytes, gpu_bytes, needed_bytes, place
from auditdb.inspect.tied import tied_copies
from auditdb.inspect.tree import read_tree
from auditdb.inspect.weights import weight_stats
from auditdb.moe.read import read_moe


def save(folder: Path, layers: int, hidden: int) -> None:
    config = transformers.MixtralConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=4,
        num_local_experts=8,
        vocab_size=32_000,
        torch_dtype="bfloat16",
    )
    torch.manual_seed(0)
    transformers.MixtralForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="200MB")


def main(layers: int = 6, hidden: int = 1024) -> int:
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, GPUs: {names or 'none'}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save(folder, layers, hidden)
        raw = json.loads((folder / "config.json").read_text())
        meta = build(raw).model
        fast = read_tree(meta)
        reading = read_moe(fast, read_declared(meta), raw)
        checkpoint = read_checkpoint(FolderBytes(folder))
        needed = needed_bytes(checkpoint, fast, raw)
        where = place(needed)
        print(f"needed {needed:,}, RAM {available_bytes()}, GPUs {gpu_bytes()} -> {where}")
        config = next(c.config for c in candidates(raw) if c.model_class is type(meta))
        clock = [time.perf_counter()]
        loaded = load(type(meta), config, folder, place=where)
        clock.append(time.perf_counter())
        peak = torch.cuda.max_memory_allocated() if names else 0
        stats = weight_stats(loaded.model, reading, made_up=loaded.made_up)
        clock.append(time.perf_counter())
        hooks = run_hooks(loaded.model, reading, folder=folder)
        clock.append(time.perf_counter())
        copies = tied_copies(fast, checkpoint, folder, loaded.model)
        checks = [
            check_full_total(fast, read_tree(loaded.model), raw),
            check_full_load(loaded.verdict, copies, checkpoint, fast, raw),
            check_finite(stats),
        ]
        spans = [f"{b - a:.2f} s" for a, b in pairwise(clock)]
        print(f"device {loaded.device}; load, statistics, hooks: {', '.join(spans)}; peak on GPUs {peak:,} bytes")
        for check in checks:
            print(check)
        for hook in hooks:
            print(tuple(hook))
        expected = "cuda" if where.device == "cuda" else "cpu"
        fired = sum(hook.kind == "router" and hook.shape is not None for hook in hooks)
        good = (
            all(check.status == "PASS" for check in checks)
            and loaded.device.startswith(expected)
            and fired == len(reading.routers) == layers
            and hooks[-1].shape is not None
        )
        print("OK" if good else "NOT OK")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
