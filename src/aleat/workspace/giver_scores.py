"""What each giver's knowledge was worth, month by month of its coming: hits, confirmed and dismissed, ends, conflicts.

A hit is *confirmed* where its event was found by somebody else's knowledge, or another tool's alert, too; of two givers
of one object neither confirms the other. It is *dismissed* where an analyst said that it is normal. No other judgement
is made here, and none is a mark for a giver: who gives little may give the one that matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from aleat.hunt.alerts import is_alert
from aleat.hunt.indicator import Sighting
from aleat.hunt.standing import standing_code
from aleat.hunt.warning_lists import WARNING_LABEL
from aleat.stix.times import format_timestamp
from aleat.store.objects import Provenance, StoredObject, iterate_objects
from aleat.workspace.knowledge_records import GiverMonth
from aleat.workspace.knowledge_view import KnowledgeReader

__all__ = ["giver_months"]

_ALERT = "alert"


class _Found:
    """What was found, by object: events that count, events dismissed; and by event: which objects found it."""

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        self.hits: dict[str, set[str]] = defaultdict(set)
        self.dismissed: dict[str, set[str]] = defaultdict(set)
        self.by_event: dict[str, set[str]] = defaultdict(set)
        for one in sightings:
            if one.hidden_by is None:
                self.by_event[one.event].add(_ALERT if is_alert(one) else one.ref)
                self.hits[one.ref].add(one.event)
            elif not standing_code(one.hidden_by) and not one.hidden_by.startswith(WARNING_LABEL):
                self.dismissed[one.ref].add(one.event)


def giver_months(reader: KnowledgeReader, sightings: Iterable[Sighting]) -> tuple[GiverMonth, ...]:
    """Return one row for each giver and month in which it gave something, by giver and month."""
    found = _Found(sightings)
    givers: dict[str, frozenset[str]] = {}
    rows: dict[tuple[str, str], GiverMonth] = {}
    batch: list[StoredObject] = []
    ended: list[tuple[StoredObject, Provenance]] = []
    for stored in iterate_objects(reader.connection):
        if stored.object.id in found.hits:
            givers[stored.object.id] = frozenset(copy.giver for copy in stored.copies)
        batch.append(stored)
        if len(batch) >= 2_000:
            _count(reader, batch, rows)
            batch = []
        if stored.object.id in found.hits or stored.object.id in found.dismissed:
            ended += ((stored, copy) for copy in _first_copies(stored))
    _count(reader, batch, rows)
    for stored, copy in ended:
        key = (reader.name(copy.giver), format_timestamp(copy.received)[:7])
        hits = found.hits.get(stored.object.id, set())
        row = rows[key]
        rows[key] = msgspec.structs.replace(
            row,
            hit=row.hit + bool(hits),
            hits=row.hits + len(hits),
            confirmed=row.confirmed + sum(_confirmed(found, givers, event, copy.giver) for event in hits),
            dismissed=row.dismissed + len(found.dismissed.get(stored.object.id, ())),
        )
    return tuple(rows[key] for key in sorted(rows))


def _confirmed(found: _Found, givers: dict[str, frozenset[str]], event: str, giver: str) -> bool:
    return any(ref == _ALERT or (ref in givers and giver not in givers[ref]) for ref in found.by_event[event])


def _count(reader: KnowledgeReader, batch: list[StoredObject], rows: dict[tuple[str, str], GiverMonth]) -> None:
    """Add what is told of objects without what they hit."""
    labels = reader.doubts.labels([stored.object for stored in batch])
    for stored in batch:
        item = stored.object
        state, _ = reader.state(stored)
        for copy in _first_copies(stored):
            key = (reader.name(copy.giver), format_timestamp(copy.received)[:7])
            row = rows.get(key) or GiverMonth(giver=key[0], month=key[1])
            gone = (copy.giver, copy.agreement, item.digest) in reader.terms.withdrawn
            rows[key] = msgspec.structs.replace(
                row,
                objects=row.objects + 1,
                indicators=row.indicators + (item.type == "indicator"),
                expired=row.expired + (state == "expired"),
                withdrawn=row.withdrawn + (gone or state == "revoked"),
                conflicts=row.conflicts + bool(stored.conflicts),
                doubtful=row.doubtful + (item.id in labels),
            )


def _first_copies(stored: StoredObject) -> Iterator[Provenance]:
    """Yield each giver's first copy."""
    seen: set[str] = set()
    for copy in sorted(stored.copies, key=lambda copy: copy.received):
        if copy.giver not in seen:
            seen.add(copy.giver)
            yield copy
