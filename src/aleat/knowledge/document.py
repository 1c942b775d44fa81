"""What an opener hands to the readers: one document, its head, and a way to its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["HEAD_BYTES", "Document"]

HEAD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Document:
    """One file of knowledge, or one member of an archive.

    `path` is how it is named to people (as given; members: ``pack.zip!rules/a.yml``), `relative` its path below
    the collection that was given (with ``/``; only the file's name, where one file was given). `head` are its
    first `HEAD_BYTES`; `read` gives all of it, within the limits, or raises `InputError`.
    """

    path: str
    relative: str
    size: int
    head: bytes
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return self.relative.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The file's extension in lower case, with its dot, or the empty string."""
        head, dot, extension = self.name.rpartition(".")
        return f".{extension.lower()}" if dot and head else ""
