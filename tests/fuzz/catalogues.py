"""The target "catalogues": MISP galaxies and D3FEND's files, wired at random and damaged; read, indexed, profiled.

An input is a file's name, a line feed, and the file's bytes. What holds of each: a cluster is an object or an issue;
relations lead to what was told; no id has two contents; whatever is suspected says so; twice gives the same.
"""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

from aleat.attribution import profiles
from aleat.errors import InputError, Issue
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.names import read_names
from aleat.knowledge.readers import d3fend, misp_galaxy
from aleat.stix.extensions import read_extension
from aleat.store.objects import Provenance, StoredObject
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.knowledge.test_d3fend import ONTOLOGY, ROWS, sparql, table
from tests.knowledge.test_misp_galaxy import GALAXIES

__all__ = ["CataloguesTarget"]

_ODD: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e308, "", "<script>alert(1)</script>", "\u202e", [], {}, [[]], {"a": None}, "T1486",
    "G0999", "IR", "Iran; Russia", "uses", "11111111-0000-4000-8000-000000000001", "https://[::1", 'x="y"', "d3f:A", 7,
)  # fmt: skip
_TOKENS = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\\u0000",
    "\\ud800",
    '"uuid":',
    '"values":[',
    "1e999",
    '"related":',
)
_WHEN = datetime(2022, 9, 1, tzinfo=UTC)
_TYPES = ("threat-actor", "tool", "rat", "country", "sector", "mitre-attack-pattern", "no-such-galaxy", "malpedia")


class CataloguesTarget:
    """See the module."""

    name = "catalogues"
    limit = 3.0

    def __init__(self) -> None:
        """Load what is loaded when it is first needed: no input's time."""
        for name, content in GALAXIES.items():
            self.check(name.encode() + b"\n" + json.dumps(content).encode())

    def make(self, rng: random.Random) -> bytes:
        """Return a file; most of them damaged in their values, a fifth in their text."""
        name, content = rng.choice([*GALAXIES.items(), ("d3fend.json", ONTOLOGY), ("mappings.json", sparql(ROWS))])
        content = copy.deepcopy(content)
        if "type" in content and rng.random() < 0.4:
            content["type"] = rng.choice(_TYPES)
        for _ in range(rng.randrange(4)):
            _damage(content, rng)
        text = table().decode() if rng.random() < 0.1 else json.dumps(content)
        if rng.random() < 0.2:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "replace")
        return name.encode() + b"\n" + (mutate_bytes(data, rng) if rng.random() < 0.1 else data)

    def check(self, data: bytes) -> None:
        """Read it twice, and make names and profiles of it."""
        name, _, content = data.partition(b"\n")
        found = _read(name.decode("ascii", "replace"), content)
        assert found == _read(name.decode("ascii", "replace"), content), "twice is not the same"
        items = [one.object for one in found if isinstance(one, KnowledgeItem)]
        ids = [item.id for item in items]
        assert len(ids) == len(set(ids)), "an id has two contents"
        for item in items:
            told = read_extension(item, "galaxy") or {}
            if item.relationship_type == "attributed-to":
                assert told.get("suspected") is True, "a suspicion is told as a fact"
            if item.type == "relationship" and told.get("field") != "related":
                assert {item.source_ref, item.target_ref} <= set(ids), "a relation leads nowhere"
        stored = [StoredObject(item, (Provenance(giver="x", received=_WHEN),)) for item in items]
        names = read_names(stored)
        names.mitigations_of(["T1999.001", "T1486"])
        profiles([item.properties() for item in items])


def _read(name: str, content: bytes) -> list[KnowledgeItem | Issue]:
    document = Document(name, name, len(content), content[:8192], lambda: content)
    for reader in (misp_galaxy, d3fend):
        if reader.detect(document):
            try:
                return list(reader.read(document, Limits()))
            except InputError:
                return []
    return []


def _damage(content: Any, rng: random.Random) -> None:
    """Put something odd somewhere, or take something away."""
    place = content
    for _ in range(rng.randrange(8)):
        inner = list(place.values()) if isinstance(place, dict) else place
        deeper = [one for one in inner if isinstance(one, dict | list) and one]
        if not deeper:
            break
        place = rng.choice(deeper)
    if isinstance(place, list):
        place[rng.randrange(len(place))] = copy.deepcopy(rng.choice(_ODD))
    elif place:
        key = rng.choice(sorted(place))
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = copy.deepcopy(rng.choice(_ODD))
