"""The collector's own hashes: lists that whoever gathered evidence wrote beside it, compared with what is read.

Lists as GNU's and BSD's tools, ``hashdeep``, ``openssl dgst`` and PowerShell's ``Get-FileHash | Export-Csv`` write
them. A list's entry is of a file that has its path, or ends in it, or (where a collection was moved) shares its last
folders and name; where only the name is the same, it counts when the hash agrees, and not against the file when it
doesn't. Entries that name nothing that came in are told: a file may be missing.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aleat.errors import Issue, Place
from aleat.evidence.opener import Source
from aleat.store.lake_custody import CollectorHash, Ending
from aleat.text import path_text

__all__ = ["Collector", "SourceHashes", "Statement", "collection_hashes", "read_hash_list", "read_side_file"]

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
"""By the hash's length in hex digits."""

MAX_LINE = 8192
_NAMED_AT_ONCE = 5
_SHARED_PARTS = 2
"""As many last parts of two paths must be the same for a hash that differs to count against a file."""

_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{32,128})(?: [ *]|\t+)(.+)")
_BSD = re.compile(r"(?:MD5|SHA1|SHA(?:2-)?(?:256|384|512)) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
_BARE = re.compile(r"[0-9A-Fa-f]{32,128}")
_HASHDEEP = "%%%% "
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(slots=True)
class Statement:
    """One hash of one file, as a list states it; `parts` are its path's, in lower case; `list` is the list's path."""

    algorithm: str
    value: str
    list: str
    name: str
    parts: tuple[str, ...]
    used: bool = False
    agreed: bool = False


def read_hash_list(text: str, path: str) -> tuple[list[Statement], list[Issue]]:
    """Return what a hash list states, and the lines that say nothing that can be understood.

    >>> read_hash_list("d41d8cd98f00b204e9800998ecf8427e  logs/a.evtx", "MD5SUMS")[0][0].parts
    ('logs', 'a.evtx')
    """
    found: list[Statement] = []
    wrong: list[int] = []
    columns: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MAX_LINE:
            wrong.append(number)
            continue
        content = line.strip()
        if content.startswith(_HASHDEEP):
            columns = [] if "HASHDEEP" in content else content.removeprefix(_HASHDEEP).lower().split(",")
        elif number == 1 and {"hash", "path"} <= set(_cells(content.lower())):
            columns = _cells(content.lower())
        elif content and not content.startswith(("#", ";")):
            stated = _columns(content, columns) if columns else _line(content)
            stated = [(value, name) for value, name in stated if len(value) in ALGORITHMS and name]
            found += [_statement(value, name, path) for value, name in stated]
            if not stated:
                wrong.append(number)
    if not wrong:
        return found, []
    reason = f"{len(wrong)} lines of the list of hashes say nothing that can be understood; this is the first."
    advice = "Write lists as sha256sum, md5sum, hashdeep or Get-FileHash do."
    return found, [Issue("evidence", "hash-list", Place(path, line=wrong[0]), reason, advice, records=len(wrong))]


def read_side_file(text: str, path: str, name: str) -> list[Statement]:
    """Return what a file like ``<name>.sha256`` states of `name`: a bare hash, or a list that names it."""
    content = text.strip()
    if _BARE.fullmatch(content) and len(content) in ALGORITHMS:
        return [_statement(content, name, path)]
    return [one for one in read_hash_list(text, path)[0] if one.parts[-1:] == (name.casefold(),)]


def _line(content: str) -> list[tuple[str, str]]:
    if (match := _GNU.fullmatch(content)) is not None:
        name = match[3].replace("\\n", "\n").replace("\\\\", "\\") if match[1] else match[3]
        return [(match[2], name)]
    if (match := _BSD.fullmatch(content)) is not None:
        return [(match[2], match[1])]
    return []


def _columns(content: str, columns: Sequence[str]) -> list[tuple[str, str]]:
    """Return the hashes of a line whose columns the list's head names; the name is last, and may hold commas."""
    hashdeep = "filename" in columns
    cells = content.split(",", len(columns) - 1) if hashdeep else _cells(content)
    row = dict(zip(columns, cells, strict=False))
    name = row.get("filename") or row.get("path") or ""
    return [(value, name) for key, value in row.items() if _BARE.fullmatch(value) and key not in ("filename", "path")]


def _cells(content: str) -> list[str]:
    try:
        return next(csv.reader([content]), [])
    except csv.Error:
        return []


def _statement(value: str, name: str, path: str) -> Statement:
    return Statement(ALGORITHMS[len(value)], value.lower(), path, name, _parts(name))


def _parts(path: str) -> tuple[str, ...]:
    """Return a path's parts, in lower case; an archive's members are below it, drives and dots are left out."""
    parts = re.split(r"[/\\!]", path.casefold())
    return tuple(part for part in parts if part not in ("", ".", "..") and not _DRIVE.fullmatch(part))


def _nothing_beside(_file: Path) -> Sequence[Statement]:
    return ()


class Collector:
    """What the collector stated: hash lists, and what lies `beside` a file (a function of its path)."""

    def __init__(
        self, statements: Iterable[Statement] = (), beside: Callable[[Path], Sequence[Statement]] = _nothing_beside
    ) -> None:
        self._beside = beside
        self._statements = list(statements)
        self._by_name: dict[str, list[Statement]] = {}
        for statement in self._statements:
            if statement.parts:
                self._by_name.setdefault(statement.parts[-1], []).append(statement)

    def of_stream(self, source: Source) -> list[tuple[Statement, bool]]:
        """Return what may be stated of a source's own bytes, and whether it counts against it where it differs."""
        if source.members and source.members[-1] == "":
            return []  # what a gzip file holds has no name of its own
        beside = [] if source.members else [(one, True) for one in self._beside(source.file)]
        return [*beside, *self._named(source.path)]

    def of_container(self, source: Source) -> list[tuple[Statement, bool]]:
        """Return what may be stated of the file that a source lies in, where that is another."""
        if not source.members:
            return []
        path = source.path
        for member in reversed(source.members):
            path = path.removesuffix(f"!{path_text(member)}") if member else path
        return [*((one, True) for one in self._beside(source.file)), *self._named(path)]

    def unmatched(self) -> Iterator[Issue]:
        """Yield, for each list, an issue on its entries that no source had."""
        left: dict[str, list[str]] = {}
        for one in self._statements:
            if not one.used:
                left.setdefault(one.list, []).append(one.name)
        for path, names in sorted(left.items()):
            shown = ", ".join(path_text(name)[-80:] for name in names[:_NAMED_AT_ONCE])
            more = ", …" if len(names) > _NAMED_AT_ONCE else ""
            reason = f"{len(names)} of its hashes are of nothing that came in: {shown}{more}."
            advice = "Ask for the files that are missing, or add them too."
            yield Issue("evidence", "hash-unmatched", Place(path), reason, advice, records=len(names))

    def _named(self, path: str) -> list[tuple[Statement, bool]]:
        """Return the statements whose path shares most with `path`."""
        parts = _parts(path)
        best: list[tuple[Statement, bool]] = []
        most = 0
        for one in self._by_name.get(parts[-1], []) if parts else []:
            shared = _shared(one.parts, parts)
            if shared > most:
                best, most = [], shared
            if shared == most:
                firm = shared >= _SHARED_PARTS or shared == len(one.parts) or shared == len(parts)
                best.append((one, firm))
        return best


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many last parts two paths share."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def collection_hashes(source: Source) -> list[tuple[Statement, bool]]:
    """Return the hashes that the collection a source lies in recorded of it (`opening.layouts`)."""
    origin = source.origin
    if origin is None:
        return []
    parts = _parts(origin.path)
    return [(Statement(one.algorithm, one.value, one.record, origin.path, parts), True) for one in origin.hashes]


class SourceHashes:
    """A source's hashes, made as its bytes go by: SHA-256, and those that the collector stated."""

    def __init__(self, path: str, stated: Sequence[tuple[Statement, bool]]) -> None:
        self.path = path
        self._stated = stated
        wanted = {"sha256", *(one.algorithm for one, _ in stated)}
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(wanted)}
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take further bytes."""
        self._size += len(data)
        for one in self._hashes.values():
            one.update(data)

    def ending(self, container: Sequence[tuple[Statement, bool]], hash_container: Callable[[str], str]) -> Ending:
        """Return what is known at the end: `container` is stated of the file around, `hash_container` hashes it."""
        own = {name: one.hexdigest() for name, one in self._hashes.items()}
        around = {one.algorithm: hash_container(one.algorithm) for one, _ in container}
        hashes = [*_resolve(self._stated, own, "source"), *_resolve(container, around, "container")]
        issues = [_differs(self.path, one) for one in hashes if not one.agrees]
        return Ending(own["sha256"], self._size, tuple(hashes), tuple(issues))


def _resolve(stated: Sequence[tuple[Statement, bool]], found: Mapping[str, str], of: str) -> Iterator[CollectorHash]:
    """Yield those statements that are of these bytes: the ones that agree, else the only one that must."""
    by_algorithm: dict[str, list[tuple[Statement, bool]]] = {}
    for one, firm in stated:
        by_algorithm.setdefault(one.algorithm, []).append((one, firm))
    for algorithm, group in sorted(by_algorithm.items()):
        chosen = [one for one, _ in group if one.value == found[algorithm]]
        if not chosen and len({one.value for one, _ in group}) == 1:
            chosen = [one for one, firm in group if firm and not one.agreed]
        for one in chosen:
            one.used, one.agreed = True, one.agreed or one.value == found[algorithm]
            yield CollectorHash(algorithm, one.value, found[algorithm], of, one.list)


def _differs(path: str, one: CollectorHash) -> Issue:
    what = "The file that it lies in has" if one.of == "container" else "It has"
    reason = f"{what} another {one.algorithm} than its collector states in {one.list}."
    advice = "Ask for it again: it was changed on its way, or after the list was written. See: aleat custody."
    return Issue("evidence", "hash-mismatch", Place(path), reason, advice)
