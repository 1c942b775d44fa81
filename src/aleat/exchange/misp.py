"""STIX objects of ours as MISP events: what came from MISP as it came, everything else in one event of its own.

What was read from MISP carries its own JSON (extension `misp`), and comes out with all of it; members that aren't
among the objects (the gate withheld them) are left out, and counted. What was added here since (a sighting, a
galaxy's cluster, a stricter marking) is added to it. Labels are MISP's tags ``tlp:`` (TLP 2.0) and ``PAP:``.

Distribution: what came from MISP keeps its own; a level given by the caller, and what TLP lets travel, can only narrow
it. An object whose markings MISP can't carry (a classification, a marking that isn't known) is not written.

Not here: whether an object may leave at all; that is the gate's to say, before (`aleat.release`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from aleat.errors import Issue, Place, TrustError
from aleat.exchange.misp_groups import Group, group_objects
from aleat.exchange.misp_hangers import make_sighting
from aleat.exchange.misp_labels import Labels, Reach, narrow
from aleat.exchange.misp_telling import Telling
from aleat.knowledge.misp.events import MEMBERS
from aleat.knowledge.misp.kept import join_local, load
from aleat.knowledge.misp.labels import distribution_level
from aleat.release import ListRow
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject

__all__ = ["WrittenEvents", "write_events"]

_STAGE = "exchange"
_DERIVED = frozenset({"part", "reference", "cluster", "marking"})
_SUPPORT = frozenset({"identity", "marking-definition", "extension-definition"})


@dataclass(frozen=True, slots=True)
class WrittenEvents:
    """MISP events as JSON values (``{"Event": …}``), and what of the objects is not in them."""

    events: tuple[dict[str, Any], ...]
    issues: tuple[Issue, ...] = ()
    told: frozenset[str] = frozenset()
    """Ids of the objects that are in the events."""

    def to_json(self) -> bytes:
        """Return the events as MISP's own exports are: one alone, or ``{"response": […]}``."""
        value: Any = self.events[0] if len(self.events) == 1 else {"response": list(self.events)}
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class _Writing:
    """One writing: the objects by id, what was told of them, and where MISP's JSON of each is."""

    objects: dict[str, StixObject]
    labels: Labels
    lists: Mapping[str, Sequence[ListRow]]
    told: set[str] = field(default_factory=set)
    bearers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """MISP's JSON of an attribute or object (of an object: its first attribute, which alone has sightings)."""
    untold: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    missing: int = 0


def write_events(
    objects: Iterable[StixObject],
    *,
    distribution: int | None = None,
    markings: Mapping[str, Sequence[str]] | None = None,
    info: str = "",
    reach: Reach | None = None,
    restore: Callable[[Mapping[str, Any]], bool] = lambda _event: True,
    make_id: Callable[[str], str] | None = None,
    lists: Mapping[str, Sequence[ListRow]] | None = None,
    teller: str = "",
) -> WrittenEvents:
    """Return `objects` as MISP events.

    `distribution` is MISP's level 0 to 3 (of what is new: 0, where none is given), `markings` are ids of marking
    definitions beside the objects' own, by object id; `info` is the new event's title, where no report or grouping has
    one. `reach` says how far labels let things travel, `restore` of MISP's JSON of an event whether it may come out as
    it came; one that may not is told anew. With `make_id` what is new becomes several events (`misp_groups`) instead of
    one; it gives an event's id by its label and month. `lists` are the entries of indicator lists, by the list's id;
    `teller` is who tells what is new, where that isn't each report's own author. Raises `TrustError` for another level.
    """
    if distribution is not None and distribution not in {0, 1, 2, 3}:
        raise TrustError("MISP's distribution is 0 (one organisation), 1 (a community), 2 (connected ones) or 3 (all).")
    by_id: dict[str, StixObject] = {}
    for item in objects:
        if item.id not in by_id or by_id[item.id].version < item.version:
            by_id[item.id] = item
    writing = _Writing(by_id, Labels(by_id, markings or {}, reach), lists or {})
    events = []
    for container in by_id.values():
        extension = read_extension(container, "misp")
        if extension is not None and extension.get("kind") == "event":
            event = _event_of(container, extension)
            if restore(event):
                events.append(_restore_event(event, container, extension, writing, distribution))
    _add_to_restored(writing)
    left = [item for item in by_id.values() if item.id not in writing.told]
    groups = [Group(left)]
    if make_id is not None:
        groups = group_objects(left, writing.labels, info=info, make_id=make_id)
    events += _tell(groups, left, writing, distribution, info, teller)
    return WrittenEvents(tuple({"Event": event} for event in events), tuple(_issues(writing)), frozenset(writing.told))


def _tell(
    groups: Sequence[Group],
    left: Sequence[StixObject],
    writing: _Writing,
    distribution: int | None,
    info: str,
    teller: str,
) -> Iterator[dict[str, Any]]:
    """Yield the events of `groups`; what of `left` is in none of them is counted."""
    told: set[str] = set()
    refused = {item.id for item in left if not writing.labels.writable(writing.labels.ids(item))}
    for group in groups:
        telling = Telling(
            writing.labels,
            writing.objects,
            distribution,
            info,
            head=group.head,
            elsewhere=group.elsewhere,
            lists=writing.lists,
            teller=teller,
        )
        event = telling.tell(group.objects, writing.bearers)
        if event is not None:
            told |= telling.told
            yield event
    writing.refused = len(refused)
    done = told | refused
    rest = [item for item in left if item.id not in done and item.type not in _SUPPORT]
    writing.untold.update(item.type for item in rest)
    writing.told |= told


