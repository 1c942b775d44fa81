"""What to do next, from what is open: at most a screenful, the most pressing first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aleat.case.facts import Key, field_keys, matched_keys
from aleat.case.records import CollectItem, Incident, NextStep, OpenItem, Outage
from aleat.case.tactics import is_impact
from aleat.hunt.indicator import Sighting
from aleat.stix.times import format_timestamp

__all__ = ["find_next_steps"]

_MOST = 20
_MOST_VALUES = 12
_STEPS = {
    # what is open → (what to do, how pressing it is)
    "web-shell-not-removed": ("remove-web-shell", 2),
    "persistence-not-removed": ("remove-persistence", 2),
    "account-not-reset": ("reset-account", 2),
    "account-created-not-removed": ("remove-account", 2),
    "service-still-down": ("restore-service", 3),
    "host-without-evidence": ("collect-logs", 5),
    "log-ends": ("collect-logs", 5),
    "log-gap": ("close-coverage-gap", 6),
}
_ANY_HOST = frozenset({"reset-account", "restore-service"})


def find_next_steps(
    incidents: Sequence[Incident],
    hits: Sequence[Sighting],
    items: Iterable[OpenItem],
    outages: Iterable[Outage],
    collect: Iterable[CollectItem] = (),
) -> tuple[NextStep, ...]:
    """Return steps in order of priority (1 is first); open items of a kind on one host are one step."""
    steps: list[NextStep] = []
    for incident in incidents:
        if incident.still_active:
            steps.append(_step("isolate-host", 1, host=incident.hosts, incident=str(incident.number)))
        steps += _per_incident(incident, hits)
    steps += _from_items(items, incidents)
    for outage in outages:
        if outage.cause == "undetermined":
            dates = f"{format_timestamp(outage.last_served)[:10]}"
            host = (outage.host or outage.service,)
            steps.append(
                _step("collect-logs", 5, host=host, logs="System, Application", dates=dates, what=outage.service)
            )
    if incidents:
        hosts = sorted({host for incident in incidents for host in incident.hosts})
        steps.append(_step("preserve-logs", 4, host=hosts))
    tested = {item.claim for item in collect}
    if tested:
        steps.append(NextStep(kind="collect-for-claims", priority=7, parameters={"count": str(len(tested))}))
    if not incidents and not steps:
        steps.append(NextStep(kind="hunt-again", priority=8))
    steps.sort(key=lambda step: (step.priority, step.kind, sorted(step.parameters.items())))
    return tuple(steps[:_MOST])


def _step(
    kind: str, priority: int, *, host: Iterable[str] = (), value: Iterable[str] = (), **parameters: str
) -> NextStep:
    """Make a step; what there is several of is joined by commas, and counted."""
    shown = dict(parameters)
    for name, values in (("host", list(dict.fromkeys(host))), ("value", list(dict.fromkeys(value)))):
        if values:
            shown[name] = ", ".join(values[:_MOST_VALUES])
            shown["count"] = str(len(values))
    return NextStep(kind=kind, priority=priority, parameters={key: text for key, text in shown.items() if text})


def _per_incident(incident: Incident, hits: Sequence[Sighting]) -> list[NextStep]:
    number = str(incident.number)
    found: list[NextStep] = []
    destroyed = {hits[position].host for position in incident.sightings if is_impact(hits[position])}
    if destroyed:
        found.append(_step("image-host", 3, host=sorted(destroyed), incident=number))
    addresses = _infrastructure(incident, hits)
    if addresses:
        found.append(_step("block-indicator", 3, value=addresses, incident=number))
    return found


def _infrastructure(incident: Incident, hits: Sequence[Sighting]) -> list[str]:
    """Addresses and names on the internet that the incident's indicators asked for, else that several events show."""
    asked: dict[str, None] = {}
    counts: dict[Key, int] = {}
    for position in incident.sightings:
        for key in matched_keys(hits[position]):
            if key.kind == "infrastructure":
                asked.setdefault(key.value)
        for key in field_keys(hits[position]):
            if key.kind == "infrastructure":
                counts[key] = counts.get(key, 0) + 1
    return sorted(asked) or sorted(key.value for key, count in counts.items() if count >= 2)


def _from_items(items: Iterable[OpenItem], incidents: Sequence[Incident]) -> list[NextStep]:
    number = {incident.id: str(incident.number) for incident in incidents}
    groups: dict[tuple[str, str, str], list[OpenItem]] = {}
    for item in items:
        step = _STEPS[item.kind][0]
        host = "" if step in _ANY_HOST else item.host
        groups.setdefault((item.kind, host, number.get(item.incident or "", "")), []).append(item)
    found: list[NextStep] = []
    for (kind, host, incident), group in groups.items():
        step, priority = _STEPS[kind]
        since = format_timestamp(min(item.since for item in group))
        extra = {"since": since, "incident": incident, "what": kind}
        if step == "close-coverage-gap":
            extra |= {"log": "web", "dates": since[:10]}
        if step == "collect-logs":
            extra |= {"logs": "Windows", "dates": since[:10]}
        found.append(_step(step, priority, host=(host,) if host else (), value=[item.value for item in group], **extra))
    return found
