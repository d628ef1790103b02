"""Any bytes as config.json give an object or an AuditError, in time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from auditdb.errors import AuditError
from auditdb.inspect.json_text import load_config
from auditdb.inspect.source import Source, resolve
from tests.fuzz.configs import made_up
from tests.fuzz.law import assert_storable, fuzzed, in_time, lawful, values


def as_json(value: Any) -> bytes:
    """JSON as a careless writer leaves it: NaN and lone surrogates included."""
    return json.dumps(value).encode("ascii")


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """JSON of which a piece was cut out, repeated or overwritten."""
    text = as_json(draw(made_up()))
    at, stop = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    middle = draw(st.sampled_from((b"", text[at:stop] * 2)) | st.binary(max_size=6))
    return text[:at] + middle + text[stop:]


config_bytes = st.binary(max_size=200) | values.map(as_json) | broken() | made_up().map(as_json)


@fuzzed(300)
@given(config_bytes)
@example(b"[" * 200_000)
@example(b'{"a":' * 5_000 + b"1" + b"}" * 5_000)
@example(b'{"a":' + b"9" * 5_000 + b"}")
@example(b'{"a":"\\ud800"}')
@example(b'{"\\ud800":1}')
@example(b'{"a":1e999,"b":-Infinity,"c":NaN}')
@example(b"\xef\xbb\xbf{}")
@example(b"{" + b'"a":1,' * 1_000_000 + b'"b":2}')
@example(b" " * 20_000_000)
def test_any_text_gives_an_object_or_a_sentence(text: bytes) -> None:
    with in_time():
        found = lawful(lambda: load_config(text, "config.json"))
    if not isinstance(found, AuditError):
        assert all(isinstance(key, str) for key in found)
        json.dumps(found, ensure_ascii=False).encode("utf-8")


@fuzzed(100)
@given(config_bytes)
def test_any_folder_gives_a_source_or_a_sentence(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes(text)
        with in_time():
            found = lawful(lambda: resolve(folder))
        if isinstance(found, Source):
            assert_storable((found.model, found.revision, found.config_text, found.notes))
