"""`build_case`: from sightings, requests and coverage to a `Case`, in one pure step."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import pyarrow as pa

from aleat.case.campaign import find_campaigns
from aleat.case.hosts import HostNames, host_addresses, service_host
from aleat.case.impact import ImpactResult, find_outages
from aleat.case.incidents import fold_copies, group_sightings
from aleat.case.log_findings import LogActivity, review_logs
from aleat.case.next_steps import find_next_steps
from aleat.case.open_items import find_open_items, is_still_active
from aleat.case.parameters import Parameters, defaults
from aleat.case.persistence import find_footholds
from aleat.case.records import (
    AllegedIncident,
    Case,
    Claim,
    CollectItem,
    Contradiction,
    CoverageRow,
    SourceRow,
)
from aleat.case.refs import ReferenceMaker
from aleat.case.requests import credible_requests, empty_requests, request_formats
from aleat.case.signal_rules import split_signals
from aleat.case.tell import tell_incidents
from aleat.case.timeline import make_timeline
from aleat.hunt.indicator import Sighting
from aleat.stix.ids import content_id
from aleat.stix.times import format_timestamp
from aleat.times import micros_of

__all__ = ["ClaimsLike", "build_case"]


class ClaimsLike(Protocol):
    """What `aleat.case.claims` returns, as far as a case takes it in."""

    @property
    def claims(self) -> Sequence[Claim]:
        """Who says what."""

    @property
    def contradictions(self) -> Sequence[Contradiction]:
        """Claims that can't both hold."""

    @property
    def alleged(self) -> Sequence[AllegedIncident]:
        """Incidents that a text alleges."""

    @property
    def collect(self) -> Sequence[CollectItem]:
        """What would test the claims."""

    @property
    def open_offers(self) -> Sequence[str]:
        """Claims that offer something, and wait for an answer."""


def build_case(
    *,
    name: str,
    reference_time: datetime,
    sightings: Iterable[Sighting] = (),
    signals: Iterable[Sighting] = (),
    requests: pa.Table | None = None,
    coverage: Sequence[CoverageRow] = (),
    logs: Sequence[LogActivity] = (),
    sources: Sequence[SourceRow] = (),
    claims_result: ClaimsLike | None = None,
    tags: Mapping[str, Sequence[str]] | None = None,
    depends: Mapping[str, Sequence[str]] | None = None,
    common: Collection[str] = (),
    parameters: Parameters | None = None,
) -> Case:
    """Build a case; the same input in any order gives the same case.

    `sightings` may hold our own signals too (source "aleat"): they are told apart. `requests` is a table of
    `aleat.case.requests.REQUESTS_SCHEMA`. `tags` adds what knowledge says of an indicator, by its id or ref
    (`aleat.case.context.indicator_tags`). `depends`: which hosts a host can't do without. `common`: values
    (case folded) that mean nothing. `logs` say when each log was written: what they show of being cleared, cut or
    stopped are the case's `log_findings`. Public claims are carried along, and decide nothing.
    """
    chosen = parameters or defaults()
    found, context = split_signals(sightings)
    context += list(signals)
    names = HostNames([row.host for row in coverage] + [one.host for one in (*found, *context)])
    addresses = host_addresses((*found, *context), names)
    known = frozenset(names.of(row.host) for row in coverage if row.host and row.format not in request_formats())
    place = _Placer(names, addresses, known, tags or {})
    hits = fold_copies(place(hit) for hit in found)
    facts = fold_copies(place(signal) for signal in context)
    references = ReferenceMaker(sources)
    grouping = group_sightings(hits, facts, coverage, chosen)
    incidents = tell_incidents(grouping, hits, chosen)
    impact = find_outages(
        credible_requests(requests, reference_time) if requests is not None else empty_requests(),
        hits=hits,
        signals=facts,
        incidents=incidents,
        coverage=[_until(row, reference_time) for row in coverage],
        names=names,
        addresses=addresses,
        references=references,
        depends=depends,
        parameters=chosen,
    )
    footholds = find_footholds(incidents, hits, facts)
    items = find_open_items(
        incidents=incidents,
        hits=hits,
        signals=facts,
        footholds=footholds,
        outages=impact.outages,
        gaps=impact.gaps,
        coverage=coverage,
        service_hosts=impact.service_hosts,
        names=names,
        references=references,
    )
    end = _evidence_end(coverage, hits, facts, impact)
    incidents = tuple(
        msgspec.structs.replace(
            incident,
            still_active=is_still_active(
                incident,
                items,
                end,
                active_hours=chosen.incidents.active_hours,
                over_days=chosen.incidents.over_days,
            ),
        )
        for incident in incidents
    )
    findings, covered = review_logs(
        logs,
        signals=facts,
        coverage=coverage,
        names=names,
        references=references,
        unreadable={source.path for source in sources if source.unreadable},
        impact=chosen.impact,
        parameters=chosen.logs,
    )
    claims = tuple(claims_result.claims) if claims_result else ()
    collect = tuple(claims_result.collect) if claims_result else ()
    return Case(
        id=_case_id(name, hits, impact, claims),
        name=name,
        reference_time=reference_time,
        sightings=tuple(hits),
        incidents=incidents,
        campaigns=find_campaigns(incidents, hits, facts, grouping, chosen, references=references, common=common),
        outages=impact.outages,
        timeline=make_timeline(
            incidents=incidents,
            hits=hits,
            signals=facts,
            outages=impact.outages,
            footholds=footholds,
            claims=claims,
            references=references,
        ),
        open_items=items,
        next_steps=find_next_steps(incidents, hits, items, impact.outages, collect),
        coverage=tuple(sorted(covered, key=lambda row: (row.host, row.format, row.channel))),
        log_findings=findings,
        sources=tuple(sorted(sources, key=lambda row: row.path)),
        claims=claims,
        contradictions=tuple(claims_result.contradictions) if claims_result else (),
        alleged=tuple(claims_result.alleged) if claims_result else (),
        collect=collect,
        open_offers=tuple(claims_result.open_offers) if claims_result else (),
        not_in_incident=len(hits) - len({position for incident in incidents for position in incident.sightings}),
    )


