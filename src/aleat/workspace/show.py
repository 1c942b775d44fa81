"""From an event back to its original bytes: source, container, record, offset, and whether the range still fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from aleat.errors import InputError
from aleat.evidence import EventBatch
from aleat.evidence.content import read_original
from aleat.evidence.reader import MeasuresRecords, reader_named
from aleat.hunt.in_lake import find_event, segment_sources
from aleat.hunt.rows import RowReader
from aleat.store.lake import Lake, RangeRow, SourceRow
from aleat.workspace.core import Session
from aleat.workspace.evidence import open_lake
from aleat.workspace.progress import Progress, silent

__all__ = ["ShownEvent", "show_event"]


class ShownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it was read, and the bytes that it was read from.

    `offset` and `length` are in bytes of the innermost decompressed stream, `time` in microseconds since 1970.
    `state` says of the evidence's range: "fits" (its SHA-256 is the one in the ledger), "absent" or "changed";
    without "fits" there are no bytes, and `reason` says why.
    """

    evidence: str
    source: int
    kept: str
    """"copy" or "reference"."""
    container_sha256: str
    """Of the archive that it lies in; "" where it lies in none."""
    source_sha256: str
    record: int
    offset: int
    length: int | None
    range_start: int
    range_end: int
    range_sha256: str
    segment: str
    state: str
    reason: str = ""
    original: bytes = b""
    event: str
    time: int | None
    host: str
    format: str
    channel: str
    reader: str
    fields: dict[str, Any]


def show_event(session: Session, event: str, *, progress: Progress = silent) -> ShownEvent:
    """Return an event (EVIDENCE:RECORD, or an event digest) with its original bytes, checked by their hash.

    Raises `InputError` where there is no such event.
    """
    lake = open_lake(session)
    batch, row = find_event(lake, event, progress=lambda done, total: progress("events", done, total))
    segment = next(one for one in lake.segments() if one.id == batch.segment)
    held = {one.id: one for one in lake.sources()}
    place = next(one for one in segment.sources if one.path == batch.evidence)
    source = held[place.source]
    span = next(one for one in lake.source_ranges(place.source) if one.segment == segment.id)
    offset = batch.table["offset"][row].as_py()
    state, reason, data, length = "fits", "", b"", None
    try:
        data = read_original(segment_sources(lake, segment), span.start, span.end, segment.data_sha256)
    except InputError as error:
        state, reason = error.code, error.reason
    else:
        length = _length(lake, batch, source, span, offset, data)
    at = offset - span.start
    return ShownEvent(
        evidence=batch.evidence,
        source=source.id,
        kept="copy" if source.facts.copied else "reference",
        container_sha256=source.facts.container_sha256 if source.facts.members else "",
        source_sha256=source.sha256 or "",
        record=batch.table["record"][row].as_py() + batch.record_base,
        offset=offset,
        length=length,
        range_start=span.start,
        range_end=span.end,
        range_sha256=segment.data_sha256,
        segment=segment.id,
        state=state,
        reason=reason,
        original=data[at : at + (length or 0)],
        time=batch.table["time"].cast("int64")[row].as_py(),
        host=batch.table["host"][row].as_py() or "",
        format=batch.format,
        channel=batch.channel,
        reader=f"{source.facts.reader}/{source.facts.reader_version}",
        **_told(batch, row),
    )


def _told(batch: EventBatch, row: int) -> dict[str, Any]:
    reader = RowReader(batch, [row])
    return {"event": reader.event(row), "fields": reader.fields(row)}


def _length(lake: Lake, batch: EventBatch, source: SourceRow, span: RangeRow, offset: int, data: bytes) -> int:
    """Return how long a record is: as it says itself, else up to what comes next in its range."""
    stated = _stated_length(source.facts.reader, data, offset - span.start)
    if stated is not None:
        return stated
    following = [span.end, *_starts(lake, batch.segment, offset)]
    unread = (issue for issue in lake.source_issues(source) if issue.length)
    following += [issue.place.offset for issue in unread if issue.place.offset is not None]
    return min(start for start in following if start > offset) - offset


def _stated_length(name: str, data: bytes, at: int) -> int | None:
    """Return how long a record says that it is; None where it doesn't, or this version has no such reader."""
    try:
        reader = reader_named(name)
    except KeyError:
        return None
    return reader.record_length(data, at) if isinstance(reader, MeasuresRecords) else None


def _starts(lake: Lake, segment: str, offset: int) -> Iterator[int]:
    """Yield, of each table of a segment, where the next record starts."""
    for part in lake.read(segment, ()):
        offsets = part.table["offset"].to_numpy()
        later = offsets[offsets > offset]
        if len(later):
            yield int(np.min(later))
