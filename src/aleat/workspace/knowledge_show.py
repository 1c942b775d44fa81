"""Everything about one object: what it says, who gave each copy of each version, what it is related to, what it hit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aleat.hunt.indicator import NotEvaluated, Sighting
from aleat.hunt.standing import confidence_left
from aleat.knowledge.playbooks import render_playbook
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.times import format_timestamp
from aleat.store.objects import Provenance, StoredObject, get_object, get_variants, iterate_objects
from aleat.workspace.called import may_be_called, name_of
from aleat.workspace.knowledge_records import CopyRow, HitRow, RelatedRow, ShownKnowledge, VersionRow
from aleat.workspace.knowledge_view import KnowledgeReader, aliases_of, ids_elsewhere

__all__ = ["hit_rows", "show_object"]

_SPEAK_OF_OTHERS = (
    "relationship",
    "sighting",
    "note",
    "opinion",
    "report",
    "grouping",
    "observed-data",
    "incident",
    "malware-analysis",
)
"""Types of objects that refer to others; back from those there is no index."""


def show_object(
    reader: KnowledgeReader,
    stored: StoredObject,
    sightings: Iterable[Sighting],
    not_evaluated: Sequence[NotEvaluated],
    *,
    hunted: bool,
) -> ShownKnowledge:
    """Return everything about an object; `sightings` and `not_evaluated` are what hunts said of all."""
    item = stored.object
    properties = item.properties()
    rule = read_extension(item, "rule") or {}
    listed = read_extension(item, "list")
    hits = tuple(hit_rows(one for one in sightings if one.ref == item.id))
    names = {item.id, str(rule.get("rule_id", ""))}
    return ShownKnowledge(
        row=reader.row(stored, hits={item.id: sum(row.events for row in hits if not row.hidden)}),
        description=str(properties.get("description") or properties.get("content") or ""),
        aliases=aliases_of(item),
        ids=ids_elsewhere(item),
        labels=item.labels,
        types=tuple(_kinds(properties)),
        external=tuple(_references(properties)),
        pattern=item.pattern or "",
        entries=int(listed.get("entries", 0)) if listed is not None else None,
        valid_from=item.valid_from or "",
        valid_until=item.valid_until or "",
        created=item.created or "",
        created_by=_maker(reader, item),
        versions=tuple(_versions(reader, stored)),
        relations=tuple(_relations(reader, item)),
        hits=hits,
        hunted=hunted,
        playbook=render_playbook(item) if item.type == "course-of-action" else None,
        conflicts=stored.conflicts,
        not_evaluated=tuple(dict.fromkeys(row.reason for row in not_evaluated if row.indicator in names)),
    )


def hit_rows(sightings: Iterable[Sighting]) -> Iterator[HitRow]:
    """Yield what was hit by host, value and label, those that count first, then by first time."""
    groups: dict[tuple[str, str, str], dict[str, int | None]] = {}
    for one in sightings:
        key = (one.host, one.indicator.partition("#")[2], one.hidden_by or "")
        groups.setdefault(key, {})[one.event] = one.time
    rows = []
    for (host, value, hidden), events in groups.items():
        times = sorted(time for time in events.values() if time is not None)
        first, last = (times[0], times[-1]) if times else (None, None)
        rows.append(HitRow(host=host, events=len(events), first=first, last=last, value=value, hidden=hidden))
    yield from sorted(rows, key=lambda row: (row.hidden != "", row.first or 0, row.host, row.value))


def _kinds(properties: dict[str, object]) -> Iterator[str]:
    for name in ("indicator_types", "malware_types", "threat_actor_types", "tool_types", "report_types"):
        value = properties.get(name)
        if isinstance(value, list):
            yield from map(str, value)


def _references(properties: dict[str, object]) -> Iterator[str]:
    references = properties.get("external_references")
    for one in references if isinstance(references, list) else ():
        if isinstance(one, dict):
            parts = (one.get("source_name"), one.get("external_id"), one.get("url"))
            if one.get("url"):  # an id alone stands among the ids
                yield " ".join(str(part) for part in parts if part)


def _maker(reader: KnowledgeReader, item: StixObject) -> str:
    if item.created_by_ref is None:
        return ""
    known = reader.name(item.created_by_ref)
    if known != item.created_by_ref:
        return known
    stored = get_object(reader.connection, item.created_by_ref)
    name = stored.object.name if stored is not None else None
    return name if name and may_be_called(name, reader.terms.names.values()) else item.created_by_ref


def _versions(reader: KnowledgeReader, shown: StoredObject) -> Iterator[VersionRow]:
    for stored in get_variants(reader.connection, shown.object.id):
        item = stored.object
        yield VersionRow(
            version=item.version,
            digest=item.digest,
            spec_version=item.spec_version,
            counts=item.digest == shown.object.digest,
            revoked=item.revoked,
            conflict=bool(stored.conflicts),
            copies=tuple(_copy(reader, item, copy) for copy in stored.copies),
        )


def _copy(reader: KnowledgeReader, item: StixObject, copy: Provenance) -> CopyRow:
    gone = reader.terms.withdrawn.get((copy.giver, copy.agreement, item.digest))
    own = dict.fromkeys((*item.object_marking_refs, *copy.markings))
    return CopyRow(
        giver=reader.name(copy.giver),
        received=format_timestamp(copy.received),
        markings=tuple(map(reader.mark, own)),
        originator=reader.name(copy.originator) if copy.originator else "",
        agreement=copy.agreement or "",
        corpus=copy.corpus or "",
        basis=copy.corpus_basis,
        place=copy.source,
        confidence_now=confidence_left(item, copy, reader.terms, reader.time),
        withdrawn=gone.time if gone is not None else "",
    )


def _relations(reader: KnowledgeReader, item: StixObject) -> Iterator[RelatedRow]:
    """Yield an object's relations in both directions, and who else refers to it, by relation and name."""
    found: dict[tuple[str, bool, str], None] = {}
    for name, value in item.properties().items():
        if name.endswith("_ref") and isinstance(value, str) and name != "created_by_ref":
            found[name.removesuffix("_ref"), True, value] = None
        elif name.endswith("_refs") and isinstance(value, list) and name != "object_marking_refs":
            found.update(dict.fromkeys((name.removesuffix("_refs"), True, str(one)) for one in value))
    wanted = item.id.encode()
    for stored in iterate_objects(reader.connection, _SPEAK_OF_OTHERS):
        other = stored.object
        if other.id == item.id or wanted not in other.raw or other.revoked:
            continue
        if other.type != "relationship":
            found[f"{other.type}", False, other.id] = None
        elif other.source_ref == item.id and other.target_ref:
            found[other.relationship_type or "related-to", True, other.target_ref] = None
        elif other.target_ref == item.id and other.source_ref:
            found[other.relationship_type or "related-to", False, other.source_ref] = None
    ids = sorted({id_ for _, _, id_ in found})
    names = {one.object.id: name_of(one.object) for one in iterate_objects(reader.connection, ids=ids)} if ids else {}
    rows = [
        RelatedRow(relation=relation, outward=outward, id=id_, type=id_.partition("--")[0], name=names.get(id_, ""))
        for relation, outward, id_ in found
    ]
    yield from sorted(rows, key=lambda row: (not row.outward, row.relation, row.type, row.name, row.id))
