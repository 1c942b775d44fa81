"""The well-known sources (`sources.toml`): where they are fetched, under which licence, and what shows that they came.

Nothing is fetched here; see `aleat.workspace.pull`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from aleat.errors import InputError, Issue
from aleat.knowledge.document import Document
from aleat.knowledge.reader import detect_reader

__all__ = [
    "SourceFile",
    "WellKnownSource",
    "commit_of_archive",
    "find_source",
    "is_of",
    "version_of",
    "well_known",
    "within",
]

_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_END_OF_DIRECTORY = b"PK\x05\x06"
_COMMENT_AT = 22  # bytes of the end record before its comment (APPNOTE 6.3.10, section 4.3.16)
_VERSION = re.compile(r"[\w.:+ -]{1,60}")


class SourceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a source: its name (on a mirror, too), its HTTPS address, whether the source can do without it."""

    name: str
    url: str
    optional: bool = False


class WellKnownSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One source; see the comments in `sources.toml`."""

    name: str
    title: str
    corpus: str
    licence: str
    home: str
    version: Literal["commit", "collection", "content"]
    readers: tuple[str, ...]
    least: int
    files: tuple[SourceFile, ...]
    aliases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: tuple[WellKnownSource, ...]


@lru_cache(maxsize=1)
def well_known() -> tuple[WellKnownSource, ...]:
    """Return all sources that are known by name, in the file's order."""
    text = files("aleat.knowledge").joinpath("sources.toml").read_bytes().decode()
    return msgspec.convert(tomllib.loads(text), _File).source


def find_source(name: str, known: Sequence[WellKnownSource]) -> WellKnownSource:
    """Return the source of that name, or alias; raises `InputError` with the names that there are."""
    for source in known:
        if name.lower() in (source.name, *source.aliases):
            return source
    advice = f"There are {', '.join(source.name for source in known)}; for anything else: aleat add knowledge URL."
    raise InputError(f"No source is called {name[:60]!r}.", advice=advice)


def within(documents: Iterator[Document | Issue], source: WellKnownSource) -> Iterator[Document | Issue]:
    """Yield the documents that lie in the source's folders, and all issues."""
    for found in documents:
        if isinstance(found, Issue) or not source.folders or found.relative.partition("/")[0] in source.folders:
            yield found


def is_of(document: Document, source: WellKnownSource) -> bool:
    """Say whether a document is of the kind that the source is made of."""
    reader = detect_reader(document)
    return reader is not None and reader.name in source.readers


def version_of(source: WellKnownSource, tails: Sequence[bytes], collections: Sequence[str], sha256: str) -> str:
    """Return a source's version: its commit, its collections' version, else its content's digest.

    `tails` are its files' last bytes, `collections` the versions that collection objects in it state.
    """
    if source.version == "commit" and (commits := {commit for tail in tails if (commit := commit_of_archive(tail))}):
        return "+".join(sorted(commits))
    if source.version == "collection" and (named := sorted({one for one in collections if _VERSION.fullmatch(one)})):
        return "+".join(named)
    return f"sha256:{sha256[:16]}"


def commit_of_archive(tail: bytes) -> str:
    """Return the commit that `git archive` wrote as a zip archive's comment, or "".

    >>> commit_of_archive(b"..." + b"PK\\x05\\x06" + bytes(16) + (40).to_bytes(2, "little") + b"a" * 40) == "a" * 40
    True
    """
    at = tail.rfind(_END_OF_DIRECTORY)
    comment = tail[at + _COMMENT_AT :] if at >= 0 else b""
    return comment.decode() if _COMMIT.fullmatch(comment) else ""
