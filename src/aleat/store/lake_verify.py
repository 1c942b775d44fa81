"""Re-checking a lake: every segment's bytes, every row against its ledger entry, every source where it lies.

Evidence by reference that isn't there is *absent*, which is no fault; all else that doesn't fit is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.store.lake import (
    Coverage,
    Lake,
    SourceRow,
    coverage,
    coverage_digest,
    ranges,
    ranges_digest,
    segments,
    sources,
)
from aleat.store.lake_files import hash_file
from aleat.store.ledger import read_entries

__all__ = ["LakeFault", "verify_lake"]


@dataclass(frozen=True, slots=True)
class LakeFault:
    """Something in the lake that doesn't fit: `kind` is a short word, `subject` the file or row.

    `absent` marks evidence by reference that can't be looked at: it is reported, and is no fault.
    """

    kind: str
    subject: str
    reason: str
    absent: bool = False


def verify_lake(lake: Lake, *, evidence: bool = True) -> Iterator[LakeFault]:
    """Yield every fault: in segment files and rows, and (with `evidence`) in the sources themselves.

    The ledger's own chain is checked by `aleat.store.ledger.verify_ledger`.
    """
    yield from _verify_segments(lake)
    try:
        lake.sources()
    except IntegrityError as error:  # nothing more can be said about sources than that
        yield LakeFault("row-changed", "sources", str(error))
        return
    yield from _verify_sources(lake)
    if evidence:
        yield from _verify_evidence(lake)


_SEGMENT_COLUMNS = (
    "data_sha256",
    "file_sha256",
    "file_size",
    "events",
    "reader",
    "encodings",
    "coverage_sha256",
)


def _differences(
    entry: Mapping[str, Any], found: Mapping[str, Any], names: Iterable[str], subject: str, what: str
) -> Iterator[LakeFault]:
    """Yield a fault where a row differs from its ledger entry; entries of earlier versions don't name all."""
    different = [name for name in names if name in entry and entry[name] != found[name]]
    if different:
        reason = f"The {what}'s row differs from its ledger entry ({', '.join(different)})."
        yield LakeFault("row-changed", subject, reason)


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _verify_segments(lake: Lake) -> Iterator[LakeFault]:
    with lake.database.read() as connection:
        rows = connection.execute(sa.select(segments).order_by(segments.c.id)).all()
        cells: dict[str, list[Coverage]] = {}
        for cell in connection.execute(sa.select(coverage)):
            cells.setdefault(cell.segment, []).append(
                Coverage(cell.host, cell.format, cell.channel, cell.first, cell.last, cell.events)
            )
        entries = {entry.data["segment"]: entry.data for entry in read_entries(connection, "custody", "segment")}
    for row in rows:
        path = lake.segment_path(row.id)
        if not path.is_file():
            yield LakeFault("segment-missing", str(path), "The segment's file is missing.")
        elif hash_file(path) != row.file_sha256:
            yield LakeFault("segment-changed", str(path), "The segment's bytes were changed since they were committed.")
        entry = entries.pop(row.id, None)
        subject = f"segment {row.id}"
        if entry is None:
            yield LakeFault("row-changed", subject, "The ledger has no entry for this segment's row.")
            continue
        found = {**row._mapping, "coverage_sha256": coverage_digest(cells.get(row.id, []))}
        found["encodings"] = _json(row.encodings)
        yield from _differences(entry, found, _SEGMENT_COLUMNS, subject, "segment")
    for missing in sorted(entries):
        yield LakeFault("row-missing", f"segment {missing}", "The ledger names a segment that has no row.")


def _verify_sources(lake: Lake) -> Iterator[LakeFault]:
    with lake.database.read() as connection:
        entries = [
            *read_entries(connection, "custody", "source"),
            *read_entries(connection, "custody", "copy"),
        ]
        given_up = {entry.data["source"]: entry.data for entry in read_entries(connection, "custody", "abandoned")}
        exact = all("reader" in entry.data for entry in read_entries(connection, "custody", "segment"))
        added = {row.id: row for row in connection.execute(sa.select(sources))}
        bases = _bases(connection)
    said = _Said(entry.data for entry in entries)
    for source in lake.sources():
        path, row = source.facts.path, added[source.id]
        if row.path != path or bases.get(source.id):
            yield LakeFault("row-changed", path, "The source's row or its ranges were changed.")
        entry = given_up.pop(source.id, None)
        if row.abandoned != (entry is not None) and (exact or entry is not None or source.complete):
            yield LakeFault("row-changed", path, "The source's row differs from its ledger entry (abandoned).")
        if source.complete:
            entry = said.take(source)
            if entry is None:
                yield LakeFault("row-changed", path, "The ledger has no entry for this source's row.")
        if entry is not None:
            found = {"same_as": source.same_as, "size": source.size, "added": source.added, "added_by": source.actor}
            found["ranges_sha256"] = ranges_digest(lake.source_ranges(source.id))
            found |= source.facts.canonical()
            yield from _differences({"same_as": None, **entry}, found, found, path, "source")
    for path in sorted(entry["path"] for entry in (*said.left(), *given_up.values())):
        yield LakeFault("row-missing", path, "The ledger names a source that has no row.")


