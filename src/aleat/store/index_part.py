"""Part of the value index: one file that says in which columns of which segments a value may stand.

A part covers some segments, in order. A *cell* is one field column in one of them, and its distinct values, in lower
case and as numbers (`aleat.store.value_hash`), are kept in one of two ways:

- few values that recur: *entries*, sorted, 8 bytes each: the number's upper 32 bits, then the cell;
- values of which most occur once (`is_near_unique`): a Bloom filter for the segment, for all such cells together,
  16 to 32 bits a value. It is a split block filter (as in Parquet's own format): 2^c blocks of 256 bits. Filters of
  equal size lie side by side, block by block, so that a look-up reads one place for all of them.

Beside them stand the *field rows*: for each format, channel and column the number of events, the first and last
time, an example, and the 256 smallest numbers of its values, from which the number of distinct ones is told.

Both kinds may say yes where it is no (the segment is looked at in vain), never no where it is yes. Parts are merged
without a look at the segments, and a part made at once equals one merged from smaller ones, byte for byte.

    "ALEATVX1", body: entries, filters by size, field rows; directory (MessagePack), its length (8 bytes), "ALEATVX1"

The directory holds a SHA-256 (16 bytes of it) for every 64 KiB of the body: what is read is checked, and only that.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import numpy.typing as npt

from aleat.errors import IntegrityError
from aleat.store.value_hash import Hashes

__all__ = [
    "FieldRow",
    "Part",
    "PartDirectory",
    "SegmentValues",
    "estimate_distinct",
    "is_near_unique",
    "merge_field_rows",
    "merge_parts",
    "write_part",
]

PART_VERSION = 1
CHUNK = 64 * 1024
SKETCH = 256
"""How many of the smallest numbers are kept; up to so many distinct values are counted, more are estimated."""

_MAGIC = b"ALEATVX1"
_DIGEST = 16
_BLOCK = 32  # bytes
_BITS_A_VALUE = 16
_MOST_CLASSES = 24
_FEW = 1024
_MERGE_BYTES = 32 * 1024 * 1024  # of entries or filters at once
_SALTS = np.array(
    [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31], np.uint32
)
"""Of Parquet's split block filter: https://parquet.apache.org/docs/file-format/bloomfilter/"""

Numbers = npt.NDArray[np.unsignedinteger[Any]]


class FieldRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One column in one log: events that have it, first and last time (microseconds), an example, a sketch."""

    format: str
    channel: str
    column: str
    events: int
    first: int | None
    last: int | None
    example: str
    sketch: bytes


class SegmentValues(msgspec.Struct, frozen=True):
    """What a segment gives to the index: numbers by column, apart by how they are kept, and its field rows."""

    segment: str
    file_sha256: str
    exact: dict[str, Any]
    near: dict[str, Any]
    fields: tuple[FieldRow, ...]


class PartDirectory(msgspec.Struct, frozen=True):
    """What a part says of itself; arrays are little-endian bytes.

    `cells` are (segment, column) as pairs of 32-bit numbers, those of entries before those of filters; `classes`
    lists (c, the segments of that size of filter); `fences` are the first entry of each chunk.
    """

    version: int
    segments: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    cells: bytes
    near_cells: bytes
    classes: tuple[tuple[int, tuple[int, ...]], ...]
    entries: int
    field_bytes: int
    fences: bytes
    digests: bytes


def is_near_unique(distinct: int, events: int) -> bool:
    """Say whether a column has so many distinct values that a list of them would help little."""
    return distinct >= _FEW and 2 * distinct > events


def estimate_distinct(sketch: bytes) -> tuple[int, bool]:
    """Return how many distinct values a sketch stands for, and whether that is exact."""
    numbers = np.frombuffer(sketch, "<u8")
    if len(numbers) < SKETCH:
        return len(numbers), True
    return round((SKETCH - 1) / (float(numbers[-1]) / 2.0**64)), False


def merge_field_rows(rows: Iterator[FieldRow]) -> list[FieldRow]:
    """Add rows up by format, channel and column; sorted. The example is the first one's."""
    found: dict[tuple[str, str, str], FieldRow] = {}
    for row in rows:
        key = (row.format, row.channel, row.column)
        known = found.get(key)
        found[key] = row if known is None else _added(known, row)
    return [found[key] for key in sorted(found)]


def _added(one: FieldRow, other: FieldRow) -> FieldRow:
    firsts = [time for time in (one.first, other.first) if time is not None]
    lasts = [time for time in (one.last, other.last) if time is not None]
    numbers = np.union1d(np.frombuffer(one.sketch, "<u8"), np.frombuffer(other.sketch, "<u8"))[:SKETCH]
    return FieldRow(
        one.format,
        one.channel,
        one.column,
        one.events + other.events,
        min(firsts, default=None),
        max(lasts, default=None),
        one.example,
        numbers.astype("<u8").tobytes(),
    )


