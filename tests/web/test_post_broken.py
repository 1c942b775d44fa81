"""The post where things go wrong: killed anywhere, replayed, held back, brought by another, at a meeting point."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from aleat import Workspace
from aleat.exchange.access import Access, Credentials
from aleat.exchange.letters import letter_object
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.stix import StixObject
from aleat.store.post import read_payload, read_post
from aleat.workspace.accounts import make_token
from tests.exchange.medallion_server import COLLECTIONS, PASSWORD, USER, medallion
from tests.exchange.teams import indicator
from tests.web.allies import Pair, make_pair, serving
from tests.web.conftest import EAST, NORTH, befriend, take_in


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """North and south; north may give three indicators."""
    made = make_pair(tmp_path)
    take_in(made.north, [indicator(number, NORTH, "green") for number in range(3)])
    yield made
    made.north.close()
    made.south.close()


class Killed(BaseException):
    """The process ended here, as far as a transaction can tell."""


class Fuse:
    """A workspace's clock that ends the process when it was asked so many times."""

    def __init__(self, ws: Workspace) -> None:
        self.ws, self.clock, self.left = ws, ws._clock, -1

    def __call__(self) -> Any:
        """Return the time, or end."""
        self.left -= 1
        if self.left == 0:
            raise Killed
        return self.clock()


def until_it_lives(ws: Workspace, act: Callable[[Workspace], object]) -> int:
    """Do an act again and again, killed ever later, until it comes to its end; return how often it was killed."""
    fuse = Fuse(ws)
    for kills in range(200):
        fuse.left = kills + 1
        with Workspace.open(ws.folder, actor="ana", key_folder=ws.key_folder, clock=fuse) as again, suppress(Killed):
            act(again)
            return kills
    raise AssertionError


def letters(ws: Workspace) -> list[StixObject]:
    """What is in a team's post box, as artifacts."""
    with ws.read() as connection:
        return [letter_object(row.letter, read_payload(connection, row.letter) or b"") for row in read_post(connection)]


def messages(ws: Workspace) -> list[str]:
    """What messages a team has, by kind."""
    return sorted(type(message).__name__ for thread in ws.asks() for message in thread.messages)


@pytest.mark.parametrize("way", ["fetched", "pushed"])
def test_killed_anywhere_nothing_is_lost_or_doubled(pair: Pair, way: str) -> None:
    """Three letters, and whoever carries them is killed before each record that it makes."""
    pair.north.ask("south", None, title="Wiped", impact="Servers are down", needs=["rules"])
    pair.north.offer("south", None, what="What we know")
    pair.north.release("south", None)
    with serving(pair.north) as north, serving(pair.south) as south:
        if way == "fetched":
            kills = until_it_lives(pair.south, lambda ws: ws.poll(pair.at(north, "south"), feeds=["aleat-messages"]))
        else:
            kills = until_it_lives(pair.north, lambda ws: ws.push(pair.at(south, "north"), to="south"))
    assert kills > 5
    assert messages(pair.south) == messages(pair.north) == ["Delivery", "Offer", "Offer", "Request"]
    assert pair.south.mail() == ()
    for ws in (pair.north, pair.south):
        assert ws.verify().faults == ()


