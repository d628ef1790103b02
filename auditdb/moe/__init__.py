"""Who is a router and who is an expert: plain records in, plain records out, no torch."""

from auditdb.moe.read import read_moe

__all__ = ["read_moe"]
