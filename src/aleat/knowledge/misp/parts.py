"""The parts of a MISP event: attributes, objects with their references, sightings, proposals, event reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from aleat.errors import Issue, ObjectError
from aleat.knowledge.items import UNDATED, KnowledgeItem
from aleat.knowledge.misp.clusters import read_clusters
from aleat.knowledge.misp.events import STAGE, Context, Row, event_time
from aleat.knowledge.misp.fields import flag, identifier, instant, moment, objects_in, text
from aleat.knowledge.misp.kept import dump, split_local
from aleat.knowledge.misp.labels import is_label, many_markings, tag_names
from aleat.knowledge.misp.mapping import attribute_type, is_category, kept_reason, kill_chain_phase
from aleat.knowledge.misp.patterns import attribute_comparisons, object_pattern
from aleat.knowledge.misp.remarks import read_proposals, read_reports, read_sightings
from aleat.knowledge.misp.rules import read_rule
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.observables import make_observable
from aleat.text import clip
from aleat.trust.markings import known_marking_ids

__all__ = ["read_parts"]

_NAME = 250
_MARKINGS = 100
"""More different ones on one object are put together into one."""
_CHILDREN = ("Sighting", "ShadowAttribute")
_LANGUAGES = frozenset({"snort", "suricata", "stix"})
_INDICATES = frozenset(
    {"attack-pattern", "campaign", "infrastructure", "intrusion-set", "malware", "threat-actor", "tool"}
)


def read_parts(
    event: Mapping[str, Any], context: Context, rows: dict[str, list[Row]]
) -> Iterator[KnowledgeItem | Issue]:
    """Yield everything that `event` lists; `rows` says afterwards which STIX object keeps which member."""
    for name, read in (("Attribute", _read_attribute), ("Object", _read_object)):
        members, faults = objects_in(event.get(name))
        if faults:
            context.warn("misp", f"What stands in the event's {name!r} is none.", records=faults)
        kept = rows.setdefault(name, [])
        for member in members:
            try:
                yield from read(member, context, kept)
            except (ObjectError, TypeError, RecursionError) as error:
                reason = error.reason if isinstance(error, ObjectError) else "it is nested too deep, or no JSON"
                code = "object"
                yield Issue(STAGE, code, context.place, f"An {name.lower()} can't be used: {reason}", records=1)
    objects, _ = objects_in(event.get("Object"))
    yield from _read_references(objects, context)
    yield from read_proposals(event.get("ShadowAttribute"), context, context.container, rows)
    yield from read_reports(event.get("EventReport"), context, rows)


def _read_attribute(attribute: Mapping[str, Any], context: Context, rows: list[Row]) -> Iterator[KnowledgeItem | Issue]:
    markings, definitions = context.labels_of(attribute)
    yield from definitions
    kept, local = split_local(_without_children(attribute))
    content = dump(kept)
    name, value = text(attribute.get("type")).strip(), text(attribute.get("value")).strip()
    uuid = identifier(attribute.get("uuid"))
    extension = context.extension("attribute", content, attribute, to_ids=flag(attribute.get("to_ids")), type=name)
    basis = _Basis(context, attribute, markings, extension, f"{name}: {value}" if name else value)
    type_ = attribute_type(name)
    comparisons = attribute_comparisons(attribute) if flag(attribute.get("to_ids")) else ()
    if comparisons:
        made = basis.indicator(context.own_id("indicator", "attribute", uuid, content), _pattern(comparisons))
    elif type_ and type_.rule in _LANGUAGES and flag(attribute.get("to_ids")) and value:
        id_ = context.own_id("indicator", "attribute", uuid, content)
        made = basis.indicator(id_, value, type_.rule)
    elif observables := _observables([attribute]):
        for observable in observables:
            yield context.item(observable, markings)
        made = basis.observed(context.own_id("observed-data", "attribute", uuid, content), observables)
    else:
        made = basis.note(context.own_id("note", "attribute", uuid, content))
        _say_why_kept(attribute, name, context)
    yield context.listed(made, markings)
    if (
        type_
        and type_.rule in {"sigma", "yara"}
        and flag(attribute.get("to_ids"))
        and not flag(attribute.get("deleted"))
    ):
        yield from _read_rule(type_.rule, value, context, markings)
    yield from _finish(attribute, made, context, markings, [made.id, local], rows)


def _read_object(item: Mapping[str, Any], context: Context, rows: list[Row]) -> Iterator[KnowledgeItem | Issue]:
    attributes, faults = objects_in(item.get("Attribute"))
    if faults:
        context.warn("misp", "What stands in an object's 'Attribute' is none.", records=faults)
    found: dict[str, None] = {}
    for part in (item, *attributes):  # an attribute's own label binds the object that tells it
        more, definitions = context.labels_of(part)
        yield from definitions
        found.update(dict.fromkeys(more))
    markings = tuple(found)
    if len(markings) > _MARKINGS:
        (many,) = context.define([many_markings(markings)])
        yield many
        markings = (*(id_ for id_ in markings if id_ in known_marking_ids()), many.object.id)
    stripped = dict(item)
    if isinstance(item.get("Attribute"), list | Mapping):
        stripped["Attribute"] = [_without_children(one) for one in attributes]
    kept, local = split_local(stripped)
    content = dump(kept)
    uuid, name = identifier(item.get("uuid")), text(item.get("name")).strip()
    pattern = object_pattern(name, attributes)
    flagged = bool(pattern.pattern) or any(attribute_comparisons(attributes[n]) for n in pattern.rest)
    extension = context.extension("object", content, item, to_ids=flagged, type=name)
    words = ", ".join(text(one.get("value")).strip() for one in attributes[:5])
    basis = _Basis(context, item, markings, extension, f"{name}: {words}", attributes)
    if pattern.pattern:
        made = basis.indicator(context.own_id("indicator", "object", uuid, content), pattern.pattern)
    elif observables := _observables(attributes):
        for observable in observables:
            yield context.item(observable, markings)
        made = basis.observed(context.own_id("observed-data", "object", uuid, content), observables)
    else:
        made = basis.note(context.own_id("note", "object", uuid, content))
    yield context.listed(made, markings)
    for number in pattern.rest:
        yield from _read_rest(attributes[number], context, markings, name)
    row: Row = [made.id, local]
    for attribute in attributes:
        context.ids.setdefault(identifier(attribute.get("uuid")) or text(attribute.get("uuid")), made.id)
        yield from _clusters_of(attribute, made, context)
    yield from _finish(item, made, context, markings, row, rows, attributes)


def _read_rest(
    attribute: Mapping[str, Any], context: Context, markings: tuple[str, ...], name: str
) -> Iterator[KnowledgeItem | Issue]:
    """Yield what can be hunted for of an object's attribute that the object's pattern doesn't cover."""
    kind, value = text(attribute.get("type")).strip(), text(attribute.get("value")).strip()
    comparisons = attribute_comparisons(attribute)
    type_ = attribute_type(kind)
    if type_ and type_.rule in {"sigma", "yara"}:
        yield from _read_rule(type_.rule, value, context, markings)
        return
    if not comparisons and not (type_ and type_.rule and value):
        _say_why_kept(attribute, kind, context)
        return
    content = dump(split_local(_without_children(attribute))[0])
    facts = {"type": kind, "to_ids": True, "name": name}
    basis = _Basis(context, attribute, markings, context.extension("part", "", attribute, **facts), f"{kind}: {value}")
    id_ = context.own_id("indicator", "part", identifier(attribute.get("uuid")), content)
    language = "stix" if comparisons or type_ is None else type_.rule
    yield context.listed(basis.indicator(id_, _pattern(comparisons) if comparisons else value, language), markings)


