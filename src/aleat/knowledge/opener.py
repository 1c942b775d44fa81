"""From the paths that a user gives to documents: files, folders in sorted order, zip archives.

The only file of this room that touches the disk. Nothing is unpacked; a member is read within `Limits`,
whatever its archive says about its size. Links are followed only within the folder that was given, and
never in a circle; what is no file (a pipe, a device) is not opened. All that isn't read is an `Issue`.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.document import HEAD_BYTES, Document
from aleat.knowledge.limits import Limits
from aleat.text import path_text

__all__ = ["open_documents"]

_STAGE = "knowledge"
_PLENTY = 1024**2  # bytes: below this an archive's member may expand as it likes
_LINK = 0o120000


def open_documents(path: Path, limits: Limits | None = None) -> Iterator[Document | Issue]:
    """Yield every document at or below `path`, and an issue for everything that can't be opened."""
    limits = limits or Limits()
    shown = _shown(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield _unreadable(shown, error)
        return
    if stat.S_ISDIR(mode):
        yield from _open_folder(path, limits)
    else:
        yield from _open_file(path, path.name, limits)


def _open_folder(root: Path, limits: Limits) -> Iterator[Document | Issue]:
    found = 0
    for item in _walk(root, limits):
        if isinstance(item, Issue):
            yield item
            continue
        found += 1
        if found > limits.files:
            reason = f"The folder has more files than {limits.files} (files)."
            yield Issue(_STAGE, "limit", Place(_shown(root)), reason, "Give its parts one by one.")
            return
        yield from _open_file(item, path_text(item.relative_to(root).as_posix()), limits)
    if not found:
        yield Issue(_STAGE, "empty", Place(_shown(root)), "The folder holds no files.")


def _walk(root: Path, limits: Limits) -> Iterator[Path | Issue]:
    """Yield the files below `root`, sorted by name, each folder in its place."""
    inside = root.resolve()
    pending: list[tuple[Path, frozenset[Path]]] = [(root, frozenset())]
    while pending:
        folder, above = pending.pop()
        try:
            real = folder.resolve()
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name), reverse=True)
        except (OSError, RuntimeError) as error:
            yield _unreadable(_shown(folder), error)
            continue
        files: list[Path] = []
        for entry in entries:
            path = folder / entry.name
            reason = _why_not(path, entry, inside, above | {real})
            if reason:
                yield Issue(_STAGE, reason[0], Place(_shown(path)), reason[1])
            elif entry.is_dir():
                if len(above) + 1 >= limits.folder_depth:
                    text = f"The folder is deeper than {limits.folder_depth} levels (folder_depth)."
                    yield Issue(_STAGE, "limit", Place(_shown(path)), text)
                else:
                    pending.append((path, above | {real}))
            else:
                files.append(path)
        yield from reversed(files)


def _why_not(path: Path, entry: os.DirEntry[str], inside: Path, above: frozenset[Path]) -> tuple[str, str] | None:
    """Return (code, reason) where a folder's entry must not be opened."""
    try:
        if entry.is_symlink():
            target = path.resolve(strict=True)
            if target in above:
                return "link-loop", "The link leads back to a folder that it stands in."
            if not target.is_relative_to(inside):
                return "link-outside", "The link leads out of the folder that was given; it is not followed."
        if not (entry.is_dir() or entry.is_file()):
            return "not-a-file", "That is no file (a pipe, a device or the like); it is not opened."
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) == errno.ELOOP or isinstance(error, RuntimeError):
            return "link-loop", "The link leads in a circle."
        return "unreadable", f"It can't be opened: {getattr(error, 'strerror', None) or 'unknown reason'}."
    return None


