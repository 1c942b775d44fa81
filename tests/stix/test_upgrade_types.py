"""STIX 2.0 told as 2.1, type by type: nothing lost, and what others say of the result, with the exceptions' reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stix2

from aleat.errors import Place
from aleat.stix import StixObject, parse_object
from tests.stix.strict import strict_errors

TIME = "2018-02-03T08:00:00.000Z"
UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
IDENTITY = f"identity--{UUID}"
MARKING = f"marking-definition--{UUID}"
REFERENCE = {"source_name": "report", "description": "a page", "external_id": "7"}
COMMON = {"created": TIME, "modified": TIME, "created_by_ref": IDENTITY, "object_marking_refs": [MARKING]}
CVE = {"source_name": "cve", "external_id": "CVE-2018-0001"}
PHASES = [{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "delivery"}]


def old(type_: str, **properties: Any) -> dict[str, Any]:
    """An object of STIX 2.0: without `spec_version`."""
    return {"type": type_, "id": f"{type_}--{UUID}", **COMMON, **properties}


OBJECTS: list[dict[str, Any]] = [
    old("attack-pattern", name="Lure", kill_chain_phases=PHASES, external_references=[REFERENCE]),
    old("campaign", name="Green", aliases=["Verde"], first_seen=TIME, objective="money", revoked=True),
    old("course-of-action", name="Close the port", description="At once."),
    old("identity", name="Team South", identity_class="organization", sectors=["government-national"], labels=["CERT"]),
    old("indicator", name="A", description="B", labels=["benign"], pattern="[file:name = 'a']", valid_from=TIME),
    old("intrusion-set", name="Heron", aliases=["QH"], goals=["access"], resource_level="club", labels=["kept"]),
    old("malware", name="Plum", labels=["remote-access-trojan"], kill_chain_phases=PHASES),
    old("observed-data", first_observed=TIME, last_observed=TIME, number_observed=2, objects={
        "0": {"type": "network-traffic", "src_ref": "1", "dst_ref": "2", "protocols": ["ipv4", "tcp"], "dst_port": 443},
        "1": {"type": "ipv4-addr", "value": "192.0.2.7"},
        "2": {"type": "ipv4-addr", "value": "198.51.100.7"},
    }),
    old("report", name="On Heron", labels=["threat-report"], published=TIME, object_refs=[f"malware--{UUID}"]),
    old("threat-actor", name="Heron", labels=["nation-state"], roles=["agent"], sophistication="expert"),
    old("tool", name="pear", labels=["remote-access"], tool_version="1.0"),
    old("vulnerability", name="CVE-2018-0001", external_references=[CVE]),
    old("relationship", relationship_type="uses", source_ref=f"threat-actor--{UUID}", target_ref=f"malware--{UUID}"),
    old("sighting", sighting_of_ref=f"indicator--{UUID}", count=3, where_sighted_refs=[IDENTITY], summary=False),
    {"type": "marking-definition", "id": MARKING, "created": TIME, "created_by_ref": IDENTITY,
     "definition_type": "statement", "definition": {"statement": "Copyright 2018, Example"}},
]  # fmt: skip

ODD: dict[str, dict[str, Any]] = {
    "a custom object": old("x-example-thing", colour="green", x_parts=[{"of": {"many": [1, 2.5, None]}}]),
    "custom properties": old("campaign", name="Green", x_example_score=7, x_example_notes={"ë": ["ü"]}),
    "granular markings": old(
        "campaign", name="Green", description="Secret part.",
        granular_markings=[{"marking_ref": MARKING, "selectors": ["description"]}],
    ),
    "revoked": old("indicator", labels=["benign"], pattern="[url:value = 'x']", valid_from=TIME, revoked=True),
    "labels beyond the vocabulary": old("malware", name="M", labels=["ransomware", "our own word"]),
    "types beside labels": old("malware", name="M", labels=["worm"], malware_types=["bot"], is_family=False),
    "a version of its own": old("campaign", name="Green") | {"spec_version": "2.0"},
}  # fmt: skip

EXCEPTIONS: dict[str, tuple[str, str]] = {
    # the type: what the validator says of the upgraded object, and why it stays as it is
    "identity": ("labels", "labels stay beside roles, so that nothing is lost"),
}


def upgrade(properties: dict[str, Any]) -> StixObject:
    return parse_object(json.dumps(properties).encode(), Place("old.json"))


@pytest.mark.filterwarnings("ignore:The 'objects' property of observed-data is deprecated")
@pytest.mark.parametrize("properties", OBJECTS, ids=lambda item: str(item["type"]))
def test_every_type_is_sound_2_0_and_its_upgrade_sound_2_1_with_all_that_it_said(properties: dict[str, Any]) -> None:
    """The `stix2` library reads one as 2.0, the other as 2.1; the validator agrees, or says why not."""
    stix2.parse(json.loads(json.dumps(properties)), version="2.0")
    item = upgrade(properties)
    told = item.properties()
    assert {key: told[key] for key in properties} == properties
    assert item.spec_version == "2.0"
    assert json.loads(item.raw) == properties
    if (
        item.type == "observed-data"
    ):  # stix2 reads no references within a container (§2.13); the validator wants ids there
        with pytest.raises(stix2.exceptions.InvalidValueError, match="not a valid STIX identifier"):
            stix2.parse(json.loads(item.content), version="2.1")
        return
    stix2.parse(json.loads(item.content), version="2.1")
    about, _reason = EXCEPTIONS.get(item.type, ("", ""))
    assert [error for error in strict_errors(item) if not about or about not in error] == []


@pytest.mark.parametrize("case", ODD)
def test_nothing_of_what_is_odd_is_lost(case: str) -> None:
    """Custom types and properties, markings on parts, words outside of the vocabularies: all stand as they were."""
    item = upgrade(ODD[case])
    told = item.properties()
    assert {key: told[key] for key in ODD[case] if key != "spec_version"} == {
        key: value for key, value in ODD[case].items() if key != "spec_version"
    }
    assert told["spec_version"] == "2.1"
    assert item.raw == json.dumps(ODD[case]).encode()


def test_labels_become_types_unless_the_types_are_there() -> None:
    """What somebody says in the newer word counts."""
    assert upgrade(ODD["labels beyond the vocabulary"]).properties()["malware_types"] == ["ransomware", "our own word"]
    told = upgrade(ODD["types beside labels"]).properties()
    assert (told["malware_types"], told["is_family"]) == (["bot"], False)
    assert upgrade(OBJECTS[3]).properties()["roles"] == ["CERT"]


def test_markings_on_parts_and_revocation_are_read_from_the_upgraded_object() -> None:
    """They block and end as those of STIX 2.1 do."""
    (part,) = upgrade(ODD["granular markings"]).granular_markings
    assert (part.marking_ref, part.selectors) == (MARKING, ("description",))
    assert upgrade(ODD["revoked"]).revoked


def test_an_observable_of_an_extension_is_2_1() -> None:
    """It has no time of its own, which every object of STIX 2.0 has."""
    custom = {"type": "example-observable", "id": f"example-observable--{UUID}", "value": "x"}
    assert upgrade(custom).upgraded is None
    assert upgrade({"type": "campaign", "id": f"campaign--{UUID}", "name": "C"}).spec_version == "2.0"
