"""What to do next, from what is open: at most a screenful, the most pressing first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aleat.case.facts import Key, field_keys, matched_keys
from aleat.case.records import CollectItem, Incident, NextStep, OpenItem, Outage
from aleat.hunt.indicator import Sighting
from aleat.stix.times import format_timestamp

__all__ = ["find_next_steps"]

_MOST = 20
_MOST_VALUES = 12
_PRIORITIES = (
    # what is open → what to do, and how pressing it is
    ("web-shell-not-deleted", "delete-web-shell", 2),
    ("persistence-not-removed", "remove-persistence", 2),
    ("account-not-reset", "reset-accounts", 2),
    ("account-created-not-removed", "remove-account", 2),
    ("outage-not-ended", "restore-service", 3),
    ("host-without-evidence", "collect-evidence", 5),
    ("host-logs-end", "collect-evidence", 5),
    ("log-gap", "collect-evidence", 6),
)


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
            steps.append(_step("isolate-hosts", 1, incident.hosts, incident=str(incident.number)))
        steps += _per_incident(incident, hits)
    steps += _from_items(items, incidents)
    unexplained = [outage.service for outage in outages if outage.cause == "undetermined"]
    if unexplained:
        steps.append(_step("collect-evidence", 5, sorted(set(unexplained)), what="outage"))
    if incidents:
        steps.append(_step("preserve-logs", 4, sorted({host for incident in incidents for host in incident.hosts})))
    for item in collect:
        parameters = {"claim": item.claim, "logs": ", ".join(item.logs), "dates": item.dates, "what": "claim"}
        steps.append(NextStep(kind="collect-evidence", priority=7, parameters=parameters))
    if not incidents and not steps:
        steps.append(NextStep(kind="hunt-again", priority=8))
    steps.sort(key=lambda step: (step.priority, step.kind, sorted(step.parameters.items())))
    return tuple(steps[:_MOST])


def _step(kind: str, priority: int, values: Iterable[str], **parameters: str) -> NextStep:
    listed = list(dict.fromkeys(values))
    shown = ", ".join(listed[:_MOST_VALUES])
    return NextStep(kind=kind, priority=priority, parameters={"values": shown, "count": str(len(listed)), **parameters})


def _per_incident(incident: Incident, hits: Sequence[Sighting]) -> list[NextStep]:
    number = str(incident.number)
    found: list[NextStep] = []
    destroyed = sorted(
        {
            hits[p].host
            for p in incident.sightings
            if {"attack.t1486", "attack.t1485"} & {t.lower() for t in hits[p].tags}
            or any(tag.lower().startswith("attack.t1561") for tag in hits[p].tags)
        }
    )
    if destroyed:
        found.append(_step("rebuild-hosts", 3, destroyed, incident=number))
    addresses = _infrastructure(incident, hits)
    if addresses:
        found.append(_step("block-infrastructure", 3, addresses, incident=number))
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
    groups: dict[tuple[str, str, str, str], list[OpenItem]] = {}
    for item in items:
        for kind, step, _priority in _PRIORITIES:
            if item.kind == kind:
                host = "" if step in {"reset-accounts", "collect-evidence", "restore-service"} else item.host
                groups.setdefault((kind, step, host, number.get(item.incident or "", "")), []).append(item)
    priorities = {kind: priority for kind, _step_kind, priority in _PRIORITIES}
    found: list[NextStep] = []
    for (kind, step, host, incident), group in groups.items():
        since = format_timestamp(min(item.since for item in group))
        extra = {"host": host, "incident": incident, "what": kind if step == "collect-evidence" else ""}
        parameters = {key: value for key, value in extra.items() if value}
        found.append(_step(step, priorities[kind], [item.value for item in group], since=since, **parameters))
    return found