def _open_file(path: Path, relative: str, limits: Limits) -> Iterator[Document | Issue]:
    shown = _shown(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            yield Issue(_STAGE, "not-a-file", Place(shown), "That is no file (a pipe, a device or the like).")
            return
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        yield _unreadable(shown, error)
        return
    if not head:
        yield Issue(_STAGE, "empty", Place(shown), "The file is empty.")
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _open_zip(path, shown, limits)
    else:
        limit = limits.file_bytes
        yield Document(
            shown,
            relative,
            found.st_size,
            head,
            lambda: _read_file(path, shown, limit),
            lambda: _BoundedFile(path, shown, limit),
        )


class _BoundedFile:
    """A file that is read up to a limit; all faults are `InputError`s."""

    def __init__(self, path: Path, shown: str, limit: int) -> None:
        self._shown, self._limit, self._left = shown, limit, limit
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise InputError(f"The file can't be read: {error.strerror}.", Place(shown)) from None

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        try:
            data = self._file.read(size) or b""
        except OSError as error:
            raise InputError(f"The file can't be read: {error.strerror}.", Place(self._shown)) from None
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"The file is larger than {self._limit} bytes (file_bytes).", Place(self._shown))
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read_file(path: Path, shown: str, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_bounded(file, limit, shown)
    except OSError as error:
        raise InputError(f"The file can't be read: {error.strerror}.", Place(shown)) from None


def _read_bounded(file: IO[bytes], limit: int, shown: str) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitError(f"The file is larger than {limit} bytes (file_bytes).", Place(shown))
    return data


def _open_zip(path: Path, shown: str, limits: Limits) -> Iterator[Document | Issue]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > limits.archive_members:
                reason = f"The archive has more members than {limits.archive_members} (archive_members)."
                yield Issue(_STAGE, "limit", Place(shown), reason)
                return
            if not members:
                yield Issue(_STAGE, "empty", Place(shown), "The archive is empty.")
            prefix = _common_folder([member.filename for member in members])
            total = 0
            for member in sorted(members, key=lambda member: member.filename):
                place = f"{shown}!{path_text(member.filename)}"
                if member.is_dir():
                    continue
                fault = _member_fault(member, limits)
                total += member.file_size
                if fault is None and total > limits.archive_bytes:
                    fault = ("limit", f"The archive unpacks to more than {limits.archive_bytes} bytes (archive_bytes).")
                if fault is not None:
                    yield Issue(_STAGE, fault[0], Place(place), fault[1])
                    continue
                yield from _open_member(archive, member, place, prefix, limits)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        yield Issue(_STAGE, "archive", Place(shown), f"The archive can't be read: {_one_line(error)}.")


def _member_fault(member: zipfile.ZipInfo, limits: Limits) -> tuple[str, str] | None:
    """Return (code, reason) where an archive's member must not be read."""
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        return "climbing-name", "The member's name climbs out of the archive; it is not read."
    if member.flag_bits & 0x1:
        return "encrypted", "The member is encrypted. Unpack it, and give the folder."
    if (member.external_attr >> 16) & 0o170000 == _LINK:
        return "link-outside", "The member is a link; it is not followed."
    if member.file_size > limits.file_bytes:
        return "limit", f"The member is larger than {limits.file_bytes} bytes (file_bytes)."
    if member.file_size > max(_PLENTY, member.compress_size * limits.expansion):
        return "limit", f"The member would expand more than {limits.expansion} times (expansion)."
    return None


def _open_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, prefix: str, limits: Limits
) -> Iterator[Document | Issue]:
    limit = min(limits.file_bytes, member.file_size)

    def read() -> bytes:
        try:
            with archive.open(member) as file:
                return _read_bounded(file, limit, place)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise InputError(f"The member can't be read: {_one_line(error)}.", Place(place)) from None
        except Exception as error:  # zlib.error, lzma.LZMAError: the decompressors' own
            raise InputError(f"The member can't be unpacked: {_one_line(error)}.", Place(place)) from None

    try:
        data = read()
    except InputError as error:
        yield error.issue(_STAGE)
        return
    if not data:
        yield Issue(_STAGE, "empty", Place(place), "The member is empty.")
    elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield Issue(
            _STAGE, "archive", Place(place), "Archives within archives are not opened.", "Unpack the outer one."
        )
    else:
        relative = path_text(member.filename).removeprefix(prefix)
        yield Document(place, relative, len(data), data[:HEAD_BYTES], io.BytesIO(data).getvalue)


def _common_folder(names: list[str]) -> str:
    """Return the one folder (with its slash) that all names stand in, or the empty string."""
    heads = {name.partition("/")[0] for name in names}
    return f"{heads.pop()}/" if len(heads) == 1 and all("/" in name for name in names) else ""


def _unreadable(shown: str, error: Exception) -> Issue:
    if isinstance(error, FileNotFoundError):
        return Issue(_STAGE, "missing", Place(shown), "There is no such file or folder.", "Check the path.")
    if getattr(error, "errno", None) == errno.ELOOP or isinstance(error, RuntimeError):
        return Issue(_STAGE, "link-loop", Place(shown), "The link leads in a circle.")
    reason = getattr(error, "strerror", None) or "unknown reason"
    return Issue(_STAGE, "unreadable", Place(shown), f"It can't be opened: {reason}.", "Check who may read it.")


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160].rstrip(".")


def _shown(path: Path) -> str:
    return path_text(path.as_posix())
