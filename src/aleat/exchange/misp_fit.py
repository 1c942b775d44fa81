"""What of a MISP event goes to another server: MISP's own words for what an event says, and nothing beside them.

An event as a server exports it carries more than itself: its server's numbers, who keeps it there, what it correlates
with (titles of other events), what feeds have it. None of that goes on. References lead only to what is in the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from aleat.knowledge.misp.fields import flag, identifier, objects_in, text
from aleat.stix.ids import content_id

__all__ = ["NO_SERVERS", "PARTS", "digest_of", "fit_event", "head_of", "number_groups", "parts_of", "times_of"]

NO_SERVERS = "2147483647"
"""A number of a sharing group that is no server's: PyMISP wants one beside the group itself."""

PARTS = ("Attribute", "Object", "EventReport")
"""MISP's names of what an event lists, each member with a UUID of its own."""

_WHERE = ("distribution", "SharingGroup", "sharing_group_id")
_HEAD = ("uuid", "info", "date", "timestamp", "threat_level_id", "analysis", *_WHERE)
_ATTRIBUTE = (
    "uuid",
    "object_relation",
    "type",
    "category",
    "value",
    "data",
    "to_ids",
    "comment",
    "timestamp",
    "first_seen",
    "last_seen",
    "disable_correlation",
    "deleted",
    *_WHERE,
)
_OBJECT = (
    "uuid",
    "name",
    "meta-category",
    "description",
    "template_uuid",
    "template_version",
    "timestamp",
    "comment",
    "first_seen",
    "last_seen",
    "deleted",
    *_WHERE,
)
_TIMES = ("date", "timestamp", "first_seen", "last_seen")
_UNDATED = ("1970-01-01", "0")
_REFERENCE = ("uuid", "referenced_uuid", "relationship_type", "comment", "timestamp", "deleted")
_REPORT = ("uuid", "name", "content", "timestamp", "deleted", *_WHERE)
_SIGHTING = ("uuid", "type", "date_sighting", "source")
_CLUSTER = ("uuid", "type", "value", "tag_name", "description", "source", "authors", "version", "meta")


def fit_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `event` (the value of ``Event``) goes to a server: unpublished, and in MISP's own words."""
    there = _uuids(event)
    fitted = _chosen(event, _HEAD) | {"published": False}
    if organisation := _organisation(event.get("Orgc")):
        fitted |= {"Orgc": organisation, "locked": True}  # another's event: only whoever synchronises changes it
    fitted |= _labels(event)
    fitted["Attribute"] = [_attribute(one) for one in objects_in(event.get("Attribute"))[0]]
    fitted["Object"] = [_object(one, there) for one in objects_in(event.get("Object"))[0]]
    fitted["EventReport"] = [_chosen(one, _REPORT) for one in objects_in(event.get("EventReport"))[0]]
    for name in PARTS:
        fitted[name] = [_named(one, text(event.get("uuid"))) for one in fitted[name]]
    return fitted


def _named(member: dict[str, Any], event: str) -> dict[str, Any]:
    """Return a part with a UUID: over what it says, where its maker gave it none."""
    if identifier(member.get("uuid")):
        return member
    return {**member, "uuid": content_id("note", ["misp", event, digest_of(member)]).rpartition("--")[2]}


def head_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event without what it lists."""
    return {name: value for name, value in event.items() if name not in PARTS}


def parts_of(event: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return (MISP's name of the list, member) of what an event lists, by UUID; what has none can't be told apart."""
    return {
        uuid: (name, member)
        for name in PARTS
        for member in objects_in(event.get(name))[0]
        if (uuid := identifier(member.get("uuid")))
    }


def times_of(event: Mapping[str, Any]) -> dict[str, int]:
    """Return when each part of a server's event was last changed there (seconds), by UUID, parts of objects too."""
    found: dict[str, int] = {}
    for uuid, (_, member) in parts_of(event).items():
        found[uuid] = _seconds(member.get("timestamp"))
        for inner in objects_in(member.get("Attribute"))[0]:
            found[identifier(inner.get("uuid"))] = _seconds(inner.get("timestamp"))
    return found


