"""Sightings to incidents: stretches of activity on one host, joined by what they share.

1. Copies of one event are folded; sightings that weigh less than `least` are left out, and so is the owners'
   own cleaning up (`weigh`).
2. What is left is cut, host by host, at pauses: a *stretch*. Where rules of an ally fire in it, generic rules
   belong to it only close to them or by what they share. Its bits add up over acts (what one command sets off
   within seconds counts little more than once) and over rules, each once, generic ones by tactic.
3. A stretch *founds* an incident where its bits exceed what chance would show anywhere in all the days of
   hosts that were looked at; other stretches join one where their own bits and the rarity of what they share
   (accounts, indicators, values) exceed what chance would show near it. Noise neither makes nor lengthens one.
4. Founding stretches join where they are close in time and share a host or something rare; over a long quiet
   interval (fourteen months of dwell) only where they share the host *and* something rare, or on different
   hosts several rare things; and not across an impact followed by quiet: a second wave is a second incident,
   and the campaign (`campaign`) links the two.

Every decision looks at two stretches only, in an order made of their content: the result doesn't depend on
the order of the sightings. Work is near linear: a key is followed to its next few neighbours in time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from math import log2

import msgspec

from aleat.case.facts import Key, field_keys, matched_keys
from aleat.case.parameters import IncidentParameters, Parameters, defaults
from aleat.case.records import CoverageRow
from aleat.case.stretches import Stretch, StretchCutter, stretch_order
from aleat.case.weigh import Rarity, days_of_hosts, is_generic, response_events, rule_weights, was_refused
from aleat.hunt.indicator import Sighting
from aleat.times import DAY

__all__ = ["Boundary", "Cluster", "Grouping", "fold_copies", "group_sightings"]


class Boundary(msgspec.Struct, frozen=True):
    """Why an incident isn't one with the one before it: a code, the days of quiet, hosts that both have."""

    reason: str
    quiet_days: float
    shared_hosts: tuple[str, ...]


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Stretches that make one incident, in order of time."""

    stretches: tuple[Stretch, ...]
    boundary: Boundary | None = None


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: clusters in order of time, the weights by indicator, the mark that founds, days looked at."""

    clusters: tuple[Cluster, ...]
    weights: dict[str, float]
    mark: float
    total_days: int
    rarity: Rarity


