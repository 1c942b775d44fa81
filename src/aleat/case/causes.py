"""Why a service was silent: rules over evidence, each with a reason code; none of them guesses.

The rules look at the hosts that serve it (and hosts that it is known to depend on), around the time at which it
stopped: that time lies after the last request served, and before the silence had become improbable.
`Outage` lists the codes. Where two explanations fit equally, or only half of one is there, the cause is
"undetermined".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from aleat.case.facts import make_account, text_of
from aleat.case.parameters import ImpactParameters
from aleat.case.records import Incident
from aleat.case.signal_rules import signal_names
from aleat.case.tactics import is_destructive
from aleat.hunt.indicator import Sighting
from aleat.times import DAY, HOUR, MINUTE, micros_of

__all__ = ["CauseFinder", "Stop", "Verdict"]

_PLANNED = 0x80000000
_ACCOUNT_FIELDS = ("SubjectUserName", "User", "param7")
_ORDER_SIGNALS = frozenset({"shutdown-planned", "shutdown-command", "service-stop-command", "service-start-changed"})


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stop before its cause: who serves, between which times it happened, whether it recurs.

    `latest` is when the silence had become improbable: the stop happened before. `end` is the first request
    served after (None: still silent). `host_alive` and `file_missing` come from the other logs.
    """

    hosts: tuple[str, ...]
    start: int
    latest: int
    end: int | None
    recurs: bool = False
    host_alive: bool = False
    file_missing: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A cause with its reason code and the records that say so."""

    cause: str
    reason: str
    because: tuple[Sighting, ...] = ()
    incident: str | None = None
    by: str = ""


class _Order(msgspec.Struct, frozen=True):
    """Somebody's order to stop: when, by whom, whether planned for maintenance or given for security."""

    time: int
    account: str
    planned: bool
    maintenance: bool
    security: bool
    shutdown: bool
    sighting: Sighting


