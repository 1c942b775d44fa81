"""The lake: what was ingested, as segment files with their rows, custody and coverage.

Segments are the truth. A segment's file is written under a temporary name, synced and renamed; then one
transaction adds its row (with the file's SHA-256), its place in its source, its coverage and issues, and the
ledger's entry: the only commit point. When a source's last range is in, the same transaction binds the
source's SHA-256 to the list of its ranges. What is read later comes from segments alone: the log files may
be gone. This file knows no log format; `aleat.evidence.ingest` fills the lake.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from aleat.errors import IntegrityError, Issue, Place, WorkspaceError
from aleat.stix.canonical import canonical_json
from aleat.store.database import Database, metadata
from aleat.store.files import place_file
from aleat.store.lake_custody import (
    CollectorHash,
    Ending,
    collector_json,
    coverage_digest,
    issue_cells,
    issues_digest,
    loose_digest,
    ranges_digest,
)
from aleat.store.ledger import append_entry
from aleat.trust.keys import SigningKey

if TYPE_CHECKING:
    from aleat.store.lake_files import ColumnFilter, StoredTable

__all__ = [
    "Coverage",
    "Custodian",
    "Lake",
    "RangeRow",
    "SegmentDraft",
    "SegmentRow",
    "SegmentSource",
    "SourceFacts",
    "SourceRow",
]

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("path", sa.String, nullable=False, index=True),
    sa.Column("facts", sa.LargeBinary, nullable=False),  # SourceFacts as canonical JSON
    sa.Column("sha256", sa.String, index=True),  # of the innermost stream; null until the last range is in
    sa.Column("size", sa.BigInteger),
    sa.Column("same_as", sa.Integer),  # an earlier source with the same bytes
    sa.Column("abandoned", sa.Boolean, nullable=False, default=False),
    sa.Column("added", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("collector", sa.LargeBinary),  # the collector's hashes as canonical JSON; null where none was stated
    sa.Column("forgotten", sa.String),  # when; its ranges, and what only it needed, are gone
)

ranges = sa.Table(
    "ranges",
    metadata,
    sa.Column("source", sa.Integer, sa.ForeignKey("sources.id"), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("segment", sa.String, nullable=False, index=True),
    sa.Column("record_base", sa.BigInteger, nullable=False),
)

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("data_sha256", sa.String, nullable=False),
    sa.Column("file_sha256", sa.String, nullable=False),
    sa.Column("file_size", sa.BigInteger, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("reader", sa.String, nullable=False),
    sa.Column("encodings", sa.LargeBinary, nullable=False),
)

coverage = sa.Table(
    "coverage",
    metadata,
    sa.Column("segment", sa.String, sa.ForeignKey("segments.id"), primary_key=True),
    sa.Column("host", sa.String, primary_key=True),
    sa.Column("format", sa.String, primary_key=True),
    sa.Column("channel", sa.String, primary_key=True),
    sa.Column("first", sa.BigInteger),
    sa.Column("last", sa.BigInteger),
    sa.Column("events", sa.BigInteger, nullable=False),
)

evidence_issues = sa.Table(
    "evidence_issues",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Integer),  # null: no source could be made of it
    sa.Column("segment", sa.String),  # null: it is about no range; "": from format 1, which didn't say
    sa.Column("path", sa.String, nullable=False),
    sa.Column("code", sa.String, nullable=False),
    sa.Column("line", sa.BigInteger),
    sa.Column("offset", sa.BigInteger),
    sa.Column("length", sa.BigInteger),
    sa.Column("records", sa.BigInteger),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("advice", sa.String, nullable=False),
)

_FEW_NAMES = 500
"""Up to so many segments are asked for by name; more are picked from all."""


@dataclass(frozen=True, slots=True)
class Custodian:
    """Who commits, when, and the key that signs the ledger's entries."""

    actor: str
    time: datetime
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Coverage:
    """Events of one host in one log: how many, the first and the last (microseconds since 1970, None: no time)."""

    host: str
    format: str
    channel: str
    first: int | None
    last: int | None
    events: int


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source before it is read: `note` and `acquired` (a STIX timestamp) as its collector says.

    `origin` is what the collection or the place that it comes from tells: ``collector``, ``host``, ``original_path``,
    ``url``, ``etag`` and the like, each a short text.
    """

    path: str
    file: str
    members: tuple[str, ...]
    container_sha256: str
    reader: str
    reader_version: int | str
    given_by: str
    copied: bool
    options: Mapping[str, Any]
    note: str = ""
    acquired: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)

    def canonical(self) -> dict[str, Any]:
        """Return the facts as JSON; the note and the time of acquisition only where they were given."""
        stated = {"note": self.note, "acquired": self.acquired}
        return {
            "path": self.path,
            "file": self.file,
            "members": list(self.members),
            "container_sha256": self.container_sha256,
            "reader": self.reader,
            "reader_version": self.reader_version,
            "given_by": self.given_by,
            "copied": self.copied,
            "options": dict(self.options),
            **{name: text for name, text in stated.items() if text},
            **({"origin": dict(self.origin)} if self.origin else {}),
        }


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """A segment whose file is written under a temporary name, ready to be committed."""

    id: str
    start: int
    end: int
    temporary: str
    data_sha256: str
    file_sha256: str
    file_size: int
    events: int
    reader: str
    coverage: tuple[Coverage, ...]
    issues: tuple[Issue, ...]
    encodings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RangeRow:
    """A range of a source and the segment that holds its events."""

    ordinal: int
    start: int
    end: int
    segment: str
    events: int


@dataclass(frozen=True, slots=True)
class SegmentSource:
    """Where a segment's bytes stand: the source, its path as given, and the number of records before it."""

    source: int
    path: str
    record_base: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A committed segment; times in microseconds since 1970. `sources` has several where files share bytes."""

    id: str
    sources: tuple[SegmentSource, ...]
    formats: tuple[str, ...]
    channels: tuple[str, ...]
    hosts: tuple[str, ...]
    first: int | None
    last: int | None
    events: int
    file_sha256: str
    file_size: int
    data_sha256: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """The custody record of a source. `complete` is false where an ingest was cut off before the last range."""

    id: int
    facts: SourceFacts
    sha256: str | None
    size: int | None
    same_as: int | None
    complete: bool
    added: str
    actor: str
    records: int
    first: int | None
    last: int | None
    issues: int
    unreadable_bytes: int
    encodings: Mapping[str, int]
    collector: tuple[CollectorHash, ...] = ()
    forgotten: str | None = None


class Lake:
    """The lake of one workspace: `root` holds ``segments/`` and ``evidence/``."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        self.segment_folder = root / "segments"
        self.evidence_folder = root / "evidence"

    def prepare(self) -> None:
        """Make the folders, and remove what a killed ingest left under temporary names."""
        try:
            for folder in (self.segment_folder, self.evidence_folder):
                folder.mkdir(parents=True, exist_ok=True)
                for left in folder.glob(".tmp-*"):
                    left.unlink(missing_ok=True)
        except OSError as error:
            raise _disk_error(error, self.root) from error

    def segment_path(self, segment: str) -> Path:
        """Return where a segment's file is."""
        return self.segment_folder / f"{segment}.parquet"

    def file_of(self, facts: SourceFacts) -> Path:
        """Return where the file is that a source lies in: the copy in the workspace, else where it was given."""
        return self.evidence_folder / facts.container_sha256 if facts.copied else Path(facts.file)

    def temporary_path(self, number: int) -> Path:
        """Return where this process's segment file `number` is written first."""
        return self.segment_folder / f".tmp-{os.getpid()}-{number}"

    def discard(self, draft: SegmentDraft) -> None:
        """Remove the file of a draft that won't be committed."""
        Path(draft.temporary).unlink(missing_ok=True)

    def clear_own_temporaries(self) -> None:
        """Remove what this process left under temporary names."""
        for left in self.segment_folder.glob(f".tmp-{os.getpid()}-*"):
            left.unlink(missing_ok=True)

    def keep_evidence(self, file: Path) -> str:
        """Copy `file` into the evidence folder under its SHA-256, and return that; `OSError` where it can't be read."""
        temporary = self.evidence_folder / f".tmp-{os.getpid()}"
        digest = hashlib.sha256()
        with file.open("rb") as original:
            try:
                with temporary.open("wb") as kept:
                    while block := original.read(1024 * 1024):
                        digest.update(block)
                        kept.write(block)
                    kept.flush()
                    os.fsync(kept.fileno())
                place_file(temporary, self.evidence_folder / digest.hexdigest())
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise _disk_error(error, self.evidence_folder) from error
        return digest.hexdigest()

    def known_events(self, segment: str) -> int | None:
        """Return how many events a committed segment has, or None where there is no such segment (or no file)."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(segments.c.events).where(segments.c.id == segment)).first()
        return int(row.events) if row is not None and self.segment_path(segment).is_file() else None

    # -- committing ---------------------------------------------------------------------------------------------

    def open_source(self, facts: SourceFacts) -> tuple[int, list[RangeRow]] | None:
        """Return an unfinished source with these facts, and its ranges so far."""
        text = canonical_json(facts.canonical())
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(sources.c.id).where(
                    sources.c.path == facts.path,
                    sources.c.facts == text,
                    sources.c.sha256.is_(None),
                    sources.c.abandoned.is_(False),
                    sources.c.forgotten.is_(None),
                )
            ).first()
            return (row.id, _range_rows(connection, row.id)) if row else None

    def abandon_source(self, custodian: Custodian, facts: SourceFacts, source: int) -> None:
        """Mark an unfinished source whose file has changed since: it is never finished, its segments stay."""
        with self.database.write() as connection:
            connection.execute(sources.update().where(sources.c.id == source).values(abandoned=True))
            data = _source_data(connection, facts, source)
            append_entry(connection, "custody", "abandoned", data, **_signing(custodian))

    def complete_source(self, sha256: str) -> tuple[int, str] | None:
        """Return (id, path) of the first finished source with these bytes."""
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(sources.c.id, sources.c.path)
                .where(sources.c.sha256 == sha256, sources.c.same_as.is_(None), sources.c.forgotten.is_(None))
                .order_by(sources.c.id)
            ).first()
        return (row.id, row.path) if row else None

    def forgotten_on(self, sha256: str) -> str | None:
        """Return when a source with these bytes was last forgotten; None where none was, or another has them."""
        same = sources.c.sha256 == sha256
        with self.database.read() as connection:
            if connection.execute(sa.select(sources.c.id).where(same, sources.c.forgotten.is_(None))).first():
                return None
            return connection.execute(sa.select(sa.func.max(sources.c.forgotten)).where(same)).scalar()

    def known_source(self, path: str, sha256: str) -> int | None:
        """Return the id of the source that was ingested from this path with these bytes, or None."""
        with self.database.read() as connection:
            query = sa.select(sources.c.id).where(
                sources.c.path == path, sources.c.sha256 == sha256, sources.c.forgotten.is_(None)
            )
            return connection.execute(query.order_by(sources.c.id)).scalars().first()

    def commit(
        self,
        custodian: Custodian,
        facts: SourceFacts,
        source: int | None,
        new_ranges: Sequence[RangeRow],
        draft: SegmentDraft | None,
        ending: Ending | None,
    ) -> int:
        """Commit one step of a source in one transaction, and return the source's id.

        `source` is None for its first step; `new_ranges` are the ranges that this step adds (the draft's among them);
        `ending` comes with its last range.
        """
        if draft is not None:
            self._place(draft)
        with self.database.write() as connection:
            if source is None:
                source = _insert_source(connection, custodian, facts)
            if draft is not None:
                _insert_segment(connection, source, draft)
            base = connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(segments.c.events), 0))
                .select_from(ranges.join(segments, ranges.c.segment == segments.c.id))
                .where(ranges.c.source == source)
            ).scalar_one()
            for row in new_ranges:
                values = {"source": source, "ordinal": row.ordinal, "start": row.start, "end": row.end}
                connection.execute(ranges.insert(), {**values, "segment": row.segment, "record_base": int(base)})
                base += row.events
            if draft is not None:
                _append_segment(connection, custodian, facts, draft)
            if ending is not None:
                _finish_source(connection, custodian, facts, source, ending, int(base))
        return source

    def restore_segment(self, custodian: Custodian, facts: SourceFacts, draft: SegmentDraft) -> bool:
        """Put back the file of a committed segment that was lost; False where there is no such segment."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(segments.c.file_sha256).where(segments.c.id == draft.id)).first()
        if row is None:
            return False
        self._place(draft)
        if row.file_sha256 != draft.file_sha256:  # written by another version of the Parquet library
            values = {"file_sha256": draft.file_sha256, "file_size": draft.file_size}
            with self.database.write() as connection:
                connection.execute(segments.update().where(segments.c.id == draft.id).values(**values))
                _append_segment(connection, custodian, facts, draft)
        return True

    def commit_copy(self, custodian: Custodian, facts: SourceFacts, same_as: int, ending: Ending) -> int:
        """Note a source whose bytes are those of an earlier one, and return its id."""
        with self.database.write() as connection:
            source = _insert_source(connection, custodian, facts)
            said = _end_source(connection, source, ending, same_as)
            data = {**facts.canonical(), **_added(connection, source), **said, "same_as": same_as}
            append_entry(connection, "custody", "copy", data, **_signing(custodian))
        return source

    def state_hashes(self, custodian: Custodian, source: int, hashes: Sequence[CollectorHash]) -> None:
        """Keep the collector's hashes of a source that is there already; nothing is done where they are the same."""
        said = collector_json(hashes)
        with self.database.write() as connection:
            row = sources.c.id == source
            if connection.execute(sa.select(sources.c.collector).where(row)).scalar_one() == canonical_json(said):
                return
            connection.execute(sources.update().where(row).values(collector=canonical_json(said)))
            data = {"source": source, "collector": said}
            append_entry(connection, "custody", "collector", data, **_signing(custodian))

    def add_issues(self, custodian: Custodian, issues: Sequence[Issue]) -> None:
        """Keep issues that belong to no source; what is already there isn't added again."""
        new: list[dict[str, Any]] = []
        with self.database.write() as connection:
            for issue in issues:
                row = _issue_values(None, None, issue)
                same = [evidence_issues.c[name] == row[name] for name in ("path", "code", "reason")]
                query = sa.select(evidence_issues.c.id).where(evidence_issues.c.source.is_(None), *same)
                if connection.execute(query).first() is None:
                    connection.execute(evidence_issues.insert(), row)
                    new.append(row)
            if new:
                rows = loose_rows(connection)
                data = {"new": len(new), "issues": len(rows), "issues_sha256": loose_digest(rows)}
                append_entry(connection, "custody", "issues", data, **_signing(custodian))

    def _place(self, draft: SegmentDraft) -> None:
        target = self.segment_path(draft.id)
        try:
            place_file(Path(draft.temporary), target)
        except OSError as error:
            raise _disk_error(error, target) from error

    # -- reading ------------------------------------------------------------------------------------------------

    def segments(self, names: Collection[str] | None = None) -> list[SegmentRow]:
        """Return every committed segment (or those among `names`), in the order of sources and ranges."""

        def among(column: sa.Column[str]) -> sa.ColumnElement[bool]:
            few = names is not None and len(names) <= _FEW_NAMES
            return column.in_(sorted(names or ())) if few else sa.true()

        with self.database.read() as connection:
            places: dict[str, list[SegmentSource]] = {}
            query = (
                sa.select(ranges, sources.c.path)
                .join(sources, ranges.c.source == sources.c.id)
                .where(among(ranges.c.segment))
                .order_by(ranges.c.source, ranges.c.ordinal)
            )
            for row in connection.execute(query):
                if names is None or row.segment in names:
                    places.setdefault(row.segment, []).append(SegmentSource(row.source, row.path, row.record_base))
            covered: dict[str, list[Any]] = {}
            for row in connection.execute(sa.select(coverage).where(among(coverage.c.segment))):
                covered.setdefault(row.segment, []).append(row)
            rows = {row.id: row for row in connection.execute(sa.select(segments).where(among(segments.c.id)))}
        return [
            _segment_row(rows[name], where, covered.get(name, [])) for name, where in places.items() if name in rows
        ]

    def read(self, segment: str, columns: Collection[str] | ColumnFilter | None = None) -> Iterator[StoredTable]:
        """Yield the segment's tables: all of it, or the fixed columns and the field columns asked for."""
        wanted = columns if columns is None or callable(columns) else set(columns).__contains__
        path = self.segment_path(segment)
        try:
            from aleat.store.lake_files import read_segment_file  # noqa: PLC0415  (pyarrow)

            yield from read_segment_file(path, segment, wanted)
        except FileNotFoundError:
            reason = f"The segment {segment} is missing from {self.segment_folder}."
            raise WorkspaceError(f"{reason} Bring it back from a backup, or add its evidence again.") from None

    def sources(self, *, forgotten: bool = False) -> list[SourceRow]:
        """Return the custody records, in the order in which the sources came in; the forgotten ones only if asked."""
        query = sa.select(sources).order_by(sources.c.id)
        if not forgotten:
            query = query.where(sources.c.forgotten.is_(None))
        with self.database.read() as connection:
            contents = _Contents(connection)
            return [_source_row(row, contents) for row in connection.execute(query)]

    def count_sources(self, *, forgotten: bool = False) -> int:
        """Return how many sources there are, or how many were forgotten (and not only read again, as others)."""
        gone: sa.ColumnElement[bool] = sources.c.forgotten.is_(None)
        if forgotten:
            again = sources.alias("again")
            same = sa.select(again.c.id).where(
                again.c.path == sources.c.path, again.c.sha256 == sources.c.sha256, again.c.forgotten.is_(None)
            )
            gone = sources.c.forgotten.is_not(None) & ~same.exists()
        with self.database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(sources).where(gone)).scalar_one()

    def source_ranges(self, source: int) -> list[RangeRow]:
        """Return the ranges of a source, in order."""
        with self.database.read() as connection:
            return _range_rows(connection, source)

    def issues(self) -> list[Issue]:
        """Return everything that could not be read, or that the user should know, in the order it was found."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(evidence_issues).order_by(evidence_issues.c.id)).all()
        return [issue_of(row) for row in rows]

    def source_issues(self, source: SourceRow) -> list[Issue]:
        """Return what could not be read of a source, or should be known of it, in the order of offsets."""
        about = evidence_issues.c.source == source.id
        if source.same_as is not None:
            about |= (evidence_issues.c.source == source.same_as) & evidence_issues.c.segment.is_not(None)
        order = (evidence_issues.c.offset, evidence_issues.c.id)
        with self.database.read() as connection:
            rows = connection.execute(sa.select(evidence_issues).where(about).order_by(*order)).all()
        return [issue_of(row) for row in rows]

    def coverage(self) -> list[Coverage]:
        """Return events by host, format and channel over all segments, sorted."""
        query = (
            sa.select(
                coverage.c.host,
                coverage.c.format,
                coverage.c.channel,
                sa.func.min(coverage.c.first),
                sa.func.max(coverage.c.last),
                sa.func.sum(coverage.c.events),
            )
            .group_by(coverage.c.host, coverage.c.format, coverage.c.channel)
            .order_by(coverage.c.host, coverage.c.format, coverage.c.channel)
        )
        with self.database.read() as connection:
            return [Coverage(*row) for row in connection.execute(query)]

    def identity(self) -> str:
        """Return the Merkle root (hex) over the sorted (segment id, file's SHA-256): equal for equal lakes."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(segments.c.id, segments.c.file_sha256).order_by(segments.c.id))
            leaves = [hashlib.sha256(b"\0" + f"{row.id} {row.file_sha256}".encode()).digest() for row in rows]
        return merkle_root(leaves).hex()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a binary Merkle tree as in RFC 9162 §2.1.1 (leaf hashes given)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle_root(leaves[:half]) + merkle_root(leaves[half:])).digest()


