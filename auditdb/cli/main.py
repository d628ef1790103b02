"""The process: one place that turns an exception into a sentence and an exit code. Never a traceback."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys

from auditdb.inspect.importing import underway

STOPPED = "stopped by Ctrl-C; nothing was recorded half"


def main() -> None:
    """Entry point of the `auditdb` command; exits with 0, 1, 2 or 3 (130 after Ctrl-C)."""
    # Importing torch and transformers makes millions of long-lived objects; with the collector walking them again and
    # again a FAST run takes a fifth longer. What makes garbage in cycles (sweep, FULL) collects by hand.
    gc.disable()
    # A terminal of another encoding than UTF-8, or a path of bytes that are none, is shown with escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stops: list[int] = []

    def stop(number: int, _: object) -> None:
        stops.append(number)
        if underway.is_set():  # nothing is open yet that would need an end
            _complain(STOPPED)
            os._exit(130)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not for what a shell started in the background
        signal.signal(signal.SIGINT, stop)
    try:
        code = run_command(sys.argv[1:])
    except BaseException:
        # Before the command was even read; or a library swallowed it and failed of what was then missing.
        if not stops:
            raise
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done; what Python tidies up at its end is no work to stop
    sys.exit(130 if stops and code not in (0, 1) else code)


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    import typer
    from typer._click.exceptions import ClickException  # Typer ships its own click

    from auditdb.cli.app import make_app
    from auditdb.errors import AuditError

    try:
        code = make_app(*arguments[:1])(arguments, prog_name="auditdb", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # Typer's own answer to Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return int(stop.exit_code)
    except ClickException as error:
        error.show()
        return 2
    except AuditError as error:
        _complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _complain(STOPPED)
        return 130
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return 3
    except MemoryError:
        _complain("the machine has no memory left for this; try --fast, or a machine with more")
        return 3


def _complain(sentence: str) -> None:
    from auditdb.report.text import printable

    sys.stderr.write(f"auditdb: {printable(sentence)}\n")