def _finish(
    item: Mapping[str, Any],
    made: StixObject,
    context: Context,
    markings: tuple[str, ...],
    row: Row,
    rows: list[Row],
    attributes: list[Mapping[str, Any]] | None = None,
) -> Iterator[KnowledgeItem | Issue]:
    """Yield what hangs on a part: clusters, sightings, proposals; and note where it is kept."""
    context.ids[identifier(item.get("uuid")) or text(item.get("uuid"))] = made.id
    if attributes is None:
        yield from _clusters_of(item, made, context)
    members: dict[str, list[Row]] = {}
    for prefix, one in (
        [("", item)] if attributes is None else [(f"Attribute/{n}/", a) for n, a in enumerate(attributes)]
    ):
        yield from read_sightings(one.get("Sighting"), context, made.id, markings, members, f"{prefix}Sighting")
        yield from read_proposals(
            one.get("ShadowAttribute"), context, made.id, members, markings, f"{prefix}ShadowAttribute"
        )
    rows.append([*row, members] if members else row)


def _clusters_of(item: Mapping[str, Any], made: StixObject, context: Context) -> Iterator[KnowledgeItem]:
    for cluster in read_clusters(item.get("Galaxy"), context):
        yield from context.first(cluster)
        if cluster.object.type == "marking-definition":
            continue
        verb = "indicates" if made.type == "indicator" and cluster.object.type in _INDICATES else "related-to"
        yield context.listed(_relate(context, made, cluster.object.id, verb))


