"""From the paths that a user gives to sources: folders, files, zip and gzip archives, in a fixed order.

Everything that can't be opened, or that no reader recognises, is an `Issue`; the walk goes on. Archives
can neither explode nor climb out: members are read, never unpacked to their names, within `Limits`. A
`Source` holds no open file, so that it passes between processes; its `stream` gives its bytes through the
limits. This is the room's only door to the disk, beside the lake's.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.evidence.clock import TIME_NOTES
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.reader import ReadOptions, detect_reader, reader_named
from aleat.evidence.readers.file import FILE_BYTES, FILE_FORMAT, too_large
from aleat.evidence.years import has_local_times
from aleat.text import path_text

__all__ = ["NOTE_CODES", "BoundedStream", "Limits", "Source", "open_sources"]

NOTE_CODES = frozenset(
    {"passed-over", "encoding", "known-source", "empty-file", "empty-folder", "taken-as-file", *TIME_NOTES}
)
"""Issues with these codes tell something that the user should know; no evidence was lost with them."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_TAIL = 22 + 65535
_WINDOWS_LOOP = 1921  # ERROR_CANT_RESOLVE_FILENAME


_SPOOL_BYTES = 16 * 1024 * 1024
_LOG_SUFFIXES = frozenset({"", "log", "txt", "json", "jsonl", "ndjson", "csv", "tsv", "xml", "w3c"})
_PACKAGES = frozenset({"[Content_Types].xml", "META-INF/MANIFEST.MF", "AndroidManifest.xml"})
"""Members by which a zip archive is a document or a program: a file itself, beside what it holds."""