def _event_of(container: StixObject, extension: Mapping[str, Any]) -> dict[str, Any]:
    """Return MISP's JSON of an event, without what it lists."""
    kept = join_local(load(extension.get("content")), load(extension.get("local")))
    return dict(kept) if isinstance(kept, Mapping) else {"info": container.name or "MISP event"}


def _restore_event(
    event: dict[str, Any],
    container: StixObject,
    extension: Mapping[str, Any],
    writing: _Writing,
    distribution: int | None,
) -> dict[str, Any]:
    """Return an event as MISP wrote it, with those of its members that are here."""
    members = load(extension.get("members"))
    members = members if isinstance(members, Mapping) else {}
    writing.told.add(container.id)
    for name in MEMBERS:
        rows = members.get(name)
        if isinstance(rows, list) and rows:  # else it stays what it was, were it no list
            event[name] = list(_restore_rows(rows, writing, distribution))
    for ref in _refs(container):
        _mark_derived(ref, writing)
    writing.labels.add_to(event, container)
    _narrow(event, container, writing, distribution)
    return event


def _restore_rows(rows: list[Any], writing: _Writing, distribution: int | None) -> Iterator[dict[str, Any]]:
    for row in rows:
        if not isinstance(row, list) or not row or not isinstance(row[0], str):
            continue
        item = writing.objects.get(row[0])
        extension = read_extension(item, "misp") if item is not None else None
        kept = load(extension.get("content")) if extension is not None else None
        if item is None or not isinstance(kept, Mapping):
            writing.missing += 1
            continue
        value: dict[str, Any] = join_local(kept, row[1] if len(row) > 1 else None)
        writing.told.add(item.id)
        _restore_children(value, row[2] if len(row) > 2 else None, writing, distribution)
        attributes = value.get("Attribute")
        first = attributes[0] if isinstance(attributes, list) and attributes else value
        if isinstance(first, dict):
            writing.bearers[item.id] = first
        if extension is not None and extension.get("kind") in {"attribute", "object", "report"}:
            for one in attributes if isinstance(attributes, list) else [value]:
                if isinstance(one, dict):
                    writing.labels.add_to(one, item)
            _narrow(value, item, writing, distribution)
        for ref in _refs(item):
            _mark_derived(ref, writing)
        yield value


def _restore_children(value: dict[str, Any], members: Any, writing: _Writing, distribution: int | None) -> None:
    """Put sightings and proposals back where they stood: ``Sighting``, or ``Attribute/0/Sighting``."""
    if not isinstance(members, Mapping):
        return
    for path, rows in members.items():
        *way, name = path.split("/")
        place: Any = value
        if way:
            attributes = value.get("Attribute")
            number = int(way[1]) if len(way) == 2 and way[1].isdigit() and len(way[1]) < 9 else -1
            known = isinstance(attributes, list) and 0 <= number < len(attributes)
            place = attributes[number] if known and isinstance(attributes, list) else None
        if isinstance(place, dict) and isinstance(rows, list):
            place[name] = list(_restore_rows(rows, writing, distribution))


def _mark_derived(ref: str, writing: _Writing) -> None:
    """Count as told what was only derived from MISP's JSON: rules, parts, clusters, their relationships."""
    item = writing.objects.get(ref)
    if item is None:
        return
    extension = read_extension(item, "misp")
    if extension is None or extension.get("kind") in _DERIVED:
        writing.told.add(ref)


def _add_to_restored(writing: _Writing) -> None:
    """Add to restored attributes the sightings that were made of them here; count what supports as told."""
    for item in writing.objects.values():
        if item.id in writing.told:
            continue
        extension = read_extension(item, "misp") or {}
        if item.type in _SUPPORT or extension.get("kind") in {"cluster", "marking"}:
            writing.told.add(item.id)
        elif item.type == "sighting" and (bearer := writing.bearers.get(_of(item))) is not None:
            if (seen := make_sighting(item, writing.objects)) is not None:
                bearer.setdefault("Sighting", []).append(seen)
                writing.told.add(item.id)
        elif item.type == "relationship" and {item.source_ref, item.target_ref} <= writing.told:
            writing.told.add(item.id)


def _narrow(value: dict[str, Any], item: StixObject, writing: _Writing, distribution: int | None) -> None:
    """Narrow a restored distribution to what the caller gives, and to what markings that were added allow."""
    level = distribution_level(value.get("distribution"))
    if level is None or level == 5:
        return
    limits = [limit for limit in (distribution, writing.labels.added_limit(item)) if limit is not None]
    narrowed = narrow(level, limits)
    if narrowed != level:
        value["distribution"] = str(narrowed) if isinstance(value["distribution"], str) else narrowed
        if narrowed != 4:
            value.pop("SharingGroup", None)
            value["sharing_group_id"] = "0"


def _refs(item: StixObject) -> list[str]:
    refs = item.properties().get("object_refs")
    return [ref for ref in refs if isinstance(ref, str)] if isinstance(refs, list) else []


def _of(sighting: StixObject) -> str:
    return str(sighting.properties().get("sighting_of_ref", ""))


def _issues(writing: _Writing) -> Iterator[Issue]:
    place = Place("MISP")
    if writing.missing:
        reason = f"{writing.missing} members of events from MISP are not among the objects; the events go without them."
        yield Issue(_STAGE, "misp-missing", place, reason, records=writing.missing)
    for type_, count in sorted(writing.untold.items()):
        reason = f"{count} objects of type {type_!r} have no place in a MISP event; they are not in it."
        yield Issue(_STAGE, "misp-untold", place, reason, "Send the STIX bundle too.", records=count)
    if writing.refused:
        reason = f"{writing.refused} objects bear a marking that MISP can't carry; they are not written."
        yield Issue(_STAGE, "misp-marking", place, reason, "Ask whoever marked them.", records=writing.refused)
