"""Logs in archives for tests, and what the opener finds in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aleat.errors import Issue
from aleat.evidence import Limits, ReadOptions, Source, open_sources, read_batches
from aleat.evidence.opener import Secrets
from tests.opening.archives import COMPRESSIONS, lz4, tar_of, zip_of

__all__ = ["COMPRESSIONS", "LOG", "again", "codes", "found", "lines", "lz4", "tar_of", "zip_of"]

LOG = b'198.51.100.7 - - [15/Jul/2022:10:00:01 +0200] "GET /a HTTP/1.1" 200 512\n'


def lines(count: int, name: str = "a") -> bytes:
    """An access log of so many lines, each another."""
    return b"".join(LOG.replace(b"/a", f"/{name}/{number * 7919 % 100_003}".encode()) for number in range(count))


def found(
    *paths: Path | str,
    limits: Limits | None = None,
    secrets: Iterable[str] = (),
    files: bool = False,
    options: ReadOptions | None = None,
) -> tuple[dict[str, int], list[Issue], list[Source]]:
    """Events by the path's end (behind the last ``!``), issues, and sources: read while the walk stands at each."""
    counts: dict[str, int] = {}
    issues: list[Issue] = []
    sources: list[Source] = []
    for one in open_sources(paths, limits=limits, secrets=Secrets(list(secrets)), files=files, options=options):
        if isinstance(one, Issue):
            issues.append(one)
            continue
        sources.append(one)
        name = one.path.partition("!")[2] or Path(one.path).name
        counts[name] = sum(batch.table.num_rows for batch in read_batches(one, issues))
    return counts, issues, sources


def again(sources: Iterable[Source]) -> dict[str, int]:
    """Events by path, of sources that are opened again, each for itself."""
    return {
        source.path.partition("!")[2] or Path(source.path).name: sum(
            batch.table.num_rows for batch in read_batches(source, [])
        )
        for source in sources
    }


def codes(issues: Iterable[Issue]) -> list[str]:
    """The issues' codes."""
    return [issue.code for issue in issues]
