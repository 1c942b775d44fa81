"""Evidence at URLs: fetched once, within limits, without a credential in what is shown or kept."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from aleat.evidence import Limits, location, shown_url
from tests.evidence.opening.archives import codes, found, lines, zip_of

WEB = lines(20)


class _Handler(BaseHTTPRequestHandler):
    """Serves a file, redirects, half a file, and what needs a password."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        if path.startswith("/turn/"):
            left = int(path.rpartition("/")[2])
            self._answer(302, b"", Location=f"/turn/{left - 1}" if left else "/a.log")
        elif path == "/away":
            self._answer(302, b"", Location="file:///etc/passwd")
        elif path == "/secret.log" and self.headers.get("Authorization") is None:
            self._answer(401, b"")
        elif path == "/half.log":
            self._answer(200, WEB[:500], length=len(WEB))
        elif path == "/x.zip":
            self._answer(200, zip_of({"a.log": WEB}))
        elif path in ("/a.log", "/secret.log"):
            self._answer(200, WEB, ETag='"abc"')
        else:
            self._answer(404, b"the server's own words")

    def _answer(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    _Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{service.server_port}"
        service.shutdown()
        thread.join()


def test_a_url_is_fetched_and_its_custody_says_what_came(server: str) -> None:
    counts, issues, (source,) = found(f"{server}/a.log")
    assert counts == {"a.log": 20}
    assert source.path == f"{server}/a.log"
    assert source.fleeting
    assert not source.is_plain
    assert not source.file.exists()
    assert source.origin is not None
    assert source.origin.canonical() == {
        "url": f"{server}/a.log",
        "etag": '"abc"',
        "size": str(len(WEB)),
        "sha256": hashlib.sha256(WEB).hexdigest(),
    }
    assert codes(issues) == ["passed-over"]
    assert "plain HTTP" in issues[0].reason


def test_an_archive_at_a_url_is_opened(server: str) -> None:
    assert found(f"{server}/x.zip")[0] == {"a.log": 20}


def test_no_credential_is_shown_or_kept(server: str) -> None:
    url = f"{server.replace('//', '//user:hunter2@')}/secret.log?sig=s3cr3t&sv"
    counts, issues, (source,) = found(url)
    assert list(counts.values()) == [20]
    words = base64.b64encode(b"user:hunter2").decode()
    assert _Handler.asked == [("/secret.log?sig=s3cr3t&sv", f"Basic {words}")]
    told = repr((source, issues))
    assert "hunter2" not in told
    assert "s3cr3t" not in told
    assert "sig=***" in source.path


def test_redirects_are_few_and_lead_nowhere_else(server: str) -> None:
    assert found(f"{server}/turn/4")[0] == {"4": 20}
    counts, issues, _ = found(f"{server}/turn/9")
    assert (counts, codes(issues)) == ({}, ["passed-over", "limit"])
    assert "place_redirects" in issues[1].reason
    assert codes(found(f"{server}/away")[1]) == ["passed-over", "input"]


@pytest.mark.parametrize(("path", "word"), [("half.log", "breaks off"), ("none.log", "answers 404")])
def test_what_can_not_be_fetched_whole_is_named_and_not_read(server: str, path: str, word: str) -> None:
    counts, issues, _ = found(f"{server}/{path}")
    assert (counts, codes(issues)) == ({}, ["passed-over", "input"])
    assert word in issues[1].reason
    assert "own words" not in issues[1].reason


def test_an_object_over_the_limit_is_not_taken(server: str) -> None:
    counts, issues, _ = found(f"{server}/a.log", limits=Limits(place_bytes=100))
    assert (counts, codes(issues)) == ({}, ["passed-over", "limit"])


def test_nobody_there_is_an_issue() -> None:
    assert codes(found("https://127.0.0.1:1/a.log")[1]) == ["input"]


def test_stores_are_read_through_fsspec() -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/case/logs/a.log", WEB)
    store.pipe("/case/logs/b.zip", zip_of({"c.log": WEB}))
    try:
        counts, issues, sources = found("memory://case/logs")
        assert counts == {"a.log": 20, "c.log": 20}
        assert issues == []
        assert [source.path for source in sources] == ["memory://case/logs/a.log", "memory://case/logs/b.zip!c.log"]
        assert codes(found("memory://case/logs", limits=Limits(place_objects=1))[1]) == ["limit"]
        assert codes(found("memory://nothing/here")[1]) == ["input"]
    finally:
        store.rm("/case", recursive=True)


@pytest.mark.parametrize("url", ["nosuch://x/y", "s3://", "https://[", "https://host:port/x"])
def test_urls_that_lead_nowhere_are_named(url: str) -> None:
    assert codes(found(url)[1]) == ["input"]


def test_a_file_url_is_a_path() -> None:
    assert location("file:///var/log/a%20b.log") == Path("/var/log/a b.log")
    assert location("C:\\logs") == Path("C:\\logs")
    assert location("s3://bucket/x") == "s3://bucket/x"


def test_what_may_be_secret_in_a_url_is_masked() -> None:
    assert shown_url("s3://key:secret@bucket/x") == "s3://***@bucket/x"
    assert shown_url("https://h/x?X-Amz-Signature=1&id=2#frag") == "https://h/x?X-Amz-Signature=***&id=***"
    assert shown_url("https://h/x?token") == "https://h/x?***"