_TAKEN = "No reader of logs recognises it; it is taken as a file."


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
    names inside it, outermost first ("" for what a gzip file holds). `size` is known for plain files. `modified`
    (seconds since 1970) is when it was last written, where another file stands for it now; else its file says so.
    """

    path: str
    file: Path
    members: tuple[str, ...]
    reader: str
    size: int | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    limits: Limits = field(default_factory=Limits)
    modified: float | None = None

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Open the innermost stream for one pass forward (a plain file can seek)."""
        with ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(self.file.open("rb"))
            size = os.fstat(stream.fileno()).st_size
            for depth, member in enumerate(self.members):
                stream = open_member(stack, stream, member, size, self.path, self.limits)
                if depth + 1 < len(self.members):
                    stream, size = spool(stack, stream)
            yield cast(BinaryIO, stream)

    def read_range(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of a plain file."""
        with self.file.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


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


def open_sources(
    paths: Sequence[Path],
    *,
    limits: Limits | None = None,
    options: ReadOptions | None = None,
    files: bool = False,
) -> Iterator[Source | Issue]:
    """Yield every source below `paths` (in their order, folders sorted by name), and what could not be opened.

    With `files`, what no reader of logs recognises is a source of the reader "file", and so is a zip archive that is a
    document or a program (Office, Java, Android), beside its members. Where it could still be a log
    (text, called like one), the issue "no-reader" says beside it that it was not read as one; else a note does.
    """
    walk = _Walk(limits or Limits(), options or ReadOptions(), files)
    for path in paths:
        for found in walk.path(path, ()):
            yield found if isinstance(found, Issue) else _settled(found)


def _settled(source: Source) -> Source:
    """Return the source with the options that are stated for it."""
    local_times = has_local_times(reader_named(source.reader))
    return replace(source, options=source.options.for_source(source.path, local_times=local_times))


class _Walk:
    """The state of one walk: its limits, how many files it saw, and whether it wants those that are no logs."""

    def __init__(self, limits: Limits, options: ReadOptions, any_file: bool = False) -> None:
        self.limits = limits
        self.options = options
        self.any_file = any_file
        self.files = 0

    def path(self, path: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Source | Issue]:
        shown = path_text(path.as_posix())
        try:
            found = path.stat()
        except (OSError, ValueError) as error:
            yield _unreadable(path, shown, error)
            return
        if stat.S_ISDIR(found.st_mode):
            yield from self._folder(path, shown, above, (found.st_dev, found.st_ino))
        elif stat.S_ISREG(found.st_mode):
            self.files += 1
            if self.files == self.limits.files + 1:
                reason = f"More than {self.limits.files} files (limit: files); the rest was not looked at."
                yield _issue("limit", shown, reason, "Add the folders one by one.")
            if self.files <= self.limits.files:
                yield from self._file(path, shown, found.st_size)
        else:
            yield _issue("not-a-file", shown, "This is neither a file nor a folder.")

    def _folder(
        self, path: Path, shown: str, above: tuple[tuple[int, int], ...], identity: tuple[int, int]
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
        for name in names:
            yield from self.path(path / name, (*above, identity))

    def _file(self, path: Path, shown: str, size: int) -> Iterator[Source | Issue]:
        if size == 0:
            yield _issue("empty-file", shown, "The file is empty.")
            return
        try:
            with ExitStack() as stack:
                stream = stack.enter_context(path.open("rb"))
                yield from self._stream(stream, path, shown, (), size)
        except OSError as error:
            yield _unreadable(path, shown, error)

    def _stream(
        self, stream: IO[bytes], file: Path, shown: str, members: tuple[str, ...], size: int
    ) -> Iterator[Source | Issue]:
        """Yield what the stream is, or what the archive in it holds; the stream may or may not seek."""
        try:
            head = _read_head(stream)
        except (InputError, EOFError) as error:
            yield _issue("broken-archive", shown, f"The archive can't be read: {_first_line(error)}.")
            return
        is_zip = head.startswith(_ZIP_MAGIC)
        if is_zip or head.startswith(_GZIP_MAGIC):
            if len(members) >= self.limits.archive_depth:
                reason = (
                    f"Archives lie within one another deeper than {self.limits.archive_depth} (limit: archive_depth)."
                )
                yield _issue("limit", shown, reason, "Unpack the outer ones first.")
                return
            with ExitStack() as stack:
                if not members:
                    stream.seek(0)
                else:  # what comes out of an archive can't seek: take it from its start again
                    outer = Source(shown, file, members, "", limits=self.limits)
                    try:
                        stream, size = spool(stack, stack.enter_context(outer.stream()))
                    except (InputError, OSError, zipfile.BadZipFile) as error:
                        yield _issue("broken-archive", shown, f"The archive can't be read: {_first_line(error)}.")
                        return
                walk = self._zip if is_zip else self._gzip
                yield from walk(stack, stream, file, shown, members, size)
            return
        reader = detect_reader(Head(head, shown))
        whole = size if not members else None
        if reader is not None:
            yield Source(shown, file, members, reader.name, whole, self.options, self.limits)
        elif self.any_file:
            yield from self._any_file(file, shown, members, whole, head)
        else:
            yield _no_reader(shown, head)

    def _any_file(
        self, file: Path, shown: str, members: tuple[str, ...], size: int | None, head: bytes
    ) -> Iterator[Source | Issue]:
        """Yield a file that is no log as a source, and say that it wasn't read as one."""
        if size is not None and size > FILE_BYTES:
            yield too_large(shown).issue("evidence")
            return
        yield _no_reader(shown, head) if _may_be_log(shown, head) else _issue("taken-as-file", shown, _TAKEN)
        options = replace(self.options, name=_own_name(shown, members))
        yield Source(shown, file, members, FILE_FORMAT, size, options, self.limits)

    def _gzip(
        self, stack: ExitStack, stream: IO[bytes], file: Path, shown: str, members: tuple[str, ...], size: int
    ) -> Iterator[Source | Issue]:
        inner = open_member(stack, stream, "", size, shown, self.limits)
        yield from self._stream(inner, file, shown, (*members, ""), size)

    def _zip(
        self, stack: ExitStack, stream: IO[bytes], file: Path, shown: str, members: tuple[str, ...], size: int
    ) -> Iterator[Source | Issue]:
        if _directory_bytes(stream, size) > self.limits.archive_directory_bytes:
            reason = f"The archive's directory is longer than {self.limits.archive_directory_bytes} bytes"
            yield _issue("limit", shown, f"{reason} (limit: archive_directory_bytes).", "Unpack it yourself.")
            return
        try:
            archive = stack.enter_context(zipfile.ZipFile(stream))
            infos = [info for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error, UnicodeError) as error:
            yield _issue("broken-archive", shown, f"The zip archive can't be read: {_first_line(error)}.")
            return
        notes = [info for info in infos if info.filename.startswith("__MACOSX/")]
        if notes:
            reason = f"{len(notes)} members under __MACOSX (notes that macOS adds) were passed over."
            yield _issue("passed-over", shown, reason)
        infos = [info for info in infos if not info.filename.startswith("__MACOSX/")]
        if len(infos) > self.limits.archive_members:
            reason = f"The archive has {len(infos)} members, more than {self.limits.archive_members}"
            yield _issue("limit", shown, f"{reason} (limit: archive_members).", "Unpack it yourself if you trust it.")
            return
        total = sum(info.file_size for info in infos)
        if total > self.limits.allowed_bytes(size):
            reason = f"{total} bytes would come out of an archive of {size} bytes (limit: expansion_ratio)."
            yield _issue("limit", shown, reason, "Unpack it yourself if you trust it.")
            return
        if self.any_file and size <= FILE_BYTES and not _PACKAGES.isdisjoint(info.filename for info in infos):
            options = replace(self.options, name=_own_name(shown, members))
            yield Source(shown, file, members, FILE_FORMAT, size if not members else None, options, self.limits)
        seen: set[str] = set()
        for info in sorted(infos, key=lambda item: item.filename):
            name = f"{shown}!{path_text(info.filename)}"
            if (refusal := self._refuse(info, name, seen)) is not None:
                yield refusal
                continue
            seen.add(info.filename)
            try:
                with ExitStack() as inside:
                    inner = open_zip_member(inside, archive, info.filename, name, self.limits)
                    yield from self._stream(inner, file, name, (*members, info.filename), info.compress_size)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
                yield _issue("broken-archive", name, f"The member can't be read: {_first_line(error)}.")

    def _refuse(self, info: zipfile.ZipInfo, name: str, seen: set[str]) -> Issue | None:
        """Say why a member is not read, if so."""
        path = PurePosixPath(info.filename.replace("\\", "/"))
        refusals = (
            (
                path.is_absolute() or ".." in path.parts or info.filename[1:2] == ":",
                ("unsafe-name", "The member's name leads out of the archive's folder; it wasn't read.", ""),
            ),
            (
                info.flag_bits & 1,
                ("encrypted", "The member is encrypted.", "Unpack it with its password, and add the files."),
            ),
            (
                stat.S_ISLNK(info.external_attr >> 16),
                ("passed-over", "The member is a symbolic link; links in archives aren't followed.", ""),
            ),
            (
                info.filename in seen,
                ("broken-archive", "The archive has a second member of this name; it wasn't read.", ""),
            ),
            (info.file_size == 0, ("empty-file", "The member is empty.", "")),
            (
                info.file_size > self.limits.allowed_bytes(info.compress_size),
                (
                    "limit",
                    f"{info.file_size} bytes would come out of {info.compress_size} (limit: expansion_ratio).",
                    "Unpack it yourself if you trust it.",
                ),
            ),
        )
        for refused, (code, reason, advice) in refusals:
            if refused:
                return _issue(code, name, reason, advice)
        return None


def _read_head(stream: IO[bytes]) -> bytes:
    pieces, left = [], HEAD_BYTES
    while left and (data := stream.read(left)):
        pieces.append(data)
        left -= len(data)
    return b"".join(pieces)


def _directory_bytes(stream: IO[bytes], size: int) -> int:
    """Return the length of a zip's central directory as its end record states it (0 where there is none)."""
    stream.seek(max(size - _ZIP_TAIL, 0))
    tail = stream.read(_ZIP_TAIL)
    stream.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        return 0
    length: int = struct.unpack_from("<I", tail, at + 12)[0]
    big = tail.rfind(b"PK\x06\x06", 0, at)
    if length == 0xFFFFFFFF and big >= 0 and len(tail) - big >= 56:
        length = struct.unpack_from("<Q", tail, big + 40)[0]
    return length


def _no_reader(shown: str, head: bytes) -> Issue:
    if shown.lower().endswith(".evtx"):
        reason = "The file is called .evtx and holds no EVTX log: neither a file header nor a chunk was found."
        return _issue("no-reader", shown, reason, "Check how it was exported.")
    if wide := _wide_text(head[:4096]):
        reason = f"No reader recognises this; it looks like text in {wide.upper()} without a byte order mark."
        return _issue("no-reader", shown, reason, f"Give its code page: --encoding {wide}")
    kind = "text" if b"\0" not in head[:4096] else "data"
    reason = f"No reader recognises this {kind}."
    return _issue(
        "no-reader", shown, reason, "Formats: EVTX, Windows events as JSON, IIS W3C, Apache and nginx access logs."
    )


def _may_be_log(shown: str, head: bytes) -> bool:
    """Say whether what no reader knows could be a log all the same, by its name: then it must be told as unread."""
    name = PurePosixPath(shown.rpartition("!")[2]).name.lower()
    parts = name.split(".")
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] in ("gz", "old")):  # rotated
        parts.pop()
    suffix = parts[-1] if len(parts) > 1 else ""
    if suffix in ("evtx", "evt", "etl"):
        return True
    return suffix in _LOG_SUFFIXES and (b"\0" not in head[:4096] or bool(_wide_text(head[:4096])))