def _disk_error(error: OSError, path: Path) -> WorkspaceError:
    what = error.strerror or type(error).__name__
    return WorkspaceError(
        f"{path}: can't be written: {what}. What was committed before stays; make room and run it again to go on."
    )


def _signing(custodian: Custodian) -> dict[str, Any]:
    return {"actor": custodian.actor, "time": custodian.time, "key": custodian.key}


def _insert_source(connection: sa.Connection, custodian: Custodian, facts: SourceFacts) -> int:
    values = {
        "path": facts.path,
        "facts": canonical_json(facts.canonical()),
        "abandoned": False,
        "added": custodian.time.isoformat(),
        "actor": custodian.actor,
    }
    key = connection.execute(sources.insert(), values).inserted_primary_key
    if key is None:
        raise WorkspaceError("The workspace's database gave no id for a new source.")
    return int(key[0])


def _insert_segment(connection: sa.Connection, source: int, draft: SegmentDraft) -> None:
    values = {
        "id": draft.id,
        "data_sha256": draft.data_sha256,
        "file_sha256": draft.file_sha256,
        "file_size": draft.file_size,
        "events": draft.events,
        "reader": draft.reader,
        "encodings": canonical_json(dict(draft.encodings)),
    }
    connection.execute(segments.insert(), values)
    for row in draft.coverage:
        cell = {"host": row.host, "format": row.format, "channel": row.channel}
        cell_values = {**cell, "first": row.first, "last": row.last, "events": row.events}
        connection.execute(coverage.insert(), {"segment": draft.id, **cell_values})
    for issue in draft.issues:
        connection.execute(evidence_issues.insert(), _issue_values(source, draft.id, issue))


