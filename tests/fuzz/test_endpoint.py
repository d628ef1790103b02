"""Any answer of a server gives one model that can be stored, or an AuditError."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from auditdb.errors import AuditError
from auditdb.inspect import endpoint
from auditdb.inspect.cards import comparable, served_check
from auditdb.report.classic import endpoint_text
from tests.fuzz.law import assert_storable, fuzzed, in_time, lawful, texts, values

names = texts | st.sampled_from(("org/model", "alias", "/models/x", "~/x", "https://h/x"))
cards = st.fixed_dictionaries({"id": names}, optional={"root": names | values, "parent": names | values, "x": values})
payloads = st.fixed_dictionaries({"data": st.lists(cards | values, max_size=4) | values}) | values
bodies = (
    payloads.map(lambda raw: json.dumps(raw).encode())
    | st.fixed_dictionaries({"data": st.lists(cards, min_size=1, max_size=2)}).map(lambda raw: json.dumps(raw).encode())
    | st.binary(max_size=60)
)


@fuzzed(400)
@given(bodies, values.map(lambda raw: json.dumps({"version": raw}).encode()) | st.binary(max_size=20), names)
@example(b'{"data":[{"id":"a","created":NaN,"x":1e999}]}', b'{"version":"1"}', "a")
@example(b'{"data":[{"id":"' + b"x" * 1_000_000 + b'"}]}', b"{}", "a")
def test_any_payload(body: bytes, version: bytes, asked: str) -> None:
    def answered(url: str, *_: Any) -> tuple[int, bytes]:
        return 200, version if url.endswith("/version") else body

    with patch.object(endpoint, "_get", answered):
        for served_name in (None, asked):
            with in_time():
                served = lawful(lambda name=served_name: endpoint.discover("h:1", api_key="k", served_name=name))
            if isinstance(served, AuditError):
                continue
            model = lawful(lambda found=served: endpoint.model_to_audit(found))
            check = served_check(served, "org/model")
            assert_storable((served, check, comparable(served.endpoint.payload)))
            assert isinstance(model, (str, AuditError))
            json.loads(endpoint_text(vars(served.endpoint)), parse_constant=not_json)


@fuzzed(300)
@given(names | st.builds("{}://{}:{}@{}:{}/{}".format, texts, texts, texts, texts, texts, texts))
def test_any_address(url: str) -> None:
    with patch.object(endpoint, "_get", lambda *_: (404, b"")):
        assert isinstance(lawful(lambda: endpoint.discover(url)), AuditError)


def not_json(token: str) -> None:
    raise AssertionError(f"{token} is no JSON")
