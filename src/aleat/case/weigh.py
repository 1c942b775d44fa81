"""How much a sighting weighs: bits for "an attack is under way on this host", against "it isn't".

For each rule, ``log2(P(fires on a host's day | attack) / P(fires on a host's day | none))``. The first comes
from the rule's level and giver; the second from both that prior and how often the rule fires in this very
evidence: a rule that fires every day on every host weighs nothing, however its author rated it. Weights are
capped by level, because rarity alone isn't malice (an administrator's one-off is rare too).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2

from aleat.case.facts import Key, accounts_of, text_of
from aleat.case.parameters import WeightParameters
from aleat.case.records import CoverageRow
from aleat.case.requests import status_fields
from aleat.case.signal_rules import signal_names
from aleat.hunt.indicator import Sighting
from aleat.times import DAY, micros_of

__all__ = ["Rarity", "days_of_hosts", "is_generic", "response_events", "rule_weights", "was_refused"]


def days_of_hosts(coverage: Iterable[CoverageRow], hits: Iterable[Sighting]) -> int:
    """Return how many days of hosts the evidence spans: from each host's first event to its last, and at least 1."""
    spans: dict[str, list[int]] = {}
    for row in coverage:
        if row.first is not None and row.last is not None:
            _widen(spans, row.host, micros_of(row.first), micros_of(row.last))
    for hit in hits:
        if hit.time is not None:
            _widen(spans, hit.host, hit.time, hit.time)
    return max(1, sum(last // DAY - first // DAY + 1 for first, last in spans.values()))


def _widen(spans: dict[str, list[int]], host: str, first: int, last: int) -> None:
    span = spans.setdefault(host, [first, last])
    span[0] = min(span[0], first)
    span[1] = max(span[1], last)


def is_generic(source: str, parameters: WeightParameters) -> bool:
    """Say whether a rule's giver makes rules for everybody (a public corpus), not for this adversary."""
    folded = source.casefold()
    return any(folded == name or (name and folded.startswith(f"{name}/")) for name in parameters.generic_sources)


def rule_weights(hits: Sequence[Sighting], total_days: int, parameters: WeightParameters) -> dict[str, float]:
    """Return indicator → weight in bits (0 and more)."""
    cells: dict[str, set[tuple[str, int]]] = {}
    facts: dict[str, tuple[bool, str]] = {}
    for hit in hits:
        if hit.time is None:
            continue
        cells.setdefault(hit.indicator, set()).add((hit.host, hit.time // DAY))
        facts[hit.indicator] = (is_generic(hit.source, parameters), hit.level)
    return {
        indicator: _rule_weight(generic, level, len(cells[indicator]), total_days, parameters)
        for indicator, (generic, level) in facts.items()
    }


def _rule_weight(generic: bool, level: str, count: int, total: int, parameters: WeightParameters) -> float:
    level = level if level in parameters.hit else "medium"
    hit = (parameters.hit if generic else parameters.ally_hit)[level]
    noise = (parameters.noise if generic else parameters.ally_noise)[level]
    cap = (parameters.cap if generic else parameters.ally_cap)[level]
    # one day of one host is what an attack would show; only what goes beyond it speaks for noise
    rate = (count - 1 + parameters.prior_days * noise) / (total + parameters.prior_days)
    return max(0.0, min(cap, log2(hit / rate))) if rate > 0 else cap


def was_refused(hit: Sighting) -> bool:
    """Say whether a sighting is a request that the web server refused (status 4xx, RFC 9110 §15.5).

    Somebody asked and got nothing: attention, not an intrusion. It is told, but makes no incident.
    """
    return text_of(hit, *status_fields(hit.format)).startswith("4")


def response_events(
    hits: Sequence[Sighting],
    signals: Iterable[Sighting],
    weights: Mapping[str, float],
    parameters: WeightParameters,
    account_bits: float,
) -> frozenset[str]:
    """Return the events in which somebody cleans up: they take something away, and their author does little else.

    An owner who deletes a web shell touches what an indicator names. An event counts as clean-up where one of
    our signals says that something was removed or stopped in it, and its account's sightings of any other kind
    weigh less than `account_bits`. Administrators trip generic rules all the time: these are asked only where
    no ally's rule fires at all. An intruder who deletes its own traces acts elsewhere as well.
    """
    removing = {
        signal.event
        for signal in signals
        if any(name.startswith("removed-") or name == "service-stop-command" for name in signal_names(signal))
    }
    strong = [hit for hit in hits if weights.get(hit.indicator, 0.0) >= parameters.chaining]
    allied = [hit for hit in strong if not is_generic(hit.source, parameters)]
    acting: dict[str, dict[str, float]] = {}
    for hit in allied or strong:
        if hit.event not in removing:
            for account in accounts_of(hit):
                acting.setdefault(account.name.casefold(), {})[hit.indicator] = weights[hit.indicator]
    intruders = {name for name, found in acting.items() if sum(found.values()) >= account_bits}
    cleaned = [hit for hit in hits if hit.event in removing]
    by_event = {hit.event: {account.name.casefold() for account in accounts_of(hit)} for hit in cleaned}
    return frozenset(event for event, accounts in by_event.items() if accounts and accounts.isdisjoint(intruders))


class Rarity:
    """How rare a key is among all sightings and signals: in bits, by the days of hosts on which it occurs."""

    def __init__(self, days: Mapping[Key, int], total_days: int, cap: float) -> None:
        self._days = days
        self._total = max(total_days, 2)
        self._cap = cap

    def bits(self, key: Key) -> float:
        """Return log2(total/occurring) of a key's days of hosts, at most the cap, 0 where it is everywhere."""
        days = max(1, self._days.get(key, 1))
        return max(0.0, min(self._cap, log2((self._total + 1) / (days + 1))))
