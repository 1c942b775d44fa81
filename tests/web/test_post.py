"""The post there and back between two teams' real servers: fetched or pushed, once, whatever is cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import Place
from aleat.stix import StixObject, parse_object
from aleat.workspace import Polled
from tests.exchange.teams import indicator
from tests.web.allies import Pair, make_pair, serving
from tests.web.conftest import NORTH, take_in


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """North and south."""
    made = make_pair(tmp_path)
    yield made
    made.north.close()
    made.south.close()


def kinds(polled: Polled) -> list[str]:
    """What the messages were that came."""
    return [type(message).__name__ for letter in polled.letters for message in letter.messages]


def ask(ws: Workspace, ally: str) -> None:
    """Put a request into the post box."""
    ws.ask(ally, None, title="Wiped", impact="Servers are down", needs=["rules"])


def test_aid_over_two_servers(pair: Pair) -> None:
    """South asks by its own server, north pushes its offer, and so on to findings and a withdrawal."""
    take_in(pair.north, [indicator(number, NORTH, "green") for number in range(3)])
    with serving(pair.north) as north, serving(pair.south) as south:
        to_north, to_south = pair.at(north, "south"), pair.at(south, "north")
        ask(pair.south, "north")
        got = pair.north.poll(to_south, giver="south")
        assert (kinds(got), got.issues) == (["Request"], ())
        pair.north.offer("south", None, what="What we know")
        pushed = pair.north.push(to_south, to="south", only="post")
        assert pushed.messages is not None
        assert (pushed.messages.taken, pushed.left, pushed.issues, pushed.feeds) == (1, 0, (), ())
        pair.south.accept("north", None)
        pair.south.push(to_north, to="north", only="post")
        pair.north.release("south", None)
        got = pair.south.poll(to_north, giver="north")
        assert kinds(got) == ["Delivery"]
        assert [thread.state for thread in pair.south.asks()] == [thread.state for thread in pair.north.asks()]
        pair.south.hunt()
        pair.south.answer(None, None, to="north", outcome="Not seen")
        pair.south.push(to_north, to="north", only="post")
        assert len(pair.north.findings()) == 3
        assert [thread.state for thread in pair.north.asks()] == ["closed"]
        again = pair.south.poll(to_north, giver="north")
        assert (again.letters, again.issues) == ((), ())
    assert pair.north.verify().faults == ()
    assert pair.south.verify().faults == ()


def large(number: int) -> StixObject:
    """An indicator of a megabyte."""
    content = json.loads(indicator(number, NORTH, "green").raw)
    return parse_object(json.dumps(content | {"description": "x" * 900_000}).encode(), Place("test"))


@pytest.mark.parametrize("way", ["pushed", pytest.param("fetched", marks=pytest.mark.long)])
def test_a_large_file_goes_in_pieces(pair: Pair, way: str) -> None:
    """A release of some megabytes needs several letters; it counts once all of them are there, in any order."""
    take_in(pair.north, [large(number) for number in range(8)])
    pair.north.release("south", None)
    letters = pair.north.post()
    assert [(row.piece, row.pieces) for row in letters] == [(1, 2), (2, 2)]
    with serving(pair.north) as north, serving(pair.south) as south:
        if way == "fetched":
            got = pair.south.poll(pair.at(north, "south"), giver="north", feeds=["aleat-messages"])
            assert (kinds(got), got.issues) == (["Offer", "Delivery"], ())
        else:
            pushed = pair.north.push(pair.at(south, "north"), to="south", only="post")
            assert pushed.messages is not None
            assert (pushed.messages.taken, pushed.left) == (2, 0)
    assert pair.south.mail() == ()
    assert pair.south.knowledge().types["indicator"] == 8
