"""What is known, as its user sees it: lists with filters, and everything about one object.

Reads only: what an object is worth (`aleat.hunt.standing`), what is doubtful about it (`aleat.knowledge.quality`) and
what it hit (the ledger of hunts) are put together anew each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow.compute as pc

from aleat.errors import IntegrityError
from aleat.hunt.drive import hunt_lake
from aleat.hunt.from_store import PATTERN_TYPES
from aleat.hunt.indicator import Sighting
from aleat.hunt.result import HuntResult
from aleat.hunt.standing import confidence_left, copies_in_force, standing_of
from aleat.knowledge.quality import QualityLabel, version_labels
from aleat.stix.extensions import read_extension
from aleat.stix.objects import StixObject
from aleat.stix.pattern_paths import pattern_comparisons
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.store.database import Connection
from aleat.store.entries import list_digests, stored_rows
from aleat.store.hunts import get_run
from aleat.store.objects import StoredObject, find_objects, get_object, get_variants, iterate_objects
from aleat.store.objects_count import count_types
from aleat.store.withdrawn import newest_given
from aleat.trust.markings import read_marking
from aleat.workspace.called import name_of
from aleat.workspace.evidence import open_lake
from aleat.workspace.hunt import HuntVerbs
from aleat.workspace.knowledge_records import KnowledgeFilter, KnowledgeList, KnowledgeRow
from aleat.workspace.knowledge_terms import knowledge_terms
from aleat.workspace.quality import Doubts

__all__ = ["KnowledgeReader", "known_sightings"]

_BATCH = 2_000


def known_sightings(session: HuntVerbs) -> tuple[HuntResult | None, tuple[Sighting, ...]]:
    """Return what hunts found until now, with labels as they are now; nothing is hunted. None before the first hunt."""
    with session.read() as connection:
        if get_run(connection) is None:
            return None, ()
    now = session.now()
    result = hunt_lake(open_lake(session), session.database, session.plan(), time=now, actor=session.actor, as_of=now)
    return result, result.sightings


class KnowledgeReader:
    """Reads what is known through one connection, at one time."""

    def __init__(self, session: HuntVerbs, connection: Connection) -> None:
        self.session = session
        self.connection = connection
        self.time = session.now()
        self.terms = knowledge_terms(session, connection)
        self.doubts = Doubts(connection, session.folder)
        self._marks: dict[str, str] = {}
        self._ends: dict[str | None, str] = {}
        self._versions: dict[str, tuple[QualityLabel, ...]] = {}

    @cached_property
    def definitions(self) -> Mapping[str, StixObject]:
        """The marking definitions that are here, by id."""
        return {one.object.id: one.object for one in iterate_objects(self.connection, ["marking-definition"])}

    def select(
        self, wanted: KnowledgeFilter, *, limit: int | None, hits: Mapping[str, int] | None = None
    ) -> KnowledgeList:
        """Return the first `limit` objects that fit (None: all) and the counts of all; `hits` are events by object."""
        if limit is not None and wanted == KnowledgeFilter(types=wanted.types):
            return self._first(wanted.types, limit, hits)
        rows: list[KnowledgeRow] = []
        types: Counter[str] = Counter()
        for batch in _batches(self._fitting(wanted, hits)):
            shown = batch if limit is None or wanted.quality else batch[: limit - len(rows)]
            labels = self._quality(shown) if shown else {}
            for number, stored in enumerate(batch):
                quality = labels.get(stored.object.id, ())
                told = [label.code for label in quality] + ["any"] * bool(quality)
                if not _any_of(wanted.quality, told):
                    continue
                types[stored.object.type] += 1
                if number < len(shown) and (limit is None or len(rows) < limit):
                    rows.append(self.row(stored, quality, hits))
        return KnowledgeList(rows=tuple(rows), total=types.total(), types=dict(types.most_common()))

    def find(self, text: str) -> tuple[StoredObject, ...]:
        """Return the objects that an id, a name, an alias, an ATT&CK or rule id, or a value means."""
        by_id = get_variants(self.connection, text) if "--" in text else ()
        if by_id:
            return (newest_given(self.connection, by_id[0], self.terms.withdrawn),)
        indexed = [one for one in find_objects(self.connection, value=text) if _is_called(one.object, text)]
        exact = indexed or [one for one in iterate_objects(self.connection) if _is_called(one.object, text)]
        return tuple(exact) or self._with_value(text)

    def row(
        self,
        stored: StoredObject,
        quality: tuple[QualityLabel, ...] | None = None,
        hits: Mapping[str, int] | None = None,
    ) -> KnowledgeRow:
        """Return what a list shows of an object."""
        item = stored.object
        if quality is None:
            quality = self._quality([stored]).get(item.id, ())
        state, reason = self.state(stored)
        copies = copies_in_force(stored, self.terms) or stored.copies
        left = [confidence_left(item, copy, self.terms, self.time) for copy in copies]
        known = [one for one in left if one is not None]
        return KnowledgeRow(
            id=item.id,
            type=item.type,
            pattern_type=self.pattern_type(item),
            name=self.called(item),
            givers=tuple(dict.fromkeys(self.name(copy.giver) for copy in stored.copies)),
            markings=self.markings(stored),
            corpora=tuple(dict.fromkeys(copy.corpus for copy in stored.copies if copy.corpus)),
            modified=item.version,
            received=min((format_timestamp(copy.received) for copy in stored.copies), default=""),
            confidence=item.confidence,
            confidence_now=max(known) if known else None,
            state=state,
            reason=reason,
            conflict=bool(stored.conflicts),
            quality=quality,
            hits=None if hits is None else hits.get(item.id, 0),
        )

    def state(self, stored: StoredObject) -> tuple[str, str]:
        """Return an object's state (see `KnowledgeRow`), and why."""
        item = stored.object
        standing = standing_of(stored, self.terms)
        code, _, reason = standing.label.partition(": ") if standing is not None else ("", "", "")
        if code in ("revoked", "withdrawn"):
            return code, reason
        if item.type != "indicator":
            return "", ""
        listed = read_extension(item, "list") or {}
        if "warning" in listed:
            return "warns", "its values mean nothing wherever they occur"
        if not listed and item.pattern_type not in PATTERN_TYPES:
            return "kept", f"patterns of type {item.pattern_type} are not hunted for"
        over = standing is not None and self._over(standing.since)
        return code if over else "hunts", reason

    def name(self, giver: str) -> str:
        """Return what a giver is called."""
        return self.terms.names.get(giver, giver)

    def called(self, item: StixObject) -> str:
        """Return what an object is called; a relationship by what it is between."""
        if item.type != "relationship":
            return name_of(item)
        ends = (self._end(ref) for ref in (item.source_ref, item.target_ref))
        return f" {item.relationship_type} ".join(ends)

    def mark(self, id_: str) -> str:
        """Return what a marking is called."""
        if id_ not in self._marks:
            self._marks[id_] = read_marking(id_, self.definitions.get(id_)).name
        return self._marks[id_]

    def markings(self, stored: StoredObject) -> tuple[str, ...]:
        """Return the names of all markings on an object, its parts and its copies."""
        return tuple(dict.fromkeys(self.mark(ref) for ref in marking_refs(stored)))

    def pattern_type(self, item: StixObject) -> str:
        """Return an indicator's pattern type; "list" of a list."""
        if item.type != "indicator":
            return ""
        return "list" if read_extension(item, "list") is not None else item.pattern_type or ""

    # ------------------------------------------------------------------------------------------- inside

    def _first(self, types: tuple[str, ...], limit: int, hits: Mapping[str, int] | None) -> KnowledgeList:
        """Return the first objects of these types; the others are counted without being read."""
        counts = count_types(self.connection, types or None)
        found = list(find_objects(self.connection, types=types or None, limit=limit))
        given = [newest_given(self.connection, one, self.terms.withdrawn) for one in found]
        labels = self._quality(given)
        rows = tuple(self.row(one, labels.get(one.object.id, ()), hits) for one in given)
        return KnowledgeList(rows=rows, total=sum(counts.values()), types=counts)

    def _end(self, ref: str | None) -> str:
        if ref not in self._ends:
            stored = get_object(self.connection, ref) if ref else None
            self._ends[ref] = (name_of(stored.object) if stored is not None else "") or ref or "?"
        return self._ends[ref]

    def _over(self, since: int | None) -> bool:
        return since is None or since <= int(self.time.timestamp() * 1_000_000)

    def _quality(self, batch: list[StoredObject]) -> dict[str, tuple[QualityLabel, ...]]:
        """Return the quality labels of these objects by id; their versions are looked at where one was revoked."""
        found = dict(self.doubts.labels([one.object for one in batch]))
        for one in batch:
            doubtful = b'"revoked"' in one.object.raw or one.conflicts
            if doubtful and (labels := self._of_versions(one.object.id)):
                found[one.object.id] = (*found.get(one.object.id, ()), *labels)
        return found

    def _of_versions(self, id_: str) -> tuple[QualityLabel, ...]:
        if id_ not in self._versions:
            variants = get_variants(self.connection, id_)
            self._versions[id_] = version_labels(one.object for one in variants)
        return self._versions[id_]

    def _fitting(self, wanted: KnowledgeFilter, hits: Mapping[str, int] | None) -> Iterator[StoredObject]:
        types = list(wanted.types) or (["indicator"] if wanted.pattern_types else None)
        found: Iterable[StoredObject] = iterate_objects(self.connection, types)
        if wanted.value:
            found = (one for one in self._with_value(wanted.value) if types is None or one.object.type in types)
        for newest in found:
            stored = newest_given(self.connection, newest, self.terms.withdrawn)
            if self._fits(stored, wanted) and self._fits_state(stored, wanted, hits):
                yield stored

    def _fits(self, stored: StoredObject, wanted: KnowledgeFilter) -> bool:
        item = stored.object
        givers = (name for copy in stored.copies for name in (copy.giver, self.name(copy.giver)))
        return (
            _any_of(wanted.pattern_types, (self.pattern_type(item),))
            and _any_of(wanted.givers, givers)
            and _any_of(wanted.corpora, (copy.corpus or "" for copy in stored.copies))
            and _any_of(wanted.markings, marking_refs(stored))
            and _any_of(wanted.labels, item.labels)
            and _in_time(item.version, wanted.since, wanted.until)
            and (not wanted.text or _holds_text(item, wanted.text))
        )

    def _fits_state(self, stored: StoredObject, wanted: KnowledgeFilter, hits: Mapping[str, int] | None) -> bool:
        if not wanted.states:
            return True
        states = {self.state(stored)[0]}
        if stored.conflicts:
            states.add("conflict")
        if stored.object.type == "indicator":
            states.add("hit" if (hits or {}).get(stored.object.id) else "never-hit")
        return bool(states.intersection(wanted.states))

    def _with_value(self, value: str) -> tuple[StoredObject, ...]:
        """Return the objects that name a value exactly: in a pattern, as an observable, in a list."""
        found = {
            one.object.id: one for one in find_objects(self.connection, value=value) if has_value(one.object, value)
        }
        for digest in list_digests(self.connection):
            if _in_rows(self.connection, self.session.folder, digest, value):
                found.update((one.object.id, one) for one in find_objects(self.connection, value=digest))
        return tuple(found[id_] for id_ in sorted(found))


