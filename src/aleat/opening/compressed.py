"""Compressed streams (RFC 1952 gzip, bzip2, xz, RFC 8878 zstd, LZ4 frames): archives with one member, called "".

Several streams behind one another are one, as their own tools take them; anything else behind an end is a fault.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from aleat.opening.container import Member, Opening
from aleat.opening.limits import Limits
from aleat.opening.streams import Decoded, Decoder, Forward, cast_stream

__all__ = ["COMPRESSED", "Compressed", "Deflate", "zstd_decoder"]

_ZSTD_FRAMES = (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + low, 0x2A, 0x4D, 0x18)) for low in range(16)))


_BZIP2_MARKS = tuple(b"BZh%d" % level + mark for level in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90"))


class Deflate:
    """`zlib`'s decompressor with the face of `bz2`'s; a fault costs nothing of what comes before it."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self._tail = b""
        self._full = False
        self._fault: zlib.error | None = None

    @property
    def eof(self) -> bool:
        """Whether the stream's end was reached."""
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without input."""
        return self._fault is None and not self._tail and not self._full

    @property
    def unused_data(self) -> bytes:
        """What came in behind the end."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` further bytes."""
        if self._fault is not None:
            raise self._fault
        given = self._tail + data
        before = self._inner.copy()
        try:
            found = self._inner.decompress(given, max_length)
        except zlib.error as error:
            self._fault = error
            return self._salvage(before, given, max_length)
        self._tail = self._inner.unconsumed_tail
        self._full = len(found) == max_length
        return found

    def _salvage(self, inner: object, given: bytes, max_length: int) -> bytes:
        """Return what comes out before the byte at which it fails."""
        pieces: list[bytes] = []
        assert hasattr(inner, "decompress")  # noqa: S101 - zlib's type has no public name
        try:
            for place in range(len(given)):
                pieces.append(inner.decompress(given[place : place + 1]))
                if sum(map(len, pieces[-2:])) > max_length:
                    break
        except zlib.error:
            pass
        return b"".join(pieces)[:max_length]


def zstd_decoder(limits: Limits) -> Decoder:
    """Return a decoder for one zstd frame whose window is no larger than the limit."""
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - Python 3.14
    except ImportError:
        from backports import zstd  # noqa: PLC0415
    log = max(10, min(limits.decoder_bytes.bit_length() - 1, 31))
    decoder: Decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: log})
    return decoder


def _gzip(_limits: Limits) -> Decoder:
    return Deflate(31)


def _bzip2(_limits: Limits) -> Decoder:
    import bz2  # noqa: PLC0415

    return bz2.BZ2Decompressor()


def _xz(limits: Limits) -> Decoder:
    import lzma  # noqa: PLC0415

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.decoder_bytes)


def _lz4(_limits: Limits) -> Decoder:
    return _Lz4()


class _Lz4:
    """One LZ4 frame. Arrow's decoder pulls; what is fed is kept until a block is whole, so that it never runs dry.

    https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md: blocks of at most 4 MiB, each with its length.
    """

    def __init__(self) -> None:
        self._given = bytearray()
        self._out = memoryview(b"")
        self._window = b""
        self._begun = False
        self.eof = False
        self.unused_data = b""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without input."""
        return not self.eof and not len(self._out) and not self._whole()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` further bytes."""
        self._given += data
        while not len(self._out) and not self.eof and self._whole():
            self._block()
        found = bytes(self._out[:max_length])
        self._out = self._out[max_length:]
        return found

    def _whole(self) -> bool:
        if not self._begun:
            return len(self._given) >= 7 and len(self._given) >= self._header()
        return len(self._given) >= 4 and len(self._given) >= self._length()

    def _header(self) -> int:
        flags = self._given[4]
        return 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)

    def _length(self) -> int:
        """Return the next block's length, with all that belongs to it."""
        stated = int.from_bytes(self._given[:4], "little")
        if not stated:
            return 4 + (4 if self._flags & 4 else 0)
        length = stated & 0x7FFFFFFF
        if length > self._most + 16:
            raise ValueError("a block is longer than the frame allows")
        return 4 + length + (4 if self._flags & 16 else 0)

    def _block(self) -> None:
        if not self._begun:
            self._flags, kind = self._given[4], self._given[5] >> 4 & 7
            if self._flags >> 6 != 1 or kind < 4 or self._flags & 1:
                raise ValueError("a frame of another version, or with a dictionary")
            self._most = 1 << (8 + 2 * kind)
            del self._given[: self._header()]
            self._begun = True
            return
        length = self._length()
        block, stated = bytes(self._given[4:length]), int.from_bytes(self._given[:4], "little")
        del self._given[:length]
        if not stated:
            self.unused_data, self.eof = bytes(self._given), True
            return
        body = block[: stated & 0x7FFFFFFF]
        found = body if stated >> 31 else lz4_block(body, self._window, self._most)
        if not self._flags & 32:  # blocks that look back into those before
            self._window = (self._window + found)[-65536:]
        self._out = memoryview(found)


