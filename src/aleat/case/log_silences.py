"""Logs and hosts that fall silent while others are written: by the same measure of surprise as services' outages.

The unit is the active minute, a silence's surprise is that of `aleat.case.silence`: what is usual at that hour, on
working days and weekends apart. It must be no habit either: at the same hours of other weeks (of other such days, in a
log of few weeks) there are events. A log's silence counts where other logs of its host were written meanwhile; the
silence of a whole host where other hosts' logs were. Logs of requests are left to `aleat.case.impact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from aleat.case.hosts import HostNames
from aleat.case.parameters import ImpactParameters, LogParameters
from aleat.case.records import EvidenceRef, LogFinding
from aleat.case.refs import ReferenceMaker
from aleat.case.requests import request_formats
from aleat.case.silence import Silence, find_silences
from aleat.evidence.activity import Activity, Edge, activity_minutes
from aleat.hunt.event_digest import event_digest
from aleat.times import DAY, HOUR, MINUTE, calendar_time

__all__ = ["LogSeries", "find_log_silences", "make_series"]

Times = npt.NDArray[np.int64]
Key = tuple[str, str, str]
"""(Host, format, channel)."""

_MOST_REFS = 4
_WEEK = 168
_MOST_HOURS = 4 * _WEEK  # of a silence that are compared


class _Placed(Protocol):
    """An activity and where its segment lies (`aleat.case.log_findings.LogActivity`)."""

    @property
    def evidence(self) -> str: ...

    @property
    def record_base(self) -> int: ...

    @property
    def activity(self) -> Activity: ...


class LogSeries:
    """The active minutes of one log, or of all logs of a host, and the places of events beside its long pauses."""

    def __init__(self, minutes: Times, places: Mapping[int, EvidenceRef] | None = None) -> None:
        self.minutes = minutes
        self.places = places or {}

    def active_hours(self) -> int:
        """Return in how many hours there are events."""
        return len(np.unique(self.minutes // 60))

    def longest_pause(self) -> tuple[int, int] | None:
        """Return the longest time without an event (microseconds), where it is an hour or more."""
        if len(self.minutes) < 2:
            return None
        pauses = np.diff(self.minutes)
        place = int(pauses.argmax())
        if pauses[place] <= 60:
            return None
        return int(self.minutes[place]) * MINUTE, int(self.minutes[place + 1]) * MINUTE

    def share(self, start: int, end: int) -> float:
        """Return in which share of the hours between two times (microseconds) there are events."""
        first, last = start // HOUR + 1, end // HOUR
        inside = self.minutes[(self.minutes >= first * 60) & (self.minutes < last * 60)]
        return len(np.unique(inside // 60)) / max(last - first, 1)

    def refs(self, *times: int | None) -> tuple[EvidenceRef, ...]:
        """Return the events known in the minutes of these times."""
        found = [self.places.get(time // MINUTE) for time in times if time is not None]
        return tuple(dict.fromkeys(ref for ref in found if ref is not None))[:_MOST_REFS]


def make_series(logs: Iterable[_Placed], names: HostNames | None, references: ReferenceMaker) -> dict[Key, LogSeries]:
    """Return the series of every log of every host, segments put together; without `names` as hosts are spelled."""
    minutes: dict[Key, list[Times]] = {}
    places: dict[Key, dict[int, EvidenceRef]] = {}
    for log in logs:
        activity = log.activity
        host = activity.host if names is None else names.of(activity.host)
        key = (host, activity.format, activity.channel)
        minutes.setdefault(key, []).append(activity_minutes(activity.minutes))
        known = places.setdefault(key, {})
        for edge in activity.edges:
            known.setdefault(edge.time // MINUTE, _reference(log, edge, references))
    return {key: LogSeries(np.unique(np.concatenate(minutes[key])), places[key]) for key in sorted(minutes)}


def _reference(log: _Placed, edge: Edge, references: ReferenceMaker) -> EvidenceRef:
    activity, event = log.activity, ""
    if edge.number is not None:
        event = event_digest(
            host=activity.host,
            format=activity.format,
            channel=activity.channel,
            record_id=edge.number,
            time=edge.time,
            fields={},
        )
    return references.at(log.evidence, edge.record + log.record_base, edge.offset, event)


def find_log_silences(
    series: Mapping[Key, LogSeries], impact: ImpactParameters, parameters: LogParameters
) -> Iterator[LogFinding]:
    """Yield the silences of logs, then those of hosts."""
    hosts: dict[str, list[Key]] = {}
    for key in series:
        if key[0] and key[1] not in request_formats():
            hosts.setdefault(key[0], []).append(key)
    chosen = msgspec.structs.replace(
        impact, surprise_bits=parameters.surprise_bits, least_minutes=parameters.least_minutes
    )
    whole = {host: _together([series[key] for key in keys]) for host, keys in hosts.items()}
    for host, keys in hosts.items():
        for key in keys:
            others = _together([series[other] for other in keys if other != key])
            for silence in _silences(series[key], others, chosen, parameters):
                yield _finding("log-silent", key, silence, series[key])
        others = _together([one for other, one in whole.items() if other != host])
        for silence in _silences(whole[host], others, chosen, parameters):
            refs = LogSeries(whole[host].minutes, _all_places(series[key] for key in keys))
            yield _finding("host-silent", (host, "", ""), silence, refs)


def _together(several: Iterable[LogSeries]) -> LogSeries:
    found = [one.minutes for one in several]
    return LogSeries(np.unique(np.concatenate(found)) if found else np.empty(0, np.int64))


def _all_places(several: Iterable[LogSeries]) -> dict[int, EvidenceRef]:
    found: dict[int, EvidenceRef] = {}
    for one in several:
        for minute, ref in one.places.items():
            found.setdefault(minute, ref)
    return found


def _silences(
    log: LogSeries, others: LogSeries, impact: ImpactParameters, parameters: LogParameters
) -> Iterator[Silence]:
    """Yield the improbable silences of a log during which others were written; the last one may have no end."""
    minutes = log.minutes
    if len(minutes) < parameters.known_minutes or not len(others.minutes):
        return
    if (minutes[-1] - minutes[0]) * MINUTE < parameters.known_days * DAY:
        return
    found, model = find_silences(minutes * MINUTE, impact)
    habits = _Habits(minutes, impact.weekend_days)
    for silence in found:
        if silence.end is None or habits.are_kept(silence.start, silence.end, parameters.habit_share):
            continue
        if others.share(silence.start, silence.end) >= parameters.others_share:
            yield silence
    last, end = int(minutes[-1]) * MINUTE, int(others.minutes[-1]) * MINUTE
    if model is None or end - last < parameters.least_minutes * MINUTE:
        return
    bits = model.bits(last, end, model.scale_beside(last, end))
    if (
        bits >= impact.surprise_bits
        and not habits.are_kept(last, end, parameters.habit_share)
        and others.share(last, end) >= parameters.others_share
    ):
        yield Silence(last, None, bits)


class _Habits:
    """What a log does at the same hours of other weeks; where it has no other week, on other days of the same kind."""

    def __init__(self, minutes: Times, weekend: Sequence[int]) -> None:
        hours = np.unique(minutes // 60)
        self._first = int(hours[0])
        self._active = np.zeros(int(hours[-1]) - self._first + 1, bool)
        self._active[hours - self._first] = True
        self._hours = np.arange(self._first, self._first + len(self._active))
        self._kind = self._kind_of(self._hours, weekend)
        self._weekend = weekend

    @staticmethod
    def _kind_of(hours: Times, weekend: Sequence[int]) -> Times:
        kind: Times = hours % 24 + 24 * np.isin((hours // 24 + 3) % 7, weekend)  # 1970-01-01 was a Thursday
        return kind

    def are_kept(self, start: int, end: int, share: float) -> bool:
        """Say whether hardly any of the whole hours between two times (microseconds) would usually have events."""
        silent = np.arange(start // HOUR + 1, min(end // HOUR, start // HOUR + 1 + _MOST_HOURS))
        if not len(silent):
            return True
        outside = (self._hours < silent[0]) | (self._hours > end // HOUR)
        by_week = self._means(self._hours % _WEEK, outside, _WEEK)[silent % _WEEK]
        by_kind = self._means(self._kind, outside, 48)[self._kind_of(silent, self._weekend)]
        usual = np.nan_to_num(np.where(np.isnan(by_week), by_kind, by_week))
        return float(usual.sum()) < max(1.0, share * len(silent))

    def _means(self, group: Times, counted: npt.NDArray[np.bool_], groups: int) -> npt.NDArray[np.float64]:
        seen = np.bincount(group[counted], minlength=groups)
        active = np.bincount(group[counted & self._active], minlength=groups)
        means: npt.NDArray[np.float64] = np.divide(active, seen, out=np.full(groups, np.nan), where=seen > 0)
        return means


def _finding(kind: str, key: Key, silence: Silence, log: LogSeries) -> LogFinding:
    host, form, channel = key
    return LogFinding(
        kind=kind,
        host=host,
        format=form,
        channel=channel,
        first=calendar_time(silence.start),
        last=None if silence.end is None else calendar_time(silence.end),
        bits=round(silence.bits, 1),
        refs=log.refs(silence.start, silence.end),
    )
