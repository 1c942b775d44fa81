"""Round trips: every object of the specification's examples, and ATT&CK's bundles, come out as they went in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aleat.errors import ObjectError, Place
from aleat.stix import StixObject, make_bundle, parse_bundle, parse_object
from aleat.stix.canonical import canonical_json_text
from aleat.store.database import Database
from aleat.store.objects import Provenance, get_variants, put_objects

_FENCE = re.compile(r"^[ >]*```[^\n]*\n(.*?)^[ >]*```", re.DOTALL | re.MULTILINE)
_WHEN = datetime(2022, 9, 1, tzinfo=UTC)

REFUSED = {
    # The specification's slip: one hyphen between type and UUID, where §2.9 wants two.
    "file-1389b98d-a3d3-5190-a996-716fd444059a": "The id of this 'file' is not of the form type--UUID.",
}
"""Examples that are no STIX objects as they stand: their ids, and why."""


def values(text: str) -> Iterator[str]:
    """Yield the text of each JSON object that stands complete in an example (fragments with ``...`` are none)."""
    decoder = json.JSONDecoder()
    position = 0
    while (start := text.find("{", position)) >= 0:
        try:
            _, position = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            position = start + 1
            continue
        yield text[start:position]


def examples(specification: Path) -> list[bytes]:
    """Return the text of every object in the examples: alone, in a bundle, or after another."""
    found: list[bytes] = []
    for fence in _FENCE.finditer(specification.read_text(encoding="utf-8")):
        for text in values(fence[1]):
            content = json.loads(text)
            inner = content.get("objects")
            if content.get("type") == "bundle" and isinstance(inner, list):
                found += [json.dumps(one).encode() for one in inner]
            elif isinstance(content.get("type"), str) and isinstance(content.get("id"), str):
                found.append(text.encode())
    return found


def through_the_store(items: list[StixObject], folder: Path) -> set[str]:
    """Put objects in a store, and return the digests of what comes out."""
    database = Database.at(folder / "store.db")
    database.create_tables()
    with database.write() as connection:
        put_objects(connection, [(item, Provenance(giver="them", received=_WHEN)) for item in items])
    with database.read() as connection:
        ids = sorted({item.id for item in items})
        found = {variant.object.digest for id_ in ids for variant in get_variants(connection, id_)}
    database.close()
    return found


@pytest.mark.data
def test_every_object_of_the_examples_goes_in_and_comes_out_as_it_was_given(test_data: Path, tmp_path: Path) -> None:
    """Byte for byte, through a bundle and through a store; what is refused has its reason here."""
    given = examples(test_data / "specs" / "stix-v2.1.md")
    items: list[StixObject] = []
    refused: dict[str, str] = {}
    for raw in given:
        try:
            item = parse_object(raw, Place("stix-v2.1.md"))
        except ObjectError as error:
            refused[json.loads(raw)["id"]] = error.reason
            continue
        assert item.raw == raw
        items.append(item)
    assert refused == REFUSED
    assert len(items) > 150
    again = parse_bundle(make_bundle(items), "again.json").objects
    assert [canonical_json_text(item.raw) for item in again] == [canonical_json_text(item.content) for item in items]
    assert through_the_store(items, tmp_path) == {item.digest for item in items}


@pytest.mark.data
@pytest.mark.long
@pytest.mark.parametrize("domain", ["enterprise", "ics", "mobile"])
def test_attacks_bundles_come_out_as_they_went_in_and_upgraded_with_nothing_lost(test_data: Path, domain: str) -> None:
    """STIX 2.0: every property of the original stands in the upgraded form, as it was."""
    data = (test_data / "attack" / f"{domain}-attack.json").read_bytes()
    given = json.loads(data)["objects"]
    bundle = parse_bundle(data, "attack.json")
    assert not bundle.issues
    assert len(bundle.objects) == len(given)
    for item, original in zip(bundle.objects, given, strict=True):
        assert json.loads(item.raw) == original
        assert item.digest == hashlib.sha256(canonical_json_text(item.raw)).hexdigest()
        told = item.properties()
        assert {key: told.get(key) for key in original if key != "spec_version"} == {
            key: value for key, value in original.items() if key != "spec_version"
        }
        assert told["spec_version"] == "2.1"