def _append_segment(connection: sa.Connection, custodian: Custodian, facts: SourceFacts, draft: SegmentDraft) -> None:
    data = {
        "path": facts.path,
        "range": [draft.start, draft.end],
        "segment": draft.id,
        "file_sha256": draft.file_sha256,
        "file_size": draft.file_size,
        "data_sha256": draft.data_sha256,
        "events": draft.events,
        "reader": draft.reader,
        "encodings": dict(draft.encodings),
        "coverage_sha256": coverage_digest(draft.coverage),
        "issues": len(draft.issues),
        "issues_sha256": issues_digest(issue_cells(issue) for issue in draft.issues),
    }
    append_entry(connection, "custody", "segment", data, **_signing(custodian))


def _finish_source(
    connection: sa.Connection,
    custodian: Custodian,
    facts: SourceFacts,
    source: int,
    ending: Ending,
    records: int,
) -> None:
    said = _end_source(connection, source, ending, None)
    data = {**_source_data(connection, facts, source), **said, "records": records}
    append_entry(connection, "custody", "source", data, **_signing(custodian))


def _end_source(connection: sa.Connection, source: int, ending: Ending, same_as: int | None) -> dict[str, Any]:
    """Write what a source's end is to its row, and return what the ledger says of it."""
    said = collector_json(ending.collector)
    values = {"sha256": ending.sha256, "size": ending.size, "same_as": same_as}
    values["collector"] = canonical_json(said) if said else None
    connection.execute(sources.update().where(sources.c.id == source).values(**values))
    for issue in ending.issues:
        connection.execute(evidence_issues.insert(), _issue_values(source, None, issue))
    return {
        "sha256": ending.sha256,
        "size": ending.size,
        "collector": said,
        "issues_sha256": issues_digest(issue_cells(issue) for issue in ending.issues),
    }


