"""Safetensors headers and index, local or by range; no torch, and no weight is read."""

from auditdb.checkpoint.folder import ByteSource, FolderBytes
from auditdb.checkpoint.read import read_checkpoint

__all__ = ["ByteSource", "FolderBytes", "read_checkpoint"]