def digest_of(value: Mapping[str, Any]) -> str:
    """Return what tells two contents apart: SHA-256 (hex) of everything but when it was changed."""
    return hashlib.sha256(orjson.dumps(_timeless(value), option=orjson.OPT_SORT_KEYS)).hexdigest()


def number_groups(value: Any, numbers: Mapping[str, str], *, keep: bool = False) -> Any:
    """Return MISP's JSON with a server's own `numbers` of its sharing groups, by UUID; `keep` the groups beside."""
    if isinstance(value, list):
        return [number_groups(item, numbers, keep=keep) for item in value]
    if not isinstance(value, dict):
        return value
    told = {name: number_groups(item, numbers, keep=keep) for name, item in value.items()}
    group = told.get("SharingGroup")
    number = numbers.get(identifier(group.get("uuid"))) if isinstance(group, Mapping) else None
    if number:
        told["sharing_group_id"] = number
        if not keep:
            del told["SharingGroup"]
    return told


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(item) for name, item in value.items() if name != "timestamp"}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    fitted = _chosen(attribute, _ATTRIBUTE) | _labels(attribute)
    sightings = []
    for one in objects_in(attribute.get("Sighting"))[0]:
        organisation = _organisation(one.get("Organisation"))
        sightings.append(_chosen(one, _SIGHTING) | ({"Organisation": organisation} if organisation else {}))
    return fitted | ({"Sighting": sightings} if sightings else {})


def _object(item: Mapping[str, Any], there: frozenset[str]) -> dict[str, Any]:
    fitted = _chosen(item, _OBJECT)
    fitted["Attribute"] = [_attribute(one) for one in objects_in(item.get("Attribute"))[0]]
    references = [
        _chosen(one, _REFERENCE)
        for one in objects_in(item.get("ObjectReference"))[0]
        if identifier(one.get("referenced_uuid")) in there
    ]
    return fitted | ({"ObjectReference": references} if references else {})


def _labels(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags, and the galaxies' clusters with the tags by which MISP holds on to them."""
    names = [text(tag.get("name")).strip() for tag in objects_in(value.get("Tag"))[0] if not flag(tag.get("local"))]
    galaxies = []
    for galaxy in objects_in(value.get("Galaxy"))[0]:
        clusters = [_chosen(one, _CLUSTER) for one in objects_in(galaxy.get("GalaxyCluster"))[0]]
        names += [text(one.get("tag_name")).strip() for one in clusters]
        galaxies.append(_chosen(galaxy, ("uuid", "type", "name", "description")) | {"GalaxyCluster": clusters})
    told: dict[str, Any] = {"Tag": [{"name": name} for name in dict.fromkeys(names) if name]}
    return told | ({"Galaxy": galaxies} if galaxies else {})


def _organisation(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    found = {"uuid": identifier(value.get("uuid")), "name": text(value.get("name")).strip()}
    return {name: item for name, item in found.items() if item}


def _chosen(value: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the named members of `value`; of a sharing group only which one it is, of numbers of servers none."""
    found = {name: value[name] for name in names if value.get(name) is not None and name != "sharing_group_id"}
    for name in _TIMES:
        if text(found.get(name)).startswith(_UNDATED):
            del found[name]  # it says that nobody knows: the server takes its own
    if isinstance(group := found.get("SharingGroup"), Mapping):
        found["SharingGroup"] = {name: group[name] for name in ("uuid", "name") if isinstance(group.get(name), str)}
    return found


def _uuids(event: Mapping[str, Any]) -> frozenset[str]:
    """Return the UUIDs of all that is in an event."""
    inner = [
        identifier(one.get("uuid"))
        for item in objects_in(event.get("Object"))[0]
        for one in objects_in(item.get("Attribute"))[0]
    ]
    return frozenset((*parts_of(event), *inner)) - {""}


def _seconds(value: Any) -> int:
    digits = text(value).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
