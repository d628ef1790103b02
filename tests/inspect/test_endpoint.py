"""HTTP servers on loopback that replay what vLLM answered, or misbehave: which model is served, what is said."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from auditdb.errors import SourceError, Unreachable, UsageError
from auditdb.inspect.cards import Served, comparable, served_check
from auditdb.inspect.endpoint import discover, model_to_audit
from auditdb.records import Check, Endpoint
from tests.servers.endpoint import JSON, cards, endpoint, recorded
from tests.servers.loopback import Answer

VERSION = recorded("version")


def message(error: type[Exception], url: str, **more: Any) -> str:
    with pytest.raises(error) as caught:
        discover(url, **more)
    assert type(caught.value) is error
    return str(caught.value)


def test_an_alias_is_its_root() -> None:
    with endpoint(recorded("alias_root"), version=VERSION) as server:
        assert discover(server.url) == Served(
            endpoint=Endpoint(server.url, "my-alias", "./tinymix_tok", "0.32.0", recorded("alias_root").decode()),
            root="./tinymix_tok",
            has_root=True,
            names=("my-alias",),
            adapters=(),
            notes=("./tinymix_tok is served as my-alias",),
        )
        assert [request.path for request in server.requests] == ["/v1/models", "/version"]


def test_two_aliases_and_an_adapter_are_one_model() -> None:
    with endpoint(recorded("aliases_and_lora")) as server:
        served = discover(server.url)
        chosen = discover(server.url, served_name="chat-v2")
        assert message(SourceError, server.url, served_name="sql") == (
            "sql is an adapter on chat: give --served-name chat for its base."
        )
        assert message(SourceError, server.url, served_name="none") == (
            f"The server at {server.url} serves no 'none', it serves chat, chat-v2: correct --served-name."
        )
    assert (served.root, served.names, served.adapters) == ("./tinyllama_tok", ("chat", "chat-v2"), ("sql",))
    assert (served.endpoint.served_name, chosen.endpoint.served_name) == ("chat", "chat-v2")
    assert served.notes == (
        "./tinyllama_tok is served as chat, chat-v2",
        "the server also offers the adapter sql on chat",
        "the server did not tell its version",
    )


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/models"])
@pytest.mark.parametrize("prefix", ["", "/a/b"])
def test_base_addresses(ending: str, prefix: str) -> None:
    with endpoint(recorded("alias_root"), version=VERSION, prefix=prefix) as server:
        served = discover(f" {server.url}{prefix}{ending} ")
        bare = discover(f"127.0.0.1:{server.port}{prefix}{ending}")
    assert {served.endpoint.url, bare.endpoint.url} == {server.url + prefix}
    assert {served.endpoint.version, bare.endpoint.version} == {"0.32.0"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://user:hunter22@host", "'ftp://host' is no http or https address: give it like http://HOST:PORT."),
        ("", "'' is no http or https address: give it like http://HOST:PORT."),
        ("http://host:port", "The endpoint's address is malformed: give it like http://HOST:PORT."),
        ("http://[::1", "The endpoint's address is malformed: give it like http://HOST:PORT."),
        ("http:/user:hunter22@host", "The endpoint's address is malformed: give it like http://HOST:PORT."),
        (
            "http://host/?key=hunter22",
            "The endpoint's address has a query or a fragment: give the base URL, and a key as --api-key.",
        ),
    ],
)
def test_addresses_that_are_none(url: str, expected: str) -> None:
    assert message(UsageError, url) == expected


def test_a_key_is_asked_for_and_used() -> None:
    with endpoint(recorded("alias_root"), version=VERSION, authorization="Bearer key-Secret1") as server:
        models = f"{server.url}/v1/models"
        assert message(Unreachable, server.url) == (
            f"{models} wants a key (401): give one as --api-key or in VLLM_API_KEY."
        )
        assert message(Unreachable, server.url, api_key="other") == (
            f"{models} wants a key (401): the key that was given is not accepted."
        )
        assert discover(server.url, api_key="key-Secret1").root == "./tinymix_tok"


def test_secrets_are_recorded_nowhere() -> None:
    """Not even where the server says them back, in any spelling."""
    key, user, password = "key-Secret/1", "some body", "pass@word+1"
    spoken = base64.b64encode(f"{user}:{password}".encode()).decode()
    echo = cards({"id": "m", "root": "org/m", "seen": [key, password, f"Basic {spoken}", f"Bearer {key}"]})
    version = json.dumps({"version": f"1 {key}"}).encode()
    with endpoint(echo, version=version, authorization=f"Basic {spoken}") as server:
        address = server.url.replace("://", "://some%20body:pass%40word%2B1@")
        served = discover(address, api_key=key)
        wrong = message(Unreachable, address.replace("word", "work"))
        gone = address
    refused = message(Unreachable, gone, api_key=key)
    assert served.endpoint == Endpoint(
        server.url,
        "m",
        "org/m",
        "1 ***",
        '{"object": "list", "data": [{"id": "m", "root": "org/m", "seen": ["***", "***", "Basic ***", "Bearer ***"]}]}',
    )
    assert wrong == f"{server.url}/v1/models wants a key (401): the key that was given is not accepted."
    assert refused == f"No server answers at {server.url}: start it, or correct --endpoint."
    for text in (repr(served), wrong, refused):
        assert not [secret for secret in (key, password, "pass%40word", spoken, "some body") if secret in text]


def test_a_key_is_not_sent_to_another_host() -> None:
    with endpoint(recorded("alias_root")) as other:
        elsewhere = Answer(302, headers={"Location": f"{other.url.replace('127.0.0.1', 'localhost')}/v1/models"})
        with endpoint(elsewhere) as server:
            assert discover(server.url, api_key="key-Secret1").root == "./tinymix_tok"
    assert server.requests[0].headers["authorization"] == "Bearer key-Secret1"
    assert [request.headers.get("authorization") for request in other.requests] == [None]


NO_JSON = (
    "U/v1/models answered with something that is no JSON object: give the base URL of an OpenAI-compatible server."
)
NO_LIST = "U/v1/models answered with no list of models: give the base URL of a model server."
BROKEN = "U/v1/models broke off in the middle of its answer: try again."


@pytest.mark.parametrize(
    ("answer", "error", "expected"),
    [
        (Answer(body=b"<html></html>", headers={"Content-Type": "text/html"}), Unreachable, NO_JSON),
        (Answer(body=b"", headers=JSON), Unreachable, NO_JSON),
        (Answer(body=b"\xff", headers=JSON), Unreachable, NO_JSON),
        (Answer(body=b"[" * 10**6, headers=JSON), Unreachable, NO_JSON),
        (Answer(body=b'{"data": 3}', headers=JSON), Unreachable, NO_LIST),
        (Answer(body=b"{}", headers=JSON), Unreachable, NO_LIST),
        (
            Answer(body=b'{"data": [{"id": 3}]}', headers=JSON),
            Unreachable,
            "U/v1/models lists a model without a name: give the base URL of a model server.",
        ),
        (
            Answer(body=cards(), headers=JSON),
            SourceError,
            "The server at U serves no model: wait until it has loaded one, or correct --endpoint.",
        ),
        (
            Answer(body=cards({"id": "a", "parent": "b"}), headers=JSON),
            SourceError,
            "The server at U serves only adapters (a): give --model with the base.",
        ),
        (
            Answer(404),
            Unreachable,
            "U/v1/models is not there (404): give the base URL of an OpenAI-compatible server, with its path prefix.",
        ),
        (Answer(429), Unreachable, "U/v1/models has had too many requests (429): try again later."),
        (
            Answer(503),
            Unreachable,
            "U/v1/models answered 503: the server, or what stands before it, is in trouble; try again later.",
        ),
        (
            Answer(204),
            Unreachable,
            "U/v1/models answered 204, and 200 is needed: give the base URL of an OpenAI-compatible server.",
        ),
        (
            Answer(302, headers={"Location": "/v1/models"}),
            Unreachable,
            "U/v1/models gave no usable answer: give the base URL of an OpenAI-compatible server.",
        ),
        (Answer(body=recorded("alias_root"), headers=JSON, mode="cut"), Unreachable, BROKEN),
        (Answer(mode="hang-up"), Unreachable, "No server answers at U: start it, or correct --endpoint."),
        (
            Answer(body=b" " * 10_000_001, headers=JSON),
            Unreachable,
            "U/v1/models answered with more than 10,000,000 bytes: give the base URL of a model server.",
        ),
    ],
    ids=range(17),
)
def test_answers_that_are_none(answer: Answer, error: type[Exception], expected: str) -> None:
    with endpoint(answer) as server:
        assert message(error, server.url) == expected.replace("U/", f"{server.url}/").replace(
            " U ", f" {server.url} "
        ).replace(" U:", f" {server.url}:")


@pytest.mark.parametrize("mode", ["drip", "drip-headers", "stall"])
def test_the_time_is_bounded_as_a_whole(mode: str) -> None:
    with endpoint(Answer(body=recorded("alias_root"), headers=JSON, mode=mode)) as server:
        started = time.monotonic()
        assert message(Unreachable, server.url, timeout=0.5) == (
            f"{server.url}/v1/models did not answer in full within 0.5 s: check that the server is up, and try again."
        )
        assert time.monotonic() - started < 1.5


def test_a_version_that_does_not_come_costs_little() -> None:
    for answer in (Answer(body=b"x" * 100, mode="drip"), Answer(body=b"[]"), Answer(500), Answer(body=b"x" * 10**6)):
        with endpoint(recorded("alias_root"), version=answer) as server:
            started = time.monotonic()
            served = discover(server.url, timeout=0.6)
            assert (served.endpoint.version, served.notes[-1]) == ("", "the server did not tell its version")
            assert time.monotonic() - started < 1.5


def test_several_models_are_listed_and_one_is_chosen() -> None:
    several = cards({"id": "a", "root": "org/a"}, {"id": "b", "root": "org/b"}, {"id": "b2", "root": "org/b"})
    with endpoint(several) as server:
        assert message(SourceError, server.url) == (
            f"The server at {server.url} serves 2 models (a, b, b2): choose one with --served-name."
        )
        served = discover(server.url, served_name="b2")
    assert (served.root, served.names, served.endpoint.served_name) == ("org/b", ("b", "b2"), "b2")


def test_a_server_that_tells_no_root() -> None:
    with endpoint(cards({"id": "org/model"})) as server:
        served = discover(server.url)
    assert (served.root, served.has_root, served.names) == ("org/model", False, ("org/model",))
    assert served.notes[0] == ("the server does not say what it loaded: org/model is the name that it is served under")
    with endpoint(cards({"id": "a"}, {"id": "b", "root": None})) as server:
        assert message(SourceError, server.url) == (
            f"The server at {server.url} serves 2 models (a, b): choose one with --served-name."
        )


def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with endpoint(recorded("alias_root"), wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert message(Unreachable, url) == (
            f"The certificate of {url} is not trusted: give --insecure if it is your own."
        )
        served = discover(url, insecure=True)
    assert (served.endpoint.url, served.root) == (url, "./tinymix_tok")


def test_payloads_compare_without_their_moving_parts() -> None:
    first = recorded("alias_root").decode()
    second = first.replace("1795383795", "1800000000").replace("modelperm-8dbcb89e96919fb6", "modelperm-0")
    assert first != second
    assert comparable(first) == comparable(second)
    assert comparable(first) != comparable(first.replace("my-alias", "other"))
    assert comparable('{"data": [{"id": "a", "created": 1, "permission": [{"id": 2, "x": 3}]}]}') == (
        '{"data": [{"id": "a", "permission": [{"x": 3}]}]}'
    )


def served(root: str, *names: str, has_root: bool = True) -> Served:
    return Served(Endpoint("http://h", names[0], root, "", "{}"), root, has_root, names, (), ())


CACHED = "/home/me/.cache/hub/models--org--model/snapshots/0123456789abcdef0123456789abcdef01234567"
BY_NAME = "by name: a server tells no revision"
LAST = "by the last part of the name alone, for one is a folder"
UNKNOWN = "a folder's name does not tell which model lies in it"


@pytest.mark.parametrize(
    ("one", "audited", "status", "reason"),
    [
        (served("org/model", "alias"), "org/model", "PASS", BY_NAME),
        (served("/data/x", "org/model"), "org/model", "PASS", BY_NAME),
        (served(CACHED, "x"), "org/model", "PASS", BY_NAME),
        (served("org/other", "alias"), "org/model", "FAIL", "the server loaded another model"),
        (served("/data/model/", "x"), "org/model", "PASS", LAST),
        (served("/data/v3", "x"), "org/model", "SKIP", UNKNOWN),
        (served("org/model", "x"), "/data/model", "PASS", LAST),
        (served("org/model", "x"), "/data/v3", "SKIP", UNKNOWN),
        (served("x", "x", has_root=False), "org/model", "SKIP", "the server does not say what it loaded"),
        (served("org/model", "org/model", has_root=False), "org/model", "PASS", BY_NAME),
        (served("/", "x"), "/etc/..", "PASS", "the same folder"),
        (served("/etc", "x"), "/usr", "FAIL", "the server loaded another folder"),
    ],
)
def test_the_check(one: Served, audited: str, status: Any, reason: str) -> None:
    assert served_check(one, audited) == Check("endpoint", status, audited, one.root, reason)


def test_what_to_audit(tmp_path: Path) -> None:
    assert model_to_audit(served("org/model", "x")) == "org/model"
    assert model_to_audit(served(str(tmp_path), "x")) == str(tmp_path)
    for root in ("./tinymix_tok", "/models/none", "s3://bucket/model", "a/b/c"):
        with pytest.raises(SourceError) as caught:
            model_to_audit(served(root, "x"))
        assert str(caught.value) == (
            f"The server at http://h serves {root}, which is not found on this machine: give --model too, with the "
            "same model's folder here or its ORG/NAME; it is then checked with the server."
        )
