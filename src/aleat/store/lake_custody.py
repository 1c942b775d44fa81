"""Custody's records: what ends a source, the collector's own hashes beside ours, and digests that bind rows.

Rows say what holds now; the ledger's entries carry digests over them (here), so that no row changes unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aleat.errors import Issue
from aleat.stix.canonical import canonical_json

__all__ = [
    "CollectorHash",
    "Ending",
    "collector_json",
    "coverage_digest",
    "issue_cells",
    "issues_digest",
    "loose_digest",
    "ranges_digest",
]


@dataclass(frozen=True, slots=True)
class CollectorHash:
    """A hash that whoever collected a source stated, and what we found: both in lower-case hex.

    `of` says of which bytes: the "source" itself, or the "container" (archive, compressed file) that it lies in;
    `algorithm` is as `hashlib` calls it; `list` names the file that states it, as given.
    """

    algorithm: str
    stated: str
    found: str
    of: str
    list: str

    @property
    def agrees(self) -> bool:
        """Say whether the bytes are those that the collector had."""
        return self.stated == self.found

    def canonical(self) -> dict[str, Any]:
        """Return the hash as JSON."""
        return {
            "algorithm": self.algorithm,
            "stated": self.stated,
            "found": self.found,
            "of": self.of,
            "list": self.list,
        }


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of a source when its last byte was read: hash, size, the collector's hashes, and what is amiss.

    `issues` are about the source as a whole (a hash that differs, bytes that are there already), not about a range.
    """

    sha256: str
    size: int
    collector: tuple[CollectorHash, ...] = ()
    issues: tuple[Issue, ...] = ()


def collector_json(hashes: Iterable[CollectorHash]) -> list[dict[str, Any]]:
    """Return the collector's hashes as JSON, in a fixed order: the container's first."""
    ordered = sorted(hashes, key=lambda one: (one.of, one.list, one.algorithm, one.stated))
    return [one.canonical() for one in ordered]


def coverage_digest(rows: Iterable[Any]) -> str:
    """Return a digest (hex) over a segment's coverage, whatever its order."""
    cells = sorted([row.host, row.format, row.channel, str(row.first), str(row.last), row.events] for row in rows)
    return hashlib.sha256(canonical_json(cells)).hexdigest()


def ranges_digest(rows: Iterable[Any]) -> str:
    """Return a digest (hex) over a source's ranges and their segments, in order."""
    return hashlib.sha256(canonical_json([[row.start, row.end, row.segment] for row in rows])).hexdigest()


def issue_cells(issue: Issue) -> list[Any]:
    """Return what of an issue a digest covers: all but its path, which can be another where bytes lie twice."""
    place = issue.place
    return [issue.code, place.line, place.offset, issue.length, issue.records, issue.reason, issue.advice]


def issues_digest(rows: Iterable[Sequence[Any]]) -> str:
    """Return a digest (hex) over issues' cells (`issue_cells`), in the order in which they were found."""
    return hashlib.sha256(canonical_json([list(row) for row in rows])).hexdigest()


def loose_digest(rows: Iterable[tuple[str, Sequence[Any]]]) -> str:
    """Return a digest (hex) over (path, cells) of all issues that belong to no source, in their order."""
    return hashlib.sha256(canonical_json([[path, *cells] for path, cells in rows])).hexdigest()