def _source_data(connection: sa.Connection, facts: SourceFacts, source: int) -> dict[str, Any]:
    """Return what the ledger says of a source with its ranges."""
    rows = _range_rows(connection, source)
    return {
        **facts.canonical(),
        **_added(connection, source),
        "ranges": len(rows),
        "ranges_sha256": ranges_digest(rows),
    }


def _added(connection: sa.Connection, source: int) -> dict[str, Any]:
    row = connection.execute(sa.select(sources.c.added, sources.c.actor).where(sources.c.id == source)).one()
    return {"source": source, "added": row.added, "added_by": row.actor}


def _issue_values(source: int | None, segment: str | None, issue: Issue) -> dict[str, Any]:
    return {
        "source": source,
        "segment": segment,
        "path": issue.place.path,
        "code": issue.code,
        "line": issue.place.line,
        "offset": issue.place.offset,
        "length": issue.length,
        "records": issue.records,
        "reason": issue.reason,
        "advice": issue.advice,
    }


def issue_of(row: Any) -> Issue:
    """Return the issue that a row of `evidence_issues` holds."""
    place = Place(row.path, line=row.line, offset=row.offset)
    return Issue("evidence", row.code, place, row.reason, row.advice, row.length, row.records)


def loose_rows(connection: sa.Connection) -> list[tuple[str, list[Any]]]:
    """Return (path, cells) of the issues that belong to no source, in the order in which they were found."""
    query = sa.select(evidence_issues).where(evidence_issues.c.source.is_(None)).order_by(evidence_issues.c.id)
    return [(row.path, issue_cells(issue_of(row))) for row in connection.execute(query)]


