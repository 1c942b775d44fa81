"""Pushing to a server that isn't ours: what the ally may have goes there, once, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.exchange.access import Access, Credentials
from tests.exchange.medallion_server import COLLECTIONS, PASSWORD, USER, medallion
from tests.exchange.teams import START, indicator
from tests.web.conftest import NORTH, SOUTH, befriend, take_in

KNOWN = Credentials(user=USER, password=PASSWORD)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[str]]:
    """A running Medallion: its URL, once for each of its empty collections."""
    with medallion(tmp_path_factory.mktemp("medallion"), page=50) as url:
        yield iter([f"{url}trustgroup1/collections/{id_}/" for id_ in COLLECTIONS])


@pytest.fixture
def place(places: Iterator[str]) -> str:
    """The URL of an empty collection."""
    return next(places)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """North's workspace, with south as its ally, 20 objects that may leave for it and 10 that may not."""
    with Workspace.init(
        tmp_path / "case",
        organisation="North",
        identity=NORTH,
        actor="ana",
        key_folder=tmp_path / "keys",
        clock=lambda: START,
    ) as opened:
        befriend(opened, "south", SOUTH)
        take_in(opened, (indicator(number, NORTH, "green" if number < 20 else "red") for number in range(30)))
        yield opened


def at(url: str) -> Access:
    """How the server is reached; nothing waits."""
    return Access(url, KNOWN, sleep=lambda _: None)


def polled(place: str, folder: Path) -> int:
    """How many new objects somebody else finds there."""
    with Workspace.init(folder, actor="agim", key_folder=folder.parent / "more-keys") as other:
        return other.poll(at(place)).feeds[0].added.kinds.get("stix indicator", 0)


def test_what_may_leave_is_pushed_once(ws: Workspace, place: str, tmp_path: Path) -> None:
    """Twenty of thirty leave; the second push has nothing to do; what comes later is pushed alone."""
    first = ws.push(at(place), to="south")
    assert (first.feeds[0].refused, first.issues, first.feeds[0].complete) == ((), (), True)
    assert polled(place, tmp_path / "first") == 20
    assert ws.push(at(place), to="south").feeds[0].taken == 0
    take_in(ws, [indicator(40, NORTH, "green")])
    assert ws.push(at(place), to="south").feeds[0].taken == 1
    assert polled(place, tmp_path / "second") == 21
