"""Polls of servers that are wrong or hostile: what is sound goes in, the rest is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aleat import Workspace
from aleat.errors import RemoteError
from aleat.exchange.access import Access, RemoteLimits
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.store.objects import find_conflicts, iterate_objects
from aleat.workspace import PolledFeed
from tests.exchange.http_double import Reply, Request, Server, serving, taxii
from tests.exchange.malware import malware, malware_id

COLLECTION = {"id": "one", "title": "One", "can_read": True, "can_write": True}
ROOT = {"title": "Root", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 2_000}
Page = Callable[[dict[str, str]], Reply]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    with Workspace.init(tmp_path / "case", actor="agim", key_folder=tmp_path / "keys") as ws:
        yield ws


def answers(page: Page) -> Callable[[Request], Reply]:
    """A server of one collection, whose pages are given by `page`."""

    def answer(request: Request) -> Reply:
        parts = urlsplit(request.path)
        if parts.path == "/root/collections/one/":
            return taxii(json.dumps(COLLECTION).encode())
        if parts.path.endswith("/objects/"):
            return page({name: values[0] for name, values in parse_qs(parts.query).items()})
        return taxii(b'{"title": "no"}', 404)

    return answer


def envelope(numbers: range, **members: Any) -> Reply:
    """A page of malware objects, and how it goes on."""
    body = json.dumps({"objects": [json.loads(malware(number).raw) for number in numbers], **members})
    time = f"2022-07-15T08:00:{numbers.start:02d}.000Z"
    return taxii(body.encode(), X_TAXII_Date_Added_First=time, X_TAXII_Date_Added_Last=time)


def poll(ws: Workspace, server: Server, **limits: float) -> PolledFeed:
    """Poll the collection; nothing waits."""
    url = server.url + "root/collections/one/"
    bounded = RemoteLimits(**{"attempts": 3, **limits})  # type: ignore[arg-type]
    return ws.poll(Access(url, limits=bounded, sleep=lambda _: None), giver="north").feeds[0]


def held(ws: Workspace) -> list[str]:
    with ws.read() as connection:
        return sorted(stored.object.id for stored in iterate_objects(connection, ["malware"]))


def ids(numbers: range) -> list[str]:
    return sorted(malware_id(number) for number in numbers)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (taxii(b"<html>"), "wrong-json"),
        (Reply(200, {"Content-Type": "text/html"}, b"<html>"), "media-type"),
        (taxii(b'{"title": "Gone"}', 404), "refused"),
        (taxii(b"", 500), "server-error"),
        (Reply(302, {"Location": "http://169.254.169.254/latest/meta-data/"}), "redirect"),
        (taxii(b"x" * 300_000), "page-size"),
        (Reply(200, {}, b"", 50), "broken"),
    ],
    ids=["html", "media-type", "gone", "fails-for-ever", "redirect-inside", "too-large", "broken"],
)
def test_a_page_that_is_wrong_ends_the_poll_and_costs_nothing_else(workspace: Workspace, bad: Reply, code: str) -> None:
    """What came before it is kept, with its bookmark; the reason is told; the next poll begins there."""
    state = {"bad": True}

    def page(query: dict[str, str]) -> Reply:
        if "next" not in query and "added_after" not in query:
            return envelope(range(5), more=True, next="second")
        return bad if state["bad"] else envelope(range(5, 9), more=False)

    with serving(answers(page)) as server:
        first = poll(workspace, server, page_bytes=200_000)
        assert (first.complete, [issue.code for issue in first.added.issues]) == (False, [code])
        assert held(workspace) == ids(range(5))
        assert first.bookmark == "2022-07-15T08:00:00.000Z"
        state["bad"] = False
        assert poll(workspace, server).complete
    assert held(workspace) == ids(range(9))


def test_objects_that_are_wrong_are_named_and_the_rest_goes_in(workspace: Workspace) -> None:
    """Ids of the wrong type, no STIX, nesting without end; and a script is only text."""
    wrong: list[Any] = [
        {"type": "malware", "id": "indicator--00000000-0000-4000-8000-000000000001", "spec_version": "2.1"},
        {"no": "stix"},
        5,
        "x" * 100,
        json.loads(malware(7, name="<script>alert(1)</script>").raw),
    ]
    body = json.dumps({"objects": wrong + [json.loads(malware(number).raw) for number in range(3)]})
    deep = b'{"type":"malware","id":"malware--1","a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    whole = body.encode().replace(b'{"no": "stix"}', deep)
    with serving(answers(lambda _: taxii(whole))) as server:
        polled = poll(workspace, server)
    assert held(workspace) == sorted([*ids(range(3)), malware_id(7)])
    assert len(polled.added.issues) == 4
    assert polled.complete


def test_a_known_id_with_other_content_is_a_conflict(workspace: Workspace) -> None:
    """Somebody else's object, told again with another content: both are kept, the first one counts."""
    forged = json.dumps({"objects": [json.loads(malware(2, name="harmless").raw)]}).encode()
    pages = [envelope(range(3)), taxii(forged)]
    with serving(answers(lambda _: pages.pop(0))) as server:
        poll(workspace, server)
        second = poll(workspace, server)
    assert second.added.conflicts == 1
    with workspace.read() as connection:
        assert [conflict.id for conflict in find_conflicts(connection)] == [malware_id(2)]


