"""Re-checking a lake: every segment's bytes, every row against its ledger entry, every source where it lies.

Evidence by reference that isn't there is *absent*, which is no fault; all else that doesn't fit is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.store.lake import (
    Coverage,
    Lake,
    SourceRow,
    coverage,
    evidence_issues,
    issue_of,
    loose_rows,
    ranges,
    segments,
    sources,
)
from aleat.store.lake_custody import (
    collector_json,
    coverage_digest,
    issue_cells,
    issues_digest,
    loose_digest,
    ranges_digest,
)
from aleat.store.lake_files import hash_file
from aleat.store.lake_said import Said, read_said

__all__ = ["LakeFault", "verify_lake"]


@dataclass(frozen=True, slots=True)
class LakeFault:
    """Something in the lake that doesn't fit: `kind` is a short word, `subject` the file or row.

    `absent` marks evidence by reference that can't be looked at: it is reported, and is no fault.
    """

    kind: str
    subject: str
    reason: str
    absent: bool = False


def verify_lake(lake: Lake, *, evidence: bool = True) -> Iterator[LakeFault]:
    """Yield every fault: in segment files and rows, and (with `evidence`) in the sources themselves.

    The ledger's own chain is checked by `aleat.store.ledger.verify_ledger`.
    """
    with lake.database.read() as connection:
        said = read_said(connection)
    yield from _verify_segments(lake, said)
    yield from _verify_issues(lake, said)
    try:
        lake.sources(forgotten=True)
    except IntegrityError as error:  # nothing more can be said about sources than that
        yield LakeFault("row-changed", "sources", str(error))
        return
    yield from _verify_sources(lake, said)
    yield from _verify_remains(lake, said)
    if evidence:
        yield from _verify_evidence(lake)


_SEGMENT_COLUMNS = (
    "data_sha256",
    "file_sha256",
    "file_size",
    "events",
    "reader",
    "encodings",
    "coverage_sha256",
    "issues_sha256",
)


def _differences(
    entry: Mapping[str, Any], found: Mapping[str, Any], names: Iterable[str], subject: str, what: str
) -> Iterator[LakeFault]:
    """Yield a fault where a row differs from its ledger entry; entries of earlier versions don't name all."""
    different = [name for name in names if name in entry and entry[name] != found[name]]
    if different:
        reason = f"The {what}'s row differs from its ledger entry ({', '.join(different)})."
        yield LakeFault("row-changed", subject, reason)


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _verify_segments(lake: Lake, said: Said) -> Iterator[LakeFault]:
    with lake.database.read() as connection:
        rows = connection.execute(sa.select(segments).order_by(segments.c.id)).all()
        cells: dict[str, list[Coverage]] = {}
        for cell in connection.execute(sa.select(coverage)):
            cells.setdefault(cell.segment, []).append(
                Coverage(cell.host, cell.format, cell.channel, cell.first, cell.last, cell.events)
            )
        issues: dict[str, list[Any]] = {}
        query = sa.select(evidence_issues).where(evidence_issues.c.segment.is_not(None))
        for issue in connection.execute(query.order_by(evidence_issues.c.id)):
            issues.setdefault(issue.segment, []).append(issue_cells(issue_of(issue)))
    entries = dict(said.segments)
    for row in rows:
        path = lake.segment_path(row.id)
        if not path.is_file():
            yield LakeFault("segment-missing", str(path), "The segment's file is missing.")
        elif hash_file(path) != row.file_sha256:
            yield LakeFault("segment-changed", str(path), "The segment's bytes were changed since they were committed.")
        entry = entries.pop(row.id, None)
        subject = f"segment {row.id}"
        if entry is None:
            yield LakeFault("row-changed", subject, "The ledger has no entry for this segment's row.")
            continue
        found = {**row._mapping, "coverage_sha256": coverage_digest(cells.get(row.id, []))}
        found["encodings"] = _json(row.encodings)
        found["issues_sha256"] = issues_digest(issues.get(row.id, []))
        yield from _differences(entry, found, _SEGMENT_COLUMNS, subject, "segment")
    for missing in sorted(entries):
        yield LakeFault("row-missing", f"segment {missing}", "The ledger names a segment that has no row.")


def _verify_issues(lake: Lake, said: Said) -> Iterator[LakeFault]:
    """Compare what could not be read with what the ledger says of it, and with the sources that it names."""
    with lake.database.read() as connection:
        rows = connection.execute(sa.select(evidence_issues).order_by(evidence_issues.c.id)).all()
        paths = {row.id: row.path for row in connection.execute(sa.select(sources.c.id, sources.c.path))}
        holders = {tuple(row) for row in connection.execute(sa.select(ranges.c.source, ranges.c.segment))}
        loose = loose_digest(loose_rows(connection))
    if said.issues_sha256 is not None and loose != said.issues_sha256:
        reason = "What could not be read differs from the ledger's last entry on it."
        yield LakeFault("row-changed", "issues of no source", reason)
    for row in rows:
        astray = row.source is not None and row.path != paths.get(row.source)
        if astray or (row.segment and (row.source, row.segment) not in holders):
            yield LakeFault("row-changed", row.path, "The row of something that could not be read names another place.")


