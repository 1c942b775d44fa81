"""The files in which whoever collected evidence states its hashes: lists that are named, and side files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.evidence.collector import Collector, Statement, read_hash_list, read_side_file

__all__ = ["open_collector"]

MAX_LIST = 256 * 1024 * 1024
"""`hash_list_bytes`: a longer list of hashes isn't read (it would be of millions of files)."""

_MAX_SIDE_FILE = 64 * 1024
_SIDE_FILES = (".sha256", ".sha512", ".sha1", ".md5", ".sha256sum", ".md5sum")


def open_collector(lists: Sequence[Path]) -> tuple[Collector, list[Issue]]:
    """Return what `lists` and the files beside the evidence (``<name>.sha256``, ``.md5`` …) state, and lines unread.

    Raises `InputError` where a list can't be read, or states nothing.
    """
    statements: list[Statement] = []
    issues: list[Issue] = []
    for path in lists:
        found, wrong = read_hash_list(_text(path), path.as_posix())
        if not found:
            raise InputError(
                "This is no list of hashes.",
                Place(path.as_posix()),
                advice="Known are the lists that sha256sum, md5sum, hashdeep, openssl and Get-FileHash write.",
            )
        statements += found
        issues += wrong
    return Collector(statements, lru_cache(maxsize=4096)(_beside)), issues


def _beside(file: Path) -> Sequence[Statement]:
    """Return what the side files of `file` state of it."""
    found: list[Statement] = []
    for ending in _SIDE_FILES:
        side = file.with_name(file.name + ending)
        try:
            if side.is_file() and side.stat().st_size <= _MAX_SIDE_FILE:
                found += read_side_file(_decode(side.read_bytes()), side.as_posix(), file.name)
        except (OSError, ValueError):
            continue  # where it is evidence itself, the opener tells that it can't be read
    return tuple(found)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST + 1)
    except OSError as error:
        reason = f"The list of hashes can't be read: {error.strerror or type(error).__name__}."
        raise InputError(reason, Place(path.as_posix())) from error
    if len(data) > MAX_LIST:
        raise LimitError(f"The list is longer than {MAX_LIST} bytes (limit: hash_list_bytes).", Place(path.as_posix()))
    return _decode(data)


def _decode(data: bytes) -> str:
    """Return a list's text: UTF-8, or UTF-16 where it says so (PowerShell's redirection writes that)."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")
