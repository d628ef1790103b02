"""Owns the calls of huggingface_hub: what a hub says of a model, and one small file into the cache; judges nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from auditdb.errors import SourceError
from auditdb.inspect.folder import cached_as
from auditdb.inspect.hub_errors import Asked, attempt, host_of
from auditdb.inspect.hub_ranges import SILENCE_S, Ranges
from auditdb.inspect.json_text import MAX_BYTES

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

LOOKUP_S = 30.0  # seconds for one small answer of the hub as a whole


def asked_of(repo: str, revision: str, token: str | None) -> Asked:
    """What is asked, with the token that was given, or else the user's own."""
    return Asked(repo, revision, host_of(_endpoint()), token or _own_token())


def info(asked: Asked, revision: str | None) -> ModelInfo:
    """What the hub says of the model: commit, and files with sizes.

    Raises:
        SourceError, Unreachable, UsageError: one sentence for each way in which a hub refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=asked.token or None, library_name="auditdb")
    return attempt(
        lambda: api.model_info(asked.repo, revision=revision, files_metadata=True, timeout=SILENCE_S), asked, LOOKUP_S
    )


def ranges(asked: Asked, revision: str | None) -> Ranges:
    """A reader of byte ranges for this revision, with the client's own addresses and headers."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    # token=False: no token, rather than one that the client would look up by itself.
    headers = build_hf_headers(token=asked.token or False, library_name="auditdb")
    return Ranges(asked, lambda name: str(hf_hub_url(asked.repo, name, revision=revision)), headers)


def download(asked: Asked, name: str, commit: str) -> Path:
    """One small file at this commit, in the cache.

    Raises:
        SourceError: too large, or the cache can't be written; and, with Unreachable, what the hub refuses.
    """
    # Asked for by the revision that was given, so that the cache learns which commit that means, and the same command
    # works offline. Should the branch have moved since, or the client have taken an older copy, the commit decides.
    path = _into_cache(asked, name, asked.revision or None)
    return path if commit_of(path) == commit else _into_cache(asked, name, commit)


def _into_cache(asked: Asked, name: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    # For a file that it has not yet, the client retries for half a minute by itself, and talks on stderr. So whether
    # the hub gives the file, and whether it is small, is found out before.
    if len(ranges(asked, revision).read(name, 0, MAX_BYTES + 1, LOOKUP_S)) > MAX_BYTES:
        raise SourceError(too_large(asked, name, None))

    def work() -> str:
        with _no_progress_bar():
            return str(
                hf_hub_download(asked.repo, name, revision=revision, token=asked.token or False, library_name="auditdb")
            )

    return Path(attempt(work, asked, LOOKUP_S))


def too_large(asked: Asked, name: str, size: int | None) -> str:
    """The sentence on a file that is no small one; `size` in bytes, None where only that is known."""
    has = "more" if size is None else f"{size:,} bytes"
    return f"{name} of {asked} has {has}, and at most {MAX_BYTES:,} are sensible: check the model."


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """A bar for one kilobyte says nothing; the user's own setting, and a later load of weights, keep theirs."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled() or os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def commit_of(path: Path) -> str:
    """The commit in a cached path; in transformers 5 a config knows it from nowhere else."""
    found = cached_as(path, inside=True)
    return found[1] if found else ""


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _own_token() -> str:
    """The user's token from HF_TOKEN or the client's token file, unless they forbade sending it unasked."""
    from huggingface_hub import constants, get_token

    return "" if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or ""
