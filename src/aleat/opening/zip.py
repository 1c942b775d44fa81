"""Zip archives (APPNOTE 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), zip64 too.

Read by the directory at the end; where that is cut off or damaged, from the front, one local header after another.
Not `zipfile`: it reads neither a cut-off archive nor AES nor Deflate64, which is what Windows Explorer makes of more
than 2 GiB, and an error costs it the bytes before. Members may be stored, deflated, or packed by Deflate64, bzip2,
LZMA, xz or zstd; encrypted ones (`zip_crypto`) are read with the passwords that were given.
"""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import struct
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO
from zlib import crc32

from aleat.errors import InputError, LimitError, Place
from aleat.opening.compressed import Deflate, zstd_decoder
from aleat.opening.container import PASSWORD_ADVICE, Member, Note, Opening
from aleat.opening.limits import limit_advice
from aleat.opening.streams import Checked, Decoded, Decoder, Slice, cast_stream, damaged, read_fully
from aleat.opening.zip_crypto import Cipher, decrypted, fitting_password, parse_aes

__all__ = ["Zip"]

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL, _DESCRIPTOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"
_TAIL = 22 + 65535 + 20
_ALL = 0xFFFFFFFF
_LINK_TYPES = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
_LINK_TYPES |= {stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
_SEARCH = 65536


class Zip:
    """The kind."""

    name = "zip"
    seeks = True

    def detect(self, head: bytes) -> bool:
        """Say whether a stream begins with a local header, an empty archive's end, or a split archive's mark."""
        return head.startswith((_LOCAL, _END, _DESCRIPTOR + _LOCAL, b"PK00" + _LOCAL))

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> ZipArchive:
        """Read the directory."""
        assert size is not None  # noqa: S101 - it seeks
        return ZipArchive(stream, size, path, opening)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a header says of a member; `data` is where its bytes begin (None: behind the local header at `header`)."""

    name: str
    flags: int
    method: int
    time: int
    crc: int
    packed: int
    size: int
    header: int
    mode: int = 0
    extra: bytes = b""
    data: int | None = None


class ZipArchive:
    """An open archive."""

    def __init__(self, stream: IO[bytes], size: int, path: str, opening: Opening) -> None:
        self._stream = stream
        self._size = size
        self._path = path
        self._opening = opening
        self._fault: InputError | None = None
        self._more = 0
        self._entries: list[_Entry] = []
        try:
            self._entries = sorted(self._directory(), key=lambda entry: entry.name)
        except LimitError:
            raise
        except (InputError, struct.error) as error:
            self._fault = error if isinstance(error, InputError) else damaged(path, "The archive's directory is cut")

    @property
    def names(self) -> Sequence[str]:
        """The members' names by the directory."""
        return [entry.name for entry in self._entries]

    def __iter__(self) -> Iterator[Member | Note]:
        """Yield members in the order of their names; of an archive without a directory in the order of their bytes."""
        if self._fault is not None:
            yield Note("broken-archive", f"{self._fault.reason.partition(';')[0]}; it is read from its front.")
            yield from self._salvage()
            return
        for entry in self._entries:
            if not entry.name.endswith("/"):
                yield self._member(entry)
        if self._more:
            limit = self._opening.limits.archive_members
            reason = f"The archive has {limit + self._more} members, more than {limit} (limit: archive_members)"
            yield Note("limit", f"{reason}; the rest was not looked at.", limit_advice("archive_members"))

    # -- the directory --------------------------------------------------------------------------------------------

    def _directory(self) -> Iterator[_Entry]:
        start, length, count, shift = self._end()
        limits = self._opening.limits
        if length > limits.archive_directory_bytes:
            reason = f"The archive's directory is longer than {limits.archive_directory_bytes} bytes"
            raise LimitError(
                f"{reason} (limit: archive_directory_bytes).",
                Place(self._path),
                advice=limit_advice("archive_directory_bytes"),
            )
        self._stream.seek(start)
        data = read_fully(self._stream, length)
        at = found = 0
        while data[at : at + 4] == _CENTRAL:
            header_fields = struct.unpack_from("<HHHHIIIIHHHHHII", data, at + 4)
            _, _, flags, method, time, crc, packed, size, name, extra, comment, _, _, attributes, header = header_fields
            begin = at + 46
            at = begin + name + extra + comment
            if at > len(data):
                raise damaged(self._path, "The archive's directory is cut")
            if found == limits.archive_members:
                self._more = max(count - found, 1)
                return
            found += 1
            fields = data[begin + name : begin + name + extra]
            size, packed, header = _zip64(fields, size, packed, header)
            raw = data[begin : begin + name]
            mode = attributes >> 16
            yield _Entry(
                _name(raw, flags, fields), flags, method, time, crc, packed, size, header + shift, mode, fields
            )
        if count not in (found, 0xFFFF):
            raise damaged(self._path, f"The archive's directory has {found} of the {count} members that it says")

    def _end(self) -> tuple[int, int, int, int]:
        """Return where the directory begins, its length, its members, and how far offsets are shifted."""
        begin = max(self._size - _TAIL, 0)
        self._stream.seek(begin)
        tail = read_fully(self._stream, _TAIL)
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            raise damaged(self._path, "The archive's directory is missing: its end is cut off")
        disk, _, _, count, length, offset = struct.unpack_from("<HHHHII", tail, at + 4)
        end = begin + at
        if tail[max(at - 20, 0) : at].startswith(_LOCATOR):
            where = struct.unpack_from("<Q", tail, at - 12)[0]
            for place in (where, end - 20 - 56):
                self._stream.seek(min(place, self._size))
                record = read_fully(self._stream, 56)
                if record.startswith(_END64) and len(record) == 56:
                    count, length, offset = struct.unpack_from("<QQQ", record, 32)
                    end, disk = place, 0
                    break
        start = end - length
        if start < 0:
            raise damaged(self._path, "The archive's directory is cut")
        if disk not in (0, 0xFFFF):
            raise damaged(self._path, "It is the last part of a split archive; join the parts first")
        return start, length, count, start - offset if start >= offset else 0

    # -- members --------------------------------------------------------------------------------------------------

    def _member(self, entry: _Entry) -> Member:
        refused = self._refused(entry)
        return Member(entry.name, entry.size, lambda: self._open(entry), refused, _modified(entry.time))

    def _refused(self, entry: _Entry) -> Note | None:
        kind = _LINK_TYPES.get(stat.S_IFMT(entry.mode))
        if kind is not None:
            return Note("passed-over", f"The member is {kind}; such members of archives aren't followed.")
        method = entry.method
        if entry.flags & 0x41 == 0x41 or entry.flags & 0x2000:
            return Note("encrypted", "The member is encrypted in PKWARE's own strong way.", "Unpack it with its tool.")
        if entry.flags & 1 and entry.size:
            cipher = self._cipher(entry)
            if cipher is None:
                tried = ", and no password given opens it" if self._opening.secrets.words else ""
                return Note("encrypted", f"The member is encrypted{tried}.", PASSWORD_ADVICE)
            method = cipher.method
        if method not in _METHODS and entry.size:
            reason = f"The member is packed by a method that isn't read (number {method})."
            return Note("broken-archive", reason, "Unpack it with the tool that made it, and add the files.")
        return None

    def _cipher(self, entry: _Entry) -> Cipher | None:
        try:
            start = self._data(entry)
        except (InputError, struct.error):
            return None
        aes = parse_aes(entry.extra)
        check = entry.time >> 8 & 0xFF if entry.flags & 8 else entry.crc >> 24
        return fitting_password(
            Slice(self._stream, start, entry.packed, self._path), entry.method, check, aes, self._opening.secrets.words
        )

    def _data(self, entry: _Entry) -> int:
        """Return where a member's bytes begin."""
        if entry.data is not None:
            return entry.data
        self._stream.seek(entry.header)
        header = read_fully(self._stream, 30)
        if not header.startswith(_LOCAL) or len(header) < 30:
            raise damaged(self._path, "The member's header isn't where the directory says", entry.header)
        name, extra = struct.unpack_from("<HH", header, 26)
        return int(entry.header + 30 + name + extra)

    def _open(self, entry: _Entry) -> IO[bytes]:
        packed: IO[bytes] = cast_stream(Slice(self._stream, self._data(entry), entry.packed, self._path))
        method, crc = entry.method, entry.crc
        if entry.flags & 1 and entry.size:
            cipher = self._cipher(entry)
            if cipher is None:
                raise InputError("The member is encrypted.", Place(self._path), advice=PASSWORD_ADVICE)
            packed, method = decrypted(packed, entry.packed, cipher, self._path), cipher.method
            crc = crc if cipher.has_crc else -1
        if method not in _METHODS:
            raise damaged(self._path, f"Method {method} isn't read")
        plain = self._decode(packed, method, entry)
        return cast_stream(Checked(plain, entry.size, None if crc < 0 else crc, self._path))

    def _decode(self, packed: IO[bytes], method: int, entry: _Entry) -> IO[bytes]:
        if method == 0:
            return cast_stream(_Spending(packed, self._opening, self._path))
        limits = self._opening.limits

        def make() -> Decoder:
            if method == 93:
                return zstd_decoder(limits)
            if method == 95:
                return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.decoder_bytes)
            if method == 14:
                return _Lzma(limits.decoder_bytes, bool(entry.flags & 2))
            if method == 12:
                return bz2.BZ2Decompressor()
            return _Deflate64() if method == 9 else Deflate(-15)

        chunk = {8: 16384, 9: 256}.get(method, 4096)
        return cast_stream(Decoded(packed, make, self._opening.budget, self._path, chunk=chunk))

    # -- without a directory --------------------------------------------------------------------------------------

    def _salvage(self) -> Iterator[Member | Note]:
        """Yield the members that local headers tell of; where one doesn't follow another, the next is looked for."""
        at = 0
        for _ in range(self._opening.limits.archive_members):
            found = self._next_header(at)
            if found > at:
                yield Note("broken-archive", f"{found - at} bytes at {at} are no members.", "", at, found - at)
            if found >= self._size:
                return
            try:
                entry = self._local(found)
            except (InputError, struct.error):
                yield Note("broken-archive", f"{self._size - found} bytes at {found} are no members: cut off.")
                return
            if entry is None:  # the directory: all members were there
                return
            at = entry.data + entry.packed if entry.data is not None else self._size
            if not entry.flags & 8:
                yield self._member(entry)
            elif entry.flags & 1 or entry.method not in _METHODS or not entry.method:
                where = self._next_header(at)
                reason = "Its length stands in the directory, which is lost; it can't be read."
                yield Member(entry.name, None, _nothing, Note("broken-archive", reason))
                at = where
            else:
                at = yield from self._measured(entry, at)
            if at > self._size:
                return

    def _measured(self, entry: _Entry, start: int) -> Generator[Member, None, int]:
        """Yield a member whose length its own bytes tell; return where it ends."""
        begun: list[Decoded] = []

        def begin() -> IO[bytes]:
            packed = cast_stream(Slice(self._stream, start, self._size - start, self._path))
            plain = self._decode(packed, entry.method, entry)
            assert isinstance(plain, Decoded)  # noqa: S101 - stored members don't come here
            begun.append(plain)
            return cast_stream(plain)

        yield Member(entry.name, None, begin, modified=_modified(entry.time))
        measure = begun[-1] if begun else None
        if measure is None:
            begin()
            measure = begun[-1]
        try:
            while measure.read(1024 * 1024):
                pass
        except LimitError:
            raise
        except InputError:
            return self._next_header(start)
        end = start + measure.consumed - len(measure.unused)
        self._stream.seek(end)
        behind = read_fully(self._stream, 28)
        if behind.startswith(_DESCRIPTOR):
            for length in (16, 24):
                if behind[length : length + 2] in (b"PK", b""):
                    return end + length
        for length in (12, 20):
            if behind[length : length + 2] == b"PK":
                return end + length
        return self._next_header(end)

    def _next_header(self, at: int) -> int:
        """Return where the next header is, at or after `at`; the archive's end where there is none."""
        while at < self._size:
            self._stream.seek(at)
            data = read_fully(self._stream, _SEARCH)
            places = [place for mark in (_LOCAL, _CENTRAL, _END) if (place := data.find(mark)) >= 0]
            if places:
                return at + min(places)
            if len(data) < 4:
                break
            at += len(data) - 3
        return self._size

    def _local(self, at: int) -> _Entry | None:
        self._stream.seek(at)
        header = read_fully(self._stream, 30)
        if not header.startswith(_LOCAL):
            return None
        flags, method, time, crc, packed, size, name, extra = struct.unpack_from("<HHIIIIHH", header, 6)
        rest = read_fully(self._stream, name + extra)
        if len(rest) < name + extra:
            raise damaged(self._path, "A header is cut", at)
        fields = rest[name:]
        size, packed, _ = _zip64(fields, size, packed, 0)
        data = at + 30 + name + extra
        begun = replace(
            _Entry(_name(rest[:name], flags, fields), flags, method, time, crc, packed, size, at, 0, fields), data=data
        )
        return replace(begun, packed=0) if flags & 8 and not packed else replace(begun, flags=flags & ~8)


