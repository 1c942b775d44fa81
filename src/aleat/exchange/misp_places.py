"""Where in an ally's MISP the indicators came from that it gave us: the event and the attribute, by their UUIDs.

An attribute's own JSON stands with its indicator (extension `misp`). What was cut out of an object, and the rules in an
attribute, are found again by the ids that they were given when the event was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aleat.errors import Issue, Place
from aleat.knowledge.misp.events import VERSION
from aleat.knowledge.misp.fields import flag, identifier, objects_in, text
from aleat.knowledge.misp.kept import load
from aleat.knowledge.misp.rules import read_rule
from aleat.stix.extensions import read_extension
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject

__all__ = ["MispPlace", "find_places"]

_RULES = frozenset({"sigma", "yara"})


@dataclass(frozen=True, slots=True)
class MispPlace:
    """An attribute in an event, both by their UUIDs."""

    event: str
    attribute: str


def find_places(objects: Iterable[StixObject]) -> dict[str, MispPlace]:
    """Return the place of each indicator among `objects`, all that somebody gave, that came from MISP: by its id."""
    given = list(objects)
    indicators = {item.id for item in given if item.type == "indicator"}
    found: dict[str, MispPlace] = {}
    for item in given:
        extension = read_extension(item, "misp")
        if extension is None or extension.get("kind") not in {"attribute", "object"}:
            continue
        event, kept = identifier(extension.get("event")), load(extension.get("content"))
        if not event or not isinstance(kept, Mapping):
            continue
        for id_, attribute in _told_by(item, kept):
            uuid = identifier(attribute.get("uuid"))
            if uuid and id_ in indicators:
                found.setdefault(id_, MispPlace(event, uuid))
    return found


def _told_by(item: StixObject, kept: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (id of an indicator, attribute) for what is told by an attribute's or object's JSON."""
    attributes, _ = objects_in(kept.get("Attribute"))
    if not attributes:
        yield item.id, kept
        yield from _rules_in(kept)
        return
    flagged = [one for one in attributes if flag(one.get("to_ids"))]
    yield item.id, (flagged or attributes)[0]
    for one in flagged:
        yield content_id("indicator", ["misp", VERSION, "part", identifier(one.get("uuid"))]), one
        yield from _rules_in(one)


def _rules_in(attribute: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    language = text(attribute.get("type")).strip()
    if language in _RULES and flag(attribute.get("to_ids")):
        for found in read_rule(language, text(attribute.get("value")).strip(), Place("MISP")):
            if not isinstance(found, Issue):
                yield found.object.id, attribute
