"""STIX patterns over several observations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aleat.errors import PatternError, Place
from aleat.hunt.compiler import compile_plan
from aleat.hunt.engine import Hunter
from aleat.hunt.indicator import Indicator
from aleat.hunt.stix_observation import Observed, correlate_pattern, find_matches
from aleat.hunt.stix_syntax import (
    Followed,
    Observation,
    ObservationAnd,
    ObservationOr,
    Observations,
    Repeated,
    StartStop,
    Within,
    parse_pattern,
)
from aleat.times import micros_of
from tests.hunt.batches import make_batch

A, B, C = "[a:x=1]", "[b:x=1]", "[c:x=1]"


def matches(pattern: str, events: str) -> list[tuple[int, ...]]:
    """Match over events as "a0 b5": a letter for each [..] (A is number 0 …), the second it occurred."""
    observed = []
    for order, event in enumerate(events.split()):
        letters = event.rstrip("0123456789")
        time = event[len(letters) :]
        numbers = frozenset("abcd".index(letter) for letter in letters)
        observed.append(Observed(order, int(time) * 1_000_000 if time else None, numbers))
    return list(find_matches(parse_pattern(pattern), observed))


@pytest.mark.parametrize(
    ("pattern", "events", "expected"),
    [
        (f"{A} AND {B}", "a0 b5", [(0, 1)]),
        (f"{A} AND {B}", "ab0", []),  # on different observations
        (f"{A} AND {B}", "ab0 a1", [(0, 1)]),
        (f"{A} OR {B}", "b0 a1", [(1,), (0,)]),
        (f"{A} FOLLOWEDBY {B}", "b0 a1", []),
        (f"{A} FOLLOWEDBY {B}", "b1 a1", [(0, 1)]),  # at the same time is not earlier
        (f"{A} FOLLOWEDBY {B} FOLLOWEDBY {C}", "a0 c1 b2 c3", [(0, 2, 3)]),
        (f"{A} REPEATS 3 TIMES", "a0 a1 a2 a3 a4", [(0, 1, 2)]),
        (f"{A} REPEATS 2 TIMES", "a0 a1 a2 a3", [(0, 1), (2, 3)]),
        (f"({A} AND {B}) WITHIN 5 SECONDS", "a0 b5", []),  # less than the window (§9.5.1)
        (f"({A} AND {B}) WITHIN 5 SECONDS", "a0 b7 a9", [(1, 2)]),
        (f"({A} FOLLOWEDBY {B}) WITHIN 5 SECONDS", "a0 a8 b9", [(1, 2)]),
        (f"{A} REPEATS 2 TIMES WITHIN 3 SECONDS", "a0 a5 a7", [(1, 2)]),
        (f"{A} FOLLOWEDBY {B} REPEATS 2 TIMES", "b0 a1 b2 b3", [(1, 2, 3)]),
        (f"({A} FOLLOWEDBY {B}) REPEATS 2 TIMES", "a0 b1 a2 b3", [(0, 1, 2, 3)]),
        (f"({A} AND {B} REPEATS 2 TIMES) WITHIN 4 SECONDS", "b0 a3 b5 b6", [(1, 2, 3)]),
        (f"{A} START t'1970-01-01T00:00:02Z' STOP t'1970-01-01T00:00:04Z'", "a1 a2 a3 a4", [(1,), (2,)]),
        (f"{A} AND {B}", "a b", [(0, 1)]),  # no times needed
        (f"{A} FOLLOWEDBY {B}", "a0 b", []),  # no time, no order
        (f"{A} AND ({B} FOLLOWEDBY {C})", "a b1 c2", [(1, 2, 0)]),  # no time where none is asked for
        (f"({A} AND {B}) WITHIN .000001 SECONDS", "a1 b1", [(0, 1)]),
        (f"({A} AND {B}) WITHIN .0000001 SECONDS", "a1700000000 b1700000000", [(0, 1)]),
    ],
)
def test_observation_operators_and_qualifiers(pattern: str, events: str, expected: list[tuple[int, ...]]) -> None:
    assert sorted(matches(pattern, events)) == sorted(expected)


Bound = tuple[int, int, int]
"""The moments at two places are at most so much apart (the first after the second); -1 is the moment 0."""


def holds(tree: Observations, chosen: tuple[Observed, ...]) -> bool:
    """Say naively whether *exactly* these observations, in some roles, match: the standard's words as bounds."""
    boxes = [(item.order, -1, item.until) for item in chosen] + [(-1, item.order, -(item.time or 0)) for item in chosen]
    return any(is_possible([*boxes, *bounds]) for bounds in ways(tree, chosen))


