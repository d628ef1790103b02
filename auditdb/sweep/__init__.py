"""Many FAST audits in few processes: imports paid once per process, one writer, nothing lost on Ctrl-C."""

from __future__ import annotations

from auditdb.sweep.run import Outcome, sweep
from auditdb.sweep.targets import find_models

__all__ = ["Outcome", "find_models", "sweep"]
