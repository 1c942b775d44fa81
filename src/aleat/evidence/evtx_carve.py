"""What is left of EVTX in bytes that are no sound file: chunks at any place, records without a chunk, records in slack.

A chunk is known by its magic and a header whose checksum fits; at a place where a chunk is due, the magic is enough. A
record points to names and templates by their offsets in its chunk, so that one without its chunk's header is read only
where the chunk's place can be told: by a record whose template stands inside of it. What lies behind a chunk's last
record are mostly older records whose templates were overwritten: they are taken only when they were asked for. Either
is taken only where its template has the number that it says; one in slack only if its time is close to its header's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from aleat.evidence.evtx_chunk import CHUNK_BYTES, CHUNK_MAGIC, RECORD_MAGIC, RECORD_OVERHEAD, Chunk, RecordSpan

__all__ = ["INSTANCE", "chunk_place", "find_chunk", "is_chunk", "slack_spans"]

_HEADER_SIZE = 128
_FIRST_RECORD = 512
INSTANCE = b"\x0f\x01\x01\x00\x0c\x01"
"""A record's binary XML begins so: a fragment, and an instance of a template, whose place follows."""
_BODY = 24
_INLINE = 38
"""From a record's start to a template that is defined inside of it."""

_u32 = struct.Struct("<I").unpack_from
_u64 = struct.Struct("<Q").unpack_from


def is_chunk(data: bytes, at: int) -> bool:
    """Say whether a chunk's header with a sound checksum stands at `at`."""
    if data[at : at + 8] != CHUNK_MAGIC or len(data) - at < _FIRST_RECORD or _u32(data, at + 40)[0] != _HEADER_SIZE:
        return False
    checksum = zlib.crc32(data[at + 128 : at + 512], zlib.crc32(data[at : at + 120]))
    return bool(checksum == _u32(data, at + 124)[0])


def find_chunk(data: bytes, start: int, end: int) -> int | None:
    """Return where the first chunk with a sound header starts in bytes `start` to `end`, or None."""
    at = data.find(CHUNK_MAGIC, start, end)
    while at >= 0 and not is_chunk(data, at):
        at = data.find(CHUNK_MAGIC, at + 1, end)
    return at if at >= 0 else None


def chunk_place(data: bytes, start: int, end: int) -> int | None:
    """Return where the chunk of the records in bytes `start` to `end` began (it may be below 0), or None.

    The place is told by the first record whose template is defined inside of it.
    """
    at = data.find(RECORD_MAGIC, start, end)
    while at >= 0:
        body = data[at + _BODY : at + _INLINE + 8]
        if len(body) == _INLINE + 8 - _BODY and body.startswith(INSTANCE) and body[6:10] == body[-4:]:
            inside = _u32(body, 10)[0] - _INLINE
            if _FIRST_RECORD <= inside <= CHUNK_BYTES - RECORD_OVERHEAD:
                return int(at - inside)
        at = data.find(RECORD_MAGIC, at + 4, end)
    return None


def slack_spans(data: bytes, chunk: Chunk) -> Iterator[RecordSpan]:
    """Yield the records behind a chunk's end whose two sizes agree."""
    at = data.find(RECORD_MAGIC, chunk.end)
    while at >= 0 and at + RECORD_OVERHEAD <= len(data):
        size = _u32(data, at + 4)[0]
        if RECORD_OVERHEAD <= size <= len(data) - at and _u32(data, at + size - 4)[0] == size:
            yield RecordSpan(at, size, _u64(data, at + 8)[0])
            at += size - 1
        at = data.find(RECORD_MAGIC, at + 1)
