"""Medallion at the other end: everything that was pushed is polled, once, whatever breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from taxii2client.v21 import Collection

from aleat import Workspace
from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access, Credentials
from aleat.exchange.feeds import Feed
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.stix.objects import StixObject
from aleat.store.objects import get_variants, iterate_objects
from aleat.store.polls import read_bookmarks
from tests.exchange.cutting_proxy import Cuts, cutting_proxy
from tests.exchange.malware import malware, malware_id
from tests.exchange.medallion_server import COLLECTIONS, PASSWORD, USER, medallion

KNOWN = Credentials(user=USER, password=PASSWORD)


@dataclass(frozen=True)
class Place:
    """A running Medallion, and a collection of it that nobody else uses."""

    url: str
    id: str

    @property
    def path(self) -> str:
        """The collection's path."""
        return f"trustgroup1/collections/{self.id}/"

    @property
    def port(self) -> int:
        """Where the server listens."""
        return int(urlsplit(self.url).port or 0)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Place]]:
    """A running Medallion with pages of ten objects: its empty collections, one after the other."""
    with medallion(tmp_path_factory.mktemp("medallion")) as url:
        yield iter([Place(url, id_) for id_ in COLLECTIONS])


@pytest.fixture
def place(places: Iterator[Place]) -> Place:
    """An empty collection."""
    return next(places)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    with Workspace.init(tmp_path / "case", actor="agim", key_folder=tmp_path / "keys") as ws:
        yield ws


def access(url: str, path: str) -> Access:
    """How the server is reached; nothing waits."""
    return Access(url + path, KNOWN, sleep=lambda _: None)


def push(place: Place, items: list[StixObject]) -> None:
    """Push with our own client; all must be accepted."""
    with TaxiiClient(access(place.url, place.path)) as client:
        pushed = push_objects(client, place.url + place.path, items)
    assert len(pushed.accepted) == len(items)
    assert (pushed.pending, pushed.failed) == ((), ())


def held(ws: Workspace) -> dict[str, int]:
    """How many versions of each object there are."""
    with ws.read() as connection:
        ids = [stored.object.id for stored in iterate_objects(connection, ["malware"])]
        return {id_: len(get_variants(connection, id_)) for id_ in ids}


def copies(ws: Workspace) -> int:
    """How many copies there are of all objects in their newest version."""
    with ws.read() as connection:
        return sum(len(stored.copies) for stored in iterate_objects(connection, ["malware"]))


def test_everything_that_was_pushed_is_polled_once(place: Place, workspace: Workspace) -> None:
    """Pushed by us and by taxii2-client, in versions; polled, polled again, more is pushed, polled."""
    push(place, [malware(number, version) for number in range(30) for version in range(2)])
    theirs = Collection(place.url + place.path, user=USER, password=PASSWORD)
    envelope = {"objects": [json.loads(malware(number).raw) for number in range(30, 45)]}
    assert theirs.add_objects(envelope).success_count == 15
    theirs.close()
    first = workspace.poll(access(place.url, place.path)).feeds[0]
    assert (first.added.new, first.added.known, first.added.issues, first.complete) == (75, 0, (), True)
    assert held(workspace) == {malware_id(number): 2 if number < 30 else 1 for number in range(45)}
    again = workspace.poll(access(place.url, place.path)).feeds[0]
    assert (again.added.new, copies(workspace)) == (0, 45)
    push(place, [malware(number, version) for number in range(40, 50) for version in range(1, 3)])
    more = workspace.poll(access(place.url, place.path)).feeds[0]
    assert more.added.new == 20
    assert held(workspace)[malware_id(45)] == 2


@pytest.mark.parametrize("position", [150, *(pytest.param(place, marks=pytest.mark.long) for place in (10, 1_500))])
def test_a_connection_that_breaks_between_pages_loses_nothing(
    place: Place, workspace: Workspace, position: int
) -> None:
    """All objects share one moment, and Medallion hands each page out once: the chain begins anew, not the request."""
    push(place, [malware(number) for number in range(55)])
    cuts = Cuts(
        after=dict.fromkeys((2, 5, 9), position)
    )  # each request is a connection; the first asks for the collection
    with cutting_proxy(place.port, cuts):
        polled = workspace.poll(access(cuts.url, place.path)).feeds[0]
    assert cuts.cut == 3
    assert (polled.complete, polled.added.issues) == (True, ())
    assert held(workspace) == {malware_id(number): 1 for number in range(55)}
    assert copies(workspace) == 55


