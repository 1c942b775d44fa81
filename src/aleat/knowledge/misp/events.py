"""One MISP event as STIX 2.1 objects, each with the place and the markings of its event.

Each thing that MISP lists becomes one STIX object that keeps its JSON (extension `misp`): an attribute or object an
indicator where it has `to_ids` and a pattern, observed data where it only names observables, else a note; a sighting
a sighting; a proposal a note, or an opinion where it wants something deleted; an event report a note. The event
becomes a report, or a grouping while it isn't published, which lists them all.

Ids are of our own, over the UUIDs that MISP gave (of what has none: over content) and `VERSION`, so that the same
event is the same objects, and another mapping makes others; clusters and organisations keep their UUIDs.

Not here: what proposals, false-positive sightings and warning lists mean for an attribute: they change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aleat.errors import Issue, ObjectError, Place
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.misp.clusters import read_clusters
from aleat.knowledge.misp.fields import flag, identifier, instant, moment, text
from aleat.knowledge.misp.kept import dump, split_local
from aleat.knowledge.misp.labels import distribution_level, is_label, sharing_marking, tag_markings, tag_names
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object

__all__ = ["MEMBERS", "STAGE", "VERSION", "Context", "Row", "event_time", "make_organisation", "read_event"]

VERSION = "1"
"""The mapping's version: part of the ids of what is made here."""

STAGE = "knowledge"

MEMBERS = ("Attribute", "Object", "ShadowAttribute", "EventReport")
"""MISP's names of what an event lists, each kept with a STIX object of its own."""

Row = list[Any]
"""[id of the STIX object that keeps a member, its server's own numbers or None, its own members by MISP's names]"""


