"""Findings go back to the MISP that the knowledge came from, as sightings: once, as coarse as agreed, by the gate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from aleat.errors import NotPermittedError, RemoteError
from aleat.exchange.misp_places import find_places
from aleat.store.allies import add_agreement
from tests.exchange.http_double import Reply
from tests.exchange.misp_simulator import KEY, Misp, access, running
from tests.exchange.teams import AGREEMENT, START
from tests.knowledge.misp_world import attribute, event, objects, uuid
from tests.web.conftest import NORTH, SOUTH, befriend
from tests.workspace.samples import BAD_ADDRESS, RULE, write_logs

DAY = "1657843200"
STRICT = 'labels = ["amber+strict"]\ndefault_label = "amber+strict"'
DECAY = "[decay]\nhalf_life = 10\nfloor = 50\n\n[release]"
SOUTH_ORG = {"id": "3", "uuid": SOUTH.removeprefix("identity--"), "name": "Team south"}


def theirs(**more: Any) -> dict[str, Any]:
    """An event of south's, with what was seen here and what wasn't."""
    return {
        "id": "1",
        "uuid": uuid(1),
        "info": "The wiper",
        "date": "2022-07-10",
        "timestamp": "1657440000",
        "publish_timestamp": "1657440000",
        "published": True,
        "distribution": "1",
        "orgc_id": "3",
        "Orgc": SOUTH_ORG,
        "Tag": [{"name": "tlp:amber"}],
        "Attribute": [
            attribute(2, "ip-dst", BAD_ADDRESS),
            attribute(3, "domain", "never-seen.example.org"),
            attribute(4, "sigma", RULE),
        ],
        **more,
    }


@pytest.fixture
def misp() -> Iterator[Misp]:
    """South's server, running."""
    there = Misp({uuid(1): theirs()})
    with running(there) as server:
        there.server = server
        yield there


def opened(folder: Path, **more: Any) -> Any:
    """North's workspace in a folder."""
    known = {"actor": "ana", "key_folder": folder / "keys", "clock": lambda: START}
    return Workspace.open(folder / "case", **known) if not more else Workspace.init(folder / "case", **known, **more)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that polled south's server, and holds logs that were hunted through."""
    folder = tmp_path_factory.mktemp("founded")
    with opened(folder, organisation="North", identity=NORTH) as made:
        befriend(made, "south", SOUTH)
        with running(Misp({uuid(1): theirs()})) as server:
            made.poll(access(server), giver="south")
        write_logs(folder / "logs")
        made.add_evidence(folder / "logs")
        made.hunt()
    return folder


