"""What an ally may send wrong, by carelessness or malice: it is refused whole, or left out by name."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aleat.errors import AleatError, InputError, SealError
from aleat.exchange import Delivery, Offer, Received, asks, prepare_release, receive
from aleat.exchange.messages import Message, encode_messages
from aleat.stix import make_object
from aleat.stix.canonical import canonical_json
from aleat.stix.extensions import extend
from aleat.store.ledger import read_entries
from aleat.store.objects import get_object
from aleat.trust.seal import seal
from tests.exchange.teams import START, Team, indicator

THIRD = "identity--33333333-3333-4333-8333-333333333333"
Change = Callable[[dict[str, Any]], None]


def crafted(north: Team, south: Team, change: Change | None = None, *objects: Any, **header: Any) -> bytes:
    """A delivery of north's, made by hand, so that it can be made wrong; all hashes and signatures fit."""
    objects = objects or (indicator(1, north.card.identity, "green"),)
    listed = [{"id": item.id, "version": item.version, "digest": item.digest, "label": "green"} for item in objects]
    content: dict[str, Any] = {
        "bundle": b'{"type":"bundle","id":"bundle--%s","objects":[' % str(uuid.uuid4()).encode()
        + b",".join(item.raw for item in objects)
        + b"]}",
        "manifest": {"agreement": {"name": "mutual-aid", "version": 1}, "objects": listed},
        "lists": {},
        "release": "release--1",
        "sender": north.card.identity,
        "recipient": south.card.identity,
        "extra": {},
    }
    if change is not None:
        change(content)
    manifest = canonical_json(content["manifest"])
    digests = [
        hashlib.sha256(part).digest()
        for part in (content["bundle"], manifest, *(content["lists"][id_].encode() for id_ in sorted(content["lists"])))
    ]
    offer, delivery = (f"message--{uuid.uuid4()}" for _ in range(2))
    head = {
        "thread": offer,
        "sender": content["sender"],
        "recipient": content["recipient"],
        "time": "2022-09-20T12:00:00.000Z",
        "person": "eve",
    }
    messages: tuple[Message, ...] = (
        Offer(id=offer, what="x", **head),
        Delivery(
            id=delivery,
            of=offer,
            release=content["release"],
            sha256=content.get("sha256", hashlib.sha256(b"".join(digests)).hexdigest()),
            **head,
        ),
    )
    parts = {
        "messages.json": encode_messages(messages),
        "bundle.json": content["bundle"],
        "manifest.json": manifest,
        "lists.json": canonical_json(content["lists"]),
        **content["extra"],
    }
    values: dict[str, Any] = {"serial": 1, "release": "release--1", **header}
    return seal(
        {name: data for name, data in parts.items() if data is not None},
        sender=north.card.identity,
        key=north.key,
        recipient=south.card.identity,
        recipient_key=south.age.recipient,
        time=START,
        **values,
    )[0]


def opened(south: Team, data: bytes) -> Received:
    """South opens it."""
    with south.desk() as desk:
        return receive(desk, data)


def test_the_file_made_by_hand_is_good(teams: tuple[Team, Team]) -> None:
    """Else the tests below would show nothing."""
    north, south = teams
    received = opened(south, crafted(north, south))
    assert [item.id for item in received.objects] == [indicator(1, None).id]


def put(name: str, value: Any) -> Change:
    """Set one thing."""
    return lambda content: content.__setitem__(name, value)


def nested(content: dict[str, Any]) -> None:
    """A bundle that nests too deep."""
    content["bundle"] = b'{"type":"bundle","objects":[' + b'{"a":[' * 20_000 + b"]}" * 20_000 + b"]}"


