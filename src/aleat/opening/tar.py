"""Tar archives, read forward: v7, ustar, pax (POSIX.1-2017, pax Interchange Format) and GNU's, sparse files too.

Not `tarfile`: it holds every header in memory, takes headers of any length, and stops at the first damage; here a
damaged header is named, and the next one that is whole is looked for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from aleat.opening.container import Member, Note, Opening
from aleat.opening.streams import Full, cast_stream, damaged, read_fully

__all__ = ["Tar"]

_BLOCK = 512
_SKIP = 1024 * 1024
_REGULAR = (b"0", b"\0", b"7", b"S")
_KINDS = {
    b"1": "a hard link; its bytes stand under the name that it links to",
    b"2": "a symbolic link; links in archives aren't followed",
    b"3": "a device; devices aren't read",
    b"4": "a device; devices aren't read",
    b"6": "a named pipe; pipes aren't read",
}
_META_BYTES = 1024 * 1024
"""Longest extended header that is taken: path names and times need a few hundred bytes."""

_SPARSE_PIECES = 100_000


class Tar:
    """The kind."""

    name = "tar"
    seeks = False

    def detect(self, head: bytes) -> bool:
        """Say whether the first block is a header with a right checksum."""
        return len(head) >= _BLOCK and _header(head[:_BLOCK]) is not None

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> TarArchive:
        """Return the archive."""
        return TarArchive(stream, path, opening)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    size: int
    kind: bytes
    modified: int
    block: bytes


@dataclass(slots=True)
class _Extended:
    """What headers before a member's own say of it: pax records, and GNU's long name."""

    pax: dict[str, bytes]
    name: str | None = None
    pieces: list[tuple[int, int]] = field(default_factory=list)


class TarArchive:
    """An open archive; `names` aren't known before it is read."""

    names: Sequence[str] = ()

    def __init__(self, stream: IO[bytes], path: str, opening: Opening) -> None:
        self._stream = cast_stream(Full(stream))
        self._path = path
        self._opening = opening
        self._at = 0
        self._globals: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[Member | Note]:
        """Yield members in the order of their bytes."""
        lost = ended = -1
        extended = _Extended(dict(self._globals))
        while True:
            begin = self._at
            block = self._take(_BLOCK)
            if len(block) < _BLOCK:
                if lost >= 0:
                    yield _lost(lost, self._at)
                elif ended < 0 or block.strip(b"\0"):
                    raise damaged(self._path, "The archive breaks off: its end isn't marked", begin)
                return
            if not block.strip(b"\0"):
                ended = begin if ended < 0 else ended
                continue
            header = _header(block)
            if header is None:
                lost = begin if lost < 0 else lost
                continue
            if lost >= 0:
                yield _lost(lost, begin)
            elif ended >= 0:
                yield Note("broken-archive", f"{begin - ended} zeros at {ended} stand between members; it is read on.")
            lost = ended = -1
            if header.kind in (b"x", b"g", b"L", b"K", b"X"):
                self._extend(header, extended)
                continue
            yield from self._member(header, extended)
            extended = _Extended(dict(self._globals))

    def _take(self, size: int) -> bytes:
        data = read_fully(self._stream, size)
        self._at += len(data)
        return data

    def _skip_to(self, place: int) -> None:
        while self._at < place:
            if not self._take(min(_SKIP, place - self._at)):
                raise damaged(self._path, "The archive breaks off within a member", self._at)

    # -- headers before a member's own ------------------------------------------------------------------------------

    def _extend(self, header: _Header, extended: _Extended) -> None:
        if header.size > _META_BYTES:
            reason = f"An extended header is {header.size} bytes long; more than {_META_BYTES} are never needed"
            raise damaged(self._path, reason, self._at)
        data = self._take(header.size)
        self._skip_to(self._at + -header.size % _BLOCK)
        if header.kind == b"L":
            extended.name = _text(data.split(b"\0", 1)[0])
        elif header.kind in (b"x", b"X"):
            for key, value in _records(data):
                _extend_pax(extended, key, value)
        elif header.kind == b"g":
            self._globals.update(_records(data))
            extended.pax.update(self._globals)

    # -- members ----------------------------------------------------------------------------------------------------

    def _member(self, header: _Header, extended: _Extended) -> Iterator[Member]:
        size, pax = header.size, extended.pax
        if (stated := _number(pax.get("size"))) is not None:
            size = stated
        name = extended.name or header.name
        for key in ("path", "GNU.sparse.name"):
            name = _text(pax[key]) if pax.get(key) else name
        begin = self._at
        pieces, real = self._pieces(header, extended, size)
        data = self._at
        kind = _KINDS.get(header.kind)
        end = begin + (0 if kind is not None else size)
        if header.kind == b"5" or (name.endswith("/") and header.kind in _REGULAR):
            end = begin
        elif kind is not None:
            yield Member(name, None, io.BytesIO, Note("passed-over", f"The member is {kind}."))
        elif header.kind in _REGULAR:
            modified = _seconds(pax.get("mtime"), header.modified)
            yield Member(
                name,
                real,
                lambda: cast_stream(_TarFile(self, data, end, pieces, real, self._path, self._opening)),
                modified=modified,
            )
        else:
            reason = f"The member is of a kind that isn't known ({header.kind!r})."
            yield Member(name, None, io.BytesIO, Note("passed-over", reason))
        self._skip_to(end + -end % _BLOCK)

    def _pieces(self, header: _Header, extended: _Extended, size: int) -> tuple[list[tuple[int, int]] | None, int]:
        """Return where a sparse file's bytes belong (None: it isn't one), and its length."""
        if header.kind == b"S":
            return self._old_pieces(header.block)
        pax = extended.pax
        real = _number(pax.get("GNU.sparse.realsize")) or _number(pax.get("GNU.sparse.size"))
        if pax.get("GNU.sparse.major") == b"1":
            return self._written_pieces(size), real or 0
        if (text := pax.get("GNU.sparse.map")) is not None:
            numbers = [_number(part) or 0 for part in text.split(b",")[: 2 * _SPARSE_PIECES]]
            return list(zip(numbers[::2], numbers[1::2], strict=False)), real or 0
        if extended.pieces:
            return extended.pieces, real or 0
        return None, size

    def _old_pieces(self, block: bytes) -> tuple[list[tuple[int, int]], int]:
        """Return what GNU's own sparse header says."""
        found: list[tuple[int, int]] = []
        real = _field(block[483:495]) or 0

        def add(cells: bytes) -> None:
            for at in range(0, len(cells) - 23, 24):
                place, length = _field(cells[at : at + 12]), _field(cells[at + 12 : at + 24])
                if place is not None and length:
                    found.append((place, length))

        add(block[386:482])
        more = block[482]
        while more and len(found) < _SPARSE_PIECES:
            block = self._take(_BLOCK)
            if len(block) < _BLOCK:
                break
            add(block[:504])
            more = block[504]
        return found, real

    def _written_pieces(self, size: int) -> list[tuple[int, int]]:
        """Return the map that stands before a sparse file's data (pax, version 1.0): decimal numbers, a line each."""
        text = self._take(min(_BLOCK, size))
        count = _number(text.split(b"\n", 1)[0])
        if count is None or count > _SPARSE_PIECES:
            raise damaged(self._path, "The map of a sparse member can't be read", self._at)
        blocks, lines = [text], text.count(b"\n")
        while lines < 1 + 2 * count:
            block = self._take(_BLOCK)
            if not block:
                raise damaged(self._path, "The archive breaks off within the map of a sparse member", self._at)
            blocks.append(block)
            lines += block.count(b"\n")
        text = b"".join(blocks)
        numbers = [_number(part) or 0 for part in text.split(b"\n")[1 : 1 + 2 * count]]
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    # -- what a member's stream needs -------------------------------------------------------------------------------

    def read_at(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes at `place`, where the stream must stand; none where it stands elsewhere."""
        if self._at != place:
            return b""
        data = self._stream.read(size)
        self._at += len(data)
        return data


class _TarFile(io.RawIOBase):
    """One member's bytes; holes in a sparse one are zeros."""

    def __init__(
        self,
        archive: TarArchive,
        begin: int,
        end: int,
        pieces: list[tuple[int, int]] | None,
        size: int,
        path: str,
        opening: Opening,
    ) -> None:
        self._archive = archive
        self._place = begin
        self._end = end
        self._pieces = pieces
        self._size = size
        self._path = path
        self._opening = opening
        self._at = 0
        self._index = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        want = self._size - self._at if size < 0 else min(size, self._size - self._at)
        if want <= 0:
            return b""
        data = self._data(want) if self._pieces is None else self._sparse(min(want, _SKIP))
        self._at += len(data)
        return data

    def _data(self, want: int) -> bytes:
        want = min(want, self._end - self._place)
        data = self._archive.read_at(self._place, want)
        if want and not data:
            raise damaged(self._path, "The archive breaks off within the member", self._place)
        self._place += len(data)
        return data

    def _sparse(self, want: int) -> bytes:
        assert self._pieces is not None  # noqa: S101 - the caller looked
        while self._index < len(self._pieces) and self._at >= sum(self._pieces[self._index]):
            self._index += 1
        begin, length = self._pieces[self._index] if self._index < len(self._pieces) else (self._size, 0)
        if self._at < begin:
            want = min(want, begin - self._at)
            self._opening.budget.spend(want, self._path)
            return bytes(want)
        data = self._data(min(want, begin + length - self._at))
        if not data:
            raise damaged(self._path, "A sparse member has less data than its map says", self._place)
        return data


def _lost(begin: int, end: int) -> Note:
    reason = f"{end - begin} bytes at {begin} are no members: a header there is damaged."
    return Note("broken-archive", reason, "Copy the archive again from its source.", begin, end - begin)


def _header(block: bytes) -> _Header | None:
    """Return what a header says, or None where it is none (its checksum is wrong)."""
    stated = _field(block[148:156])
    if stated is None:
        return None
    rest = sum(block) - sum(block[148:156]) + 256
    if stated != rest:
        signed = rest - 256 * sum(value > 127 for value in block[:148] + block[156:])
        if stated != signed:
            return None
    size = _field(block[124:136])
    if size is None or not block[0]:
        return None
    name = _text(block[:100].split(b"\0", 1)[0])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500].split(bytes(1), 1)[0])}/{name}"
    return _Header(name, size, block[156:157], _field(block[136:148]) or 0, block)


