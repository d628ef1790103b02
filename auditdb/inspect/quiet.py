"""Keeps a library's talk away from stdout and stderr while it works; it hides no result and no exception."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet(*, bars: bool = False) -> Iterator[None]:
    """No log line, warning or print from transformers or a model's own code inside.

    stdout is auditdb's data and stays silent always. With `bars`, progress bars are left on where stderr is a terminal.
    """
    import transformers

    library_logging: Any = transformers.utils.logging
    shown = bars and sys.stderr.isatty()
    had_bar, level = library_logging.is_progress_bar_enabled(), library_logging.get_verbosity()
    library_logging.set_verbosity(logging.CRITICAL + 1)
    if not shown:
        library_logging.disable_progress_bar()
    sink = io.StringIO()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stack.enter_context(contextlib.redirect_stdout(sink))
            if not shown:
                stack.enter_context(contextlib.redirect_stderr(sink))
            yield
    finally:
        library_logging.set_verbosity(level)
        if had_bar:
            library_logging.enable_progress_bar()
