"""The markings of a playbook as STIX marking definitions: never lost, never weakened.

TLP 2.0 becomes the published definition, and counts by its fixed id even where the playbook doesn't define it. A
statement becomes a STIX statement. What STIX has no type for (FIRST's Information Exchange Policy, a TLP level that
isn't one) becomes a marking of its own with everything that it says, which counts as unknown: what bears it leaves
nobody's hands by itself. Any other marking that the playbook bears and doesn't define, or a list of markings that
can't be read, counts as unknown too. A marking that is revoked, or whose time is over, still holds: nobody but its
author can say what else goes.

Specification: CACAO 2.0 §9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aleat.errors import TrustError
from aleat.knowledge.items import UNDATED
from aleat.knowledge.playbooks.flow import mapping_of
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import is_timestamp, parse_timestamp
from aleat.trust.markings import known_marking_ids, marking_id, read_marking

__all__ = ["PlaybookMarkings", "published_label", "read_playbook_markings"]

_LEVELS = ("tlpv2_level", "tlp_level", "tlp")
_NAME = 200
_TEXT = 10_000


class PlaybookMarkings(msgspec.Struct, frozen=True):
    """Ids of all markings of a playbook, sorted, and the definitions of those that are not published ones."""

    ids: tuple[str, ...]
    definitions: tuple[StixObject, ...]


def read_playbook_markings(content: Mapping[str, Any]) -> PlaybookMarkings:
    """Return what marks a playbook; it never has fewer markings than the playbook lists."""
    if "markings" not in content:
        return PlaybookMarkings((), ())
    listed = content["markings"]
    known = mapping_of(content, "data_marking_definitions")
    ids: set[str] = set()
    made: dict[str, StixObject] = {}
    for key in listed if isinstance(listed, list) else [str(listed)[:_NAME]]:
        name = key if isinstance(key, str) else str(key)[:_NAME]
        definition = known.get(name)
        found = _read(definition) if isinstance(definition, dict) else None
        published = published_label(name)
        if published is not None:  # its meaning is fixed, whatever else a definition under its id says
            ids.add(published)
        elif found is None:
            ids.add(content_id("marking-definition", ["playbook marking", name]))
        ids |= (found or {}).keys()
        made |= {id_: item for id_, item in (found or {}).items() if item is not None}
    return PlaybookMarkings(tuple(sorted(ids)), tuple(made[id_] for id_ in sorted(made)))


def published_label(name: str) -> str | None:
    """Return the id of the TLP 2.0 label that a playbook's marking `name` is by its own id; None where it is none.

    CACAO fixes these ids (§9.4), with the UUIDs of STIX's: one says its level even where its definition is missing.

    >>> published_label("marking-tlp--bab4a63c-aed9-4cf5-a766-dfca5abac2bb")
    'marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb'
    """
    if not name.startswith("marking-tlp--"):
        return None
    id_ = name.replace("marking-tlp--", "marking-definition--", 1)
    if id_ not in known_marking_ids():
        return None
    marking = read_marking(id_, None)
    return id_ if (marking.kind, marking.version) == ("tlp", "2.0") else None


def _read(definition: Mapping[str, Any]) -> dict[str, StixObject | None] | None:
    """Return what one marking says: definitions by id (None: a published one); None where it can't be read."""
    levels = [definition[name] for name in _LEVELS if isinstance(definition.get(name), str)]
    statement = definition.get("statement")
    kind = str(definition.get("type", "")).removeprefix("marking-")
    found: dict[str, StixObject | None] = {_level(level): None for level in levels}
    if kind not in {"tlp", "statement", "iep"} or (kind == "tlp" and not levels):
        found[content_id("marking-definition", ["playbook marking", "kind", kind[:_NAME]])] = None
    if isinstance(statement, str) and statement.strip():
        item = _statement(statement, definition)
        found[item.id] = item
    if kind == "iep" or "iep_version" in definition:
        item = _policy(definition)
        found[item.id] = item
    return found or None


def _level(text: str) -> str:
    """Return the id of a TLP label, or one that nobody knows where it is none."""
    word = text.strip().casefold()
    try:
        return marking_id(word if word.startswith("tlp:") else f"tlp:{word}")
    except TrustError:
        return content_id("marking-definition", ["playbook marking", text[:_NAME]])


def _statement(text: str, definition: Mapping[str, Any]) -> StixObject:
    shown = text[:_TEXT]
    return make_object(
        "marking-definition",
        content_id("marking-definition", ["statement", shown]),
        created=UNDATED,
        definition_type="statement",
        definition={"statement": shown},
    )


def _policy(definition: Mapping[str, Any]) -> StixObject:
    """Return a marking that holds an Information Exchange Policy as it stands."""
    created = definition.get("created")
    policy = {key: value for key, value in definition.items() if value not in (None, [], {}, "")}
    return make_object(
        "marking-definition",
        content_id("marking-definition", ["iep", policy]),
        created=parse_timestamp(created) if isinstance(created, str) and is_timestamp(created) else UNDATED,
        name=f"IEP: {str(definition.get('name', ''))[:_NAME]}".strip(),
        extensions=extend("policy", {"scheme": "iep", "policy": policy}),
    )
