"""A playbook leaves to an ally as it came, byte for byte, or stays: by its own markings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aleat.exchange import prepare_release
from aleat.knowledge.playbooks.steps import playbook_bytes
from aleat.stix import StixObject
from tests.exchange.teams import Team
from tests.knowledge.playbooks import playbook, read_playbook, step_id

NORTH = "identity--11111111-1111-4111-8111-111111111111"
SOUTH = "identity--22222222-2222-4222-8222-222222222222"


@pytest.fixture
def teams(tmp_path: Path) -> Iterator[tuple[Team, Team]]:
    """Two teams with an agreement."""
    north, south = Team(tmp_path / "north", "north", NORTH, "IL"), Team(tmp_path / "south", "south", SOUTH, "AL")
    north.befriend(south)
    south.befriend(north)
    yield north, south
    north.close()
    south.close()


def marked(number: int, **marking: Any) -> list[StixObject]:
    """The objects of north's playbook under one marking."""
    key = step_id(marking["type"], 3)
    common = {"id": key, "created_by": NORTH, "created": "2022-07-01T08:00:00.000Z"}
    content = playbook(
        id=step_id("playbook", number),
        name=f"Playbook {number}",
        created_by=NORTH,
        markings=[key],
        data_marking_definitions={key: {**common, **marking}},
    )
    return [item.object for item in read_playbook(json.dumps(content, indent=2).encode())[0]]


def test_a_playbook_leaves_as_its_markings_allow(teams: tuple[Team, Team]) -> None:
    """AMBER leaves by agreement, with the very bytes; RED, a policy and a classification stay."""
    north, _ = teams
    open_one = marked(1, type="marking-tlp", tlpv2_level="TLP:AMBER")
    closed = [
        *marked(2, type="marking-tlp", tlpv2_level="TLP:RED"),
        *marked(3, type="marking-iep", name="P", tlp="CLEAR", iep_version=2),
        *marked(4, type="marking-statement", statement="NATO RESTRICTED"),
    ]
    north.know(*open_one, *closed)
    with north.desk() as desk:
        release = prepare_release(desk, "south")
    leaving = {item.name: item for item in release.objects if item.type == "course-of-action"}
    assert set(leaving) == {"Playbook 1"}
    assert playbook_bytes(leaving["Playbook 1"].properties()) == playbook_bytes(open_one[-1].properties())
    assert leaving["Playbook 1"].raw == open_one[-1].raw
