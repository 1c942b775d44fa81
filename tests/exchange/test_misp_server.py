"""A MISP server as a source of polling: everything once, in order, and nothing that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aleat.errors import InputError, Issue, RemoteError
from aleat.exchange.access import Credentials, RemoteLimits
from aleat.exchange.feeds import Feed, Page
from aleat.exchange.misp_server import MispFilters, MispSource
from aleat.knowledge import KnowledgeItem, read_documents
from aleat.stix.extensions import read_extension
from tests.exchange.http_double import Reply, Request, Server
from tests.exchange.misp_simulator import KEY, Misp, access, running
from tests.knowledge.misp_world import ALLY, attribute, uuid

NOW = datetime(2022, 8, 1, tzinfo=UTC)


def one(number: int, time: int, **more: Any) -> dict[str, Any]:
    """An event of the server."""
    return {
        "id": str(number),
        "uuid": uuid(number),
        "info": f"Event {number}",
        "date": "2022-07-15",
        "timestamp": str(time - 10),
        "publish_timestamp": str(time),
        "published": True,
        "distribution": "3",
        "Orgc": ALLY,
        "Attribute": [attribute(number + 500, "domain", f"d{number}.example.org")],
        **more,
    }


def world(count: int = 7, **more: Any) -> Misp:
    return Misp({uuid(n): one(n, 1657872000 + n // 3, **more) for n in range(count)})


def poll(server: Server, bookmark: str = "", filters: MispFilters | None = None, **more: Any) -> list[Page]:
    source = MispSource(access(server, **more), filters)
    try:
        (feed,) = source.feeds()
        assert isinstance(feed, Feed)
        return list(source.pages(feed, bookmark=bookmark, since=None, reference_time=NOW))
    finally:
        source.close()


def names(pages: Sequence[Page]) -> list[str]:
    return [document.relative for page in pages for document in page.documents]


def test_every_event_comes_once_and_in_order() -> None:
    """The index is read in pages; each event is a page of its own, as the server's bytes."""
    misp = world()
    with running(misp) as server:
        pages = poll(server)
        assert names(pages) == [f"events/{uuid(n)}.json" for n in range(7)]
        assert poll(server, pages[-1].bookmark or "") == []
    (document,) = pages[0].documents
    assert json.loads(document.read()) == {"Event": misp.events[uuid(0)]}
    assert document.path == f"{server.url}events/view/{uuid(0)}"
    assert max(query["page"] for query in misp.searches) == 3


def test_a_poll_goes_on_behind_what_was_kept() -> None:
    """Also among events of the same second, and where another came to that second since."""
    misp = world()
    with running(misp) as server:
        pages = poll(server)
        assert names(poll(server, pages[3].bookmark or "")) == names(pages)[4:]
        misp.events[uuid(99)] = one(99, 1657872002)
        misp.events[uuid(2)]["publish_timestamp"] = "1657872009"
        assert names(poll(server, pages[-1].bookmark or "")) == [f"events/{uuid(99)}.json", f"events/{uuid(2)}.json"]


def test_since_begins_a_poll_there() -> None:
    """And never leaves out what lies between the last poll and it."""
    with running(world()) as server:
        source = MispSource(access(server))
        (feed,) = source.feeds()
        assert isinstance(feed, Feed)
        since = datetime.fromtimestamp(1657872001, UTC)
        found = list(source.pages(feed, bookmark="", since=since, reference_time=NOW))
        assert names(found) == [f"events/{uuid(n)}.json" for n in range(3, 7)]
        bookmark = f"2022-07-15T08:00:00Z {uuid(0)}"
        assert len(list(source.pages(feed, bookmark=bookmark, since=since, reference_time=NOW))) == 6
        source.close()


def test_filters_are_the_servers() -> None:
    """Tags, organisations, published or not: asked for, not sorted out here."""
    misp = world(3)
    misp.events[uuid(1)]["Tag"] = [{"name": "tlp:green"}]
    misp.events[uuid(2)]["published"] = False
    with running(misp) as server:
        assert names(poll(server)) == [f"events/{uuid(n)}.json" for n in range(2)]
        assert names(poll(server, filters=MispFilters(tags=("tlp:green",)))) == [f"events/{uuid(1)}.json"]
        assert names(poll(server, filters=MispFilters(organisations=("Nobody",)))) == []
        assert len(poll(server, filters=MispFilters(published=None))) == 3
    assert misp.searches[-1]["metadata"] == 1


def test_what_comes_is_read_like_any_event() -> None:
    """There is one way in."""
    with running(world(1)) as server:
        pages = poll(server)
    found = list(read_documents(lambda: iter(pages[0].documents)))
    assert all(isinstance(item, KnowledgeItem) for item in found)
    kept = [read_extension(item.object, "misp") for item in found if isinstance(item, KnowledgeItem)]
    assert [row["kind"] for row in kept if row] == ["attribute", "event"]


