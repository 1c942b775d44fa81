"""Random MISP events: in, out, and in again; the order of members, and of documents, doesn't matter."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.exchange.misp import write_events
from aleat.knowledge import KnowledgeItem
from aleat.knowledge.misp.kept import join_local, split_local
from aleat.knowledge.misp.mapping import attribute_types
from aleat.stix import canonical_json
from tests.knowledge.misp_world import ACTOR, ALLY, OTHER, attribute, objects, read, uuid

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

VALUES = st.sampled_from(
    ["192.0.2.1", "a.example.org", "0a" * 16, "0b" * 32, "x.exe|" + "0c" * 16, "https://example.org/", "", "it's \\ x"]
)
TAGS = st.lists(
    st.sampled_from(["tlp:red", "TLP:GREEN", "PAP:AMBER", "tlp:ex:x", "osint:x", 'nato:a="b"']), max_size=2, unique=True
).map(lambda names: [{"name": name} for name in names])
TEXTS = st.text(max_size=20)


@st.composite
def sightings(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(st.integers(2000, 2999))
    kind = draw(st.sampled_from(["0", "1", "2", "9", 0]))
    row = {"type": kind, "date_sighting": str(1657900000 + number), "uuid": uuid(number), "source": draw(TEXTS)}
    return row | ({"Organisation": OTHER} if draw(st.booleans()) else {})


@st.composite
def attributes(draw: st.DrawFn, number: int) -> dict[str, Any]:
    row = attribute(number, draw(st.sampled_from(attribute_types())), draw(VALUES), to_ids=draw(st.booleans()))
    row |= {"Tag": draw(TAGS), "comment": draw(TEXTS), "deleted": draw(st.sampled_from([True, False, "0", None]))}
    row["Sighting"] = draw(st.lists(sightings(), max_size=2))
    row["distribution"] = draw(st.sampled_from(["0", "1", "5", 3, None]))
    if draw(st.booleans()):
        row["Galaxy"] = [ACTOR]
    if draw(st.booleans()):
        del row["uuid"]
    return row


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(0, 4))
    body: dict[str, Any] = {
        "info": draw(TEXTS),
        "Tag": draw(TAGS),
        "published": draw(st.booleans()),
        "date": "2022-07-15",
    }
    body["Attribute"] = [draw(attributes(number)) for number in range(1, count + 1)]
    body["Object"] = [
        {
            "name": draw(st.sampled_from(["file", "ip-port", "x"])),
            "uuid": uuid(100 + n),
            "Attribute": [draw(attributes(200 + n))],
        }
        for n in range(draw(st.integers(0, 2)))
    ]
    if draw(st.booleans()):
        body |= {"uuid": uuid(0), "id": "7", "timestamp": "1657875600", "Orgc": ALLY}
    return body


@FEW
@given(events())
def test_in_out_and_in_again(body: dict[str, Any]) -> None:
    """The event comes out as it was, and gives the same objects again."""
    given_objects = objects({"Event": body})
    (one,) = write_events(given_objects).events
    assert canonical_json(one["Event"]) == canonical_json(body)
    assert objects(one) == given_objects


@FEW
@given(events(), st.randoms(use_true_random=False))
def test_the_order_of_members_changes_no_member(body: dict[str, Any], rng: Any) -> None:
    """Only the event's own object, which keeps the order. (An event without UUID is named by its content.)"""
    body["uuid"] = uuid(0)
    turned = json.loads(json.dumps(body))
    rng.shuffle(turned["Attribute"])
    rng.shuffle(turned["Object"])
    one, two = ({item.digest for item in objects({"Event": each})[:-1]} for each in (body, turned))
    assert one == two


@FEW
@given(events())
def test_every_object_bears_its_events_markings(body: dict[str, Any]) -> None:
    """And those that are in its own bytes."""
    items: list[KnowledgeItem] = read({"Event": body})[0]
    whole = set(items[-1].markings)
    for item in items:
        if item.object.type != "marking-definition":
            assert whole | set(item.object.object_marking_refs) <= set(item.markings)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "event_id", "Tag", "a", "sharing_group_id", "org_id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_what_is_taken_apart_fits_together(value: Any) -> None:
    """A server's own numbers, and the rest."""
    assert join_local(*split_local(value)) == value
