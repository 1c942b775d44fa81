"""What an opener hands to the readers: one document, its head, and a way to its bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

__all__ = ["HEAD_BYTES", "ByteStream", "Document"]

HEAD_BYTES = 8192
_PATH_CHARACTERS = 4096


class ByteStream(Protocol):
    """What bytes are read from, a block at a time."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """One file of knowledge, or one member of an archive.

    `path` is how it is named to people (as given; members: ``pack.zip!rules/a.yml``), `relative` its path below
    the collection that was given (with ``/``; only the file's name, where one file was given). `head` are its
    first `HEAD_BYTES`; `read` gives all of it, within the limits, or raises `InputError`; `stream`, where there is
    one, gives a stream of the same bytes, which ends in `InputError` at the limit. `collected`, where the document is
    one of a collection, gives the bytes of another of its documents by that one's `relative`, within the limits,
    or None: `sibling` is how readers ask for it.
    """

    path: str
    relative: str
    size: int
    head: bytes
    read: Callable[[], bytes]
    stream: Callable[[], ByteStream] | None = None
    collected: Callable[[str], bytes | None] | None = None

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield all bytes in blocks of `size`, within the limits; raises `InputError` as `read` does."""
        with closing(self.stream() if self.stream is not None else io.BytesIO(self.read())) as stream:
            while block := stream.read(size):
                yield block

    def beside(self, relative: str) -> str | None:
        """Return where `relative` (to this document's folder, with ``/``) stands below the collection, or None.

        None too where it would climb out of the collection, is absolute, or is no path.
        """
        if not relative or len(relative) > _PATH_CHARACTERS or relative.startswith(("/", "\\")) or "\0" in relative:
            return None
        parts = self.relative.split("/")[:-1]
        for part in relative.replace("\\", "/").split("/"):
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts) or None

    def sibling(self, relative: str) -> bytes | None:
        """Return another file of the same collection, by its path relative to this one's folder (with ``/``).

        None where there is none, or none may be had: a path never climbs out of the collection. Raises `InputError`
        where it can't be read, or is larger than the limits allow.
        """
        place = self.beside(relative)
        return None if place is None or self.collected is None else self.collected(place)

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return self.relative.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The file's extension in lower case, with its dot, or the empty string."""
        head, dot, extension = self.name.rpartition(".")
        return f".{extension.lower()}" if dot and head else ""
