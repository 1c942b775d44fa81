"""A source: one stream that a reader recognised, and how it is opened again."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from aleat.errors import InputError, Place
from aleat.evidence.opening.container import HEAD, Opening, Secrets, container_of, numbered, pick
from aleat.evidence.opening.limits import Budget, Limits
from aleat.evidence.opening.streams import Forward, Full, cast_stream, spool
from aleat.evidence.reader import ReadOptions

__all__ = ["Live", "Origin", "Source", "Stated", "open_chain"]

_KEPT_BYTES = 32 * 1024 * 1024
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stated:
    """A hash that the collector recorded: the algorithm as `hashlib` calls it, lower-case hex, the record's path."""

    algorithm: str
    value: str
    record: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a source comes from, as the collection that it lies in (or the place that it was fetched from) tells.

    `collector` is the tool, `host` the machine, `path` the file's own path there; `facts` are further ones, each a
    short text (the place's URL and entity tag, a disk image's hash); `hashes` are the collector's own.
    """

    collector: str = ""
    host: str = ""
    path: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    hashes: tuple[Stated, ...] = ()

    def canonical(self) -> dict[str, str]:
        """Return what is known as JSON, for the source's custody."""
        own = {"collector": self.collector, "host": self.host, "original_path": self.path}
        return {name: text for name, text in {**self.facts, **own}.items() if text}


class Live:
    """A member's stream that the walk holds open while it stands at the source; no other process gets it.

    What was read is kept up to `_KEPT_BYTES`, so that small members can be read several times.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream: IO[bytes] | None = stream
        self._kept = bytearray()
        self._at = 0
        self._fault: InputError | None = None

    def __reduce__(self) -> tuple[type[Live], tuple[IO[bytes]]]:
        return (_gone, ())  # type: ignore[return-value]

    def end(self) -> None:
        """Let go of the stream: the walk goes on."""
        self._stream, self._kept = None, bytearray()

    def read_at(self, place: int, size: int) -> bytes | None:
        """Return up to `size` bytes at `place`; None where they aren't to be had here any more."""
        if self._stream is None:
            return None
        if place < len(self._kept):
            return bytes(self._kept[place : place + size])
        if place != self._at:
            return None
        if self._fault is not None:
            raise self._fault
        try:
            data = self._stream.read(size)
        except InputError as error:
            self._fault = error
            raise
        if len(self._kept) == self._at:
            if self._at + len(data) <= _KEPT_BYTES:
                self._kept += data
            else:
                self._kept = bytearray()
        self._at += len(data)
        return data


def _gone() -> Live:
    live = Live(io.BytesIO())
    live.end()
    return live


class _LiveStream(io.RawIOBase):
    """One pass over a live stream; goes on from the file where the live one doesn't have the bytes any more."""

    def __init__(self, live: Live, reopen: Callable[[], AbstractContextManager[BinaryIO]]) -> None:
        self._live = live
        self._reopen = reopen
        self._at = 0
        self._stack = ExitStack()
        self._other: BinaryIO | None = None

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all of them, where `size` is negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        if not size:
            return b""
        data = self._live.read_at(self._at, size) if self._other is None else None
        if data is None:
            data = self._again().read(size)
        self._at += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        """Fill `buffer`."""
        view = memoryview(cast("bytearray", buffer))
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _again(self) -> BinaryIO:
        if self._other is None:
            self._other = self._stack.enter_context(self._reopen())
            left = self._at
            while left and (block := self._other.read(min(left, _BLOCK))):
                left -= len(block)
        return self._other

    def close(self) -> None:
        """Let go."""
        self._stack.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Source:
    """One stream that a reader recognised.

    `path` is the path as given, with archive members behind ``!``; `file` the file on disk, `members` the
    names inside it, outermost first ("" for what a compressed file holds). `size` is known for plain files.
    `fleeting` says that `file` is a copy that goes when the walk goes on (it was fetched from another place).
    """

    path: str
    file: Path
    members: tuple[str, ...]
    reader: str
    size: int | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    limits: Limits = field(default_factory=Limits)
    modified: float | None = None
    """When it was last changed (seconds since 1970), where something says so."""
    origin: Origin | None = None
    fleeting: bool = False
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)
    live: Live | None = field(default=None, repr=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Say whether its bytes can be read again, in ranges and by other processes, from the file."""
        return not self.members and not self.fleeting

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Open the innermost stream for one pass forward (a plain file can seek).

        While the walk that found the source stands at it, this goes on with the walk's own stream, so that an
        archive that can't seek is read once; later it is opened from the file's start.
        """
        if self.live is None:
            with self._from_file() as stream:
                yield stream
            return
        live = _LiveStream(self.live, self._from_file)
        try:
            yield cast(BinaryIO, Full(cast_stream(live)))
        finally:
            live.close()

    @contextmanager
    def _from_file(self) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            file = stack.enter_context(self.file.open("rb"))
            if not self.members:
                yield cast(BinaryIO, file)
                return
            opening = Opening(self.limits, Budget(self.limits, os.fstat(file.fileno()).st_size), self.secrets)
            yield cast(BinaryIO, Full(open_chain(stack, file, self.members, self.path, opening)))

    def read_range(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of a plain file."""
        with self.file.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def open_chain(stack: ExitStack, file: IO[bytes], members: Sequence[str], path: str, opening: Opening) -> IO[bytes]:
    """Open a member of a member … of the archive in `file`; raises `InputError` where one isn't there."""
    stream, seeks = file, True
    for name in members:
        forward = Forward(stream)
        head = forward.peek(HEAD)
        kind = container_of(head)
        if kind is None:
            raise InputError("There is no archive here any more.", Place(path), advice="Add the file again.")
        size: int | None = None
        if not kind.seeks:
            stream = cast_stream(forward)
        elif seeks:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
        else:
            stream, size, _ = spool(stack, cast_stream(forward))
        items = numbered(kind.open(stream, size, path, opening))
        stack.callback(items.close)  # what it holds open (another program) is needed until the member was read
        member = pick(items, name)
        if member is None:
            raise InputError("The archive has no such member.", Place(path), advice="Add the archive again.")
        if member.refused is not None:
            raise InputError(member.refused.reason, Place(path), advice=member.refused.advice)
        stream, seeks = member.open(), False
    return stream
