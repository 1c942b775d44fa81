"""Sources to events in memory, range by range, for hunts that keep nothing; and the id of a range's segment."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import BinaryIO, cast

from aleat.errors import InputError, Issue, Place
from aleat.evidence.batch import EventBatch
from aleat.evidence.clock import refusal
from aleat.evidence.codepages import guess_page, sample_words, with_page
from aleat.evidence.head import HEAD_BYTES
from aleat.evidence.opener import Source
from aleat.evidence.reader import ByteRange, RangeResult, Reader, ReadOptions, RowsReader, reader_named
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.years import find_years, with_years, yearless_formats
from aleat.opening.streams import Ended
from aleat.stix.canonical import canonical_json
from aleat.store.lake import Lake, SegmentRow
from aleat.store.lake_files import ColumnFilter

__all__ = [
    "JoinedRead",
    "RangeRead",
    "can_join",
    "read_batches",
    "read_joined",
    "read_range",
    "read_segment",
    "segment_id",
    "source_ranges",
]


_HELD_BYTES = 64 * 1024 * 1024


def segment_id(data_sha256: str, span: ByteRange, reader: Reader, options: ReadOptions) -> str:
    """Return the id of a range's segment: equal for equal bytes, range, reader and options, whatever the path."""
    return hashlib.sha256(
        canonical_json(
            {
                "bytes": data_sha256,
                "range": [span.start, span.end],
                "reader": [reader.name, reader.version],
                "options": {**options.canonical(), "context": dict(span.context)},
            }
        )
    ).hexdigest()


def source_ranges(source: Source) -> Iterator[tuple[ByteRange, bytes]]:
    """Yield the source's ranges with their bytes, in order; raises `InputError` where it can't be read on."""
    reader = reader_named(source.reader)
    try:
        with source.stream() as stream:
            head = Ended(stream).read(HEAD_BYTES)
        with source.stream() as stream:
            ended = Ended(stream)  # a damaged archive's member is read to the damage, which is told then
            ranges = reader.cut(cast(BinaryIO, ended), head, source.options)
            for span, data in _spelled(source, _dated(source, reader, head, ranges)):
                if ended.fault is not None and source.reader == FILE_FORMAT:
                    break  # a file is what it is as a whole, or isn't
                yield span, data
            if ended.fault is not None:
                raise ended.fault
    except OSError as error:
        reason = f"It can't be read to its end: {error.strerror or type(error).__name__}."
        raise InputError(reason, Place(source.path), advice="What comes before was read.") from error


def _spelled(source: Source, ranges: Iterator[tuple[ByteRange, bytes]]) -> Iterator[tuple[ByteRange, bytes]]:
    """Give the ranges of a text that is no UTF-8 the page in which it seems to be written.

    It is guessed from the first range that has bytes which are no UTF-8, and holds from there on.
    """
    guess = None
    for span, data in ranges:
        if source.options.encoding is None and span.context.get("encoding") == "utf-8":
            guess = guess or guess_page(sample_words(BytesIO(data)))
        yield (span if guess is None else with_page(span, guess)), data


def _dated(
    source: Source, reader: Reader, head: bytes, ranges: Iterator[tuple[ByteRange, bytes]]
) -> Iterator[tuple[ByteRange, bytes]]:
    """Give the ranges of a log that writes no years the years in force, which all of it must be seen for.

    A short one is held in memory for that; a longer one is read twice.
    """
    formats = yearless_formats(reader)
    if not formats:
        return ranges
    held, size = [], 0
    for item in ranges:
        held.append(item)
        size += len(item[1])
        if size > _HELD_BYTES:
            break
    whole = b"".join(data for _, data in held) if size <= _HELD_BYTES else None
    with nullcontext(BytesIO(whole)) if whole is not None else source.stream() as stream:
        again = cast(BinaryIO, Ended(stream))
        years = find_years(again, head, formats, source.path, source.modified, source.options)
    ranges = chain(held, ranges)
    return ranges if years is None else with_years(ranges, years)


@dataclass(frozen=True, slots=True)
class RangeRead:
    """What one range of a source gave: its batches (record base 0 unless given), and what could not be read."""

    segment: str
    batches: tuple[EventBatch, ...]
    events: int
    issues: tuple[Issue, ...]


