"""Windows event logs in EVTX: chunk by chunk, with offsets, both checksums, and what is readable of broken ones.

The `evtx` wheel gets a sound file header and one chunk at a time. A sound chunk goes in as it is; one that
isn't is repaired in a copy (see `evtx_chunk`) and read record by record, and each byte range that gives no
event becomes an `Issue`. A chunk whose checksum doesn't fit is read all the same, and named. `offset` is the
byte at which the record's header (``2a 2a 00 00``) starts in the file; `record_id` is the event's own
EventRecordID; the time is System.TimeCreated's, not the header's.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import orjson
from evtx import PyEvtxParser

from aleat.evidence.evtx_chunk import (
    CHUNK_BYTES,
    CHUNK_MAGIC,
    FILE_HEADER_BYTES,
    FILE_MAGIC,
    GOOD_HEADER,
    Chunk,
    FileHeader,
    RecordSpan,
    repair_chunk,
)
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.windows_event import decode_events
from aleat.evidence.windows_rows import WindowsTables

__all__ = ["EvtxReader"]

_ZEROS = bytes(CHUNK_BYTES)

MAX_EVENT_CHARACTERS = 8 * 1024 * 1024
"""`event characters`: the longest JSON text of one event that is taken from the wheel (a record has < 64 KiB)."""


class EvtxReader:
    """Reads ``.evtx`` files."""

    name = "evtx"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes to the file's magic or, where that is broken, to a chunk's magic where chunks stand."""
        data = head.data
        if data[:8] == FILE_MAGIC:
            return True
        starts = range(FILE_HEADER_BYTES, len(data), CHUNK_BYTES)
        return any(data[start : start + 8] == CHUNK_MAGIC for start in starts)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at chunk boundaries; the file's header goes with the first range."""
        step = max(options.range_bytes // CHUNK_BYTES, 1) * CHUNK_BYTES
        header = FileHeader.parse(head[:128])
        context = {"chunks": header.chunks if header.magic and header.checksum else None}
        expected = FILE_HEADER_BYTES + CHUNK_BYTES * (context["chunks"] or 0)
        start, data = 0, stream.read(FILE_HEADER_BYTES + step)
        for index in range(2**31):
            following = stream.read(step) if data else b""
            end = start + len(data)
            if not following and end < expected:
                context = {**context, "expected": expected}
            if data:
                yield ByteRange(index, start, end, context), data
            if not following:
                return
            start, data = end, following

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the chunks of one range."""
        rows = WindowsTables()
        result = self.read_rows(data, span, path, options, rows)
        result.tables = list(rows.tables())
        return result

    def read_rows(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, rows: WindowsTables
    ) -> RangeResult:
        """Read the chunks of one range, its events into `rows`, which may hold those of other ranges already."""
        result = RangeResult()
        position = 0
        if span.start == 0:
            _check_header(data, path, result)
            position = FILE_HEADER_BYTES
        last_used = -1
        while position < len(data):
            at = span.start + position
            chunk = data[position : position + CHUNK_BYTES]
            if len(chunk) < CHUNK_BYTES:
                _note_truncated(chunk, at, path, result)
            if chunk != _ZEROS[: len(chunk)]:
                _read_chunk(chunk, at, path, rows, result)
            else:
                last_used = len(data.rstrip(b"\0")) if last_used < 0 else last_used
                _note_zeroed(span, at, len(chunk), position < last_used, path, result)
            position += CHUNK_BYTES
        _note_missing(span, path, result)
        return result


def _check_header(data: bytes, path: str, result: RangeResult) -> None:
    header = FileHeader.parse(data)
    if len(data) < FILE_HEADER_BYTES:
        reason = f"The EVTX file ends within its own header, which has {FILE_HEADER_BYTES} bytes."
        result.lost(path, "truncated", 0, len(data), reason, advice="Copy the file again from its source.")
    elif not header.magic:
        reason = "The EVTX file's header doesn't start with ElfFile; its chunks were read all the same."
        result.lost(path, "file-header", 0, FILE_HEADER_BYTES, reason, records=0)
    elif not header.checksum:
        reason = "The checksum of the EVTX file's header doesn't fit; its chunks were read all the same."
        result.lost(path, "file-header", 0, 128, reason, records=0)


def _note_truncated(chunk: bytes, at: int, path: str, result: RangeResult) -> None:
    reason = f"The EVTX file ends within a chunk: {len(chunk)} of {CHUNK_BYTES} bytes are there."
    advice = "What is there was read. Copy the file again from its source if that still exists."
    result.lost(path, "truncated", at + len(chunk), CHUNK_BYTES - len(chunk), reason, advice=advice)


def _note_missing(span: ByteRange, path: str, result: RangeResult) -> None:
    """Name the chunks that the file's header counts and that aren't there at all."""
    expected = span.context.get("expected")
    here = FILE_HEADER_BYTES + -(-(span.end - FILE_HEADER_BYTES) // CHUNK_BYTES) * CHUNK_BYTES
    if expected is not None and expected > here:
        chunks = (expected - here) // CHUNK_BYTES
        reason = f"The EVTX file ends before its last {chunks} chunks, which its header counts."
        advice = "Copy the file again from its source if that still exists."
        result.lost(path, "truncated", here, expected - here, reason, advice=advice)


def _note_zeroed(span: ByteRange, at: int, length: int, followed: bool, path: str, result: RangeResult) -> None:
    """A zeroed chunk is lost data where the header counts it or data follows; behind that it is unused space."""
    count = span.context.get("chunks")
    if count is None or (at - FILE_HEADER_BYTES) // CHUNK_BYTES < count or followed:
        result.lost(path, "zeroed-chunk", at, length, "The EVTX chunk holds nothing but zeros.")


def _read_chunk(data: bytes, at: int, path: str, rows: WindowsTables, result: RangeResult) -> None:
    chunk = Chunk.parse(data)
    if chunk.sound and len(data) == CHUNK_BYTES:
        if _read_sound(data, at, chunk, rows):
            return
    else:
        _note_faults(data, at, chunk, path, result)
    _read_repaired(data, at, chunk, path, rows, result)


def _records(chunk: bytes) -> Iterator[Any]:
    """Return the wheel's iterator over one chunk; a `next` that raises may be followed by one that doesn't."""
    parser = PyEvtxParser(io.BytesIO(GOOD_HEADER + chunk), number_of_threads=1)
    return cast("Iterator[Any]", parser.records_json())


def _read_sound(data: bytes, at: int, chunk: Chunk, rows: WindowsTables) -> bool:
    """Read a chunk whose checksums fit; False (and no row) where the wheel sees other records than the walk."""
    spans = chunk.spans
    try:
        records = list(_records(data))
        if [record["event_record_id"] for record in records] != [span.id for span in spans]:
            return False
        texts = [record["data"] for record in records]
    except (RuntimeError, ValueError, KeyError):
        return False
    if max(map(len, texts), default=0) > MAX_EVENT_CHARACTERS:
        return False
    offsets = [at + span.offset for span in spans]
    typed = decode_events(texts)
    if typed is not None and len(typed) == len(spans):
        rows.add_typed(offsets, typed)
        return True
    events = [_event(text) for text in texts]
    if any(isinstance(event, str) for event in events):
        return False
    for offset, event in zip(offsets, events, strict=True):
        rows.add_event(offset, cast("dict[str, Any]", event))
    return True


def _note_faults(data: bytes, at: int, chunk: Chunk, path: str, result: RangeResult) -> None:
    if not chunk.magic:
        reason = "The EVTX chunk doesn't start with ElfChnk; what looks like records was read."
        result.lost(path, "chunk-header", at, min(len(data), 512), reason, records=0)
    elif not chunk.header_checksum:
        reason = "The checksum of the EVTX chunk's header doesn't fit; its records were read all the same."
        result.lost(path, "chunk-header", at, min(len(data), 512), reason, records=0)
    if not chunk.records_checksum and len(data) == CHUNK_BYTES:
        reason = "The checksum over the EVTX chunk's records doesn't fit: they were read, and may have been changed."
        result.lost(path, "records-checksum", at + 512, max(chunk.end - 512, 0), reason, records=0)


def _read_repaired(data: bytes, at: int, chunk: Chunk, path: str, rows: WindowsTables, result: RangeResult) -> None:
    """Read record by record what the wheel can make of a damaged chunk; each record that fails is named."""
    outcomes = _outcomes(repair_chunk(data, chunk), len(chunk.spans))
    lost: list[tuple[RecordSpan, str]] = []
    for span in chunk.spans:
        if span.gap and span.size < 28:
            lost.append((span, "no record starts here"))
            continue
        record_id, outcome = next(outcomes, (span.id, "the chunk ends before it"))
        if isinstance(outcome, str):
            lost.append((span, outcome))
        elif record_id != span.id:
            lost.append((span, "another record was read in its place"))
        else:
            rows.add_event(at + span.offset, outcome)
            if span.gap:
                reason = "The record's header is damaged; its content was read."
                result.lost(path, "record-header", at + span.offset, span.size, reason, records=0)
    for span, why in lost:
        kind = "These bytes hold no readable EVTX record" if span.gap else "The EVTX record can't be read"
        records = None if span.gap else 1
        result.lost(path, "unreadable-range", at + span.offset, span.size, f"{kind}: {why}.", records=records)


def _outcomes(data: bytes, count: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (record id, event or what was wrong) for each record the wheel sees; never more than `count`."""
    try:
        records = _records(data)
    except RuntimeError:
        return
    for _ in range(count):
        try:
            record = next(records)
        except StopIteration:
            return
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic in the wheel is no Exception
            yield -1, _error_kind(error)
            continue
        yield record["event_record_id"], _event(record["data"])


def _event(text: str) -> dict[str, Any] | str:
    if len(text) > MAX_EVENT_CHARACTERS:
        return f"it unfolds to more than {MAX_EVENT_CHARACTERS} characters (limit: event characters)"
    try:
        event = orjson.loads(text)["Event"]
    except (ValueError, KeyError, TypeError):
        try:
            event = json.loads(text)["Event"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return "it holds no event"
    if not isinstance(event, dict) or not isinstance(event.get("System"), dict) or not event["System"]:
        return "it holds no System element"
    return event


def _error_kind(error: BaseException) -> str:
    """Name the wheel's error without any value from the record."""
    text = str(error)
    for part in _KINDS:
        if part in text:
            return part.lower()
    return "its binary XML is damaged"


_KINDS = (
    "Invalid EVTX record header magic",
    "out of bounds",
    "invalid byte",
    "buffer too small",
    "Unexpected EOF",
    "Unimplemented",
    "Failed to parse chunk",
)