def _own_name(shown: str, members: tuple[str, ...]) -> str:
    """Return the name of a file or an archive's member, without folders; of what a gzip holds, the gzip's."""
    name = path_text(next((member for member in reversed(members) if member), shown))
    own = PurePosixPath(name.replace("\\", "/")).name
    return own[:-3] if members and members[-1] == "" and own.lower().endswith(".gz") else own


def _unreadable(path: Path, shown: str, error: Exception) -> Issue:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return _issue("unreadable-file", shown, "The link leads nowhere.")
        return _issue("unreadable-file", shown, "There is no such file or folder.", "Check the path.")
    if isinstance(error, PermissionError):
        return _issue("unreadable-file", shown, "You may not read it.", "Ask its owner, or copy it with enough rights.")
    if isinstance(error, OSError) and (error.errno == errno.ELOOP or getattr(error, "winerror", 0) == _WINDOWS_LOOP):
        return _issue("symlink-loop", shown, "The link leads back to itself; it wasn't followed.")
    return _issue("unreadable-file", shown, f"It can't be opened: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    if isinstance(error, InputError):
        return error.reason.rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, (zipfile.BadZipFile, gzip.BadGzipFile)):
        return "it is damaged"
    return type(error).__name__


def _issue(code: str, shown: str, reason: str, advice: str = "") -> Issue:
    return Issue("evidence", code, Place(shown), reason, advice)


def _wide_text(head: bytes) -> str:
    """Return the name of the UTF-16 that ASCII text in `head` is written in, or the empty string."""
    for name, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(zeros) >= 8 and zeros.count(0) > len(zeros) * 0.8 and letters.count(0) == 0:
            return name
    return ""
