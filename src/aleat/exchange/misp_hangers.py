"""What hangs on a MISP event or its attributes: sightings, and clusters of galaxies, made of STIX objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aleat.knowledge.misp.kept import load
from aleat.knowledge.misp.mapping import galaxy_of
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import parse_timestamp

__all__ = ["make_galaxy", "make_sighting", "seconds_of", "uuid_of"]

_UNSEEN = frozenset({"not-seen", "not-evaluated"})


def make_sighting(item: StixObject, by_id: Mapping[str, StixObject]) -> dict[str, Any] | None:
    """Return a sighting as MISP's: who, when, and whether it was one; None for "not seen", which MISP can't say."""
    properties = item.properties()
    words = {"false-positive": "1", "expiration": "2"}
    status = (read_extension(item, "finding") or {}).get("status")
    kind = next((words[word] for word in (*item.labels, status) if word in words), "0")
    if status in _UNSEEN or (kind == "0" and properties.get("count") == 0):
        return None
    time = properties.get("last_seen") or properties.get("first_seen") or item.version
    row = {
        "uuid": uuid_of(item.id),
        "type": kind,
        "date_sighting": seconds_of(str(time)),
        "source": (item.description or "")[:250],
    }
    refs = properties.get("where_sighted_refs")
    where = by_id.get(refs[0]) if isinstance(refs, list) and refs and isinstance(refs[0], str) else None
    if where is not None and where.name:
        return row | {"Organisation": {"uuid": uuid_of(where.id), "name": where.name}}
    return row


def make_galaxy(item: StixObject) -> dict[str, Any] | None:
    """Return an object as a galaxy with one cluster, or None where MISP's galaxies have no place for it."""
    kind = galaxy_of(item.type)
    if kind is None or not item.name:
        return None
    properties = item.properties()
    own = read_extension(item, "misp") or {}
    type_ = own["galaxy"] if isinstance(own.get("galaxy"), str) else kind[0]
    kept = load(own.get("content"))
    if isinstance(kept, dict) and kept.get("value") == item.name:
        return {"type": type_, "name": kind[1], "GalaxyCluster": [kept]}
    meta = {"synonyms": properties.get("aliases"), "refs": _links(properties)}
    cluster = {
        "uuid": uuid_of(item.id),
        "type": type_,
        "value": item.name,
        "tag_name": f'misp-galaxy:{type_}="{item.name}"',
        "description": item.description or "",
        "meta": {key: value for key, value in meta.items() if value},
    }
    return {"type": type_, "name": kind[1], "GalaxyCluster": [cluster]}


def _links(properties: Mapping[str, Any]) -> list[str]:
    rows = properties.get("external_references")
    rows = rows if isinstance(rows, list) else []
    return [row["url"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("url"), str)]


def uuid_of(id_: str) -> str:
    """Return the UUID of a STIX id."""
    return id_.rpartition("--")[2].lower()


def seconds_of(timestamp: str) -> str:
    """Return a STIX timestamp as MISP's seconds."""
    return str(int(parse_timestamp(timestamp).timestamp()))
