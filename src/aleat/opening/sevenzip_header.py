"""The directory of a 7z archive (7zFormat.txt in the LZMA SDK, https://www.7-zip.org/sdk.html), read within limits.

`read_header` gives folders (each a chain of coders over a stretch of packed bytes) and files in the order in which
they follow one another in the folders' unpacked bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from aleat.errors import InputError, Place
from aleat.opening.streams import damaged

__all__ = ["Coder", "File", "Folder", "Header", "read_header"]

(_END, _HEADER, _ARCHIVE_PROPERTIES, _ADDITIONAL, _MAIN, _FILES, _PACK, _UNPACK, _SUBSTREAMS, _SIZE, _CRC) = range(11)
(_FOLDER, _CODER_SIZES, _COUNTS, _EMPTY_STREAM, _EMPTY_FILE, _ANTI, _NAMES) = range(11, 18)
_MODIFIED, _ATTRIBUTES, _ENCODED = 0x14, 0x15, 0x17
_FILETIME_EPOCH = 11_644_473_600
_CODERS = 8


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of a folder's chain: its method's number and properties; how many streams go in and out."""

    method: bytes
    properties: bytes
    inputs: int
    outputs: int


@dataclass(slots=True)
class Folder:
    """A stretch of packed bytes, and how it is unpacked; `sizes` are what each coder gives out."""

    coders: list[Coder]
    bound: dict[int, int]
    """The output whose bytes an input takes."""
    packed_inputs: list[int]
    sizes: list[int] = field(default_factory=list)
    crc: int | None = None
    start: int = 0
    packed: list[int] = field(default_factory=list)
    parts: list[tuple[int, int | None]] = field(default_factory=list)
    """Size and checksum of each file in it."""

    @property
    def size(self) -> int:
        """What comes out of the last coder."""
        taken = set(self.bound.values())
        return next((size for place, size in enumerate(self.sizes) if place not in taken), 0)


@dataclass(slots=True)
class File:
    """A file's name, and the number of the folder that its bytes stand in (-1: it has none)."""

    name: str
    folder: int = -1
    size: int = 0
    crc: int | None = None
    is_folder: bool = False
    attributes: int = 0
    modified: float | None = None


@dataclass(slots=True)
class Header:
    """What is in an archive; of an encoded header only `folders`, with the one that holds the real one."""

    folders: list[Folder] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    encoded: bool = False
    more: int = 0


