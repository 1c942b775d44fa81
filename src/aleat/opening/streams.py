"""Streams that are read once, forward: with a head that can be looked at first, decoded, and cut out of others.

All of them raise `InputError` where bytes can't be had, after they gave all that comes before.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, Protocol, cast
from zlib import crc32

from aleat.errors import InputError, Place
from aleat.opening.limits import Budget

__all__ = [
    "Checked",
    "Decoded",
    "Decoder",
    "Ended",
    "Forward",
    "Full",
    "Slice",
    "cast_stream",
    "damaged",
    "read_fully",
    "spool",
]

_SPOOL_BYTES = 16 * 1024 * 1024
_BLOCK = 1024 * 1024


class Decoder(Protocol):
    """A decompressor, as those of `bz2` and `lzma` are."""

    @property
    def eof(self) -> bool:
        """Whether the end of a compressed stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without further input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came in after the end."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes of what `data`, and what was held back before, hold."""
        ...


class _Raw(io.RawIOBase):
    """What our streams share: `read` with a size is their own; the rest follows from it."""

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer`."""
        view = memoryview(cast("bytearray", buffer))
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all of them, where `size` is negative."""
        if size < 0:
            pieces = []
            while block := self.take(_BLOCK):
                pieces.append(block)
            return b"".join(pieces)
        return self.take(size)

    def take(self, size: int) -> bytes:
        """Read up to `size` bytes (the stream's own way); fewer only before an end or a fault."""
        raise NotImplementedError


def cast_stream(stream: io.RawIOBase) -> IO[bytes]:
    """Return a stream of ours as the type that readers take."""
    return cast("IO[bytes]", stream)


def damaged(path: str, what: str, offset: int | None = None) -> InputError:
    """Return the error for compressed or packed data that can't be read on."""
    reason = f"{what}; what comes before was read."
    return InputError(reason, Place(path, offset=offset), advice="Copy the archive again from its source.")


class Forward(_Raw):
    """A stream whose first bytes can be looked at before it is read.

    A fault in the first bytes is raised when they were read, not when they are looked at.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._head = b""
        self._at = 0
        self._fault: InputError | None = None

    def peek(self, size: int) -> bytes:
        """Return the first `size` bytes (fewer where it is shorter, or damaged); only before anything is read."""
        pieces, have = [self._head], len(self._head)
        while have < size and self._fault is None:
            try:
                block = self._stream.read(size - have)
            except InputError as error:
                self._fault = error
                break
            if not block:
                break
            pieces.append(block)
            have += len(block)
        self._head = b"".join(pieces)
        return self._head

    @property
    def fault(self) -> InputError | None:
        """What is wrong within the bytes that were looked at."""
        return self._fault

    def take(self, size: int) -> bytes:
        """Read from the head, then from the stream."""
        if self._at < len(self._head):
            data = self._head[self._at : self._at + size]
            self._at += len(data)
            return data
        if self._fault is not None:
            raise self._fault
        return self._stream.read(size)


class Full(_Raw):
    """A stream that gives as many bytes as are asked for, fewer only at its end or before a fault, which it keeps."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._fault: InputError | None = None

    def take(self, size: int) -> bytes:
        """Read on."""
        pieces: list[bytes] = []
        while size and self._fault is None:
            try:
                block = self._stream.read(size)
            except InputError as error:
                self._fault = error
                break
            if not block:
                return b"".join(pieces)
            pieces.append(block)
            size -= len(block)
        if not pieces and self._fault is not None and size:
            raise self._fault
        return b"".join(pieces)


class Ended(_Raw):
    """A stream of which a fault is the end: what comes before is read like a shorter one. `fault` tells it apart."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.fault: InputError | None = None

    def seekable(self) -> bool:
        """Say whether the stream can seek."""
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return where it stands."""
        return self._stream.tell()

    def take(self, size: int) -> bytes:
        """Read on."""
        if self.fault is not None:
            return b""
        try:
            return self._stream.read(size)
        except InputError as error:
            self.fault = error
            return b""


class Slice(_Raw):
    """Bytes `start` to `start + size` of a stream that seeks; an end that comes before is a fault."""

    def __init__(self, stream: IO[bytes], start: int, size: int, path: str) -> None:
        self._stream = stream
        self._at = start
        self._left = size
        self._path = path

    def take(self, size: int) -> bytes:
        """Read on."""
        want = min(size, self._left)
        if not want:
            return b""
        self._stream.seek(self._at)
        data = self._stream.read(want)
        if not data:
            raise damaged(self._path, f"The archive ends {self._left} bytes before the member does")
        self._at += len(data)
        self._left -= len(data)
        return data


class Decoded(_Raw):
    """What compressed streams, one after another, hold.

    `make` returns a decoder; `more` says whether bytes after an end begin another stream (None: there must be
    nothing but padding). `chunk` is how much is fed at a time: what a decoder had made of it when it fails is lost.
    """

    def __init__(
        self,
        stream: IO[bytes],
        make: Callable[[], Decoder],
        budget: Budget,
        path: str,
        *,
        more: Callable[[bytes], bool] | None = None,
        chunk: int = 4096,
    ) -> None:
        self._stream = stream
        self._make = make
        self._decoder: Decoder | None = None
        self._budget = budget
        self._path = path
        self._more = more
        self._chunk = chunk
        self._fault: Exception | None = None
        self._read = 0
        self._over = b""
        try:
            self._decoder = make()
        except Exception as error:  # settings that a header states and no decoder takes
            self._fault = error

    @property
    def unused(self) -> bytes:
        """What was read of the stream and isn't part of the compressed one, when its end was reached."""
        return self._over

    @property
    def consumed(self) -> int:
        """How many bytes of the stream underneath were read."""
        return self._read

    def take(self, size: int) -> bytes:
        """Decode on."""
        pieces: list[bytes] = []
        left = size
        while left and self._fault is None and self._decoder is not None:
            try:
                data = self._step(left)
            except Exception as error:  # the decoders' own kinds: zlib.error, LZMAError, ZstdError, OSError …
                self._fault = error
                break
            pieces.append(data)
            left -= len(data)
        if pieces and (found := b"".join(pieces)):
            return found
        if self._fault is not None and size:
            raise self._said(self._fault) from self._fault
        return b""

    def _said(self, fault: Exception) -> InputError:
        if isinstance(fault, InputError):
            return fault
        if isinstance(fault, MemoryError) or "emory" in str(fault):
            return damaged(self._path, "Decompressing it takes more memory than is allowed (limit: decoder_bytes)")
        return damaged(self._path, f"The compressed data is damaged ({type(fault).__name__})")

    def _step(self, size: int) -> bytes:
        """Return some bytes, perhaps none; sets the decoder to None at the end."""
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 - the caller looked
        if decoder.eof:
            self._next(decoder.unused_data)
            return b""
        given = b""
        if decoder.needs_input:
            given = self._feed()
            if not given:
                raise damaged(self._path, "The compressed data breaks off")
        data = decoder.decompress(given, min(size, _BLOCK))
        self._budget.spend(len(data), self._path)
        return data

    def _feed(self) -> bytes:
        if self._over:
            given, self._over = self._over[: self._chunk], self._over[self._chunk :]
            return given
        given = self._stream.read(self._chunk)
        self._read += len(given)
        return given

    def _next(self, unused: bytes) -> None:
        """Go on to the next compressed stream, or to the end."""
        self._over = unused + self._over
        if self._more is None:
            self._decoder = None
            return
        while True:
            self._over = self._over.lstrip(b"\0\r\n")  # padding, and the line end that some copying adds
            if len(self._over) >= 16 or not (given := self._stream.read(self._chunk)):
                break
            self._read += len(given)
            self._over += given
        if not self._over:
            self._decoder = None
        elif self._more(self._over):
            self._decoder = self._make()
        else:
            raise damaged(self._path, "What follows the end of the compressed data is none")


class Checked(_Raw):
    """A member's bytes, counted and compared with the CRC-32 and the size that the archive states (None: not said)."""

    def __init__(self, stream: IO[bytes], size: int | None, crc: int | None, path: str) -> None:
        self._stream = stream
        self._size = size
        self._crc = crc
        self._path = path
        self._seen = 0
        self._sum = 0

    def take(self, size: int) -> bytes:
        """Read on; raises at the end where the sum differs, at once where more comes than was said."""
        want = size if self._size is None else min(size, max(self._size - self._seen, 1))
        data = self._stream.read(want) if want else b""
        if not data and want:
            if self._size is not None and self._seen < self._size:
                raise damaged(self._path, f"The member has {self._seen} bytes; the archive says {self._size}")
            if self._crc is not None and self._sum != self._crc:
                self._crc = None
                raise damaged(self._path, "The member's checksum is wrong: bytes in it were changed")
        self._seen += len(data)
        if self._size is not None and self._seen > self._size:
            raise damaged(self._path, f"The member has more than the {self._size} bytes that the archive says")
        if self._crc is not None:
            self._sum = crc32(data, self._sum)
        return data


def read_fully(stream: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, fewer only at the stream's end."""
    pieces: list[bytes] = []
    while size and (block := stream.read(min(size, _BLOCK))):
        pieces.append(block)
        size -= len(block)
    return b"".join(pieces)


def spool(stack: ExitStack, stream: IO[bytes]) -> tuple[IO[bytes], int, InputError | None]:
    """Copy a stream to a temporary file that can seek; return it with its length, and what ended it early."""
    copy = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115 - the stack closes it
    fault: InputError | None = None
    try:
        shutil.copyfileobj(stream, copy, _BLOCK)
    except InputError as error:
        fault = error
    size = copy.tell()
    copy.seek(0)
    return cast("IO[bytes]", copy), size, fault
