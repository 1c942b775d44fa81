"""The transport below the HTTP client: `httpcore2`'s pool, every wait on the network bounded by one deadline.

A time limit for each read alone is none: a server that sends a byte a minute never reaches it. Here the time that
is left for the whole request is what each operation may take. (`httpx2.HTTPTransport` takes no network backend.)
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

__all__ = ["Deadline", "Transport"]


class Deadline:
    """When the present request must be over, on `clock`; `left` is what an operation may still take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.end = float("inf")

    def left(self, timeout: float | None, error: type[Exception]) -> float | None:
        """Return the seconds for one operation; raises `error` where none is left."""
        left = self.end - self._clock()
        if left <= 0:
            raise error("the request took longer than its limit")
        return left if timeout is None else min(timeout, left)


class Transport(httpx2.BaseTransport):
    """Requests to one server, directly or through an HTTP proxy."""

    def __init__(
        self, context: ssl.SSLContext, deadline: Deadline, proxy: str, auth: tuple[str, str] | None = None
    ) -> None:
        backend = _Backend(deadline)
        if proxy:
            self._pool: httpcore2.ConnectionPool = httpcore2.HTTPProxy(
                proxy, proxy_auth=auth, ssl_context=context, max_connections=2, network_backend=backend
            )
        else:
            self._pool = httpcore2.ConnectionPool(ssl_context=context, max_connections=2, network_backend=backend)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; errors are those of `httpcore2`."""
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.read(),
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer.iter_stream())

    def close(self) -> None:
        self._answer.close()


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options), self._deadline)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