@dataclass(slots=True)
class Context:
    """What all objects of one event share, and what was found of it so far."""

    key: str
    place: Place
    container: str
    created: datetime
    author: str
    markings: tuple[str, ...] = ()
    refs: dict[str, None] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """The STIX objects of the event's attributes and objects by their UUIDs as written."""
    defined: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def own_id(self, type_: str, kind: str, uuid: str, content: str) -> str:
        """Return the id of what is `kind` in MISP; equal ones without UUID are counted, so that none is lost."""
        basis: list[Any] = [kind, uuid] if uuid else [kind, self.key, content]
        counted = dump(basis)
        number = self.seen[counted] = self.seen.get(counted, 0) + 1
        if number > 1:
            basis = [kind, self.key, uuid, content, number]
        return content_id(type_, ["misp", VERSION, *basis])

    def item(self, made: StixObject, markings: tuple[str, ...] = ()) -> KnowledgeItem:
        """Return `made` as part of the event."""
        return KnowledgeItem(object=made, place=self.place, markings=tuple(sorted({*self.markings, *markings})))

    def listed(self, made: StixObject, markings: tuple[str, ...] = ()) -> KnowledgeItem:
        """Return `made` as part of the event, which refers to it."""
        self.refs[made.id] = None
        return self.item(made, markings)

    def once(self, made: StixObject, markings: tuple[str, ...] = ()) -> Iterator[KnowledgeItem]:
        """Yield `made` as part of the event, unless it was yielded under these markings before."""
        key = f"{made.id} {markings}"
        if key not in self.defined:
            self.defined.add(key)
            yield self.item(made, markings)

    def first(self, item: KnowledgeItem) -> Iterator[KnowledgeItem]:
        """Yield `item`, unless the same object was yielded under the same markings before."""
        key = f"{item.object.id} {item.object.digest} {item.markings}"
        if key not in self.defined:
            self.defined.add(key)
            yield item

    def define(self, definitions: Iterable[StixObject]) -> Iterator[KnowledgeItem]:
        """Yield marking definitions that nobody else marks."""
        for one in definitions:
            self.defined.add(one.id)
            yield KnowledgeItem(object=one, place=self.place)

    def labels_of(self, item: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[KnowledgeItem, ...]]:
        """Return the markings that an event's part has of its own, and definitions that were not told before."""
        ids, made = tag_markings(tag_names(item.get("Tag")))
        sharing = sharing_marking(item)
        definitions = [*made, *([sharing] if sharing else [])]
        markings = (*ids, *([sharing.id] if sharing else []))
        return markings, tuple(self.define([one for one in definitions if one.id not in self.defined]))

    def extension(self, kind: str, content: str, item: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
        """Return the extension that keeps a part of the event."""
        level = distribution_level(item.get("distribution"))
        told = {"distribution": level, **facts}
        return extend("misp", {"kind": kind, "event": self.key, "content": content} | _without_none(told))

    def warn(self, code: str, reason: str, advice: str = "", records: int = 1) -> None:
        """Note that something of the event is only kept, or not used."""
        self.issues.append(Issue(STAGE, code, self.place, reason, advice, records=records))

    def warnings(self) -> Iterator[Issue]:
        """Yield what was noted since the last time, equal reasons counted together."""
        counted: dict[tuple[str, str, str], int] = {}
        for issue in self.issues:
            key = (issue.code, issue.reason, issue.advice)
            counted[key] = counted.get(key, 0) + (issue.records or 1)
        self.issues.clear()
        for (code, reason, advice), number in counted.items():
            yield Issue(STAGE, code, self.place, reason, advice, records=number)


def read_event(event: Mapping[str, Any], place: Place) -> Iterator[KnowledgeItem | Issue]:
    """Yield everything of one event (the value of ``Event``), its report last, and an issue for what isn't used."""
    from aleat.knowledge.misp.parts import read_parts  # noqa: PLC0415 - they need what stands here

    uuid = identifier(event.get("uuid"))
    rows: dict[str, list[Row]] = {}
    kept, local = split_local({key: _emptied(key, value) for key, value in event.items()})
    key = uuid or _digest(event)
    type_ = "report" if flag(event.get("published")) else "grouping"
    organisation = make_organisation(event.get("Orgc"))
    context = Context(key, place, content_id(type_, ["misp", VERSION, "event", key]), _created(event), "")
    if organisation is not None:
        context.author = organisation.id
    context.markings, definitions = context.labels_of(event)
    yield from definitions
    if organisation is not None:
        yield from context.once(organisation)
    clusters = [one for item in read_clusters(event.get("Galaxy"), context) for one in context.first(item)]
    yield from clusters
    context.refs.update((item.object.id, None) for item in clusters if item.object.type != "relationship")
    yield from read_parts(event, context, rows)
    if not context.refs and organisation is None:
        yield context.listed(_nobody())
    yield _make_container(type_, event, context, (kept, local, rows))
    yield from context.warnings()


def make_organisation(value: Any) -> StixObject | None:
    """Return the identity of an organisation as MISP names one, or None."""
    if not isinstance(value, Mapping):
        return None
    name, uuid = text(value.get("name")).strip(), identifier(value.get("uuid"))
    if not name and not uuid:
        return None
    id_ = f"identity--{uuid}" if uuid else content_id("identity", ["misp organisation", name])
    return make_object("identity", id_, created=UNDATED, name=name or uuid, identity_class="organization")


def event_time(item: Mapping[str, Any], context: Context) -> datetime:
    """Return when `item` was last changed: never before it was made."""
    return max(instant(item.get("timestamp")) or context.created, context.created)


def _make_container(
    type_: str, event: Mapping[str, Any], context: Context, told: tuple[Any, Any, dict[str, list[Row]]]
) -> KnowledgeItem:
    kept, local, rows = told
    content = dump(kept)
    uuid = identifier(event.get("uuid"))
    labels = [tag for tag in tag_names(event.get("Tag")) if not is_label(tag)]
    published = instant(event.get("publish_timestamp")) or event_time(event, context)
    details = {"published": published, "report_types": ["threat-report"]} if type_ == "report" else {}
    details |= {"context": "unspecified"} if type_ == "grouping" else {}
    facts = {"members": dump(rows), "local": dump(local) if local else None}
    refs = list(context.refs) or [context.author]
    made = make_object(
        type_,
        context.container,
        created=context.created,
        modified=event_time(event, context),
        created_by_ref=context.author or None,
        markings=context.markings,
        name=text(event.get("info")).strip() or f"MISP event {uuid or 'without a name'}",
        labels=labels,
        object_refs=refs,
        external_references=[{"source_name": "misp", "external_id": uuid}] if uuid else None,
        extensions=context.extension("event", content, event, **facts),
        **details,
    )
    return context.item(made)


def _nobody() -> StixObject:
    """Return the identity that an event without anything refers to: STIX wants a container to hold something."""
    return make_object(
        "identity",
        content_id("identity", "misp: an organisation that isn't named"),
        created=UNDATED,
        name="An organisation that isn't named",
        identity_class="unknown",
    )


def _created(event: Mapping[str, Any]) -> datetime:
    """Return the event's date; its change where that is earlier, since nothing changes before it is made."""
    date, changed = moment(event.get("date")), instant(event.get("timestamp"))
    return min(date, changed) if date and changed else date or changed or UNDATED


def _emptied(key: str, value: Any) -> Any:
    """Return the value that is kept with the event itself: its members stand elsewhere."""
    return [] if key in MEMBERS and isinstance(value, list | Mapping) else value


def _digest(event: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(dump(event).encode()).hexdigest()
    except TypeError:
        raise ObjectError("The event is nested too deep to be kept.") from None


def _without_none(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None and value != ""}
