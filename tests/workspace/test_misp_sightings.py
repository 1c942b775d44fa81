"""Findings go back to the MISP that the knowledge came from, as sightings: once, as coarse as agreed, by the gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from tests.exchange.misp_simulator import Misp, access, running
from tests.exchange.teams import START
from tests.knowledge.misp_world import attribute, uuid
from tests.web.conftest import NORTH, SOUTH, befriend
from tests.workspace.samples import BAD_ADDRESS, RULE, write_logs

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


@pytest.fixture
def ws(tmp_path: Path, misp: Misp) -> Iterator[Workspace]:
    """North's workspace: it polled south's server, and holds logs."""
    with Workspace.init(
        tmp_path / "case",
        organisation="North",
        identity=NORTH,
        actor="ana",
        key_folder=tmp_path / "keys",
        clock=lambda: START,
    ) as opened:
        befriend(opened, "south", SOUTH)
        assert misp.server is not None
        opened.poll(access(misp.server), giver="south")
        write_logs(tmp_path / "logs")
        opened.add_evidence(tmp_path / "logs")
        yield opened


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
    assert sightings(misp) == {uuid(2): [("0", "1657843200")], uuid(4): [("0", "1657843200")]}
    assert (done.added, done.unsaid, done.kept, done.refused) == (2, 1, 0, 0)
    first = sight(ws, misp)
    assert (first.added, first.known, first.release) == (0, 2, "")
    assert [len(rows) for rows in sightings(misp).values()] == [1, 1]
