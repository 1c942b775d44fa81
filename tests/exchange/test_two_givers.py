"""Two givers of one thing: each copy keeps its own, and what leaves names only whom it leaves on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat.errors import Place
from aleat.exchange import findings_of_hunt, prepare_release
from aleat.hunt.from_store import indicators
from aleat.stix import StixObject
from aleat.store.objects import Provenance, get_object, put_objects
from aleat.trust.markings import marking_id
from tests.exchange.teams import START, Team, indicator
from tests.exchange.test_there_and_back import sighting

QUIET = "identity--99999999-9999-4999-8999-999999999999"
PLACE = "quiet-service-drop.json"


def given(team: Team, item: StixObject, giver: str, label: str) -> None:
    """Put one giver's copy with its own label beside it."""
    provenance = Provenance(giver=giver, received=START, markings=(marking_id(f"tlp:{label}"),), agreement=None)
    with team.database.write() as connection:
        put_objects(connection, [(item, provenance)])


@pytest.mark.parametrize("order", [("north", "quiet"), ("quiet", "north")])
def test_one_givers_red_neither_blocks_nor_betrays_what_another_gave_freely(
    teams: tuple[Team, Team], order: tuple[str, str]
) -> None:
    """Whoever came first: it leaves on the CLEAR copy, and no byte names the one who gave it under RED."""
    north, south = teams
    item = indicator(7, None)
    copies = {"north": (north.card.identity, "clear"), "quiet": (QUIET, "red")}
    for name in order:
        given(south, item, *copies[name])
    with south.desk() as desk:
        release = prepare_release(desk, "north")
    (decision,) = [one for one in release.decisions if one.object == item.id]
    assert (decision.allow, decision.label) == (True, "clear")
    left = release.bundle + release.manifest + b"".join(release.lists.values())
    assert item.id.encode() in left
    assert QUIET.encode() not in left
    assert QUIET[10:].encode() not in left
    assert marking_id("tlp:red").encode() not in left


def test_what_only_the_red_giver_gave_stays(teams: tuple[Team, Team]) -> None:
    """RED never leaves, whoever else gave something like it."""
    north, south = teams
    given(south, indicator(7, None), north.card.identity, "clear")
    given(south, indicator(8, None), QUIET, "red")
    with south.desk() as desk:
        release = prepare_release(desk, "north")
    rules = {one.object: one.rule for one in release.decisions}
    assert rules[indicator(8, None).id] == "red"
    assert rules[indicator(7, None).id] in {"clear", "back-to-giver"}


def test_hunted_once_in_both_names_and_each_copy_keeps_its_own(teams: tuple[Team, Team]) -> None:
    """Confidence, marking and originator are each giver's; here, where we look ourselves, both are named."""
    north, south = teams
    item = indicator(7, None)
    given(south, item, north.card.identity, "clear")
    given(south, item, QUIET, "red")
    with south.database.read() as connection:
        (found,) = indicators(connection, south.folder)
        stored = get_object(connection, item.id)
    assert found.source == f"{north.card.identity}, {QUIET}"
    assert stored is not None
    assert {(copy.giver, copy.markings) for copy in stored.copies} == {
        (north.card.identity, (marking_id("tlp:clear"),)),
        (QUIET, (marking_id("tlp:red"),)),
    }


def test_findings_name_no_giver() -> None:
    """What is told of an indicator that ended is a word, not who ended it."""
    item = indicator(7, None)
    day = datetime(2022, 7, 15, tzinfo=UTC)
    source = f"north, {QUIET}"
    ended = sighting(item.id, "e1", day, source=source, hidden_by="withdrawn: by quiet-service on 2022-09-21")
    late = sighting(item.id, "e2", day, source=source, hidden_by="expired: valid until 2022-07-01T00:00:00Z")
    (found,) = findings_of_hunt([item.id], [ended, late])
    assert (found.status, found.reason) == ("not-evaluated", "expired, withdrawn")
    seen = sighting(item.id, "e3", day, source=source)
    (found,) = findings_of_hunt([item.id], [ended, late, seen])
    assert (found.status, found.count, found.reason) == ("seen", 1, "")
    dismissed = sighting(item.id, "e4", day, hidden_by="a1b2")
    (found,) = findings_of_hunt([item.id], [ended, dismissed])
    assert (found.status, found.reason) == ("false-positive", "a1b2")


def test_where_a_copy_stood_does_not_leave(teams: tuple[Team, Team], tmp_path: Path) -> None:
    """Provenance is ours: neither path nor giver's name is in what leaves."""
    _, south = teams
    provenance = Provenance(
        giver=QUIET, received=START, markings=(marking_id("tlp:clear"),), source=Place(str(tmp_path / PLACE), 3)
    )
    with south.database.write() as connection:
        put_objects(connection, [(indicator(7, None), provenance)])
    with south.desk() as desk:
        release = prepare_release(desk, "north")
    assert indicator(7, None).id.encode() in release.bundle
    assert PLACE.encode() not in release.bundle + release.manifest
    assert QUIET.encode() not in release.bundle + release.manifest
