"""What objects are called where they are shown, and a team that is no ally: by its identity, unless that takes a name.

Whoever may give us objects may give an identity of any name. One that is called like us, or like an ally, is shown by
its id: nobody is to ask an ally for what isn't the ally's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aleat.release.words import fold
from aleat.stix.objects import StixObject
from aleat.store.database import Connection
from aleat.store.objects import iterate_objects
from aleat.text import clip

__all__ = ["may_be_called", "name_of", "names_of"]

_NAMED = (
    "name", "abstract", "value", "relationship_type", "product", "path", "key", "user_id", "subject", "content",
    "explanation", "opinion",
)  # fmt: skip
_LONGEST = 80  # of what is only the beginning of a text


def name_of(item: StixObject) -> str:
    """Return what an object is called, or what it says first."""
    if item.name:
        return item.name
    if item.type == "relationship":
        return f"{item.source_ref} {item.relationship_type} {item.target_ref}"
    properties = item.properties()
    said = next((str(properties[name]) for name in _NAMED if properties.get(name)), "")
    return clip(" ".join(said.split()), _LONGEST) if item.type in {"note", "opinion"} else said


def names_of(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return what the objects with these ids are called that are here: relations and sightings by what they are of."""
    items = [stored.object for stored in iterate_objects(connection, ids=sorted(set(ids)))]
    refs = {item.id: _ends(item) for item in items}
    names = {item.id: name_of(item) for item in items}
    others = {ref for ends in refs.values() for ref in ends} - names.keys()
    ends = names | {one.object.id: name_of(one.object) for one in iterate_objects(connection, ids=sorted(others))}
    for item in items:
        if refs[item.id]:
            said = [ends.get(ref) or ref for ref in refs[item.id]]
            names[item.id] = f" {item.relationship_type} ".join(said) if item.type == "relationship" else said[0]
    return {id_: name for id_, name in names.items() if name}


def _ends(item: StixObject) -> tuple[str, ...]:
    """Return what a relationship is between, or a sighting of."""
    if item.type == "relationship":
        return tuple(filter(None, (item.source_ref, item.target_ref)))
    of = item.properties().get("sighting_of_ref") if item.type == "sighting" else None
    return (of,) if isinstance(of, str) else ()


def may_be_called(name: str, known: Collection[str]) -> bool:
    """Tell whether a team may be shown by the `name` that an object gives it; `known` are our allies' names and ours.

    >>> may_be_called("CERT\u200b  aleat", ["CERT Aleat"])
    False
    """
    return _plain(name) not in {_plain(one) for one in known}


def _plain(name: str) -> str:
    return " ".join(fold(name).split())
