"""The case as a STIX 2.1 bundle."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from aleat.report import case_bundle, case_objects
from aleat.stix.ids import random_id
from aleat.trust.markings import marking_id
from tests.report.cases import full_report

stix2validator = pytest.importorskip("stix2validator")

IDENTITY = random_id("identity")
INDICATOR = random_id("indicator")


def report_with_refs():  # type: ignore[no-untyped-def]
    """The full case, with sightings that refer to an indicator of the store."""
    report = full_report()
    sightings = tuple(msgspec.structs.replace(sighting, ref=INDICATOR) for sighting in report.case.sightings)
    return msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, sightings=sightings))


def test_each_object_passes_strict_validation() -> None:
    """Strict mode, with check 103 off: it wants UUIDv4, where STIX 2.1 §2.9 says SHOULD."""
    options = stix2validator.ValidationOptions(strict=True, disabled="103", version="2.1")
    objects = case_objects(report_with_refs(), identity=IDENTITY, markings=[marking_id("tlp:amber")])
    kinds = {item.type for item in objects}
    assert {"incident", "campaign", "sighting", "note", "grouping", "relationship", "identity"} <= kinds
    for item in objects:
        result = stix2validator.validate_instance(orjson.loads(item.raw), options)
        assert result.is_valid, [str(error) for error in result.errors]


def test_ours_carry_the_marking() -> None:
    """Everything that says something of the case carries the label; definitions of the project's need none."""
    marking = marking_id("tlp:amber")
    for item in case_objects(report_with_refs(), identity=IDENTITY, markings=[marking]):
        if item.created_by_ref == IDENTITY:
            assert marking in item.object_marking_refs


def test_same_case_same_bytes() -> None:
    """Ids follow from content, times from the case."""
    one, two = (case_bundle(report_with_refs(), identity=IDENTITY) for _ in range(2))
    assert one == two
