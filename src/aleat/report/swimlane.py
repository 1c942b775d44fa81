"""The swimlane: one lane a host, outage bars on the same time axis, quiet stretches cut out and labelled.

Pure geometry: times in, coordinates out; the SVG is written by the template. A case's events can lie fourteen
months apart and its outages last minutes, so the axis is linear within stretches of activity, whose widths
grow with the logarithm of their length, and what lies between them is a gap of fixed width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from aleat.case.records import Case
from aleat.hunt.indicator import level_rank

__all__ = ["Axis", "Bar", "Lane", "Mark", "Stretch", "Swimlane", "make_axis", "make_swimlane"]

_QUIET = timedelta(days=4)
_MAX_GAPS = 6
_GAP_WIDTH = 34.0
_MARK_WIDTH = 5.0
_MAX_LANES = 40
_MIN_STRETCH = timedelta(minutes=30)


class Stretch(msgspec.Struct, frozen=True):
    """A stretch of activity: times `start` to `end` at `left` to `left + width`."""

    start: datetime
    end: datetime
    left: float
    width: float


class Axis(msgspec.Struct, frozen=True):
    """A time axis of `width` units in stretches."""

    stretches: tuple[Stretch, ...]
    width: float

    def x(self, time: datetime) -> float:
        """Return the place of `time`; within a gap, the gap's middle."""
        for stretch in self.stretches:
            if time < stretch.start:
                return max(0.0, stretch.left - _GAP_WIDTH / 2)
            if time <= stretch.end:
                share = (time - stretch.start) / (stretch.end - stretch.start)
                return stretch.left + share * stretch.width
        return self.width

    @property
    def gaps(self) -> tuple[tuple[float, int], ...]:
        """Return (middle, whole days) of each gap."""
        return tuple(
            (after.left - _GAP_WIDTH / 2, (after.start - before.end).days) for before, after in pairwise(self.stretches)
        )


class Mark(msgspec.Struct, frozen=True):
    """One or several sightings at one place of a lane: the highest level, how many, and the first one's number."""

    x: float
    level: str
    count: int
    sighting: int
    title: str
    time: datetime


class Bar(msgspec.Struct, frozen=True):
    """An outage: from `x` over `width`; open at its end if the service isn't seen again."""

    x: float
    width: float
    cause: str
    service: str
    outage: int
    open_end: bool


class Lane(msgspec.Struct, frozen=True):
    """One host or service."""

    name: str
    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()


class Swimlane(msgspec.Struct, frozen=True):
    """All lanes; `left_out` counts hosts beyond the limit."""

    axis: Axis
    lanes: tuple[Lane, ...]
    left_out: int = 0


def make_axis(times: Iterable[datetime], width: float = 900.0) -> Axis:
    """Return an axis of `width` units for `times` (at least one, in any order)."""
    ordered = sorted(set(times))
    spans = _stretches(ordered)
    padded = []
    for start, end in spans:
        pad = max((end - start) * 0.03, _MIN_STRETCH)
        padded.append((start - pad, end + pad))
    weights = [math.log2(2 + (end - start) / timedelta(hours=1)) for start, end in padded]
    gap = min(_GAP_WIDTH, 0.4 * width / len(padded))
    room = width - gap * (len(padded) - 1)
    stretches, left = [], 0.0
    for (start, end), weight in zip(padded, weights, strict=True):
        share = room * weight / sum(weights)
        stretches.append(Stretch(start, end, left, share))
        left += share + gap
    return Axis(tuple(stretches), width)


def _stretches(ordered: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Part sorted times at the longest quiet stretches, at most `_MAX_GAPS` of them."""
    quiet = [(after - before, before) for before, after in pairwise(ordered) if after - before > _QUIET]
    cuts = {before for _, before in sorted(quiet, reverse=True)[:_MAX_GAPS]}
    spans: list[tuple[datetime, datetime]] = []
    start = ordered[0]
    for before, after in pairwise(ordered):
        if before in cuts:
            spans.append((start, before))
            start = after
    return [*spans, (start, ordered[-1])]


def make_swimlane(case: Case, moments: Sequence[datetime | None], width: float = 900.0) -> Swimlane | None:
    """Return the lanes of a case, or None where it has nothing to show.

    `moments` are the times of ``case.sightings``, position by position.
    """
    in_incident = sorted({position for incident in case.incidents for position in incident.sightings})
    times = [moment for position in in_incident if (moment := moments[position])]
    for outage in case.outages:
        times += [outage.last_served, outage.first_served or outage.last_served]
    if not times:
        return None
    axis = make_axis(times, width)
    last = max(times)

    services: dict[str, list[Bar]] = {}
    for number, outage in enumerate(case.outages):
        start = axis.x(outage.last_served)
        end = axis.x(outage.first_served or last)
        bar = Bar(start, max(end - start, 2.0), outage.cause, outage.service, number, outage.first_served is None)
        services.setdefault(outage.service, []).append(bar)

    hosts: dict[str, list[tuple[datetime, int]]] = {}
    for position in in_incident:
        moment = moments[position]
        if moment is not None:
            hosts.setdefault(case.sightings[position].host, []).append((moment, position))
    order = sorted(hosts, key=lambda host: (min(hosts[host]), host))
    lanes = [Lane(service, (), tuple(bars)) for service, bars in sorted(services.items())]
    lanes += [Lane(host, _marks(case, axis, hosts[host])) for host in order[:_MAX_LANES]]
    return Swimlane(axis, tuple(lanes), max(0, len(order) - _MAX_LANES))


def _marks(case: Case, axis: Axis, events: list[tuple[datetime, int]]) -> tuple[Mark, ...]:
    places: dict[int, list[tuple[datetime, int]]] = {}
    for moment, position in sorted(events):
        places.setdefault(round(axis.x(moment) / _MARK_WIDTH), []).append((moment, position))
    marks = []
    for place, here in sorted(places.items()):
        loudest = max(here, key=lambda event: level_rank(case.sightings[event[1]].level))
        sighting = case.sightings[loudest[1]]
        marks.append(Mark(place * _MARK_WIDTH, sighting.level, len(here), loudest[1], sighting.title, loudest[0]))
    return tuple(marks)
