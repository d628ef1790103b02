"""Imports torch and the heavy part of transformers, and says so meanwhile: an exception in the midst of it aborts the
process. It builds nothing."""

from __future__ import annotations

import threading

# Set while the libraries are imported. In the initialisation of a C++ module nobody catches a KeyboardInterrupt, and
# elsewhere the libraries turn it into a ModuleNotFoundError: whoever handles signals must not raise one then.
underway = threading.Event()


def import_libraries() -> None:
    underway.set()
    try:
        import torch
        import transformers.modeling_utils

        assert torch and transformers
    finally:
        underway.clear()
