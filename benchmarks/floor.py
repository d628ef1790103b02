"""The least that a FAST look could cost: import torch and the one model class, build it on meta, list its modules.

python benchmarks/floor.py FOLDER
"""

import json
import sys
from pathlib import Path

import torch
import transformers

raw = json.loads((Path(sys.argv[1]) / "config.json").read_text())
model_class = getattr(transformers, raw["architectures"][0])
config = model_class.config_class.from_dict(raw)
with torch.device("meta"):
    model = model_class(config)
rows = [(name, type(module).__name__) for name, module in model.named_modules()]
print(len(rows), "modules,", sum(parameter.numel() for parameter in model.parameters()), "parameters")
