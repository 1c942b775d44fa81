"""Times and references: from a sighting to an aware time, and back to the bytes that it stands on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from aleat.case.records import EvidenceRef, SourceRow
from aleat.hunt.indicator import Sighting

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "ReferenceMaker", "from_micros", "micros_of"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""In microseconds, the unit of `Sighting.time`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970-01-01T00:00Z."""
    return _EPOCH + timedelta(microseconds=int(micros))


def micros_of(time: datetime) -> int:
    """Return microseconds since 1970-01-01T00:00Z of an aware time."""
    return (time - _EPOCH) // timedelta(microseconds=1)


class ReferenceMaker:
    """Makes `EvidenceRef`s; knows the SHA-256 of each source by its path (empty where custody doesn't)."""

    def __init__(self, sources: Iterable[SourceRow] = ()) -> None:
        self._sha256 = {source.path: source.sha256 for source in sources}

    def of(self, sighting: Sighting) -> EvidenceRef:
        """Return the reference of a sighting's record."""
        return self.at(sighting.evidence, sighting.record, sighting.offset, sighting.event)

    def at(self, evidence: str, record: int, offset: int, event: str = "") -> EvidenceRef:
        """Return the reference of a record."""
        return EvidenceRef(evidence, self._sha256.get(evidence, ""), int(record), int(offset), event)

    def all_of(self, sightings: Iterable[Sighting], most: int = 5) -> tuple[EvidenceRef, ...]:
        """Return references of the first `most` distinct records, in the order given."""
        found: dict[EvidenceRef, None] = {}
        for sighting in sightings:
            found.setdefault(self.of(sighting))
            if len(found) >= most:
                break
        return tuple(found)
