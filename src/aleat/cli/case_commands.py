"""The commands that show a case: case, impact, attribute, claims, timeline, coverage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import cyclopts

from aleat.cli.options import Language, WorkspaceOption, open_workspace
from aleat.cli.terminal import MAX_LISTED, line, table, wrapped

if TYPE_CHECKING:
    from aleat.case.records import Case
    from aleat.report import Messages
    from aleat.workspace import BuiltCase

__all__ = ["print_alleged", "register"]

_ALL = 100_000


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (case, impact, attribute, claims, timeline, coverage):
        app.command(command)


def case(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Build the case from what was hunted, and print its answer, incidents and what is still open.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    built, say = _build(workspace, language)
    wrapped(built.answer(language).paragraph)
    for incident in built.case.incidents:
        line()
        line(f"{say.say('label', 'incident')} {incident.number}: {_time(incident.first)} – {_time(incident.last)}")
        line(f"  {say.say('label', 'hosts')}: {', '.join(incident.hosts)}")
        if incident.effects:
            effects = ", ".join(say.say("effect", effect) for effect in incident.effects)
            line(f"  {say.say('label', 'effects')}: {effects}")
        if incident.techniques:
            line(f"  {say.say('label', 'techniques')}: {', '.join(incident.techniques)}")
        _print_responses(built.case, incident.id, say)
    print_alleged(built.case, say)
    if built.case.open_items:
        line()
        line(f"{say.say('section', 'open')}:")
        table((say.say("open", item.kind), item.host, item.value, _time(item.since)) for item in built.case.open_items)
    if built.case.next_steps:
        line()
        line(f"{say.say('section', 'next')}:")
        for number, step in enumerate(built.case.next_steps[:20], 1):
            line(f"  {number}. {say.say('next', step.kind, **step.parameters)}")
    return 0


def _print_responses(case: Case, incident: str, say: Messages) -> None:
    """Print what can be done against an incident: the first ten, each with its giver and reasons."""
    from aleat.report import FIRST_RESPONSES, giver_text, reasons_text  # noqa: PLC0415

    fitting = [response for response in case.responses if response.incident == incident]
    if not fitting:
        return
    line(f"  {say.say('label', 'responses')}:")
    for number, response in enumerate(fitting[:FIRST_RESPONSES], 1):
        kind = say.say("response", response.kind)
        name = " ".join(filter(None, (response.catalogue_id, response.name)))
        wrapped(f"{number}. {kind}: {name}, {giver_text(response, say)}", indent="    ")
        wrapped(reasons_text(response, say), indent="       ")
    if len(fitting) > FIRST_RESPONSES:
        line(f"    {say.say('label', 'responses_more', n=len(fitting) - FIRST_RESPONSES)}")


def print_alleged(case: Case, say: Messages) -> None:
    """Print what is only alleged: incidents, contradictions, open offers, and what to collect to test each claim."""
    quotes = {claim.id: f"{claim.speaker}: {' '.join(claim.quote.split())}" for claim in case.claims}
    if case.alleged and not case.incidents:
        line()
        line(f"{say.say('section', 'alleged')}:")
        for number, incident in enumerate(case.alleged, 1):
            date = incident.date_text or say.say("label", "local_unresolved")
            line(f"  {number}. {' '.join(incident.what.split())} ({incident.victim or '?'}; {date})")
    if case.contradictions:
        line()
        line(f"{say.say('section', 'contradictions')}:")
        for pair in case.contradictions:
            for claim in (pair.first, pair.second):
                wrapped(quotes.get(claim, claim), indent="    ")
            line()
    if case.open_offers:
        line()
        line(f"{say.say('section', 'offers')}:")
        for claim in case.open_offers:
            wrapped(quotes.get(claim, claim), indent="    ")
    if case.collect and not case.incidents:
        line()
        line(f"{say.say('section', 'collect')}:")
        for item in case.collect[:MAX_LISTED]:
            wrapped(f"{say.say('question', item.question)} {quotes.get(item.claim, '')}", indent="  ")
            where = ", ".join(item.hosts) or "—"
            wrapped(f"{say.say('label', 'logs')}: {'; '.join(item.logs)}", indent="      ")
            wrapped(f"{say.say('label', 'hosts')}: {where}; {item.dates}", indent="      ")


def impact(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Print which services went down, from when to when, and why.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    built, say = _build(workspace, language)
    rows = [
        (
            outage.service,
            _time(outage.last_served, seconds=True),
            _time(outage.first_served, seconds=True),
            say.say("cause", outage.cause),
        )
        for outage in built.case.outages
    ]
    headings = [say.say("label", name) for name in ("service", "last_served", "first_served", "cause")]
    table(rows, headings, limit=_ALL)
    if not rows:
        line(say.say("label", "none"))
    return 0


def attribute(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Print who did it: hypotheses with their weights, and the item that matters most.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    built, say = _build(workspace, language)
    for assessment in built.attribution:
        line(f"{say.say('kind', assessment.kind)}:")
        if assessment.verdict != "assessed":
            line(f"  {say.say('verdict', assessment.verdict_reason)}")
        table(
            (
                f"  {hypothesis.name}",
                f"{100 * hypothesis.posterior:.1f} %",
                say.say("icd203", hypothesis.words),
                f"{hypothesis.bits:+.1f} bits",
            )
            for hypothesis in assessment.hypotheses
        )
        for hypothesis in assessment.hypotheses[:1]:
            if hypothesis.sponsor_suspected:
                sources = ", ".join(hypothesis.sponsor_sources)
                name = hypothesis.sponsor or hypothesis.name
                wrapped(say.say("answer", "sponsor_suspected", name=name, sources=sources), indent="  ")
        names = {hypothesis.id: hypothesis.name for hypothesis in assessment.hypotheses}
        items = {item.id: item for item in assessment.items}
        for change in assessment.sensitivity[:5]:
            item = items[change.item]
            line(
                f"  {say.say('label', 'without')} ({item.kind} {item.value}): "
                f"{names.get(change.leader, change.leader)} {100 * change.posterior:.1f} %"
            )
    return 0


def claims(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Print who says what in public, with each quote's place.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    built, say = _build(workspace, language)
    for claim in built.case.claims:
        line(f"{claim.speaker} {say.say('act', claim.act)} {claim.target}".rstrip())
        wrapped(f"“{' '.join(claim.quote.split())}”", indent="    ")
        line(f"    {claim.document}, {say.say('label', 'offset')} {claim.byte_offset}")
    if not built.case.claims:
        line(say.say("label", "none"))
    return 0


def timeline(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Print the case's one timeline.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    from aleat.report import entry_text  # noqa: PLC0415

    built, say = _build(workspace, language)
    table(
        (
            (_time(entry.time, seconds=True), entry.level, entry.host, entry_text(entry, say))
            for entry in built.case.timeline
        ),
        limit=_ALL,
    )
    return 0


def coverage(*, language: Language = "en", workspace: WorkspaceOption = None) -> int:
    """Print what was looked at: hosts, logs, times; and what the logs show of being cleared, cut or stopped.

    Args:
        language: en or sq.
        workspace: The workspace's folder.
    """
    from aleat.report import log_text  # noqa: PLC0415

    built, say = _build(workspace, language)
    findings = built.case.log_findings
    if findings:
        line(f"{say.say('section', 'logs')}:")
        for finding in findings[:MAX_LISTED]:
            log = f"{finding.host} {finding.channel}".strip()
            wrapped(f"{_time(finding.first)} – {_time(finding.last)}  {log}: {log_text(finding, say)}", indent="  ")
        if len(findings) > MAX_LISTED:
            line(f"  … +{len(findings) - MAX_LISTED}")
        line()
    names = ("host", "channel", "first", "last", "events", "active_hours", "silence")
    rows = (
        (
            row.host,
            f"{row.format} {row.channel}".strip(),
            _time(row.first),
            _time(row.last),
            row.events,
            "—" if row.active_hours is None else row.active_hours,
            f"{_time(row.silence[0])} – {_time(row.silence[1])}" if row.silence else "—",
        )
        for row in built.case.coverage
    )
    table(rows, [say.say("label", name) for name in names], limit=_ALL)
    return 0


def _build(workspace: WorkspaceOption, language: str) -> tuple[BuiltCase, Messages]:
    from aleat.report import load_messages  # noqa: PLC0415

    with open_workspace(workspace) as ws:
        return ws.build_case(), load_messages(language)


def _time(time: datetime | None, *, seconds: bool = False) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ" if seconds else "%Y-%m-%d %H:%MZ") if time else "—"
