"""Owns the question which model an OpenAI-compatible server serves; never sends a prompt, never records a secret."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from auditdb.errors import SourceError, Unreachable, UsageError
from auditdb.inspect.cards import Served, choose
from auditdb.inspect.deadline import Overdue, within
from auditdb.inspect.folder import is_folder
from auditdb.inspect.json_text import MAX_BYTES, load_config
from auditdb.inspect.secrets_out import hide, scrub
from auditdb.records import Endpoint

if TYPE_CHECKING:
    import requests

_VERSION_S = 3.0  # the version is worth no longer wait
_MAX_VERSION_BYTES = 10_000


@dataclass(frozen=True)
class _Address:
    """A server's base URL, and apart from it the user part, which serves to log in and is recorded nowhere."""

    base: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"_Address({self.base!r})"


class _TooLong(Exception):
    """A body passed its limit."""


def discover(
    url: str,
    *,
    api_key: str | None = None,
    served_name: str | None = None,
    insecure: bool = False,
    timeout: float = 10.0,
) -> Served:
    """The one model that the server at `url` serves, within `timeout` seconds in all.

    `url` is the base with or without `/v1`, with a path prefix if there is one. A user part in it is used to log in,
    and then wins over `api_key`, which may lie in the environment for another server. `insecure` takes any
    certificate.

    Raises:
        UsageError: no http or https address.
        Unreachable: no answer, no JSON, a refusal, a status other than 200, or not within the time.
        SourceError: no model, several, or none of the name that was chosen.
    """
    address = _address(url)
    secrets = (api_key, address.password or address.user, f"{address.user}:{address.password}")
    ends = time.monotonic() + timeout
    body = _models(address, api_key, insecure, timeout)
    try:
        # A server may say the key back; it is stored no more than any other secret.
        text = hide(body.decode("utf-8"), secrets)
        payload = load_config(text, "/v1/models")
    except (UnicodeDecodeError, SourceError):
        raise Unreachable(
            f"{address.base}/v1/models answered with something that is no JSON object: "
            "give the base URL of an OpenAI-compatible server."
        ) from None
    version = _version(address, api_key, insecure, min(_VERSION_S, ends - time.monotonic()))
    chosen = choose(payload, address.base, served_name)
    notes = chosen.notes if version else (*chosen.notes, "the server did not tell its version")
    return Served(
        endpoint=Endpoint(address.base, chosen.served_name, chosen.root, hide(version, secrets), text),
        root=chosen.root,
        has_root=chosen.has_root,
        names=chosen.names,
        adapters=chosen.adapters,
        notes=notes,
    )


def _address(url: str) -> _Address:
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"  # as curl reads `localhost:8000`
    try:
        parts: SplitResult = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError("The endpoint's address is malformed: give it like http://HOST:PORT.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{scrub(url)!r} is no http or https address: give it like http://HOST:PORT.")
    if "@" in parts.path:  # `http:/user:password@host`, and the like: a user part in the wrong place
        raise UsageError("The endpoint's address is malformed: give it like http://HOST:PORT.")
    if parts.query or parts.fragment:
        raise UsageError("The endpoint's address has a query or a fragment: give the base URL, and a key as --api-key.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/")
    for ending in ("/models", "/v1"):
        path = path.removesuffix(ending).rstrip("/")
    base = f"{parts.scheme}://{host}{f':{port}' if port is not None else ''}{path}"
    return _Address(base, unquote(parts.username or ""), unquote(parts.password or ""))


def _models(address: _Address, api_key: str | None, insecure: bool, timeout: float) -> bytes:
    import requests

    url = f"{address.base}/v1/models"
    try:
        status, body = within(timeout, lambda: _get(url, address, api_key, insecure, timeout, MAX_BYTES))
    except (Overdue, requests.Timeout):
        problem = f"{url} did not answer in full within {timeout:g} s: check that the server is up, and try again."
    except _TooLong:
        problem = f"{url} answered with more than {MAX_BYTES:,} bytes: give the base URL of a model server."
    except requests.exceptions.SSLError:
        problem = f"The certificate of {address.base} is not trusted: give --insecure if it is your own."
    except requests.ConnectionError:
        problem = f"No server answers at {address.base}: start it, or correct --endpoint."
    except requests.exceptions.ChunkedEncodingError:
        problem = f"{url} broke off in the middle of its answer: try again."
    except (requests.RequestException, UnicodeError):  # too many redirects, a bad redirect, a host that is no name
        problem = f"{url} gave no usable answer: give the base URL of an OpenAI-compatible server."
    else:
        if status == 200:
            return body
        problem = _by_status(status, url, api_key is not None or bool(address.user))
    # Raised out here, so that no library's exception, which may hold the address with its user part, hangs on it.
    raise Unreachable(problem)


def _by_status(status: int, url: str, had_key: bool) -> str:
    if status in (401, 403):
        step = "the key that was given is not accepted" if had_key else "give one as --api-key or in VLLM_API_KEY"
        return f"{url} wants a key ({status}): {step}."
    if status == 404:
        return f"{url} is not there (404): give the base URL of an OpenAI-compatible server, with its path prefix."
    if status == 429:
        return f"{url} has had too many requests (429): try again later."
    if status >= 500:
        return f"{url} answered {status}: the server, or what stands before it, is in trouble; try again later."
    return f"{url} answered {status}, and 200 is needed: give the base URL of an OpenAI-compatible server."


def _version(address: _Address, api_key: str | None, insecure: bool, timeout: float) -> str:
    """What `/version` says, '' where it says nothing: only some servers have it, and no fact rests on it."""
    import requests

    if timeout <= 0:
        return ""
    url = f"{address.base}/version"
    try:
        status, body = within(timeout, lambda: _get(url, address, api_key, insecure, timeout, _MAX_VERSION_BYTES))
        value: Any = load_config(body, "/version").get("version") if status == 200 else ""
    except (Overdue, _TooLong, SourceError, requests.RequestException):
        return ""
    return value if isinstance(value, str) and value.isprintable() else ""


def _get(
    url: str, address: _Address, api_key: str | None, insecure: bool, timeout: float, limit: int
) -> tuple[int, bytes]:
    """Status and body of one GET; the body of a refusal is not read."""
    import requests
    from requests.auth import HTTPBasicAuth

    def bearer(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As an auth object, so that no entry of ~/.netrc takes the key's place; requests drops it on the way to
        # another host.
        request.headers["Authorization"] = f"Bearer {api_key}"
        return request

    auth: Any = bearer if api_key else None
    if address.user or address.password:
        auth = HTTPBasicAuth(address.user.encode("utf-8"), address.password.encode("utf-8"))
    if insecure:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user asked for it by name
    with requests.get(url, auth=auth, timeout=timeout, verify=not insecure, stream=True) as response:
        if response.status_code != 200:
            return response.status_code, b""
        body = bytearray()
        for chunk in response.iter_content(1 << 14):
            body += chunk
            if len(body) > limit:
                raise _TooLong
        return 200, bytes(body)


def model_to_audit(served: Served) -> str:
    """MODEL for `source.resolve`, when the user gave none: the server's root, if that can be had from here.

    Raises:
        SourceError: the root is a folder or an address of the server's machine; the sentence asks for `--model`.
    """
    root = served.root
    if is_folder(root):
        return root
    if root.startswith(("/", ".", "~")) or "://" in root or root.count("/") > 1 or "\\" in root:
        raise SourceError(
            f"The server at {served.endpoint.url} serves {scrub(root)}, which is not found on this machine: "
            "give --model too, with the same model's folder here or its ORG/NAME; it is then checked with the server."
        )
    return root
