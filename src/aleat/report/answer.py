"""The one-paragraph answer, and the few things that come first.

Sentences are chosen here by code and parameters; the words are in `aleat.report.messages`. The command line
prints the same answer that the report shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from aleat.attribution import SOMEBODY_ELSE
from aleat.attribution.records import Assessment, EvidenceItem
from aleat.case.records import CampaignLink, Case, Outage, TimelineEntry
from aleat.hunt.alerts import is_alert, tool_of
from aleat.hunt.indicator import Sighting, level_rank
from aleat.report.messages import Messages
from aleat.report.records import ReportInput
from aleat.text import clip, visible

__all__ = ["FIRST_THINGS", "Answer", "first_things", "hypothesis_name", "link_name", "make_answer"]

FIRST_THINGS = 20
"""At most this many things stand on the first screen."""

_OUTAGES_NAMED = 4
_TITLES_NAMED = 3
_TITLES_LONG = 160  # characters
_EVEN = 0.5
_FOOTHOLDS = {
    "account-created-not-removed",
    "account-not-reset",
    "persistence-not-removed",
    "web-shell-not-removed",
}
"""Open items by which somebody could still be in."""


class Answer(msgspec.Struct, frozen=True):
    """The answer's sentences, in order; `hit` is None where no evidence was looked at."""

    hit: bool | None
    sentences: tuple[str, ...]

    @property
    def paragraph(self) -> str:
        """All sentences in one paragraph."""
        return " ".join(self.sentences)


def make_answer(report: ReportInput, messages: Messages) -> Answer:
    """Return what the case answers: hit or not, what went down, one campaign or not, who, still in or not."""
    case = report.case
    hit: bool | None = bool(case.incidents or _undated(case))
    if not case.incidents and not report.events:
        hit = None
    sentences = [
        *_hit(report, messages),
        *(_outages(case, messages) if report.events else ()),
        *(_campaign(case, messages) if len(case.incidents) > 1 else ()),
        *(_who(_main_subject(report), messages) if case.incidents else ()),
        *(_still_in(case, messages) if case.incidents else ()),
    ]
    return Answer(hit, tuple(sentences))