def lz4_block(block: bytes, window: bytes, most: int) -> bytes:
    """Return what an LZ4 block holds, at most `most` bytes; raises `ValueError` or `IndexError` where it is damaged.

    https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
    """
    out = bytearray(window)
    at, end, limit = 0, len(block), len(window) + most
    while at < end:
        token = block[at]
        at += 1
        literals, at = _lz4_length(block, at, token >> 4)
        if at + literals > end or len(out) + literals > limit:
            raise ValueError("literals run over the end")
        out += block[at : at + literals]
        at += literals
        if at == end:
            break
        distance = block[at] | block[at + 1] << 8
        length, at = _lz4_length(block, at + 2, token & 15)
        length += 4
        if not 0 < distance <= len(out) or len(out) + length > limit:
            raise ValueError("a match leads out of the data")
        if distance >= length:
            start = len(out) - distance
            out += out[start : start + length]
        else:
            piece = bytes(out[-distance:])
            out += (piece * (length // distance + 1))[:length]
    return bytes(out[len(window) :])


def _lz4_length(block: bytes, at: int, length: int) -> tuple[int, int]:
    if length == 15:
        while (more := block[at]) == 255:
            length += 255
            at += 1
        length += more
        at += 1
    return length, at


@dataclass(frozen=True, slots=True)
class Compressed:
    """One kind of compressed stream: what it begins with, and how a decoder is made."""

    name: str
    marks: tuple[bytes, ...]
    make: Callable[[Limits], Decoder]
    chunk: int = 4096
    seeks: bool = False

    def detect(self, head: bytes) -> bool:
        """Say whether a stream begins like one."""
        return head.startswith(self.marks)

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> CompressedStream:
        """Return the archive with its one member."""
        return CompressedStream(self, stream, path, opening)


class CompressedStream:
    """The archive that a compressed stream is."""

    names: Sequence[str] = ()

    def __init__(self, kind: Compressed, stream: IO[bytes], path: str, opening: Opening) -> None:
        self._kind = kind
        self._stream = stream
        self._path = path
        self._opening = opening

    def __iter__(self) -> Iterator[Member]:
        """Yield the one member."""
        modified: float | None = None
        if self._kind.name == "gzip":  # whose head has a time, unless it was packed from a stream
            forward = Forward(self._stream)
            modified = float(int.from_bytes(forward.peek(10)[4:8], "little")) or None
            self._stream = cast_stream(forward)
        yield Member("", None, self._open, modified=modified)

    def _open(self) -> IO[bytes]:
        kind, limits = self._kind, self._opening.limits
        return cast_stream(
            Decoded(
                self._stream,
                lambda: kind.make(limits),
                self._opening.budget,
                self._path,
                more=kind.detect,
                chunk=kind.chunk,
            )
        )


COMPRESSED = (
    Compressed("gzip", (b"\x1f\x8b\x08",), _gzip, chunk=16384),
    Compressed("bzip2", _BZIP2_MARKS, _bzip2),
    Compressed("xz", (b"\xfd7zXZ\0",), _xz),
    Compressed("zstd", _ZSTD_FRAMES, zstd_decoder),
    Compressed("lz4", (b"\x04\x22\x4d\x18",), _lz4, chunk=65536),
)