@pytest.fixture
def ws(founded: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of it."""
    shutil.copytree(founded, tmp_path / "north")
    with opened(tmp_path / "north") as found:
        yield found


def agree(ws: Workspace, old: str, new: str) -> None:
    """Sign a later version of the agreement."""
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("version = 1", "version = 2").replace(old, new)
    with ws.writing(), ws.write() as connection:
        add_agreement(connection, text.encode(), **ws._signing())


def sight(ws: Workspace, misp: Misp) -> Any:
    assert misp.server is not None
    return ws.push_misp_sightings(access(misp.server), to="south")


def sightings(misp: Misp) -> dict[str, list[tuple[str, str]]]:
    """(type, time) of our sightings, by attribute."""
    rows = {row["uuid"]: row.get("Sighting", ()) for row in misp.attributes()}
    return {key: [(one["type"], one["date_sighting"]) for one in found] for key, found in rows.items() if found}


def test_what_was_seen_is_a_sighting_of_their_attribute(ws: Workspace, misp: Misp) -> None:
    """Of the address and the rule, on the day; of what wasn't seen, MISP can say nothing. Once."""
    done = sight(ws, misp)
    assert (done.issues, done.complete) == ((), True)
    assert sightings(misp) == {uuid(2): [("0", DAY)], uuid(4): [("0", DAY)]}
    assert (done.added, done.unsaid, done.kept, done.refused) == (2, 1, 0, 0)
    first = sight(ws, misp)
    assert (first.added, first.known, first.release) == (0, 2, "")
    assert [len(rows) for rows in sightings(misp).values()] == [1, 1]


def test_what_was_dismissed_is_a_false_positive(ws: Workspace, misp: Misp) -> None:
    """Type 1, when it was last seen; why it was dismissed is nobody's business there."""
    ws.dismiss("6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001", reason="Our own scanner.", where=["EventID=4688"])
    done = sight(ws, misp)
    assert sightings(misp) == {uuid(2): [("0", DAY)], uuid(4): [("1", DAY)]}
    assert b"scanner" not in b"".join(misp.bodies)
    assert done.kept == 0


def test_fewer_events_than_agreed_stay_here(ws: Workspace, misp: Misp) -> None:
    """One visit of the address, two starts of the tool; the agreement's threshold is two."""
    agree(ws, 'granularity = "day"', 'granularity = "day"\nthreshold = 2')
    assert sight(ws, misp).added == 1
    assert sightings(misp) == {uuid(4): [("0", DAY)]}


def test_times_are_as_coarse_as_agreed(ws: Workspace, misp: Misp) -> None:
    """First and last: exactly, where the agreement says so."""
    agree(ws, 'granularity = "day"', 'granularity = "exact"')
    sight(ws, misp)
    assert sightings(misp)[uuid(4)] == [("0", "1657872180"), ("0", "1657872300")]


def test_what_ages_away_by_the_agreement_is_an_expiration(ws: Workspace, misp: Misp) -> None:
    """At the time when it ended for us; what its maker ended is no news to it."""
    agree(ws, "[release]", DECAY)
    sight(ws, misp)
    found = sightings(misp)
    assert {type_ for rows in found.values() for type_, _ in rows} >= {"2"}
    assert sight(ws, misp).added == 0


def test_findings_that_only_one_organisation_may_know_do_not_go(ws: Workspace, misp: Misp) -> None:
    """MISP's sightings bear no label."""
    agree(ws, 'labels = ["clear", "green", "amber"]\ndefault_label = "amber"', STRICT)
    with pytest.raises(NotPermittedError, match="carry no label"):
        sight(ws, misp)
    assert sightings(misp) == {}


def test_what_is_gone_at_the_server_is_named(ws: Workspace, misp: Misp) -> None:
    """A deleted attribute, then a deleted event: their sightings have nowhere to go."""
    misp.events[uuid(1)]["Attribute"][0]["deleted"] = True
    done = sight(ws, misp)
    assert [(issue.code, issue.records) for issue in done.issues] == [("misp-sighting", 1)]
    assert sightings(misp) == {uuid(4): [("0", DAY)]}
    misp.events.clear()
    done = sight(ws, misp)
    assert (done.added, done.refused, done.known) == (0, 1, 1)


@pytest.mark.parametrize("after", [0, 1])
def test_a_push_that_was_cut_off_doubles_none(ws: Workspace, misp: Misp, after: int) -> None:
    """Before the server did it, or after."""
    misp.dies_after = after
    assert not sight(ws, misp).complete
    misp.dies_after = -1
    assert sight(ws, misp).complete
    assert sightings(misp) == {uuid(2): [("0", DAY)], uuid(4): [("0", DAY)]}


def test_another_allys_knowledge_says_nothing_here(ws: Workspace, misp: Misp, tmp_path: Path) -> None:
    """The same address from somebody else's MISP: south learns nothing of that event."""
    event = theirs(uuid=uuid(51), Attribute=[attribute(52, "ip-dst", BAD_ADDRESS)], Orgc={"name": "Else"})
    (tmp_path / "event.json").write_text(json.dumps({"Event": event}))
    ws.add_knowledge(tmp_path / "event.json", giver="identity--44444444-4444-4444-8444-444444444444")
    misp.bodies.clear()
    sight(ws, misp)
    assert uuid(51).encode() not in b"".join(misp.bodies)
    assert uuid(52).encode() not in b"".join(misp.bodies)


def test_places_of_what_was_cut_out_of_an_object() -> None:
    """An object's own indicator, its further parts, and the rules in attributes: each at its attribute's UUID."""
    found = find_places(objects({"Event": event()}))
    told = {item.id: item for item in objects({"Event": event()}) if item.type == "indicator"}
    assert set(found) == set(told)
    rule = next(item for item in told.values() if item.pattern_type == "sigma")
    assert found[rule.id].attribute == uuid(9)
    assert all(place.event == uuid(0) for place in found.values())


BAD = [
    b"<html>",
    b'"x"',
    b"[1]",
    b"[" * 50_000,
    b'{"Sighting"',
    b'{"message": "Could not add the Sighting. Reason: no"}',
]


@pytest.mark.parametrize("where", ["sightings/add", "events/view"])
def test_a_server_that_answers_wrongly_gets_no_more(ws: Workspace, misp: Misp, where: str) -> None:
    """Whatever it answers ends in a promised error or a named one; afterwards each sighting is there once."""
    for body in BAD:
        reply = Reply(200, {}, body)
        misp.wrong = lambda request, reply=reply: reply if request.path.strip("/").startswith(where) else None
        with suppress(RemoteError):
            done = sight(ws, misp)
            assert (done.added, KEY in str(done)) == (0, False)
    misp.wrong = lambda _: None
    sight(ws, misp)
    assert [len(rows) for rows in sightings(misp).values()] == [1, 1]
