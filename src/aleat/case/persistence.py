"""What an attacker put in place, and whether the evidence shows it taken away again.

Something counts as the attacker's where an incident's own sighting shows it, or where one of our signals does
that lies close to the incident on the same host and names an account or a file of the incident. It counts as
removed where a later event on that host deletes the same name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from aleat.case.facts import accounts_of, basename, field_keys, persistence_value, text_of
from aleat.case.records import Incident
from aleat.case.signal_rules import signal_names
from aleat.case.tactics import tactics_of, techniques_of
from aleat.hunt.indicator import Sighting
from aleat.times import MINUTE

__all__ = ["Foothold", "find_footholds"]

_NEAR = 30 * MINUTE
_TECHNIQUE_KINDS = {
    "T1505": "web-script",
    "T1543": "service",
    "T1569": "service",
    "T1053": "task",
    "T1547": "run-key",
    "T1546": "wmi",
}
_EVENT_KINDS = {"7045": "service", "4697": "service", "4698": "task", "106": "task", "13": "run-key", "5861": "wmi"}
_SIGNAL_KINDS = {
    "persistence-service": "service",
    "persistence-task": "task",
    "persistence-run-key": "run-key",
    "persistence-wmi": "wmi",
    "persistence-web-script": "web-script",
    "persistence-startup": "startup",
}
_REMOVALS = {
    "service": ("removed-by-command",),
    "task": ("removed-task", "removed-by-command"),
    "run-key": ("removed-run-key",),
    "wmi": ("removed-wmi", "removed-by-command"),
    "web-script": ("removed-file", "removed-by-command"),
    "startup": ("removed-file", "removed-by-command"),
}
_DEMAND = re.compile(r"(?i)demand|disabled|^[34]$")
_SCRIPTS = (".aspx", ".ashx", ".asmx", ".asp", ".jsp", ".jspx", ".php")


class Foothold(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in place on one host: its kind, its name as written, when first seen, when removed (None: never)."""

    incident: str
    host: str
    kind: str
    value: str
    first: int
    shown_by: tuple[Sighting, ...]
    removed: int | None = None
    removed_by: Sighting | None = None


def find_footholds(
    incidents: Sequence[Incident], hits: Sequence[Sighting], signals: Sequence[Sighting]
) -> tuple[Foothold, ...]:
    """Return what each incident put in place, in order of incident and time; one record a host and name."""
    removals = _removals(signals)
    found: list[Foothold] = []
    for incident in incidents:
        shown: dict[tuple[str, str, str], list[Sighting]] = {}
        members = [hits[position] for position in incident.sightings]
        for hit in members:
            _note(shown, hit, _kind_of_hit(hit))
        for signal in _related(incident, members, signals):
            _note(shown, signal, _kind_of_signal(signal))
        for (host, kind, _name), rows in sorted(shown.items()):
            found.append(_foothold(incident.id, host, kind, rows, removals))
    order = {incident.id: incident.number for incident in incidents}
    return tuple(sorted(found, key=lambda one: (order[one.incident], one.first, one.host, one.kind, one.value)))


def _note(shown: dict[tuple[str, str, str], list[Sighting]], sighting: Sighting, kind: str) -> None:
    value = persistence_value(sighting, kind) if kind else ""
    if value and sighting.time is not None:
        shown.setdefault((sighting.host, kind, basename(value)), []).append(sighting)


def _kind_of_hit(hit: Sighting) -> str:
    kinds = [_TECHNIQUE_KINDS.get(technique.partition(".")[0], "") for technique in techniques_of(hit)]
    kind = next((one for one in kinds if one), "")
    if not kind and "persistence" in tactics_of(hit):
        kind = _EVENT_KINDS.get(hit.event_id, "")
        if not kind and persistence_value(hit, "web-script").casefold().endswith(_SCRIPTS):
            kind = "web-script"
    if kind == "service" and _DEMAND.search(text_of(hit, "StartType", "ServiceStartType")):
        return ""  # starts only when something starts it
    if kind == "run-key" and "\\services\\" in persistence_value(hit, kind).casefold():
        return ""  # the service itself is told by its own event
    if kind == "web-script" and not persistence_value(hit, kind).casefold().endswith(_SCRIPTS):
        return ""
    return kind


def _kind_of_signal(signal: Sighting) -> str:
    kind = next((_SIGNAL_KINDS[name] for name in signal_names(signal) if name in _SIGNAL_KINDS), "")
    if kind == "service" and _DEMAND.search(text_of(signal, "StartType", "ServiceStartType")):
        return ""
    return kind


def _related(incident: Incident, members: Sequence[Sighting], signals: Iterable[Sighting]) -> list[Sighting]:
    """Signals of things put in place that lie near the incident on its hosts and name something of it."""
    times: dict[str, list[int]] = {}
    events = {hit.event for hit in members}
    values = {key.value for hit in members for key in field_keys(hit) if key.kind == "artefact"}
    accounts = {account.name.casefold() for account in incident.accounts}
    for hit in members:
        times.setdefault(hit.host, []).append(hit.time or 0)
    found: list[Sighting] = []
    for signal in signals:
        kind = _kind_of_signal(signal)
        if not kind or signal.host not in times or signal.time is None:
            continue
        if signal.event in events:
            found.append(signal)
            continue
        near = times[signal.host]
        position = bisect_left(near, signal.time - _NEAR)
        if position >= len(near) or near[position] > signal.time + _NEAR:
            continue
        acted = {account.name.casefold() for account in accounts_of(signal)}
        if acted & accounts or basename(persistence_value(signal, kind)) in values:
            found.append(signal)
    return found


def _removals(signals: Iterable[Sighting]) -> dict[tuple[str, str], list[Sighting]]:
    found: dict[tuple[str, str], list[Sighting]] = {}
    for signal in signals:
        for name in signal_names(signal):
            if name.startswith("removed-") and signal.time is not None:
                found.setdefault((signal.host, name), []).append(signal)
    return found


def _foothold(
    incident: str, host: str, kind: str, rows: list[Sighting], removals: Mapping[tuple[str, str], list[Sighting]]
) -> Foothold:
    rows = sorted(rows, key=lambda one: (one.time or 0, one.format, one.evidence, one.record))
    first = rows[0].time or 0
    values = [persistence_value(one, kind) for one in rows]
    value = max(values, key=lambda text: (len(text), text))  # the full path says more than the name alone
    gone = [
        removal
        for name in _REMOVALS.get(kind, ())
        for removal in removals.get((host, name), ())
        if (removal.time or 0) > first and _removes(removal, name, kind, value)
    ]
    made_again = max((one.time or 0) for one in rows if one.format == "windows") if _on_windows(rows) else first
    last = max(gone, key=lambda one: (one.time or 0, one.evidence, one.record), default=None)
    if last is not None and (last.time or 0) < made_again:
        last = None
    return Foothold(
        incident=incident,
        host=host,
        kind=kind,
        value=value,
        first=first,
        shown_by=tuple(rows),
        removed=last.time if last is not None else None,
        removed_by=last,
    )


def _on_windows(rows: Iterable[Sighting]) -> bool:
    return any(one.format == "windows" for one in rows)


def _removes(removal: Sighting, name: str, kind: str, value: str) -> bool:
    wanted = basename(value)
    if name == "removed-by-command":
        command = text_of(removal, "CommandLine", "ProcessCommandLine", "Process Command Line").casefold()
        return len(wanted) >= 4 and wanted in command
    if kind == "run-key":
        return value.casefold().startswith(text_of(removal, "TargetObject").casefold() or "\0")
    return basename(persistence_value(removal, "startup" if kind == "web-script" else kind)) == wanted
