"""Sigma correlations (Correlation Rules specification 2.1) over what the base rules matched: pure, order-free.

`correlate` takes the sightings of all segments, in any order, and gives one sighting for each correlation and
episode. How the specification is read where it leaves room:

- *Windows slide*: no boundary of a clock's hour matters. Two events are in one window where they are at most
  the timespan apart.
- *Counts with only a lower bound* (``gt``, ``gte``) are looked at in the window that ends with each event. With
  any other operator, and for sums, averages and percentiles, in the windows that can't take in one more event
  (else a burst of ten would pass through "exactly three"). Windows without any event are not windows.
- *An episode* is one sighting: windows that match and share events are joined; its `parts` are all their events,
  and its record is the last.
- *An event without a group-by field* belongs to no group. Values are compared as Sigma compares: as text,
  without case. An event without a time belongs to no window.
- *One event that several rules match* is one event to counts, sums and shares, and each of these rules to
  `temporal`.
- *temporal_ordered*: strictly by time; within one source, ties are settled by the record's number; across
  sources, two events of one time may stand in either order. One event can't follow itself. A condition says how
  many of the rules, in their order, there must be.
- *Copies of an event* (equal `Sighting.event`) count once. Where the log doesn't number its records, lines of one
  source that say the same are as many events. Sightings that a filter hides don't count.
- *value_percentile* with ``percentile`` compares that percentile of a numeric field; without it, as in the
  specification's example, the share in percent that a value has of all the values in the window.
- *A chained correlation* is to `temporal` and `temporal_ordered` there at each moment at which it matched; to the
  other types, each episode is one event, at its end. It has the values that it groups by; other fields are those
  of its last event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from aleat.hunt import correlation_windows as windows
from aleat.hunt.correlation_windows import Window
from aleat.hunt.expression import fold, normalise_name
from aleat.hunt.indicator import Part, Sighting
from aleat.hunt.plan import CorrelationRule, Plan
from aleat.hunt.sighting_fields import FieldFinder

__all__ = ["correlate"]

_MICROSECONDS = 1_000_000
_TEMPORAL = ("temporal", "temporal_ordered")
_NUMBERED = frozenset({"windows"})  # formats whose records have numbers: equal digests are copies


def correlate(plan: Plan, sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Return the sightings of the plan's correlations over those of its rules (feeds included), in order of time."""
    if not plan.correlations:
        return ()
    base = _base_events(plan, sightings)
    chained: dict[int, _Chained] = {}
    used = {number for rule in plan.correlations for number in rule.rules}
    finder = FieldFinder(plan)
    found: list[Sighting] = []
    for position, rule in enumerate(plan.correlations):
        correlation = _Correlation(rule, finder, base, chained)
        number = -1 - position
        kept = chained[number] = _Chained([], [])
        for match in correlation.matches():
            if number in used:
                match.add_to(kept, number)
            if rule.reported:
                found.append(_sighting(rule, match))
    return tuple(sorted(found, key=lambda found: (found.time or 0, found.evidence, found.record, found.indicator)))


# ----------------------------------------------------------------------------------------------- what happens


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A base rule's event, or the moment at which another correlation matched.

    `rule` is its number (`CorrelationRule.rules`), `base` that of the rule of its last event, `event` names it
    among all; `values` are those that a correlation groups by, and `inner` what it rests on.
    """

    rule: int
    base: int
    time: int
    last: Sighting
    event: tuple[str, int]
    values: Mapping[str, str] = field(default_factory=dict)
    inner: _Run | None = None

    @property
    def order(self) -> tuple[int, str, int, str]:
        return self.time, self.last.evidence, self.last.record, self.last.event


@dataclass(frozen=True, slots=True)
class _Run:
    """Some neighbours of a group's events, kept as places: overlapping windows share their events."""

    events: Sequence[_Occurrence]
    first: int
    last: int


@dataclass(slots=True)
class _Chained:
    """What a correlation is to others."""

    moments: list[_Occurrence]
    episodes: list[_Occurrence]