def is_possible(bounds: list[Bound]) -> bool:
    """Say whether moments can be chosen within all bounds: none adds up to less than nothing around a circle."""
    places = {place for bound in bounds for place in bound[:2]}
    least: dict[tuple[int, int], float] = {}
    for one, other, most in bounds:
        least[one, other] = min(most, least.get((one, other), most))
    for via in places:
        for one in places:
            for other in places:
                path = least.get((one, via), inf) + least.get((via, other), inf)
                least[one, other] = min(path, least.get((one, other), inf))
    return all(least.get((place, place), 0) >= 0 for place in places)


def ways(tree: Observations, chosen: tuple[Observed, ...]) -> Iterator[list[Bound]]:
    """Yield the bounds of each way in which these observations can take the roles of a pattern."""
    orders = [item.order for item in chosen]
    if isinstance(tree, Observation):
        if len(chosen) == 1 and tree.number in chosen[0].numbers:
            yield []
    elif isinstance(tree, ObservationOr):
        for child in tree.children:
            yield from ways(child, chosen)
    elif isinstance(tree, Within):
        apart = round(tree.seconds * 1_000_000) - 1
        for bounds in ways(tree.child, chosen):
            yield [*bounds, *((one, other, apart) for one in orders for other in orders if one != other)]
    elif isinstance(tree, StartStop):
        start, stop = micros_of(tree.start), micros_of(tree.stop)
        limits = [(order, -1, stop - 1) for order in orders] + [(-1, order, -start) for order in orders]
        for bounds in ways(tree.child, chosen):
            yield [*bounds, *limits]
    elif isinstance(tree, Repeated):
        yield from ways(ObservationAnd((tree.child,) * tree.times), chosen)
    else:
        yield from ways_of_two(tree, chosen)


def ways_of_two(tree: Followed | ObservationAnd, chosen: tuple[Observed, ...]) -> Iterator[list[Bound]]:
    if isinstance(tree, ObservationAnd) and len(tree.children) == 1:
        yield from ways(tree.children[0], chosen)
    else:
        one, other = (tree.first, tree.then) if isinstance(tree, Followed) else (tree.children[0], None)
        for first, then in splits(chosen):
            order = [(a.order, b.order, 0) for a in first for b in then] if other else []
            for some in ways(one, first):
                for more in ways(other or ObservationAnd(tree.children[1:]), then):  # type: ignore[union-attr]
                    yield [*some, *more, *order]


def splits(chosen: tuple[Observed, ...]) -> list[tuple[tuple[Observed, ...], tuple[Observed, ...]]]:
    found = []
    for mask in range(1, 2 ** len(chosen) - 1):
        first = tuple(item for at, item in enumerate(chosen) if mask >> at & 1)
        found.append((first, tuple(item for item in chosen if item not in first)))
    return found


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    window = st.tuples(st.integers(0, 5), st.integers(1, 5)).map(
        lambda pair: f"START t'1970-01-01T00:00:0{pair[0]}Z' STOP t'1970-01-01T00:00:{sum(pair):02}Z'"
    )
    within = st.integers(1, 5).map("WITHIN {} SECONDS".format)
    pair = st.tuples(parts, st.sampled_from(["AND", "OR", "FOLLOWEDBY"]), parts).map(" ".join).map("({})".format)
    return st.one_of(
        pair, st.tuples(pair | parts.map("({})".format), within | window | st.just("REPEATS 2 TIMES")).map(" ".join)
    )


PATTERNS = st.recursive(st.just(A), joined, max_leaves=3)
EVENTS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5), st.sets(st.integers(0, 2))), max_size=5)


