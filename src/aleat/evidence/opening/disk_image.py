"""Disk images and forensic containers, through `dissect.target` as a program of its own.

Aleat neither contains nor imports it: its licence is the AGPL. Where the environment variable ``ALEAT_DISSECT`` names
the Python in whose environment it is installed (or ``target-query`` is on the PATH), `image_to_tar.py` is run by that
Python; what comes back is read like any archive from a stranger. Without it an image is refused by name, with advice.
Known paths are taken (image_paths.toml), not the whole disk; the image's own SHA-256 is in each source's custody.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import IO, Any

from aleat.errors import InputError, LimitError, Place
from aleat.evidence.opening.kinds import refused_kind
from aleat.opening.container import Member, Note, Opening
from aleat.opening.limits import limit_advice
from aleat.opening.streams import Full, cast_stream, damaged, read_fully
from aleat.opening.tar import TarArchive

__all__ = ["DiskImage", "DiskImageArchive", "image_advice", "image_python", "is_later_segment"]

_VARIABLE = "ALEAT_DISSECT"
_FACTS, _END = "aleat-image.json", "aleat-end.json"
_META_BYTES = 1024 * 1024
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "HOME", "LANG")


def image_python() -> str | None:
    """Return the Python that has `dissect.target`, or None."""
    if named := os.environ.get(_VARIABLE):
        return named
    tool = shutil.which("target-query")
    if tool is None:
        return None
    folder = Path(tool).parent
    beside = (folder / name for name in ("python", "python3", "python.exe"))
    return next((str(python) for python in beside if python.is_file()), None)


def image_advice() -> str:
    """Return what to do with an image that can't be opened here."""
    return (
        f"Install dissect.target in an environment of its own and set {_VARIABLE} to that Python, or extract the logs "
        "(target-fs IMAGE cp, or mount it read-only) and add the folder."
    )


def is_later_segment(path: Path) -> bool:
    """Say whether a file is a later part of an image whose first part lies beside it (``x.E02`` beside ``x.E01``)."""
    match = re.fullmatch(r"\.([ELS])([0-9A-Z]{2})", path.suffix.upper())
    if match is None or match[2] == "01":
        return False
    return any(path.with_suffix(f".{letter}01").is_file() for letter in (match[1], match[1].lower()))


class DiskImage:
    """The kind; only a file on disk can be one, since the other program opens it by its path."""

    name = "disk image"
    seeks = True

    def detect(self, head: bytes) -> bool:
        """Say whether it looks like an image, and the program is there."""
        kind = refused_kind(head, "")
        return kind is not None and kind.image and image_python() is not None

    def open(self, stream: IO[bytes], size: int | None, path: str, opening: Opening) -> DiskImageArchive:
        """Start the program; raises `InputError` where the image isn't a file on disk, or can't be opened."""
        name = getattr(stream, "name", None)
        if not isinstance(name, str):
            reason = "A disk image inside an archive isn't opened."
            raise InputError(reason, Place(path), advice="Unpack the archive, and add the image.")
        return DiskImageArchive(name, path, opening)


class DiskImageArchive:
    """The files of an image; `host` and `system` as the image says."""

    names: Sequence[str] = ()

    def __init__(self, file: str, path: str, opening: Opening) -> None:
        self._file = file
        self._path = path
        self._opening = opening
        self.host, self.system = self._ask()

    def _ask(self) -> tuple[str, str]:
        items = self._items([])
        try:
            facts = next((_json(item) for item in items if isinstance(item, Member) and item.name == _FACTS), {})
        finally:
            items.close()
        host = str(facts.get("hostname", ""))
        return host if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", host) else "", str(facts.get("os", ""))[:40]

    def __iter__(self) -> Iterator[Member | Note]:
        """Yield the files at the known paths."""
        whole, files = False, 0
        for item in self._items(_paths()):
            if isinstance(item, Member) and item.name in (_FACTS, _END):
                facts = _json(item)
                whole = item.name == _END
                if whole:
                    yield from _unread(facts)
                continue
            files += isinstance(item, Member)
            yield item
        if not whole:
            raise damaged(self._path, "The program that reads the image ended before it was through")
        if not files:
            yield Note("no-reader", "Nothing lies at the paths where logs are known to be.", image_advice())

    def _items(self, paths: Sequence[str]) -> Any:
        """Run the program, and yield what comes (a generator: closing it ends the program)."""
        python = image_python()
        if python is None:
            raise InputError("The program that opens disk images is gone.", Place(self._path), advice=image_advice())
        limits = self._opening.limits
        with resources.as_file(resources.files("aleat.evidence.opening").joinpath("image_to_tar.py")) as script:
            try:
                process = subprocess.Popen(  # noqa: S603 - the program that the user named
                    [python, "-I", str(script), os.path.abspath(self._file)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in _KEPT if name in os.environ},
                )
            except OSError as error:
                reason = f"The program that opens disk images can't be started ({error.strerror})."
                raise InputError(reason, Place(self._path), advice=f"Check {_VARIABLE}.") from None
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes, as asked
            watch = threading.Timer(limits.image_seconds, process.kill)
            watch.daemon = True
            watch.start()
            try:
                self._tell(process.stdin, paths)
                stream = cast_stream(Full(cast_stream(_Counted(process.stdout, limits.image_bytes, self._path))))
                yield from TarArchive(stream, self._path, self._opening)
            finally:
                watch.cancel()
                process.kill()
                process.stdout.close()
                process.wait()

    def _tell(self, stdin: IO[bytes], paths: Sequence[str]) -> None:
        try:
            stdin.write("".join(f"{path}\n" for path in paths).encode())
            stdin.close()
        except OSError as error:
            reason = "The program that opens disk images ended at once"
            raise damaged(self._path, reason) from error


class _Counted(io.RawIOBase):
    """What the program sends, up to a limit."""

    def __init__(self, stream: IO[bytes], limit: int, path: str) -> None:
        self._stream = stream
        self._limit = limit
        self._left = limit
        self._path = path

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            reason = f"More than {self._limit} bytes come out of the image (limit: image_bytes)."
            raise LimitError(reason, Place(self._path), advice=limit_advice("image_bytes"))
        return data


def _unread(facts: dict[str, Any]) -> Iterator[Note]:
    errors = facts.get("errors")
    for one in errors if isinstance(errors, list) else ():
        if isinstance(one, list) and len(one) == 2:
            yield Note("unreadable-file", f"A file or folder of the image can't be read: {str(one[0])[:300]}.")
    more = facts.get("count", 0)
    if isinstance(more, int) and isinstance(errors, list) and more > len(errors):
        yield Note("unreadable-file", f"{more - len(errors)} further files of the image can't be read.")


def _json(member: Member) -> dict[str, Any]:
    try:
        found = json.loads(read_fully(member.open(), _META_BYTES))
    except (ValueError, InputError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1)
def _paths() -> tuple[str, ...]:
    text = resources.files("aleat.evidence").joinpath("opening/image_paths.toml").read_text("utf-8")
    paths: list[str] = tomllib.loads(text)["paths"]
    return tuple(paths)