def _field(cell: bytes) -> int | None:
    """Return a number, octal or (GNU's way for large ones) binary; None where it is none, or below zero."""
    if cell[:1] == b"\x80":
        return int.from_bytes(cell[1:], "big")
    text = cell.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    if len(text) > 12 or text.strip(b"01234567"):
        return None
    return int(text, 8)


def _number(text: bytes | None) -> int | None:
    if text is None or not text.isdigit() or len(text) > 19:
        return None
    return int(text)


def _seconds(text: bytes | None, otherwise: int) -> float | None:
    """Return a time of a pax record (decimal seconds), else the header's own; none where it is zero."""
    whole = _number((text or b"").partition(b".")[0])
    return float(otherwise if whole is None else whole) or None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield pax records: a decimal length, a space, the key, ``=``, the value, a line feed."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = _number(data[at:space]) if space > 0 else None
        if not length or at + length > len(data) or length <= space - at:
            return
        key, _, value = data[space + 1 : at + length - 1].partition(b"=")
        yield key.decode("utf-8", "replace"), value
        at += length


def _extend_pax(extended: _Extended, key: str, value: bytes) -> None:
    """Take one record; those of sparse maps in version 0.0 come again and again."""
    if key == "GNU.sparse.offset" and len(extended.pieces) < _SPARSE_PIECES:
        extended.pieces.append((_number(value) or 0, 0))
    elif key == "GNU.sparse.numbytes" and extended.pieces:
        extended.pieces[-1] = (extended.pieces[-1][0], _number(value) or 0)
    else:
        extended.pax[key] = value
