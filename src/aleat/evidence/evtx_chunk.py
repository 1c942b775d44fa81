"""The outer structure of EVTX: file header, 64 KiB chunks, record headers, checksums.

Layout after libevtx's "Windows XML Event Log (EVTX) format" documentation. The records' binary XML is read
by the `evtx` wheel, which gives no offsets, checks no checksum and ends a chunk at the first broken record
header; so the walk over the headers, the checks and the repair of what the wheel trips over are here. A
repair touches headers only, and only in the copy that is handed to the wheel: the record's own bytes are
read as they are, or not at all.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "CHUNK_BYTES",
    "FILE_HEADER_BYTES",
    "GOOD_HEADER",
    "Chunk",
    "FileHeader",
    "RecordSpan",
    "data_end",
    "repair_chunk",
]

FILE_HEADER_BYTES = 4096
CHUNK_BYTES = 65536
FIRST_RECORD = 512
RECORD_OVERHEAD = 28  # header of 24 bytes, and the copy of the size at the end
FILE_MAGIC = b"ElfFile\0"
CHUNK_MAGIC = b"ElfChnk\0"
RECORD_MAGIC = b"\x2a\x2a\0\0"
_MAX_ID = 2**64 - 1
_GAP_ID = 2**63
_MAX_ID_STEP = 100_000

_u16 = struct.Struct("<H").unpack_from
_u32 = struct.Struct("<I").unpack_from
_record = struct.Struct("<4sIQ").unpack_from


def _good_header() -> bytes:
    head = FILE_MAGIC + struct.pack("<QQQIHHHH", 0, 0, 1, 128, 1, 3, FILE_HEADER_BYTES, 1)
    head = head.ljust(124, b"\0")
    return (head + struct.pack("<I", zlib.crc32(head[:120]))).ljust(FILE_HEADER_BYTES, b"\0")


GOOD_HEADER = _good_header()
"""A sound header of a file with one chunk."""


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the file's header says of itself."""

    magic: bool
    checksum: bool
    chunks: int

    @classmethod
    def parse(cls, data: bytes) -> FileHeader:
        """Read the first 128 bytes; shorter ones have neither magic nor checksum."""
        if len(data) < 128:
            return cls(data[:8] == FILE_MAGIC, False, 0)
        checksum = zlib.crc32(data[:120]) == _u32(data, 124)[0]
        return cls(data[:8] == FILE_MAGIC, checksum, _u16(data, 42)[0])


class RecordSpan(NamedTuple):
    """A record's place in its chunk; `gap` marks bytes between records that hold no sound record header."""

    offset: int
    size: int
    id: int
    gap: bool = False


@dataclass(slots=True)
class Chunk:
    """One chunk's structure: which checks it passes, where its records are, where its data ends."""

    magic: bool
    header_checksum: bool
    records_checksum: bool
    end: int
    spans: list[RecordSpan]

    @property
    def sound(self) -> bool:
        """Whether the wheel can be given the chunk as it is."""
        return self.magic and self.header_checksum and self.records_checksum and not self.gaps

    @property
    def gaps(self) -> bool:
        """Whether bytes between records hold no sound record header."""
        return any(span.gap for span in self.spans)

    @classmethod
    def parse(cls, data: bytes, first: int = FIRST_RECORD) -> Chunk:
        """Walk a chunk of up to 64 KiB from its `first` record; a shorter one is walked as far as it goes."""
        whole = len(data) == CHUNK_BYTES
        magic = data[:8] == CHUNK_MAGIC
        if len(data) < first:
            return cls(magic, False, False, len(data), [])
        free = _u32(data, 48)[0]
        header_checksum = zlib.crc32(data[128:512], zlib.crc32(data[:120])) == _u32(data, 124)[0]
        in_chunk = FIRST_RECORD <= free <= CHUNK_BYTES
        records_checksum = whole and in_chunk and zlib.crc32(data[FIRST_RECORD:free]) == _u32(data, 52)[0]
        trusted = in_chunk and (header_checksum or records_checksum)
        end = min(free, len(data)) if trusted else len(data)
        spans = _walk(data, first, end, trusted)
        if not trusted:
            end = spans[-1].offset + spans[-1].size if spans else first
        return cls(magic, header_checksum, records_checksum, end, spans)


