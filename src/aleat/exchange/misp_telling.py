"""One new MISP event out of STIX objects that didn't come from MISP."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aleat.exchange.misp_hangers import make_galaxy, make_sighting, seconds_of, uuid_of
from aleat.exchange.misp_labels import Labels, narrow, tags_for
from aleat.exchange.misp_patterns import WrittenObject, alternatives, inner_uuid, joined_object
from aleat.knowledge.misp.mapping import written_entry, written_rule, written_type
from aleat.release import ListRow
from aleat.stix.extensions import read_extension
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject

__all__ = ["Head", "Telling"]

_UNTITLED = "Knowledge from Aleat"
_ANALYSIS_COMPLETE, _THREAT_UNDEFINED = "2", "4"
_MOST_ENTRIES = 50_000
"""Of a list; MISP holds, and shows, no larger events."""
_CONTAINERS = ("report", "grouping")
_SUPPORT = frozenset({"identity", "marking-definition", "extension-definition", "relationship", "sighting"})


@dataclass(frozen=True, slots=True)
class Head:
    """What an event is that no report or grouping stands for: its STIX-like id, title, date, and markings' ids."""

    id: str
    info: str
    date: str
    marks: tuple[str, ...] = ()


class Telling:
    """Tells objects as one event.

    `head` is what it is where no report or grouping says so; `elsewhere` are ids of what another event tells too, under
    UUIDs of their own. `teller` is who tells it (an identity's id), where that isn't the report's author. What bears a
    marking that MISP can't carry is not told; `told` holds the ids of what is.
    """

    def __init__(
        self,
        labels: Labels,
        objects: Mapping[str, StixObject],
        distribution: int | None,
        info: str,
        *,
        head: Head | None = None,
        elsewhere: Collection[str] = (),
        lists: Mapping[str, Sequence[ListRow]] | None = None,
        teller: str = "",
    ) -> None:
        self._objects = objects
        self._labels = labels
        self._distribution = 0 if distribution is None else distribution
        self._info = info
        self._head = head
        self._elsewhere = frozenset(elsewhere)
        self._lists = lists or {}
        self._teller = teller
        self._author: str | None = teller or None
        self._event: dict[str, Any] = {}
        self._marks: dict[str, None] = {}
        self.told: set[str] = set()
        self._objects_made: dict[str, dict[str, Any]] = {}
        self._parts: set[str] = set()

    def tell(self, objects: Sequence[StixObject], bearers: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
        """Return an event that tells `objects`, or None where there is nothing; `bearers` are attributes of others."""
        usable = [item for item in objects if self._labels.writable(self._labels.ids(item))]
        container = next((item for type_ in _CONTAINERS for item in usable if item.type == type_), None)
        if not [item for item in usable if item.type not in _SUPPORT]:
            return None
        self._begin(container, usable)
        by_id = {item.id: item for item in usable}
        self._parts = {ref for item in usable if item.type == "observed-data" for ref in _refs(item)}
        own: dict[str, dict[str, Any]] = dict(bearers)
        for item in usable:
            self._tell_one(item, by_id, own)
        self._hang(usable, by_id, own)
        self._finish()
        return self._event

    def _begin(self, container: StixObject | None, usable: Sequence[StixObject]) -> None:
        head = self._head
        alone = head.id if head else content_id("report", ["misp", sorted(item.id for item in usable)])
        basis = container.id if container else alone
        times = [item.version for item in usable if item.version]
        latest = max(times, default="1970-01-01T00:00:00.000Z")
        self._event = {
            "uuid": uuid_of(basis),
            "info": (container.name if container else head.info if head else None) or self._info or _UNTITLED,
            "date": ((container.created if container else head.date if head else None) or latest)[:10],
            "timestamp": seconds_of(latest),
            "published": False,
            "analysis": _ANALYSIS_COMPLETE,
            "threat_level_id": _THREAT_UNDEFINED,
            "Attribute": [],
            "Tag": [],
        }
        if container is not None:
            self.told.add(container.id)
            self._mark(container)
            self._event["Tag"] += [{"name": label} for label in container.labels]
        elif head is not None:
            self._marks.update(dict.fromkeys(head.marks))
            return
        if self._teller:
            return  # the server says who: whoever writes it there
        self._author = (container or usable[0]).created_by_ref
        author = self._objects.get(self._author or "")
        if author is not None and author.name:
            self._event["Orgc"] = {"uuid": uuid_of(author.id), "name": author.name}

    def _tell_one(self, item: StixObject, by_id: Mapping[str, StixObject], own: dict[str, dict[str, Any]]) -> None:
        found: list[dict[str, Any]] = []
        joined = joined_object(item.pattern or "") if item.type == "indicator" and item.pattern_type == "stix" else None
        if joined is not None:
            found = self._object(item, joined)
        elif item.type == "indicator":
            found = self._indicator(item)
        elif item.type == "observed-data":
            parts = [by_id[ref] for ref in _refs(item) if ref in by_id]
            found = [row for part in parts for row in self._observable(part, item)]
            self.told.update(part.id for part in parts)
        elif item.type == "vulnerability" and item.name:
            found = [self._attribute(item, "vulnerability", "External analysis", item.name, False, 0)]
        elif item.type == "note" and isinstance(content := item.properties().get("content"), str):
            self._report(item, content)
        elif not item.created and item.id not in self._parts:
            found = list(self._observable(item, item))
        if found:
            own.setdefault(item.id, found[0])
            self._event["Attribute"] += found if joined is None else []
            self.told.add(item.id)

    def _indicator(self, item: StixObject) -> list[dict[str, Any]]:
        if read_extension(item, "list") is not None:
            return self._entries(item)
        terms = alternatives(item.pattern or "") if item.pattern_type == "stix" else None
        if terms is not None:
            rows = [(written_type(path), value) for path, value in terms]
            return [
                self._attribute(item, kind[0], kind[1], value, True, number)
                for number, (kind, value) in enumerate(rows)
                if kind is not None
            ]
        rule = written_rule(item.pattern_type or "")
        return [self._attribute(item, rule[0], rule[1], item.pattern or "", True, 0)] if rule else []

    def _object(self, item: StixObject, joined: WrittenObject) -> list[dict[str, Any]]:
        """Put an object of MISP's into the event for values that go together; return its attributes."""
        there = item.id in self._elsewhere
        uuid = uuid_of(content_id("note", ["misp", item.id, self._event["uuid"]]) if there else item.id)
        rows = [
            self._attribute(item, one["type"], one["category"], one["value"], True, 1)
            | {"uuid": inner_uuid(uuid, one["object_relation"]), "comment": ""}
            | {"object_relation": one["object_relation"]}
            for one in joined.attributes
        ]
        made: dict[str, Any] = {
            "uuid": uuid,
            "name": joined.name,
            "meta-category": joined.meta,
            "template_uuid": joined.template,
            "template_version": joined.version,
            "description": joined.name,
            "timestamp": rows[0]["timestamp"],
            "comment": self._comment(item),
            "Attribute": rows,
        }
        made |= {name: rows[0][name] for name in ("distribution", "SharingGroup", "deleted") if name in rows[0]}
        self._objects_made[item.id] = made
        self._event.setdefault("Object", []).append(made)
        return rows

    def _entries(self, item: StixObject) -> list[dict[str, Any]]:
        """Return an attribute for each value of a list; none for a list that an event can't hold."""
        rows = self._lists.get(item.id, ())
        if not 0 < len(rows) <= _MOST_ENTRIES:
            return []
        like = self._attribute(item, "", "", "", True, 0)
        there = [self._event["uuid"]] if item.id in self._elsewhere else []
        told = []
        for kind, value, context in rows:
            type_, category, to_ids = written_entry(kind, value)
            id_ = content_id("note", ["misp", item.id, "entry", kind, value, *there])
            words = ": ".join(filter(None, (like["comment"], context)))
            told.append(
                {
                    **like,
                    "uuid": uuid_of(id_),
                    "type": type_,
                    "category": category,
                    "value": value,
                    "to_ids": to_ids,
                    "comment": words,
                }
            )
        return told

    def _observable(self, part: StixObject, item: StixObject) -> Iterator[dict[str, Any]]:
        number = 0
        properties = part.properties()
        hashes = properties.get("hashes")
        rows = [(f"{part.type}:{name}", value) for name, value in properties.items()]
        if isinstance(hashes, Mapping):
            rows += [(f"{part.type}:hashes.{_step(name)}", value) for name, value in hashes.items()]
        for path, value in rows:
            kind = written_type(path)
            if kind is not None and isinstance(value, str | int):
                yield self._attribute(item, kind[0], kind[1], str(value), False, number, part.id)
                number += 1

    def _attribute(
        self, item: StixObject, type_: str, category: str, value: str, to_ids: bool, number: int, part: str = ""
    ) -> dict[str, Any]:
        """Return an attribute; the first that an object tells has its UUID."""
        ids = self._labels.ids(item)
        own = number == 0 and not part and item.id not in self._elsewhere
        there = [self._event["uuid"]] if item.id in self._elsewhere else []
        row: dict[str, Any] = {
            "uuid": uuid_of(item.id if own else content_id("note", ["misp", item.id, part, number, value, *there])),
            "type": type_,
            "category": category,
            "value": value,
            "to_ids": to_ids,
            "comment": self._comment(item),
            "timestamp": seconds_of(item.version) if item.version else self._event["timestamp"],
            "distribution": "5",
            "disable_correlation": False,
            "Tag": [*tags_for(self._labels, ids), *({"name": label} for label in item.labels)],
        }
        limit = self._labels.limit(ids)
        if limit is not None:
            self._labels.put_level(row, narrow(self._distribution, [limit]))
        return row | _seen(item, to_ids=to_ids) | ({"deleted": True} if item.revoked else {})

    def _comment(self, item: StixObject) -> str:
        """Return what is said of an object, and by whom where that isn't the event's own author."""
        words = item.description or item.name or ""
        author = self._objects.get(item.created_by_ref or "") if item.created_by_ref != self._author else None
        return f"{words} (said by {author.name})".strip() if author is not None and author.name else words

    def _report(self, item: StixObject, content: str) -> None:
        self._mark(item)
        self.told.add(item.id)
        name = str(item.properties().get("abstract") or "Note")[:250]
        report = {"uuid": uuid_of(item.id), "name": name, "content": content, "distribution": "5"}
        self._event.setdefault("EventReport", []).append(report | {"timestamp": seconds_of(item.version)})

    def _hang(
        self, usable: Sequence[StixObject], by_id: Mapping[str, StixObject], own: dict[str, dict[str, Any]]
    ) -> None:
        """Hang clusters and sightings on the attributes that they are about, other clusters on the event."""
        attached: set[str] = set()
        for item in usable:
            if item.type == "sighting":
                bearer = own.get(str(item.properties().get("sighting_of_ref", "")))
                seen = make_sighting(item, self._objects) if bearer is not None else None
                if bearer is not None and seen is not None:
                    bearer.setdefault("Sighting", []).append(seen)
                    self.told.add(item.id)
            elif item.source_ref in own and item.target_ref is not None and item.target_ref in by_id:
                target = by_id[item.target_ref]
                if (galaxy := make_galaxy(target)) is not None:
                    own[item.source_ref].setdefault("Galaxy", []).append(galaxy)
                    self.told |= {item.id, target.id}
                    attached.add(target.id)
                elif item.source_ref in self._objects_made and target.id in own:
                    self._refer(item, self._objects_made[item.source_ref], own[target.id])
        for item in usable:
            if item.id not in attached and (galaxy := make_galaxy(item)) is not None:
                self._event.setdefault("Galaxy", []).append(galaxy)
                self._mark(item)
                self.told.add(item.id)

    def _refer(self, item: StixObject, source: dict[str, Any], target: Mapping[str, Any]) -> None:
        """Tell a relationship from what is an object: only these refer in MISP."""
        whole = self._objects_made.get(item.target_ref or "")
        reference = {
            "uuid": uuid_of(item.id),
            "referenced_uuid": (whole or target)["uuid"],
            "relationship_type": str(item.properties().get("relationship_type", "related-to")),
            "comment": item.description or "",
        }
        source.setdefault("ObjectReference", []).append(reference)
        self.told.add(item.id)

    def _mark(self, item: StixObject) -> None:
        self._marks.update(dict.fromkeys(self._labels.ids(item)))

    def _finish(self) -> None:
        """Label the event with what binds all that stands at its own level, and set how far it goes."""
        tags = [*tags_for(self._labels, self._marks), *self._event["Tag"]]
        self._event["Tag"] = list({tag["name"]: tag for tag in tags}.values())
        limit = self._labels.limit(tuple(self._marks))
        level = self._distribution if limit is None else narrow(self._distribution, [limit])
        self._labels.put_level(self._event, level)
        self._event["Attribute"] = self._merged(self._event["Attribute"])
        inner = [row for item in self._event.get("Object", ()) for row in item["Attribute"]]
        for attribute in (*self._event["Attribute"], *inner):
            attribute["Tag"] = list({tag["name"]: tag for tag in attribute["Tag"]}.values())

    def _merged(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return attributes of which no two say the same: MISP drops the second of two without a word.

        One for two has the tags of both, so that the stricter label binds, and goes no further than either.
        """
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in rows:
            first = found.setdefault((row["type"], row["category"], row["value"]), row)
            if first is row:
                continue
            first["to_ids"] = first["to_ids"] or row["to_ids"]
            for name in ("Tag", "Galaxy", "Sighting"):
                if name in row:
                    first[name] = [*first.get(name, ()), *row[name]]
            levels = [int(one["distribution"]) for one in (first, row) if one["distribution"] != "5"]
            if levels:
                first.pop("SharingGroup", None)
                self._labels.put_level(first, narrow(levels[0], levels))
            if not row.get("deleted"):
                first.pop("deleted", None)
        return list(found.values())


def _seen(item: StixObject, *, to_ids: bool) -> dict[str, str]:
    """Return from when to when something was seen, as far as it says so; an indicator, from when it is valid."""
    properties = item.properties()
    found = {"first_seen": properties.get("first_observed"), "last_seen": properties.get("last_observed")}
    if item.valid_from and to_ids:
        found["first_seen"] = item.valid_from
    return {name: time for name, time in found.items() if isinstance(time, str)}


def _refs(item: StixObject) -> list[str]:
    refs = item.properties().get("object_refs")
    return [ref for ref in refs if isinstance(ref, str)] if isinstance(refs, list) else []


def _step(name: str) -> str:
    return name if name.isalnum() else f"'{name}'"
