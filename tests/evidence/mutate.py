"""A seeded mutator: damages EVTX files in the ways that disks, copies and attackers do.

``python -m tests.evidence.mutate SEED FROM TO`` writes a damaged copy of every EVTX below FROM into TO.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

CHUNK = 65536
HEADER = 4096


def zero_chunk(data: bytearray, rng: random.Random) -> None:
    """Overwrite one chunk with zeros."""
    start = _chunk(data, rng)
    data[start : start + CHUNK] = bytes(len(data[start : start + CHUNK]))


def truncate_chunk(data: bytearray, rng: random.Random) -> None:
    """Cut the file off within a chunk."""
    start = _chunk(data, rng)
    del data[start + rng.randrange(1, CHUNK - 1) :]


def bad_chunk_magic(data: bytearray, rng: random.Random) -> None:
    """Break a chunk's magic."""
    data[_chunk(data, rng) + rng.randrange(8)] ^= 0xFF


def bad_header_checksum(data: bytearray, rng: random.Random) -> None:
    """Break a chunk header's checksum."""
    data[_chunk(data, rng) + 124 + rng.randrange(4)] ^= 0xFF


def bad_records_checksum(data: bytearray, rng: random.Random) -> None:
    """Break the checksum over a chunk's records."""
    data[_chunk(data, rng) + 52 + rng.randrange(4)] ^= 0xFF


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    """Flip bytes anywhere in a chunk's first half."""
    start = _chunk(data, rng)
    for _ in range(rng.randrange(1, 12)):
        at = start + rng.randrange(CHUNK // 2)
        if at < len(data):
            data[at] ^= 1 << rng.randrange(8)


def bad_record_magic(data: bytearray, rng: random.Random) -> None:
    """Break the magic of a record."""
    if (at := _record(data, rng)) is not None:
        data[at] ^= 0xFF


def bad_record_size(data: bytearray, rng: random.Random) -> None:
    """Break the size of a record."""
    if (at := _record(data, rng)) is not None:
        data[at + 4 + rng.randrange(4)] ^= 1 << rng.randrange(8)


def bad_file_header(data: bytearray, rng: random.Random) -> None:
    """Break the file's header."""
    data[rng.randrange(128)] ^= 0xFF


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    zero_chunk,
    truncate_chunk,
    bad_chunk_magic,
    bad_header_checksum,
    bad_records_checksum,
    flip_bytes,
    bad_record_magic,
    bad_record_size,
    bad_file_header,
)


def damage(data: bytes, seed: int) -> tuple[bytes, str]:
    """Return a damaged copy and the name of what was done to it."""
    rng = random.Random(seed)  # noqa: S311 - a seeded mutator
    kind = DAMAGES[seed % len(DAMAGES)]
    copy = bytearray(data)
    kind(copy, rng)
    return bytes(copy), kind.__name__


def _chunk(data: bytearray, rng: random.Random) -> int:
    """Return where a chunk that is used starts."""
    used = [at for at in range(HEADER, len(data), CHUNK) if data[at : at + 8] == b"ElfChnk\0"]
    return rng.choice(used)


def _record(data: bytearray, rng: random.Random) -> int | None:
    start = _chunk(data, rng)
    found = []
    at = data.find(b"\x2a\x2a\0\0", start + 512, start + CHUNK)
    while at >= 0:
        found.append(at)
        at = data.find(b"\x2a\x2a\0\0", at + 24, start + CHUNK)
    return rng.choice(found) if found else None


if __name__ == "__main__":
    seed, source, target = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    for number, path in enumerate(sorted(source.rglob("*.evtx"))):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(damage(path.read_bytes(), seed + number)[0])
