"""A server of another party may be slow, wrong, or hostile: each request ends, within limits, with its reason."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access, Credentials, RemoteLimits, split_url
from aleat.exchange.http_client import Answer, HttpClient, retry_after
from tests.exchange.http_double import Reply, Request, Server, serving

SMALL = RemoteLimits(page_bytes=100_000, error_bytes=1_000, total_bytes=150_000, attempts=3)
SECRET = Credentials(token="t0ken-of-ours")


class Clock:
    """A clock that goes only while somebody sleeps, or a step each time it is asked."""

    def __init__(self, step: float = 0.0) -> None:
        self.time = 0.0
        self.step = step
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        self.time += self.step
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.time += seconds


def get(
    server: Server,
    path: str = "",
    *,
    clock: Clock | None = None,
    limits: RemoteLimits = SMALL,
    credentials: Credentials = SECRET,
    repeatable: bool = True,
    proxy: str = "",
) -> Answer:
    """GET a path of the server; nothing waits."""
    clock = clock or Clock()
    access = Access(server.url, credentials, proxy=proxy, limits=limits, clock=clock, sleep=clock.sleep)
    with HttpClient(access) as client:
        return client.request("GET", server.url + path, repeatable=repeatable)


def always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """The replies one after the other, the last one for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_what_is_sent_is_what_is_needed() -> None:
    """The token as Bearer, or user and password as Basic; no cookie is kept."""
    with serving(always(Reply(headers={"Set-Cookie": "a=b"}, body=b"x"))) as server:
        assert get(server, "a").body == b"x"
        get(server, "a", credentials=Credentials(user="north", password="ü:b"))
        get(server, "a", credentials=Credentials())
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == ["Bearer t0ken-of-ours", "Basic bm9ydGg6w7w6Yg==", None]
    assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_answers_are_unpacked(pack: Callable[[bytes], bytes]) -> None:
    """gzip, and deflate as RFC 9110 means it."""
    coding = "gzip" if pack is gzip.compress else "deflate"
    with serving(always(Reply(headers={"Content-Encoding": coding}, body=pack(b"word " * 5_000)))) as server:
        assert get(server).body == b"word " * 5_000


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(50_000_000))), "page-size"),
        (Reply(body=bytes(100_001)), "page-size"),
        (Reply(headers={"Content-Encoding": "br"}, body=b"x"), "packing"),
        (Reply(headers={"Content-Encoding": "gzip, gzip"}, body=b"x"), "packing"),
        (Reply(headers={"Content-Encoding": "gzip"}, body=b"no gzip"), "packing"),
        (Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"x" * 99)[:-9]), "broken"),
        (Reply(body=b"short", length=500), "broken"),
        (Reply(302, {"Location": "http://169.254.169.254/latest/"}), "redirect"),
        (Reply(302, {"Location": "http://localhost:22/"}), "redirect"),
        (Reply(307, {"Location": "//taxii.example.org/"}), "redirect"),
        (Reply(301, {"Location": "file:///etc/passwd"}), "redirect"),
        (Reply(301, {"Location": "http://[::1"}), "redirect"),
        (Reply(302, {"Location": "/round"}), "redirect"),
        (Reply(302), "redirect"),
    ],
    ids=[
        "gzip-bomb",
        "too-large",
        "unknown-packing",
        "packed-twice",
        "no-gzip",
        "gzip-cut-off",
        "body-cut-off",
        "redirect-inside",
        "redirect-other-port",
        "redirect-other-host",
        "redirect-file",
        "redirect-nowhere",
        "redirect-in-circles",
        "redirect-without-place",
    ],
)
def test_hostile_answers_are_refused(reply: Reply, code: str) -> None:
    """Each by its kind; no token is shown."""
    with serving(always(reply)) as server, pytest.raises(RemoteError) as caught:
        get(server)
    assert caught.value.code == code
    assert "t0ken" not in str(caught.value)


def test_redirects_on_the_same_server_are_followed() -> None:
    """A slash that was missing, say."""
    replies = in_turn(Reply(301, {"Location": "/a/"}), Reply(body=b"here"))
    with serving(replies) as server:
        assert get(server, "a").body == b"here"
    assert [request.path for request in server.requests] == ["/a", "/a/"]


def test_what_is_sent_away_is_never_redirected() -> None:
    """A push goes where it was meant to, or nowhere."""
    with (
        serving(always(Reply(307, {"Location": "/other"}))) as server,
        HttpClient(Access(server.url)) as client,
        pytest.raises(RemoteError, match="redirects what is sent"),
    ):
        client.request("POST", server.url, content=b"x")
    assert len(server.requests) == 1


def test_another_server_is_not_asked() -> None:
    """Neither another host, nor another port, nor another scheme."""
    with HttpClient(Access("https://taxii.example.org/")) as client:
        for url in ("https://192.0.2.1/", "https://taxii.example.org:8443/", "http://taxii.example.org/", "x"):
            with pytest.raises(RemoteError, match="nobody named"):
                client.request("GET", url)


def test_busy_servers_are_asked_again_with_growing_waits() -> None:
    """429 and 5xx; in the end the last answer stands."""
    clock = Clock()
    with serving(always(Reply(503))) as server:
        assert get(server, clock=clock, limits=replace(SMALL, attempts=5)).status == 503
    assert clock.slept == [1, 2, 4, 8]
    assert len(server.requests) == 5


