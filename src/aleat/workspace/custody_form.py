"""The custody form of a workspace: its sources as the lake and the ledger know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aleat import __version__
from aleat.report.custody import CustodyForm, CustodyHash, CustodyIssue, CustodySource, SignedHead
from aleat.store.countersignatures import read_received
from aleat.store.lake import Lake, SourceRow
from aleat.store.lake_said import read_said
from aleat.trust.agreements import fingerprint
from aleat.trust.chain import Entry
from aleat.workspace.core import Session
from aleat.workspace.evidence import open_lake

__all__ = ["make_custody_form"]


def make_custody_form(session: Session, rows: Sequence[SourceRow] | None = None) -> CustodyForm:
    """Return the form over `rows` (default: every source, the forgotten ones at the end)."""
    lake = open_lake(session)
    chosen = lake.sources(forgotten=True) if rows is None else rows
    paths = {row.id: row.facts.path for row in lake.sources()}
    with session.read() as connection:
        gone = read_said(connection).forgotten
        pages = tuple(read_received(connection))
    told = [_source(lake, row, paths, gone) for row in chosen]
    return CustodyForm(
        workspace=session.config.id,
        organisation=session.config.organisation,
        version=__version__,
        made=session.now(),
        zone=session.config.zone,
        key=session.config.signing_key,
        fingerprint=fingerprint(session.card()),
        lake=lake.identity(),
        heads=session.heads(),
        countersigned=tuple(
            SignedHead(organisation=one.organisation, key=one.key, time=one.time, heads=page.statement.heads)
            for page in pages
            for one in page.countersignatures
        ),
        sources=tuple(one for one in told if not one.forgotten),
        forgotten=tuple(one for one in told if one.forgotten),
    )


def _source(lake: Lake, row: SourceRow, paths: Mapping[int, str], gone: Mapping[int, Entry]) -> CustodySource:
    facts = row.facts
    entry = gone.get(row.id) if row.forgotten else None
    return CustodySource(
        number=row.id,
        path=facts.path,
        sha256=row.sha256 or "",
        size=row.size,
        container_sha256=facts.container_sha256,
        members=facts.members,
        collector=tuple(CustodyHash(**one.canonical(), agrees=one.agrees) for one in row.collector),
        copied=facts.copied,
        file=facts.file,
        state=_state(lake, row),
        same_as=paths.get(row.same_as, "") if row.same_as is not None else "",
        given_by=facts.given_by,
        origin=dict(facts.origin),
        note=facts.note,
        acquired=facts.acquired,
        added=row.added,
        added_by=row.actor,
        reader=facts.reader,
        reader_version=facts.reader_version,
        options={name: str(value) for name, value in facts.options.items() if value and name != "name"},
        records=row.records,
        first=row.first,
        last=row.last,
        encodings=dict(row.encodings),
        issues=tuple(
            CustodyIssue(
                code=issue.code,
                offset=issue.place.offset,
                length=issue.length,
                records=issue.records,
                reason=issue.reason,
            )
            for issue in lake.source_issues(row)
        ),
        forgotten=row.forgotten or "",
        forgotten_by=entry.actor if entry else "",
        forgotten_reason=str(entry.data["reason"]) if entry else "",
    )


def _state(lake: Lake, row: SourceRow) -> str:
    """Say how a source is kept, and whether its file is there; `verify` is what reads it again."""
    if row.forgotten:
        return "forgotten"
    if not row.facts.copied and "://" in row.facts.file:
        return "elsewhere"
    there = lake.file_of(row.facts).is_file()
    if row.facts.copied:
        return "copy" if there else "lost"
    return "reference" if there else "away"
