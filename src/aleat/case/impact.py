"""Outages: windows in which a service answered nobody, from web logs, each with a cause or "undetermined".

A request counts as served where its status is below 500. Windows are bounded by requests, not by estimates:
the last one served before and the first one after. `silence` says what is too improbable to be chance;
`causes` says why. Time without a log is not an outage: where a whole file is missing for every service, the
evidence has a gap (`LogGap`); where it is missing for this service only, the log is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aleat.case.causes import CauseFinder, Stop, Verdict
from aleat.case.hosts import HostNames, service_host
from aleat.case.parameters import ImpactParameters, Parameters, defaults
from aleat.case.records import CoverageRow, EvidenceRef, Incident, Outage
from aleat.case.refs import ReferenceMaker
from aleat.case.requests import request_formats
from aleat.case.silence import RateModel, Silence, find_silences
from aleat.hunt.indicator import Sighting
from aleat.stix.ids import content_id
from aleat.times import DAY, HOUR, MINUTE, calendar_time, micros_of

__all__ = ["ImpactResult", "LogGap", "find_outages"]

_SERVED_BELOW = 500


class LogGap(msgspec.Struct, frozen=True, kw_only=True):
    """A time for which no web log was given at all, or the end of a service's log: not an outage."""

    service: str
    start: int
    end: int | None


class ImpactResult(msgspec.Struct, frozen=True, kw_only=True):
    """Outages in order of time, and the gaps in what was given; `service_hosts` says who serves what."""

    outages: tuple[Outage, ...]
    gaps: tuple[LogGap, ...]
    service_hosts: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Service:
    """One service's requests in order of time, as arrays."""

    name: str
    times: npt.NDArray[np.int64]
    served: npt.NDArray[np.bool_]
    evidence: npt.NDArray[np.int32]
    host: npt.NDArray[np.int32]
    record: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]


def find_outages(
    requests: pa.Table,
    *,
    hits: Sequence[Sighting] = (),
    signals: Sequence[Sighting] = (),
    incidents: Sequence[Incident] = (),
    coverage: Sequence[CoverageRow] = (),
    names: HostNames | None = None,
    addresses: Mapping[str, str] | None = None,
    references: ReferenceMaker | None = None,
    depends: Mapping[str, Sequence[str]] | None = None,
    parameters: Parameters | None = None,
) -> ImpactResult:
    """Return the outages of every service in a table of `aleat.case.requests.REQUESTS_SCHEMA`.

    `incidents` point into `hits` (`Incident.sightings`). `depends` tells which hosts a host can't do without
    (case's spelling). Nothing depends on the order of rows.
    """
    finder = _ImpactFinder(
        requests,
        names or HostNames([row.host for row in coverage] + [one.host for one in (*hits, *signals)]),
        addresses or {},
        coverage,
        signals,
        references or ReferenceMaker(),
        CauseFinder(hits, signals, incidents, (parameters or defaults()).impact, depends),
        (parameters or defaults()).impact,
    )
    return finder.run()


