"""What a marking means is told by who uses it: an ally doesn't loosen what others gave by telling what theirs means."""

from __future__ import annotations

import json

import pytest

from aleat.errors import Place
from aleat.stix.objects import parse_object
from tests.exchange.teams import indicator
from tests.web.conftest import EAST, NORTH, SOUTH, Served

MARKING = "marking-definition--77777777-7777-4777-8777-777777777777"
STATEMENT = {
    "type": "marking-definition",
    "spec_version": "2.1",
    "id": MARKING,
    "created": "2022-09-01T00:00:00.000Z",
    "definition_type": "statement",
    "definition": {"statement": "For everybody"},
}


@pytest.mark.parametrize("giver", [EAST, NORTH])
@pytest.mark.parametrize("by", [None, SOUTH])
def test_an_ally_tells_nothing_of_others_markings(served: Served, giver: str, by: str | None) -> None:
    """What bears a marking that its giver didn't define stays, until the giver, or we, say what it means."""
    content = json.loads(indicator(900, giver, "clear").raw)
    content["object_marking_refs"].append(MARKING)
    item = parse_object(json.dumps(content).encode(), Place("x"))
    served.know(item, giver=giver)
    pushed = STATEMENT | ({"created_by_ref": by} if by else {})
    assert served.push(pushed).json["success_count"] == 1
    assert served.ids(f"match[id]={item.id}") == []
    assert served.ids(f"match[id]={item.id}", who="east") == []
    served.know(parse_object(json.dumps(pushed).encode(), Place("x")), giver=giver)
    assert served.ids(f"match[id]={item.id}") == [item.id]
    assert served.ids(f"match[id]={item.id}", who="east") == [item.id]


def test_an_ally_tells_what_its_own_markings_mean(served: Served) -> None:
    """South's object, under south's marking, goes to east."""
    content = json.loads(indicator(901, SOUTH, "clear").raw)
    content["object_marking_refs"].append(MARKING)
    assert served.push(content, STATEMENT).json["success_count"] == 2
    assert served.ids(f"match[id]={content['id']}", who="east") == [content["id"]]