def test_both_push_at_once(pair: Pair) -> None:
    """Each team pushes to the other, twice at the same time: every letter counts once, and nothing is stuck."""
    for number in range(3):
        pair.north.ask("south", None, title=f"North {number}", impact="Down", needs=["rules"])
        pair.south.ask("north", None, title=f"South {number}", impact="Down", needs=["rules"])

    def push(ws: Workspace, url: str, who: str, to: str) -> None:
        with Workspace.open(ws.folder, actor="ana", key_folder=ws.key_folder, clock=ws._clock) as own:
            own.push(pair.at(url, who), to=to, only="post")

    with serving(pair.north) as north, serving(pair.south) as south:
        ways = [(pair.north, south, "north", "south"), (pair.south, north, "south", "north")] * 2
        threads = [Thread(target=push, args=way) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for way in ways:
            push(*way)
    assert messages(pair.north) == messages(pair.south) == ["Request"] * 6


def test_a_pushed_withdrawal_counts_at_once(pair: Pair) -> None:
    """What was released is hunted for; a withdrawal that is pushed ends that, without a poll or a restart."""
    pair.north.release("south", None)
    with serving(pair.south) as south:
        pair.north.push(pair.at(south, "north"), to="south", only="post")
        assert {row.state for row in pair.south.knowledge().rows if row.type == "indicator"} == {"hunts"}
        with pair.north.read() as connection:
            release = next(row.release for row in read_post(connection))
        pair.north.withdraw(release, None, reason="Wrong")
        pair.north.push(pair.at(south, "north"), to="south", only="post")
        assert {row.state for row in pair.south.knowledge().rows if row.type == "indicator"} == {"withdrawn"}


def test_what_may_no_longer_leave_stays_in_the_box(pair: Pair) -> None:
    """A hold keeps a sealed release here, for who fetches and for who pushes; a withdrawal does so for good."""
    pair.north.release("south", None)
    held = "indicator--00000000-0000-4000-8000-000000000001"
    pair.north.hold([held], "legal-hold", "A court asked")
    with serving(pair.north) as north, serving(pair.south) as south:
        assert pair.south.poll(pair.at(north, "south"), feeds=["aleat-messages"]).letters == ()
        pushed = pair.north.push(pair.at(south, "north"), to="south", only="post")
        assert [issue.code for issue in pushed.issues] == ["kept-back"]
        pair.north.lift_hold(held, "legal-hold", "The court is content")
        with pair.north.read() as connection:
            release = next(row.release for row in read_post(connection))
        pair.north.withdraw(release, None, reason="Wrong")
        got = pair.south.poll(pair.at(north, "south"), feeds=["aleat-messages"])
        assert [type(message).__name__ for one in got.letters for message in one.messages] == ["Withdrawal"]


def test_a_letter_of_another_ally_is_refused(pair: Pair) -> None:
    """East brings what north sealed: it isn't taken from east, and north can still bring it."""
    befriend(pair.south, "east", EAST)
    token = make_token()
    pair.south.add_account("east", "east", push=True, token=token)
    pair.north.ask("south", None, title="Wiped", impact="Down", needs=["rules"])
    [letter] = letters(pair.north)
    with serving(pair.south) as south:
        with TaxiiClient(Access(south, Credentials(token))) as client:
            box = next(one for one in client.collections(f"{south}root/") if one.alias)
            done = push_objects(client, f"{south}root/collections/{box.id}/", [letter])
            assert ["another ally" in failure.reason for failure in done.failed] == [True]
        assert pair.south.asks() == ()
        assert pair.north.push(pair.at(south, "north"), to="south", only="post").left == 0
    assert len(pair.south.asks()) == 1


def test_a_meeting_point(pair: Pair, tmp_path: Path) -> None:
    """Two teams without servers meet at Medallion: the post and the feed pass, rubbish there is named, once."""
    pair.north.release("south", None)
    known = Credentials(user=USER, password=PASSWORD)
    with medallion(tmp_path, page=50, messages="aleat-messages") as url:
        root = Access(f"{url}trustgroup1/", known, sleep=lambda _: None)
        pushed = pair.north.push(root, to="south", collection=COLLECTIONS[1])
        assert pushed.messages is not None
        assert (pushed.messages.taken, pushed.left, pushed.feeds[0].taken > 3, pushed.issues) == (1, 0, True, ())
        sealed = bytearray(b"age-encryption.org/v1\n" + b"x" * 200)
        rubbish = [
            letter_object("artifact--11111111-1111-4111-8111-111111111111", bytes(sealed)),
            indicator(77, NORTH, "green"),
            letter_object("artifact--22222222-2222-4222-8222-222222222222", b"aleat-piece 1\n{}\nxx"),
        ]
        with TaxiiClient(root) as client:
            assert push_objects(client, f"{url}trustgroup1/collections/{COLLECTIONS[0]}/", rubbish).failed == ()
        got = pair.south.poll(root, feeds=[COLLECTIONS[1]], giver="north")
        assert [len(one.messages) for one in got.letters] == [2]
        assert sorted(issue.code for issue in got.letter_issues) == ["object", "object", "shut"]
        again = pair.south.poll(root, feeds=["aleat-messages"], giver="north")
        assert (again.letters, again.shut) == ((), 1)
        assert pair.north.poll(root, feeds=["aleat-messages"], giver="south").letters == ()
    assert pair.south.knowledge().types["indicator"] == 3


def test_a_replay_under_another_id_changes_nothing(pair: Pair) -> None:
    """The same sealed file in another artifact, and with its padding cut off: known, and refused."""
    pair.north.ask("south", None, title="Wiped", impact="Down", needs=["rules"])
    [letter] = letters(pair.north)
    content = json.loads(letter.raw)
    sealed = base64.b64decode(content["payload_bin"])
    with serving(pair.south) as south, TaxiiClient(pair.at(south, "north")) as client:
        box = next(one for one in client.collections(f"{south}root/") if one.alias)
        where = f"{south}root/collections/{box.id}/"
        assert push_objects(client, where, [letter]).failed == ()
        other = letter_object("artifact--33333333-3333-4333-8333-333333333333", sealed)
        assert push_objects(client, where, [other]).failed == ()
        cut = letter_object("artifact--44444444-4444-4444-8444-444444444444", sealed[:-1])
        assert len(push_objects(client, where, [cut]).failed) == 1
    assert messages(pair.south) == ["Request"]