def read_range(source: Source, span: ByteRange, data: bytes, *, record_base: int = 0) -> RangeRead:
    """Read one range; a pure function of its arguments."""
    reader = reader_named(source.reader)
    segment = segment_id(hashlib.sha256(data).hexdigest(), span, reader, source.options)
    with paused_collector():
        result = reader.read(data, span, source.path, source.options)
    batches = tuple(
        EventBatch(source.path, segment, record_base, form, channel, table) for form, channel, table in result.tables
    )
    issues = (*span.notes, *result.issues, *encoding_issues(result, source.path, span))
    if (refused := refusal(issues, source.path, source.options)) is not None:
        return RangeRead(segment, (), 0, (refused.issue("evidence", source.path),))
    return RangeRead(segment, batches, result.events, issues)


@dataclass(frozen=True, slots=True)
class JoinedRead:
    """What several ranges gave, their events together: `parts` are the ranges' own reads, without batches.

    The batches name no source, and their records are counted through all parts: those of part n begin with
    `starts[n]`.
    """

    batches: tuple[EventBatch, ...]
    parts: tuple[RangeRead, ...]
    starts: tuple[int, ...]


def can_join(source: Source) -> bool:
    """Say whether a source's ranges can be read together with those of others like it."""
    options = source.options
    if options.zone or options.zones or options.assume_zone or options.strict_time:
        return False
    return isinstance(reader_named(source.reader), RowsReader)


def read_joined(ranges: Sequence[tuple[Source, ByteRange, bytes]]) -> JoinedRead:
    """Read ranges of sources for which `can_join` holds; a pure function, and many small ranges cost less so."""
    rows = WindowsTables()
    parts: list[RangeRead] = []
    starts: list[int] = []
    with paused_collector():
        for source, span, data in ranges:
            reader = reader_named(source.reader)
            assert isinstance(reader, RowsReader)  # noqa: S101 - the caller asked `can_join`
            starts.append(rows.events)
            result = reader.read_rows(data, span, source.path, source.options, rows)
            segment = segment_id(hashlib.sha256(data).hexdigest(), span, reader, source.options)
            issues = (*span.notes, *result.issues, *encoding_issues(result, source.path, span))
            parts.append(RangeRead(segment, (), rows.events - starts[-1], issues))
        batches = tuple(EventBatch("", "", 0, form, channel, table) for form, channel, table in rows.tables())
    return JoinedRead(batches, tuple(parts), tuple(starts))


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keep the garbage collector from walking rows and hits again and again: neither are cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def encoding_issues(result: RangeResult, path: str, span: ByteRange) -> Iterator[Issue]:
    """Yield a note for each encoding other than UTF-8 in which lines of the range were read."""
    for name, lines in sorted(result.encodings.items()):
        if name != "utf-8":
            reason = f"{lines} lines from here on are no UTF-8 and were read as {name}."
            others = " or ".join(f"--encoding {other}" for other in span.other_pages if other != name)
            advice = f"State another encoding if names look wrong{': ' if others else ''}{others}."
            yield Issue("evidence", "encoding", Place(path, offset=span.start), reason, advice, records=0)


def read_batches(source: Source, issues: list[Issue] | Callable[[Issue], None]) -> Iterator[EventBatch]:
    """Yield the source's events, at most one range in memory at a time; what can't be read goes to `issues`."""
    report = issues.append if isinstance(issues, list) else issues
    base = 0
    try:
        for span, data in source_ranges(source):
            read = read_range(source, span, data, record_base=base)
            for issue in read.issues:
                report(issue)
            yield from read.batches
            base += read.events
    except InputError as error:
        report(error.issue("evidence", source.path))


def read_segment(
    lake: Lake, row: SegmentRow, columns: Collection[str] | ColumnFilter | None = None
) -> Iterator[EventBatch]:
    """Yield a stored segment's events, as `read_batches` gave them; the evidence is its first source.

    `columns` narrows the field columns (``<field>|<kind>``) that are read from disk; fixed ones always come.
    """
    first = row.sources[0]
    for part in lake.read(row.id, columns):
        yield EventBatch(first.path, row.id, first.record_base, part.format, part.channel, part.table)
