"""From the paths that a user gives to sources: folders, files, archives and what lies in them, in a fixed order.

Everything that can't be opened, or that no reader recognises, is an `Issue`; the walk goes on. Archives
can neither explode nor climb out: members are read, never unpacked to their names, within `Limits`. A
`Source` holds no open file that another process would need; its `stream` gives its bytes through the
limits. This, with `opening` behind it, is the room's only door to the disk, beside the lake's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from aleat.errors import Issue
from aleat.evidence.clock import TIME_NOTES
from aleat.evidence.opening.source import Origin, Source, Stated, one_pass
from aleat.evidence.opening.walk import Walk
from aleat.evidence.reader import ReadOptions, reader_named
from aleat.evidence.years import has_local_times
from aleat.opening.container import Secrets
from aleat.opening.limits import READ_BEFORE, Limits, change_limits
from aleat.opening.places import fetch, is_url, location, shown_url

__all__ = [
    "NOTE_CODES",
    "READ_BEFORE",
    "Limits",
    "Origin",
    "Secrets",
    "Source",
    "Stated",
    "change_limits",
    "is_url",
    "known_bytes",
    "location",
    "one_pass",
    "open_sources",
    "shown_url",
]

NOTE_CODES = frozenset(
    {
        "passed-over",
        "encoding",
        "known-source",
        "empty-file",
        "empty-folder",
        "taken-as-file",
        "read-again",
        "carved",
        "date-order",
        "slack-record",
        *TIME_NOTES,
    }
)
"""Issues with these codes tell something that the user should know; no evidence was lost with them."""


def open_sources(
    paths: Sequence[Path | str],
    *,
    limits: Limits | None = None,
    options: ReadOptions | None = None,
    files: bool = False,
    secrets: Secrets | None = None,
) -> Iterator[Source | Issue]:
    """Yield every source below `paths` (in their order, folders sorted by name), and what could not be opened.

    With `files`, what no reader of logs recognises is a source of the reader "file", and so is a zip archive that is a
    document or a program (Office, Java, Android), beside its members. Where it could still be a log
    (text, called like one), the issue "no-reader" says beside it that it was not read as one; else a note does.
    A text among `paths` is a URL (see `location`), which is fetched. `secrets` are passwords for archives.

    While a source is in hand its stream goes on with the walk's own, so that archives are read once, forward; a source
    that is kept for later opens its archive again.
    """
    walk = Walk(limits or Limits(), options or ReadOptions(), files, secrets or Secrets())
    for path in paths:
        for found in _fetched(walk, path) if isinstance(path, str) else walk.path(path):
            yield found if isinstance(found, Issue) else _settled(found)


def known_bytes(paths: Sequence[Path | str], enough: int | None = None) -> int:
    """Return how many bytes lie at `paths` on disk, archives packed; stops counting where it has `enough`."""
    total = 0
    for size in _sizes(path for path in paths if isinstance(path, Path)):
        total += size
        if enough is not None and total >= enough:
            break
    return total


def _sizes(paths: Iterable[Path]) -> Iterator[int]:
    for path in paths:
        try:
            if path.is_dir():
                for folder, _, names in os.walk(path):
                    yield from (found for name in names if (found := _size(Path(folder, name))) is not None)
            else:
                yield _size(path) or 0
        except OSError:
            continue


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def _fetched(walk: Walk, url: str) -> Iterator[Source | Issue]:
    for found in fetch(url, walk.limits, "evidence"):
        if isinstance(found, Issue):
            yield found
        else:
            yield from walk.file(found.file, found.shown, origin=Origin(facts=found.facts), fleeting=True)


def _settled(source: Source) -> Source:
    """Return the source with the options that are stated for it."""
    local_times = has_local_times(reader_named(source.reader))
    return replace(source, options=source.options.for_source(source.path, local_times=local_times))