# ------------------------------------------------------------------------------------------------------ writing


class _BodyWriter:
    """Writes the body and takes its digests on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._chunk = hashlib.sha256()
        self._filled = 0
        self.digests = bytearray()
        file.write(_MAGIC)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        self._file.write(view)
        while view:
            room = CHUNK - self._filled
            self._chunk.update(view[:room])
            self._filled += min(room, len(view))
            view = view[room:]
            if self._filled == CHUNK:
                self._end_chunk()

    def _end_chunk(self) -> None:
        self.digests += self._chunk.digest()[:_DIGEST]
        self._chunk, self._filled = hashlib.sha256(), 0

    def end(self, directory: Callable[[bytes], PartDirectory]) -> str:
        """Write the directory, and return its SHA-256 (hex)."""
        if self._filled:
            self._end_chunk()
        data = msgspec.msgpack.encode(directory(bytes(self.digests)))
        self._file.write(data)
        self._file.write(len(data).to_bytes(8, "little") + _MAGIC)
        return hashlib.sha256(data).hexdigest()


def write_part(path: Path, values: SegmentValues) -> str:
    """Write the part of one segment, and return its directory's SHA-256 (hex)."""
    columns = sorted({*values.exact, *values.near})
    place = {name: number for number, name in enumerate(columns)}
    names = sorted(values.exact)
    cells = np.array([(0, place[name]) for name in names], "<u4").reshape(-1, 2)
    near_cells = np.array([(0, place[name]) for name in sorted(values.near)], "<u4").reshape(-1, 2)
    found = [_entries(values.exact[name], cell) for cell, name in enumerate(names)]
    entries = np.sort(np.concatenate(found)) if found else np.empty(0, np.uint64)
    classes: tuple[tuple[int, tuple[int, ...]], ...] = ()
    blooms = b""
    if values.near:
        numbers = np.unique(np.concatenate(list(values.near.values())))
        size = _class_of(len(numbers))
        classes, blooms = ((size, (0,)),), _filter(numbers, size)
    fields = msgspec.msgpack.encode(values.fields)
    with path.open("wb") as file:
        body = _BodyWriter(file)
        fences = _Fences()
        fences.add(entries)
        body.write(entries.astype("<u8").tobytes())
        body.write(blooms)
        body.write(fields)
        return body.end(
            lambda digests: PartDirectory(
                PART_VERSION,
                ((values.segment, values.file_sha256),),
                tuple(columns),
                cells.tobytes(),
                near_cells.tobytes(),
                classes,
                len(entries),
                len(fields),
                fences.data(),
                digests,
            )
        )


class _Fences:
    """The first entry of every chunk, as entries come."""

    def __init__(self) -> None:
        self._count = 0
        self._found: list[Hashes] = []

    def add(self, entries: Hashes) -> None:
        step = CHUNK // 8
        self._found.append(entries[(-self._count) % step :: step])
        self._count += len(entries)

    def data(self) -> bytes:
        return np.concatenate(self._found).astype("<u8").tobytes() if self._found else b""


def _entries(numbers: Hashes, cell: int) -> Hashes:
    upper = np.unique(numbers >> np.uint64(32))
    return (upper << np.uint64(32)) | np.uint64(cell)


