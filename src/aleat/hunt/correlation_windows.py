"""The windows of a correlation over one group's events: which runs of events match, and with what value.

A `Window` is (first, last, value): positions in the group's events, which are in order of time, and what was
compared. Whatever slides does so in time linear in the events (percentiles: in their logarithm).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterator, Sequence
from fractions import Fraction
from math import copysign, inf, isfinite
from operator import eq, ge, gt, le, lt, ne

from aleat.hunt.matcher import number_value
from aleat.hunt.plan import Tree

__all__ = [
    "Span",
    "Window",
    "count_events",
    "count_rules",
    "count_values",
    "exact_number",
    "holds",
    "is_lower_bound",
    "metrics",
    "ordered",
    "shares",
]

Condition = tuple[tuple[str, float], ...]
Span = tuple[int, int]
Window = tuple[int, int, float]
Exact = int | Fraction

_OPERATORS: dict[str, Callable[[float, float], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}
_LOWER = frozenset({"gt", "gte"})


def holds(condition: Condition, value: float) -> bool:
    """Return whether all of a condition's comparisons hold of a value."""
    return all(_OPERATORS[operator](value, number) for operator, number in condition)


def is_lower_bound(condition: Condition) -> bool:
    """Return whether the condition, once it holds, holds of every greater value."""
    return all(operator in _LOWER for operator, _ in condition)


def exact_number(text: str) -> Exact | None:
    """Return the number that a text is, exactly as written, so that ten times 0.1 is 1; None where it is none."""
    value = number_value(text)
    if value is None or not isfinite(value):
        return None
    return value if isinstance(value, int) else Fraction(text.strip())


def _ending(times: Sequence[int], span: int) -> Iterator[Span]:
    """Yield the window that ends with each event."""
    first = 0
    for last, time in enumerate(times):
        while time - times[first] > span:
            first += 1
        yield first, last


def _full(times: Sequence[int], span: int) -> Iterator[Span]:
    """Yield the windows that can't take in one more event."""
    previous: Span | None = None
    for first, last in _ending(times, span):
        if previous is not None and first > previous[0]:
            yield previous
        previous = first, last
    if previous is not None:
        yield previous


def count_events(times: Sequence[int], span: int, condition: Condition) -> Iterator[Window]:
    """Yield the windows whose number of events fits."""
    spans = _ending if is_lower_bound(condition) else _full
    for first, last in spans(times, span):
        count = float(last - first + 1)
        if holds(condition, count):
            yield first, last, count


def count_values(
    times: Sequence[int], span: int, values: Sequence[Hashable | None], condition: Condition
) -> Iterator[Window]:
    """Yield the windows whose number of distinct values (None is none) fits; those without a value are left out."""
    counts: Counter[Hashable] = Counter()
    start, stop = 0, 0
    spans = _ending if is_lower_bound(condition) else _full
    for first, last in spans(times, span):
        while stop <= last:
            counts[values[stop]] += 1
            stop += 1
        while start < first:
            counts[values[start]] -= 1
            if not counts[values[start]]:
                del counts[values[start]]
            start += 1
        count = float(len(counts) - (None in counts))
        if count and holds(condition, count):
            yield first, last, count


def count_rules(
    times: Sequence[int], span: int, rules: Sequence[int], condition: Condition, expression: Tree
) -> Iterator[Window]:
    """Yield the windows whose set of rules fits: by its size, or where there is an `expression`, by that.

    `rules` are the events' rules by their place in the correlation. An expression with a negation is looked at in
    full windows only: what must not happen may happen later.
    """
    counts: Counter[int] = Counter()
    start, stop = 0, 0
    fits, stale = False, True
    rises = is_lower_bound(condition) if expression is None else not _negates(expression)
    for first, last in (_ending if rises else _full)(times, span):
        while stop <= last:
            stale |= rules[stop] not in counts
            counts[rules[stop]] += 1
            stop += 1
        while start < first:
            counts[rules[start]] -= 1
            if not counts[rules[start]]:
                del counts[rules[start]]
                stale = True
            start += 1
        if stale:
            fits = holds(condition, float(len(counts))) if expression is None else _tree_holds(expression, counts)
            stale = False
        if fits:
            yield first, last, float(len(counts))


def _negates(tree: Tree) -> bool:
    return isinstance(tree, list) and (tree[0] == "!" or any(map(_negates, tree[1:])))


def _tree_holds(tree: Tree, rules: Container[int]) -> bool:
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, int):
        return tree in rules
    children = [_tree_holds(child, rules) for child in tree[1:]]
    if tree[0] == "!":
        return not children[0]
    return all(children) if tree[0] == "&" else any(children)


def metrics(
    times: Sequence[int],
    span: int,
    numbers: Sequence[Exact | None],
    condition: Condition,
    measure: str,
    percentile: float,
) -> Iterator[Window]:
    """Yield the full windows whose numbers' sum ("value_sum"), average ("value_avg") or percentile fits."""
    window: list[Exact] = []  # sorted, where a percentile is asked for
    total: Exact = 0
    count = 0
    start, stop = 0, 0
    sort = measure == "value_percentile"
    for first, last in _full(times, span):
        while stop <= last:
            number = numbers[stop]
            stop += 1
            if number is not None:
                total, count = total + number, count + 1
                if sort:
                    insort(window, number)
        while start < first:
            number = numbers[start]
            start += 1
            if number is not None:
                total, count = total - number, count - 1
                if sort:
                    del window[bisect_left(window, number)]
        if count:
            found = total if measure == "value_sum" else Fraction(total) / count
            value = _float(_percentile(window, percentile) if sort else found)
            if holds(condition, value):
                yield first, last, value


