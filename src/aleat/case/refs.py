"""References: from a sighting back to the bytes that it stands on."""

from __future__ import annotations

from collections.abc import Iterable

from aleat.case.records import EvidenceRef, SourceRow
from aleat.hunt.indicator import Sighting

__all__ = ["ReferenceMaker"]


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