def test_another_event_than_the_one_asked_for_is_named() -> None:
    """And one that is gone; both cost only themselves."""
    misp = world(3)

    def wrong(request: Request) -> Reply | None:
        if request.path.endswith(uuid(1)):
            return Reply(200, {}, json.dumps({"Event": misp.events[uuid(2)]}).encode())
        return Reply(404, {}, b'{"name": "gone"}') if request.path.endswith(uuid(0)) else None

    misp.wrong = wrong
    with running(misp) as server:
        pages = poll(server)
    assert names(pages) == [f"events/{uuid(2)}.json"]
    issues = [issue for page in pages for issue in page.issues]
    assert [issue.code for issue in issues] == ["refused", "misp"]
    assert all(isinstance(issue, Issue) and issue.place.path.startswith(server.url) for issue in issues)


def endless() -> Iterator[bytes]:
    yield b'{"response": ['
    while True:
        yield b"[" * 10_000


BAD = {
    "no JSON": (Reply(200, {}, b"<html>hello</html>"), "broken"),
    "text": (Reply(200, {}, b'"x"'), "broken"),
    "nested": (Reply(200, {}, b"[" * 100_000), "broken"),
    "not a list": (Reply(200, {}, b'{"response": {"a": 1}}'), "broken"),
    "list of texts": (Reply(200, {}, b'{"response": ["a"]}'), "broken"),
    "endless": (Reply(200, {}, endless), "page-size"),
    "too large": (Reply(200, {}, b" " * 300_000), "page-size"),
    "redirect": (Reply(302, {"Location": "http://192.0.2.1/"}, b""), "redirect"),
    "forbidden": (Reply(403, {}, b'{"name": "no"}'), "refused"),
    "error": (Reply(500, {}, b"<b>secret</b>"), "server"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("where", ["users/view/me", "events/restSearch"])
def test_a_server_that_answers_wrongly_is_told_so(name: str, where: str) -> None:
    """Whatever it answers ends in one promised error, which shows no key and nothing of the answer."""
    reply, code = BAD[name]
    misp = world(2)
    misp.wrong = lambda request: reply if request.path.strip("/") == where else None
    with running(misp) as server, pytest.raises(RemoteError) as caught:
        poll(server)
    assert caught.value.code == code
    assert KEY not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_index_that_never_ends_is_left() -> None:
    """The same page again and again, and new events for ever."""
    misp = world(3)
    same = json.dumps({"response": [{"Event": event} for event in misp.events.values()]}).encode()
    misp.wrong = lambda request: Reply(200, {}, same) if "restSearch" in request.path else None
    with running(misp) as server, pytest.raises(RemoteError, match="repeats itself"):
        poll(server)

    def more(request: Request) -> Reply | None:
        if "restSearch" not in request.path:
            return None
        page = json.loads(request.body)["page"]
        rows = [{"Event": one(page * 10 + n, 1657872000)} for n in range(3)]
        return Reply(200, {}, json.dumps(rows).encode())

    misp.wrong = more
    with running(misp) as server, pytest.raises(RemoteError, match="doesn't end"):
        poll(server)


def test_rows_of_the_index_that_name_nothing_are_named() -> None:
    """No UUID, no time, a time beyond all calendars: the rest is fetched."""
    misp = world(1)
    rows = [{"Event": event} for event in misp.events.values()]
    odd: list[Any] = [{"Event": {"uuid": "x"}}, {"Event": 3}, {"uuid": uuid(5), "publish_timestamp": "9" * 20}]
    answers = [json.dumps([*odd[:2], *rows]).encode(), json.dumps(odd[2:]).encode()]

    def wrong(request: Request) -> Reply | None:
        if "restSearch" not in request.path:
            return None
        return Reply(200, {}, answers[min(json.loads(request.body)["page"], 2) - 1])

    misp.wrong = wrong
    with running(misp) as server:
        pages = poll(server)
    assert names(pages) == [f"events/{uuid(0)}.json"]
    assert [issue.code for page in pages for issue in page.issues] == ["misp"]


def test_the_key_is_needed_and_shown_nowhere(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in errors, logs or output; a wrong one is refused by the server."""
    with running(world(1)) as server:
        with pytest.raises(InputError, match="wants a key"):
            MispSource(access(server, credentials=Credentials()))
        with pytest.raises(RemoteError) as caught:
            poll(server, credentials=Credentials("wrong-key"))
        poll(server)
    assert caught.value.code == "refused"
    written = capfd.readouterr()
    assert "wrong-key" not in str(caught.value) + caplog.text + written.out + written.err
    assert KEY not in caplog.text + written.out + written.err


def test_a_server_that_is_slow_is_not_waited_for_for_ever() -> None:
    """One answer has one deadline, whatever trickles in."""
    ticks = iter(range(0, 100_000, 3))
    with running(world(1)) as server:
        limits = replace(access(server).limits, seconds=30.0)
        with pytest.raises(RemoteError) as caught:
            poll(server, limits=limits, clock=lambda: float(next(ticks)))
    assert "took longer" in str(caught.value)


def test_a_bookmark_that_is_none_is_refused() -> None:
    with running(world(1)) as server, pytest.raises(InputError, match="no bookmark"):
        poll(server, "x")


def test_limits_of_a_poll_hold_here_too() -> None:
    """An event larger than a page may be ends the poll by name."""
    with running(world(2)) as server, pytest.raises(RemoteError, match="page_bytes"):
        poll(server, limits=RemoteLimits(page_bytes=500, attempts=1))