class CauseFinder:
    """Decides causes from the case's sightings and signals."""

    def __init__(
        self,
        hits: Sequence[Sighting],
        signals: Iterable[Sighting],
        incidents: Sequence[Incident],
        parameters: ImpactParameters,
        depends: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._parameters = parameters
        self._depends = depends or {}
        self._incidents = incidents
        self._destruction: dict[str, list[tuple[int, str, Sighting]]] = {}
        self._attackers: dict[str, set[str]] = {}
        for incident in incidents:
            self._attackers[incident.id] = {account.name.casefold() for account in incident.accounts}
            for position in incident.sightings:
                hit = hits[position]
                if hit.time is not None and is_destructive(hit):
                    self._destruction.setdefault(hit.host, []).append((hit.time, incident.id, hit))
        for facts in self._destruction.values():
            facts.sort(key=lambda fact: (fact[0], fact[2].indicator, fact[2].event))
        self._alarms = sorted(
            (min(times), incident.id)
            for incident in incidents
            if (times := [t for rows in self._destruction.values() for t, name, _ in rows if name == incident.id])
        )
        self._signals: dict[tuple[str, str], list[tuple[int, Sighting]]] = {}
        for signal in signals:
            if signal.time is not None:
                for name in signal_names(signal):
                    self._signals.setdefault((signal.host, name), []).append((signal.time, signal))
        for rows in self._signals.values():
            rows.sort(key=lambda row: (row[0], row[1].evidence, row[1].record))

    def decide(self, stop: Stop) -> Verdict:
        """Return the cause of one stop."""
        destroyed = self._destruction_on(stop.hosts, stop)
        orders = self._orders(stop)
        incident = self._alarmed(stop.latest)
        if destroyed and orders:
            return self._both(stop, destroyed, orders, incident)
        if destroyed:
            return self._attack("destruction-on-host", destroyed)
        if orders:
            return self._ordered(stop, orders, incident)
        needed = tuple(sorted({other for host in stop.hosts for other in self._depends.get(host, ())}))
        destroyed = self._destruction_on(needed, stop)
        if destroyed:
            return self._attack("destruction-on-dependency", destroyed)
        return self._without_order(stop, incident)

    # --- what the evidence holds around a stop

    def _destruction_on(self, hosts: Iterable[str], stop: Stop) -> list[tuple[int, str, Sighting]]:
        since = stop.start - int(self._parameters.attack_lead_hours * HOUR)
        found: list[tuple[int, str, Sighting]] = []
        for host in hosts:
            rows = self._destruction.get(host, [])
            times = [row[0] for row in rows]
            found += rows[bisect_left(times, since) : bisect_right(times, stop.latest)]
        return sorted(found, key=lambda fact: (fact[0], fact[2].host, fact[2].indicator, fact[2].event))

    def _around(self, hosts: Iterable[str], name: str, since: int, until: int) -> list[Sighting]:
        found: list[tuple[int, Sighting]] = []
        for host in hosts:
            rows = self._signals.get((host, name), [])
            times = [row[0] for row in rows]
            found += rows[bisect_left(times, since) : bisect_right(times, until)]
        return [signal for _, signal in sorted(found, key=lambda row: (row[0], row[1].host, row[1].record))]

    def _orders(self, stop: Stop) -> list[_Order]:
        since = stop.start - int(self._parameters.order_lead_minutes * MINUTE)
        found: list[_Order] = []
        for name in sorted(_ORDER_SIGNALS):
            for signal in self._around(stop.hosts, name, since, stop.latest):
                found.append(_order(signal, name))
        return sorted(found, key=lambda order: (abs(order.time - stop.start), order.time, order.sighting.event))

    def _alarmed(self, time: int) -> str | None:
        """The latest incident whose impact was there for all to see by `time`, and not long over."""
        limit = int(self._parameters.known_days * DAY)
        for first, name in reversed(self._alarms):
            incident = next(one for one in self._incidents if one.id == name)
            if first <= time <= micros_of(incident.last) + limit:
                return name
        return None

    # --- the rules

    def _attack(self, reason: str, facts: Sequence[tuple[int, str, Sighting]], by: str = "") -> Verdict:
        return Verdict(
            cause="attacker", reason=reason, because=tuple(fact[2] for fact in facts[:5]), incident=facts[0][1], by=by
        )

    def _both(
        self,
        stop: Stop,
        destroyed: Sequence[tuple[int, str, Sighting]],
        orders: Sequence[_Order],
        incident: str | None,
    ) -> Verdict:
        """Destruction and an order: whichever the stop follows; the destruction where both are equally near."""
        order = orders[0]
        first = destroyed[0][0]
        survived = stop.start - first > stop.latest - stop.start  # it went on serving for long after the destruction
        if order.time < first or (survived and order.time >= first):
            if self._is_attackers(order, destroyed[0][1]):
                return self._attack("attacker-shutdown", destroyed, order.account)
            return self._ordered(stop, orders, incident)
        return self._attack("destruction-on-host", destroyed)

    def _is_attackers(self, order: _Order, incident: str | None) -> bool:
        return incident is not None and order.account.casefold() in self._attackers.get(incident, set())

    def _ordered(self, stop: Stop, orders: Sequence[_Order], incident: str | None) -> Verdict:  # noqa: PLR0911
        """Somebody ordered it: maintenance, protection in an incident known to all, or unexplained."""
        order = next((one for one in orders if one.account), orders[0])
        because = _distinct(orders)
        if order.maintenance and not order.security:
            return Verdict(cause="maintenance", reason="planned-reason", because=because, by=order.account)
        updates = self._updates(stop)
        if updates and not order.security and (incident is None or not order.account):
            return Verdict(cause="maintenance", reason="updates", because=because + updates, by=order.account)
        if incident is None:
            if order.planned and order.account:
                return Verdict(cause="maintenance", reason="planned-shutdown", because=because, by=order.account)
            reason = "shutdown-unexplained"
            return Verdict(cause="undetermined", reason=reason, because=because, by=order.account)
        if not order.account:
            return Verdict(cause="undetermined", reason="shutdown-unexplained", because=because, incident=incident)
        if self._is_attackers(order, incident):
            reason = "conflicting"
            return Verdict(cause="undetermined", reason=reason, because=because, incident=incident, by=order.account)
        reason = "shutdown-by-user" if order.shutdown else "service-stopped-by-user"
        if order.security:
            reason = "shutdown-for-security"
        return Verdict(cause="protective-shutdown", reason=reason, because=because, incident=incident, by=order.account)

    def _updates(self, stop: Stop) -> tuple[Sighting, ...]:
        until = (stop.end or stop.latest) + 2 * HOUR
        return tuple(self._around(stop.hosts, "update-installed", stop.start - 2 * HOUR, until)[:3])

    def _without_order(self, stop: Stop, incident: str | None) -> Verdict:
        lost = self._log_lost(stop)
        if lost is not None:
            return lost
        updates = self._updates(stop)
        down = self._around(stop.hosts, "shutdown-clean", stop.start - 30 * MINUTE, stop.latest)
        if updates and down and incident is None:
            return Verdict(cause="maintenance", reason="updates", because=(*updates, *down[:2]))
        if stop.recurs and incident is None:
            return Verdict(cause="maintenance", reason="recurring")
        crashed = self._unexpected(stop)
        if crashed:
            return Verdict(cause="undetermined", reason="unexpected-shutdown", because=tuple(crashed[:3]))
        stopped = self._around(stop.hosts, "service-stopped", stop.start - 5 * MINUTE, stop.latest)
        stopped += self._around(stop.hosts, "web-stopped", stop.start - 5 * MINUTE, stop.latest)
        if stopped or down:
            because = _unique([*stopped, *down])[:3]
            return Verdict(cause="undetermined", reason="shutdown-unexplained", because=because, incident=incident)
        return Verdict(cause="undetermined", reason="no-evidence" if stop.hosts else "host-unknown")

    def _unexpected(self, stop: Stop) -> list[Sighting]:
        until = (stop.end or stop.latest) + HOUR
        found = self._around(stop.hosts, "shutdown-unexpected", stop.start, until)
        return found + self._around(stop.hosts, "web-pool-stopped", stop.start - MINUTE, stop.latest)

    def _log_lost(self, stop: Stop) -> Verdict | None:  # noqa: PLR0911  (a table of rules)
        """The log was lost, not the service: its file is gone or was deleted, the disk was full, logs were cleared."""
        if stop.file_missing:
            return Verdict(cause="log-lost", reason="file-missing")
        until = (stop.end if stop.end is not None else stop.latest) + 15 * MINUTE
        since = stop.start - 15 * MINUTE
        full = self._around(stop.hosts, "disk-full", stop.start - 2 * HOUR, stop.latest)
        if full and not self._any_stop(stop):
            return Verdict(cause="log-lost", reason="disk-full", because=tuple(full[:3]))
        deleted = self._around(stop.hosts, "web-log-deleted", since, until)
        if deleted:
            return Verdict(cause="log-lost", reason="log-deleted", because=tuple(deleted[:3]))
        cleared = self._around(stop.hosts, "log-cleared", since, until)
        cleared += self._around(stop.hosts, "logging-stopped", since, until)
        if cleared and self._any_stop(stop):
            return None
        if cleared and stop.host_alive:
            return Verdict(cause="log-lost", reason="log-cleared-host-alive", because=_unique(cleared)[:3])
        if cleared:
            return Verdict(cause="undetermined", reason="log-cleared", because=_unique(cleared)[:3])
        return None

    def _any_stop(self, stop: Stop) -> bool:
        names = ("service-stopped", "web-stopped", "shutdown-clean")
        since = stop.start - 5 * MINUTE
        return bool(self._unexpected(stop)) or any(self._around(stop.hosts, name, since, stop.latest) for name in names)


def _unique(signals: Iterable[Sighting]) -> tuple[Sighting, ...]:
    return tuple({(one.evidence, one.record): one for one in signals}.values())


def _distinct(orders: Sequence[_Order]) -> tuple[Sighting, ...]:
    return _unique(order.sighting for order in orders)[:5]


def _order(signal: Sighting, name: str) -> _Order:
    """Read an order from a signal: by whom (nobody, where the system itself acts), and for which reason."""
    account = make_account(text_of(signal, *_ACCOUNT_FIELDS))
    names = signal_names(signal)
    code = _reason_code(text_of(signal, "param4"))
    return _Order(
        time=signal.time or 0,
        account=account.name if account else "",
        planned=bool(code & _PLANNED),
        maintenance="shutdown-maintenance" in names or _is_maintenance(code),
        security=(code & 0xFFFF) == 0x13,
        shutdown=name.startswith("shutdown"),
        sighting=signal,
    )


def _reason_code(text: str) -> int:
    """A shutdown's reason code (System Shutdown Reason Codes, winreg.h), 0 where there is none."""
    try:
        return int(text, 16) & 0xFFFFFFFF
    except ValueError:
        return 0


def _is_maintenance(code: int) -> bool:
    """Planned, for an operating system, application or hardware, by a minor reason that is upkeep."""
    minor, major = code & 0xFFFF, code >> 16 & 0xFF
    return bool(code & _PLANNED) and major in {1, 2, 4} and minor in {0x1, 0x2, 0x3, 0x4, 0x10, 0x11, 0x12}
