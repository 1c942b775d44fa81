"""What others add to a MISP event: sightings, proposals, event reports. None of it changes what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aleat.errors import Issue, ObjectError
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.misp.events import STAGE, Context, Row, event_time, make_organisation
from aleat.knowledge.misp.fields import flag, identifier, instant, objects_in, text
from aleat.knowledge.misp.kept import dump, split_local
from aleat.stix.objects import StixObject, make_object

__all__ = ["read_proposals", "read_reports", "read_sightings"]

_SIGHTINGS = {"0": "sighting", "1": "false-positive", "2": "expiration"}
"""MISP core format, "Sighting": what each type says."""


def read_sightings(
    value: Any,
    context: Context,
    of: str,
    markings: tuple[str, ...],
    rows: dict[str, list[Row]],
    name: str,
) -> Iterator[KnowledgeItem | Issue]:
    """Yield who saw the object `of`, when; false positives and expirations count nothing (``count`` 0)."""
    for sighting in _members(value, "Sighting", context):
        organisation = make_organisation(sighting.get("Organisation"))
        kind = _SIGHTINGS.get(text(sighting.get("type")).strip() or "0", "unknown")
        kept, local = split_local(sighting)
        content = dump(kept)
        time = instant(sighting.get("date_sighting")) or context.created
        try:
            made = make_object(
                "sighting",
                context.own_id("sighting", f"sighting of {of}", identifier(sighting.get("uuid")), content),
                created=time,
                created_by_ref=organisation.id if organisation else None,
                markings=(*context.markings, *markings),
                description=text(sighting.get("source")).strip() or None,
                first_seen=time,
                last_seen=time,
                count=1 if kind == "sighting" else 0,
                sighting_of_ref=of,
                where_sighted_refs=[organisation.id] if organisation else None,
                labels=None if kind == "sighting" else [kind],
                extensions=context.extension("sighting", content, {}, type=kind),
            )
        except ObjectError as error:
            yield Issue(STAGE, "object", context.place, f"A sighting can't be used: {error.reason}", records=1)
            continue
        if organisation:
            yield from context.once(organisation, markings)
        yield context.listed(made, markings)
        rows.setdefault(name, []).append([made.id, local])


def read_proposals(
    value: Any,
    context: Context,
    about: str,
    rows: dict[str, list[Row]],
    markings: tuple[str, ...] = (),
    name: str = "ShadowAttribute",
) -> Iterator[KnowledgeItem | Issue]:
    """Yield what somebody proposes about the object `about`: a note, or an opinion that wants it deleted."""
    for proposal in _members(value, "ShadowAttribute", context):
        organisation = make_organisation(proposal.get("Org"))
        kept, local = split_local(proposal)
        content = dump(kept)
        deletes = flag(proposal.get("proposal_to_delete"))
        type_ = "opinion" if deletes else "note"
        told = f"{text(proposal.get('type'))}: {text(proposal.get('value'))}".strip(": ")
        words = f"Proposed for deletion: {told}" if deletes else f"Proposed: {told}"
        body = {"explanation": words, "opinion": "disagree"} if deletes else {"content": words}
        id_ = context.own_id(type_, f"proposal on {about}", identifier(proposal.get("uuid")), content)
        made = _remark(type_, id_, proposal, context, organisation, (about, "proposal", content, markings), body)
        if isinstance(made, Issue):
            yield made
            continue
        if organisation:
            yield from context.once(organisation, markings)
        yield context.listed(made, markings)
        rows.setdefault(name, []).append([made.id, local])


def read_reports(value: Any, context: Context, rows: dict[str, list[Row]]) -> Iterator[KnowledgeItem | Issue]:
    """Yield the event's reports, as notes with their text (Markdown, as it stands)."""
    for report in _members(value, "EventReport", context):
        markings, definitions = context.labels_of(report)
        yield from definitions
        kept, local = split_local(report)
        content = dump(kept)
        body = {
            "abstract": text(report.get("name")).strip() or None,
            "content": text(report.get("content")) or text(report.get("name")) or "An empty event report.",
            "revoked": True if flag(report.get("deleted")) else None,
        }
        id_ = context.own_id("note", "report", identifier(report.get("uuid")), content)
        about = (context.container, "report", content, markings)
        made = _remark("note", id_, report, context, None, about, body)
        if isinstance(made, Issue):
            yield made
            continue
        yield context.listed(made, markings)
        rows.setdefault("EventReport", []).append([made.id, local])


def _members(value: Any, name: str, context: Context) -> list[Mapping[str, Any]]:
    found, faults = objects_in(value)
    if faults:
        context.warn("misp", f"What stands in {name!r} is none.", records=faults)
    return found


def _remark(
    type_: str,
    id_: str,
    item: Mapping[str, Any],
    context: Context,
    organisation: StixObject | None,
    about: tuple[str, str, str, tuple[str, ...]],
    body: dict[str, Any],
) -> StixObject | Issue:
    target, kind, content, markings = about
    author = organisation.id if organisation else context.author if kind == "report" else ""
    try:
        return make_object(
            type_,
            id_,
            created=context.created,
            modified=event_time(item, context),
            created_by_ref=author or None,
            markings=(*context.markings, *markings),
            object_refs=[target],
            extensions=context.extension(kind, content, item),
            **body,
        )
    except ObjectError as error:
        return Issue(STAGE, "object", context.place, f"A {kind} can't be used: {error.reason}", records=1)
