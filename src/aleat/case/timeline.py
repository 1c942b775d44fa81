"""One timeline of a case: incidents' key events, outages, what administrators did about it, dated claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aleat.case.facts import text_of
from aleat.case.persistence import Foothold
from aleat.case.records import Claim, Incident, Outage, TimelineEntry
from aleat.case.refs import ReferenceMaker
from aleat.case.signal_rules import signal_names
from aleat.case.tactics import is_destructive, tactics_of
from aleat.hunt.indicator import Sighting
from aleat.times import DAY, calendar_time, micros_of

__all__ = ["make_timeline"]

_TOLD_SIGNALS = ("log-cleared", "logging-stopped", "web-log-deleted", "shutdown-planned", "shutdown-unexpected")
_TOLD_FOR_ACCOUNTS = ("password-reset", "password-changed", "account-disabled", "account-deleted", "account-created")
_KINDS = {"password-reset": "account-reset", "password-changed": "account-reset", "shutdown-planned": "shutdown"}
_MOST_SIGNALS = 200


def make_timeline(
    *,
    incidents: Sequence[Incident],
    hits: Sequence[Sighting],
    signals: Sequence[Sighting],
    outages: Iterable[Outage],
    footholds: Iterable[Foothold],
    claims: Iterable[Claim],
    references: ReferenceMaker,
) -> tuple[TimelineEntry, ...]:
    """Return the entries in order of time."""
    entries: list[TimelineEntry] = []
    for incident in incidents:
        entries += _incident(incident, hits, references)
        entries += _signals(incident, signals, references)
    for outage in outages:
        entries += _outage(outage)
    entries += [_removal(foothold, references) for foothold in footholds if foothold.removed is not None]
    entries += [_claim(claim) for claim in claims if claim.date_from is not None]
    unique = {(entry.time, entry.kind, entry.host, entry.title, entry.refs[:1]): entry for entry in entries}
    return tuple(
        sorted(
            unique.values(),
            key=lambda entry: (entry.time, entry.kind, entry.host, entry.title, entry.refs[:1] and str(entry.refs[0])),
        )
    )


def _incident(incident: Incident, hits: Sequence[Sighting], references: ReferenceMaker) -> list[TimelineEntry]:
    entries: list[TimelineEntry] = []
    for number, position in enumerate(incident.key_events):
        hit = hits[position]
        kind = "first-access" if number == 0 else "impact" if is_destructive(hit) else "sighting"
        entries.append(
            TimelineEntry(
                time=calendar_time(hit.time or 0),
                kind=kind,
                host=hit.host,
                level=hit.level,
                title=hit.title,
                parameters={"indicator": hit.indicator, "stage": next(iter(tactics_of(hit)), ""), "source": hit.source},
                refs=(references.of(hit),),
                incident=incident.id,
            )
        )
    entries.append(
        TimelineEntry(
            time=incident.last,
            kind="incident-end",
            level=incident.level,
            parameters={"number": str(incident.number)},
            incident=incident.id,
        )
    )
    return entries


def _signals(incident: Incident, signals: Sequence[Sighting], references: ReferenceMaker) -> list[TimelineEntry]:
    """What was done on the incident's hosts in its last days, and to its accounts until a month after."""
    times: dict[str, int] = {}
    accounts = {account.name.casefold() for account in incident.accounts}
    until = micros_of(incident.last)
    since = max(micros_of(incident.first) - DAY, until - 30 * DAY)
    times = dict.fromkeys(incident.hosts, until + 7 * DAY)
    found: list[TimelineEntry] = []
    for signal in signals:
        if signal.time is None or not since <= signal.time <= until + 30 * DAY:
            continue
        names = signal_names(signal)
        target = text_of(signal, "TargetUserName")
        name = next((one for one in names if one in _TOLD_SIGNALS), "")
        if name and not (signal.host in times and signal.time <= times[signal.host]):
            continue
        if not name and target.casefold() in accounts:
            name = next((one for one in names if one in _TOLD_FOR_ACCOUNTS), "")
        if not name:
            continue
        by = text_of(signal, "param7", "SubjectUserName", "User")
        found.append(
            TimelineEntry(
                time=calendar_time(signal.time),
                kind=_KINDS.get(name, name),
                host=signal.host,
                level=signal.level,
                title=signal.title,
                parameters={key: value for key, value in (("account", target), ("by", by)) if value},
                refs=(references.of(signal),),
                incident=incident.id,
            )
        )
    return found[:_MOST_SIGNALS]


def _outage(outage: Outage) -> list[TimelineEntry]:
    parameters = {"service": outage.service, "cause": outage.cause, "reason": outage.reason}
    begin = TimelineEntry(
        time=outage.last_served,
        kind="outage",
        host=outage.host,
        parameters=parameters,
        refs=tuple(ref for ref in (outage.before, *outage.because) if ref),
        incident=outage.incident,
    )
    if outage.first_served is None:
        return [begin]
    end = TimelineEntry(
        time=outage.first_served,
        kind="outage-end",
        host=outage.host,
        parameters={"service": outage.service},
        refs=(outage.after,) if outage.after else (),
        incident=outage.incident,
    )
    return [begin, end]


def _removal(foothold: Foothold, references: ReferenceMaker) -> TimelineEntry:
    removal = foothold.removed_by
    return TimelineEntry(
        time=calendar_time(foothold.removed or 0),
        kind="persistence-removed",
        host=foothold.host,
        title=removal.title if removal else "",
        parameters={"value": foothold.value, "what": foothold.kind},
        refs=(references.of(removal),) if removal else (),
        incident=foothold.incident,
    )


def _claim(claim: Claim) -> TimelineEntry:
    assert claim.date_from is not None  # noqa: S101  (the caller chose those that have one)
    return TimelineEntry(
        time=claim.date_from,
        kind="claim",
        parameters={
            "claim": claim.id,
            "act": claim.act,
            "speaker": claim.speaker,
            "target": claim.target,
            "quote": claim.quote,
        },
    )
