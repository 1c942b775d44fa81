"""A source: one stream that a reader recognised, and how it is opened again."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from aleat.errors import InputError, Place
from aleat.evidence.opening.containers import container_of
from aleat.evidence.reader import ReadOptions
from aleat.opening.container import (
    HEAD,
    Member,
    Note,
    Opening,
    Secrets,
    numbered,
    open_archive,
    pick,
)
from aleat.opening.limits import Budget, Limits
from aleat.opening.streams import Forward, Full, cast_stream, spool

__all__ = ["Live", "Origin", "Source", "Stated", "one_pass", "open_chain"]

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
        cursor = _cursor.get()
        held = self.live
        if held is None and cursor is not None and self.members:
            held = cursor.live(self)
        if held is None:
            with self._from_file() as stream:
                yield stream
            return
        live = _LiveStream(held, self._from_file)
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
            yield cast(BinaryIO, Full(open_chain(stack, file, self.members, self.path, self.opening_of(file))))

    def opening_of(self, file: IO[bytes]) -> Opening:
        """Return what holds while archives in the open file are read."""
        return Opening(self.limits, Budget(self.limits, os.fstat(file.fileno()).st_size), self.secrets)

    def read_range(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of a plain file."""
        with self.file.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def open_chain(stack: ExitStack, file: IO[bytes], members: Sequence[str], path: str, opening: Opening) -> IO[bytes]:
    """Open a member of a member … of the archive in `file`; raises `InputError` where one isn't there."""
    return _open_named(_items(stack, file, members[:-1], path, opening), members[-1], path)


def _items(
    stack: ExitStack, file: IO[bytes], members: Sequence[str], path: str, opening: Opening
) -> Generator[Member | Note, None, None]:
    """Return what is in the archive that `members` (none: the file itself) leads to, ready to be gone through once."""
    stream, seeks = file, True
    for name in (*members, None):
        forward = Forward(stream)
        kind = container_of(forward.peek(HEAD))
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
        items = numbered(open_archive(kind, stream, size, path, opening), path)
        stack.callback(items.close)  # what it holds open (another program) is needed until the member was read
        if name is None:
            break
        stream, seeks = _open_named(items, name, path), False
    return items


def _open_named(items: Iterable[Member | Note], name: str, path: str) -> IO[bytes]:
    member = pick(items, name)
    if member is None:
        raise InputError("The archive has no such member.", Place(path), advice="Add the archive again.")
    if member.refused is not None:
        error = InputError(member.refused.reason, Place(path), advice=member.refused.advice)
        error.code = member.refused.code
        raise error
    return member.open()


class _Cursor:
    """The archive that was opened last, and where it stands: later members are read on from there."""

    def __init__(self) -> None:
        self._key: object = None
        self._name = ""
        self._live = _gone()
        self._stack = ExitStack()
        self._items: Iterable[Member | Note] = ()

    def live(self, source: Source) -> Live:
        """Return a member's stream; one that was passed by begins the archive anew. The one before is at its end."""
        key = (source.file, source.members[:-1], source.limits, source.secrets)
        name = source.members[-1]
        if key == self._key and name == self._name:
            return self._live
        self._live.end()
        stream: IO[bytes] | None = None
        if key == self._key:
            try:
                member = pick(self._items, name)
                stream = None if member is None else _open_named([member], name, source.path)
            except InputError:
                stream = None
        if stream is None:
            self.close()
            file = self._stack.enter_context(source.file.open("rb"))
            self._items = _items(self._stack, file, source.members[:-1], source.path, source.opening_of(file))
            stream = _open_named(self._items, name, source.path)
        self._key, self._name, self._live = key, name, Live(stream)
        return self._live

    def close(self) -> None:
        """Let go of the archive."""
        self._live.end()
        self._key, self._items = None, ()
        self._stack.close()


_cursor: ContextVar[_Cursor | None] = ContextVar("archive that was opened last", default=None)


@contextmanager
def one_pass() -> Iterator[None]:
    """While this holds, sources that are opened again in their archive's order are read in one pass over it.

    One source at a time: a stream is good until the next source is opened. One archive is held open.
    """
    if _cursor.get() is not None:
        yield
        return
    cursor = _Cursor()
    token = _cursor.set(cursor)
    try:
        yield
    finally:
        _cursor.reset(token)
        cursor.close()