def _range_rows(connection: sa.Connection, source: int) -> list[RangeRow]:
    query = (
        sa.select(ranges, segments.c.events)
        .join(segments, ranges.c.segment == segments.c.id)
        .where(ranges.c.source == source)
        .order_by(ranges.c.ordinal)
    )
    return [RangeRow(row.ordinal, row.start, row.end, row.segment, row.events) for row in connection.execute(query)]


def _segment_row(row: Any, where: list[SegmentSource], covered: list[Any]) -> SegmentRow:
    firsts = [cell.first for cell in covered if cell.first is not None]
    lasts = [cell.last for cell in covered if cell.last is not None]
    return SegmentRow(
        id=row.id,
        sources=tuple(where),
        formats=tuple(sorted({cell.format for cell in covered})),
        channels=tuple(sorted({cell.channel for cell in covered})),
        hosts=tuple(sorted({cell.host for cell in covered})),
        first=min(firsts, default=None),
        last=max(lasts, default=None),
        events=row.events,
        file_sha256=row.file_sha256,
        file_size=row.file_size,
        data_sha256=row.data_sha256,
    )


class _Contents:
    """What the segments of sources hold, for all of them at once: three queries, however many sources there are."""

    def __init__(self, connection: sa.Connection) -> None:
        joined = ranges.join(segments, ranges.c.segment == segments.c.id)
        held = sa.select(ranges.c.source, segments.c.events, segments.c.encodings).select_from(joined)
        self.records: dict[int, int] = {}
        self.encodings: dict[int, list[bytes]] = {}
        for source, events, encodings in connection.execute(held.order_by(ranges.c.source, ranges.c.ordinal)):
            self.records[source] = self.records.get(source, 0) + events
            self.encodings.setdefault(source, []).append(encodings)
        span = (sa.func.min(coverage.c.first), sa.func.max(coverage.c.last))
        covered = ranges.join(coverage, ranges.c.segment == coverage.c.segment)
        spans = sa.select(ranges.c.source, *span).select_from(covered).group_by(ranges.c.source)
        self.spans = {source: (first, last) for source, first, last in connection.execute(spans)}
        count = (sa.func.count(), sa.func.coalesce(sa.func.sum(evidence_issues.c.length), 0))
        lost = sa.select(evidence_issues.c.source, *count).where(
            # a note that all was read: no length, and no record lost
            evidence_issues.c.length.is_not(None) | (sa.func.coalesce(evidence_issues.c.records, 1) != 0),
        )
        rows = connection.execute(lost.group_by(evidence_issues.c.source))
        self.lost = {source: (number, int(length)) for source, number, length in rows}


def _source_row(row: Any, contents: _Contents) -> SourceRow:
    holder = row.same_as or row.id
    span, lost = contents.spans.get(holder, (None, None)), contents.lost.get(holder, (0, 0))
    encodings: dict[str, int] = {}
    try:
        for content in contents.encodings.get(holder, ()):
            for name, lines in orjson.loads(content).items():
                encodings[name] = encodings.get(name, 0) + lines
        values = orjson.loads(row.facts)
        facts = SourceFacts(**{**values, "members": tuple(values["members"])})
        collector = tuple(CollectorHash(**one) for one in orjson.loads(row.collector or b"[]"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(f"The row of source {row.id} ({row.path}) was changed.") from error
    return SourceRow(
        id=row.id,
        facts=facts,
        sha256=row.sha256,
        size=row.size,
        same_as=row.same_as,
        complete=row.sha256 is not None,
        added=row.added,
        actor=row.actor,
        records=contents.records.get(holder, 0),
        first=span[0],
        last=span[1],
        issues=lost[0],
        unreadable_bytes=lost[1],
        encodings=encodings,
        collector=collector,
        forgotten=row.forgotten,
    )
