"""Owns an OpenAI-compatible server on loopback that replays recorded answers; loads no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers.loopback import Answer, Loopback, Request

RECORDED = Path(__file__).parent.parent / "data" / "vllm"
JSON = {"Content-Type": "application/json"}


def recorded(name: str) -> bytes:
    """What a real vLLM server answered, as kept in tests/data/vllm."""
    return (RECORDED / f"{name}.json").read_bytes()


def cards(*models: dict[str, Any]) -> bytes:
    """A `/v1/models` payload of these cards."""
    return json.dumps({"object": "list", "data": list(models)}).encode()


def endpoint(
    models: bytes | Answer,
    *,
    version: bytes | Answer | None = None,
    prefix: str = "",
    authorization: str = "",
    wrap: Any = None,
) -> Loopback:
    """A server with `/v1/models` and, unless it is None, `/version`, under `prefix`.

    With `authorization`, `/v1/models` answers 401 to who does not send just that header, and `/version` stays open, as
    with vLLM's `--api-key`.
    """

    def answer(request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path == f"{prefix}/v1/models":
            if authorization and request.headers.get("authorization") != authorization:
                return Answer(401, recorded("unauthorized_401"), JSON)
            return models if isinstance(models, Answer) else Answer(body=models, headers=JSON)
        if path == f"{prefix}/version" and version is not None:
            return version if isinstance(version, Answer) else Answer(body=version, headers=JSON)
        return Answer(404, b'{"detail":"Not Found"}', JSON)

    return Loopback(answer, wrap)
