"""Owns reading a byte range of one file on a hub by HTTP; never reads past it, never sends a token elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auditdb.errors import SourceError, Unreachable
from auditdb.inspect.hub_errors import Asked, attempt

if TYPE_CHECKING:
    import requests

CONNECT_S, SILENCE_S = 10.0, 10.0  # seconds for a connection, and between two packets
_WHOLE = 16_000_000  # a server without ranges is tolerated where the range ends before this many bytes
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class CutOff(Exception):
    """A body ended before its announced length."""


class _Answered(Exception):
    """An HTTP status that is no success, in the shape in which huggingface_hub's exceptions carry one."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass
class Ranges:
    """Range requests for the files of one commit. `url_of` and `headers` come from huggingface_hub; the latter hold
    the token, and are therefore neither shown nor kept by anything else."""

    asked: Asked
    url_of: Callable[[str], str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    _session: requests.Session | None = field(default=None, repr=False)
    _located: dict[str, str] = field(default_factory=dict, repr=False)

    def read(self, name: str, start: int, stop: int, seconds: float | None = None) -> bytes:
        """Bytes `start` to `stop` (excluded), within `seconds` in all; fewer only where the file ends.

        Raises:
            SourceError, Unreachable: one sentence each.
        """
        if stop <= start:
            return b""
        if seconds is None:
            seconds = 60 + (stop - start) / 200_000  # a slow line still gets a large header
        return attempt(lambda: self._get(name, start, stop), self.asked, seconds)

    def _get(self, name: str, start: int, stop: int) -> bytes:
        # A hub redirects large files to a store of another host. Asking that at once the second time halves the
        # requests; its signed address may have run out, so any refusal leads back to the hub.
        if located := self._located.get(name):
            try:
                return self._ask(name, located, {}, start, stop)
            except _Answered:
                self._located.pop(name, None)
        return self._ask(name, self.url_of(name), self.headers, start, stop)

    def _ask(self, name: str, url: str, headers: dict[str, str], start: int, stop: int) -> bytes:
        import requests

        if self._session is None:
            self._session = requests.Session()
        token = next((value for key, value in headers.items() if key.lower() == "authorization"), "")

        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As an auth object, so that no entry of ~/.netrc takes the token's place; requests drops it on the way
            # to another host.
            if token:
                request.headers["Authorization"] = token
            return request

        plain = {key: value for key, value in headers.items() if key.lower() != "authorization"}
        with self._session.get(
            url,
            headers={**plain, "Accept-Encoding": "identity", "Range": f"bytes={start}-{stop - 1}"},
            auth=sign if token else None,
            timeout=(CONNECT_S, SILENCE_S),
            stream=True,
        ) as response:
            if response.status_code == 416:  # the file ends before `start`
                return b""
            if response.status_code not in (200, 206):
                raise _Answered(response)
            if response.history and urlsplit(response.url).netloc != urlsplit(url).netloc:
                self._located[name] = response.url
            return self._body(response, name, start, stop)

    def _body(self, response: requests.Response, name: str, start: int, stop: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") not in ("identity", ""):
            raise Unreachable(f"The hub at {self.asked.host} sends {name} re-encoded: check HF_ENDPOINT or the proxy.")
        length = response.headers.get("Content-Length", "")
        announced = int(length) if length.isdecimal() else None
        if response.status_code == 200:
            if stop > _WHOLE:
                raise SourceError(
                    f"The hub at {self.asked.host} gives no part of {name}, only the whole: download the model, "
                    "and audit the folder."
                )
            wanted = stop if announced is None else min(stop, announced)
            return self._take(response, wanted, announced is not None)[start:]
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start or not start <= int(found[2]) < stop:
            raise Unreachable(
                f"The hub at {self.asked.host} sent another part of {name} than was asked for: try again."
            )
        total = None if found[3] == "*" else int(found[3])
        short_of_asked = int(found[2]) + 1 < stop and (total is None or int(found[2]) + 1 < total)
        data = self._take(response, int(found[2]) + 1 - start, exact=True)
        if short_of_asked:  # a server may give less than was asked for; the rest is asked for on its own
            return data + self._ask(name, self.url_of(name), self.headers, int(found[2]) + 1, stop)
        return data

    @staticmethod
    def _take(response: requests.Response, size: int, exact: bool) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = response.raw.read(min(1 << 16, size - len(data)), decode_content=False)
            if not chunk:
                break
            data += chunk
        if exact and len(data) < size:
            raise CutOff
        return bytes(data)