class _Said:
    """What the ledger says of finished sources: by the row's number, or as earlier versions did, by path and bytes."""

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self._numbered: dict[int, dict[str, Any]] = {}
        self._named: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for data in entries:
            if "source" in data:
                self._numbered[data["source"]] = data
            else:
                self._named.setdefault((data["path"], data["sha256"]), []).append(data)

    def take(self, source: SourceRow) -> dict[str, Any] | None:
        """Return the entry of a row, and count it as found."""
        if (numbered := self._numbered.get(source.id)) is not None and numbered["sha256"] == source.sha256:
            return self._numbered.pop(source.id)
        named = self._named.get((source.facts.path, source.sha256 or ""), [])
        options = dict(source.facts.options)  # the same bytes may have come in again, to be read otherwise
        fitting = [place for place, data in enumerate(named) if data.get("options", options) == options]
        return named.pop((fitting or [0])[0]) if named else None

    def left(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that no row was found for."""
        yield from self._numbered.values()
        for entries in self._named.values():
            yield from entries


def _bases(connection: sa.Connection) -> dict[int, bool]:
    """Return, for each source, whether a range's place or its number of records before it is wrong."""
    events = {row.id: row.events for row in connection.execute(sa.select(segments.c.id, segments.c.events))}
    wrong: dict[int, bool] = {}
    expected: dict[int, tuple[int, int]] = {}
    for row in connection.execute(sa.select(ranges).order_by(ranges.c.source, ranges.c.ordinal)):
        ordinal, base = expected.get(row.source, (0, 0))
        wrong[row.source] = wrong.get(row.source, False) or (row.ordinal, row.record_base) != (ordinal, base)
        expected[row.source] = (ordinal + 1, base + events.get(row.segment, 0))
    return wrong


def _verify_evidence(lake: Lake) -> Iterator[LakeFault]:
    hashes: dict[Path, str | None] = {}
    for source in lake.sources():
        facts = source.facts
        expected = facts.container_sha256 or source.sha256
        if expected is None:  # an ingest that was cut off: its segments were checked
            continue
        path = lake.file_of(facts)
        if path not in hashes:
            hashes[path] = _hash_or_none(path)
        found = hashes[path]
        if found is None and facts.copied:
            yield LakeFault("evidence-missing", str(path), f"The workspace's copy of {facts.path} is missing.")
        elif found is None:
            reason = "The evidence isn't there (it was added by reference); its segments were checked."
            yield LakeFault("evidence-absent", facts.path, reason, absent=True)
        elif found != expected:
            yield LakeFault("evidence-changed", facts.path, _changed(lake, source, path))


def _hash_or_none(path: Path) -> str | None:
    try:
        return hash_file(path)
    except OSError:
        return None


def _changed(lake: Lake, source: SourceRow, path: Path) -> str:
    """Say which ranges of a plain file changed, where that can be told."""
    if source.facts.members:
        return "The archive's bytes were changed since it was added."
    with lake.database.read() as connection:
        rows = connection.execute(sa.select(segments.c.id, segments.c.data_sha256))
        known = {row.id: row.data_sha256 for row in rows}
    changed = []
    with path.open("rb") as file:
        for row in lake.source_ranges(source.same_as or source.id):
            file.seek(row.start)
            if hashlib.sha256(file.read(row.end - row.start)).hexdigest() != known.get(row.segment):
                changed.append(f"{row.start} to {row.end}")
    where = f" Changed: bytes {', '.join(changed[:5])}." if changed else " Bytes were added at its end."
    return f"The evidence's bytes were changed since it was added.{where}"
