"""What a source of polling gives: feeds, and pages of documents with bookmarks (see `aleat.exchange.sources`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aleat.errors import Issue
from aleat.knowledge.document import HEAD_BYTES, Document

__all__ = ["Feed", "Page", "page_document"]


@dataclass(frozen=True, slots=True)
class Feed:
    """One thing that can be polled: `id` names it at its server, `url` (without secrets) is where it stands.

    `messages` says that it holds sealed files between two teams (`aleat.exchange.letters`), not knowledge.
    """

    id: str
    title: str
    url: str
    alias: str = ""
    description: str = ""
    messages: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a poll gave. `bookmark` is kept with it; None leaves the one before."""

    documents: tuple[Document, ...] = ()
    issues: tuple[Issue, ...] = ()
    bookmark: str | None = None
    objects: int = 0


def page_document(path: str, relative: str, parts: Iterable[bytes]) -> Document:
    """Return a document of these bytes, `path` being the URL that is shown for it."""
    data = b"".join(parts)
    return Document(path, relative, len(data), data[:HEAD_BYTES], lambda: data)
