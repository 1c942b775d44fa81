"""A server on loopback for tests: files, redirects, and answers that are slow, wrong, cut or without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Server", "serving"]

_BLOCK = b"x" * 65_536


class Server:
    """What is served: `files` by path; `asked` are the paths that were asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.redirects: dict[str, str] = {}
        self.cut: set[str] = set()
        self.endless: set[str] = set()
        self.garbage: set[str] = set()
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Server]:
    """Serve files while this holds."""
    server = Server(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            path = self.path.partition("?")[0]
            if path in server.redirects:
                self._answer(302, b"", Location=server.redirects[path])
            elif path in server.endless:
                self._without_end()
            elif path in server.garbage:
                self.wfile.write(b"\x00\xffno HTTP at all\r\n\r\n")
            elif path in server.files:
                data = server.files[path]
                self._answer(200, data[: len(data) // 2] if path in server.cut else data, length=len(data))
            else:
                self._answer(404, b"the server's own words")

        def _answer(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def _without_end(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(_BLOCK)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{service.server_port}"
        try:
            yield server
        finally:
            service.shutdown()
            thread.join()