def _base_events(plan: Plan, sightings: Iterable[Sighting]) -> dict[int, list[_Occurrence]]:
    """Return the events of each base rule, copies folded."""
    position = {
        (rule.indicator.id, rule.indicator.ref, rule.indicator.digest): place for place, rule in enumerate(plan.rules)
    }
    used = {number for rule in plan.correlations for number in rule.rules}
    found: dict[int, list[_Occurrence]] = {}
    seen: set[tuple[int, tuple[str, int]]] = set()
    repeated: dict[tuple[int, str, str], int] = {}
    for sighting in sorted(sightings, key=lambda one: (one.evidence, one.record)):
        number = position.get((sighting.indicator, sighting.ref, sighting.rule_digest))
        if number is None or number not in used or sighting.time is None or sighting.hidden_by is not None:
            continue
        times = 0
        if sighting.format not in _NUMBERED:
            line = (number, sighting.evidence, sighting.event)
            times = repeated[line] = repeated.get(line, -1) + 1
        event = (sighting.event, times)
        if (number, event) not in seen:
            seen.add((number, event))
            found.setdefault(number, []).append(_Occurrence(number, number, sighting.time, sighting, event))
    return found


# ---------------------------------------------------------------------------------------------- one correlation


@dataclass(slots=True)
class _Match:
    """An episode: of a group's events those from the `first` to the `last`, in `windows` that match."""

    group: tuple[tuple[str, str], ...]
    events: Sequence[_Occurrence]
    windows: list[Window]
    first: int
    last: int

    @property
    def value(self) -> float:
        return self.windows[-1][2]

    def sightings(self) -> list[Sighting]:
        """Return all that the episode rests on, each record once, in order."""
        found: dict[tuple[str, int, str], Sighting] = {}
        waiting = [_Run(self.events, self.first, self.last)]
        while waiting:
            deeper: list[_Run] = []
            for run in _joined(waiting):
                for occurrence in run.events[run.first : run.last + 1]:
                    if occurrence.inner is not None:
                        deeper.append(occurrence.inner)
                    else:
                        one = occurrence.last
                        found[one.evidence, one.record, one.event] = one
            waiting = deeper
        return sorted(found.values(), key=lambda one: (one.time or 0, one.evidence, one.record))

    def add_to(self, kept: _Chained, number: int) -> None:
        """Add the moments at which it matched, and the episode as one, under the correlation's number."""
        values = {normalise_name(name): value for name, value in self.group}
        for first, last, _ in self.windows:
            kept.moments.append(self._moment(number, first, last, values))
        kept.episodes.append(self._moment(number, self.first, self.last, values))

    def _moment(self, number: int, first: int, last: int, values: Mapping[str, str]) -> _Occurrence:
        at = self.events[last]
        event = (f"{number}\n{at.event[0]}\n{self.group!r}", at.event[1])
        return _Occurrence(number, at.base, at.time, at.last, event, values, _Run(self.events, first, last))