BAD: dict[str, Change] = {
    "a message from somebody else": put("sender", THIRD),
    "a message to somebody else": put("recipient", THIRD),
    "another release's hash": put("sha256", "0" * 64),
    "another release than the header's": put("release", "release--2"),
    "no bundle": put("extra", {"bundle.json": None}),
    "no manifest": put("extra", {"manifest.json": None}),
    "no messages": put("extra", {"messages.json": None}),
    "messages that are none": put("extra", {"messages.json": b'{"kind":'}),
    "messages of an unknown kind": put("extra", {"messages.json": b'[{"kind":"order"}]'}),
    "lists that are none": put("extra", {"lists.json": b"[1]"}),
    "a manifest that is none": put("manifest", [1, 2]),
    "an object that the manifest doesn't list": put(
        "manifest", {"agreement": {"name": "x", "version": 1}, "objects": []}
    ),
    "a bundle that is none": put("bundle", b"\xff\xfe"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_faulty_delivery_is_refused_whole(fault: str, teams: tuple[Team, Team]) -> None:
    """An error of ours, and nothing is kept: no object, no message, no ledger entry."""
    north, south = teams
    with pytest.raises((SealError, InputError)):
        opened(south, crafted(north, south, BAD[fault]))
    with south.database.read() as connection:
        assert asks(connection) == ()
        assert get_object(connection, indicator(1, None).id) is None
        assert list(read_entries(connection, "exchange")) == []
    assert opened(south, crafted(north, south)).objects


def test_a_message_that_says_that_a_release_comes_along_is_refused_without_it(teams: tuple[Team, Team]) -> None:
    """A delivery or a question of which nothing came would look like one that can be answered."""
    north, south = teams
    with pytest.raises(SealError, match="none does"):
        opened(south, crafted(north, south, release=""))
    with south.database.read() as connection:
        assert asks(connection) == ()


def test_an_object_that_differs_from_the_manifest_is_refused(teams: tuple[Team, Team]) -> None:
    """By digest, not by id."""
    north, south = teams

    def swap(content: dict[str, Any]) -> None:
        content["bundle"] = content["bundle"].replace(b"Beacon", b"Bakery")

    with pytest.raises(SealError, match="manifest"):
        opened(south, crafted(north, south, swap))


def test_one_bad_object_does_not_cost_the_others(teams: tuple[Team, Team]) -> None:
    """It is an issue with its place."""
    north, south = teams

    def spoil(content: dict[str, Any]) -> None:
        content["bundle"] = content["bundle"].replace(b'"objects":[', b'"objects":[{"type":"x","id":7},')

    received = opened(south, crafted(north, south, spoil))
    assert len(received.objects) == 1
    assert [issue.code for issue in received.issues] == ["object"]


def test_a_bundle_of_nesting_is_an_issue(teams: tuple[Team, Team]) -> None:
    """It ends no process, and holds no object."""
    north, south = teams
    received = opened(south, crafted(north, south, nested))
    assert received.objects == ()
    assert len(received.issues) == 1


def test_entries_that_are_not_the_lists_are_left_out(teams: tuple[Team, Team]) -> None:
    """The list's object names their digest."""
    north, south = teams
    listed = make_object(
        "indicator",
        "indicator--00000000-0000-4000-8000-0000000000aa",
        created=START,
        created_by_ref=north.card.identity,
        name="list",
        pattern="[x:y = 'z']",
        pattern_type="stix",
        valid_from=START,
        extensions=extend("list", {"entries": 1, "entries_sha256": "0" * 64}),
    )
    for serial, lines in enumerate(['["domain-name","other.example",""]\n', "[1]\n", ""], 1):
        with south.database.read() as connection:
            before = len(list(read_entries(connection, "exchange")))
        received = opened(
            south, crafted(north, south, put("lists", {listed.id: lines}), listed, serial=serial, release="release--1")
        )
        assert [issue.code for issue in received.issues] == ["list"]
        with south.database.read() as connection:
            assert len(list(read_entries(connection, "exchange"))) == before + 1
    assert not (south.folder / "lists").exists()


def test_a_serial_number_counts_once(teams: tuple[Team, Team]) -> None:
    """Two files with one number: one of them isn't the sender's."""
    north, south = teams
    opened(south, crafted(north, south))
    with pytest.raises(SealError, match="number 1"):
        opened(south, crafted(north, south))


@pytest.mark.parametrize(("giver", "rule"), [(THIRD, "amber-not-a-client"), ("somebody else", "marking-weakened")])
def test_a_third_partys_amber_does_not_become_clear_by_way_of_an_ally(
    teams: tuple[Team, Team], giver: str, rule: str
) -> None:
    """North sends a newer version of it with a weaker label; it stays here all the same, whoever gave it before."""
    north, south = teams
    south.know(indicator(7, THIRD, "amber"), giver=giver)
    raw = indicator(7, THIRD, "clear").properties()
    newer = make_object(
        "indicator",
        raw["id"],
        created=START,
        modified=START.replace(hour=13),
        created_by_ref=THIRD,
        markings=raw["object_marking_refs"],
        **{key: raw[key] for key in ("name", "description", "pattern", "pattern_type", "valid_from")},
    )
    opened(south, crafted(north, south, None, newer))
    with south.desk() as desk:
        release = prepare_release(desk, "north")
    (decision,) = [item for item in release.decisions if item.object == newer.id]
    assert (decision.allow, decision.rule) == (False, rule)
    assert b"beacon-7" not in release.bundle


def test_what_an_ally_labelled_beside_an_object_is_kept(teams: tuple[Team, Team]) -> None:
    """An object without a marking of its own has the manifest's label, and stays under it."""
    north, south = teams
    bare = make_object("domain-name", "domain-name--00000000-0000-4000-8000-0000000000bb", value="bare.example")

    def amber(content: dict[str, Any]) -> None:
        content["manifest"]["objects"][0]["label"] = "amber"

    opened(south, crafted(north, south, amber, bare))
    with south.database.read() as connection:
        stored = get_object(connection, bare.id)
    assert stored is not None
    assert stored.object.raw == bare.raw
    assert stored.copies[0].markings == ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",)


def test_no_error_names_what_was_inside(teams: tuple[Team, Team]) -> None:
    """Errors are shown and logged; what an ally sent in confidence isn't."""
    north, south = teams
    for change in BAD.values():
        with pytest.raises(AleatError) as caught:
            opened(south, crafted(north, south, change))
        assert "beacon" not in str(caught.value).lower()
