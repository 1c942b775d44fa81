"""Incidents to campaigns: what two incidents share that hardly anything else shows.

A shared value weighs ``log2((days of hosts outside both + 1) / (those of them that show it + 1))`` bits: how
improbable it is to see it in the second incident by chance. A popular tool or address, seen all over, weighs
nothing; rules made for everybody (public corpora) fire in any attack, and never link. One value is capped;
values that rest on the very same events count once, and further ones of a kind count a half, a quarter …
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from math import log2

import msgspec

from aleat.case.facts import Key, field_keys, matched_keys
from aleat.case.incidents import Grouping
from aleat.case.parameters import Parameters
from aleat.case.records import Campaign, CampaignLink, Incident
from aleat.case.refs import ReferenceMaker
from aleat.case.weigh import is_generic
from aleat.hunt.indicator import Sighting
from aleat.stix.ids import content_id
from aleat.times import DAY

__all__ = ["find_campaigns"]


class _Shared(msgspec.Struct, frozen=True):
    key: Key
    bits: float
    support: frozenset[str]
    """The events in which the two incidents show it."""


def find_campaigns(
    incidents: Sequence[Incident],
    hits: Sequence[Sighting],
    signals: Sequence[Sighting],
    grouping: Grouping,
    parameters: Parameters,
    *,
    references: ReferenceMaker,
    common: Collection[str] = (),
) -> tuple[Campaign, ...]:
    """Return the campaigns among incidents; `common` are values (case folded) that are known to mean nothing."""
    finder = _CampaignFinder(incidents, hits, signals, grouping, parameters, references, frozenset(common))
    return finder.run()


class _CampaignFinder:
    def __init__(
        self,
        incidents: Sequence[Incident],
        hits: Sequence[Sighting],
        signals: Sequence[Sighting],
        grouping: Grouping,
        parameters: Parameters,
        references: ReferenceMaker,
        common: frozenset[str],
    ) -> None:
        self._incidents = incidents
        self._hits = hits
        self._parameters = parameters
        self._grouping = grouping
        self._references = references
        self._common = common
        self._shown = [self._keys(incident) for incident in incidents]
        self._cells = self._count_cells(signals)

    def run(self) -> tuple[Campaign, ...]:
        threshold = self._parameters.campaign.threshold
        links: dict[tuple[int, int], list[CampaignLink]] = {}
        for first, second in self._pairs():
            found = self._links(first, second)
            if sum(link.weight for link in found) >= threshold:
                links[first, second] = found
        return tuple(self._campaign(group, links) for group in _components(len(self._incidents), links))

    def _pairs(self) -> list[tuple[int, int]]:
        """Incidents that share anything; what more than fifty of them show isn't rare."""
        showing: dict[Key, list[int]] = {}
        for number, shown in enumerate(self._shown):
            for key in shown:
                showing.setdefault(key, []).append(number)
        return sorted({pair for found in showing.values() if len(found) <= 50 for pair in combinations(found, 2)})

    def _keys(self, incident: Incident) -> dict[Key, list[int]]:
        """Return key → the strong sightings of an incident that show it."""
        found: dict[Key, list[int]] = {}
        for position in incident.sightings:
            hit = self._hits[position]
            if self._grouping.weights[hit.indicator] < self._parameters.weights.chaining:
                continue
            keys = field_keys(hit) if is_generic(hit.source, self._parameters.weights) else _all_keys(hit)
            for key in keys:
                if key.value not in self._common:
                    found.setdefault(key, []).append(position)
        return found

    def _count_cells(self, signals: Sequence[Sighting]) -> dict[Key, set[tuple[str, int]]]:
        """Return key → the days of hosts on which anything outside every incident shows it."""
        inside = {position for incident in self._incidents for position in incident.sightings}
        asked = {key for shown in self._shown for key in shown}
        cells: dict[Key, set[tuple[str, int]]] = {}
        outside = [hit for position, hit in enumerate(self._hits) if position not in inside]
        for sighting in (*outside, *signals):
            if sighting.time is not None:
                for key in _all_keys(sighting):
                    if key in asked:
                        cells.setdefault(key, set()).add((sighting.host, sighting.time // DAY))
        busy = self._busy_days()
        return {key: days - busy for key, days in cells.items()}

    def _busy_days(self) -> set[tuple[str, int]]:
        """Days of hosts on which an incident was under way: what they show says nothing about chance."""
        return {
            (self._hits[position].host, (self._hits[position].time or 0) // DAY)
            for incident in self._incidents
            for position in incident.sightings
        }

    def _links(self, first: int, second: int) -> list[CampaignLink]:
        shared: list[_Shared] = []
        for key in self._shown[first].keys() & self._shown[second].keys():
            bits = self._bits(key)
            if bits >= 1.0:
                positions = (*self._shown[first][key], *self._shown[second][key])
                support = frozenset(self._hits[position].event for position in positions)
                shared.append(_Shared(key, bits, support))
        shared.sort(key=lambda one: (-one.bits, one.key))
        counted: set[frozenset[str]] = set()
        ranks: dict[str, int] = {}
        links: list[CampaignLink] = []
        for one in shared:
            if one.support in counted:
                continue
            counted.add(one.support)
            rank = ranks.get(one.key.kind, 0)
            ranks[one.key.kind] = rank + 1
            if rank < 6:
                links.append(self._link(one.key, one.bits / 2.0**rank, first, second))
        return links

    def _bits(self, key: Key) -> float:
        cap = self._parameters.campaign.link_cap[key.kind]
        total = self._grouping.total_days
        outside = len(self._cells.get(key, ()))
        return max(0.0, min(cap, log2((total + 1) / (outside + 1))))

    def _link(self, key: Key, bits: float, first: int, second: int) -> CampaignLink:
        here = [self._hits[position] for position in self._shown[first][key]]
        there = [self._hits[position] for position in self._shown[second][key]]
        return CampaignLink(
            kind=key.kind,
            value=key.value,
            weight=round(bits, 2),
            incidents=(self._incidents[first].id, self._incidents[second].id),
            refs=self._references.all_of(here, 2) + self._references.all_of(there, 2),
            label=here[0].title if key.kind == "indicator" else "",
        )

    def _campaign(self, group: Sequence[int], links: Mapping[tuple[int, int], list[CampaignLink]]) -> Campaign:
        members = [self._incidents[number] for number in group]
        inside = [link for pair, found in sorted(links.items()) if set(pair) <= set(group) for link in found]
        weakest = min(sum(link.weight for link in found) for pair, found in links.items() if set(pair) <= set(group))
        return Campaign(
            id=content_id("campaign", sorted(incident.id for incident in members)),
            incidents=tuple(incident.id for incident in members),
            links=tuple(inside),
            weight=round(weakest, 2),
            threshold=self._parameters.campaign.threshold,
            first=min(incident.first for incident in members),
            last=max(incident.last for incident in members),
        )


def _all_keys(sighting: Sighting) -> tuple[Key, ...]:
    return tuple(dict.fromkeys((*matched_keys(sighting), *field_keys(sighting))))


def _components(count: int, links: Mapping[tuple[int, int], object]) -> list[list[int]]:
    """Return the groups of more than one that links join, in order."""
    home = list(range(count))
    for first, second in sorted(links):
        old, new = home[second], home[first]
        home = [new if one == old else one for one in home]
    groups: dict[int, list[int]] = {}
    for number, one in enumerate(home):
        groups.setdefault(one, []).append(number)
    return [group for group in groups.values() if len(group) > 1]