def has_value(item: StixObject, value: str) -> bool:
    """Say whether an object names a value: in its pattern, or as an observable's; lists are asked apart."""
    folded = value.casefold()
    if item.type == "indicator":
        return any(one.value.casefold() == folded for one in pattern_comparisons(item.pattern or ""))
    if item.created is not None:
        return False
    properties = item.properties()
    told = [properties.get(name) for name in ("value", "name", "key", "path", "user_id")]
    hashes = properties.get("hashes")
    told += list(hashes.values()) if isinstance(hashes, dict) else []
    return any(isinstance(one, str) and one.casefold() == folded for one in told)


def marking_refs(stored: StoredObject) -> tuple[str, ...]:
    """Return the ids of all markings on an object, on parts of it, and beside its copies."""
    item = stored.object
    parts = (part.marking_ref for part in item.granular_markings if part.marking_ref)
    beside = (ref for copy in stored.copies for ref in copy.markings)
    return tuple(dict.fromkeys((*item.object_marking_refs, *parts, *beside)))


def other_names(item: StixObject) -> tuple[str, ...]:
    """Return all that an object is asked for by beside its name: its aliases, and its ids elsewhere."""
    return tuple(dict.fromkeys([*aliases_of(item), *(id_ for id_, _ in ids_elsewhere(item))]))


