"""STIX objects and cases for the attribution's tests: a few actors, what they use, and a case that shows some of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from aleat.case import build_case
from aleat.case.records import Case
from aleat.hunt.indicator import Sighting
from tests.case.simulator import cover, hit, utc

_SPACE = uuid.UUID("6f0b8a0e-5c07-4f0e-8d0f-3f7a5d6c1b11")
HOSTS = tuple(f"H{number}" for number in range(10))


def ident(kind: str, name: str) -> str:
    """A stable STIX id."""
    return f"{kind}--{uuid.uuid5(_SPACE, name)}"


class World:
    """Collects STIX objects by names."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []

    def add(self, kind: str, name: str, giver: str = "Ally", **more: Any) -> str:
        """Add an object and return its id; the giver is its creator."""
        id_ = ident(kind, f"{name}|{giver}")
        creator = ident("identity", giver)
        if not any(one["id"] == creator for one in self.objects):
            self.objects.append({"type": "identity", "id": creator, "name": giver})
        self.objects.append({"type": kind, "id": id_, "name": name, "created_by_ref": creator, **more})
        return id_

    def relate(self, source: str, kind: str, target: str, giver: str = "Ally") -> None:
        """Add a relationship."""
        self.objects.append(
            {
                "type": "relationship",
                "id": ident("relationship", f"{source}{kind}{target}{giver}"),
                "relationship_type": kind,
                "source_ref": source,
                "target_ref": target,
                "created_by_ref": ident("identity", giver),
            }
        )

    def group(
        self,
        name: str,
        sponsor: str = "",
        malware: Sequence[str] = (),
        techniques: Sequence[str] = (),
        giver: str = "Ally",
        aliases: Sequence[str] = (),
    ) -> str:
        """Add a group with its sponsor, malware (with an indicator ``ind-<malware>``) and techniques."""
        id_ = self.add("intrusion-set", name, giver, aliases=list(aliases))
        if sponsor:
            self.relate(id_, "attributed-to", self.add("threat-actor", sponsor, giver), giver)
        for one in malware:
            software = self.add("malware", one, giver)
            self.relate(id_, "uses", software, giver)
            indicator = {"type": "indicator", "id": f"indicator--ind-{one}"}
            if indicator not in self.objects:
                self.objects.append(indicator)
            self.relate(f"indicator--ind-{one}", "indicates", software, giver)
        for one in techniques:
            references = [{"source_name": "mitre-attack", "external_id": one}]
            pattern = self.add("attack-pattern", f"Technique {one}", "MITRE", external_references=references)
            self.relate(id_, "uses", pattern, giver)
        return id_


def crowd(world: World, count: int = 12, techniques: Sequence[str] = ("T1059", "T1105")) -> None:
    """Other groups, each with its own malware and the techniques that everybody uses."""
    for number in range(count):
        world.group(f"Crowd {number}", f"State {number}", [f"crowdware{number}"], techniques)


def case_of(shown: Sequence[str], techniques: Sequence[str] = (), more: Sequence[Sighting] = ()) -> Case:
    """A case with one incident that shows the given malware and techniques."""
    tags = tuple(f"attack.{one.lower()}" for one in techniques)
    sightings = [
        hit(f"ind-{name}", "H1", f"2022-07-15 1{number % 8}:{number:02d}", level="critical", tags=tags, User="eve")
        for number, name in enumerate([*shown, "plain-a", "plain-b"])
    ]
    coverage = cover(HOSTS, "2022-06-01", "2022-08-01")
    return build_case(name="c", reference_time=utc("2022-10-01"), sightings=[*sightings, *more], coverage=coverage)
