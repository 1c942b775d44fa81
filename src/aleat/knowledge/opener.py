"""From the paths that a user gives to documents: files, folders in sorted order, checkouts, archives.

This, with `archives` beside it, is the room's only door to the disk. Nothing is unpacked; a member is read within
`Limits`, whatever its archive says about its size. Links are followed only within the folder that was given, and
never in a circle; what is no file (a pipe, a device) is not opened; git's own files are passed over. All else that
isn't read is an `Issue`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.archives import open_archive_documents
from aleat.knowledge.document import HEAD_BYTES, Document
from aleat.knowledge.limits import Limits
from aleat.opening.checkout import OWN_FOLDER, is_bare_repository
from aleat.opening.container import Secrets, container_of
from aleat.opening.limits import limit_advice
from aleat.text import path_text

__all__ = ["open_documents"]

_STAGE = "knowledge"


def open_documents(
    path: Path, limits: Limits | None = None, *, shown: str | None = None, secrets: Secrets | None = None
) -> Iterator[Document | Issue]:
    """Yield every document at or below `path`, and an issue for everything that can't be opened.

    `shown` is how a file is named to people (default: as given); `secrets` are passwords for archives.
    """
    limits = limits or Limits()
    secrets = secrets or Secrets()
    name = path.name if shown is None else shown.partition("?")[0].rpartition("/")[2]
    shown = shown or _shown(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield _unreadable(shown, error)
        return
    if stat.S_ISDIR(mode):
        yield from _open_folder(path, limits, secrets)
    else:
        yield from _open_file(path, shown, name or path.name, limits, secrets, None)


def _open_folder(root: Path, limits: Limits, secrets: Secrets) -> Iterator[Document | Issue]:
    if is_bare_repository(root):
        reason = "This is a bare git repository: what it holds is packed in git's own way, and isn't read."
        yield Issue(
            _STAGE, "bare-repository", Place(_shown(root)), reason, "Give a checkout: git clone it, then add that."
        )
        return
    beside = _Beside(root, limits.sibling_bytes)
    found = 0
    for item in _walk(root, limits):
        if isinstance(item, Issue):
            yield item
            continue
        found += 1
        if found > limits.files:
            reason = f"The folder has more files than {limits.files} (files)."
            yield Issue(_STAGE, "limit", Place(_shown(root)), reason, limit_advice("files"))
            return
        relative = path_text(item.relative_to(root).as_posix())
        yield from _open_file(item, _shown(item), relative, limits, secrets, beside)
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
            if entry.name == OWN_FOLDER:
                continue
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


def _open_file(
    path: Path,
    shown: str,
    relative: str,
    limits: Limits,
    secrets: Secrets,
    beside: Callable[[str], bytes | None] | None,
) -> Iterator[Document | Issue]:
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
    elif container_of(head) is not None:
        yield from open_archive_documents(path, shown, relative, limits, secrets)
    else:
        limit = limits.file_bytes
        yield Document(
            shown,
            relative,
            found.st_size,
            head,
            lambda: _read_file(path, shown, limit),
            lambda: _BoundedFile(path, shown, limit),
            beside,
        )


class _Beside:
    """Other files of a folder, for its documents that ask: never out of it, nor git's own."""

    def __init__(self, root: Path, most: int) -> None:
        self._root = root
        self._most = most

    def __call__(self, relative: str) -> bytes | None:
        """Return the file's bytes, None where there is none; raises `InputError` where it can't be read."""
        try:
            path = (self._root / relative).resolve(strict=True)
            if OWN_FOLDER in relative.split("/") or not path.is_relative_to(self._root.resolve()) or not path.is_file():
                return None
        except (OSError, RuntimeError, ValueError):
            return None
        shown = f"{_shown(self._root)}/{path_text(relative)}"
        try:
            with path.open("rb") as file:
                return _read_bounded(file, self._most, shown, "sibling_bytes")
        except OSError as error:
            raise InputError(f"The file can't be read: {error.strerror}.", Place(shown)) from None


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


def _read_bounded(file: IO[bytes], limit: int, shown: str, name: str = "file_bytes") -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitError(f"The file is larger than {limit} bytes ({name}).", Place(shown), advice=limit_advice(name))
    return data


def _unreadable(shown: str, error: Exception) -> Issue:
    if isinstance(error, FileNotFoundError):
        return Issue(_STAGE, "missing", Place(shown), "There is no such file or folder.", "Check the path.")
    if getattr(error, "errno", None) == errno.ELOOP or isinstance(error, RuntimeError):
        return Issue(_STAGE, "link-loop", Place(shown), "The link leads in a circle.")
    reason = getattr(error, "strerror", None) or "unknown reason"
    return Issue(_STAGE, "unreadable", Place(shown), f"It can't be opened: {reason}.", "Check who may read it.")


def _shown(path: Path) -> str:
    return path_text(path.as_posix())
