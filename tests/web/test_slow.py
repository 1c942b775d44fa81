"""Clients that take their time, or all there is: each wait has an end, and others are served meanwhile."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from aleat import Workspace
from aleat.web import Listening, WebLimits, read_proxies
from tests.exchange.teams import indicator
from tests.web.conftest import LIMITS, NORTH, running, served_at, take_in

TOKENS = dict[str, str]


def connect(url: str) -> socket.socket:
    """A connection to the server, whose reads end the test after a while."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=15)


def ended(connection: socket.socket) -> bool:
    """Read until the server ends the connection."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    return True


BEGUN = (
    b"",
    b"GET /taxii2/ HTT",
    b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\nX: ",
    b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\n\r\nGET /taxii2/ HT",
    b"POST /taxii2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    b"POST /taxii2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
)


def test_what_was_begun_must_go_on(workspace: Workspace) -> None:
    """A head that doesn't end, also the second one; a body that still comes after its 401."""
    with running(workspace, WebLimits(header_seconds=0.2, body_seconds=0.2)) as url:
        held = [(connect(url), begun) for begun in BEGUN]
        for connection, begun in held:
            connection.sendall(begun)
        for connection, _ in held:
            with closing(connection):
                assert ended(connection)


def test_bytes_that_drip_do_not_win_time(workspace: Workspace) -> None:
    """The clock runs from the first byte of a head, not from its last one."""
    with running(workspace, WebLimits(header_seconds=0.3)) as url, closing(connect(url)) as connection:
        connection.settimeout(0.02)
        gone = False
        for _ in range(500):
            try:
                connection.sendall(b"G")
                if connection.recv(100) == b"":
                    gone = True
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                gone = True
                break
        assert gone


@pytest.mark.long
def test_an_answer_must_be_read(workspace: Workspace, founded: tuple[object, TOKENS]) -> None:
    """Who asks for much and reads none of it is cut off; the others are answered."""
    take_in(workspace, (indicator(number, NORTH, "green", name="x" * 1_000_000) for number in range(100, 108)))
    limits = WebLimits(answer_seconds=0.3, page_bytes=32 * 1024**2, requests=1e6, burst=10**6)
    with running(workspace, limits) as url:
        served = served_at(workspace, url, founded[1])
        path = urlsplit(served.collection()).path
        assert served.ids("limit=1")
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(15)
        parts = urlsplit(url)
        connection.connect((str(parts.hostname), int(parts.port or 0)))
        with closing(connection):
            token = served.tokens["south"]
            connection.sendall(
                f"GET {path}objects/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                assert served.ask("").status == 200
            got = 0
            try:
                while part := connection.recv(65_536):
                    got += len(part)
            except ConnectionError:
                pass
        assert got < 8_000_000


def test_one_address_has_so_many_connections(workspace: Workspace, founded: tuple[object, TOKENS]) -> None:
    """More are closed at once, and the first go on; a proxy has as many as there are."""
    limits = WebLimits(address_connections=3)
    with running(workspace, limits) as url:
        held = [connect(url) for _ in range(3)]
        for one in held:
            one.sendall(b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 401")
        with closing(connect(url)) as another:
            assert ended(another)
        for one in held:
            one.close()
    proxied = Listening(port=0, proxies=read_proxies(["127.0.0.1"]))
    with running(workspace, WebLimits(address_connections=1), proxied) as url:
        held = [connect(url) for _ in range(3)]
        for one in held:
            one.sendall(b"GET /taxii2/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 401")
            one.close()


def test_behind_a_proxy_only_the_guesser_is_shut_out(workspace: Workspace, founded: tuple[object, TOKENS]) -> None:
    """Who guesses tokens is shut out by its own address; the ally behind the same proxy isn't."""
    listening = Listening(port=0, proxies=read_proxies(["127.0.0.0/8"]))
    with running(workspace, LIMITS, listening) as url:
        served = served_at(workspace, url, founded[1])
        bad = {"Authorization": "Bearer aleat-guess", "X-Forwarded-For": "203.0.113.7"}
        assert [served.ask("", who=None, headers=bad).status for _ in range(11)] == [401] * 10 + [429]
        assert served.ask("", headers={"X-Forwarded-For": "203.0.113.7"}).status == 429
        assert served.ask("", headers={"X-Forwarded-For": "198.51.100.1"}).status == 200
        lie = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        assert served.ask("", headers=lie).status == 429
