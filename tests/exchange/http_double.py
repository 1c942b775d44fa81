"""An HTTP server on loopback that answers what a test tells it to: sound, wrong, or meant to harm."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Reply", "Request", "Server", "serving", "taxii"]


@dataclass(frozen=True)
class Request:
    """What came in; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes out: `body` whole, or block by block as an iterator; `length` overrides Content-Length."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[], Iterator[bytes]] = b""
    length: int | None = None


@dataclass
class Server:
    """A running server: its URL, and the requests that came."""

    url: str
    port: int
    requests: list[Request] = field(default_factory=list)


def taxii(body: bytes, status: int = 200, **headers: str) -> Reply:
    """A reply of TAXII 2.1; in the names of headers a dash is an underscore."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"Content-Type": "application/taxii+json;version=2.1", **named}, body)


@contextmanager
def serving(answer: Callable[[Request], Reply], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve what `answer` says, over TLS where there is a `context`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers every method alike."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            """Answer one; who leaves early is no fault."""
            with suppress(OSError):
                super().handle_one_request()
                return
            self.close_connection = True

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(size))
            server.requests.append(request)
            reply = answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if callable(reply.body):
                self.send_header("Connection", "close")
                self.end_headers()
                for block in reply.body():
                    self.wfile.write(block)
                self.close_connection = True
                return
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.length is not None:
                self.close_connection = True

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Quiet(http.server.ThreadingHTTPServer):
        """Says nothing of connections that break, and doesn't wait for those that hang."""

        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing."""

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        port = listening.server_address[1]
        scheme, host = ("https", "localhost") if context is not None else ("http", "127.0.0.1")
        server = Server(f"{scheme}://{host}:{port}/", int(port))
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join(timeout=20)
