"""Claims as STIX: a note for each, with the extension ``claim``; an incident, labelled "alleged", for each allegation.

A note's content is the exact quote and its authors the speaker; it refers to the document it stands in (a file
object) and to the alleged incidents it speaks of. The speaker is inside the extension and no identity of its
own: that somebody is quoted is no knowledge about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from aleat.case.records import AllegedIncident, Claim
from aleat.stix.extensions import extend
from aleat.stix.ids import observable_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import format_timestamp

__all__ = ["claim_notes"]

_TEXTS = ("speaker_text", "speaker_party", "target", "target_party", "about", "attributed_to", "date_text")


def claim_notes(
    claims: Sequence[Claim], alleged: Sequence[AllegedIncident], *, created: datetime
) -> tuple[StixObject, ...]:
    """Return the STIX objects of claims and alleged incidents; `created` (aware) is the time of reading.

    The extension's definition is not among them: see `aleat.stix.extensions.extension_definition`.
    """
    documents = {claim.document: _document(claim.document) for claim in claims}
    incidents = [_incident(row, created) for row in alleged]
    linked: dict[str, list[str]] = {}
    for row in alleged:
        for claim_id in row.claims:
            linked.setdefault(claim_id, []).append(row.id)
    notes = [_note(claim, documents[claim.document].id, linked.get(claim.id, ()), created) for claim in claims]
    return (*documents.values(), *incidents, *notes)


def _document(name: str) -> StixObject:
    short = name.replace("\\", "/").rpartition("/")[2] or name
    return make_object("file", observable_id("file", {"name": short}), name=short)


def _incident(row: AllegedIncident, created: datetime) -> StixObject:
    return make_object(
        "incident",
        row.id,
        created=created,
        modified=created,
        name=row.what or row.victim or "alleged incident",
        description=row.quote,
        labels=["alleged"],
    )


def _note(claim: Claim, document: str, incidents: Iterable[str], created: datetime) -> StixObject:
    content: dict[str, Any] = {"act": claim.act, "speaker": claim.speaker}
    content |= {name: getattr(claim, name) for name in _TEXTS if getattr(claim, name)}
    if claim.date_from is not None and claim.date_to is not None:
        content |= {"date_from": format_timestamp(claim.date_from), "date_to": format_timestamp(claim.date_to)}
    content |= {"document": claim.document, "offset": claim.offset, "byte_offset": claim.byte_offset}
    if claim.labels:
        content["labels"] = list(claim.labels)
    return make_object(
        "note",
        claim.id,
        created=created,
        modified=created,
        content=claim.quote,
        authors=[claim.speaker],
        object_refs=[document, *incidents],
        extensions=extend("claim", content),
    )
