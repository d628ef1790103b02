"""Imports the libraries as a whole: one that is stopped in the midst of it aborts the process. It builds nothing."""

from __future__ import annotations

import signal


def import_libraries() -> None:
    """Import torch and the heavy part of transformers; a Ctrl-C meanwhile counts once they are there.

    In the initialisation of a C++ module the KeyboardInterrupt has nobody to catch it, and elsewhere the libraries turn
    it into a ModuleNotFoundError.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        import torch
        import transformers.modeling_utils

        assert torch and transformers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
