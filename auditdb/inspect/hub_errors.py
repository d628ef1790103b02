"""Owns the sentences for what goes wrong between here and a hub, and the bounded retries; never makes a request."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from auditdb.errors import SourceError, Unreachable, UsageError
from auditdb.inspect.deadline import Overdue, within

T = TypeVar("T")

ATTEMPTS = 4
FIRST_PAUSE_S = 0.5  # doubled each time
PATIENCE_S = 6.0  # all waiting between attempts together; a hub that asks for more is reported, not waited for
_BROKEN = {"ChunkedEncodingError", "RemoteProtocolError", "ReadError", "ProtocolError", "CutOff"}
_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}


@dataclass(frozen=True)
class Asked:
    """What a hub was asked for, as sentences name it. `token` is the one that goes along, '' = none."""

    repo: str
    revision: str  # '' = the default branch
    host: str
    token: str = field(default="", repr=False)

    @property
    def has_token(self) -> bool:
        return bool(self.token)

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def host_of(endpoint: str) -> str:
    """Host and port of a hub's address, without its user part."""
    parts = urlsplit(endpoint)
    return parts.netloc.rpartition("@")[2] or "the hub"


def attempt(work: Callable[[], T], asked: Asked, seconds: float) -> T:
    """What `work()` returns within `seconds`; 429, 5xx and broken connections are tried again within `PATIENCE_S`.

    The libraries' set of exceptions is open (two generations of a client on two HTTP stacks), so all are caught here,
    and each is raised again as one sentence, without its text and its context: those may hold a signed URL or a token.

    Raises:
        SourceError, Unreachable, UsageError: see `sentence`.
    """
    ends = time.monotonic() + seconds
    waited = 0.0
    problem: Exception | None = None
    for number in range(1, ATTEMPTS + 1):
        try:
            return within(max(0.1, ends - time.monotonic()), work)
        except (SourceError, UsageError):
            raise
        except Exception as error:  # the set is open, see above
            problem = root_cause(error)
        pause = _pause(problem, number)
        if pause is None or number == ATTEMPTS or waited + pause > PATIENCE_S:
            break
        time.sleep(pause)
        waited += pause
    assert problem is not None
    raise sentence(problem, asked)


def status_of(error: Exception) -> int | None:
    """The HTTP status that an exception of huggingface_hub, requests or httpx carries."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _code_of(error: Exception) -> str:
    """The hub's own word for a refusal; huggingface_hub makes its classes of errors from the same headers."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    if headers.get("X-Error-Message") == "Access to this resource is disabled.":
        return "Disabled"
    return str(headers.get("X-Error-Code", ""))