def test_retry_after_is_honoured_within_reason() -> None:
    """In seconds or as a date; a server that asks for a day is left alone."""
    clock = Clock()
    replies = in_turn(Reply(429, {"Retry-After": "17"}), Reply(503, {"Retry-After": "soon"}), Reply(body=b"x"))
    with serving(replies) as server:
        assert get(server, clock=clock).body == b"x"
    assert clock.slept == [17, 2]
    clock = Clock()
    with serving(always(Reply(429, {"Retry-After": "86400"}))) as server, pytest.raises(RemoteError, match="86,400"):
        get(server, clock=clock)
    assert clock.slept == []


def test_a_date_to_come_back_counts_from_the_answers_own() -> None:
    """Our clock isn't asked: only the server's two times are compared (RFC 9110 §10.2.3)."""
    headers = {"date": "Fri, 15 Jul 2022 08:00:00 GMT", "retry-after": "Fri, 15 Jul 2022 08:00:07 GMT"}
    assert retry_after(headers) == 7
    assert retry_after({"retry-after": headers["retry-after"]}) is None
    assert retry_after({**headers, "date": "Fri, 15 Jul 2022 08:00:00 -0000"}) is None
    assert retry_after({"retry-after": "9" * 40}) == 999_999_999


def test_what_has_an_effect_is_repeated_only_where_nothing_was_done() -> None:
    """503 says so, 500 and a broken line don't."""
    with serving(in_turn(Reply(503), Reply(500))) as server:
        assert get(server, repeatable=False).status == 500
    assert len(server.requests) == 2
    with serving(always(Reply(body=b"", length=9))) as server, pytest.raises(RemoteError, match="broke"):
        get(server, repeatable=False)
    assert len(server.requests) == 1


def test_an_error_is_cut_off() -> None:
    """An answer of 404 with a gigabyte behind it."""
    with serving(always(Reply(404, body=bytes(1_000_000)))) as server:
        assert len(get(server).body) == 1_000


def test_all_answers_together_are_bounded() -> None:
    """total_bytes, over the requests of one client."""
    with serving(always(Reply(body=bytes(60_000)))) as server, HttpClient(Access(server.url, limits=SMALL)) as client:
        client.request("GET", server.url)
        client.request("GET", server.url)
        with pytest.raises(RemoteError, match="total_bytes"):
            client.request("GET", server.url)


def test_a_server_that_drips_is_cut_off() -> None:
    """A block now and then, each in time: the request as a whole has an end."""

    def drip() -> Iterator[bytes]:
        while True:
            yield b"x" * 50

    clock = Clock(step=1.0)
    limits = replace(SMALL, request_seconds=20, attempts=1, page_bytes=10**9)
    with serving(always(Reply(body=drip))) as server, pytest.raises(RemoteError, match="longer than its limit"):
        get(server, clock=clock, limits=limits)


def test_headers_without_end_are_cut_off() -> None:
    """A server that never comes to the body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65_536)
                try:
                    client.sendall(b"HTTP/1.1 200 OK\r\n")
                    for number in range(100_000):
                        client.sendall(b"X-%d: y\r\n" % number)
                except OSError:
                    pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}/", 0)
        with pytest.raises(RemoteError, match="broke"):
            get(server, limits=replace(SMALL, attempts=1))
        thread.join(timeout=20)


def test_the_whole_run_has_an_end() -> None:
    """A server that is busy for ever, and a limit on all of it."""
    clock = Clock()
    limits = replace(SMALL, attempts=100, seconds=100)
    with serving(always(Reply(503))) as server, pytest.raises(RemoteError, match=r"\(seconds\)"):
        get(server, clock=clock, limits=limits)
    assert clock.time <= 100


def test_a_server_that_is_not_there_says_so() -> None:
    """After as many attempts as there may be."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clock = Clock()
    with pytest.raises(RemoteError, match="can't be reached"):
        get(Server(f"http://127.0.0.1:{port}/", port), clock=clock)
    assert clock.slept == [1, 2]


def test_a_proxy_carries_the_requests() -> None:
    """The whole URL goes to the proxy, with its own user; nothing of that stands in a message."""
    with serving(always(Reply(body=b"by proxy"))) as proxy:
        server = Server("http://taxii.example.org/", 80)
        assert get(server, "a", proxy=proxy.url.replace("//", "//me:hidden@")).body == b"by proxy"
    assert proxy.requests[0].path == "http://taxii.example.org/a"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
    with pytest.raises(InputError) as caught:
        get(server, proxy="ftp://me:hidden@192.0.2.1")
    assert "hidden" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    """Neither in a repr nor in a refusal of a URL; a secret that would break a header is refused."""
    shown = repr(Access("https://taxii.example.org/", SECRET, proxy="http://me:hidden@192.0.2.1"))
    assert "t0ken" not in shown
    assert "hidden" not in shown
    for url in ("https://me:hidden@taxii.example.org/", "https://taxii.example.org/?key=hidden", "x://hidden"):
        with pytest.raises(InputError) as caught:
            split_url(url)
        assert url == "x://hidden" or "hidden" not in str(caught.value)
    with pytest.raises(InputError):
        Credentials(token="a\r\nX: y")
    with pytest.raises(InputError):
        Credentials(user="a:b")
