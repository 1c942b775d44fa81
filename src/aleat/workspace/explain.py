"""Why a rule did or did not match an event of a workspace."""

from __future__ import annotations

import msgspec

from aleat.errors import RuleError
from aleat.evidence.batch import EventBatch
from aleat.evidence.readers.file import FILE_FORMAT
from aleat.hunt import Plan
from aleat.hunt.coverage import CoverageBuilder, LogNotes
from aleat.hunt.explain import Explanation, explain, explain_alert, fields_by_format, find_rule
from aleat.hunt.in_lake import file_content, find_event, lake_notes
from aleat.hunt.rows import RowReader
from aleat.hunt.yara_hunt import FileContent
from aleat.workspace.core import Session
from aleat.workspace.dismissals import raised_rule
from aleat.workspace.evidence import open_lake
from aleat.workspace.progress import Progress, silent

__all__ = ["ExplainedEvent", "explain_event"]


def _identifier(plan: Plan, rule: str) -> tuple[str, RuleError | None]:
    """Return a rule's id, or why there is none: another tool's rules show only in its alerts."""
    try:
        return find_rule(plan, rule), None
    except RuleError as error:
        return "", error


def _explain_raised(session: Session, plan: Plan, name: str, batch: EventBatch, row: int) -> Explanation | None:
    told = explain_alert(plan, name, batch, row)
    if told is None and (raised := raised_rule(session, name)) is not None:
        told = Explanation(raised[0], raised[0], raised[1], "alert", False, reach="could-match")
    return told


def _explain_rule(session: Session, plan: Plan, identifier: str, batch: EventBatch, row: int) -> Explanation:
    lake = open_lake(session)
    builder = CoverageBuilder()
    notes: list[LogNotes] = []
    for path, held in lake_notes(lake, session.database):
        builder.add(held, path)
        notes += held
    content: FileContent | None = None
    if batch.format == FILE_FORMAT and any(item.id == identifier for item in plan.yara):
        content = file_content(lake, batch)
    return explain(
        plan,
        identifier,
        batch,
        row,
        coverage=builder.coverage(plan),
        fields=fields_by_format(notes),
        content=content,
    )


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
    identifier, unknown = _identifier(plan, rule)
    lake = open_lake(session)
    batch, row = find_event(lake, event, progress=lambda done, total: progress("events", done, total))
    if unknown is not None:
        told = _explain_raised(session, plan, rule, batch, row)
        if told is None:
            raise unknown
    else:
        told = _explain_rule(session, plan, identifier, batch, row)
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