def retry_after(error: Exception) -> float | None:
    """Seconds of a Retry-After header; None where there is none, or where it is a date."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    text = str(headers.get("Retry-After", "")) if headers is not None else ""
    return float(text) if text.strip().isdecimal() else None


def _pause(error: Exception, number: int) -> float | None:
    """Seconds to wait before the next attempt; None where another would give the same."""
    status = status_of(error)
    if status is not None:
        if status == 429 or status >= 500:
            asked_for = retry_after(error)
            return asked_for if asked_for is not None else FIRST_PAUSE_S * 2 ** (number - 1)
        return None
    # A refused connection or an unknown host stays so; a connection that broke under way may hold next time.
    return FIRST_PAUSE_S * 2 ** (number - 1) if _broke(error) else None


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _broke(error: Exception) -> bool:
    # requests shows a connection that was closed without an answer as a ConnectionError around a ProtocolError.
    names = _names(error) | {name for item in error.args if isinstance(item, Exception) for name in _names(item)}
    return bool(names & _BROKEN)


def root_cause(error: Exception) -> Exception:
    """The client wraps what stopped it in "not found in the cache"; the sentence is about the reason."""
    cause = error.__cause__ or error.__context__
    if "LocalEntryNotFoundError" in _names(error) and isinstance(cause, Exception):
        return root_cause(cause)
    return error


def sentence(error: Exception, asked: Asked) -> SourceError | UsageError:
    """One sentence with the next step, by kind of error and HTTP status; holds nothing of the exception's own text."""
    names, status, code, host = _names(error), status_of(error), _code_of(error), asked.host
    if isinstance(error, Overdue) or "Timeout" in names or "TimeoutException" in names or "TimeoutError" in names:
        return Unreachable(f"The hub at {host} did not send what was asked of {asked} in time: try again later.")
    if "HFValidationError" in names:
        return UsageError(f"{asked.repo!r} is neither a folder here nor the name of a model: write ORG/NAME.")
    if "RevisionNotFoundError" in names or code == "RevisionNotFound":
        return SourceError(
            f"{asked.repo} has no revision {asked.revision or 'main'!r}: give one of its branches, tags or commits, "
            "or leave the @ out for its default branch."
        )
    if "GatedRepoError" in names or code == "GatedRepo":
        step = (
            "the account of the token that was given is not on its list: ask for access on the model's page"
            if asked.has_token
            else "ask for access on the model's page, then set HF_TOKEN to a token of that account"
        )
        return Unreachable(f"{asked.repo} is gated ({status}): {step}.")
    if "DisabledRepoError" in names or code == "Disabled":
        return Unreachable(f"{asked.repo} has been disabled on the hub: audit a copy in a folder.")
    # A hub says 401 to strangers, so that they can't tell a private model from one that does not exist.
    if "RepositoryNotFoundError" in names or code == "RepoNotFound" or (status == 401 and not asked.has_token):
        step = (
            "check the name, and that the token that was given may read it"
            if asked.has_token
            else "check the name; if it is private or gated, set HF_TOKEN to a token that may read it"
        )
        return SourceError(f"The hub at {host} shows no model {asked.repo} ({status}): {step}.")
    if "EntryNotFoundError" in names or code == "EntryNotFound":
        return SourceError(f"{asked} has no such file on the hub at {host}: its file list has changed, run again.")
    if status is not None:
        return _by_status(status, error, asked)
    if "FileMetadataError" in names or isinstance(error, (ValueError, KeyError, TypeError, AttributeError)):
        return Unreachable(f"What answers at {host} is no hub: check HF_ENDPOINT.")
    if isinstance(error, OSError) and error.errno in _DISK:
        return SourceError(
            f"The hub cache can't be written ({error.strerror}): set HF_HOME to a folder with room that you may write."
        )
    if names & _BROKEN:
        return Unreachable(f"The hub at {host} broke off while sending what was asked of {asked}: try again later.")
    return Unreachable(
        f"The hub at {host} can't be reached ({type(error).__name__}): check the network and HF_ENDPOINT; "
        "with HF_HUB_OFFLINE=1 a model that is in the cache is audited from there."
    )


def _by_status(status: int, error: Exception, asked: Asked) -> SourceError:
    host = asked.host
    if status == 401:
        return Unreachable(
            f"The hub at {host} does not accept the token for {asked} (401): set HF_TOKEN to a valid one."
        )
    if status == 403:
        step = "the token that was given may not read it" if asked.has_token else "set HF_TOKEN to one that may read it"
        return Unreachable(f"The hub at {host} refuses {asked} (403): {step}.")
    if status == 404:
        return SourceError(f"The hub at {host} has no {asked} (404): check name and revision.")
    if status == 429:
        seconds = retry_after(error)
        when = f"try again in {seconds:.0f} s" if seconds is not None else "try again later"
        return Unreachable(f"The hub at {host} has had too many requests (429): {when}.")
    if status >= 500:
        return Unreachable(f"The hub at {host} is in trouble ({status}, {ATTEMPTS} attempts): try again later.")
    return Unreachable(f"The hub at {host} answered {status} for {asked}: check the name and HF_ENDPOINT.")
