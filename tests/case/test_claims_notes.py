"""Claims as STIX objects: they validate, and carry the quote with its speaker inside."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from stix2validator import ValidationOptions, validate_instance

from aleat.case.claims import claim_notes, read_claims
from aleat.stix.extensions import read_extension

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TEXT = (Path(__file__).parent / "claims" / "wire_two_attacks.txt").read_text("utf-8")


def test_every_claim_is_a_note_with_its_quote_and_its_speaker_inside() -> None:
    result = read_claims(TEXT, "article.txt", reference_time=NOW)
    notes = {item.id: item for item in claim_notes(result.claims, result.alleged, created=NOW) if item.type == "note"}
    assert set(notes) == {claim.id for claim in result.claims}
    for claim in result.claims:
        content = read_extension(notes[claim.id], "claim")
        assert content is not None
        assert content["speaker"] == claim.speaker
        assert json.loads(notes[claim.id].raw)["content"] == claim.quote


def test_alleged_incidents_are_labelled_so() -> None:
    result = read_claims(TEXT, "article.txt", reference_time=NOW)
    incidents = [i for i in claim_notes(result.claims, result.alleged, created=NOW) if i.type == "incident"]
    assert len(incidents) == len(result.alleged) == 2
    assert all(item.labels == ("alleged",) for item in incidents)


def test_the_objects_pass_the_validator() -> None:
    """Strict, with check 103 (UUIDv4) off, as the design says."""
    result = read_claims(TEXT, "article.txt", reference_time=NOW)
    options = ValidationOptions(version="2.1", strict=True, disabled="103")
    for item in claim_notes(result.claims, result.alleged, created=NOW):
        report = validate_instance(json.loads(item.raw), options)
        assert report.is_valid, [str(error) for error in report.errors]