def _class_of(values: int) -> int:
    blocks = max(1, -(-values * _BITS_A_VALUE // (8 * _BLOCK)))
    return min((blocks - 1).bit_length(), _MOST_CLASSES)


def _blocks_of(numbers: Hashes, size: int) -> npt.NDArray[np.int64]:
    return (numbers >> np.uint64(64 - size)).astype(np.int64) if size else np.zeros(len(numbers), np.int64)


def _bits_of(numbers: Hashes) -> npt.NDArray[np.uint32]:
    """Return for each number the bit that it sets in each of a block's eight words."""
    low = (numbers & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return (low[:, None] * _SALTS[None, :]) >> np.uint32(27)


def _filter(numbers: Hashes, size: int) -> bytes:
    bits = np.zeros((1 << size, 8, 32), bool)
    blocks = _blocks_of(numbers, size)
    bits[blocks[:, None], np.arange(8)[None, :], _bits_of(numbers)] = True
    return np.packbits(bits, axis=None, bitorder="little").tobytes()


# ------------------------------------------------------------------------------------------------------ reading


class Part:
    """An open part, its directory checked against `digest` (None: taken as it is); raises `IntegrityError`."""

    def __init__(self, path: Path, digest: str | None = None) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.directory, self._start, self._end = _read_directory(file, digest)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise IntegrityError(f"{path.name} is no part of the value index any more.") from error
        self.cells = np.frombuffer(self.directory.cells, "<u4").reshape(-1, 2)
        self.near_cells = np.frombuffer(self.directory.near_cells, "<u4").reshape(-1, 2)
        self._fences = np.frombuffer(self.directory.fences, "<u8")
        self._areas: dict[int, tuple[int, tuple[int, ...]]] = {}
        place = 8 * self.directory.entries
        for size, members in self.directory.classes:
            self._areas[size] = (place, members)
            place += (_BLOCK << size) * len(members)
        self._fields_at = place
        self.body_bytes = place + self.directory.field_bytes

    @property
    def segments(self) -> tuple[tuple[str, str], ...]:
        """The segments that the part covers, with their files' SHA-256."""
        return self.directory.segments

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the body, the chunks that they lie in checked; raises `IntegrityError`."""
        if not length:
            return b""
        first = offset // CHUNK
        stop = -(-(offset + length) // CHUNK)
        try:
            with self.path.open("rb") as file:
                file.seek(len(_MAGIC) + first * CHUNK)
                data = file.read(min(stop * CHUNK, self.body_bytes) - first * CHUNK)
        except OSError as error:
            raise IntegrityError(f"{self.path.name} can't be read.") from error
        view = memoryview(data)
        for number in range(first, stop):
            chunk = view[(number - first) * CHUNK : (number - first + 1) * CHUNK]
            wanted = self.directory.digests[number * _DIGEST : (number + 1) * _DIGEST]
            if not wanted or hashlib.sha256(chunk).digest()[:_DIGEST] != wanted:
                raise IntegrityError(f"{self.path.name} was changed.")
        return bytes(view[offset - first * CHUNK : offset - first * CHUNK + length])

    def is_whole(self) -> bool:
        """Say whether every byte is as it was written."""
        try:
            for offset in range(0, self.body_bytes, _MERGE_BYTES):
                self.read(offset, min(_MERGE_BYTES, self.body_bytes - offset))
        except IntegrityError:
            return False
        return self.path.stat().st_size == self._start + self._end

    def entries(self, low: int, high: int) -> Hashes:
        """Return the entries from `low` to below `high` (whole 64-bit numbers)."""
        first = max(int(np.searchsorted(self._fences, np.uint64(low), "left")) - 1, 0)
        after = len(self._fences)
        if high < 1 << 64:
            after = int(np.searchsorted(self._fences, np.uint64(high), "left"))
        step = CHUNK // 8
        stop = min(after * step, self.directory.entries)
        found = np.frombuffer(self.read(8 * first * step, 8 * max(stop - first * step, 0)), "<u8")
        kept = found >= np.uint64(low)
        if high < 1 << 64:
            kept &= found < np.uint64(high)
        return found[kept]

    def filtered(self, size: int) -> int:
        """Return how many segments have a filter of 2^`size` blocks."""
        return len(self._areas[size][1]) if size in self._areas else 0

    def filters(self, size: int, first: int, stop: int) -> npt.NDArray[np.uint8]:
        """Return blocks `first` to `stop` of all filters of 2^`size` blocks: an array of blocks, segments, bytes."""
        place, members = self._areas[size]
        row = len(members) * _BLOCK
        data = self.read(place + first * row, (stop - first) * row)
        return np.frombuffer(data, np.uint8).reshape(stop - first, len(members), _BLOCK)

    def fields(self) -> list[FieldRow]:
        """Return the field rows, sorted by format, channel and column."""
        data = self.read(self._fields_at, self.directory.field_bytes)
        return msgspec.msgpack.decode(data, type=list[FieldRow]) if data else []

    def look_up(self, number: int) -> dict[int, set[int]]:
        """Return segment -> columns (as numbers) where a value with this number may stand."""
        found: dict[int, set[int]] = {}
        upper = number >> 32
        for entry in self.entries(upper << 32, (upper + 1) << 32).tolist():
            segment, column = self.cells[entry & 0xFFFFFFFF].tolist()
            found.setdefault(segment, set()).add(column)
        maybe = self._in_filters(number)
        if maybe:
            for segment, column in self.near_cells[np.isin(self.near_cells[:, 0], list(maybe))].tolist():
                found.setdefault(segment, set()).add(column)
        return found

    def _in_filters(self, number: int) -> set[int]:
        wanted = np.uint32(1) << _bits_of(np.array([number], np.uint64))[0]
        found: set[int] = set()
        for size, members in self.directory.classes:
            block = int(_blocks_of(np.array([number], np.uint64), size)[0])
            words = self.filters(size, block, block + 1)[0].view("<u4")
            hits = ((words & wanted) == wanted).all(axis=1)
            found.update(np.asarray(members)[hits].tolist())
        return found

    def columns_of(self, wanted: Callable[[str], bool]) -> dict[int, set[int]]:
        """Return segment -> columns (as numbers) of those names that are wanted."""
        columns = [number for number, name in enumerate(self.directory.columns) if wanted(name)]
        found: dict[int, set[int]] = {}
        for cells in (self.cells, self.near_cells):
            for segment, column in cells[np.isin(cells[:, 1], columns)].tolist():
                found.setdefault(segment, set()).add(column)
        return found

    def file_sha256(self) -> str:
        """Return the SHA-256 (hex) of the whole file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _read_directory(file: IO[bytes], digest: str | None) -> tuple[PartDirectory, int, int]:
    size = file.seek(0, 2)
    end = len(_MAGIC) + 8
    file.seek(max(size - end, 0))
    tail = file.read(end)
    length = int.from_bytes(tail[:8], "little")
    start = size - end - length
    if tail[8:] != _MAGIC or start < len(_MAGIC):
        raise ValueError("no end")
    file.seek(start)
    data = file.read(length)
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("another directory")
    directory = msgspec.msgpack.decode(data, type=PartDirectory)
    if directory.version != PART_VERSION:
        raise ValueError("another version")
    return directory, start, length + end


# ------------------------------------------------------------------------------------------------------ merging


def merge_parts(path: Path, parts: Sequence[Part]) -> str:
    """Write one part that covers what `parts` cover, in that order; returns its directory's SHA-256 (hex).

    Memory stays within some tens of megabytes, whatever the parts' size.
    """
    columns = sorted({name for part in parts for name in part.directory.columns})
    place = {name: number for number, name in enumerate(columns)}
    before = _sums([len(part.segments) for part in parts])
    cells_before = _sums([len(part.cells) for part in parts])
    classes: dict[int, list[int]] = {}
    for part, first in zip(parts, before, strict=False):
        for size, members in part.directory.classes:
            classes.setdefault(size, []).extend(first + member for member in members)
    with path.open("wb") as file:
        body = _BodyWriter(file)
        fences = _Fences()
        for entries in _merged_entries(parts, cells_before):
            fences.add(entries)
            body.write(entries.astype("<u8").tobytes())
        for size in sorted(classes):
            _merge_filters(body, [part for part in parts if part.filtered(size)], size)
        fields = msgspec.msgpack.encode(merge_field_rows(row for part in parts for row in part.fields()))
        body.write(fields)
        return body.end(
            lambda digests: PartDirectory(
                PART_VERSION,
                tuple(segment for part in parts for segment in part.segments),
                tuple(columns),
                _moved([part.cells for part in parts], parts, before, place),
                _moved([part.near_cells for part in parts], parts, before, place),
                tuple((size, tuple(classes[size])) for size in sorted(classes)),
                sum(part.directory.entries for part in parts),
                len(fields),
                fences.data(),
                digests,
            )
        )


def _sums(counts: list[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()]


def _moved(
    cells: Sequence[npt.NDArray[Any]], parts: Sequence[Part], before: Sequence[int], place: dict[str, int]
) -> bytes:
    found = []
    for some, part, first in zip(cells, parts, before, strict=False):
        names = np.array([place[name] for name in part.directory.columns], np.uint32)
        moved = some.astype("<u4")
        if len(moved):
            moved[:, 0] += np.uint32(first)
            moved[:, 1] = names[moved[:, 1]]
        found.append(moved)
    return np.concatenate(found).tobytes() if found else b""


def _merged_entries(parts: Sequence[Part], cells_before: Sequence[int]) -> Iterator[Hashes]:
    total = 8 * sum(part.directory.entries for part in parts)
    slices = max(1, -(-total // _MERGE_BYTES))
    bounds = [((1 << 32) * number // slices) << 32 for number in range(slices + 1)]
    for low, high in itertools.pairwise(bounds):
        found = [part.entries(low, high) + np.uint64(first) for part, first in zip(parts, cells_before, strict=False)]
        merged = np.concatenate(found)
        merged.sort(kind="stable")
        yield merged


def _merge_filters(body: _BodyWriter, parts: Sequence[Part], size: int) -> None:
    row = sum(part.filtered(size) for part in parts) * _BLOCK
    step = max(1, _MERGE_BYTES // row)
    for first in range(0, 1 << size, step):
        stop = min(first + step, 1 << size)
        blocks = np.concatenate([part.filters(size, first, stop) for part in parts], axis=1)
        body.write(np.ascontiguousarray(blocks).tobytes())