class _Placer:
    """Gives each sighting its host's one name, and the tags that knowledge adds."""

    def __init__(
        self,
        names: HostNames,
        addresses: Mapping[str, str],
        known: frozenset[str],
        tags: Mapping[str, Sequence[str]],
    ) -> None:
        self._names = names
        self._addresses = addresses
        self._known = known
        self._tags = tags
        self._hosts: dict[tuple[str, str, str], str] = {}

    def __call__(self, sighting: Sighting) -> Sighting:
        host = self._host(sighting)
        extra = (*self._tags.get(sighting.indicator, ()), *self._tags.get(sighting.ref, ()))
        tags = tuple(dict.fromkeys((*sighting.tags, *extra))) if extra else sighting.tags
        if host == sighting.host and tags == sighting.tags:
            return sighting
        return msgspec.structs.replace(sighting, host=host, tags=tags)

    def _host(self, sighting: Sighting) -> str:
        if sighting.format not in request_formats():
            return self._names.of(sighting.host)
        service = str(sighting.fields.get("cs-host") or sighting.fields.get("vhost") or "").casefold()
        key = (sighting.host or str(sighting.fields.get("s-ip") or ""), service, sighting.evidence)
        if key not in self._hosts:
            self._hosts[key] = service_host(*key, self._names, self._addresses, self._known) or service
        return self._hosts[key]


def _until(row: CoverageRow, reference_time: datetime) -> CoverageRow:
    """Return coverage that ends when the case is built at the latest: what is later can't have been seen."""
    if row.last is None or row.last <= reference_time:
        return row
    return msgspec.structs.replace(row, last=reference_time)


def _evidence_end(
    coverage: Iterable[CoverageRow], hits: Iterable[Sighting], signals: Iterable[Sighting], impact: ImpactResult
) -> int:
    ends = [micros_of(row.last) for row in coverage if row.last is not None]
    ends += [one.time for one in (*hits, *signals) if one.time is not None]
    ends += [micros_of(outage.first_served or outage.last_served) for outage in impact.outages]
    return max(ends, default=0)


def _case_id(name: str, hits: Iterable[Sighting], impact: ImpactResult, claims: Iterable[Claim]) -> str:
    digest = hashlib.sha256()
    for hit in hits:
        digest.update(f"{hit.indicator}\0{hit.event}\0{hit.time}\n".encode())
    outages = [
        [outage.service, format_timestamp(outage.last_served), outage.cause, outage.reason] for outage in impact.outages
    ]
    return content_id("grouping", [name, digest.hexdigest(), outages, sorted(claim.id for claim in claims)])