def _relate(context: Context, made: StixObject, target: str, verb: str, **more: Any) -> StixObject:
    id_ = content_id("relationship", ["misp", made.id, verb, target, more.get("description", "")])
    return make_object(
        "relationship",
        id_,
        created=context.created,
        created_by_ref=context.author or None,
        markings=context.markings,
        relationship_type=verb,
        source_ref=made.id,
        target_ref=target,
        **more,
    )


def _read_references(objects: list[Mapping[str, Any]], context: Context) -> Iterator[KnowledgeItem]:
    """Yield the relationships between objects; those to nothing here stay with the object that makes them."""
    told: set[str] = set()
    for item in objects:
        source = context.ids.get(identifier(item.get("uuid")) or text(item.get("uuid")))
        for reference in objects_in(item.get("ObjectReference"))[0]:
            written = reference.get("referenced_uuid")
            target = context.ids.get(identifier(written) or text(written))
            if source is None or target is None or not text(written):
                context.warn("misp-reference", "An object refers to something that isn't in its event; it is kept.")
                continue
            verb = text(reference.get("relationship_type")).strip() or "related-to"
            words = f"{verb}: {text(reference.get('comment'))}".rstrip(": ")
            content = dump([source, verb, target])
            made = make_object(
                "relationship",
                content_id("relationship", ["misp", "reference", source, target, words]),
                created=context.created,
                modified=max(instant(reference.get("timestamp")) or context.created, context.created),
                created_by_ref=context.author or None,
                markings=context.markings,
                relationship_type="related-to",
                source_ref=source,
                target_ref=target,
                description=words,
                extensions=context.extension("reference", content, {}, type=verb),
            )
            if made.id not in told:
                told.add(made.id)
                yield context.listed(made)


