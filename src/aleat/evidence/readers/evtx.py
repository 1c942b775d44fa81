"""Windows event logs in EVTX, whole or in pieces: chunk by chunk, with offsets and both checksums.

Chunks stand behind the file's header, one every 64 KiB. Where bytes were lost or put in between, or where there never
was a file (what was carved from a disk, from unused space, from memory), a chunk is found wherever its header is sound,
and records without a header by what they say of their own place (see `evtx_carve`). Each chunk is read by itself
(`evtx_records`). A chunk whose checksum doesn't fit is read all the same, and named. `offset` is the byte at which
the record's header (``2a 2a 00 00``) starts in the stream; `record_id` is the event's own EventRecordID; the time is
System.TimeCreated's, not the header's. A forwarded event's host is the one that wrote it (its `Computer`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from aleat.errors import Issue, Place
from aleat.evidence.evtx_carve import chunk_place, find_chunk
from aleat.evidence.evtx_chunk import CHUNK_BYTES, CHUNK_MAGIC, FILE_HEADER_BYTES, FILE_MAGIC, FileHeader, data_end
from aleat.evidence.evtx_records import ChunkReader
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.windows_rows import WindowsTables

__all__ = ["EvtxReader"]

_ZEROS = bytes(CHUNK_BYTES)
_CHUNK_HEADER = 512
_RECORD_MAGIC = b"**\0\0"
_LEAST_RECORD = 28  # its header, and the size again at its end


class EvtxReader:
    """Reads ``.evtx`` files."""

    name = "evtx"
    version = 2
    local_times = False

    def detect(self, head: Head) -> bool:
        """Say yes to the file's magic, to a chunk's magic where chunks stand, or to a sound chunk anywhere."""
        return _is_file(head.data) or find_chunk(head.data, 0, len(head.data)) is not None

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut between chunks; the file's header goes with the first range."""
        step = max(options.range_bytes // CHUNK_BYTES, 1) * CHUNK_BYTES
        header = FileHeader.parse(head[:128])
        context: dict[str, Any] = {"chunks": header.chunks if header.magic and header.checksum else None}
        if not _is_file(head):
            context = {"chunks": None, "carved": True}
        expected = FILE_HEADER_BYTES + CHUNK_BYTES * (context["chunks"] or 0)
        start, index, data = 0, 0, b""
        goal = step if "carved" in context else FILE_HEADER_BYTES + step
        ended = False
        while not ended or data:
            data, ended = _read_to(stream, data, goal + CHUNK_BYTES + _CHUNK_HEADER, ended)
            end = min(_boundary(data, goal), len(data))
            last = ended and end == len(data)
            if last and start + end < expected:
                context = {**context, "expected": expected}
            if end:
                yield ByteRange(index, start, start + end, context), data[:end]
            start, index, data, goal = start + end, index + 1, data[end:], step

    def record_length(self, data: bytes, at: int) -> int | None:
        """Return the size in the header of the record at `at`; None where that can't be one's."""
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        fits = _LEAST_RECORD <= size <= CHUNK_BYTES and at + size <= len(data)
        return size if fits and data[at : at + 4] == _RECORD_MAGIC else None

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
        chunks = ChunkReader(path, rows, result, slack=options.slack)
        if span.context.get("carved"):
            _Carving(data, span, path, result, chunks).read()
        else:
            _File(data, span, path, result, chunks).read()
        return result


def _is_file(head: bytes) -> bool:
    if head[:8] == FILE_MAGIC:
        return True
    starts = range(FILE_HEADER_BYTES, len(head), CHUNK_BYTES)
    return any(head[start : start + 8] == CHUNK_MAGIC for start in starts)


def _read_to(stream: BinaryIO, data: bytes, length: int, ended: bool) -> tuple[bytes, bool]:
    pieces, have = [data], len(data)
    while not ended and have < length:
        block = stream.read(length - have)
        ended = not block
        pieces.append(block)
        have += len(block)
    return b"".join(pieces), ended


def _boundary(data: bytes, goal: int) -> int:
    """Return where to cut at or after `goal`: behind a sound chunk that stands across it, or before one in it."""
    at = find_chunk(data, max(goal - CHUNK_BYTES + 1, 0), goal + 7)
    while at is not None and at < goal:
        following = find_chunk(data, at + 1, at + CHUNK_BYTES + 7)
        if following is None or following >= goal:
            return min(at + CHUNK_BYTES, len(data) if following is None else following)
        at = following
    return goal


class _File:
    """A range of a file in which a chunk is due every 64 KiB."""

    def __init__(self, data: bytes, span: ByteRange, path: str, result: RangeResult, chunks: ChunkReader) -> None:
        self._data = data
        self._span = span
        self._path = path
        self._result = result
        self._chunks = chunks
        self._used: int | None = None

    def read(self) -> None:
        data, position = self._data, 0
        if self._span.start == 0:
            position = min(FILE_HEADER_BYTES, len(data))
            _check_header(data, self._path, self._result)
            self._result.count("header", position)
        while position < len(data):
            end = min(position + CHUNK_BYTES, len(data))
            if data[position:end] == _ZEROS[: end - position]:
                self._zeroed(position, end - position)
            else:
                following = None
                if data[position : position + 8] != CHUNK_MAGIC or data[end : end + 8] not in (CHUNK_MAGIC, b""):
                    following = find_chunk(data, position + 1, end + 7)
                end = following if following is not None and following < end else end
                self._chunk(position, end, following == end)
            position = end
        _note_missing(self._span, self._path, self._result)

    def _chunk(self, position: int, end: int, is_cut: bool) -> None:
        """Read the chunk from `position` to `end`, which is short where the next comes too early, or the file ends."""
        data, start = self._data, self._span.start
        if end - position < CHUNK_BYTES:
            if is_cut:
                reason = "The next EVTX chunk begins before this one ends: bytes are missing, or were put in."
                self._result.lost(self._path, "misplaced-chunk", start + end, 0, reason, records=0)
            else:
                _note_truncated(data[position:end], start + position, self._path, self._result)
        if data[position : position + 8] != CHUNK_MAGIC:
            place = chunk_place(data, position, end)
            if place is not None and place != position:
                _read_pieces(data, position, end, self._span, self._chunks, self._result, self._path)
                return
        self._chunks.read(data[position:end], start + position)

    def _zeroed(self, position: int, length: int) -> None:
        """A zeroed chunk is lost data where the header counts it or data follows; behind that it is unused space."""
        if self._used is None:
            self._used = data_end(self._data)
        count = self._span.context.get("chunks")
        at = self._span.start + position
        if count is None or (at - FILE_HEADER_BYTES) // CHUNK_BYTES < count or position < self._used:
            reason = "The EVTX chunk holds nothing but zeros."
            self._result.lost(self._path, "zeroed-chunk", at, length, reason)
            self._result.count("damaged", length)
        else:
            self._result.count("empty", length)


class _Carving:
    """A range of bytes that are no EVTX file, and hold chunks, or records, somewhere."""

    def __init__(self, data: bytes, span: ByteRange, path: str, result: RangeResult, chunks: ChunkReader) -> None:
        self._data = data
        self._span = span
        self._path = path
        self._result = result
        self._chunks = chunks

    def read(self) -> None:
        data, position, found, other = self._data, 0, 0, self._result.account.get("other", 0)
        while position < len(data):
            start = find_chunk(data, position, len(data))
            if start is None or start > position:
                end = len(data) if start is None else start
                _read_pieces(data, position, end, self._span, self._chunks, self._result, self._path)
            if start is None:
                break
            following = find_chunk(data, start + 1, start + CHUNK_BYTES + 7)
            end = min(start + CHUNK_BYTES, len(data), following if following is not None else len(data))
            self._chunks.read(data[start:end], self._span.start + start)
            found, position = found + 1, end
        other = self._result.account.get("other", 0) - other
        reason = f"It is no EVTX file: {found} chunks were found in this part, and {other} bytes that are none of EVTX."
        place = Place(self._path, offset=self._span.start)
        self._result.issues.append(Issue("evidence", "carved", place, reason, records=0))


def _read_pieces(
    data: bytes, position: int, end: int, span: ByteRange, chunks: ChunkReader, result: RangeResult, path: str
) -> None:
    """Read records without their chunk's header in bytes `position` to `end`, where they tell their chunk's place."""
    file = not span.context.get("carved")
    while position < end:
        place = chunk_place(data, position, end)
        if place is None:
            break
        first = data.find(_RECORD_MAGIC, max(place + 512, position), end)
        _count_other(data, position, first, span, result, path, file)
        piece = bytes(first - place) + data[first : min(place + CHUNK_BYTES, end)]
        position = place + chunks.read_piece(piece, span.start + place, first - place)
    _count_other(data, position, end, span, result, path, file)


def _count_other(
    data: bytes, start: int, end: int, span: ByteRange, result: RangeResult, path: str, file: bool
) -> None:
    """Account for bytes that are no part of a chunk; within an EVTX file they are damage."""
    if start >= end:
        return
    if not file:
        result.count("other", end - start)
        return
    result.count("damaged", end - start)
    reason = "These bytes belong to no EVTX chunk that could be found."
    result.lost(path, "unreadable-range", span.start + start, end - start, reason)


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