class _ImpactFinder:
    def __init__(
        self,
        requests: pa.Table,
        names: HostNames,
        addresses: Mapping[str, str],
        coverage: Sequence[CoverageRow],
        signals: Sequence[Sighting],
        references: ReferenceMaker,
        causes: CauseFinder,
        parameters: ImpactParameters,
    ) -> None:
        self._parameters = parameters
        self._causes = causes
        self._references = references
        self._names = names
        self._addresses = addresses
        self._coverage = coverage
        self._signal_times = _times_by_host(signals)
        self._known = frozenset(
            [names.of(row.host) for row in coverage if row.host and row.format not in request_formats()]
            + [names.of(one.host) for one in signals if one.host and one.format not in request_formats()]
        )
        self._paths: list[str] = []
        self._hosts: list[str] = []
        self._services = self._split(requests)
        self._serving = {service.name: self._hosts_of(service) for service in self._services}

    def run(self) -> ImpactResult:
        outages: list[Outage] = []
        gaps: list[LogGap] = []
        for service in self._services:
            found, missing = self._of_service(service)
            outages += found
            gaps += missing
        outages.sort(key=lambda outage: (outage.last_served, outage.service))
        gaps.sort(key=lambda gap: (gap.start, gap.service))
        return ImpactResult(outages=tuple(outages), gaps=tuple(gaps), service_hosts=self._serving)

    # --- input

    def _split(self, requests: pa.Table) -> list[_Service]:
        if requests.num_rows == 0:
            return []
        table = requests.unify_dictionaries().combine_chunks()
        self._paths, evidence = _coded(table.column("evidence"))
        self._hosts, host = _coded(table.column("host"))
        names, service = _coded(table.column("service"))
        times = np.asarray(table.column("time").combine_chunks().cast(pa.int64()))
        status = np.asarray(pc.fill_null(table.column("status").combine_chunks(), _SERVED_BELOW))
        record = np.asarray(table.column("record").combine_chunks())
        offset = np.asarray(table.column("offset").combine_chunks())
        order = np.lexsort((record, evidence, times, service))
        starts = np.searchsorted(service[order], np.arange(len(names) + 1))
        served = status < _SERVED_BELOW
        found = []
        for code, name in enumerate(names):
            rows = order[starts[code] : starts[code + 1]]
            if len(rows):
                found.append(
                    _Service(name, times[rows], served[rows], evidence[rows], host[rows], record[rows], offset[rows])
                )
        return found

    def _hosts_of(self, service: _Service) -> tuple[str, ...]:
        pairs = np.unique(np.stack([service.host, service.evidence]), axis=1)
        found = {self._host(service.name, int(host), int(evidence)) for host, evidence in pairs.T}
        return tuple(sorted(found - {""}))

    def _host(self, service: str, host: int, evidence: int) -> str:
        return service_host(
            self._hosts[host], service, self._paths[evidence], self._names, self._addresses, self._known
        )

    # --- one service

    def _of_service(self, service: _Service) -> tuple[list[Outage], list[LogGap]]:
        rows = np.flatnonzero(service.served)
        served = service.times[rows]
        silences, model = find_silences(served, self._parameters)
        if model is None:
            return [], []
        rotation = _rotation_hour(service)
        outages: list[Outage] = []
        gaps: list[LogGap] = []
        for silence in silences:
            hole = self._is_missing_file(service, silence, model, rotation)
            if hole and not self._others_logged(service, silence):
                gaps.append(LogGap(service=service.name, start=silence.start, end=silence.end))
                continue
            stop = self._stop(service, silence, silences, model, file_missing=hole)
            outages.append(self._outage(service, rows, silence, self._causes.decide(stop)))
        outages += self._at_the_end(service, rows, silences, model, rotation)
        return outages, gaps

    def _stop(
        self, service: _Service, silence: Silence, silences: Sequence[Silence], model: RateModel, *, file_missing: bool
    ) -> Stop:
        lag = silence.start + int(self._parameters.lag_minutes * MINUTE)
        latest = max(lag, model.reach(silence.start, self._parameters.surprise_bits))
        if silence.end is not None:
            latest = min(latest, silence.end)
        hosts = self._serving[service.name]
        return Stop(
            hosts=hosts,
            start=silence.start,
            latest=latest,
            end=silence.end,
            recurs=_recurs(silence, silences, int(self._parameters.recurring_minutes * MINUTE)),
            host_alive=self._alive(service, hosts, silence),
            file_missing=file_missing,
        )

    def _alive(self, service: _Service, hosts: Sequence[str], silence: Silence) -> bool:
        """Other evidence of a host goes on in the middle of the silence: another service, or its own events."""
        end = silence.end if silence.end is not None else silence.start + DAY
        third = (end - silence.start) // 3
        since, until = silence.start + third, end - third
        for other in self._services:
            if other is not service and set(self._serving[other.name]) & set(hosts):
                low, high = np.searchsorted(other.times, [since, until])
                if other.served[low:high].any():
                    return True
        return any(
            np.searchsorted(times, since) < np.searchsorted(times, until, side="right")
            for host in hosts
            if (times := self._signal_times.get(host)) is not None
        )

    def _others_logged(self, service: _Service, silence: Silence) -> bool:
        """Whether another service has a log of the middle of the silence: then logs of that time were given."""
        end = silence.end if silence.end is not None else silence.start + DAY
        quarter = (end - silence.start) // 4
        for other in self._services:
            if other is not service:
                low, high = np.searchsorted(other.times, [silence.start + quarter, end - quarter])
                if high > low:
                    return True
        return False

    def _is_missing_file(self, service: _Service, silence: Silence, model: RateModel, rotation: int) -> bool:
        """The log stops with one file and goes on with another, both at one hour of the day, whole days apart."""
        if silence.end is None:
            return False
        before = int(np.searchsorted(service.times, silence.start, side="right")) - 1
        after = int(np.searchsorted(service.times, silence.end))
        if service.evidence[before] == service.evidence[after] or after - before > 1:
            return False
        slack = self._parameters.rotation_slack_bits
        for hour in dict.fromkeys((rotation, (silence.start // HOUR + 1) % 24)):
            closed = _next_rotation(silence.start, hour)
            opened = _next_rotation(silence.end, hour) - DAY
            near = model.bits(silence.start, closed) < slack and model.bits(opened, silence.end) < slack
            if closed < opened and near:
                return True
        return False

    def _at_the_end(
        self,
        service: _Service,
        rows: npt.NDArray[np.int64],
        silences: Sequence[Silence],
        model: RateModel,
        rotation: int,
    ) -> list[Outage]:
        """A log that ends while the others go on: still down, or evidence that simply ends?"""
        last = int(service.times[rows[-1]])
        others = [int(other.times[-1]) for other in self._services if other is not service]
        own = int(service.times[-1])
        threshold = self._parameters.surprise_bits
        scale = model.scale_beside(last, last)
        horizon = max([own, *others])
        failing = model.bits(last, own, scale) >= threshold
        ends_with_file = model.bits(last, _next_rotation(last, rotation)) < self._parameters.rotation_slack_bits
        bits = model.bits(last, horizon, scale)
        silence = Silence(last, None, bits)
        if failing or (bits >= threshold and not ends_with_file):
            stop = self._stop(service, silence, silences, model, file_missing=False)
            return [self._outage(service, rows, silence, self._causes.decide(stop))]
        horizon = self._host_goes_on(service.name)
        bits = model.bits(last, horizon, scale)
        if bits >= threshold and not ends_with_file:
            silence = Silence(last, None, bits)
            verdict = self._causes.decide(self._stop(service, silence, silences, model, file_missing=False))
            if verdict.cause in {"attacker", "protective-shutdown"}:
                return [self._outage(service, rows, silence, verdict)]
        return []

    def _host_goes_on(self, service: str) -> int:
        hosts = set(self._serving[service])
        ends = [
            micros_of(row.last) for row in self._coverage if row.last is not None and self._names.of(row.host) in hosts
        ]
        return max(ends, default=0)

    # --- output

    def _outage(self, service: _Service, rows: npt.NDArray[np.int64], silence: Silence, verdict: Verdict) -> Outage:
        position = int(np.searchsorted(service.times[rows], silence.start, side="right")) - 1
        before = int(rows[position])
        after = int(rows[position + 1]) if silence.end is not None else len(service.times)
        failed = int(np.count_nonzero(~service.served[before + 1 : after]))
        low = int(np.searchsorted(service.times[rows], silence.start - HOUR))
        span = max(MINUTE, silence.start - max(silence.start - HOUR, int(service.times[rows[0]])))
        host = self._host(service.name, int(service.host[before]), int(service.evidence[before]))
        return Outage(
            id=content_id("incident", ["outage", service.name, silence.start, silence.end]),
            service=service.name,
            host=host,
            last_served=calendar_time(silence.start),
            first_served=calendar_time(silence.end) if silence.end is not None else None,
            cause=verdict.cause,
            reason=verdict.reason,
            because=self._references.all_of(verdict.because),
            rate_before=round((position + 1 - low) * MINUTE / span, 3),
            surprise=round(silence.bits, 1),
            failed_requests=failed,
            before=self._reference(service, before),
            after=self._reference(service, after) if silence.end is not None else None,
            incident=verdict.incident,
            by=verdict.by,
        )

    def _reference(self, service: _Service, row: int) -> EvidenceRef:
        path = self._paths[int(service.evidence[row])]
        return self._references.at(path, int(service.record[row]), int(service.offset[row]))


def _coded(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return a dictionary column's distinct values, sorted, and each row's place among them."""
    array = column.combine_chunks()
    values = [value or "" for value in array.dictionary.to_pylist()]
    ordered = sorted(set(values))
    place = {value: position for position, value in enumerate(ordered)}
    codes = np.asarray(pc.fill_null(array.indices, 0))
    mapping = np.array([place[value] for value in values], dtype=np.int32)
    if not len(mapping):
        return [""], np.zeros(len(codes), dtype=np.int32)
    return ordered, mapping[codes]


def _times_by_host(signals: Sequence[Sighting]) -> dict[str, npt.NDArray[np.int64]]:
    times: dict[str, list[int]] = {}
    for signal in signals:
        if signal.time is not None and signal.format not in request_formats():
            times.setdefault(signal.host, []).append(signal.time)
    return {host: np.array(sorted(values), dtype=np.int64) for host, values in times.items()}


def _next_rotation(time: int, hour: int) -> int:
    """The next daily rotation after `time`, at a whole hour (UTC)."""
    shift = hour * HOUR
    return ((time - shift) // DAY + 1) * DAY + shift


def _rotation_hour(service: _Service) -> int:
    """The hour (UTC) at which a service's log goes on in another file, as most of its files show; 0 where none does."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    codes, starts = np.unique(service.evidence, return_index=True)
    _, ends = np.unique(service.evidence[::-1], return_index=True)
    for code, start, end in zip(codes, starts, ends, strict=True):
        first[int(code)] = int(service.times[start])
        last[int(code)] = int(service.times[len(service.times) - 1 - end])
    votes = [0] * 24
    ordered = sorted(first, key=lambda code: first[code])
    for one, other in pairwise(ordered):
        gap = first[other] - last[one]
        if 0 <= gap <= 2 * HOUR and first[other] // HOUR > last[one] // HOUR:
            for hour in range(last[one] // HOUR + 1, first[other] // HOUR + 1):
                votes[hour % 24] += 1
    return votes.index(max(votes))


def _recurs(silence: Silence, silences: Sequence[Silence], slack: int) -> bool:
    """Another silence begins at the same time of day, whole weeks apart, or two do, whole days apart."""
    weekly = daily = 0
    for other in silences:
        if other is silence or other.start == silence.start:
            continue
        apart = abs(other.start - silence.start)
        if min(apart % (7 * DAY), -apart % (7 * DAY)) <= slack:
            weekly += 1
        if min(apart % DAY, -apart % DAY) <= slack:
            daily += 1
    return weekly >= 1 or daily >= 2
