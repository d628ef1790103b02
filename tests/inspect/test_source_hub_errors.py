"""Each way in which a hub refuses or fails is a sentence of its own, soon, and without a secret in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.client import look
from tests.servers.hub import Fault, Hub, Shard
from tests.servers.loopback import Answer

LLAMA = b'{"model_type": "llama"}'
SHARD = Shard(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 10_000_000)
TOKEN = "hf_SecretSecretSecret"
HASTY = "import auditdb.inspect.hub_errors as errors; errors.FIRST_PAUSE_S = 0.01"
IMPATIENT = "import auditdb.inspect.hub_client as client; client.LOOKUP_S = 1.0"
READ = 'source.read("model.safetensors", 0, 8)'


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        running.add("org/open", {"config.json": LLAMA, "model.safetensors": SHARD})
        running.add("org/gated", {"config.json": LLAMA}, access="gated", token=TOKEN)
        running.add("org/private", {"config.json": LLAMA}, access="private", token=TOKEN)
        running.add("org/disabled", {"config.json": LLAMA}, access="disabled")
        yield running


ASKED = ("org/gated", "org/private", "org/missing", "org/disabled", "org/open@v9", "org/open@feature/none")


def test_refusals_without_a_token(hub: Hub, tmp_path: Path) -> None:
    looked = look(hub.url, tmp_path, *ASKED)
    host = hub.url[7:]
    unseen = "check the name; if it is private or gated, set HF_TOKEN to a token that may read it."
    no_revision = "give one of its branches, tags or commits, or leave the @ out for its default branch."
    gated = "ask for access on the model's page, then set HF_TOKEN to a token of that account."
    assert looked.refusals == [
        ("Unreachable", f"org/gated is gated (401): {gated}"),
        ("SourceError", f"The hub at {host} shows no model org/private (401): {unseen}"),
        ("SourceError", f"The hub at {host} shows no model org/missing (401): {unseen}"),
        ("Unreachable", "org/disabled has been disabled on the hub: audit a copy in a folder."),
        ("SourceError", f"org/open has no revision 'v9': {no_revision}"),
        ("SourceError", f"org/open has no revision 'feature/none': {no_revision}"),
    ]
    assert {answer["exit"] for answer in looked.answers} == {3}
    assert {answer["context"] for answer in looked.answers} == {"None"}
    assert looked.stderr == ""


def test_refusals_with_a_token_that_may_not(hub: Hub, tmp_path: Path) -> None:
    other = "hf_AnotherAnother"
    looked = look(hub.url, tmp_path, *ASKED[:3], HF_TOKEN=other)
    unseen = "check the name, and that the token that was given may read it."
    assert looked.refusals == [
        (
            "Unreachable",
            "org/gated is gated (403): the account of the token that was given is not on its list: "
            "ask for access on the model's page.",
        ),
        ("SourceError", f"The hub at {hub.url[7:]} shows no model org/private (404): {unseen}"),
        ("SourceError", f"The hub at {hub.url[7:]} shows no model org/missing (404): {unseen}"),
    ]
    assert other not in looked.stdout + looked.stderr


def test_a_token_that_may(hub: Hub, tmp_path: Path) -> None:
    looked = look(hub.url, tmp_path, "org/gated", "org/private", HF_TOKEN=TOKEN)
    assert [answer["config_text"] for answer in looked.answers] == [LLAMA.decode()] * 2
    assert TOKEN not in looked.stdout + looked.stderr


NOT_JSON = Answer(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
BAD_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}


@pytest.mark.parametrize(
    ("answer", "error", "expected"),
    [
        (
            Answer(401, headers=BAD_TOKEN),
            "Unreachable",
            "The hub at H does not accept the token for org/open (401): set HF_TOKEN to a valid one.",
        ),
        (
            Answer(403, headers={"X-Error-Message": f"secret {TOKEN}"}),
            "Unreachable",
            "The hub at H refuses org/open (403): the token that was given may not read it.",
        ),
        (Answer(404), "SourceError", "The hub at H has no org/open (404): check name and revision."),
        (
            Answer(429, headers={"Retry-After": "120"}),
            "Unreachable",
            "The hub at H has had too many requests (429): try again in 120 s.",
        ),
        (Answer(418), "Unreachable", "The hub at H answered 418 for org/open: check the name and HF_ENDPOINT."),
        (NOT_JSON, "Unreachable", "What answers at H is no hub: check HF_ENDPOINT."),
        (
            Answer(200, b'{"id": "org/open", "siblings": []}'),
            "Unreachable",
            "What answers at H is no hub (it names no commit): check HF_ENDPOINT.",
        ),
        (Answer(200, b"[1]"), "Unreachable", "What answers at H is no hub: check HF_ENDPOINT."),
    ],
    ids=range(8),
)
def test_answers_that_do_not_get_better(answer: Answer, error: str, expected: str, hub: Hub, tmp_path: Path) -> None:
    hub.faults.append(Fault("/api/models/", answer))
    looked = look(hub.url, tmp_path, "org/open", HF_TOKEN=TOKEN)
    assert looked.refusals == [(error, expected.replace(" H ", f" {hub.url[7:]} "))]
    assert looked.one["context"] == "None"
    assert TOKEN not in looked.stdout + looked.stderr
    assert sum("/api/models/" in path for path in hub.paths) == 1


@pytest.mark.parametrize(
    "answer",
    [Answer(429, headers={"Retry-After": "0"}), Answer(503), Answer(mode="hang-up")],
    ids=["429", "503", "hang-up"],
)
def test_passing_trouble_is_waited_out(answer: Answer, hub: Hub, tmp_path: Path) -> None:
    for path in ("/api/models/org/open", "/resolve/main/config.json", "/model.safetensors"):
        hub.faults.append(Fault(path, answer, times=1))
    looked = look(hub.url, tmp_path, "org/open", extra=READ, first=HASTY)
    assert looked.one["extra"] == SHARD.start[:8].hex()
    assert looked.one["config_text"] == LLAMA.decode()


@pytest.mark.parametrize("path", ["/api/models/", "/resolve/"])
def test_lasting_trouble_ends_within_seconds(path: str, hub: Hub, tmp_path: Path) -> None:
    hub.faults.append(Fault(path, Answer(503)))
    started = time.monotonic()
    looked = look(hub.url, tmp_path, "org/open", first=HASTY)
    assert looked.refusals == [
        ("Unreachable", f"The hub at {hub.url[7:]} is in trouble (503, 4 attempts): try again later.")
    ]
    assert time.monotonic() - started < 10


def test_a_range_whose_store_fails(hub: Hub, tmp_path: Path) -> None:
    faults = {
        "refused": (
            Answer(403, f"no {TOKEN}".encode()),
            "The hub at H refuses org/open (403): set HF_TOKEN to one that may read it.",
        ),
        "cut": (
            Answer(206, b"12345678", {"Content-Range": "bytes 0-7/10000000"}, mode="cut"),
            "The hub at H broke off while sending what was asked of org/open: try again later.",
        ),
        "other part": (
            Answer(206, b"12345678", {"Content-Range": "bytes 8-15/10000000"}),
            "The hub at H sent another part of model.safetensors than was asked for: try again.",
        ),
        "re-encoded": (
            Answer(206, b"12345678", {"Content-Range": "bytes 0-7/10000000", "Content-Encoding": "gzip"}),
            "The hub at H sends model.safetensors re-encoded: check HF_ENDPOINT or the proxy.",
        ),
    }
    for answer, expected in faults.values():
        hub.faults[:] = [Fault("?Signature=", answer)]
        looked = look(hub.url, tmp_path, "org/open", extra=READ, first=HASTY)
        assert looked.one["extra"] == "Unreachable: " + expected.replace(" H ", f" {hub.url[7:]} ")


def test_a_range_cut_once_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    cut = Answer(206, SHARD.start[:8], {"Content-Range": "bytes 0-7/10000000"}, mode="cut")
    hub.faults.append(Fault("?Signature=", cut, times=1))
    assert look(hub.url, tmp_path, "org/open", extra=READ).one["extra"] == SHARD.start[:8].hex()


def test_a_signed_address_that_runs_out(hub: Hub, tmp_path: Path) -> None:
    """The second read of a file goes to the store at once; refused there, it starts at the hub again."""
    hub.faults.append(Fault("?Signature=", Answer(403), times=1, spared=1))
    looked = look(hub.url, tmp_path, "org/open", extra=f"[{READ}, {READ}, {READ}]")
    assert looked.one["extra"] == [SHARD.start[:8].hex()] * 3
    assert (sum("model.safetensors" in path for path in hub.paths), len(hub.store.requests)) == (2, 4)


def test_a_store_without_ranges(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    started = hub.sent
    reads = f'[{READ}, len(source.read("model.safetensors", 8, 30_000_000))]'
    assert look(hub.url, tmp_path, "org/open", extra=reads).one["extra"] == (
        f"SourceError: The hub at {hub.url[7:]} gives no part of model.safetensors, only the whole: "
        "download the model, and audit the folder."
    )
    assert hub.sent - started < 20_000_000
    assert look(hub.url, tmp_path, "org/open", extra=READ).one["extra"] == SHARD.start[:8].hex()


def test_reading_at_and_past_the_end(hub: Hub, tmp_path: Path) -> None:
    spans = "((9_999_990, 10_000_009), (10_000_000, 10_000_008), (5, 5))"
    reads = f'[len(source.read("model.safetensors", *span)) for span in {spans}]'
    assert look(hub.url, tmp_path, "org/open", extra=reads).one["extra"] == [10, 0, 0]


@pytest.mark.parametrize("path", ["/api/models/", "/resolve/"])
def test_silence_ends(path: str, hub: Hub, tmp_path: Path) -> None:
    hub.faults.append(Fault(path, Answer(200, b"x" * 100, {"ETag": '"a"', "X-Repo-Commit": "0" * 40}, mode="stall")))
    started = time.monotonic()
    looked = look(hub.url, tmp_path, "org/open", first=IMPATIENT)
    assert looked.refusals == [
        (
            "Unreachable",
            f"The hub at {hub.url[7:]} did not send what was asked of org/open in time: try again later.",
        )
    ]
    assert time.monotonic() - started < 8


def test_a_body_that_drips_is_bounded_as_a_whole(hub: Hub, tmp_path: Path) -> None:
    hub.faults.append(Fault("/api/models/", Answer(200, json.dumps({"x": "y" * 10_000}).encode(), mode="drip")))
    started = time.monotonic()
    looked = look(hub.url, tmp_path, "org/open", first=IMPATIENT)
    assert [error for error, _ in looked.refusals] == ["Unreachable"]
    assert time.monotonic() - started < 8


def test_the_user_part_of_the_hubs_address_is_shown_nowhere(hub: Hub, tmp_path: Path) -> None:
    address = hub.url.replace("://", "://somebody:hunter22@")
    looked = look(address, tmp_path, "org/open", "org/missing", "org/open@v9", extra=READ)
    gone = look(address.replace(hub.url[17:], "1"), tmp_path, "org/open", "org/other")
    for text in (looked.stdout, looked.stderr, gone.stdout, gone.stderr):
        assert "hunter22" not in text
        assert "somebody" not in text
