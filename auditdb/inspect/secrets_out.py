"""Owns the last look at a text before it is shown or stored: takes secrets out, and never decides what to show."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

_SHORTEST = 4  # replacing shorter texts would mangle words without hiding anything
_USER_PART = re.compile(r"(?<=://)[^/\s@?#]*(?:@[^/\s@?#]*)*@")
_QUERY = re.compile(r"(\w+://[^\s?'\"<>]+)\?[^\s'\"<>]+")  # the query of a signed URL is a key to the file
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}")


def spellings(secrets: Iterable[str | None]) -> list[str]:
    """Each secret as it may turn up: plain, percent-encoded, as JSON writes it, in base64; the longest first."""
    found: set[str] = set()
    for secret in secrets:
        for text in {secret or "", unquote(secret or "")}:
            if len(text) >= _SHORTEST:
                encoded = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
                found |= {text, quote(text, safe="", errors="replace"), json.dumps(text)[1:-1], encoded}
    return sorted(found, key=len, reverse=True)


def hide(text: str, secrets: Iterable[str | None]) -> str:
    """`text` with each of these secrets replaced by `***`, in whatever spelling; nothing else is changed."""
    for spelling in spellings(secrets):
        text = text.replace(spelling, "***")
    return text


def scrub(text: str, *secrets: str | None) -> str:
    """`text` without these secrets, and without what looks like one: user parts and queries of URLs, hub tokens."""
    text = _USER_PART.sub("", hide(text, secrets))
    text = _QUERY.sub(r"\1", text)
    return _BEARER.sub(r"\1 ***", _TOKEN.sub("***", text))