class _Spending(io.RawIOBase):
    """A stored member: nothing is decoded, but archives whose members overlap grow so, too."""

    def __init__(self, stream: IO[bytes], opening: Opening, path: str) -> None:
        self._stream = stream
        self._opening = opening
        self._path = path

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._opening.budget.spend(len(data), self._path)
        return data


class _Lzma:
    """The method LZMA: a header of its own before a raw stream (APPNOTE 5.8.8)."""

    def __init__(self, memory: int, has_end: bool) -> None:
        self._memory = memory
        self._has_end = has_end
        self._head = b""
        self._inner: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner is None or self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data if self._inner is not None else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            data = self._head[9:]
            properties, dictionary = struct.unpack_from("<BI", self._head, 4)
            if dictionary > self._memory or properties >= 225:
                raise MemoryError
            level = {"lc": properties % 9, "lp": properties // 9 % 5, "pb": properties // 45}
            chain = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), **level}]
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
        return self._inner.decompress(data, max_length)


class _Deflate64:
    """The method that Windows Explorer takes for more than 2 GiB; fed in small pieces: they may grow 20,000 times."""

    def __init__(self) -> None:
        import inflate64  # noqa: PLC0415

        self._inner = inflate64.Inflater()
        self._out = b""

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof) and not self._out

    @property
    def needs_input(self) -> bool:
        return not self._out

    unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._out += self._inner.inflate(data)
        found, self._out = self._out[:max_length], self._out[max_length:]
        return found


