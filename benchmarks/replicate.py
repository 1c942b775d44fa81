"""EVTX logs copied many times under changed host names and times, so that distinct values grow with the copies.

Each log becomes one file, as on a real machine. In copy n the host and user names of the originals are replaced
wherever they stand in a chunk (values of other fields too), the records' times are moved by n days, and both
checksums are made anew; a name keeps its length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from aleat.evidence import EventBatch, Source, open_sources, read_batches
from aleat.evidence.evtx_chunk import CHUNK_BYTES, CHUNK_MAGIC, FILE_HEADER_BYTES, FILE_MAGIC, Chunk

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SHORTEST_NAME = 5
USERS = ("TargetUserName", "SubjectUserName", "User")
EVERYWHERE = {"SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE", "ANONYMOUS LOGON", "Users", "Guest"}
OLDEST = 2**56  # 1829: below, the eight bytes would stand everywhere
DAY = timedelta(days=1) // timedelta(microseconds=1) * 10


def replicate(folder: Path, target: Path, copies: int) -> int:
    """Write the logs of `folder` `copies` times to `target`; return how many chunks there are."""
    logs: dict[str, list[bytes]] = {}
    names: set[str] = set()
    for source in open_sources([folder]):
        if isinstance(source, Source) and source.reader == "evtx" and not source.members:
            batches = list(read_batches(source, []))
            for batch in batches:
                names |= _names(batch)
            if batches:
                largest = max(batches, key=lambda batch: batch.table.num_rows)
                logs.setdefault(largest.channel, []).extend(_chunks(source.file.read_bytes()))
    wanted = sorted(name for name in names if len(name) >= SHORTEST_NAME and name.isascii())
    target.mkdir(parents=True, exist_ok=True)
    for number, (_, chunks) in enumerate(sorted(logs.items())):
        with (target / f"log{number:02}.evtx").open("wb") as file:
            file.write(_header(len(chunks) * copies))
            for copy in range(copies):
                renames = _renames(wanted, copy) if copy else []
                file.writelines(_changed(chunk, renames, copy) if copy else chunk for chunk in chunks)
    return sum(map(len, logs.values())) * copies


def _names(batch: EventBatch) -> set[str]:
    """Return the short names of hosts and the names of users, but for those that every Windows has."""
    columns = ["host", *(f"{field}|s" for field in USERS)]
    found = {text for name in columns if name in batch.table.column_names for text in _texts(batch.table[name])}
    return {text.rpartition("\\")[2].partition(".")[0] for text in found} - EVERYWHERE


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [text for text in column.unique().to_pylist() if text]


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(FILE_HEADER_BYTES, len(data) - CHUNK_BYTES + 1, CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        if chunk[:8] == CHUNK_MAGIC and Chunk.parse(chunk).sound:
            yield chunk


def _header(chunks: int) -> bytes:
    head = FILE_MAGIC + struct.pack("<QQQIHHHH", 0, 0, 1, 128, 1, 3, FILE_HEADER_BYTES, min(chunks, 65535))
    head = head.ljust(124, b"\0")
    return (head + struct.pack("<I", zlib.crc32(head[:120]))).ljust(FILE_HEADER_BYTES, b"\0")


def _renames(names: list[str], copy: int) -> list[tuple[bytes, bytes]]:
    mark = DIGITS[copy // 36 % 36] + DIGITS[copy % 36]
    both = [(text, text[:-2] + mark) for name in names for text in sorted({name, name.upper(), name.lower()})]
    return [(old.encode("utf-16-le"), new.encode("utf-16-le")) for old, new in both]


def _changed(chunk: bytes, renames: list[tuple[bytes, bytes]], copy: int) -> bytes:
    data = bytearray(chunk)
    for span in Chunk.parse(chunk).spans:
        start, end = span.offset + 24, span.offset + span.size
        (ticks,) = struct.unpack_from("<Q", data, span.offset + 16)
        moved = struct.pack("<Q", ticks + copy * DAY)
        body = bytes(data[start:end])
        if ticks > OLDEST:
            body = body.replace(struct.pack("<Q", ticks), moved)
        for old, new in renames:
            body = body.replace(old, new)
        data[start:end] = body
        data[span.offset + 16 : span.offset + 24] = moved if ticks > OLDEST else struct.pack("<Q", ticks)
    free = struct.unpack_from("<I", data, 48)[0]
    struct.pack_into("<I", data, 52, zlib.crc32(data[512:free]))
    struct.pack_into("<I", data, 124, zlib.crc32(data[128:512], zlib.crc32(data[:120])))
    return bytes(data)
