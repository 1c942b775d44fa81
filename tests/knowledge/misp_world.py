"""A MISP event of our own that has everything MISP knows, and ways to read and compare events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aleat.errors import Issue
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.readers import misp
from aleat.stix import StixObject
from aleat.stix.extensions import read_extension

__all__ = ["ALLY", "OTHER", "alone", "attribute", "document", "event", "kinds", "objects", "read", "told", "uuid"]


def uuid(number: int) -> str:
    """A UUID of the fixture."""
    return f"0a1eca70-0000-4000-8000-{number:012d}"


ALLY = {"id": "3", "name": "Ally's CERT", "uuid": uuid(900)}
OTHER = {"id": "4", "name": "Another team", "uuid": uuid(901)}
GROUP = {
    "id": "2",
    "name": "Two ministries",
    "releasability": "The two ministries",
    "uuid": uuid(902),
    "SharingGroupOrg": [{"id": "1", "org_id": "3", "extend": False, "Organisation": ALLY}],
}
ACTOR: dict[str, Any] = {
    "id": "1",
    "uuid": uuid(800),
    "name": "Threat Actor",
    "type": "threat-actor",
    "description": "Threat actors.",
    "version": "3",
    "GalaxyCluster": [
        {
            "id": "11",
            "uuid": uuid(801),
            "collection_uuid": uuid(802),
            "type": "threat-actor",
            "value": "Example Bear",
            "tag_name": 'misp-galaxy:threat-actor="Example Bear"',
            "description": "An invented group.",
            "galaxy_id": "1",
            "source": "invented",
            "authors": ["Nobody"],
            "version": "7",
            "meta": {"synonyms": ["EB", "Bear of Examples"], "refs": ["https://example.org/bear"]},
        }
    ],
}
TECHNIQUE: dict[str, Any] = {
    "uuid": uuid(810),
    "name": "Attack Pattern",
    "type": "mitre-attack-pattern",
    "GalaxyCluster": [
        {
            "uuid": uuid(811),
            "type": "mitre-attack-pattern",
            "value": "Invented Technique - T9999",
            "tag_name": 'misp-galaxy:mitre-attack-pattern="Invented Technique - T9999"',
            "description": "",
            "version": "1",
            "meta": {"external_id": ["T9999"], "kill_chain": ["mitre-attack:impact"]},
        }
    ],
}


def attribute(number: int, type_: str, content: str, /, **more: Any) -> dict[str, Any]:
    """An attribute as a server exports it."""
    return {
        "id": str(1000 + number),
        "event_id": "77",
        "object_id": "0",
        "object_relation": None,
        "category": "Network activity",
        "type": type_,
        "to_ids": True,
        "uuid": uuid(number),
        "timestamp": "1657872000",
        "distribution": "5",
        "sharing_group_id": "0",
        "comment": "",
        "deleted": False,
        "disable_correlation": False,
        "first_seen": None,
        "last_seen": None,
        "value": content,
        "Galaxy": [],
        "ShadowAttribute": [],
        **more,
    }


def event(**more: Any) -> dict[str, Any]:
    """The whole event."""
    seen = {
        "id": "9",
        "attribute_id": "1001",
        "event_id": "77",
        "org_id": "4",
        "source": "sensor",
        "Organisation": OTHER,
    }
    proposal = {
        "id": "5",
        "old_id": "1003",
        "event_id": "77",
        "type": "filename",
        "category": "Payload delivery",
        "uuid": uuid(3),
        "to_ids": True,
        "value": "b.exe",
        "org_id": "4",
        "timestamp": "1657875600",
        "Org": OTHER,
    }
    return {
        "id": "77",
        "orgc_id": "3",
        "org_id": "1",
        "date": "2022-07-15",
        "threat_level_id": "1",
        "info": "Wiper at the <b>ministry</b>",
        "published": True,
        "uuid": uuid(0),
        "attribute_count": "9",
        "analysis": "2",
        "timestamp": "1657875600",
        "distribution": "1",
        "proposal_email_lock": False,
        "publish_timestamp": "1657879200",
        "sharing_group_id": "0",
        "extends_uuid": "",
        "Org": {"id": "1", "name": "Us", "uuid": uuid(903)},
        "Orgc": ALLY,
        "x_unknown": {"kept": [1, 2.5, None, {}]},
        "Attribute": [
            attribute(
                1,
                "ip-dst",
                "192.0.2.7",
                first_seen="2022-07-14T06:00:00.000000+00:00",
                last_seen="2022-07-15T06:00:00+00:00",
                Tag=[{"id": "8", "name": "PAP:AMBER", "local": False}],
                Sighting=[
                    {**seen, "uuid": uuid(501), "type": "0", "date_sighting": "1657900000"},
                    {**seen, "uuid": uuid(502), "type": "1", "date_sighting": "1657900001"},
                    {**seen, "uuid": uuid(503), "type": "2", "date_sighting": "1657900002"},
                ],
                Galaxy=[ACTOR],
                warnings=[{"match": "192.0.2.7", "warninglist_id": 3, "warninglist_name": "Test net"}],
            ),
            attribute(2, "domain", "c2.example.org", to_ids=False, comment="seen in a memory image"),
            attribute(
                3,
                "filename",
                "a.exe",
                category="Payload delivery",
                ShadowAttribute=[proposal, {**proposal, "id": "6", "uuid": uuid(31), "proposal_to_delete": True}],
            ),
            attribute(4, "sha256", "ab" * 32, Tag=[{"name": "tlp:red"}], distribution="0"),
            attribute(5, "text", "what somebody thought", to_ids=False, category="Other"),
            attribute(6, "domain", "gone.example.org", deleted=True),
            attribute(7, "malware-sample", "x.bin|" + "0c" * 16, data="UEsDBA==", category="Payload delivery"),
            attribute(8, "ip-dst|port", "192.0.2.8|443", distribution="4", sharing_group_id="2", SharingGroup=GROUP),
            attribute(
                9, "sigma", "title: A\nlogsource:\n  product: windows\ndetection:\n  a:\n    b: c\n  condition: a\n"
            ),
        ],
        "ShadowAttribute": [
            {
                "id": "7",
                "type": "domain",
                "category": "Network activity",
                "value": "more.example.org",
                "uuid": uuid(32),
                "to_ids": True,
                "event_id": "77",
                "org_id": "4",
            }
        ],
        "RelatedEvent": [],
        "Galaxy": [TECHNIQUE],
        "Object": [
            {
                "id": "21",
                "name": "file",
                "meta-category": "file",
                "description": "A file",
                "event_id": "77",
                "template_uuid": "688c46fb-5edb-40a3-8273-1af7923e2215",
                "template_version": "25",
                "uuid": uuid(20),
                "timestamp": "1657872000",
                "distribution": "5",
                "sharing_group_id": "0",
                "comment": "",
                "deleted": False,
                "first_seen": None,
                "last_seen": None,
                "ObjectReference": [
                    {
                        "id": "1",
                        "uuid": uuid(600),
                        "timestamp": "1657872000",
                        "object_id": "21",
                        "event_id": "77",
                        "referenced_id": "22",
                        "referenced_type": "1",
                        "relationship_type": "connects-to",
                        "comment": "at start",
                        "deleted": False,
                        "object_uuid": uuid(20),
                        "referenced_uuid": uuid(23),
                    },
                ],
                "Attribute": [
                    attribute(
                        21,
                        "md5",
                        "0d" * 16,
                        object_id="21",
                        object_relation="md5",
                        category="Payload delivery",
                        Sighting=[{**seen, "uuid": uuid(504), "type": "0", "date_sighting": "1657900003"}],
                    ),
                    attribute(
                        22,
                        "filename",
                        "wiper.exe",
                        object_id="21",
                        object_relation="filename",
                        category="Payload delivery",
                    ),
                ],
            },
            {
                "id": "22",
                "name": "ip-port",
                "meta-category": "network",
                "uuid": uuid(23),
                "event_id": "77",
                "template_uuid": "9f8cea74-16fe-4968-a2b4-026676949ac6",
                "template_version": "9",
                "deleted": False,
                "timestamp": "1657872000",
                "distribution": "5",
                "comment": "",
                "ObjectReference": [],
                "Attribute": [
                    attribute(24, "ip-dst", "192.0.2.9", object_id="22", object_relation="ip"),
                    attribute(25, "port", "8443", object_id="22", object_relation="dst-port"),
                ],
            },
        ],
        "EventReport": [
            {
                "id": "1",
                "uuid": uuid(700),
                "event_id": "77",
                "name": "What happened",
                "content": "# Wiper\n\n<script>x</script>",
                "distribution": "5",
                "sharing_group_id": "0",
                "timestamp": "1657875600",
                "deleted": False,
            },
        ],
        "Tag": [
            {"id": "1", "name": "tlp:amber", "colour": "#FFC000", "exportable": True, "local": False},
            {"id": "2", "name": "PAP:GREEN", "colour": "#339900", "exportable": True},
            {"id": "3", "name": 'osint:lifetime="ephemeral"', "colour": "#0071c3"},
        ],
        "CryptographicKey": [],
        **more,
    }


def document(content: object, name: str = "event.json") -> Document:
    """A file with `content` as JSON, or as bytes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(content: object, limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    """What the reader makes of `content`."""
    found = list(misp.read(document(content), limits or Limits()))
    return [i for i in found if isinstance(i, KnowledgeItem)], [i for i in found if isinstance(i, Issue)]


def objects(content: object) -> list[StixObject]:
    """The objects of an event."""
    return [item.object for item in read(content)[0]]


def kinds(items: list[KnowledgeItem]) -> dict[str, list[KnowledgeItem]]:
    """Items by what they are in MISP; those that aren't MISP's by their STIX type."""
    found: dict[str, list[KnowledgeItem]] = {}
    for item in items:
        kept = read_extension(item.object, "misp") or {}
        found.setdefault(str(kept.get("kind", item.object.type)), []).append(item)
    return found


def told(items: list[KnowledgeItem], number: int) -> KnowledgeItem:
    """The item that keeps the attribute or object with the fixture's UUID `number`."""
    return next(
        item
        for item in items
        if (kept := read_extension(item.object, "misp")) is not None
        and kept["kind"] in {"attribute", "object"}
        and _own_uuid(json.loads(kept["content"])) == uuid(number)
    )


def _own_uuid(value: Mapping[str, Any]) -> str:
    return str(value.get("uuid"))


def alone(*attributes: dict[str, Any], **more: Any) -> tuple[list[KnowledgeItem], list[Issue]]:
    """What the reader makes of an event with these attributes only."""
    body = {"info": "x", "uuid": uuid(0), "date": "2022-07-15", "timestamp": "1657875600", "distribution": "3"}
    return read({"Event": {**body, "Attribute": [*attributes], **more}})