class _Bytes:
    """The header's bytes, taken one after another."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data = data
        self.at = 0
        self.path = path

    def fault(self) -> InputError:
        return InputError("The archive's directory can't be read.", Place(self.path), advice="Copy it again.")

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise self.fault()
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Return a number whose first byte's leading ones say how many bytes follow."""
        first, value, mask = self.byte(), 0, 0x80
        for place in range(8):
            if not first & mask:
                return value + ((first & (mask - 1)) << (8 * place))
            value |= self.byte() << (8 * place)
            mask >>= 1
        return value

    def count(self) -> int:
        """Return a number of things that each take a bit of the header, at least."""
        value = self.number()
        if value > 8 * len(self.data):
            raise self.fault()
        return value

    def bits(self, count: int) -> list[bool]:
        data = self.take((count + 7) // 8)
        return [bool(data[place >> 3] & 0x80 >> (place & 7)) for place in range(count)]

    def maybe_bits(self, count: int) -> list[bool]:
        return [True] * count if self.byte() else self.bits(count)

    def checksums(self, count: int) -> list[int | None]:
        return [struct.unpack("<I", self.take(4))[0] if there else None for there in self.maybe_bits(count)]


def read_header(data: bytes, path: str, limit: int) -> Header:
    """Return what a header's bytes say, at most `limit` files; raises `InputError`."""
    source = _Bytes(data, path)
    header = Header()
    kind = source.byte()
    if kind == _ENCODED:
        header.encoded = True
        header.folders = _streams(source)
        return header
    if kind != _HEADER:
        raise source.fault()
    kind = source.byte()
    if kind == _ARCHIVE_PROPERTIES:
        while source.byte() != _END:
            source.take(source.number())
        kind = source.byte()
    if kind == _ADDITIONAL:
        _streams(source)
        kind = source.byte()
    if kind == _MAIN:
        header.folders = _streams(source)
        kind = source.byte()
    if kind == _FILES:
        _files(source, header, limit)
    return header


def _streams(source: _Bytes) -> list[Folder]:
    folders: list[Folder] = []
    start = 0
    packed: list[int] = []
    kind = source.byte()
    if kind == _PACK:
        start, packed = _packed(source)
        kind = source.byte()
    if kind == _UNPACK:
        folders = _folders(source)
        kind = source.byte()
    _place(folders, start, packed, source)
    if kind == _SUBSTREAMS:
        _parts(source, folders)
        kind = source.byte()
    else:
        for folder in folders:
            folder.parts = [(folder.size, folder.crc)]
    if kind != _END:
        raise source.fault()
    return folders


def _packed(source: _Bytes) -> tuple[int, list[int]]:
    start, count, sizes = source.number(), source.count(), []
    while (kind := source.byte()) != _END:
        if kind == _SIZE:
            sizes = [source.number() for _ in range(count)]
        elif kind == _CRC:
            source.checksums(count)
        else:
            raise source.fault()
    return start, sizes


def _folders(source: _Bytes) -> list[Folder]:
    if source.byte() != _FOLDER:
        raise source.fault()
    count = source.count()
    if source.byte():  # kept elsewhere: no tool writes that
        raise source.fault()
    folders = [_folder(source) for _ in range(count)]
    if source.byte() != _CODER_SIZES:
        raise source.fault()
    for folder in folders:
        folder.sizes = [source.number() for coder in folder.coders for _ in range(coder.outputs)]
    while (kind := source.byte()) != _END:
        if kind != _CRC:
            raise source.fault()
        for folder, crc in zip(folders, source.checksums(count), strict=True):
            folder.crc = crc
    return folders


def _folder(source: _Bytes) -> Folder:
    coders: list[Coder] = []
    count = source.number()
    if not 0 < count <= _CODERS:
        raise source.fault()
    for _ in range(count):
        flags = source.byte()
        method = source.take(flags & 15)
        inputs, outputs = (source.number(), source.number()) if flags & 0x10 else (1, 1)
        properties = source.take(source.number()) if flags & 0x20 else b""
        if not (0 < inputs <= _CODERS and 0 < outputs <= _CODERS) or flags & 0xC0:
            raise source.fault()
        coders.append(Coder(method, properties, inputs, outputs))
    total_in, total_out = sum(coder.inputs for coder in coders), sum(coder.outputs for coder in coders)
    bound = {source.number(): source.number() for _ in range(total_out - 1)}
    left = total_in - (total_out - 1)
    if left < 1:
        raise source.fault()
    if left == 1:
        packed = [place for place in range(total_in) if place not in bound][:1]
    else:
        packed = [source.number() for _ in range(left)]
    return Folder(coders, bound, packed)


def _place(folders: list[Folder], start: int, packed: list[int], source: _Bytes) -> None:
    """Say where each folder's packed bytes are."""
    number = 0
    for folder in folders:
        folder.start = start
        folder.packed = packed[number : number + len(folder.packed_inputs)]
        if len(folder.packed) < len(folder.packed_inputs):
            raise source.fault()
        start += sum(folder.packed)
        number += len(folder.packed)


def _parts(source: _Bytes, folders: list[Folder]) -> None:
    counts = [1] * len(folders)
    kind = source.byte()
    if kind == _COUNTS:
        counts = [source.count() for _ in folders]
        if sum(counts) > 8 * len(source.data):
            raise source.fault()
        kind = source.byte()
    sizes: list[list[int]] = []
    for folder, count in zip(folders, counts, strict=True):
        own: list[int] = []
        if count:
            own = [source.number() for _ in range(count - 1)] if kind == _SIZE else []
            if kind != _SIZE and count > 1:
                raise source.fault()
            own.append(folder.size - sum(own))
        if own and own[-1] < 0:
            raise source.fault()
        sizes.append(own)
    if kind == _SIZE:
        kind = source.byte()
    unknown = [
        (place, part)
        for place, (folder, count) in enumerate(zip(folders, counts, strict=True))
        for part in range(count)
        if count != 1 or folder.crc is None
    ]
    found: dict[tuple[int, int], int | None] = {}
    while kind != _END:
        if kind == _CRC:
            found = dict(zip(unknown, source.checksums(len(unknown)), strict=True))
        else:
            source.take(source.number())
        kind = source.byte()
    for place, (folder, own) in enumerate(zip(folders, sizes, strict=True)):
        folder.parts = [
            (size, folder.crc if len(own) == 1 and folder.crc is not None else found.get((place, part)))
            for part, size in enumerate(own)
        ]


def _files(source: _Bytes, header: Header, limit: int) -> None:
    count = source.count()
    names: list[str] = []
    empty, empty_file = [False] * count, list[bool]()
    attributes: dict[int, int] = {}
    times: dict[int, int] = {}
    while (kind := source.number()) != _END:
        body = _Bytes(source.take(source.number()), source.path)
        if kind == _EMPTY_STREAM:
            empty = body.bits(count)
        elif kind == _EMPTY_FILE:
            empty_file = body.bits(sum(empty))
        elif kind == _NAMES:
            if body.byte():
                raise body.fault()
            names = _names(body, min(count, limit))
        elif kind in (_ATTRIBUTES, _MODIFIED):
            there = body.maybe_bits(count)
            if body.byte():
                raise body.fault()
            found, size = (attributes, 4) if kind == _ATTRIBUTES else (times, 8)
            for number in (place for place, stated in enumerate(there) if stated):
                found[number] = int.from_bytes(body.take(size), "little")
    header.more = max(count - limit, 0)
    parts = ((number, size, crc) for number, folder in enumerate(header.folders) for size, crc in folder.parts)
    kinds = iter(empty_file)
    for number in range(min(count, limit)):
        one = File(names[number] if number < len(names) else f"file {number + 1}")
        one.attributes = attributes.get(number, 0)
        one.modified = times[number] // 10_000_000 - _FILETIME_EPOCH if times.get(number) else None
        if empty[number]:
            one.is_folder = not next(kinds, False)
        else:
            part = next(parts, None)
            if part is None:
                raise source.fault()
            one.folder, one.size, one.crc = part
        header.files.append(one)


def _names(body: _Bytes, count: int) -> list[str]:
    names: list[str] = []
    text = body.data[body.at :]
    at = 0
    for _ in range(count):
        end = at
        while (end := text.find(b"\0\0", end)) >= 0 and (end - at) % 2:
            end += 1
        if end < 0:
            raise damaged(body.path, "The archive's directory lacks names")
        names.append(text[at:end].decode("utf-16-le", "backslashreplace"))
        at = end + 2
    return names
