"""Owns a counting HTTP server on loopback and the ways in which a server can misbehave; knows only HTTP."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it came. Header names are lower-case."""

    method: str
    path: str  # with the query
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What to send. `body` may be a range of zeros so large that nobody could hold it.

    `mode`: 'whole'; 'cut' closes after half of the body; 'drip' sends a byte every 50 ms; 'stall' sends the headers
    and then nothing; 'drip-headers' sends header bytes one by one; 'hang-up' closes without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    mode: str = "whole"


class Counter(io.RawIOBase):
    """A socket's writing end that counts what goes through."""

    def __init__(self, inner: Any, count: Callable[[int], None]) -> None:
        self.inner, self.count = inner, count

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        for start in range(0, len(view), 1 << 14):
            part = view[start : start + (1 << 14)]
            self.inner.write(part)
            self.count(len(part))
        return len(view)

    def flush(self) -> None:
        if not self.inner.closed:
            self.inner.flush()


class Loopback:
    """A server on 127.0.0.1 that answers with `answer(request)`; use it as a context manager."""

    def __init__(self, answer: Callable[[Request], Answer], wrap: Callable[[Any], Any] | None = None) -> None:
        self.requests: list[Request] = []
        self.sent = 0  # bytes, headers and bodies together
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.wfile = Counter(self.wfile, outer._count)  # type: ignore[assignment]

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                with outer._lock:
                    outer.requests.append(request)
                try:
                    outer._send(self, answer(request))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET
            do_POST = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """Clients of these tests go away in the middle on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if wrap is not None:
            self._server.socket = wrap(self._server.socket)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def _count(self, n: int) -> None:
        with self._lock:
            self.sent += n

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.mode == "hang-up":
            handler.close_connection = True
            return
        if answer.mode == "drip-headers":
            self._drip(handler, b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 1000)
            return
        handler.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if answer.mode == "whole":
            handler.wfile.write(answer.body)
        else:
            handler.close_connection = True
            if answer.mode == "cut":
                handler.wfile.write(answer.body[: len(answer.body) // 2])
            elif answer.mode == "drip":
                self._drip(handler, answer.body)
            elif answer.mode == "stall":
                handler.wfile.flush()
                self._closing.wait(30)

    def _drip(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.close_connection = True
        for byte in data:
            if self._closing.is_set():
                return
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.05)

    def __enter__(self) -> Any:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops answering; connections are refused from then on."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
