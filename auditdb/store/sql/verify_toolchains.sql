-- Labels with the versions that they are made of.
SELECT id, label, python, torch, transformers, accelerate, safetensors, huggingface_hub, auditdb FROM toolchains
