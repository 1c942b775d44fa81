"""Looking something up in a lake: one event by its place or digest, and what kinds of events there are at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec
import pyarrow.compute as pc

from aleat.errors import InputError
from aleat.evidence import EventBatch, Source
from aleat.evidence.content import read_content
from aleat.evidence.opener import READ_BEFORE
from aleat.hunt.coverage import LogNotes, describe_batch
from aleat.hunt.event_digest import event_digests
from aleat.hunt.yara_hunt import FileContent
from aleat.store.database import Database
from aleat.store.hunts import read_facts
from aleat.store.lake import Lake, SegmentRow, SegmentSource

__all__ = ["file_content", "file_sources", "find_event", "lake_notes", "segment_sources"]

_DIGEST = re.compile(r"[0-9a-f]{32}")
_RECORD = re.compile(r"(.+)[:#]([0-9]{1,18})", re.DOTALL)
_LISTED = 5
_notes_decoder = msgspec.msgpack.Decoder(tuple[LogNotes, ...])

Progress = Callable[[int, int], None]


def find_event(lake: Lake, event: str, *, progress: Progress | None = None) -> tuple[EventBatch, int]:
    """Return the batch that holds an event, and its row there.

    `event` is ``EVIDENCE:RECORD`` (or ``EVIDENCE#RECORD``), the path as it was given (or an end of it that only one
    has) and the record's ordinal, or an event digest, for which all segments are looked through. Raises `InputError`
    where there is none.
    """
    if _DIGEST.fullmatch(event):
        return _by_digest(lake, event, progress)
    match = _RECORD.fullmatch(event)
    if match is None:
        raise InputError(f"{event[:80]!r} names no event.", advice="Write EVIDENCE:RECORD, or an event digest.")
    record = int(match[2])
    for source, segment in _places(lake, match[1]):
        if source.record_base <= record < source.record_base + segment.events:
            for batch in _batches(lake, segment, source):
                row = pc.index(batch.table["record"], record - source.record_base).as_py()
                if row >= 0:
                    return batch, row
    raise InputError(f"{match[1][-120:]} has no record {record}.", advice="Records are counted from 0.")


def file_sources(lake: Lake) -> dict[int, list[Source]]:
    """Return the sources of a lake, each with those that are copies of it behind it, as they can be opened now."""
    found: dict[int, list[Source]] = {}
    for row in lake.sources():
        file = lake.file_of(row.facts)
        source = Source(row.facts.path, file, row.facts.members, row.facts.reader, size=row.size, limits=READ_BEFORE)
        found.setdefault(row.same_as or row.id, []).append(source)
    return found


def segment_sources(lake: Lake, segment: SegmentRow) -> list[Source]:
    """Return the sources that hold a segment's bytes, copies among them, as they can be opened now."""
    held = file_sources(lake)
    return [source for place in segment.sources for source in held[place.source]]


def file_content(lake: Lake, batch: EventBatch) -> FileContent:
    """Return the file that a record of format "file" is about; raises `InputError` where its bytes aren't to be had."""
    row = next(row for row in lake.segments() if row.id == batch.segment)
    sources = segment_sources(lake, row)
    return FileContent(sources[0].path, read_content(sources, row.data_sha256))


def lake_notes(lake: Lake, database: Database) -> Iterator[tuple[str, tuple[LogNotes, ...]]]:
    """Yield (a source's path, what its segment holds) for every segment, from the ledger of hunts where it knows."""
    with database.read() as connection:
        known = dict(read_facts(connection))
    for segment in lake.segments():
        source = segment.sources[0]
        if segment.id in known:
            yield source.path, _notes_decoder.decode(known[segment.id])
        else:
            yield source.path, tuple(describe_batch(batch) for batch in _batches(lake, segment, source))


def _places(lake: Lake, path: str) -> list[tuple[SegmentSource, SegmentRow]]:
    """Return the places of the one source that has this path, or alone a path that ends so."""
    sources = {row.id: (row.facts.path, row.same_as or row.id) for row in lake.sources()}
    exact = {original for name, original in sources.values() if name == path}
    ending = {original for name, original in sources.values() if name.endswith((f"/{path}", f"!{path}"))}
    found = exact or ending
    if not found:
        raise InputError(f"There is no evidence {path[-120:]!r}.", advice="Give its path as it stands in a sighting.")
    if len(found) > 1 and not exact:
        names = ", ".join(sorted(sources[number][0] for number in found)[:_LISTED])
        raise InputError(f"{len(found)} sources are called {path[-120:]!r}: {names}.", advice="Give more of the path.")
    segments = lake.segments()
    return [(source, segment) for segment in segments for source in segment.sources if source.source in found]


def _batches(lake: Lake, segment: SegmentRow, source: SegmentSource) -> Iterator[EventBatch]:
    for table in lake.read(segment.id):
        yield EventBatch(source.path, segment.id, source.record_base, table.format, table.channel, table.table)


def _by_digest(lake: Lake, digest: str, progress: Progress | None) -> tuple[EventBatch, int]:
    segments = lake.segments()
    for done, segment in enumerate(segments):
        if progress is not None:
            progress(done, len(segments))
        for batch in _batches(lake, segment, segment.sources[0]):
            digests = event_digests(batch)
            if digest in digests:
                return batch, digests.index(digest)
    raise InputError(f"There is no event {digest} in this workspace.")
