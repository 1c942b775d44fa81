"""How many objects there are, without reading them."""

from __future__ import annotations

from datetime import UTC, datetime

from aleat.stix.objects import StixObject, make_object
from aleat.store.database import Database
from aleat.store.objects import Provenance, put_objects
from aleat.store.objects_count import count_types

BORN = datetime(2022, 7, 1, tzinfo=UTC)


def made(type_: str, number: int, year: int = 2022) -> StixObject:
    """A version of an object."""
    identifier = f"{type_}--00000000-0000-4000-8000-{number:012d}"
    return make_object(type_, identifier, created=BORN, modified=BORN.replace(year=year), name=f"{type_} {number}")


def test_objects_are_counted_by_type_and_versions_once(database: Database) -> None:
    """The most frequent type first; only what was asked for."""
    items = [made("tool", 1), made("campaign", 1), made("campaign", 2), made("campaign", 2, 2023)]
    with database.write() as connection:
        put_objects(connection, [(item, Provenance(giver="north", received=BORN)) for item in items])
        assert list(count_types(connection).items()) == [("campaign", 2), ("tool", 1)]
        assert count_types(connection, ["tool", "malware"]) == {"tool": 1}