def _walk(data: bytes, first: int, end: int, trusted: bool) -> list[RecordSpan]:
    """Return the spans of bytes `first` to `end`; without a trusted end, stop where no later record fits the order."""
    spans: list[RecordSpan] = []
    position, last_id = first, -1
    while trusted and position < end:  # the usual case: one sound header after the other
        magic, size, number = _record(data, position) if position + 24 <= end else (b"", 0, 0)
        if magic != RECORD_MAGIC or size < RECORD_OVERHEAD or size > end - position:
            spans.clear()
            position = first
            break
        spans.append(RecordSpan(position, size, number))
        position += size
    while position < end:
        if size := _record_size(data, position, end):
            last_id = _record(data, position)[2]
            spans.append(RecordSpan(position, size, last_id))
            position += size
            continue
        following = _next_record(data, position + 1, end, None if trusted else last_id)
        if following is None:
            if trusted or spans == [] or not _only_slack(data, position, end, last_id):
                tail = end if trusted else data_end(data, position, end)
                if tail > position:
                    spans.append(RecordSpan(position, tail - position, _GAP_ID + position, gap=True))
            break
        spans.append(RecordSpan(position, following - position, _GAP_ID + position, gap=True))
        position = following
    return spans


def _record_size(data: bytes, position: int, end: int) -> int:
    """Return the size of the record at `position`, or 0 where no sound record header stands there."""
    if end - position < RECORD_OVERHEAD:
        return 0
    magic, size, _ = _record(data, position)
    if magic != RECORD_MAGIC or not RECORD_OVERHEAD <= size <= end - position:
        return 0
    after = position + size
    if _u32(data, after - 4)[0] == size or after == end or data[after : after + 4] == RECORD_MAGIC:
        return int(size)
    return 0


def _next_record(data: bytes, position: int, end: int, last_id: int | None) -> int | None:
    while True:
        position = data.find(RECORD_MAGIC, position, end)
        if position < 0:
            return None
        if _record_size(data, position, end):
            number = _record(data, position)[2]
            if last_id is None or last_id < 0 or last_id < number <= last_id + _MAX_ID_STEP:
                return position
        position += 1


def _only_slack(data: bytes, position: int, end: int, last_id: int) -> bool:
    """Say whether what follows the last record is unused space: zeros, or an older record left behind."""
    if data_end(data, position, end) == position:
        return True
    return _record_size(data, position, end) > 0 and _record(data, position)[2] <= last_id


def data_end(data: bytes, start: int = 0, end: int | None = None) -> int:
    """Return where the zeros begin with which `data[start:end]` ends, by halving (`rstrip` looks at every byte)."""
    end = len(data) if end is None else end
    zeros, limit = 0, end - start
    while zeros < limit:
        middle = (zeros + limit + 1) // 2
        if data.endswith(bytes(middle), start, end):
            zeros = middle
        else:
            limit = middle - 1
    return end - zeros


def repair_chunk(data: bytes, chunk: Chunk) -> bytes:
    """Return a copy of the chunk that the wheel reads to its end: sound header, a record header at each gap.

    The string and template tables of the header are caches; where the header can't be trusted they are left
    empty, and the wheel finds strings and templates by their offsets in the records. Where the first record doesn't
    stand at byte 512, the wheel gives one more before it, which is none.
    """
    copy = bytearray(data[:CHUNK_BYTES].ljust(CHUNK_BYTES, b"\0"))
    if not (chunk.magic and chunk.header_checksum):
        copy[:FIRST_RECORD] = bytes(FIRST_RECORD)
    copy[:8] = CHUNK_MAGIC
    struct.pack_into("<QQQQ", copy, 8, 1, 1, 1, _MAX_ID)
    struct.pack_into("<III", copy, 40, 128, 0, chunk.end)
    previous: RecordSpan | None = None
    if chunk.spans and chunk.spans[0].offset >= FIRST_RECORD + RECORD_OVERHEAD:  # one that reaches up to the first
        struct.pack_into("<4sIQ", copy, FIRST_RECORD, RECORD_MAGIC, chunk.spans[0].offset - FIRST_RECORD, _GAP_ID)
    for span in chunk.spans:
        if not span.gap:
            previous = span
        elif span.size >= RECORD_OVERHEAD:
            struct.pack_into("<4sIQ", copy, span.offset, RECORD_MAGIC, span.size, span.id)
        elif previous is not None:
            struct.pack_into("<I", copy, previous.offset + 4, previous.size + span.size)
    return bytes(copy)
