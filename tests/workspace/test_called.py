"""What objects are called where they are shown."""

from __future__ import annotations

import json

from aleat.errors import Place
from aleat.stix import StixObject, make_object, parse_object
from aleat.store.database import Database
from aleat.store.objects import Provenance, put_objects
from aleat.workspace.called import name_of, names_of
from tests.exchange.teams import START

UUIDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(9)]
GROUP, TOOL, AWAY = f"intrusion-set--{UUIDS[0]}", f"malware--{UUIDS[1]}", f"malware--{UUIDS[2]}"


def made(type_: str, number: int, **properties: object) -> StixObject:
    return make_object(type_, f"{type_}--{UUIDS[number]}", created=START, **properties)


def test_relations_are_called_by_what_they_are_between() -> None:
    """By the id, where that isn't here; a sighting by what was seen, whether that was asked for or not."""
    uses = made("relationship", 3, relationship_type="uses", source_ref=GROUP, target_ref=TOOL)
    drops = made("relationship", 4, relationship_type="drops", source_ref=TOOL, target_ref=AWAY)
    seen = made("sighting", 5, sighting_of_ref=TOOL)
    items = [made("intrusion-set", 0, name="Lynx"), made("malware", 1, name="Tail", is_family=True), uses, drops, seen]
    database = Database("sqlite://")
    database.create_tables()
    with database.write() as connection:
        put_objects(connection, [(item, Provenance(giver="north", received=START)) for item in items])
        found = names_of(connection, [uses.id, drops.id, seen.id, AWAY])
    assert found == {uses.id: "Lynx uses Tail", drops.id: f"Tail drops {AWAY}", seen.id: "Tail"}


def test_a_note_is_called_by_its_beginning() -> None:
    """On one line, and not the whole of it."""
    note = made("note", 6, content="Two lines\n  of it, " + "and more " * 50, object_refs=[TOOL])
    assert name_of(note).startswith("Two lines of it, and more")
    assert len(name_of(note)) <= 80
    value = json.dumps({"type": "url", "spec_version": "2.1", "id": f"url--{UUIDS[7]}", "value": "http://a.example"})
    assert name_of(parse_object(value.encode(), Place("test"))) == "http://a.example"
