"""Any bytes to any endpoint: an answer, never a 5xx, and nothing changed."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from aleat import Workspace
from aleat.web import WebLimits, make_app
from tests.exchange.malware import malware
from tests.web.conftest import LIMITS, Served, running, served_at

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW")
ODD = (
    "",
    "0",
    "-1",
    "9" * 40,
    "\x00",
    "ü",
    "%",
    "%00",
    "../..",
    "a" * 5000,
    "null",
    "[]",
    "{}",
    "'",
    '"',
    "\u2028",
    "*",
    "1e9",
)
NESTED = (
    b"[" * 50_000,
    b'{"objects":' * 5_000,
    b'{"objects":[' + b'{"a":' * 20_000,
    b'{"objects":[1,null,true,"x",[],{}]}',
)


def requests_of(seed: int, served: Served, count: int) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Random requests: sound parts of sound URLs, damaged here and there."""
    rng = random.Random(seed)  # noqa: S311
    collection = served.south.collection
    words = ["root", "collections", collection, served.east.collection, "objects", "manifest", "versions", "status"]
    words += [malware(1).id, "indicator--00000000-0000-4000-8000-000000000001", "..", "%2e%2e", "", "%2F", "%ff", "%"]
    names = [
        "limit",
        "next",
        "added_after",
        "match[id]",
        "match[type]",
        "match[version]",
        "match[spec_version]",
        "match[x]",
    ]
    values = [*ODD, "5", "last", "all", "2.1", "2022-07-15T08:00:00Z", "9999-12-31T23:59:60Z", "0000-00-00T00:00:00Z"]
    paths = ["", "root/", "root/collections/", *(f"root/collections/{collection}/{end}" for end in ("", "objects/"))]
    paths += [f"root/collections/{collection}/{end}" for end in ("manifest/", f"objects/{malware(1).id}/")]
    good = json.dumps({"objects": [malware(rng.randrange(9), rng.randrange(9)).properties()]}).encode()
    for _ in range(count):
        path = "/taxii2/" + rng.choice(paths)
        if rng.random() < 0.3:
            path = "/" + "/".join(rng.choice(words) for _ in range(rng.randrange(7))) + rng.choice(("", "/"))
        query = "&".join(
            f"{quote(rng.choice(names)) if rng.random() < 0.5 else rng.choice(names)}={quote(rng.choice(values))}"
            for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))
        )
        body = b""
        method = rng.choice(METHODS)
        if rng.random() < 0.3:
            method, path = "POST", f"/taxii2/root/collections/{collection}/objects/"
        if method == "POST":
            body = rng.choice((good, damaged(rng, good), rng.choice(NESTED), rng.randbytes(rng.randrange(300))))
        headers = {
            "Accept": rng.choice(("application/taxii+json;version=2.1", "*/*", "*/*", "*/*", ";;;q=,", "x" * 300)),
            "Content-Type": rng.choice(("application/taxii+json;version=2.1", "application/taxii+json", "a/b;;=")),
        }
        if rng.random() < 0.1:
            headers["Content-Encoding"] = rng.choice(("gzip", "br", ""))
        yield method, path + (f"?{query}" if query else ""), headers, body


def damaged(rng: random.Random, body: bytes) -> bytes:
    """A body with some of its bytes changed, cut out, or doubled."""
    data = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randrange(20)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(200)]
            case _:
                data[at:at] = rng.choice(ODD).encode()[:50]
        if not data:
            return b""
    return bytes(data)


async def call(app: Any, served: Served, method: str, target: str, headers: dict[str, str], body: bytes) -> int:
    """Hand one request to the application, past the network; return the status."""
    path, _, query = target.partition("?")
    sent = {**headers, "Authorization": f"Bearer {served.tokens['south']}", "Host": "192.0.2.1"}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in sent.items()],
        "client": ("192.0.2.9", 1),
        "server": ("192.0.2.1", 80),
    }
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await app(scope, receive, send)
    return status[0]


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 400), *(pytest.param(seed, 3_000, marks=pytest.mark.long) for seed in range(2, 6))]
)
def test_random_requests_get_an_answer(
    workspace: Workspace, founded: tuple[Any, dict[str, str]], seed: int, count: int
) -> None:
    """Whatever is asked for in whatever way: below 500; and the workspace verifies afterwards."""
    sharing = workspace.share()
    served = served_at(workspace, "http://192.0.2.1/taxii2/", founded[1])
    app = make_app(sharing, LIMITS)

    async def run() -> dict[int, int]:
        seen: dict[int, int] = {}
        for method, target, headers, body in requests_of(seed, served, count):
            status = await call(app, served, method, target, headers, body)
            assert status < 500, (method, target, headers, body[:200])
            seen[status] = seen.get(status, 0) + 1
        return seen

    seen = asyncio.run(run())
    sharing.close()
    assert {200, 202, 400, 404, 405, 406, 415, 422} <= set(seen), seen
    assert not workspace.verify().faults


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /taxii2/ HTTP/1.1\r\n\r\n",
        b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /taxii2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /taxii2/ HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_raw_bytes_end_the_connection_not_the_server(shared: Served, data: bytes) -> None:
    """Bytes that are no HTTP are answered with a 4xx, or not at all; the next request is shared."""
    parts = urlsplit(shared.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as connection:
        said = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                said += part
        except OSError:  # the server has ended the connection already
            pass
    assert not said or said.split()[1].startswith((b"4", b"1")), said[:100]
    assert shared.ask("").status == 200


def test_who_says_nothing_is_not_waited_for(workspace: Workspace) -> None:
    """A connection without a request is closed; a body that doesn't come ends its request."""
    limits = WebLimits(header_seconds=0.2, body_seconds=0.2)
    with running(workspace, limits) as url:
        parts = urlsplit(url)
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as connection:
            connection.sendall(b"GET /taxii2/ HTT")
            assert connection.recv(100) == b""


def test_a_body_that_does_not_come_ends_its_request(shared: Served) -> None:
    """After its time it is a 408."""
    parts = urlsplit(shared.url)
    path = urlsplit(shared.collection()).path
    head = (
        f"POST {path}objects/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {shared.tokens['south']}\r\n"
        "Content-Type: application/taxii+json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    assert shared.ask("").status == 200


def test_a_body_whose_length_is_told_twice_ends_the_connection(shared: Served) -> None:
    """A proxy may have counted otherwise than we do: what comes behind it is no request (RFC 9112 §6.3)."""
    head = f"Host: a\r\nAuthorization: Bearer {shared.tokens['south']}\r\n"
    first = f"POST /taxii2/ HTTP/1.1\r\n{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    parts = urlsplit(shared.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as connection:
        connection.sendall(f"{first}GET /taxii2/ HTTP/1.1\r\n{head}\r\n".encode())
        got = b""
        while part := connection.recv(65_536):
            got += part
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"HTTP/1.1 ") == 1