def _joined(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Yield the runs with those that overlap made one, so that none is walked through again and again."""
    of_events: dict[int, list[_Run]] = {}
    for run in runs:
        of_events.setdefault(id(run.events), []).append(run)
    for group in of_events.values():
        group.sort(key=lambda run: run.first)
        events, first, last = group[0].events, group[0].first, group[0].last
        for run in group[1:]:
            if run.first > last + 1:
                yield _Run(events, first, last)
                first = run.first
            last = max(last, run.last)
        yield _Run(events, first, last)


class _Correlation:
    """One correlation over the occurrences of its rules."""

    def __init__(
        self,
        rule: CorrelationRule,
        finder: FieldFinder,
        base: Mapping[int, Sequence[_Occurrence]],
        chained: Mapping[int, _Chained],
    ) -> None:
        self.rule = rule
        self.span = rule.timespan * _MICROSECONDS
        self.aliases = {alias: dict(fields) for alias, fields in rule.aliases}
        self._finder = finder
        self._base = base
        self._chained = chained

    def matches(self) -> Iterator[_Match]:
        """Yield the episodes, group by group."""
        groups: dict[tuple[str, ...], list[_Occurrence]] = {}
        for number in dict.fromkeys(self.rule.rules):
            for occurrence in self._occurrences(number):
                key = self._texts(occurrence, self.rule.group_by)
                if key is not None:
                    groups.setdefault(key, []).append(occurrence)
        for key, occurrences in sorted(groups.items()):
            occurrences.sort(key=lambda occurrence: occurrence.order)
            events = occurrences if self.rule.type in _TEMPORAL else self._each_once(occurrences)
            group = tuple(zip(self.rule.group_by, key, strict=True))
            yield from _episodes(group, events, sorted(self._windows(events)))

    def _occurrences(self, number: int) -> Sequence[_Occurrence]:
        if number >= 0:
            return self._base.get(number, ())
        chained = self._chained[number]
        return chained.moments if self.rule.type in _TEMPORAL else chained.episodes

    def _each_once(self, occurrences: Iterable[_Occurrence]) -> list[_Occurrence]:
        """Return the events without those that another rule gave too, unless their values are others (aliases)."""
        kept = {(one.event, self._texts(one, self.rule.fields)): one for one in reversed(list(occurrences))}
        return list(reversed(kept.values()))

    def _texts(self, occurrence: _Occurrence, names: Iterable[str]) -> tuple[str, ...] | None:
        """Return the texts of fields, folded, or None where one is missing."""
        found = []
        for name in names:
            text = self._text(occurrence, name)
            if text is None:
                return None
            found.append(text)
        return tuple(found)

    def _text(self, occurrence: _Occurrence, name: str) -> str | None:
        field_name = self.aliases.get(name, {}).get(occurrence.rule, name)
        chained = occurrence.values.get(normalise_name(field_name))
        if chained is not None:
            return chained
        text = self._finder.text(occurrence.base, occurrence.last, field_name)
        return None if text is None else fold(text)

    def _windows(self, events: Sequence[_Occurrence]) -> Iterator[Window]:
        rule = self.rule
        times = [event.time for event in events]
        if rule.type == "event_count":
            return windows.count_events(times, self.span, rule.condition)
        if rule.type in _TEMPORAL:
            return self._temporal(events, times)
        if rule.type == "value_count" or (rule.type == "value_percentile" and rule.percentile is None):
            values = [self._texts(event, rule.fields) for event in events]
            look = windows.count_values if rule.type == "value_count" else windows.shares
            return look(times, self.span, values, rule.condition)
        texts = [self._text(event, rule.fields[0]) for event in events]
        numbers = [None if text is None else windows.exact_number(text) for text in texts]
        return windows.metrics(times, self.span, numbers, rule.condition, rule.type, rule.percentile or 0.0)

    def _temporal(self, events: Sequence[_Occurrence], times: Sequence[int]) -> Iterator[Window]:
        rule = self.rule
        if rule.type == "temporal":
            place = {number: place for place, number in enumerate(rule.rules)}
            rules = [place[event.rule] for event in events]
            return windows.count_rules(times, self.span, rules, rule.condition, rule.expression)
        length = len(rule.rules)
        wanted = next((size for size in range(1, length + 1) if windows.holds(rule.condition, size)), length)
        places_of: dict[int, list[int]] = {}
        for place_in, number in enumerate(rule.rules):
            places_of.setdefault(number, []).append(place_in)
        places = [places_of[event.rule] for event in events]
        precedes = lambda one, other: _precedes(events[one], events[other])  # noqa: E731
        return windows.ordered(times, self.span, places, precedes, wanted, length)


def _episodes(
    group: tuple[tuple[str, str], ...], events: Sequence[_Occurrence], found: Iterable[Window]
) -> Iterator[_Match]:
    """Join windows that share events."""
    match: _Match | None = None
    for window in found:
        first, last, _ = window
        if match is None or first > match.last:
            if match is not None:
                yield match
            match = _Match(group, events, [], first, last)
        match.last = max(match.last, last)
        match.windows.append(window)
    if match is not None:
        yield match


def _precedes(one: _Occurrence, other: _Occurrence) -> bool:
    if one.time != other.time:
        return one.time < other.time
    if one.last.evidence == other.last.evidence:
        return one.last.record < other.last.record
    return one.last.event != other.last.event


def _sighting(rule: CorrelationRule, match: _Match) -> Sighting:
    events = match.sightings()
    last = events[-1]
    counted = repr(int(match.value)) if match.value.is_integer() else repr(match.value)
    indicator = rule.indicator
    return msgspec.structs.replace(
        last,
        indicator=indicator.id,
        title=indicator.title,
        level=indicator.level,
        author=indicator.author,
        source=indicator.source,
        ref=indicator.ref,
        rule_digest=indicator.digest,
        tags=indicator.tags,
        hidden_by=None,
        parts=tuple(Part(one.evidence, one.segment, one.record, one.offset, one.event, one.time) for one in events),
        matched=(*match.group, (rule.type, counted)),
    )