def _verify_sources(lake: Lake, said: Said) -> Iterator[LakeFault]:
    with lake.database.read() as connection:
        rows = {row.id: row for row in connection.execute(sa.select(sources))}
        bases = _bases(connection)
        issues: dict[int, list[Any]] = {}
        query = sa.select(evidence_issues).where(
            evidence_issues.c.source.is_not(None), evidence_issues.c.segment.is_(None)
        )
        for issue in connection.execute(query.order_by(evidence_issues.c.id)):
            issues.setdefault(issue.source, []).append(issue_cells(issue_of(issue)))
    given_up, forgotten = dict(said.abandoned), dict(said.forgotten)
    for source in lake.sources(forgotten=True):
        path, row = source.facts.path, rows[source.id]
        if row.path != path or bases.get(source.id):
            yield LakeFault("row-changed", path, "The source's row or its ranges were changed.")
        entry = given_up.pop(source.id, None)
        if row.abandoned != (entry is not None) and (said.exact or entry is not None or source.complete):
            yield LakeFault("row-changed", path, "The source's row differs from its ledger entry (abandoned).")
        gone = forgotten.pop(source.id, None)
        if source.forgotten != (gone.time if gone else None):
            yield LakeFault("row-changed", path, "The source's row differs from its ledger entry (forgotten).")
        if source.complete:
            entry = said.sources.take(source)
            if entry is None:
                yield LakeFault("row-changed", path, "The ledger has no entry for this source's row.")
        if entry is not None:
            expected = dict(entry) if gone is None else _without_content(entry)
            expected["same_as"] = said.same_as.get(source.id, entry.get("same_as"))
            found: dict[str, Any] = {"same_as": source.same_as, "size": source.size}
            found |= {"added": source.added, "added_by": source.actor}
            found["ranges_sha256"] = ranges_digest(lake.source_ranges(source.id))
            found["issues_sha256"] = issues_digest(issues.get(source.id, []))
            found["collector"] = collector_json(source.collector)
            found |= source.facts.canonical()
            yield from _differences(expected, found, found, path, "source")
    left = (*said.sources.left(), *given_up.values(), *(entry.data for entry in forgotten.values()))
    for path in sorted(entry["path"] for entry in left):
        yield LakeFault("row-missing", path, "The ledger names a source that has no row.")


def _without_content(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry says of a source whose content was forgotten: no range is left, and no issue."""
    return {**entry, "ranges_sha256": ranges_digest([]), "issues_sha256": issues_digest([])}


def _verify_remains(lake: Lake, said: Said) -> Iterator[LakeFault]:
    """Name files of what was forgotten that are still there: a forgetting that was cut off."""
    kept = {lake.file_of(source.facts) for source in lake.sources() if source.facts.copied}
    files = {lake.segment_path(segment): segment for segment in said.removed}
    for entry in said.forgotten.values():
        if entry.data["evidence"]:
            files[lake.evidence_folder / entry.data["evidence"]] = entry.data["path"]
    for path in sorted(files.keys() - kept):
        if path.is_file():
            reason = "It was forgotten, and its file is still there. Run aleat forget once more."
            yield LakeFault("forgotten-remains", str(path), reason)


def _bases(connection: sa.Connection) -> dict[int, bool]:
    """Return, for each source, whether a range's place or its number of records before it is wrong."""
    events = {row.id: row.events for row in connection.execute(sa.select(segments.c.id, segments.c.events))}
    wrong: dict[int, bool] = {}
    expected: dict[int, tuple[int, int]] = {}
    for row in connection.execute(sa.select(ranges).order_by(ranges.c.source, ranges.c.ordinal)):
        ordinal, base = expected.get(row.source, (0, 0))
        wrong[row.source] = wrong.get(row.source, False) or (row.ordinal, row.record_base) != (ordinal, base)
        expected[row.source] = (ordinal + 1, base + events.get(row.segment, 0))
    return wrong


def _verify_evidence(lake: Lake) -> Iterator[LakeFault]:
    hashes: dict[Path, str | None] = {}
    for source in lake.sources():
        facts = source.facts
        expected = facts.container_sha256 or source.sha256
        if expected is None:  # an ingest that was cut off: its segments were checked
            continue
        path = lake.file_of(facts)
        if path not in hashes:
            hashes[path] = _hash_or_none(path)
        found = hashes[path]
        if found is None and facts.copied:
            yield LakeFault("evidence-missing", str(path), f"The workspace's copy of {facts.path} is missing.")
        elif found is None:
            reason = "The evidence isn't there (it was added by reference); its segments were checked."
            yield LakeFault("evidence-absent", facts.path, reason, absent=True)
        elif found != expected:
            yield LakeFault("evidence-changed", facts.path, _changed(lake, source, path))


def _hash_or_none(path: Path) -> str | None:
    try:
        return hash_file(path)
    except OSError:
        return None


def _changed(lake: Lake, source: SourceRow, path: Path) -> str:
    """Say which ranges of a plain file changed, where that can be told."""
    if source.facts.members:
        return "The archive's bytes were changed since it was added."
    with lake.database.read() as connection:
        rows = connection.execute(sa.select(segments.c.id, segments.c.data_sha256))
        known = {row.id: row.data_sha256 for row in rows}
    changed = []
    with path.open("rb") as file:
        for row in lake.source_ranges(source.same_as or source.id):
            file.seek(row.start)
            if hashlib.sha256(file.read(row.end - row.start)).hexdigest() != known.get(row.segment):
                changed.append(f"{row.start} to {row.end}")
    where = f" Changed: bytes {', '.join(changed[:5])}." if changed else " Bytes were added at its end."
    return f"The evidence's bytes were changed since it was added.{where}"
