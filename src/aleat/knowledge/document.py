"""What an opener hands to the readers: one document, its head, and a way to its bytes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from aleat.errors import InputError, Place

__all__ = ["HEAD_BYTES", "ByteStream", "Document", "json_in_utf8"]

HEAD_BYTES = 8192
_BLOCK = 1024 * 1024
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

    def blocks(self, size: int) -> Generator[bytes]:
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


def json_in_utf8(document: Document) -> Document:
    """Return JSON that stands in UTF-16 (with its mark, as Windows tools write it) as the same JSON in UTF-8.

    RFC 8259 §8.1 wants UTF-8 between systems. Places in such a file are bytes of its UTF-8 form; what is no UTF-16
    ends in `InputError`. Any other document is returned as it is.
    """
    if not document.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return document
    head = codecs.getincrementaldecoder("utf-16")("replace").decode(document.head)
    if not head.lstrip().startswith(("{", "[")):
        return document

    def read() -> bytes:
        with closing(_Utf8Stream(document)) as stream:
            return b"".join(iter(lambda: stream.read(_BLOCK), b""))

    return replace(document, head=head.encode()[:HEAD_BYTES], read=read, stream=lambda: _Utf8Stream(document))


class _Utf8Stream:
    """The UTF-8 form of a document in UTF-16."""

    def __init__(self, document: Document) -> None:
        self._place = Place(document.path)
        self._blocks = document.blocks(_BLOCK)
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            try:
                self._rest = self._decoder.decode(block or b"", final=block is None).encode()
            except UnicodeDecodeError as error:
                raise InputError(f"The file is no UTF-16: {error.reason}.", self._place) from None
            if block is None:
                break
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Let go of the document."""
        self._blocks.close()
