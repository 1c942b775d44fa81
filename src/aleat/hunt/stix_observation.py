"""STIX patterns over several observations (§9.5): which sets of observations together match a pattern?

`find_matches` works on observations in time order, each with the numbers of the pattern's ``[…]`` that it
matches, and yields *disjoint* matches: the earliest that is complete, then the earliest among the rest. No
observation counts twice in one match (§9.5.2). WITHIN is evaluated window by window, so that what lies outside
of every window is never combined; the number of steps has a limit, and a pattern that reaches it raises
`PatternError` rather than being half evaluated in silence.

FOLLOWEDBY, WITHIN and START/STOP need times: observations without one take no part in such patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import msgspec

from aleat.errors import PatternError
from aleat.hunt.indicator import Indicator, NotEvaluated, Part, Sighting
from aleat.hunt.stix_pattern import compile_pattern, part_identifier
from aleat.hunt.stix_syntax import (
    Followed,
    Observation,
    ObservationAnd,
    ObservationOr,
    Observations,
    Repeated,
    StartStop,
    Within,
    observations,
)
from aleat.times import SECOND, micros_of

__all__ = ["Observed", "correlate_pattern", "find_matches"]

MAXIMUM_STEPS = 2_000_000


class Observed(msgspec.Struct, frozen=True):
    """An observation: its place in the order, its time (microseconds since 1970; None: unknown), what it matches.

    `last` is given where it happened at an unknown moment from `time` to `last` (§9.1).
    """

    order: int
    time: int | None
    numbers: frozenset[int]
    last: int | None = None

    @property
    def until(self) -> int:
        """The latest moment at which it can have happened."""
        return (self.time or 0) if self.last is None else self.last


Binding = frozenset[int]
"""The places of the observations that match (a part of) a pattern."""


def find_matches(tree: Observations, observed: Sequence[Observed]) -> Iterator[tuple[int, ...]]:
    """Yield disjoint matches as tuples of places, in time order; raises `PatternError` at the limit of steps."""
    timed = any(isinstance(node, Followed | Within | StartStop) for node in _nodes(tree))
    left = sorted((item for item in observed if item.time is not None or not timed), key=_order)
    search = _Search({item.order: item for item in left})
    while left:
        binding = next(search.bindings(tree, left), None)
        if binding is None:
            return
        yield tuple(item.order for item in left if item.order in binding)
        left = [item for item in left if item.order not in binding]


def correlate_pattern(
    indicator: Indicator, parts: Iterable[Sighting]
) -> tuple[tuple[Sighting, ...], NotEvaluated | None]:
    """Return the sightings of a pattern over several events, from what its parts matched.

    Copies of one event are one observation. Of each match the last event is the sighting's record. What
    could not be evaluated within limits is the second value.
    """
    compiled = compile_pattern(indicator.pattern)
    if compiled.tree is None:
        return (), None
    numbers = {part_identifier(indicator.id, item.number): item.number for item in observations(compiled.tree)}
    events: dict[str, tuple[Sighting, set[int]]] = {}
    for sighting in sorted((item for item in parts if item.indicator in numbers), key=_sighting_order):
        events.setdefault(sighting.event, (sighting, set()))[1].add(numbers[sighting.indicator])
    rows = list(events.values())
    observed = [Observed(at, sighting.time, frozenset(matched)) for at, (sighting, matched) in enumerate(rows)]
    found = []
    try:
        for places in find_matches(compiled.tree, observed):
            found.append(_joined(indicator, [rows[place][0] for place in places]))
    except PatternError as error:
        limit = NotEvaluated(indicator.id, indicator.title, indicator.place, error.code, error.reason, True)
        return tuple(found), limit
    return tuple(found), None


def _joined(indicator: Indicator, sightings: Sequence[Sighting]) -> Sighting:
    last = sightings[-1]
    parts = tuple(
        Part(item.evidence, item.segment, item.record, item.offset, item.event, item.time) for item in sightings
    )
    matched = tuple(dict.fromkeys(pair for item in sightings for pair in item.matched))
    return msgspec.structs.replace(
        last, indicator=indicator.id, rule_digest=indicator.digest, parts=parts, matched=matched
    )


def _sighting_order(sighting: Sighting) -> tuple[Any, ...]:
    time = sighting.time
    return (time is None, time or 0, sighting.evidence, sighting.record, sighting.indicator)


def _order(item: Observed) -> tuple[bool, int, int]:
    return (item.time is None, item.time or 0, item.order)


def _end(item: Observed) -> tuple[int, int]:
    return item.until, item.order


def _nodes(tree: Observations) -> Iterator[Observations]:
    yield tree
    if isinstance(tree, ObservationAnd | ObservationOr):
        children: tuple[Observations, ...] = tree.children
    elif isinstance(tree, Followed):
        children = (tree.first, tree.then)
    else:
        children = () if isinstance(tree, Observation) else (tree.child,)
    for child in children:
        yield from _nodes(child)


class _Search:
    """Yields bindings lazily, the earliest first, and counts its steps."""

    def __init__(self, observed: dict[int, Observed]) -> None:
        self._observed = observed
        self._steps = 0

    def bindings(
        self, tree: Observations, among: Sequence[Observed], need: Observed | None = None
    ) -> Iterator[Binding]:
        """Yield the sets of places among `among` (in time order) that match `tree`, and hold `need` if given."""
        if isinstance(tree, Observation):
            for item in among if need is None else (need,):
                self._step()
                if tree.number in item.numbers:
                    yield frozenset({item.order})
        elif isinstance(tree, ObservationOr):
            for child in tree.children:
                yield from self.bindings(child, among, need)
        elif isinstance(tree, ObservationAnd):
            yield from self._all(tree.children, among, need)
        elif isinstance(tree, Followed):
            yield from self._followed(tree, among, need)
        elif isinstance(tree, Repeated):
            yield from self._repeated(tree.child, tree.times, among, need)
        elif isinstance(tree, Within):
            yield from self._within(tree, among, need)
        else:
            start, stop = micros_of(tree.start), micros_of(tree.stop)
            timed = among if start < stop else ()
            inside = [item for item in timed if item.time is not None and item.until >= start and item.time < stop]
            if need is None or need in inside:
                yield from self.bindings(tree.child, inside, need)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAXIMUM_STEPS:
            raise PatternError(
                f"The pattern's combinations exceed {MAXIMUM_STEPS} steps over this evidence.",
                advice="Narrow its parts, or the time that it asks for.",
            )

    def _all(
        self, children: Sequence[Observations], among: Sequence[Observed], need: Observed | None
    ) -> Iterator[Binding]:
        if not children:
            if need is None:
                yield frozenset()
            return
        first, rest = children[0], children[1:]
        for binding in self.bindings(first, among, need):
            left = [item for item in among if item.order not in binding]
            for others in self._all(rest, left, None):
                yield binding | others
        if need is not None and rest:
            others_among = [item for item in among if item is not need]
            for binding in self.bindings(first, others_among):
                left = [item for item in among if item.order not in binding]
                for others in self._all(rest, left, need):
                    yield binding | others

    def _followed(self, tree: Followed, among: Sequence[Observed], need: Observed | None) -> Iterator[Binding]:
        for in_first in (True,) if need is None else (True, False):
            before = among if in_first else [item for item in among if item is not need]
            for binding in self.bindings(tree.first, before, need if in_first else None):
                latest = max(self._time(order) for order in binding)
                left = [item for item in among if item.order not in binding and item.until >= latest]
                wanted = None if in_first else need
                if wanted is None or wanted in left:
                    for others in self.bindings(tree.then, left, wanted):
                        yield binding | others

    def _repeated(
        self, child: Observations, times: int, among: Sequence[Observed], need: Observed | None
    ) -> Iterator[Binding]:
        if not isinstance(child, Observation):
            yield from self._all([child] * times, among, need)
            return
        fitting = [item for item in among if child.number in item.numbers and item is not need]
        if need is None:
            yield from self._choices(fitting, times)
        elif child.number in need.numbers:
            for others in self._choices(fitting, times - 1):
                yield others | {need.order}

    def _choices(self, fitting: Sequence[Observed], times: int) -> Iterator[Binding]:
        """Yield the sets of `times` of the fitting observations, the earliest first."""
        for chosen in combinations(fitting, times):
            self._step()
            yield frozenset(item.order for item in chosen)

    def _within(self, tree: Within, among: Sequence[Observed], need: Observed | None) -> Iterator[Binding]:
        span = tree.seconds * SECOND
        for item, window in self._windows(among, span):
            # Every set has one earliest observation: asking for it yields each set once, and no set twice.
            if need is None or need is item:
                yield from self.bindings(tree.child, window, item)
            elif need in window:
                yield from (found for found in self.bindings(tree.child, window, need) if item.order in found)

    def _windows(self, among: Sequence[Observed], span: float) -> Iterator[tuple[Observed, Sequence[Observed]]]:
        """Yield each observation with those that can be less than `span` after it, itself included."""
        if any(item.last is not None for item in among):
            # What is earliest in a set is whatever must have happened first.
            for item in sorted(among, key=_end):
                self._step()
                limit = item.until + span
                yield item, [other for other in among if _end(other) >= _end(item) and (other.time or 0) < limit]
            return
        end = 0
        for start, item in enumerate(among):
            self._step()
            first = item.time or 0
            while end < len(among) and (among[end].time or 0) < first + span:
                end += 1
            yield item, among[start:end]

    def _time(self, order: int) -> int:
        return self._observed[order].time or 0
