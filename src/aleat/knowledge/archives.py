"""Documents in archives: those of `aleat.opening`, archives within archives too, read forward and once.

A member is a document with its path below the archive; a folder that holds everything in it doesn't count, an archive
inside counts as a folder. Documents that are small stay good when the walk goes on; a large one lies in a temporary
file that is gone then. What can't be opened is an `Issue`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.document import HEAD_BYTES, ByteStream, Document
from aleat.knowledge.limits import Limits
from aleat.opening.container import (
    Archive,
    Container,
    Member,
    Note,
    Opening,
    Secrets,
    container_of,
    numbered,
    open_archive,
)
from aleat.opening.limits import Budget, limit_advice
from aleat.opening.members import is_named, refusal_of, unnamed, zip_is_package
from aleat.opening.streams import Forward, cast_stream, spool
from aleat.text import path_text

__all__ = ["open_archive_documents"]

_STAGE = "knowledge"
_HELD = 16 * 1024**2  # bytes of a document that are held in memory
_BLOCK = 1024**2
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
_NOT_FILES = "__MACOSX/"  # notes that macOS adds


@dataclass(frozen=True, slots=True)
class _At:
    """Where the walk stands: the path as shown, the path below the collection, how many archives deep.

    `named` says that `relative` is a path in an archive, which an archive inside adds to, as a folder would.
    """

    shown: str
    relative: str
    depth: int = 0
    named: bool = False
    top: str = ""
    """The one folder that everything in the archive on disk stands in, with its slash."""

    def inside(self, member: Member) -> _At:
        """Return the place of a member of what is here."""
        if not member.name:
            packed = next((end for end in _PACKED if self.relative.lower().endswith(end)), "")
            return replace(self, relative=self.relative[: len(self.relative) - len(packed)])
        name = path_text(member.name)
        below = name.replace("\\", "/").removeprefix(self.top)
        relative = f"{self.relative}/{below}" if self.named else below
        return replace(self, shown=f"{self.shown}!{name}", relative=relative, named=True, top="")


def open_archive_documents(
    path: Path, shown: str, relative: str, limits: Limits, secrets: Secrets | None = None
) -> Iterator[Document | Issue]:
    """Yield the documents in the archive (or compressed file) at `path`; `relative` is its own path."""
    at = _At(shown, relative, top=_top_folder(path, shown, limits, secrets or Secrets()))
    beside = _Beside(path, at, limits, secrets or Secrets())
    yield from _documents(path, at, limits, secrets or Secrets(), beside)


def _documents(
    path: Path, at: _At, limits: Limits, secrets: Secrets, beside: Callable[[str], bytes | None] | None
) -> Iterator[Document | Issue]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            walk = _Walk(limits, Opening(limits, Budget(limits, size), secrets), beside)
            yield from walk.stream(file, at, size)
            yield from (_noted(at.shown, note) for note in unnamed(walk.opening.passed))
    except OSError as error:
        yield Issue(_STAGE, "unreadable", Place(at.shown), f"It can't be read: {error.strerror}.")


class _Walk:
    """One walk through an archive on disk."""

    def __init__(self, limits: Limits, opening: Opening, beside: Callable[[str], bytes | None] | None) -> None:
        self.limits = limits
        self.opening = opening
        self._beside = beside
        self._found = 0

    def stream(self, stream: IO[bytes], at: _At, size: int | None) -> Iterator[Document | Issue]:
        """Yield what a stream is, or the documents in the archive that it is; `size` is known where it can seek."""
        forward = Forward(stream)
        head = forward.peek(HEAD_BYTES)
        if not head:
            if forward.fault is not None:
                yield _fault(at.shown, forward.fault)
            else:
                yield Issue(_STAGE, "empty", Place(at.shown), "The member is empty.")
            return
        kind = container_of(head)
        if kind is None:
            yield from self._document(cast_stream(forward), at)
        elif at.depth >= self.limits.archive_depth:
            reason = f"Archives lie within one another deeper than {self.limits.archive_depth} (archive_depth)."
            yield Issue(_STAGE, "limit", Place(at.shown), reason, limit_advice("archive_depth"))
        else:
            yield from self._opened(kind, stream, forward, at, size)

    def _opened(
        self, kind: Container, stream: IO[bytes], forward: Forward, at: _At, size: int | None
    ) -> Iterator[Document | Issue]:
        with ExitStack() as stack:
            if not kind.seeks:
                stream = cast_stream(forward)
            elif size is None:
                stream, size, broken = spool(stack, cast_stream(forward))
                if broken is not None:
                    yield _fault(at.shown, broken)
            else:
                stream.seek(0)
            try:
                archive = open_archive(kind, stream, size, at.shown, self.opening)
            except InputError as error:
                yield _fault(at.shown, error)
                return
            if zip_is_package(archive.names) and size is not None:
                stream.seek(0)
                yield from self._document(stream, at)
                return
            yield from self._members(archive, replace(at, depth=at.depth + 1))

    def _members(self, archive: Archive, at: _At) -> Iterator[Document | Issue]:
        told = False
        try:
            for item in numbered(archive, at.shown):
                if isinstance(item, Note):
                    told = True
                    yield _noted(at.shown, item)
                    continue
                if item.name.startswith(_NOT_FILES):
                    continue
                told = True
                self._found += 1
                if self._found > self.limits.archive_members:
                    reason = f"More members than {self.limits.archive_members} (archive_members); the rest isn't read."
                    yield Issue(_STAGE, "limit", Place(at.shown), reason, limit_advice("archive_members"))
                    return
                yield from self._member(item, at.inside(item))
        except InputError as error:
            told = True
            yield _fault(at.shown, error)
        if not told:
            yield Issue(_STAGE, "empty", Place(at.shown), "The archive is empty.")

    def _member(self, item: Member, inside: _At) -> Iterator[Document | Issue]:
        refusal = refusal_of(item, self.opening)
        if refusal is not None:
            if is_named(refusal, self.opening.passed):
                yield _noted(inside.shown, refusal)
            return
        try:
            stream = item.open()
        except InputError as error:
            yield _fault(inside.shown, error)
            return
        yield from self.stream(stream, inside, None)
        if self.opening.budget.left < 0:
            raise self.opening.budget.spent(inside.shown)

    def _document(self, stream: IO[bytes], at: _At) -> Iterator[Document | Issue]:
        with ExitStack() as stack:
            bounded = cast_stream(_Bounded(stream, self.limits.file_bytes, at.shown))
            copy, size, fault = spool(stack, bounded)
            if fault is not None:
                yield _fault(at.shown, fault)
                return
            if size <= _HELD:
                data = copy.read()
                yield Document(
                    at.shown, at.relative, size, data[:HEAD_BYTES], io.BytesIO(data).getvalue, None, self._beside
                )
                return
            kept = _Kept(copy, at.shown)
            yield Document(
                at.shown, at.relative, size, kept.read_all(HEAD_BYTES), kept.read_all, kept.stream, self._beside
            )


class _Bounded(io.RawIOBase):
    """A stream that ends in `LimitError` beyond `most` bytes."""

    def __init__(self, stream: IO[bytes], most: int, shown: str) -> None:
        self._stream, self._most, self._left, self._shown = stream, most, most, shown

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            reason = f"The member is larger than {self._most} bytes (file_bytes)."
            raise LimitError(reason, Place(self._shown), advice=limit_advice("file_bytes"))
        return data


class _Kept:
    """A document's bytes in a temporary file, for as long as the walk stands at it."""

    def __init__(self, copy: IO[bytes], shown: str) -> None:
        self._copy = copy
        self._shown = shown

    def read_at(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes (negative: all) at `place`."""
        try:
            self._copy.seek(place)
            return self._copy.read(size)
        except ValueError:  # closed: the walk went on
            reason = "The member was let go of when the next one was asked for."
            raise InputError(reason, Place(self._shown), advice="Read each document before the next.") from None

    def read_all(self, size: int = -1) -> bytes:
        """Return all bytes, or the first `size`."""
        return self.read_at(0, size)

    def stream(self) -> ByteStream:
        """Return a stream of its own."""
        return _KeptStream(self)


class _KeptStream:
    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Read on."""
        data = self._kept.read_at(self._at, size)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Let go of it: the walk closes the file."""


class _Beside:
    """What else is in an archive, for documents that ask: gone through once, when the first does, and held."""

    def __init__(self, path: Path, at: _At, limits: Limits, secrets: Secrets) -> None:
        self._given = (path, at, limits, secrets)
        self._held: dict[str, bytes | None] | None = None

    def __call__(self, relative: str) -> bytes | None:
        """Return the document's bytes, None where there is none; raises `LimitError` where it wasn't held."""
        if self._held is None:
            self._held = self._read()
        data = self._held.get(relative)
        if data is None and relative in self._held:
            most = self._given[2].sibling_bytes
            reason = f"The archive's documents are larger than {most} bytes together (sibling_bytes)"
            advice = limit_advice("sibling_bytes")
            raise LimitError(f"{reason}; {path_text(relative)} isn't held.", Place(self._given[1].shown), advice=advice)
        return data

    def _read(self) -> dict[str, bytes | None]:
        held: dict[str, bytes | None] = {}
        left = self._given[2].sibling_bytes
        for item in _documents(*self._given, None):
            if isinstance(item, Issue) or item.relative in held:
                continue
            fits = item.size <= left
            held[item.relative] = item.read() if fits else None
            left -= item.size if fits else 0
        return held


def _top_folder(path: Path, shown: str, limits: Limits, secrets: Secrets) -> str:
    """Return the one folder (with its slash) that all names in the archive stand in, or the empty string.

    Names alone are gone through, up to the first that stands elsewhere.
    """
    tops: set[str] = set()
    deeper = False
    try:
        with path.open("rb") as file, ExitStack() as stack:
            size = os.fstat(file.fileno()).st_size
            opening = Opening(limits, Budget(limits, size), secrets)
            for count, name in enumerate(_names(stack, file, shown, size, opening)):
                head, slash, _ = name.replace("\\", "/").partition("/")
                tops.add(head)  # 7z names the folder itself, too
                deeper = deeper or bool(slash)
                if len(tops) > 1 or head in ("", "..", ".") or count > limits.archive_members:
                    return ""
    except (InputError, OSError):
        pass
    return f"{tops.pop()}/" if tops and deeper else ""


def _names(stack: ExitStack, stream: IO[bytes], shown: str, size: int | None, opening: Opening) -> Iterator[str]:
    for _ in range(opening.limits.archive_depth):
        forward = Forward(stream)
        kind = container_of(forward.peek(HEAD_BYTES))
        if kind is None:
            return
        if not kind.seeks:
            stream = cast_stream(forward)
        elif size is None:
            stream, size, _fault = spool(stack, cast_stream(forward))
        else:
            stream.seek(0)
        archive = open_archive(kind, stream, size, shown, opening)
        if archive.names:
            yield from (name for name in archive.names if not name.startswith(_NOT_FILES))
            return
        for item in numbered(archive, shown):
            if isinstance(item, Member) and not item.name:
                stream, size = item.open(), None
                break
            if isinstance(item, Member) and not item.name.startswith(_NOT_FILES):
                yield item.name
        else:
            return


def _noted(shown: str, note: Note) -> Issue:
    code = "empty" if note.code == "empty-file" else note.code
    return Issue(_STAGE, code, Place(shown, offset=note.offset), note.reason, note.advice, note.length)


def _fault(shown: str, error: InputError) -> Issue:
    code = error.code if isinstance(error, LimitError) or error.code == "encrypted" else "broken-archive"
    place = Place(shown, offset=error.place.offset if error.place is not None else None)
    return Issue(_STAGE, code, place, error.reason, error.advice)
