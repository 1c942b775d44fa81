"""STIX patterns over several observations (§9.5): which sets of observations together match a pattern?

`find_matches` works on observations in time order, each with the numbers of the pattern's ``[…]`` that it
matches, and yields *disjoint* matches: the earliest that is complete, then the earliest among the rest. No
observation counts twice in one match (§9.5.2). WITHIN is evaluated window by window, so that what lies outside
of every window is never combined; the number of steps has a limit, and a pattern that reaches it raises
`PatternError` rather than being half evaluated in silence.

An observation that happened at an unknown moment of some time keeps, on the way up the tree, the bounds that
START and STOP give it. FOLLOWEDBY and WITHIN compare these pair by pair, which is exact: any bound that follows
from several of them over other observations follows from one of theirs directly, because they are nested.

FOLLOWEDBY, WITHIN and START/STOP need times: observations without one take no part in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations, islice
from math import ceil
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

MAXIMUM_STEPS = 1_000_000
STEPS_EACH = 300
"""More steps for each observation, since each can be part of one match."""


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


Box = tuple[int, int]
"""From when to when an observation can have happened, in microseconds since 1970; (0, 0) where that is unknown."""
Binding = dict[int, Box]
"""The places, in order of time, of the observations that match (a part of) a pattern, and when that can have been."""


def find_matches(tree: Observations, observed: Iterable[Observed]) -> Iterator[tuple[int, ...]]:
    """Yield disjoint matches as tuples of `Observed.order`, in time order; raises `PatternError` at the limits."""
    rows = sorted(observed, key=_order)
    try:
        for binding in _Search(rows).matches(tree):
            yield tuple(rows[place].order for place in sorted(binding))
    except RecursionError:
        raise PatternError("The pattern asks for too many observations at once.") from None


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


def _span(tree: Within) -> int:
    """Return in microseconds what two observations are less than apart."""
    return ceil(Decimal(repr(tree.seconds)) * SECOND)


def _is_timed(tree: Observations) -> bool:
    return any(isinstance(node, Followed | Within | StartStop) for node in _nodes(tree))


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


class _View(msgspec.Struct, frozen=True):
    """Which observations a part of a pattern may use: places from `low` to before `high`, but those `without`.

    They happen from `start` to `stop` (both included, in microseconds; None: any time, or none known), and can
    end at `floor` or later (were it not for `stop`): the moment, and among those of one moment the place.
    """

    low: int
    high: int
    without: frozenset[int] = frozenset()
    start: int | None = None
    stop: int | None = None
    floor: tuple[int, int] | None = None

    def less(self, places: Iterable[int]) -> _View:
        """Return the view without some places."""
        return msgspec.structs.replace(self, without=self.without.union(places))


class _Search:
    """Yields bindings lazily, the earliest first, and counts its steps."""

    def __init__(self, rows: Sequence[Observed]) -> None:
        self._rows = rows
        self._times = [item.time for item in rows if item.time is not None]
        self._longest = max((item.until - (item.time or 0) for item in rows), default=0)
        self._places: dict[int, list[int]] = {}
        for place, item in enumerate(rows):
            for number in item.numbers:
                self._places.setdefault(number, []).append(place)
        self._used: set[int] = set()
        self._steps = 0
        self._limit = MAXIMUM_STEPS + STEPS_EACH * len(rows)

    def matches(self, tree: Observations) -> Iterator[Binding]:
        """Yield disjoint bindings."""
        view = _View(0, len(self._rows))
        if isinstance(tree, Within):
            # What is earliest in no match now won't be in any later: one pass.
            for place, window in self._windows(tree, self._timed(view)):
                yield from self._take(next(self._in_window(tree, window, place), None))
            return
        while binding := next(self.bindings(tree, view), None):
            yield from self._take(binding)

    def _take(self, binding: Binding | None) -> Iterator[Binding]:
        for place in binding or ():
            self._used.add(place)
            for number in self._rows[place].numbers:
                places = self._places[number]
                del places[bisect_left(places, place)]
        if binding:
            yield binding

    def bindings(self, tree: Observations, view: _View, need: int | None = None) -> Iterator[Binding]:
        """Yield the observations in view that match `tree`, and hold the place `need` if given."""
        if isinstance(tree, Observation):
            yield from self._single(tree.number, view, need)
        elif not self._capacity(tree, view):
            self._step()
        elif isinstance(tree, ObservationOr):
            for child in tree.children:
                yield from self.bindings(child, view, need)
        elif isinstance(tree, ObservationAnd):
            ordered = [child for child in tree.children if _is_timed(child)]
            if all(next(self.bindings(child, view), None) for child in ordered):
                yield from self._all(tree.children, view, need)
        elif isinstance(tree, Followed):
            yield from self._followed(tree, self._timed(view), need)
        elif isinstance(tree, Repeated):
            yield from self._repeated(tree.child, tree.times, view, need)
        elif isinstance(tree, Within):
            yield from self._within(tree, self._timed(view), need)
        else:
            yield from self.bindings(tree.child, self._started(tree, view), need)

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > self._limit:
            raise PatternError(
                f"The pattern's combinations exceed {self._limit} steps over this evidence.",
                advice="Narrow its parts, or the time that it asks for.",
            )

    # ---------------------------------------------------------------------------------------------- views

    def _timed(self, view: _View) -> _View:
        """Return the view of what has a time: what has none is last."""
        return msgspec.structs.replace(view, high=min(view.high, len(self._times)))

    def _since(self, view: _View, floor: tuple[int, int]) -> _View:
        """Return the view of what can end at `floor` or later."""
        floor = floor if view.floor is None else max(floor, view.floor)
        low = bisect_left(self._times, floor[0] - self._longest)
        return msgspec.structs.replace(view, low=max(view.low, low), floor=floor)

    def _before(self, view: _View, time: float) -> _View:
        """Return the view of what can begin before a time."""
        return msgspec.structs.replace(view, high=min(view.high, bisect_left(self._times, time)))

    def _started(self, tree: StartStop, view: _View) -> _View:
        start, stop = micros_of(tree.start), micros_of(tree.stop)
        inside = self._since(self._before(self._timed(view), stop), (start, -1))
        start = start if view.start is None else max(start, view.start)
        stop = stop - 1 if view.stop is None else min(stop - 1, view.stop)
        return msgspec.structs.replace(inside, start=start, stop=stop)

    def _box(self, place: int, view: _View) -> Box | None:
        """Return from when to when an observation can have happened in this view; None: not in it."""
        self._step()
        if place in view.without or place in self._used or not view.low <= place < view.high:
            return None
        item = self._rows[place]
        first, last = item.time or 0, item.until
        first = first if view.start is None else max(first, view.start)
        last = last if view.stop is None else min(last, view.stop)
        return None if first > last or (view.floor and (item.until, place) < view.floor) else (first, last)

    def _capacity(self, tree: Observations, view: _View) -> int:
        """Return an upper bound of how many disjoint bindings there are."""
        if isinstance(tree, Observation):
            self._step()
            places = self._places.get(tree.number, [])
            return max(0, bisect_left(places, view.high) - bisect_left(places, view.low))
        if isinstance(tree, ObservationOr):
            return sum(self._capacity(child, view) for child in tree.children)
        if isinstance(tree, ObservationAnd):
            return min(self._capacity(child, view) for child in tree.children)
        if isinstance(tree, Followed):
            return min(self._capacity(tree.first, view), self._capacity(tree.then, view))
        return self._capacity(tree.child, view) // (tree.times if isinstance(tree, Repeated) else 1)

    # ----------------------------------------------------------------------------------------- operators

    def _single(self, number: int, view: _View, need: int | None) -> Iterator[Binding]:
        if need is not None:
            box = self._box(need, view) if number in self._rows[need].numbers else None
            if box:
                yield {need: box}
            return
        places = self._places.get(number, [])
        for index in range(bisect_left(places, view.low), bisect_left(places, view.high)):
            box = self._box(places[index], view)
            if box:
                yield {places[index]: box}

    def _all(
        self, children: Sequence[Observations], view: _View, need: int | None, alike: int | None = None
    ) -> Iterator[Binding]:
        """Yield the bindings of all `children`; `alike`: they are all the same, and begin after this place."""
        first, rest = children[0], children[1:]
        for binding in self.bindings(first, view, need):
            self._step(len(binding))
            place = min(binding) if need is None else -1
            if alike is not None and need is None and place < alike:
                continue
            if not rest:
                yield binding
                continue
            for others in self._all(rest, view.less(binding), None, None if alike is None else place):
                yield binding | others
        if need is not None and rest and alike is None:
            for binding in self.bindings(first, view.less((need,))):
                for others in self._all(rest, view.less(binding), need):
                    yield binding | others

    def _followed(self, tree: Followed, view: _View, need: int | None) -> Iterator[Binding]:
        if need is None or need < view.high:
            yield from self._first_then(tree, view, view, need, None)
        if need is not None and need < view.high:
            before = self._before(view.less((need,)), self._rows[need].until + 1)
            yield from self._first_then(tree, before, view, None, need)

    def _first_then(
        self, tree: Followed, before: _View, view: _View, in_first: int | None, in_then: int | None
    ) -> Iterator[Binding]:
        found = False
        dead: int | None = None  # nothing follows what happens then or later
        while True:
            for binding in self.bindings(tree.first, before, in_first):
                self._step(len(binding))
                latest = max(first for first, _ in binding.values())
                if dead is not None and latest >= dead:
                    continue
                after = self._since(view, (latest, -1))
                for others in self.bindings(tree.then, after.less(binding), in_then):
                    if min(last for _, last in others.values()) >= latest:
                        found = True
                        yield binding | others
                if not found and next(self.bindings(tree.then, after, in_then), None) is None:
                    dead, before = latest, self._before(before, latest)
                    break
            else:
                return

    def _repeated(self, child: Observations, times: int, view: _View, need: int | None) -> Iterator[Binding]:
        if not isinstance(child, Observation):
            yield from self._all([child] * times, view, need, -1)
        elif need is None:
            yield from self._choices(child.number, times, view)
        else:
            for binding in self._single(child.number, view, need):
                for others in self._choices(child.number, times - 1, view.less((need,))):
                    yield binding | others

    def _choices(self, number: int, times: int, view: _View) -> Iterator[Binding]:
        """Yield the sets of `times` of the fitting observations, the earliest first."""
        fitting = self._single(number, view, None)
        pool = list(islice(fitting, times))
        if len(pool) == times:
            yield {place: box for item in pool for place, box in item.items()}
            pool += fitting
            for chosen in islice(combinations(pool, times), 1, None):
                self._step(times)
                yield {place: box for item in chosen for place, box in item.items()}

    def _within(self, tree: Within, view: _View, need: int | None) -> Iterator[Binding]:
        for place, window in self._windows(tree, view, need):
            # Every set has one earliest observation: asking for it yields each set once, and no set twice.
            if need is None or need == place:
                yield from self._in_window(tree, window, place)
            else:
                yield from (found for found in self._in_window(tree, window, need) if place in found)

    def _windows(self, tree: Within, view: _View, need: int | None = None) -> Iterator[tuple[int, _View]]:
        """Yield each observation with the view of what can be less than the span after it, itself included."""
        numbers = {item.number for item in observations(tree.child)}
        span = _span(tree)
        low, high = view.low, view.high
        if need is not None:
            item = self._rows[need]
            low = max(low, bisect_left(self._times, (item.time or 0) - span - self._longest))
            high = min(high, bisect_right(self._times, item.until))
        ends = ((self._rows[place].until, place) for place in range(low, high) if self._box(place, view))
        # What is earliest in a set is whatever must have happened first, whatever START and STOP say inside.
        for last, place in sorted(ends) if self._longest else ends:
            window = self._since(self._before(view, last + span), (last, place))
            if not self._longest:
                window = msgspec.structs.replace(window, low=max(window.low, place))
            if not numbers.isdisjoint(self._rows[place].numbers) and self._capacity(tree.child, window):
                yield place, window

    def _in_window(self, tree: Within, window: _View, need: int) -> Iterator[Binding]:
        span = _span(tree)
        for binding in self.bindings(tree.child, window, need):
            if max(first for first, _ in binding.values()) < min(last for _, last in binding.values()) + span:
                yield binding
