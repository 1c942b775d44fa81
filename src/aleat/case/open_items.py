"""What the evidence never shows finished: footholds, accounts, outages, hosts and times that nobody looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aleat.case.facts import accounts_of, text_of
from aleat.case.hosts import HostNames, is_address
from aleat.case.impact import LogGap
from aleat.case.persistence import Foothold
from aleat.case.records import CoverageRow, Incident, OpenItem, Outage
from aleat.case.refs import ReferenceMaker
from aleat.case.signal_rules import signal_names
from aleat.hunt.indicator import Sighting
from aleat.times import DAY, calendar_time, micros_of

__all__ = ["find_open_items", "is_still_active"]

_RESETS = frozenset({"password-reset", "password-changed", "account-disabled", "account-deleted"})
_ENDS = frozenset({"account-disabled", "account-deleted"})
_HOST_FIELDS = ("WorkstationName", "Workstation", "TargetServerName", "SourceHostname", "ClientName")
_SILENT_DAYS = 2


def find_open_items(
    *,
    incidents: Sequence[Incident],
    hits: Sequence[Sighting],
    signals: Sequence[Sighting],
    footholds: Sequence[Foothold],
    outages: Sequence[Outage],
    gaps: Sequence[LogGap],
    coverage: Sequence[CoverageRow],
    service_hosts: dict[str, tuple[str, ...]],
    names: HostNames,
    references: ReferenceMaker,
) -> tuple[OpenItem, ...]:
    """Return everything open, incidents first, in order of time."""
    found = [_foothold_item(foothold, references) for foothold in footholds if foothold.removed is None]
    for incident in incidents:
        found += _accounts(incident, hits, signals, references)
        found += _silent_hosts(incident, coverage, names)
        found += _unseen_hosts(incident, hits, names, references)
    for outage in outages:
        if outage.first_served is None:
            found.append(
                OpenItem(
                    kind="service-still-down",
                    host=outage.host,
                    value=outage.service,
                    since=outage.last_served,
                    refs=(outage.before,) if outage.before else (),
                    incident=outage.incident,
                )
            )
    for gap in gaps:
        host = next(iter(service_hosts.get(gap.service, ())), "")
        found.append(
            OpenItem(
                kind="log-gap", host=host, value=gap.service, since=calendar_time(gap.start), refs=(), incident=None
            )
        )
    number = {incident.id: incident.number for incident in incidents}
    return tuple(
        sorted(found, key=lambda item: (number.get(item.incident or "", 1 << 30), item.since, item.kind, item.value))
    )


def _foothold_item(foothold: Foothold, references: ReferenceMaker) -> OpenItem:
    return OpenItem(
        kind="web-shell-not-removed" if foothold.kind == "web-script" else "persistence-not-removed",
        host=foothold.host,
        value=foothold.value,
        since=calendar_time(foothold.first),
        refs=references.all_of(foothold.shown_by, 3),
        incident=foothold.incident,
    )


def _accounts(
    incident: Incident, hits: Sequence[Sighting], signals: Sequence[Sighting], references: ReferenceMaker
) -> list[OpenItem]:
    """Accounts that the attacker used and nobody reset since; accounts that it made and nobody took away."""
    attackers = {account.name.casefold(): account for account in incident.accounts}
    uses: dict[str, list[Sighting]] = {}
    for position in incident.sightings:
        for account in accounts_of(hits[position]):
            uses.setdefault(account.name.casefold(), []).append(hits[position])
    ended: dict[str, list[tuple[int, str]]] = {}
    made: dict[str, Sighting] = {}
    for signal in signals:
        kinds = set(signal_names(signal))
        target = text_of(signal, "TargetUserName").casefold()
        actor = text_of(signal, "SubjectUserName").casefold()
        if kinds & _RESETS and signal.time is not None and (actor == target or actor not in attackers):
            ended.setdefault(target, []).append((signal.time, min(kinds & _RESETS)))
        if "account-created" in kinds and actor in attackers and _within(incident, signal):
            made.setdefault(target, signal)
    found: list[OpenItem] = []
    for name in sorted(attackers.keys() & uses.keys() - made.keys()):
        last = max(hit.time or 0 for hit in uses[name])
        if not any(time >= last for time, _ in ended.get(name, ())):
            account = attackers[name]
            value = f"{account.domain}\\{account.name}" if account.domain else account.name
            found.append(_account_item("account-not-reset", value, uses[name], incident, references))
    for name, signal in sorted(made.items()):
        if not any(kind in _ENDS and time > (signal.time or 0) for time, kind in ended.get(name, ())):
            value = text_of(signal, "TargetUserName")
            found.append(_account_item("account-created-not-removed", value, [signal], incident, references))
    return found


def _within(incident: Incident, signal: Sighting) -> bool:
    return signal.time is not None and micros_of(incident.first) <= signal.time <= micros_of(incident.last) + DAY


def _account_item(
    kind: str, value: str, shown_by: Sequence[Sighting], incident: Incident, references: ReferenceMaker
) -> OpenItem:
    return OpenItem(
        kind=kind,
        host=shown_by[-1].host,
        value=value,
        since=calendar_time(shown_by[0].time or 0),
        refs=references.all_of(reversed(shown_by), 2),
        incident=incident.id,
    )


def _silent_hosts(incident: Incident, coverage: Iterable[CoverageRow], names: HostNames) -> list[OpenItem]:
    """Hosts of the incident whose own logs end well before those of the others."""
    last: dict[str, int] = {}
    for row in coverage:
        if row.last is not None and row.format == "windows":
            host = names.of(row.host)
            last[host] = max(last.get(host, 0), micros_of(row.last))
    if not last:
        return []
    end = max(last.values())
    return [
        OpenItem(kind="log-ends", host=host, value=host, since=calendar_time(last[host]), refs=(), incident=incident.id)
        for host in incident.hosts
        if host in last and last[host] < end - _SILENT_DAYS * DAY
    ]


def _unseen_hosts(
    incident: Incident, hits: Sequence[Sighting], names: HostNames, references: ReferenceMaker
) -> list[OpenItem]:
    """Hosts that the incident's own events name, and that nothing was collected from."""
    seen: dict[str, list[Sighting]] = {}
    for position in incident.sightings:
        for field in _HOST_FIELDS:
            name = text_of(hits[position], field).strip("\\ ")
            named = 1 < len(name) <= 64 and name.casefold() != "localhost" and not is_address(name)
            if named and names.known(name) is None:
                seen.setdefault(name.upper(), []).append(hits[position])
    return [
        OpenItem(
            kind="host-without-evidence",
            host=name,
            value=name,
            since=calendar_time(seen[name][0].time or 0),
            refs=references.all_of(seen[name], 2),
            incident=incident.id,
        )
        for name in sorted(seen)[:20]
    ]


def is_still_active(
    incident: Incident,
    items: Iterable[OpenItem],
    evidence_end: int,
    *,
    active_hours: float,
    over_days: float,
) -> bool | None:
    """Say whether an incident still goes on: True, False, or None where the evidence doesn't say.

    Active where its last sighting is close to the end of the evidence; over where the evidence goes on for
    long enough after it with nothing left in place; everything else is unknown.
    """
    quiet = evidence_end - micros_of(incident.last)
    if quiet <= active_hours * 3_600_000_000 and evidence_end:
        return True
    ways_in = {"web-shell-not-removed", "persistence-not-removed", "account-not-reset", "account-created-not-removed"}
    left = any(item.incident == incident.id and item.kind in ways_in for item in items)
    return False if quiet >= over_days * DAY and not left else None
