"""Owns the strict reading of JSON objects that strangers wrote; never judges what the keys mean."""

from __future__ import annotations

import json
from typing import Any

from auditdb.errors import SourceError

MAX_BYTES = 10_000_000  # the largest real config.json seen has 0.1 MB
MAX_DEPTH = 100  # the deepest real one has 7 levels; libraries that walk a config recurse


def load_config(text: str | bytes, where: str) -> dict[str, Any]:
    """The JSON object in `text`; `where` names it in errors.

    The bare tokens NaN and Infinity are taken, since a real config has one; of a key that stands twice the last wins,
    as in every reader of these files.

    Raises:
        SourceError: too large, no UTF-8, no JSON, no object, nested too deeply, or text that can't be encoded again.
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise SourceError(f"{where} has {size:,} bytes, and a config has at most {MAX_BYTES:,}: check the file.")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{where} is not UTF-8 text (byte {error.start}): it is damaged or no config, fetch it again."
            ) from None
    if not text.strip():
        raise SourceError(f"{where} is empty: fetch it again.")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SourceError(
            f"{where} is not JSON ({error.msg}, line {error.lineno} column {error.colno}): "
            "it is damaged or cut off, fetch it again."
        ) from None
    except RecursionError:
        raise SourceError(_too_deep(where)) from None
    except ValueError:  # an integer of thousands of digits, which Python refuses to convert
        raise SourceError(f"{where} holds a number with too many digits: it is damaged, fetch it again.") from None
    if not isinstance(value, dict):
        raise SourceError(f"{where} holds a JSON {_kind(value)}, and an object is needed: check the file.")
    _refuse_unusable(value, where)
    return value


def _refuse_unusable(value: object, where: str) -> None:
    """Level by level, not recursively: the depth is what is being measured."""
    level: list[object] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise SourceError(_too_deep(where))
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str):
                try:
                    item.encode("utf-8")
                except UnicodeEncodeError:  # a lone surrogate: neither SQLite nor a terminal takes it
                    raise SourceError(
                        f"{where} holds text that is no Unicode (a lone surrogate): it is damaged, fetch it again."
                    ) from None
        level = below


def _too_deep(where: str) -> str:
    return f"{where} is nested more than {MAX_DEPTH} levels deep, and no config is: check the file."


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    return "null" if value is None else "number or flag"