def aliases_of(item: StixObject) -> tuple[str, ...]:
    """Return an object's other names; ids are none."""
    if b"alias" not in item.raw:
        return ()
    properties = item.properties()
    found = dict.fromkeys([*_texts(properties.get("aliases")), *_texts(properties.get("x_mitre_aliases"))])
    return tuple(name for name in found if name != item.name)


def ids_elsewhere(item: StixObject) -> tuple[tuple[str, str], ...]:
    """Return (id, whose it is) of the ids that others know an object by (ATT&CK's, CVE), and of its rule's own."""
    if b"external_id" not in item.raw and b"rule_id" not in item.raw:
        return ()
    found: dict[str, str] = {}
    references = item.properties().get("external_references")
    for one in references if isinstance(references, list) else ():
        if isinstance(one, dict) and one.get("external_id"):
            found.setdefault(str(one["external_id"]), str(one.get("source_name") or ""))
    rule = read_extension(item, "rule") or {}
    if rule.get("rule_id"):
        found.setdefault(str(rule["rule_id"]), "the rule's own")
    return tuple(found.items())


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _is_called(item: StixObject, text: str) -> bool:
    folded = text.casefold()
    return (item.name or "").casefold() == folded or folded in {one.casefold() for one in other_names(item)}


def _holds_text(item: StixObject, text: str) -> bool:
    folded = text.casefold()
    if folded in (item.name or "").casefold() or item.id == text:
        return True
    return any(folded == one.casefold() for one in other_names(item))


def _any_of(wanted: Sequence[str], there: Iterable[str]) -> bool:
    """Say whether any of what is wanted is there, whatever its case; nothing wanted is always there."""
    return not wanted or not {one.casefold() for one in wanted}.isdisjoint(one.casefold() for one in there)


def _in_time(version: str, since: datetime | None, until: datetime | None) -> bool:
    if since is None and until is None:
        return True
    if not version:
        return False
    time = parse_timestamp(version)
    return (since is None or time >= since) and (until is None or time < until)


def _in_rows(connection: Connection, root: Path, digest: str, value: str) -> bool:
    try:
        rows = stored_rows(connection, root, digest)
    except IntegrityError:
        return False
    wanted = {value, value.lower()}
    return any(pc.any(pc.equal(table.column("value"), one)).as_py() for table in rows.blocks() for one in wanted)


def _batches(found: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    batch: list[StoredObject] = []
    for stored in found:
        batch.append(stored)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
