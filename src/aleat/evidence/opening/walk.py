"""From paths to sources: folders, files, archives and archives inside them, in a fixed order, within limits."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.mapping import MAPPED, mapped
from aleat.evidence.opening.containers import container_of
from aleat.evidence.opening.disk_image import image_advice, is_later_segment
from aleat.evidence.opening.kinds import Kind, no_reader, refused_kind
from aleat.evidence.opening.kinds import may_be_log as named_like_log
from aleat.evidence.opening.layouts import Collection, collection_in_archive, collection_in_folder
from aleat.evidence.opening.source import Live, Origin, Source
from aleat.evidence.proposal import proposal
from aleat.evidence.reader import ReadOptions, detect_reader
from aleat.evidence.readers.file import FILE_FORMAT, too_large
from aleat.opening.container import (
    Archive,
    Container,
    Member,
    Note,
    Opening,
    Secrets,
    numbered,
    open_archive,
)
from aleat.opening.limits import Budget, Limits, limit_advice
from aleat.opening.members import is_named, refusal_of, unnamed, zip_is_package
from aleat.opening.streams import Forward, cast_stream, spool
from aleat.text import path_text

__all__ = ["Walk"]

_WINDOWS_LOOP = 1921  # ERROR_CANT_RESOLVE_FILENAME
_LEVELS = 24
_NAMES = 10_000
_TAKEN = "No reader of logs recognises it; it is taken as a file."


@dataclass(frozen=True, slots=True)
class _At:
    """Where the walk stands: the file on disk, the members down to here, the path as shown, and what is known."""

    file: Path
    shown: str
    members: tuple[str, ...]
    opening: Opening
    collection: Collection | None
    modified: float | None = None
    fleeting: bool = False
    origin: Origin | None = None

    def inside(self, member: Member, collection: Collection | None) -> _At:
        """Return the place of a member of what is here."""
        shown = f"{self.shown}!{path_text(member.name)}" if member.name else self.shown
        return replace(
            self,
            shown=shown,
            members=(*self.members, member.name),
            modified=member.modified or self.modified,
            collection=collection,
        )


@dataclass(slots=True)
class Walk:
    """The state of one walk: what is stated, how many files it saw, whether it wants those that are no logs."""

    limits: Limits
    options: ReadOptions
    any_file: bool = False
    secrets: Secrets = field(default_factory=Secrets)
    files: int = 0
    above: dict[Path, Collection | None] = field(default_factory=dict)
    """Collections in folders above those that were given."""

    def path(
        self, path: Path, above: tuple[tuple[int, int], ...] = (), collection: Collection | None = None
    ) -> Iterator[Source | Issue]:
        """Yield what is at and below a path."""
        shown = path_text(path.as_posix())
        if collection is None and not above:
            collection = self._collection_above(path)
        try:
            found = path.stat()
        except (OSError, ValueError) as error:
            yield _unreadable(path, shown, error)
            return
        if stat.S_ISDIR(found.st_mode):
            yield from self._folder(path, shown, above, (found.st_dev, found.st_ino), collection)
        elif stat.S_ISREG(found.st_mode):
            self.files += 1
            if self.files == self.limits.files + 1:
                reason = f"More than {self.limits.files} files (limit: files); the rest was not looked at."
                yield _issue("limit", shown, reason, limit_advice("files"))
            if self.files <= self.limits.files:
                yield from self.file(path, shown, collection=collection)
        else:
            yield _issue("not-a-file", shown, "This is neither a file nor a folder.")

    def _collection_above(self, path: Path) -> Collection | None:
        """Return the collection whose part alone was given, by the folders that the path as given names."""
        for folder in list(path.parents)[:_LEVELS]:
            if folder not in self.above:
                try:
                    names = sorted(entry.name for entry in os.scandir(folder))[:_NAMES]
                except OSError:
                    names = []
                known = collection_in_folder(folder, names)
                self.above[folder] = known if known is not None and known.collector != "disk" else None
            if (found := self.above[folder]) is not None:
                return found
        return None

    def _folder(
        self,
        path: Path,
        shown: str,
        above: tuple[tuple[int, int], ...],
        identity: tuple[int, int],
        collection: Collection | None,
    ) -> Iterator[Source | Issue]:
        if identity in above:
            yield _issue("symlink-loop", shown, "The link leads back to a folder that holds it; it wasn't followed.")
            return
        try:
            names = sorted(entry.name for entry in os.scandir(path))
        except OSError as error:
            yield _unreadable(path, shown, error)
            return
        if not names:
            yield _issue("empty-folder", shown, "The folder is empty.")
        if collection is None or collection.collector == "disk":
            collection = collection_in_folder(path, names) or collection
        for name in names:
            yield from self.path(path / name, (*above, identity), collection)

    def file(
        self,
        path: Path,
        shown: str,
        *,
        collection: Collection | None = None,
        origin: Origin | None = None,
        fleeting: bool = False,
    ) -> Iterator[Source | Issue]:
        """Yield what a file is or holds; `fleeting` as in `Source`."""
        try:
            with ExitStack() as stack:
                stream = stack.enter_context(path.open("rb"))
                found = os.fstat(stream.fileno())
                if not found.st_size:
                    yield _issue("empty-file", shown, "The file is empty.")
                    return
                opening = Opening(self.limits, Budget(self.limits, found.st_size), self.secrets)
                at = _At(path, shown, (), opening, collection, found.st_mtime, fleeting, origin)
                yield from self._stream(stream, at, found.st_size, None)
        except OSError as error:
            yield _unreadable(path, shown, error)

    # -- streams --------------------------------------------------------------------------------------------------

    def _stream(self, stream: IO[bytes], at: _At, size: int | None, stated: int | None) -> Iterator[Source | Issue]:
        """Yield what a stream is, or what the archive in it holds; `size` is known where it can seek."""
        forward = Forward(stream)
        head = forward.peek(HEAD_BYTES)
        if not head:
            if forward.fault is not None:
                yield _fault(at.shown, forward.fault)
            else:
                yield _issue("empty-file", at.shown, "The member is empty.")
            return
        kind = container_of(head)
        if kind is not None:
            if len(at.members) >= self.limits.archive_depth:
                reason = f"Archives lie within one another deeper than {self.limits.archive_depth}"
                yield _issue("limit", at.shown, f"{reason} (limit: archive_depth).", limit_advice("archive_depth"))
                return
            yield from self._opened(kind, stream, forward, at, size)
            return
        seen = Head(head, at.shown)
        reader = detect_reader(seen)
        mapping = mapped(seen, self.options) if reader is None and self.options.mappings else None
        if mapping is not None:
            source = self._source(at, MAPPED, size)
            source = replace(source, options=replace(source.options, mapping=mapping))
            yield from self._yield(source, forward, size)
            return
        refused = refused_kind(head, at.shown)
        if reader is not None:
            yield from self._yield(self._source(at, reader.name, size), forward, size)
        elif refused is not None:
            if is_later_segment(at.file) and not at.members:
                yield _issue(
                    "passed-over", at.shown, "It is a later part of the image whose first part lies beside it."
                )
                return
            yield refused_issue(at.shown, refused)
            length = size if size is not None else stated
            if self.any_file and length is not None and length <= self.limits.file_bytes:
                yield from self._yield(self._as_file(at, size), forward, size)
        elif self.any_file:
            yield from self._any_file(at, forward, seen, size, stated)
        else:
            yield proposal(seen) or no_reader(at.shown, head)

    def _yield(self, source: Source, forward: Forward, size: int | None) -> Iterator[Source]:
        """Yield a source; while the consumer has it, it goes on with the stream that is open."""
        if size is not None and source.is_plain:
            yield source
            return
        live = Live(cast_stream(forward))
        try:
            yield replace(source, live=live)
        finally:
            live.end()

    def _source(self, at: _At, reader: str, size: int | None) -> Source:
        """Return the source for what stands here; what its collection tells is in its options and its origin."""
        origin = at.collection.origin(at.shown, at.members) if at.collection is not None else None
        if at.origin is not None:
            facts = {**at.origin.facts, **(origin.facts if origin is not None else {})}
            origin = replace(origin or at.origin, facts=facts)
        options = replace(self.options, file_bytes=self.limits.file_bytes)
        if origin is not None and origin.host and options.host is None and reader != FILE_FORMAT:
            options = replace(options, host=origin.host)
        return Source(
            at.shown,
            at.file,
            at.members,
            reader,
            size if not at.members else None,
            options,
            self.limits,
            at.modified,
            origin,
            at.fleeting,
            self.secrets,
        )

    def _any_file(
        self, at: _At, forward: Forward, head: Head, size: int | None, stated: int | None
    ) -> Iterator[Source | Issue]:
        """Yield a file that is no log as a source, and say that it wasn't read as one."""
        length = size if size is not None else stated
        if length is not None and length > self.limits.file_bytes:
            yield too_large(at.shown, self.limits.file_bytes).issue("evidence")
            return
        if (proposed := proposal(head)) is not None:
            yield proposed
        elif named_like_log(at.shown, head.data):
            yield no_reader(at.shown, head.data)
        else:
            yield _issue("taken-as-file", at.shown, _TAKEN)
        yield from self._yield(self._as_file(at, size), forward, size)

    def _as_file(self, at: _At, size: int | None) -> Source:
        source = self._source(at, FILE_FORMAT, size)
        return replace(source, options=replace(source.options, name=_own_name(at.shown, at.members)))

    # -- archives -------------------------------------------------------------------------------------------------

    def _opened(
        self, kind: Container, stream: IO[bytes], forward: Forward, at: _At, size: int | None
    ) -> Iterator[Source | Issue]:
        with ExitStack() as stack:
            broken: InputError | None = None
            if not kind.seeks:
                stream = cast_stream(forward)
            elif size is None:
                stream, size, broken = spool(stack, cast_stream(forward))
            else:
                stream.seek(0)
            if broken is not None:
                yield _fault(at.shown, broken)
            try:
                archive = open_archive(kind, stream, size, at.shown, at.opening)
            except InputError as error:
                yield _fault(at.shown, error)
                return
            if self.any_file and zip_is_package(archive.names) and (size or 0) <= self.limits.file_bytes:
                yield self._as_file(replace(at), size)
            yield from self._members(archive, at)

    def _members(self, archive: Archive, at: _At) -> Iterator[Source | Issue]:
        """Yield what the members of an archive are, and what can't be read of it."""
        collection = at.collection or collection_in_archive(at.shown, archive)
        notes = read = 0
        told = False
        try:
            for item in numbered(archive, at.shown):
                if isinstance(item, Note):
                    told = True
                    yield _noted(at.shown, item)
                    continue
                if item.name.startswith("__MACOSX/"):
                    notes += 1
                    continue
                if read == self.limits.archive_members:
                    reason = f"The archive has more than {read} members (limit: archive_members)"
                    advice = limit_advice("archive_members")
                    yield _issue("limit", at.shown, f"{reason}; the rest was not looked at.", advice)
                    break
                read += 1
                inside = at.inside(item, collection)
                refusal = refusal_of(item, at.opening)
                if refusal is not None:
                    if is_named(refusal, at.opening.passed):
                        yield _noted(inside.shown, refusal)
                    continue
                yield from self._member(item, inside)
                if at.opening.budget.left < 0:
                    raise at.opening.budget.spent(at.shown)
        except InputError as error:
            told = True
            yield _fault(at.shown, error)
        if notes:
            reason = f"{notes} members under __MACOSX (notes that macOS adds) were passed over."
            yield _issue("passed-over", at.shown, reason)
        if not at.members:
            yield from (_noted(at.shown, note) for note in unnamed(at.opening.passed))
        if not (told or read or notes):
            yield _issue("empty-file", at.shown, "The archive is empty.")

    def _member(self, item: Member, inside: _At) -> Iterator[Source | Issue]:
        try:
            stream = item.open()
        except InputError as error:
            yield _fault(inside.shown, error)
            return
        yield from self._stream(stream, inside, None, item.size)