def _percentile(ordered: Sequence[Exact], percent: float) -> Exact:
    """Return the percentile, interpolated between the two values around it."""
    place = (len(ordered) - 1) * Fraction(percent) / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _float(number: Exact) -> float:
    try:
        return float(number)
    except OverflowError:
        return copysign(inf, number)


def shares(
    times: Sequence[int], span: int, values: Sequence[Hashable | None], condition: Condition
) -> Iterator[Window]:
    """Yield each event whose value has a share, in percent, of a full window's values that fits, once."""
    undecided = _Undecided()
    total, start, stop = 0, 0, 0
    for first, last in _full(times, span):
        while stop <= last:
            value = values[stop]
            if value is not None:
                total += 1
                undecided.add(value, stop)
            stop += 1
        while start < first:
            value = values[start]
            if value is not None:
                total -= 1
                undecided.drop(value)
            start += 1
        for count in undecided.counts():
            share = 100.0 * count / total
            if holds(condition, share):
                for position in undecided.take(count):
                    if position >= first:
                        yield position, position, share


class _Undecided:
    """The values of a window by their number, with the positions that no window has decided yet.

    There are few different numbers: a window of a million values has at most some 1,400.
    """

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        self._positions: dict[Hashable, list[int]] = {}
        self._of_count: dict[int, dict[Hashable, None]] = {}

    def add(self, value: Hashable, position: int) -> None:
        """Take in an event."""
        self._leave(value)
        self._counts[value] += 1
        self._positions.setdefault(value, []).append(position)
        self._of_count.setdefault(self._counts[value], {})[value] = None

    def drop(self, value: Hashable) -> None:
        """Let an event go."""
        self._leave(value)
        self._counts[value] -= 1
        if not self._counts[value]:
            del self._counts[value]
            self._positions.pop(value, None)
        elif value in self._positions:
            self._of_count.setdefault(self._counts[value], {})[value] = None

    def counts(self) -> list[int]:
        """Return the numbers of values that have undecided positions."""
        return sorted(self._of_count)

    def take(self, count: int) -> list[int]:
        """Return the undecided positions of all values of that number, which are decided now."""
        return [position for value in self._of_count.pop(count) for position in self._positions.pop(value)]

    def _leave(self, value: Hashable) -> None:
        members = self._of_count.get(self._counts[value])
        if members is not None:
            members.pop(value, None)
            if not members:
                del self._of_count[self._counts[value]]


def ordered(
    times: Sequence[int],
    span: int,
    places: Sequence[Sequence[int]],
    precedes: Callable[[int, int], bool],
    wanted: int,
    length: int,
) -> Iterator[Window]:
    """Yield the span from the first to the last event of each chain of `wanted` of the `length` rules in order.

    `places` are each event's places in the correlation's rules; `precedes` tells of two positions whether the
    first comes before the second. Of several chains that an event completes, the one that began latest is taken.
    """
    growing = _Chains(times, span, precedes, wanted, length)
    at = 0
    while at < len(times):
        tied = at
        while tied < len(times) and times[tied] == times[at]:
            tied += 1
        completed: set[int] = set()
        changed = True
        while changed:  # ties across sources may stand in either order
            changed = False
            for position in range(at, tied):
                for place in reversed(places[position]):
                    changed |= growing.extend(position, place)
                first = growing.complete(position)
                if first is not None and position not in completed:
                    completed.add(position)
                    yield min(first, position), max(first, position), float(wanted)
            changed &= tied - at > 1
        at = tied


class _Chains:
    """For so many rules in order, and the place of the last of them: the chain that began latest."""

    def __init__(
        self, times: Sequence[int], span: int, precedes: Callable[[int, int], bool], wanted: int, length: int
    ) -> None:
        self._times = times
        self._span = span
        self._precedes = precedes
        self._wanted = wanted
        self._slack = length - wanted  # so many of the rules may be left out
        self._chains: dict[Span, Span] = {}  # (number of rules, place) → (position of the first event, of the last)
        self._complete: dict[int, int] = {}  # for the latest positions that ended one, where it began

    def extend(self, position: int, place: int) -> bool:
        """Let an event go on with the chains as the rule at `place`; return whether one is new, or begins later."""
        changed = False
        for size in range(min(self._wanted, place + 1), max(place - self._slack, 0), -1):
            best = position if size == 1 else self._best(position, place, size)
            if best is None:
                continue
            known = self._chains.get((size, place))
            if known is None or self._times[best] >= self._times[known[0]]:
                changed |= known is None or self._times[best] > self._times[known[0]]
                self._chains[size, place] = best, position
            if size == self._wanted:
                self._complete[position] = max(best, self._complete.get(position, best))
        return changed

    def complete(self, position: int) -> int | None:
        """Return where the chain began that ends with this event."""
        return self._complete.pop(position, None)

    def _best(self, position: int, place: int, size: int) -> int | None:
        """Return where the latest chain began that the event may follow."""
        best: int | None = None
        for earlier in range(size - 2, min(place, size - 1 + self._slack)):
            chain = self._chains.get((size - 1, earlier))
            if chain is None or (best is not None and self._times[chain[0]] < self._times[best]):
                continue
            if self._times[position] - self._times[chain[0]] <= self._span and self._precedes(chain[1], position):
                best = chain[0]
        return best
