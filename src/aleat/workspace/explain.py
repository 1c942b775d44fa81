"""Why a rule did or did not match an event of a workspace."""

from __future__ import annotations

import msgspec

from aleat.evidence.readers.file import FILE_FORMAT
from aleat.hunt import Plan
from aleat.hunt.coverage import CoverageBuilder, LogNotes
from aleat.hunt.explain import Explanation, explain, fields_by_format, find_rule
from aleat.hunt.in_lake import file_content, find_event, lake_notes
from aleat.hunt.rows import RowReader
from aleat.hunt.yara_hunt import FileContent
from aleat.workspace.core import Session
from aleat.workspace.evidence import open_lake
from aleat.workspace.progress import Progress, silent

__all__ = ["ExplainedEvent", "explain_event"]


class ExplainedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and why a rule did or did not match it; `time` in microseconds since 1970."""

    explanation: Explanation
    evidence: str
    record: int
    event: str
    time: int | None
    host: str
    format: str
    channel: str


def explain_event(
    session: Session, plan: Plan, rule: str, event: str, *, progress: Progress = silent
) -> ExplainedEvent:
    """Explain `rule` (an id, STIX id, name or title) over `event` (EVIDENCE:RECORD, or an event digest)."""
    identifier = find_rule(plan, rule)
    lake = open_lake(session)
    batch, row = find_event(lake, event, progress=lambda done, total: progress("events", done, total))
    builder = CoverageBuilder()
    notes: list[LogNotes] = []
    for path, held in lake_notes(lake, session.database):
        builder.add(held, path)
        notes += held
    content: FileContent | None = None
    if batch.format == FILE_FORMAT and any(item.id == identifier for item in plan.yara):
        content = file_content(lake, batch)
    told = explain(
        plan,
        identifier,
        batch,
        row,
        coverage=builder.coverage(plan),
        fields=fields_by_format(notes),
        content=content,
    )
    table = batch.table.slice(row, 1)
    time = table["time"].cast("int64")[0].as_py()
    return ExplainedEvent(
        explanation=told,
        evidence=batch.evidence,
        record=table["record"][0].as_py() + batch.record_base,
        event=RowReader(batch, [row]).event(row),
        time=time,
        host=table["host"][0].as_py() or "",
        format=batch.format,
        channel=batch.channel,
    )
