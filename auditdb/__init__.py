"""auditdb: what a Hugging Face model is made of, and whether its parts fit together."""

__version__ = "0.1.0"