def moment(time: datetime | None) -> str:
    """Return a time for a sentence, to the minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC") if time else "?"


def _hit(report: ReportInput, messages: Messages) -> Iterator[str]:
    case = report.case
    if case.incidents:
        hosts = {host for incident in case.incidents for host in incident.hosts}
        first = min(incident.first for incident in case.incidents)
        last = max(incident.last for incident in case.incidents)
        seen = {row.host for row in case.coverage if row.host} | hosts
        yield messages.say(
            "answer",
            "hit",
            hosts=len(hosts),
            seen_hosts=len(seen),
            first=moment(first),
            last=moment(last),
            incidents=messages.count("incidents", len(case.incidents)),
        )
        yield from _first_access(case, messages)
        effects = list(dict.fromkeys(effect for incident in case.incidents for effect in incident.effects))
        if effects:
            yield messages.say("answer", "effects", effects=", ".join(messages.say("effect", e) for e in effects))
    elif not report.events and not case.claims:
        yield messages.say("answer", "nothing_given")
    elif not report.events:
        yield messages.say(
            "answer",
            "alleged_only",
            alleged=messages.count("alleged", len(case.alleged)),
            claims=len(case.claims),
        )
    elif not report.rules.loaded:
        yield messages.say("answer", "nothing_hunted", events=report.events)
    elif not _undated(case):
        rows = [row for row in case.coverage if row.first and row.last]
        yield messages.say(
            "answer",
            "not_hit",
            indicators=report.rules.evaluated,
            events=report.events,
            hosts=len({row.host for row in case.coverage}),
            first=moment(min((row.first for row in rows if row.first), default=None)),
            last=moment(max((row.last for row in rows if row.last), default=None)),
        )
    yield from _alerts(case, messages)
    if undated := _undated(case):
        titles = list(dict.fromkeys(visible(sighting.title) for sighting in undated))
        yield messages.say(
            "answer",
            "undated",
            files=messages.count("files", len({sighting.evidence for sighting in undated})),
            titles=clip(", ".join(titles[:_TITLES_NAMED]), _TITLES_LONG),
        )


def _alerts(case: Case, messages: Messages) -> Iterator[str]:
    """Say what other tools raised, and how much of it weighed enough to be part of an incident."""
    raised = [sighting for sighting in case.sightings if is_alert(sighting)]
    if not raised:
        return
    inside = {case.sightings[position].indicator for incident in case.incidents for position in incident.sightings}
    rules = {sighting.indicator for sighting in raised}
    tools = sorted({visible(tool_of(sighting)) for sighting in raised}, key=str.casefold)
    yield messages.say(
        "answer",
        "alerts",
        alerts=len(raised),
        rules=len(rules),
        tools=clip(", ".join(tools), _TITLES_LONG),
        told=len(rules & inside),
    )


def _undated(case: Case) -> list[Sighting]:
    """Return the sightings that weigh something and have no time: those in files, which no incident can hold."""
    least = level_rank("medium")
    return [item for item in case.sightings if item.time is None and level_rank(item.level) >= least]


def _first_access(case: Case, messages: Messages) -> Iterator[str]:
    events = [case.sightings[position] for incident in case.incidents for position in incident.sightings]
    dated = sorted((s for s in events if s.time is not None), key=lambda s: (s.time or 0, s.title))
    if not dated:
        return
    days: dict[int, int] = {}
    for sighting in dated:
        day = (sighting.time or 0) // 86_400_000_000
        days[day] = days.get(day, 0) + 1
    loudest = max(days, key=lambda day: (days[day], -day))
    first = dated[0]
    yield messages.say(
        "answer",
        "hit_first_access",
        host=visible(first.host),
        title=visible(first.title),
        days=loudest - (first.time or 0) // 86_400_000_000,
    )


def _outages(case: Case, messages: Messages) -> Iterator[str]:
    web = any(row.format in ("iis", "access") for row in case.coverage)
    if not case.outages:
        yield messages.say("answer", "outages_none" if web else "outages_unknown")
        return
    severe = sorted(case.outages, key=lambda o: (-_length(o).total_seconds(), o.service, o.last_served))
    named = sorted(severe[:_OUTAGES_NAMED], key=lambda o: (o.last_served, o.service))
    parts = [_outage(outage, messages) for outage in named]
    if len(severe) > len(named):
        parts.append(messages.say("answer", "outage_more", count=len(severe) - len(named)))
    yield messages.say("answer", "outages", count=len(case.outages), list="; ".join(parts))


def _length(outage: Outage) -> timedelta:
    return (outage.first_served - outage.last_served) if outage.first_served else timedelta.max


def _outage(outage: Outage, messages: Messages) -> str:
    return messages.say(
        "answer",
        "outage",
        service=visible(outage.service),
        cause=messages.say("cause", outage.cause),
        to=moment(outage.first_served) if outage.first_served else messages.say("answer", "still_down"),
        **{"from": moment(outage.last_served)},
    )


def _campaign(case: Case, messages: Messages) -> Iterator[str]:
    if not case.campaigns:
        yield messages.say("answer", "campaign_none")
    for campaign in case.campaigns:
        best = max(campaign.links, key=lambda link: link.weight, default=None)
        yield messages.say(
            "answer",
            "campaign_one",
            links=len(campaign.links),
            weight=round(campaign.weight),
            threshold=round(campaign.threshold),
            best=clip(visible(link_name(best, case)), 80) if best else "",
        )


def link_name(link: CampaignLink, case: Case) -> str:
    """Return what a campaign's link is called: an indicator by its title, all else by its value."""
    titles = (sighting.title for sighting in case.sightings if link.value in (sighting.indicator, sighting.ref))
    return next(titles, link.value) if link.kind == "indicator" else link.value


def hypothesis_name(name: str, messages: Messages) -> str:
    """Return what a hypothesis is called: "somebody else" has words of its own."""
    return messages.say("words", name) if name == SOMEBODY_ELSE else name