def test_pages_that_never_end_are_ended(workspace: Workspace) -> None:
    """The same page with ever new tokens; ever new pages, up to the limit."""
    count = iter(range(10_000))
    with serving(answers(lambda _: envelope(range(3), more=True, next=str(next(count))))) as server:
        polled = poll(workspace, server)
        assert [issue.code for issue in polled.added.issues] == ["endless"]
        assert len(server.requests) < 40
    number = iter(range(10_000))

    def fresh(_: dict[str, str]) -> Reply:
        start = next(number) % 50
        return envelope(range(start, start + 1), more=True, next="n", extra=next(number))

    with serving(answers(fresh)) as server:
        assert not poll(workspace, server, pages=15).complete
        assert len(server.requests) <= 17


def test_a_page_too_large_is_asked_for_in_parts(workspace: Workspace) -> None:
    """A server that takes `limit` at its word, and a limit on bytes."""

    def page(query: dict[str, str]) -> Reply:
        size = int(query["limit"])
        start = 0 if "added_after" not in query else 8
        return envelope(range(start, start + min(size, 1_000)), more=False)

    with serving(answers(page)) as server:
        polled = poll(workspace, server, page_bytes=50_000)
    assert polled.complete
    assert len(held(workspace)) == 100


def test_a_slow_poll_keeps_what_came_now_and_then(workspace: Workspace) -> None:
    """Not only at its end: each page takes a minute, and each is kept with its bookmark in an entry of its own."""
    seconds = iter(range(0, 10_000_000, 10))

    def page(query: dict[str, str]) -> Reply:
        start = int(query.get("next", "0"))
        return envelope(range(start, start + 2), more=start < 6, next=str(start + 2))

    with serving(answers(page)) as server:
        url = server.url + "root/collections/one/"
        access = Access(url, sleep=lambda _: None, clock=lambda: float(next(seconds)))
        assert workspace.poll(access).feeds[0].added.new == 8
    entries = [json.loads(text) for text in workspace.export_ledgers()]
    kept = [entry["data"] for entry in entries if entry["kind"] == "knowledge"]
    assert len(kept) > 1
    assert sorted(data["bookmark"] for data in kept) == [data["bookmark"] for data in kept]


def test_a_collection_of_another_id_leads_nowhere(workspace: Workspace) -> None:
    """Ids that would change the URL, and API roots that are none."""
    bad = {"collections": [{**COLLECTION, "id": "../../admin"}]}
    discovery = {"title": "x", "api_roots": ["/root/", "http://[::1", "//192.0.2.1/root/", "gopher://x/"]}

    def answer(request: Request) -> Reply:
        return taxii(json.dumps(discovery if request.path == "/taxii2/" else bad).encode())

    with serving(answer) as server:
        found = workspace.feeds(server.url)
    assert [getattr(item, "code", "feed") for item in found] == [
        "wrong-id",
        "wrong-url",
        "other-server",
        "other-server",
    ]
    assert {request.path for request in server.requests} == {"/taxii2/", "/root/collections/"}


def test_a_push_is_told_object_by_object() -> None:
    """Taken, refused, pending, too large; a status that is another's is refused."""
    status: dict[str, Any] = {"id": "s1", "total_count": 3, "success_count": 1, "failure_count": 1, "pending_count": 1}
    details = [{"id": malware_id(number), "version": malware(number).version} for number in range(3)]
    waits = {**status, "status": "pending"}
    done = {**status, "status": "complete", "successes": details[:1], "failures": [{**details[1], "message": "no\x07"}]}
    done["pendings"] = details[2:]

    def answer(request: Request) -> Reply:
        if request.path == "/root/":
            return taxii(json.dumps(ROOT).encode())
        if request.path.endswith("/versions/"):
            return taxii(b'{"title": "unknown"}', 404)
        if request.method == "POST":
            return taxii(json.dumps(waits).encode(), 202)
        return taxii(json.dumps(done).encode())

    items = [malware(number) for number in range(3)] + [malware(9, name="x" * 3_000)]
    with serving(answer) as server:
        url = server.url + "root/collections/one/"
        with TaxiiClient(Access(url, sleep=lambda _: None)) as client:
            pushed = push_objects(client, url, items)
            assert [id_ for id_, _ in pushed.accepted] == [malware_id(0)]
            assert [id_ for id_, _ in pushed.pending] == [malware_id(2)]
            assert [failure.id for failure in pushed.failed] == [malware_id(9), malware_id(1)]
            assert "max_content_length" in pushed.failed[0].reason
            assert pushed.failed[1].reason == "no\\x07"
            done["id"] = "another"
            with pytest.raises(RemoteError, match="another push"):
                push_objects(client, url, items[:1])
    assert server.requests[1].headers["content-type"] == "application/taxii+json;version=2.1"
