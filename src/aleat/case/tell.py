"""Clusters of stretches to `Incident` records: hosts, accounts, stages, effects, the events that tell the story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from aleat.case.facts import accounts_of
from aleat.case.incidents import Cluster, Grouping
from aleat.case.parameters import Parameters
from aleat.case.records import Account, Incident
from aleat.case.tactics import effects_of, is_destructive, tactic_order, tactics_of, techniques_of
from aleat.hunt.indicator import Sighting, level_rank
from aleat.stix.ids import content_id
from aleat.times import calendar_time

__all__ = ["tell_incidents"]


def tell_incidents(grouping: Grouping, hits: Sequence[Sighting], parameters: Parameters) -> tuple[Incident, ...]:
    """Return the incidents of a grouping of `hits`, numbered in order of time."""
    return tuple(
        _incident(number, cluster, grouping, hits, parameters)
        for number, cluster in enumerate(grouping.clusters, start=1)
    )


def _incident(
    number: int, cluster: Cluster, grouping: Grouping, hits: Sequence[Sighting], parameters: Parameters
) -> Incident:
    positions = sorted({position for stretch in cluster.stretches for position in stretch.members})
    members = [hits[position] for position in positions]
    strong = [hit for hit in members if grouping.weights[hit.indicator] >= parameters.weights.chaining]
    hosts = sorted({stretch.host for stretch in cluster.stretches})
    stages = _stages(strong)
    boundary = cluster.boundary
    return Incident(
        id=content_id("incident", sorted({hit.event for hit in strong})),
        number=number,
        first=calendar_time(cluster.stretches[0].first),
        last=calendar_time(max(stretch.last for stretch in cluster.stretches)),
        hosts=tuple(hosts),
        accounts=_accounts(strong, grouping.weights, parameters.incidents.account_bits),
        indicators=tuple(sorted({hit.indicator for hit in members})),
        techniques=tuple(sorted({technique for hit in members for technique in techniques_of(hit)})),
        stages=stages,
        effects=tuple(dict.fromkeys(effect for hit in strong for effect in effects_of(hit))),
        level=max((hit.level for hit in members), key=level_rank),
        sightings=tuple(positions),
        key_events=_key_events(positions, hits, grouping, parameters.incidents.key_events),
        bits=round(sum(stretch.bits for stretch in cluster.stretches), 2),
        mark=round(grouping.mark, 2),
        boundary=boundary.reason if boundary else "",
        quiet_days=boundary.quiet_days if boundary else None,
    )


def _accounts(strong: Sequence[Sighting], weights: Mapping[str, float], least: float) -> tuple[Account, ...]:
    """One record an account name, with the domain that is written most fully; only those that weigh enough."""
    found: dict[str, set[Account]] = {}
    bits: dict[str, dict[str, float]] = {}
    for hit in strong:
        for account in accounts_of(hit):
            name = account.name.casefold()
            found.setdefault(name, set()).add(account)
            bits.setdefault(name, {})[hit.indicator] = weights[hit.indicator]
    return tuple(
        min(found[name], key=lambda account: (not account.domain, -len(account.domain), account.domain, account.name))
        for name in sorted(found)
        if sum(bits[name].values()) >= least
    )


def _stages(members: Sequence[Sighting]) -> tuple[tuple[str, datetime], ...]:
    first: dict[str, int] = {}
    for hit in members:
        for tactic in tactics_of(hit):
            time = hit.time or 0
            first[tactic] = min(time, first.get(tactic, time))
    ordered = sorted(first.items(), key=lambda item: (item[1], tactic_order(item[0])))
    return tuple((tactic, calendar_time(time)) for tactic, time in ordered)


def _destruction(hit: Sighting) -> str:
    """Return which kind of destruction a sighting shows: encryption and wiping are told apart."""
    return "impact " + next((effect for effect in effects_of(hit) if effect in {"encryption", "wiping"}), "")


def _key_events(positions: Sequence[int], hits: Sequence[Sighting], grouping: Grouping, most: int) -> tuple[int, ...]:
    """The first sighting, then the first of each (host, stage): impact and the earliest stages before the rest.

    Several indicators in one event are told once, by the weightiest.
    """

    def weight(position: int) -> float:
        return grouping.weights[hits[position].indicator]

    by_event: dict[str, int] = {}
    for position in sorted(positions, key=lambda p: (-weight(p), -level_rank(hits[p].level), p)):
        by_event.setdefault(hits[position].event, position)
    positions = sorted(by_event.values())

    chosen: dict[int, None] = {}
    strongest = max(positions, key=lambda position: (weight(position), -position))
    told: set[tuple[str, str]] = set()
    stages: set[str] = set()
    indicators: set[str] = set()
    by_stage: list[int] = []
    by_host: list[int] = []
    by_indicator: list[int] = []
    for position in sorted(positions, key=lambda p: (hits[p].time or 0, -weight(p), p)):
        hit = hits[position]
        tactics = tactics_of(hit)
        stage = _destruction(hit) if is_destructive(hit) else (tactics[0] if tactics else "")
        if stage and stage not in stages:
            stages.add(stage)
            by_stage.append(position)
        elif (hit.host, stage) not in told and stage:
            by_host.append(position)
        elif hit.indicator not in indicators:
            by_indicator.append(position)
        told.add((hit.host, stage))
        indicators.add(hit.indicator)
    for position in (positions[0], strongest, *by_stage, *by_host, *by_indicator):
        if len(chosen) >= most:
            break
        chosen.setdefault(position)
    return tuple(sorted(chosen))