def test_a_poll_that_ends_early_goes_on_behind_what_it_kept(place: Place, workspace: Workspace) -> None:
    """The server is gone after some pages: what came is kept with its bookmark, the rest comes with the next poll."""
    for start in range(0, 60, 6):
        push(place, [malware(number) for number in range(start, start + 6)])
    cuts = Cuts(after=dict.fromkeys(range(4, 100), 10))
    with cutting_proxy(place.port, cuts):
        broken = workspace.poll(access(cuts.url, place.path), giver="north").feeds[0]
        assert not broken.complete
        assert [issue.code for issue in broken.added.issues] == ["broken"]
        kept = len(held(workspace))
        assert kept == 30
        assert broken.bookmark
        cuts.after.clear()
        whole = workspace.poll(access(cuts.url, place.path), giver="north").feeds[0]
    assert whole.complete
    assert whole.added.new == 60 - kept
    assert copies(workspace) == 60


def test_discovery_and_api_roots_list_what_there_is(place: Place, workspace: Workspace) -> None:
    """Of several collections some are named, or all are polled; another server's API root is told, and left alone."""
    push(place, [malware(1)])
    for path in ("", "taxii2/", "trustgroup1/", "trustgroup1/collections/"):
        found = workspace.feeds(access(place.url, path))
        assert tuple(feed.id for feed in found if isinstance(feed, Feed)) == COLLECTIONS
    with pytest.raises(InputError, match="16 collections"):
        workspace.poll(access(place.url, "taxii2/"))
    with pytest.raises(InputError, match="No collection"):
        workspace.poll(access(place.url, "taxii2/"), feeds=["Shared 99"])
    assert workspace.poll(access(place.url, "taxii2/"), feeds=[place.id]).feeds[0].added.new == 1
    everything = workspace.poll(access(place.url, "taxii2/"), everything=True)
    assert tuple(feed.id for feed in everything.feeds) == COLLECTIONS
    assert [issue.code for issue in everything.issues] == ["other-server"]


def test_a_bookmark_is_kept_for_each_giver(place: Place, workspace: Workspace) -> None:
    """What one giver's poll brought is asked for again in another's name: two givers are two copies."""
    push(place, [malware(number) for number in range(5)])
    workspace.poll(access(place.url, place.path), giver="north", marking="amber")
    workspace.poll(access(place.url, place.path), giver="east", marking="red")
    with workspace.read() as connection:
        marks = read_bookmarks(connection)
        stored = next(iterate_objects(connection, ["malware"]))
    assert {(mark.feed, mark.giver) for mark in marks} == {(place.id, "north"), (place.id, "east")}
    assert {copy.giver: len(copy.markings) for copy in stored.copies} == {"north": 1, "east": 1}
    assert PASSWORD not in str(marks)


def test_each_poll_is_an_entry_of_the_ledger(place: Place, workspace: Workspace) -> None:
    """What was asked, what came, how far: in the exchange ledger; the objects in custody; verify is content."""
    push(place, [malware(number) for number in range(5)])
    workspace.poll(access(place.url, place.path))
    workspace.poll(access(place.url, place.path))
    entries = [json.loads(text) for text in workspace.export_ledgers()]
    polls = [entry["data"] for entry in entries if entry["kind"] == "poll"]
    assert [(data["objects"], data["known"], data["complete"]) for data in polls] == [(5, 0, True), (0, 5, True)]
    assert polls[0]["to"] == polls[1]["from"]
    assert [entry["ledger"] for entry in entries if entry["kind"] == "knowledge"] == ["custody", "custody"]
    assert PASSWORD not in json.dumps(entries)
    assert workspace.verify().faults == ()


def test_a_wrong_password_says_so(place: Place, workspace: Workspace) -> None:
    """The server's answer becomes advice; the password doesn't show."""
    with pytest.raises(RemoteError, match="401") as caught:
        workspace.poll(Access(place.url + place.path, Credentials(user=USER, password="wrong word")))
    assert "wrong word" not in str(caught.value)


def test_pushing_again_is_no_failure(place: Place) -> None:
    """Medallion refuses a version that it has: that one is there, as was wanted."""
    push(place, [malware(number) for number in range(3)])
    push(place, [malware(number) for number in range(5)])


def test_a_push_that_breaks_is_not_doubled(place: Place, workspace: Workspace) -> None:
    """The status is lost on the way: the server is asked what it holds, and nothing is pushed twice."""
    cuts = Cuts(after={1: 100})
    with cutting_proxy(place.port, cuts), TaxiiClient(access(cuts.url, place.path)) as client:
        pushed = push_objects(client, cuts.url + place.path, [malware(number) for number in range(20)])
    assert cuts.cut == 1
    assert len(pushed.accepted) == 20
    assert workspace.poll(access(place.url, place.path)).feeds[0].added.new == 20