@settings(deadline=None, max_examples=150)  # a shared machine
@given(PATTERNS, EVENTS, st.booleans())
@example(
    f"{A} START t'1970-01-01T00:00:50Z' STOP t'1970-01-01T00:01:00Z' FOLLOWEDBY {A}", [(0, 90, {0}), (0, 40, {1})], True
)
@example(f"({A} START t'1970-01-01T00:00:00Z' STOP t'1970-01-01T00:00:01Z') WITHIN 1 SECONDS", [(0, 1, {0})], True)
@example(
    f"({A} START t'1970-01-01T00:00:00Z' STOP t'1970-01-01T00:00:01Z' AND {B}) WITHIN 2 SECONDS",
    [(0, 9, {0}), (4, 4, {1})],
    True,
)
def test_matches_are_right_disjoint_complete_and_do_not_depend_on_order(
    pattern: str, events: list[tuple[int, int, set[int]]], lasting: bool
) -> None:
    """Also where nobody knows when something happened, but from when to when (§9.1)."""
    tree = parse_pattern(pattern)
    observed = []
    for order, (time, length, numbers) in enumerate(events):
        last = (time + length) * 1_000_000 if lasting and length else None
        observed.append(Observed(order, time * 1_000_000, frozenset(numbers), last))
    found = list(find_matches(tree, observed))
    assert list(find_matches(tree, sorted(observed, key=lambda item: -item.order))) == found
    used = [place for match in found for place in match]
    assert len(used) == len(set(used))
    for match in found:
        assert holds(tree, tuple(observed[place] for place in match))
    left = [item for item in observed if item.order not in used]
    for mask in range(1, 2 ** len(left)):
        assert not holds(tree, tuple(item for at, item in enumerate(left) if mask >> at & 1))


@pytest.mark.parametrize(
    ("pattern", "early", "late", "expected"),
    [
        (f"({A} FOLLOWEDBY {B}) WITHIN 90000 SECONDS", "b", "a", 0),
        (f"{A} FOLLOWEDBY {B}", "b", "a", 0),
        (f"({A} AND {B}) FOLLOWEDBY {C}", "c", "ab", 0),
        (f"{A} AND ({B} FOLLOWEDBY {C})", "ac", "ab", 0),
        (f"({A} AND {B}) WITHIN 5 SECONDS", "a", "b", 4),
        (f"({A} AND {B}) REPEATS 20 TIMES", "a", "b", 100),
    ],
)
def test_many_observations_that_do_not_match_take_no_time(pattern: str, early: str, late: str, expected: int) -> None:
    """What comes too late, or is missing from a window, isn't tried with all there is."""
    events = [f"{early}{second}" for second in range(2000)] + [f"{late}{second}" for second in range(2000, 4000)]
    assert len(matches(pattern, " ".join(events))) == expected


def test_too_many_combinations_are_an_error_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aleat.hunt.stix_observation.MAXIMUM_STEPS", 1000)
    events = " ".join(f"ab{second}" for second in range(600)) + " cd9"
    with pytest.raises(PatternError, match="steps"):
        matches(f"{A} AND {B} AND {C} AND [d:x=1]", events)


def test_a_pattern_over_several_events_is_one_sighting_with_all_its_parts() -> None:
    pattern = "([process:name = 'w3wp.exe'] FOLLOWEDBY [domain-name:value = 'evil.example']) WITHIN 60 SECONDS"
    indicator = Indicator("i", "indicator--1", "d", "stix", pattern, "t", "cert-x", Place("pack.json"))
    plan = compile_plan([indicator])
    channel = "Microsoft-Windows-Sysmon/Operational"
    rows = [
        {"event_id": "1", "time": 1_000_000, "record_id": 1, "host": "WEB", "Image": r"C:\inetsrv\w3wp.exe"},
        {"event_id": "22", "time": 9_000_000, "record_id": 2, "host": "WEB", "QueryName": "evil.example"},
        {"event_id": "22", "time": 99_000_000, "record_id": 3, "host": "WEB", "QueryName": "evil.example"},
    ]
    copies = [make_batch(rows, channel=channel), make_batch(rows, channel=channel, evidence="copy.json")]
    from aleat.hunt.lists import ListHunter  # noqa: PLC0415

    feeds = [*Hunter(plan).hunt(copies).feeds, *ListHunter.of(plan.lists).hunt(copies)]
    for some in permutations(feeds, len(feeds)) if len(feeds) < 4 else (feeds, feeds[::-1]):
        (sighting,), limit = correlate_pattern(indicator, some)
        assert limit is None
        assert (sighting.indicator, sighting.record, sighting.evidence) == ("i", 1, "a.evtx")
        assert [part.record for part in sighting.parts or ()] == [0, 1]
