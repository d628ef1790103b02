"""How `accelerate estimate-memory` builds a model (accelerate/commands/estimate.py, create_empty_model).

python benchmarks/empty_weights.py FOLDER
"""

import sys

import torch
from accelerate import init_empty_weights
from transformers import AutoConfig, AutoModel

config = AutoConfig.from_pretrained(sys.argv[1], trust_remote_code=False)
with init_empty_weights():
    model = AutoModel.from_config(config, torch_dtype=torch.float32, trust_remote_code=False)
print(sum(parameter.numel() for parameter in model.parameters()), "parameters")
