"""Markings that stand beside an object (its container's) go with it to an ally, and bind there."""

from __future__ import annotations

from aleat.exchange import deliver, prepare_release, receive
from aleat.stix import StixObject, make_object
from aleat.stix.extensions import extend
from aleat.store.objects import Provenance, get_object, put_objects
from aleat.trust.markings import effective_markings, marking_id
from tests.exchange.teams import START, Team, indicator

PAP_RED = marking_id("pap:red")
STATEMENT = make_object(
    "marking-definition",
    "marking-definition--00000000-0000-4000-8000-00000000abcd",
    created=START,
    definition_type="statement",
    definition={"statement": "Copyright 2022, the pack's maker."},
)


def _know(team: Team, item: StixObject, *beside: str) -> None:
    copy = Provenance(giver=team.card.identity, received=START, markings=beside)
    with team.database.write() as connection:
        put_objects(connection, [(item, copy)])


def test_what_a_container_said_is_not_lost_on_the_way(teams: tuple[Team, Team]) -> None:
    """PAP and statements beside an object stand beside the ally's copy; TLP as ever."""
    north, south = teams
    north.know(STATEMENT)
    _know(north, indicator(1, north.card.identity, "green"), PAP_RED, STATEMENT.id)
    with north.desk() as desk:
        sent = deliver(desk, "south", prepare_release(desk, "south"))
    with south.desk() as desk:
        receive(desk, sent.data)
        stored = get_object(desk.connection, indicator(1, None).id)
        definitions = {one.object.id: one.object for one in [get_object(desk.connection, STATEMENT.id)] if one}
    assert stored is not None
    (copy,) = stored.copies
    found = effective_markings(stored.object, definitions.get, beside=copy.markings)
    assert sorted(marking.name for marking in found.all) == [
        "Copyright 2022, the pack's maker.",
        "PAP:RED",
        "TLP:GREEN",
    ]


def test_a_definition_that_two_tell_otherwise_means_nothing(teams: tuple[Team, Team]) -> None:
    """An ally can't loosen another's marking by sending its definition again with other words."""
    north, south = teams

    def said(**facts: object) -> StixObject:
        return make_object(
            "marking-definition",
            "marking-definition--00000000-0000-4000-8000-00000000abce",
            created=START,
            name="x",
            extensions=extend("misp", {"kind": "marking", **facts}),
        )

    closed = said(tag="tlp:ex:chr")
    _know(north, indicator(2, north.card.identity, "green"), closed.id)
    north.know(closed)
    loose = make_object(
        "marking-definition", closed.id, created=START, definition_type="statement", definition={"statement": "free"}
    )
    north.know(loose, giver=south.card.identity)
    with north.desk() as desk:
        (decision,) = [one for one in prepare_release(desk, "south").decisions if one.object == indicator(2, None).id]
    assert (decision.allow, decision.rule) == (False, "unknown-marking")
