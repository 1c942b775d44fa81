"""Forgetting a source, as a retention rule or a court orders: its rows, segments, findings and copy go; an entry stays.

One transaction takes the rows out and appends the ledger's entry, which names what goes; then the files go. What a
kill leaves is found by that entry: `clear_forgotten` goes on at the next call, and `verify` names it until then.
What other sources share stays with them. The source's own row stays as a name without content, since the ledger's
earlier entries, which nobody can take out, speak of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aleat.errors import InputError, NotPermittedError, WorkspaceError
from aleat.stix.times import format_timestamp
from aleat.store.decisions import holds, require
from aleat.store.files import sync_folder
from aleat.store.lake import (
    Custodian,
    Lake,
    SourceFacts,
    SourceRow,
    evidence_issues,
    ranges,
    segments,
    sources,
)
from aleat.store.lake_custody import ranges_digest
from aleat.store.lake_said import read_said
from aleat.store.ledger import append_entry
from aleat.store.value_index import forget_index

__all__ = ["Forgotten", "clear_forgotten", "forget_source", "refuse_held", "source_ids"]

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went with a source: `heir` is the copy that holds the bytes now, `shared` how many segments others need.

    `evidence` is the SHA-256 of the copy in the workspace that goes too ("": there is none, or others lie in it).
    """

    path: str
    segments: tuple[str, ...]
    events: int
    shared: int
    heir: int | None
    evidence: str


def source_ids(facts: SourceFacts, sha256: str | None) -> set[str]:
    """Return the names by which a hold can be on a source: its bytes' hash, its container's, its path."""
    return {name for name in (facts.path, facts.container_sha256, sha256) if name}


def forget_source(lake: Lake, custodian: Custodian, source: SourceRow, reason: str) -> Forgotten:
    """Take a source out of the lake, and its files: an administrator does, for a reason; a legal hold stops it.

    Raises `NotPermittedError` for a hold or a lacking role, `InputError` where it was forgotten already.
    """
    if not reason.strip():
        raise InputError("A source is forgotten for a reason.", advice="Say which: --reason TEXT.")
    with lake.database.write() as connection:
        _scrub(connection)
        require(connection, custodian.actor, "administrator")
        _refuse_held(connection, source)
        row = connection.execute(sa.select(sources).where(sources.c.id == source.id)).one()
        if row.forgotten is not None:
            raise InputError(f"{row.path} was forgotten on {row.forgotten[:10]} already.")
        held = connection.execute(
            sa.select(ranges).where(ranges.c.source == source.id).order_by(ranges.c.ordinal)
        ).all()
        digest = ranges_digest(held)
        heir = _heir(connection, source.id)
        gone, events = ([], 0) if heir is not None else _drop_ranges(connection, source.id)
        if heir is not None:
            _hand_over(connection, source.id, heir)
        connection.execute(sa.delete(evidence_issues).where(evidence_issues.c.source == source.id))
        evidence = _lonely_copy(connection, source)
        when = format_timestamp(custodian.time)
        connection.execute(sources.update().where(sources.c.id == source.id).values(forgotten=when))
        data: dict[str, Any] = {
            "source": source.id,
            "path": row.path,
            "sha256": row.sha256,
            "reason": reason.strip(),
            "segments": gone,
            "events": events,
            "heir": heir,
            "ranges_sha256": digest,
            "evidence": evidence,
        }
        actor, time, key = custodian.actor, custodian.time, custodian.key
        append_entry(connection, "custody", "forgotten", data, actor=actor, time=time, key=key)
    shared = len({one.segment for one in held}) - len(gone)
    return Forgotten(row.path, tuple(gone), events, 0 if heir is not None else shared, heir, evidence)


def clear_forgotten(lake: Lake) -> int:
    """Remove the files of all that was forgotten, and return how many there were; repeats what was cut off.

    Raises `WorkspaceError` where the disk refuses.
    """
    with lake.database.read() as connection:
        said = read_said(connection)
    kept = {lake.file_of(source.facts) for source in lake.sources() if source.facts.copied}
    files = {lake.segment_path(segment) for segment in said.removed}
    copies = (entry.data["evidence"] for entry in said.forgotten.values())
    files |= {lake.evidence_folder / name for name in copies if name}
    removed = 0
    try:
        for path in sorted(files - kept):
            if path.is_file():
                path.unlink()
                removed += 1
        for folder in {path.parent for path in files}:
            if folder.is_dir():
                sync_folder(folder)
    except OSError as error:
        what = error.strerror or type(error).__name__
        advice = "The ledger says that it is forgotten: run aleat forget once more."
        raise WorkspaceError(f"{error.filename}: can't be removed: {what}. {advice}") from error
    forget_index(lake, sorted(said.removed))
    lake.database.truncate_log()
    return removed


