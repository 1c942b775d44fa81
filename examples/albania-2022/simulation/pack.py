"""The ally's pack: a STIX 2.1 bundle under mixed markings and originators, Sigma rules, a list, prose, a playbook.

It depends on no seed: ids are made from the objects' keys (version 4 in form), dates stand in this file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import orjson

from .intruder import tool_hash
from .world import DATA, table

GIVEN = "2022-10-03T08:00:00.000Z"
_TIMES = {"ally": "2022-08-18T09:30:00.000Z", "third": "2022-06-02T11:00:00.000Z"}
_MADE_UP = (
    "Invented for the simulation: the value is from a documentation range, a reserved domain, or made by a generator."
)
_VALID_FROM = "2021-04-01T00:00:00Z"
_TLP2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
# TLP 2.0 as published by FIRST and OASIS: https://docs.oasis-open.org/cti/stix-best-practices (marking definitions)
_TLP = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}


def stix_id(kind: str, key: str) -> str:
    """Return the id of one of the pack's objects."""
    digest = bytearray(hashlib.sha256(f"albania-2022 pack {kind} {key}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{kind}--{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Bundle:
    """Collects the pack's objects."""

    def __init__(self) -> None:
        """Begin with the markings."""
        self.data = table("pack")
        self.ids: dict[str, str] = {}
        self.labels: dict[str, tuple[str, str]] = {}
        self.statement = stix_id("marking-definition", "statement")
        self.objects: list[dict[str, Any]] = [self._tlp(name) for name in _TLP] + [self._statement()]

    def _tlp(self, name: str) -> dict[str, Any]:
        return {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": _TLP[name],
            "created": "2022-10-01T00:00:00.000Z",
            "name": f"TLP:{name.upper()}",
            "extensions": {_TLP2: {"extension_type": "property-extension", "tlp_2_0": name}},
        }

    def _statement(self) -> dict[str, Any]:
        text = "Simulation: written for the Aleat example albania-2022; nothing here is intelligence."
        return {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": self.statement,
            "created_by_ref": stix_id("identity", "ally"),
            "created": "2022-08-01T08:00:00.000Z",
            "definition_type": "statement",
            "definition": {"statement": text},
        }

    def add(self, kind: str, row: dict[str, Any], **properties: Any) -> None:
        """Add an object under its row's originator and label."""
        identity = stix_id(kind, row["key"])
        created = _TIMES[row["by"]]
        references = [self._reference(name) for name in row.get("refs", ())]
        made = {
            "type": kind,
            "spec_version": "2.1",
            "id": identity,
            "created_by_ref": stix_id("identity", row["by"]),
            "created": created,
            "modified": created,
            **properties,
            "object_marking_refs": [_TLP[row["tlp"]], *([self.statement] if row["by"] == "ally" else [])],
        }
        if references:
            made["external_references"] = references
        if row["key"] in ("ally", "third"):
            del made["created_by_ref"]
        self.ids[row["key"]] = identity
        self.labels[identity] = (row["by"], row["tlp"])
        self.objects.append(made)

    def _reference(self, name: str) -> dict[str, str]:
        known = self.data["references"].get(name)
        if known:
            return dict(known)
        return {"source_name": "mitre-attack", "external_id": name}

    def relate(self, source: str, kind: str, target: str, by: str = "ally", tlp: str = "", **properties: Any) -> None:
        """Add a relationship; by default under the stricter label of its ends."""
        order = list(_TLP)
        label = tlp or max((self.labels[self.ids[key]][1] for key in (source, target)), key=order.index)
        row = {"key": f"{source} {kind} {target}", "by": by, "tlp": label}
        self.add(
            "relationship",
            row,
            relationship_type=kind,
            source_ref=self.ids[source],
            target_ref=self.ids[target],
            **properties,
        )


def _said(row: dict[str, Any]) -> dict[str, str]:
    return {"description": row["description"]} if "description" in row else {}


def _actors(bundle: Bundle) -> None:
    data = bundle.data
    for row in data["identities"]:
        bundle.add("identity", row, name=row["name"], identity_class=row["class"], sectors=row["sectors"], **_said(row))
    for row in data["locations"]:
        bundle.add("location", row, name=row["name"], country=row["country"])
    for row in data["threat_actors"]:
        bundle.add(
            "threat-actor",
            row,
            name=row["name"],
            threat_actor_types=row["types"],
            resource_level=row["resource"],
            primary_motivation=row["motivation"],
            **_said(row),
        )
    for row in data["intrusion_sets"]:
        aliases = {"aliases": row["aliases"]} if "aliases" in row else {}
        bundle.add("intrusion-set", row, name=row["name"], first_seen=row["first"], **aliases, **_said(row))
    for row in data["intrusion_sets"]:
        bundle.relate(row["key"], "attributed-to", row["sponsor"], confidence=row["confidence"])


def _means(bundle: Bundle) -> None:
    data = bundle.data
    for row in [*data["malware"], data["third_party"]["malware"]]:
        aliases = {"aliases": row["aliases"]} if "aliases" in row else {}
        bundle.add(
            "malware", row, name=row["name"], is_family=True, malware_types=row["types"], **aliases, **_said(row)
        )
    for row in data["tools"]:
        bundle.add("tool", row, name=row["name"], tool_types=row["types"], **_said(row))
    for number, name in data["techniques"]:
        bundle.add("attack-pattern", {"key": number, "by": "ally", "tlp": "clear", "refs": [number]}, name=name)
    third = data["third_party"]
    row = third["intrusion_set"]
    bundle.add("intrusion-set", row, name=row["name"], first_seen=row["first"], **_said(row))
    row = third["note"]
    bundle.add("note", row, abstract=row["abstract"], content=row["content"], object_refs=[bundle.ids[row["about"]]])
    for kind in ("uses", "targets"):
        for source, ends in data[kind].items():
            for end in ends:
                bundle.relate(source, kind, end)


def _indicators(bundle: Bundle) -> None:
    data = bundle.data
    for row in data["indicators"]:
        pattern = row.get("pattern") or f"[file:hashes.'SHA-256' = '{tool_hash(row['tool'])}']"
        bundle.add(
            "indicator",
            row,
            name=row["name"],
            description=row.get("description", _MADE_UP),
            indicator_types=[row["type"]],
            pattern=pattern,
            pattern_type="stix",
            pattern_version="2.1",
            valid_from=_VALID_FROM,
            confidence=row["confidence"],
        )
        bundle.relate(row["key"], "indicates", row["indicates"], row["by"], row["tlp"] if row["by"] == "third" else "")
    for row in data["relations"]:
        bundle.relate(row["from"], row["type"], row["to"], row["by"], row["tlp"], **_said(row))


def _campaign(bundle: Bundle) -> None:
    row = {"key": "campaign", "by": "ally", "tlp": "clear", "refs": ["attack", "cisa", "mandiant"]}
    bundle.add(
        "campaign",
        row,
        name="HomeLand Justice (as publicly reported)",
        first_seen="2021-05-01T00:00:00Z",
        last_seen="2022-09-10T00:00:00Z",
        description="The campaign that ATT&CK describes as C0038: first access in May 2021, destruction in July 2022, "
        "a second attack in September 2022.",
    )
    for key in ("homeland-access", "homeland-destruction"):
        bundle.relate("campaign", "attributed-to", key)
    everything = [
        bundle.ids[key] for key in ("campaign", "homeland-access", "roadsweep", "t-red-set", "t-amber-malware")
    ]
    row = {"key": "report", "by": "ally", "tlp": "clear", "refs": ["cisa"]}
    bundle.add(
        "report",
        row,
        name="Aid pack for the attacked government (simulation)",
        report_types=["campaign"],
        published=GIVEN,
        object_refs=everything,
        description="What the ally holds on the campaign. Some of what it refers to is a third party's.",
    )


def stix_objects() -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Return the pack's objects, and the ids of the third party's by label."""
    bundle = Bundle()
    _actors(bundle)
    _means(bundle)
    _indicators(bundle)
    _campaign(bundle)
    theirs = {
        label: sorted(identity for identity, (by, tlp) in bundle.labels.items() if by == "third" and tlp == label)
        for label in ("amber", "red")
    }
    return bundle.objects, theirs


def list_rows() -> list[list[str]]:
    """Return the rows of the ally's list, with hashes filled in."""
    return [
        [tool_hash(value[1:], kind) if value.startswith("@") else value, kind, comment, tlp]
        for value, kind, comment, tlp in table("pack")["list"]
    ]


def write_pack(folder: Path) -> dict[str, Any]:
    """Write the pack; return the canaries: ids and texts of the third party's AMBER and RED."""
    folder.mkdir(parents=True, exist_ok=True)
    objects, theirs = stix_objects()
    bundle = {"type": "bundle", "id": stix_id("bundle", "pack"), "objects": objects}
    (folder / "bundle.json").write_bytes(orjson.dumps(bundle, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["value", "type", "comment", "tlp"])
    writer.writerows(list_rows())
    (folder / "indicators.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    (folder / "sigma").mkdir(exist_ok=True)
    for rule in sorted((DATA / "sigma").glob("*.yml")):
        shutil.copyfile(rule, folder / "sigma" / rule.name)
    shutil.copyfile(DATA / "playbook.json", folder / "playbook.json")
    advisory = (DATA / "advisory.md").read_text(encoding="utf-8")
    for tool in table("tools"):
        advisory = advisory.replace("{" + tool + "}", tool_hash(tool))
    (folder / "advisory.md").write_text(advisory, encoding="utf-8", newline="")
    canaries = table("pack")["canaries"]
    return {label: {"ids": theirs[label], "texts": canaries[label]} for label in ("amber", "red")}
