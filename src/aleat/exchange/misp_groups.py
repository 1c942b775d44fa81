"""Which MISP event tells which object: one for each report or grouping, and one a month and label for all the rest.

An object that several reports list is in each of their events: MISP has an attribute in one event only, so that all but
the oldest report's have UUIDs of their own. What nobody lists goes by its label, so that an event says one label of all
that is in it, and by the month in which it was made, so that an event doesn't grow for ever and isn't torn up by news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aleat.exchange.misp_labels import Labels
from aleat.exchange.misp_telling import Head
from aleat.stix.objects import StixObject

__all__ = ["Group", "group_objects"]

_CONTAINERS = frozenset({"report", "grouping"})
_SUPPORT = frozenset({"identity", "marking-definition", "extension-definition"})
_UNDATED = "1970-01"
_ORDER = ("clear", "green", "amber", "amber+strict", "red")


@dataclass(slots=True)
class Group:
    """What one event tells: `head` where no report or grouping is among its `objects`."""

    objects: list[StixObject]
    head: Head | None = None
    elsewhere: set[str] = field(default_factory=set)
    """Ids of what another event tells too, under the UUIDs that are their own."""


def group_objects(
    items: Sequence[StixObject], labels: Labels, *, info: str, make_id: Callable[[str], str]
) -> list[Group]:
    """Return the groups of `items`, in an order that doesn't depend on theirs.

    `info` begins the titles of events that no report stands for, `make_id` gives the id of such an event by its label
    and month.
    """
    by_id = {item.id: item for item in items}
    containers = sorted(
        (item for item in items if item.type in _CONTAINERS), key=lambda item: (item.created or "", item.id)
    )
    hung = _hangers(items)
    groups: list[Group] = []
    taken: set[str] = set()
    for container in containers:
        listed = [by_id[ref] for ref in _refs(container) if ref in by_id and by_id[ref].type not in _CONTAINERS]
        members = _whole(listed, by_id, hung)
        told = [item for item in members if item.id != container.id]
        groups.append(Group([container, *told], elsewhere={item.id for item in told} & taken))
        taken |= {item.id for item in told}
    loose = [item for item in items if item.id not in taken and item.type not in _CONTAINERS | _SUPPORT]
    return [*groups, *_by_label(loose, by_id, hung, labels, info, make_id)]


def _by_label(
    loose: Sequence[StixObject],
    by_id: Mapping[str, StixObject],
    hung: Mapping[str, list[StixObject]],
    labels: Labels,
    info: str,
    make_id: Callable[[str], str],
) -> list[Group]:
    clusters = {item.target_ref for rows in hung.values() for item in rows if item.type == "relationship"}
    parts = {ref for item in loose if item.type == "observed-data" for ref in _refs(item)}
    found: dict[tuple[str, str], list[StixObject]] = {}
    for item in loose:
        if item.type in {"relationship", "sighting"} or item.id in parts or item.id in clusters:
            continue  # it goes with what it is about
        dated = item.created and not item.created.startswith(_UNDATED)
        found.setdefault((_label(item, labels), (item.created or "")[:7] if dated else ""), []).append(item)
    groups = []
    for (label, month), rows in sorted(found.items()):
        title = " ".join(word for word in (info, month, f"(TLP:{label.upper()})" if label else "") if word)
        marks = sorted({id_ for item in rows for id_ in _label_ids(item, labels) if label})
        head = Head(make_id(f"{label}|{month}"), title, f"{month}-01" if month else "", tuple(marks))
        groups.append(Group(_whole(sorted(rows, key=lambda item: item.id), by_id, hung), head))
    return groups


def _hangers(items: Iterable[StixObject]) -> dict[str, list[StixObject]]:
    """Return the relationships from, and sightings of, each object, by its id."""
    found: dict[str, list[StixObject]] = {}
    for item in items:
        about = item.source_ref if item.type == "relationship" else None
        if item.type == "sighting":
            about = str(item.properties().get("sighting_of_ref", ""))
        if about:
            found.setdefault(about, []).append(item)
    return found


def _whole(
    listed: Sequence[StixObject], by_id: Mapping[str, StixObject], hung: Mapping[str, list[StixObject]]
) -> list[StixObject]:
    """Return what is listed with all that hangs on it, each once."""
    whole: dict[str, StixObject] = {}
    for item in listed:
        whole[item.id] = item
        for ref in _refs(item) if item.type == "observed-data" else ():
            if ref in by_id:
                whole[ref] = by_id[ref]
        for one in hung.get(item.id, ()):
            whole[one.id] = one
            target = by_id.get(one.target_ref or "") if one.type == "relationship" else None
            if target is not None and target.type not in _CONTAINERS:
                whole.setdefault(target.id, target)
    return list(whole.values())


def _label(item: StixObject, labels: Labels) -> str:
    """Return the strictest TLP label of an object, or nothing."""
    levels = [marking.level for marking in labels.markings(labels.ids(item)) if marking.kind == "tlp"]
    return max(levels, key=_ORDER.index) if levels else ""


def _label_ids(item: StixObject, labels: Labels) -> list[str]:
    strictest = _label(item, labels)
    found = labels.markings(labels.ids(item))
    return [marking.id for marking in found if marking.kind == "tlp" and marking.level == strictest]


def _refs(item: StixObject) -> list[str]:
    refs = item.properties().get("object_refs")
    return [ref for ref in refs if isinstance(ref, str)] if isinstance(refs, list) else []