def _main_subject(report: ReportInput) -> tuple[Assessment, ...]:
    """Return the assessments of the weightiest campaign, or of the incident with most sightings where there is none."""
    case = report.case
    if case.campaigns:
        subject = max(case.campaigns, key=lambda campaign: campaign.weight).id
    else:
        subject = max(case.incidents, key=lambda incident: len(incident.sightings)).id
    return tuple(assessment for assessment in report.assessments if assessment.subject == subject)


def _who(assessments: tuple[Assessment, ...], messages: Messages) -> Iterator[str]:
    for assessment in assessments:
        if assessment.verdict != "assessed" or not assessment.hypotheses:
            if assessment.kind == "sponsor" or len(assessments) == 1:
                yield messages.say("answer", "not_enough", reason=messages.say("verdict", assessment.verdict_reason))
            continue
        best = assessment.hypotheses[0]
        yield messages.say(
            "answer",
            assessment.kind,
            name=visible(hypothesis_name(best.name, messages)),
            words=messages.say("icd203", best.words),
            percent=round(100 * best.posterior),
            confidence=messages.say("confidence", assessment.confidence),
        )
        if assessment.kind == "sponsor" and best.sponsor_suspected:
            sources = visible(clip(", ".join(best.sponsor_sources), 200))
            yield messages.say("answer", "sponsor_suspected", name=visible(best.name), sources=sources)
        if assessment.kind == "sponsor" and best.sponsor_others:
            yield messages.say("answer", "sponsor_others", others=visible(clip(", ".join(best.sponsor_others), 200)))
        yield from _pivot(assessment, messages)


def _pivot(assessment: Assessment, messages: Messages) -> Iterator[str]:
    items: dict[str, EvidenceItem] = {item.id: item for item in assessment.items}
    names = {one.id: hypothesis_name(one.name, messages) for one in assessment.hypotheses}
    giver = next((change for change in assessment.without_giver if change.changes_answer), None)
    if giver is not None:
        if giver.posterior < _EVEN:
            yield messages.say("answer", "pivot_giver_none", giver=visible(giver.item))
        else:
            leader = visible(names.get(giver.leader, giver.leader))
            percent = round(100 * giver.posterior)
            yield messages.say("answer", "pivot_giver", giver=visible(giver.item), leader=leader, percent=percent)
        return
    if not assessment.sensitivity:
        return
    pivot = next((s for s in assessment.sensitivity if s.changes_answer), assessment.sensitivity[0])
    item = items.get(pivot.item)
    yield messages.say(
        "answer",
        "pivot_changes" if pivot.changes_answer else "pivot_stands",
        item=clip(visible(f"{item.kind} {item.value}" if item else pivot.item), 80),
        leader=visible(names.get(pivot.leader, pivot.leader)),
        percent=round(100 * pivot.posterior),
    )


def _still_in(case: Case, messages: Messages) -> Iterator[str]:
    active = [incident.still_active for incident in case.incidents]
    footholds = [item for item in case.open_items if item.kind in _FOOTHOLDS]
    if footholds:
        code = "still_in_active" if True in active else "still_in"
        yield messages.say("answer", code, items=messages.count("items", len(footholds)))
    elif all(state is False for state in active):
        yield messages.say("answer", "out")
    else:
        yield messages.say("answer", "still_unknown")


def first_things(case: Case, limit: int = FIRST_THINGS) -> tuple[TimelineEntry, ...]:
    """Return the at most `limit` dated things that tell the case, in order of time.

    Outages come first, then what starts and ends incidents, then key events by level; what is left out is one
    step away in the timeline.
    """
    weights = {"outage": 0, "first-access": 0, "impact": 1, "incident-start": 1, "sighting": 2, "claim": 3}
    levels = {"critical": 0, "high": 1, "medium": 2, "low": 3, "informational": 4}
    ranked = sorted(
        case.timeline,
        key=lambda e: (weights.get(e.kind, 4), levels.get(e.level, 2), e.time, e.kind, e.host, e.title),
    )
    once: dict[tuple[str, str, str, str | None], TimelineEntry] = {}
    for entry in ranked:
        once.setdefault((entry.kind, entry.title, entry.parameters.get("service", ""), entry.incident), entry)
    return tuple(sorted(islice(once.values(), limit), key=lambda e: (e.time, e.kind, e.host, e.title)))