def fold_copies(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return one sighting for each indicator and event, in order of time; hidden ones are left out."""
    kept: dict[tuple[str, str], Sighting] = {}
    for sighting in sightings:
        if sighting.hidden_by is not None:
            continue
        key = (sighting.indicator, sighting.event or f"{sighting.evidence}\0{sighting.record}")
        other = kept.get(key)
        if other is None or _place(sighting) < _place(other):
            kept[key] = sighting
    return sorted(kept.values(), key=_order)


def _place(sighting: Sighting) -> tuple[str, int]:
    return (sighting.evidence, sighting.record)


def _order(sighting: Sighting) -> tuple[int, str, str, int, str]:
    time = sighting.time if sighting.time is not None else 1 << 62
    return (time, sighting.host, sighting.evidence, sighting.record, sighting.indicator)


def group_sightings(
    hits: Sequence[Sighting],
    signals: Sequence[Sighting] = (),
    coverage: Sequence[CoverageRow] = (),
    parameters: Parameters | None = None,
) -> Grouping:
    """Group folded sightings (`fold_copies`; hosts already by one name) into clusters.

    `signals` only tell how common an account, an address or a name is.
    """
    chosen = parameters or defaults()
    total = days_of_hosts(coverage, hits)
    weights = rule_weights(hits, total, chosen.weights)
    response = response_events(hits, signals, weights, chosen.weights, chosen.incidents.account_bits)
    weighty = [
        hit.event not in response
        and not was_refused(hit)
        and weights.get(hit.indicator, 0.0) >= chosen.weights.least
        and hit.time is not None
        for hit in hits
    ]
    keys = [_keys_of(hit) if counts else () for hit, counts in zip(hits, weighty, strict=True)]
    rarity = Rarity(_days_by_key(hits, signals, keys), total, chosen.incidents.key_cap)
    mark = max(chosen.incidents.floor, log2(total) + chosen.incidents.margin)
    generic = {hit.indicator for hit in hits if is_generic(hit.source, chosen.weights)}
    stretches = StretchCutter(hits, weights, weighty, keys, rarity, generic, mark, chosen).stretches()
    hosts = len({row.host for row in coverage} | {hit.host for hit in hits})
    joined = _Joiner(stretches, rarity, generic, mark, hosts, chosen.incidents).clusters()
    return Grouping(clusters=joined, weights=weights, mark=mark, total_days=total, rarity=rarity)


def _keys_of(hit: Sighting) -> tuple[Key, ...]:
    return tuple(dict.fromkeys((*matched_keys(hit), *field_keys(hit))))


def _days_by_key(
    hits: Sequence[Sighting], signals: Sequence[Sighting], keys: Sequence[tuple[Key, ...]]
) -> dict[Key, int]:
    """Count the days of hosts on which each key that matters (one of a weighty sighting) occurs at all."""
    asked = {key for found in keys for key in found}
    cells: dict[Key, set[tuple[str, int]]] = {}
    known = list(keys) + [()] * len(signals)
    for sighting, found in zip((*hits, *signals), known, strict=True):
        if sighting.time is not None:
            cell = (sighting.host, sighting.time // DAY)
            for key in found or _keys_of(sighting):
                if key in asked:
                    cells.setdefault(key, set()).add(cell)
    return {key: len(days) for key, days in cells.items()}


class _Edge(msgspec.Struct, frozen=True):
    bits: float
    earlier: int
    later: int


class _Joiner:
    """Joins stretches along edges (same host, shared keys), strongest first."""

    def __init__(
        self,
        stretches: Sequence[Stretch],
        rarity: Rarity,
        generic: Collection[str],
        mark: float,
        hosts: int,
        parameters: IncidentParameters,
    ) -> None:
        self._stretches = stretches
        self._rarity = rarity
        self._generic = generic
        self._mark = mark
        self._join_mark = min(mark, log2(2 * parameters.quiet_days * max(1, hosts)) + parameters.margin)
        self._host_bits = min(parameters.link_bits, log2(max(1, hosts)))
        self._parameters = parameters
        self._parent = list(range(len(stretches)))
        self._founded = [stretch.founds for stretch in stretches]
        self._impacts = sorted(
            {stretch.impact for stretch in stretches if stretch.founds and stretch.impact is not None}
        )

    def clusters(self) -> tuple[Cluster, ...]:
        """Join, then return the components that hold a founding stretch, in order of time."""
        edges = self._edges()
        both = [edge for edge in edges if self._founds(edge.earlier) and self._founds(edge.later)]
        others = [edge for edge in edges if not (self._founds(edge.earlier) and self._founds(edge.later))]
        for edge in both:
            if self._founders_join(edge):
                self._union(edge.earlier, edge.later)
        for edge in others:
            if self._lesser_joins(edge):
                self._union(edge.earlier, edge.later)
        groups: dict[int, list[int]] = {}
        for node in range(len(self._stretches)):
            groups.setdefault(self._find(node), []).append(node)
        kept = [tuple(self._stretches[node] for node in nodes) for nodes in groups.values() if self._stands(nodes)]
        kept.sort(key=lambda stretches: stretch_order(stretches[0]))
        return tuple(
            Cluster(stretches=stretches, boundary=self._boundary(kept[:number], stretches))
            for number, stretches in enumerate(kept)
        )

    def _founds(self, node: int) -> bool:
        return self._stretches[node].founds

    def _stands(self, nodes: Sequence[int]) -> bool:
        """A component stands where a stretch founds it, or where several together are far above the mark."""
        if any(self._founds(node) for node in nodes):
            return True
        allied = [self._stretches[node].bits for node in nodes if self._stretches[node].allied]
        return len(allied) > 1 and sum(allied) >= 1.5 * self._mark

    def _edges(self) -> list[_Edge]:
        """Pairs of neighbours on one host or under one key, with the bits of all the keys that they share."""
        pairs: dict[tuple[int, int], None] = {}
        hosts: dict[str, list[int]] = {}
        keyed: dict[Key, list[int]] = {}
        for node, stretch in enumerate(self._stretches):
            hosts.setdefault(stretch.host, []).append(node)
            for key in stretch.keys:
                if self._rarity.bits(key) >= 1.0:
                    keyed.setdefault(key, []).append(node)
        for nodes in (*hosts.values(), *keyed.values()):
            self._neighbours(nodes, pairs)
        edges = [_Edge(self._shared_bits(first, second), first, second) for first, second in pairs]
        return sorted(edges, key=lambda edge: (-edge.bits, edge.earlier, edge.later))

    def _neighbours(self, nodes: Sequence[int], pairs: dict[tuple[int, int], None]) -> None:
        """Pair each founding stretch with the next ones, every other with its next ones and the nearest founders.

        Founders are paired apart, so that lesser stretches between them (noise, say) take no one's place.
        """
        count = self._parameters.neighbours
        founders = [node for node in nodes if self._founds(node)]
        for row in (nodes, founders):
            for position, node in enumerate(row):
                for other in row[position + 1 : position + 1 + count]:
                    pairs.setdefault((node, other))
        for node in nodes:
            place = bisect_left(founders, node)
            for founder in founders[max(0, place - 1) : place + 1]:
                if founder != node:
                    pairs.setdefault((min(node, founder), max(node, founder)))

    def _shared_bits(self, first: int, second: int) -> float:
        """The rarest shared key in full, the others at half, fourths …: what two stretches share is related."""
        shared = set(self._stretches[first].keys) & set(self._stretches[second].keys)
        bits = sorted((self._key_bits(key) for key in shared), reverse=True)
        return sum(value / 2.0**rank for rank, value in enumerate(bits[:8]))

    def _key_bits(self, key: Key) -> float:
        """A key's rarity, capped by kind; rules made for everybody tie little together."""
        kind = "generic-indicator" if key.kind == "indicator" and key.value in self._generic else key.kind
        return min(self._parameters.link_cap[kind], self._rarity.bits(key))

    def _gap(self, edge: _Edge) -> float:
        return max(0, self._stretches[edge.later].first - self._stretches[edge.earlier].last) / DAY

    def _after_impact(self, edge: _Edge) -> float | None:
        """Days of quiet before the later stretch, where an impact lies before it (and not long before the earlier)."""
        earlier, later = self._stretches[edge.earlier], self._stretches[edge.later]
        position = bisect_left(self._impacts, later.first) - 1
        if position < 0:
            return None
        impact = self._impacts[position]
        if impact < earlier.first - int(self._parameters.quiet_days * DAY):
            return None
        return (later.first - max(impact, min(earlier.last, later.first))) / DAY

    def _dwelt(self, edge: _Edge, *, same_host: bool) -> bool:
        """One intruder all along, over a long quiet: the same host and something rare, or several rare things."""
        if same_host:
            return edge.bits + self._host_bits >= self._parameters.dwell_bits
        return edge.bits >= self._parameters.dwell_elsewhere_bits

    def _founders_join(self, edge: _Edge) -> bool:
        parameters = self._parameters
        same_host = self._stretches[edge.earlier].host == self._stretches[edge.later].host
        quiet = self._after_impact(edge)
        if quiet is not None and quiet > parameters.after_impact_days:
            return False
        if self._gap(edge) <= parameters.quiet_days:
            return same_host or edge.bits >= parameters.link_bits
        return self._dwelt(edge, same_host=same_host)

    def _lesser_joins(self, edge: _Edge) -> bool:
        """A stretch that founds nothing joins by its own bits and what it shares; never two incidents to one."""
        first, second = self._find(edge.earlier), self._find(edge.later)
        if first == second or (self._founded[first] and self._founded[second]):
            return False
        earlier, later = self._stretches[edge.earlier], self._stretches[edge.later]
        quiet = self._after_impact(edge)
        same_host = earlier.host == later.host
        gap = self._gap(edge)
        if quiet is not None and quiet > self._parameters.after_impact_days and not (same_host and gap <= quiet):
            return False
        if gap > self._parameters.quiet_days and not self._dwelt(edge, same_host=same_host):
            return False
        lesser = earlier if earlier.bits < later.bits else later
        if not (earlier.founds or later.founds) and edge.bits < self._parameters.dwell_bits:
            return False
        if edge.bits < self._parameters.link_bits and not (same_host and lesser.allied):
            return False
        return lesser.bits + edge.bits + (self._host_bits if same_host else 0.0) >= self._join_mark

    def _boundary(self, before: Sequence[tuple[Stretch, ...]], stretches: tuple[Stretch, ...]) -> Boundary | None:
        if not before:
            return None
        previous = max(before, key=lambda group: (max(one.last for one in group), stretch_order(group[0])))
        ended = max(one.last for one in previous)
        started = stretches[0].first
        shared = {one.host for one in previous} & {one.host for one in stretches}
        quiet = max(0.0, (started - ended) / DAY)
        if any(one.impact is not None for one in previous) and quiet > self._parameters.after_impact_days:
            reason = "quiet-after-impact" if shared else "quiet-after-impact-other-victim"
        elif quiet > self._parameters.quiet_days:
            reason = "quiet-interval" if shared else "quiet-interval-other-victim"
        else:
            reason = "nothing-rare-shared"
        return Boundary(reason, round(quiet, 2), tuple(sorted(shared)))

    def _find(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _union(self, first: int, second: int) -> None:
        a, b = self._find(first), self._find(second)
        if a != b:
            low, high = min(a, b), max(a, b)
            self._parent[high] = low
            self._founded[low] = self._founded[low] or self._founded[high]