def refused_issue(shown: str, kind: Kind) -> Issue:
    """Return what is said of a file of a kind that isn't opened."""
    reason = f"This is a {kind.name}, which isn't opened."
    return _issue("no-reader", shown, reason, image_advice() if kind.image else kind.advice)


def _noted(shown: str, note: Note) -> Issue:
    return Issue("evidence", note.code, Place(shown, offset=note.offset), note.reason, note.advice, note.length)


def _fault(shown: str, error: InputError) -> Issue:
    """Return what is said of an archive that can't be read, or not to its end."""
    code = error.code if isinstance(error, LimitError) or error.code == "encrypted" else "broken-archive"
    place = Place(shown, offset=error.place.offset if error.place is not None else None)
    return Issue("evidence", code, place, error.reason, error.advice)


def _own_name(shown: str, members: Sequence[str]) -> str:
    """Return the name of a file or an archive's member, without folders; of what a compressed file holds, its."""
    name = path_text(next((member for member in reversed(members) if member), shown))
    own = PurePosixPath(name.replace("\\", "/")).name
    if members and members[-1] == "":
        stem, _, ending = own.rpartition(".")
        return stem if stem and ending.lower() in ("gz", "bz2", "xz", "zst", "lz4") else own
    return own


def _unreadable(path: Path, shown: str, error: Exception) -> Issue:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return _issue("unreadable-file", shown, "The link leads nowhere.")
        return _issue("unreadable-file", shown, "There is no such file or folder.", "Check the path.")
    if isinstance(error, PermissionError):
        return _issue("unreadable-file", shown, "You may not read it.", "Ask its owner, or copy it with enough rights.")
    if isinstance(error, OSError) and (error.errno == errno.ELOOP or getattr(error, "winerror", 0) == _WINDOWS_LOOP):
        return _issue("symlink-loop", shown, "The link leads back to itself; it wasn't followed.")
    what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return _issue("unreadable-file", shown, f"It can't be opened: {what}.")


def _issue(code: str, shown: str, reason: str, advice: str = "") -> Issue:
    return Issue("evidence", code, Place(shown), reason, advice)
