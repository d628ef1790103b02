"""What one build may take of modules, memory and time, counted while it runs: a stranger's config decides the rest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from auditdb.errors import TooLarge
from auditdb.inspect.memory import available_bytes

if TYPE_CHECKING:
    from torch import nn

# The largest real trees have some 60,000.
MAX_MODULES = 400_000

# Of private memory, over what the process has before. A tree of MAX_MODULES takes 3 GiB.
MAX_BYTES = 4 * 2**30
_SHARE = 0.8  # of what the machine has left, if that is less

# Seconds of computing (not of waiting) in which not one module came. Importing the libraries takes 5.
IDLE_S = 30.0


class _Spent(BaseException):
    """The budget is spent. No Exception, since libraries have clauses that swallow any of those and go on."""


@contextmanager
def build_budget(modules: int = MAX_MODULES, memory: int = MAX_BYTES, idle_s: float = IDLE_S) -> Iterator[None]:
    """Raise TooLarge from inside a build at the end of its budget.

    The module count catches what is large; memory and time what a config makes its class do before the first module
    comes: lists as long as `num_labels`, tables as wide as `max_position_embeddings`. Memory is limited on Linux alone,
    time in a process's main thread alone: elsewhere the module count stands by itself.
    """
    seen = 0

    def count(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal seen
        seen += 1
        if seen > modules:
            raise _Spent(f"the model has over {modules:,} modules; building stopped there")

    def told() -> int:
        return seen

    from torch.nn.modules import module as torch_module

    try:
        with ExitStack() as stack:
            handle = torch_module.register_module_module_registration_hook(count)
            stack.callback(handle.remove)
            stack.enter_context(_memory(memory))
            stack.enter_context(_clock(idle_s, told))
            yield
    except _Spent as spent:
        raise TooLarge(str(spent)) from None
    except MemoryError:
        raise TooLarge(
            f"building this config takes over {memory / 2**30:.0f} GiB of memory, or more than this machine has free: "
            "a number in it is absurd, or the machine too small"
        ) from None


@contextmanager
def _memory(limit: int) -> Iterator[None]:
    """A soft limit on private memory: what lies over it raises MemoryError in Python, RuntimeError in torch.

    RLIMIT_DATA and not RLIMIT_AS, since a CUDA driver reserves terabytes of addresses that it never touches.
    """
    used = _private_bytes()
    if used is None:
        yield
        return
    import resource

    available = available_bytes()
    room = limit if available is None else min(limit, int(available * _SHARE))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [number for number in (used + room, soft, hard) if number != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _private_bytes() -> int | None:
    """Bytes of private memory that this process has mapped; None where the system does not say (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")]
    return found[0] if found else None


@contextmanager
def _clock(idle_s: float, told: Callable[[], int]) -> Iterator[None]:
    """Raise _Spent after `idle_s` seconds of computing without a module, and after each further second."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before, done = -1, False

    def tick(*_: object) -> None:
        nonlocal before
        now = told()
        if done or now != before:
            before = now
            return
        signal.setitimer(signal.ITIMER_VIRTUAL, 1.0, 1.0)  # once more, in case that a bare `except` swallows it
        raise _Spent(
            f"building this config came to no module in {idle_s:.0f} s of computing and was stopped: "
            "a number in it is absurd"
        )

    old = signal.signal(signal.SIGVTALRM, tick)
    signal.setitimer(signal.ITIMER_VIRTUAL, idle_s, idle_s)
    try:
        yield
    finally:
        done = True
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
