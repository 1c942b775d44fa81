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
- *temporal_ordered*: strictly by time; within one source, ties are settled by the record's number; across
  sources, two events of one time may stand in either order. One event can't follow itself. All the rules are
  needed; its condition, if any, is not looked at.
- *Copies of an event* (equal `Sighting.event`) count once. Sightings that a filter hides don't count.
- *value_percentile* with ``percentile`` compares that percentile of a numeric field; without it, as in the
  specification's example, the share in percent that a value has of all the values in the window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import msgspec

from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import Fact, Field, Joined, Subject, View, fold, normalise_name
from aleat.hunt.indicator import Part, Sighting
from aleat.hunt.matcher import number_value
from aleat.hunt.plan import FACT_FIELDS, CorrelationRule, Plan
from aleat.hunt.taxonomy import load_taxonomy
from aleat.hunt.views import view

__all__ = ["correlate"]

_MICROSECONDS = 1_000_000
_OPERATORS: dict[str, Callable[[float, float], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}
_ONLY_LOWER = frozenset({"gt", "gte"})

Condition = tuple[tuple[str, float], ...]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A base rule's event, or the moment at which another correlation matched, with all that it rests on."""

    rule: int
    time: int
    last: Sighting
    events: tuple[Sighting, ...]
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, str, int, str]:
        return self.time, self.last.evidence, self.last.record, self.last.event