class _Basis:
    """What the STIX object of an attribute or object has, whichever type it becomes."""

    def __init__(
        self,
        context: Context,
        item: Mapping[str, Any],
        markings: tuple[str, ...],
        extensions: dict[str, Any],
        name: str,
        attributes: list[Mapping[str, Any]] | None = None,
    ) -> None:
        self.item, self.context, self.text = item, context, name.strip() or "MISP"
        self.name = clip(" ".join(self.text.split()), _NAME)
        categories = [text(one.get("category")).strip() for one in (attributes or [item])]
        self.categories = [category for category in dict.fromkeys(categories) if category]
        tags = [tag for one in (item, *(attributes or ())) for tag in tag_names(one.get("Tag"))]
        hits = [text(hit.get("warninglist_name") or hit.get("name")) for hit in objects_in(item.get("warnings"))[0]]
        labels = [tag for tag in dict.fromkeys(tags) if not is_label(tag)]
        self.time = event_time(item, context)
        self.common: dict[str, Any] = {
            "created": context.created,
            "modified": self.time,
            "created_by_ref": context.author or None,
            "markings": (*context.markings, *markings),
            "labels": [*labels, *(f"warning-list:{hit}" for hit in dict.fromkeys(hits) if hit)],
            "extensions": extensions,
            "revoked": True if flag(item.get("deleted")) else None,
        }

    def indicator(self, id_: str, pattern: str, language: str = "stix") -> StixObject:
        """Return it as an indicator."""
        since = moment(self.item.get("first_seen")) or instant(self.item.get("timestamp"))
        return make_object(
            "indicator",
            id_,
            **self.common,
            name=self.name,
            description=text(self.item.get("comment")).strip() or f"MISP: {', '.join(self.categories) or self.name}",
            pattern=pattern,
            pattern_type=language,
            valid_from=since or self.context.created or UNDATED,
            kill_chain_phases=_phases(self.categories),
        )

    def observed(self, id_: str, observables: list[StixObject]) -> StixObject:
        """Return it as observed data of `observables`."""
        first: datetime = moment(self.item.get("first_seen")) or self.time
        last: datetime = moment(self.item.get("last_seen")) or first
        return make_object(
            "observed-data",
            id_,
            **self.common,
            first_observed=min(first, last),
            last_observed=max(first, last),
            number_observed=1,
            object_refs=[one.id for one in observables],
        )

    def note(self, id_: str) -> StixObject:
        """Return it as a note on the event."""
        return make_object(
            "note",
            id_,
            **self.common,
            abstract=text(self.item.get("comment")).strip() or None,
            content=self.text,
            object_refs=[self.context.container],
        )


def _observables(attributes: list[Mapping[str, Any]]) -> list[StixObject]:
    """Return the observables that attributes name.

    Each has what its id is made of and nothing else, so that two events that name one value tell the same object: a
    file of an object has its name beside its first hash, and stands once more for each other hash.
    """
    told: list[tuple[str, dict[str, Any]]] = []
    names: list[dict[str, Any]] = []
    for attribute in attributes:
        type_ = attribute_type(text(attribute.get("type")))
        for kind, properties in type_.observable(text(attribute.get("value")).strip()) if type_ else ():
            if kind == "file" and properties.keys() == {"name"}:
                names.append(properties)
            else:
                told.append((kind, properties))
    for name in names:
        bare = next((one for kind, one in told if kind == "file" and "name" not in one), None)
        if bare is None:
            told.append(("file", name))
        else:
            bare |= name
    return list({one.id: one for one in (make_observable(kind, **row) for kind, row in told)}.values())


def _phases(categories: list[str]) -> list[dict[str, str]]:
    found = []
    for category in filter(is_category, categories):
        slug = category.lower().replace(" ", "-")
        found.append({"kill_chain_name": "misp-category", "phase_name": slug})
        if phase := kill_chain_phase(category):
            found.append({"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": phase})
    return list({one["kill_chain_name"] + one["phase_name"]: one for one in found}.values())


def _say_why_kept(attribute: Mapping[str, Any], name: str, context: Context) -> None:
    """Note why an attribute that MISP calls fit for detection isn't hunted for."""
    if not flag(attribute.get("to_ids")):
        return
    type_ = attribute_type(name)
    if type_ and type_.rule in {"sigma", "yara"}:
        return
    if reason := kept_reason(name):
        words = f"{name!r}" if type_ else "an attribute"
        context.warn("misp-kept", f"What is said by {words} is kept, and not hunted for: {reason}.")
    else:
        context.warn("misp-value", f"A value is no {name!r} as MISP means it; it is kept, and not hunted for.")


def _pattern(comparisons: tuple[str, ...]) -> str:
    return f"[{' OR '.join(comparisons)}]"


def _without_children(attribute: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [] if key in _CHILDREN and isinstance(value, list | dict) else value for key, value in attribute.items()
    }


def _read_rule(
    language: str, value: str, context: Context, markings: tuple[str, ...]
) -> Iterator[KnowledgeItem | Issue]:
    for found in read_rule(language, value, context.place):
        yield found if isinstance(found, Issue) else context.listed(found.object, (*found.markings, *markings))
