"""A source: one stream of log bytes, wherever it lies: a file, or a member of an archive.

A `Source` holds no open file, so that it passes between processes; `open` gives its bytes, always through
limits. It is one of the few places of this room that touches the disk.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from aleat.errors import InputError, LimitError, Place
from aleat.evidence.reader import ReadOptions

__all__ = ["BoundedStream", "Limits", "Source", "bounded", "display_path", "open_member", "open_zip_member", "spool"]

_SPOOL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What the opener allows; each limit's name stands in the message of what it stops."""

    files: int = 1_000_000
    archive_members: int = 100_000
    archive_directory_bytes: int = 64 * 1024 * 1024
    archive_depth: int = 3
    expansion_ratio: int = 250
    expansion_free_bytes: int = 64 * 1024 * 1024
    """An archive may grow to this size whatever its ratio."""
    expanded_bytes: int = 1024**4

    def allowed_bytes(self, compressed: int) -> int:
        """Return how many bytes may come out of `compressed` ones."""
        return min(self.expanded_bytes, max(self.expansion_free_bytes, self.expansion_ratio * compressed))


class BoundedStream(io.RawIOBase):
    """Reads through to `stream`, and raises `LimitError` where more than `limit` bytes come out."""

    def __init__(self, stream: IO[bytes], limit: int, path: str, name: str) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit
        self._path = path
        self._name = name

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all of them, where `size` is negative."""
        want = self._left + 1 if size < 0 else min(size, self._left + 1)
        try:
            data = self._stream.read(want)
        except (zlib.error, EOFError, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError) as error:
            reason = f"The compressed data is damaged ({type(error).__name__}); what comes before was read."
            raise InputError(reason, Place(self._path), advice="Copy the archive again from its source.") from error
        self._left -= len(data)
        if self._left < 0:
            reason = f"More than {self._limit} bytes come out of this archive (limit: {self._name})."
            raise LimitError(reason, Place(self._path), advice="Unpack it yourself if you trust it.")
        return data

    def readinto(self, buffer: object) -> int:
        """Fill `buffer`."""
        view = memoryview(cast("bytearray", buffer))
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


@dataclass(frozen=True, slots=True)
class Source:
    """One stream that a reader recognised.

    `path` is the path as given, with archive members behind ``!``; `file` the file on disk, `members` the
    names inside it, outermost first ("" for what a gzip file holds). `size` is known for plain files.
    """

    path: str
    file: Path
    members: tuple[str, ...]
    reader: str
    size: int | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    limits: Limits = field(default_factory=Limits)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the innermost stream for one pass forward (a plain file can seek)."""
        with ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(self.file.open("rb"))
            size = os.fstat(stream.fileno()).st_size
            for depth, member in enumerate(self.members):
                stream = open_member(stack, stream, member, size, self.path, self.limits)
                if depth + 1 < len(self.members):
                    stream, size = spool(stack, stream)
            yield cast(BinaryIO, stream)


def open_member(stack: ExitStack, stream: IO[bytes], member: str, size: int, path: str, limits: Limits) -> IO[bytes]:
    """Open a member of the zip in `stream`, or ("") what the gzip in `stream` holds, within the limits."""
    if member == "":
        unzipped = stack.enter_context(
            cast("AbstractContextManager[IO[bytes]]", gzip.GzipFile(fileobj=stream, mode="rb"))
        )
        return bounded(unzipped, size, path, limits)
    return open_zip_member(stack, stack.enter_context(zipfile.ZipFile(stream)), member, path, limits)


def open_zip_member(stack: ExitStack, archive: zipfile.ZipFile, member: str, path: str, limits: Limits) -> IO[bytes]:
    """Open a member of an open zip archive, within the limits."""
    info = archive.getinfo(member)
    return bounded(stack.enter_context(archive.open(info)), info.compress_size, path, limits)


def bounded(stream: IO[bytes], compressed: int, path: str, limits: Limits) -> IO[bytes]:
    """Return `stream` with the limit on what may come out of `compressed` bytes."""
    allowed = limits.allowed_bytes(compressed)
    name = "expanded_bytes" if allowed == limits.expanded_bytes else "expansion_ratio"
    return cast("IO[bytes]", BoundedStream(stream, allowed, path, name))


def spool(stack: ExitStack, stream: IO[bytes]) -> tuple[IO[bytes], int]:
    """Copy a stream to a temporary file that can seek; return it with its length."""
    copy = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(stream, copy, 1024 * 1024)
    size = copy.tell()
    copy.seek(0)
    return cast("IO[bytes]", copy), size


def display_path(path: str) -> str:
    """Return `path` as text that any encoder takes (file names needn't be UTF-8)."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
