"""Re-checking a lake: every segment's bytes, every row against its ledger entry, every source where it lies.

Evidence by reference that isn't there is *absent*, which is no fault; all else that doesn't fit is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.stix.canonical import canonical_json
from aleat.store.lake import Coverage, Lake, SourceRow, coverage, coverage_digest, ranges, segments, sources
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
        elif (entry["file_sha256"], entry["data_sha256"], entry["events"]) != (
            row.file_sha256,
            row.data_sha256,
            row.events,
        ) or entry["coverage_sha256"] != coverage_digest(cells.get(row.id, [])):
            yield LakeFault("row-changed", subject, "The segment's row differs from its ledger entry.")
    for missing in sorted(entries):
        yield LakeFault("row-missing", f"segment {missing}", "The ledger names a segment that has no row.")


def _verify_sources(lake: Lake) -> Iterator[LakeFault]:
    with lake.database.read() as connection:
        entries = [
            *read_entries(connection, "custody", "source"),
            *read_entries(connection, "custody", "copy"),
        ]
        added = {row.id: row for row in connection.execute(sa.select(sources))}
        bases = _bases(connection)
    said = {(entry.data["path"], entry.data["sha256"]): entry.data for entry in entries}
    for source in lake.sources():
        if added[source.id].path != source.facts.path or bases.get(source.id):
            yield LakeFault("row-changed", source.facts.path, "The source's row or its ranges were changed.")
        if not source.complete:
            continue
        data = said.pop((source.facts.path, source.sha256), None)
        if data is None:
            yield LakeFault("row-changed", source.facts.path, "The ledger has no entry for this source's row.")
        elif data.get("same_as") != source.same_as:
            yield LakeFault("row-changed", source.facts.path, "The source's row differs from its ledger entry.")
        elif source.same_as is None:
            listed = [[row.start, row.end, row.segment] for row in lake.source_ranges(source.id)]
            facts = source.facts.canonical()
            same = data["ranges_sha256"] == hashlib.sha256(canonical_json(listed)).hexdigest()
            if not same or any(data[name] != value for name, value in facts.items()) or data["size"] != source.size:
                yield LakeFault("row-changed", source.facts.path, "The source's row differs from its ledger entry.")
    for path, _ in sorted(said):
        yield LakeFault("row-missing", path, "The ledger names a source that has no row.")


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