def _scrub(connection: sa.Connection) -> None:
    """Have SQLite write zeros over what is deleted."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def refuse_held(lake: Lake, source: SourceRow) -> None:
    """Raise `NotPermittedError` where a legal hold is on a source."""
    with lake.database.read() as connection:
        _refuse_held(connection, source)


def _refuse_held(connection: sa.Connection, source: SourceRow) -> None:
    names = source_ids(source.facts, source.sha256)
    query = sa.select(holds).where(holds.c.kind == "legal-hold", holds.c.object.in_(names))
    if (hold := connection.execute(query).first()) is not None:
        raise NotPermittedError(
            f"{source.facts.path} is under a legal hold since {hold.placed[:10]} ({hold.reason}). "
            "A releaser may lift it: aleat hold SOURCE --lift --reason TEXT."
        )


def _heir(connection: sa.Connection, source: int) -> int | None:
    """Return the first copy of a source that is still there."""
    query = sa.select(sources.c.id).where(sources.c.same_as == source, sources.c.forgotten.is_(None))
    return connection.execute(query.order_by(sources.c.id)).scalars().first()


def _hand_over(connection: sa.Connection, source: int, heir: int) -> None:
    """Give a source's ranges, and what could not be read in them, to a copy of it."""
    path = connection.execute(sa.select(sources.c.path).where(sources.c.id == heir)).scalar_one()
    connection.execute(ranges.update().where(ranges.c.source == source).values(source=heir))
    about = (evidence_issues.c.source == source) & evidence_issues.c.segment.is_not(None)
    connection.execute(evidence_issues.update().where(about).values(source=heir, path=path))
    connection.execute(sources.update().where(sources.c.same_as == source).values(same_as=heir))
    connection.execute(sources.update().where(sources.c.id == heir).values(same_as=None))


def _drop_ranges(connection: sa.Connection, source: int) -> tuple[list[str], int]:
    """Remove a source's ranges, and the segments that no other source has: return those, and their events."""
    own = list(connection.execute(sa.select(ranges.c.segment).where(ranges.c.source == source)).scalars())
    connection.execute(sa.delete(ranges).where(ranges.c.source == source))
    gone: list[str] = []
    for segment in sorted(set(own)):
        query = sa.select(sources.c.id, sources.c.path).join(ranges, ranges.c.source == sources.c.id)
        other = connection.execute(query.where(ranges.c.segment == segment).order_by(sources.c.id)).first()
        if other is None:
            gone.append(segment)
        else:
            about = (evidence_issues.c.source == source) & (evidence_issues.c.segment == segment)
            connection.execute(evidence_issues.update().where(about).values(source=other.id, path=other.path))
    events = 0
    tables = _tables_by_segment(connection)
    for start in range(0, len(gone), _CHUNK):
        some = gone[start : start + _CHUNK]
        query_events = sa.select(sa.func.coalesce(sa.func.sum(segments.c.events), 0)).where(segments.c.id.in_(some))
        events += int(connection.execute(query_events).scalar_one())
        for table in tables:
            connection.execute(sa.delete(table).where(table.c.segment.in_(some)))
        connection.execute(sa.delete(segments).where(segments.c.id.in_(some)))
    return gone, events


def _tables_by_segment(connection: sa.Connection) -> list[sa.TableClause]:
    """Return every table that says something of a segment: coverage, issues, what hunts found, caches."""
    inspector = sa.inspect(connection)
    columns = {name: {one["name"] for one in inspector.get_columns(name)} for name in inspector.get_table_names()}
    return [sa.table(name, sa.column("segment")) for name, held in columns.items() if "segment" in held]


def _lonely_copy(connection: sa.Connection, source: SourceRow) -> str:
    """Return the SHA-256 of a source's copy in the workspace, where no other source lies in it; else ""."""
    if not source.facts.copied:
        return ""
    name = source.facts.container_sha256
    query = sa.select(sources.c.facts).where(sources.c.id != source.id, sources.c.forgotten.is_(None))
    others = any(name.encode() in facts for facts in connection.execute(query).scalars())
    return "" if others else name