def correlate(plan: Plan, sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Return the sightings of the plan's correlations over those of its rules (feeds included), in order of time."""
    if not plan.correlations:
        return ()
    by_rule = _by_rule(plan, sightings)
    found: list[Sighting] = []
    for position, rule in enumerate(plan.correlations):
        matches = list(_Correlation(plan, rule, by_rule).matches())
        by_rule[-1 - position] = [occurrence for match in matches for occurrence in match.moments]
        if rule.reported:
            found += [_sighting(rule, match) for match in matches]
    return tuple(sorted(found, key=lambda found: (found.time or 0, found.evidence, found.record, found.indicator)))


def _by_rule(plan: Plan, sightings: Iterable[Sighting]) -> dict[int, list[_Occurrence]]:
    """Return the events of each base rule, copies folded."""
    position = {
        (rule.indicator.id, rule.indicator.ref, rule.indicator.digest): place for place, rule in enumerate(plan.rules)
    }
    used = {number for rule in plan.correlations for number in rule.rules}
    found: dict[int, list[_Occurrence]] = {}
    seen: set[tuple[int, str]] = set()
    for sighting in sorted(sightings, key=lambda one: (one.evidence, one.record)):
        number = position.get((sighting.indicator, sighting.ref, sighting.rule_digest))
        if number is None or number not in used or sighting.time is None or sighting.hidden_by is not None:
            continue
        if (number, sighting.event) not in seen:
            seen.add((number, sighting.event))
            found.setdefault(number, []).append(_Occurrence(number, sighting.time, sighting, (sighting,)))
    return found


@dataclass(slots=True)
class _Match:
    """An episode: its events, what was counted, and the moments at which it matched (for chains)."""

    group: tuple[tuple[str, str], ...]
    events: dict[tuple[str, int, str], Sighting]
    value: float
    moments: list[_Occurrence]


class _Correlation:
    """One correlation over the occurrences of its rules."""

    def __init__(self, plan: Plan, rule: CorrelationRule, by_rule: Mapping[int, list[_Occurrence]]) -> None:
        self.plan = plan
        self.rule = rule
        self.span = rule.timespan * _MICROSECONDS
        self.by_rule = by_rule
        self.aliases = {alias: dict(fields) for alias, fields in rule.aliases}
        self._finder = _FieldFinder(plan)

    def matches(self) -> Iterator[_Match]:
        """Yield the episodes, group by group."""
        groups: dict[tuple[str, ...], list[_Occurrence]] = {}
        for number in dict.fromkeys(self.rule.rules):
            for occurrence in self.by_rule.get(number, ()):
                key = self._group(number, occurrence)
                if key is not None:
                    groups.setdefault(key, []).append(_under(occurrence, number))
        for key, occurrences in sorted(groups.items()):
            occurrences.sort(key=lambda occurrence: occurrence.order)
            yield from self._episodes(key, occurrences, list(self._windows(occurrences)))

    def _group(self, number: int, occurrence: _Occurrence) -> tuple[str, ...] | None:
        values = []
        for name in self.rule.group_by:
            value = self._value(number, occurrence, name)
            if value is None:
                return None
            values.append(value)
        return tuple(values)

    def _value(self, number: int, occurrence: _Occurrence, name: str) -> str | None:
        field_name = self.aliases.get(name, {}).get(number, name)
        if number < 0:  # a chained correlation: what it grouped by, else its last event's field
            chained = occurrence.values.get(normalise_name(field_name))
            if chained is not None:
                return chained
        value = self._finder.text(number, occurrence.last, field_name)
        return None if value is None else fold(value)

    # ----------------------------------------------------------------------------------------- windows

    def _windows(self, occurrences: Sequence[_Occurrence]) -> Iterator[tuple[Span, float]]:
        """Yield (first, last) positions of the windows that match, with the value that was compared."""
        kind = self.rule.type
        if kind == "temporal_ordered":
            yield from self._ordered(occurrences)
            return
        only_lower = all(operator in _ONLY_LOWER for operator, _ in self.rule.condition)
        if kind == "temporal":
            spans = self._ending(occurrences) if only_lower else self._full(occurrences)
            for span in spans:
                rules = {occurrence.rule for occurrence in occurrences[span[0] : span[1] + 1]}
                if self._rules_hold(rules):
                    yield span, float(len(rules))
        elif kind == "event_count":
            for span in self._ending(occurrences) if only_lower else self._full(occurrences):
                count = float(span[1] - span[0] + 1)
                if self._holds(count):
                    yield span, count
        elif kind == "value_count":
            yield from self._value_counts(occurrences, ending=only_lower)
        else:
            yield from self._metrics(occurrences)

    def _ending(self, occurrences: Sequence[_Occurrence]) -> Iterator[Span]:
        """Yield the window that ends with each event."""
        first = 0
        for last, occurrence in enumerate(occurrences):
            while occurrence.time - occurrences[first].time > self.span:
                first += 1
            yield first, last

    def _full(self, occurrences: Sequence[_Occurrence]) -> Iterator[Span]:
        """Yield the windows that can't take in one more event."""
        previous: Span | None = None
        for first, last in self._ending(occurrences):
            if previous is not None and first > previous[0]:
                yield previous
            previous = first, last
        if previous is not None:
            yield previous

    def _value_counts(self, occurrences: Sequence[_Occurrence], *, ending: bool) -> Iterator[tuple[Span, float]]:
        kept = [(occurrence, self._values(occurrence)) for occurrence in occurrences]
        values = [value for _, value in kept]
        counts: Counter[tuple[str, ...]] = Counter()
        start, stop = 0, -1
        for first, last in self._ending(occurrences) if ending else self._full(occurrences):
            while stop < last:
                stop += 1
                if (value := values[stop]) is not None:
                    counts[value] += 1
            while start < first:
                if (value := values[start]) is not None:
                    counts[value] -= 1
                    if not counts[value]:
                        del counts[value]
                start += 1
            if counts and self._holds(float(len(counts))):
                yield (first, last), float(len(counts))

    def _values(self, occurrence: _Occurrence) -> tuple[str, ...] | None:
        values = [self._value(occurrence.rule, occurrence, name) for name in self.rule.fields]
        return None if None in values else tuple(value for value in values if value is not None)

    def _metrics(self, occurrences: Sequence[_Occurrence]) -> Iterator[tuple[Span, float]]:
        if self.rule.type == "value_percentile" and self.rule.percentile is None:
            yield from self._shares(occurrences)
            return
        numbers = [self._number(occurrence) for occurrence in occurrences]
        for first, last in self._full(occurrences):
            window = [number for number in numbers[first : last + 1] if number is not None]
            if window:
                value = self._metric(window)
                if self._holds(value):
                    yield (first, last), value

    def _number(self, occurrence: _Occurrence) -> float | None:
        text = self._value(occurrence.rule, occurrence, self.rule.fields[0])
        number = None if text is None else number_value(text)
        return None if number is None else float(number)

    def _metric(self, window: list[float]) -> float:
        if self.rule.type == "value_sum":
            return sum(window)
        if self.rule.type == "value_avg":
            return sum(window) / len(window)
        return _percentile(window, self.rule.percentile or 0.0)

    def _shares(self, occurrences: Sequence[_Occurrence]) -> Iterator[tuple[Span, float]]:
        """Yield each event whose value has a share of its window's values that fits."""
        values = [self._values(occurrence) for occurrence in occurrences]
        done: set[int] = set()
        for first, last in self._full(occurrences):
            counts = Counter(value for value in values[first : last + 1] if value is not None)
            total = counts.total()
            for position in range(first, last + 1):
                value = values[position]
                if value is None or position in done:
                    continue
                share = 100.0 * counts[value] / total
                if self._holds(share):
                    done.add(position)
                    yield (position, position), share

    def _ordered(self, occurrences: Sequence[_Occurrence]) -> Iterator[tuple[Span, float]]:
        """Yield the span from the first to the last rule's event for each event that completes the order."""
        rules = self.rule.rules
        # for each rule so far in order: (position of the first event, of the last), the latest to have begun
        chains: list[tuple[int, int] | None] = [None] * len(rules)
        at = 0
        while at < len(occurrences):
            tied = at
            while tied < len(occurrences) and occurrences[tied].time == occurrences[at].time:
                tied += 1
            completed: set[int] = set()
            for _ in range(len(rules) if tied - at > 1 else 1):  # ties across sources may stand in either order
                for position in range(at, tied):
                    if self._extend(occurrences, position, chains) and position not in completed:
                        completed.add(position)
                        chain = chains[-1]
                        assert chain is not None  # noqa: S101 - it was just completed
                        yield (min(chain[0], position), max(chain[0], position)), float(len(rules))
            at = tied

    def _extend(self, occurrences: Sequence[_Occurrence], position: int, chains: list[tuple[int, int] | None]) -> bool:
        occurrence = occurrences[position]
        complete = False
        for place in reversed(range(len(chains))):
            if self.rule.rules[place] != occurrence.rule:
                continue
            if place == 0:
                chains[0] = position, position
            else:
                before = chains[place - 1]
                if before is None or not _precedes(occurrences[before[1]], occurrence):
                    continue
                if occurrence.time - occurrences[before[0]].time > self.span:
                    continue
                chains[place] = before[0], position
            complete |= place == len(chains) - 1
        return complete

    # ---------------------------------------------------------------------------------------- episodes

    def _episodes(
        self, key: tuple[str, ...], occurrences: Sequence[_Occurrence], windows: list[tuple[Span, float]]
    ) -> Iterator[_Match]:
        group = tuple(zip(self.rule.group_by, key, strict=True))
        values = {normalise_name(name): value for name, value in group}
        match: _Match | None = None
        end = -1
        for (first, last), value in sorted(windows):
            if match is None or first > end:
                if match is not None:
                    yield match
                match = _Match(group, {}, value, [])
            end = max(end, last)
            match.value = value
            inside = occurrences[first : last + 1]
            events = {_identity(event): event for occurrence in inside for event in occurrence.events}
            match.events.update(events)
            at = max(inside, key=lambda occurrence: occurrence.order)
            match.moments.append(_Occurrence(0, at.time, at.last, tuple(events.values()), values))
        if match is not None:
            yield match

    def _rules_hold(self, rules: set[int]) -> bool:
        if self.rule.expression is not None:
            return _tree_holds(self.rule.expression, {self.rule.rules.index(number) for number in rules})
        return self._holds(float(len(rules)))

    def _holds(self, value: float) -> bool:
        return all(_OPERATORS[operator](value, number) for operator, number in self.rule.condition)


def _under(occurrence: _Occurrence, number: int) -> _Occurrence:
    """Return the occurrence under the number by which the correlation knows its rule."""
    if occurrence.rule == number:
        return occurrence
    return _Occurrence(number, occurrence.time, occurrence.last, occurrence.events, occurrence.values)


class _FieldFinder:
    """Finds a field of a sighting by Sigma's name, with the taxonomy's mapping for the rule's log source."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._subjects: dict[tuple[int, str, str], tuple[Subject, ...]] = {}
        self._names: dict[int, tuple[Sighting, dict[str, Any]]] = {}

    def text(self, rule: int, sighting: Sighting, name: str) -> str | None:
        """Return the text of the sighting's field, or None where it is absent or null."""
        for subject in self._mapped(rule, sighting.format, name):
            text = self._subject_text(sighting, subject)
            if text is not None:
                return text
        return None

    def _mapped(self, rule: int, format_: str, name: str) -> tuple[Subject, ...]:
        key = (rule, format_, name)
        subjects = self._subjects.get(key)
        if subjects is None:
            found: dict[Subject, None] = {Field(name): None}
            if rule >= 0:
                for variant in load_taxonomy().variants(self.plan.rules[rule].logsource):
                    if variant.format == format_:
                        found.update(dict.fromkeys(variant.subjects(name)))
            subjects = self._subjects[key] = tuple(found)
        return subjects

    def _subject_text(self, sighting: Sighting, subject: Subject) -> str | None:
        if isinstance(subject, Field):
            return self._cell(sighting, subject.name)
        if isinstance(subject, View):
            text = self._cell(sighting, subject.name)
            parts = () if text is None else view(subject.transform, text, subject.argument)
            return parts[0] if parts else None
        if isinstance(subject, Joined):
            texts = [self._cell(sighting, name) for name in subject.names]
            kept = [text for text in texts if text not in (None, "", "-")]
            return subject.separator.join(text for text in kept if text) if kept else None
        return _fact(sighting, subject.name) if isinstance(subject, Fact) else None

    def _cell(self, sighting: Sighting, name: str) -> str | None:
        held = self._names.get(id(sighting))
        if held is None or held[0] is not sighting:
            held = (sighting, {normalise_name(key): value for key, value in sighting.fields.items()})
            self._names[id(sighting)] = held
        wanted = normalise_name(name)
        value = held[1].get(wanted)
        if value is not None:
            return cell_text(value)
        return _fact(sighting, FACT_FIELDS.get(wanted, ""))


def _fact(sighting: Sighting, name: str) -> str | None:
    facts = {
        "event_id": sighting.event_id,
        "channel": sighting.channel,
        "provider": sighting.provider,
        "host": sighting.host,
        "format": sighting.format,
    }
    return facts.get(name) or None


def _precedes(one: _Occurrence, other: _Occurrence) -> bool:
    if one.time != other.time:
        return one.time < other.time
    if one.last.evidence == other.last.evidence:
        return one.last.record < other.last.record
    return True


def _tree_holds(tree: Any, rules: set[int]) -> bool:
    if isinstance(tree, int):
        return tree in rules
    children = [_tree_holds(child, rules) for child in tree[1:]]
    if tree[0] == "!":
        return not children[0]
    return all(children) if tree[0] == "&" else any(children)


def _percentile(window: list[float], percent: float) -> float:
    """Return the percentile, interpolated between the two values around it."""
    ordered = sorted(window)
    place = (len(ordered) - 1) * min(max(percent, 0.0), 100.0) / 100.0
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _identity(sighting: Sighting) -> tuple[str, int, str]:
    return sighting.evidence, sighting.record, sighting.event


def _sighting(rule: CorrelationRule, match: _Match) -> Sighting:
    events = sorted(match.events.values(), key=lambda one: (one.time or 0, one.evidence, one.record))
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