_METHODS = frozenset({0, 8, 9, 12, 14, 93, 95})


def _modified(time: int) -> float | None:
    """Return what MS-DOS's date and time say, taken as UTC: no zone is written."""
    day, seconds = time >> 16, time & 0xFFFF
    try:
        stated = datetime(
            1980 + (day >> 9), day >> 5 & 15, day & 31, seconds >> 11, seconds >> 5 & 63, 2 * (seconds & 31), tzinfo=UTC
        )
    except ValueError:
        return None
    return stated.timestamp()


def _nothing() -> IO[bytes]:
    return io.BytesIO()


def _zip64(fields: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Return the sizes and the place that a zip64 field states where the header's own are full (APPNOTE 4.5.3)."""
    body = dict(_fields(fields)).get(1, b"")
    values, at = [size, packed, header], 0
    for number, value in enumerate(values):
        if value == _ALL and len(body) >= at + 8:
            values[number] = int.from_bytes(body[at : at + 8], "little")
            at += 8
    return values[0], values[1], values[2]


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _name(raw: bytes, flags: int, fields: bytes) -> str:
    """Return a name: UTF-8 where the archive says so or it is, else code page 437, as the standard has it."""
    if not raw.isascii():
        for kind, body in _fields(fields):
            if kind == 0x7075 and len(body) > 5 and body[1:5] == crc32(raw).to_bytes(4, "little"):
                raw, flags = body[5:], flags | 0x800
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace") if flags & 0x800 else raw.decode("cp437")
