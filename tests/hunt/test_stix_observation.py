"""STIX patterns over several observations."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
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
    Within,
    parse_pattern,
)
from tests.hunt.batches import make_batch

A, B, C = "[a:x=1]", "[b:x=1]", "[c:x=1]"


def matches(pattern: str, events: str) -> list[tuple[int, ...]]:
    """Match over events as "a0 b5": a letter for each [..] (A is number 0 …), the second it occurred."""
    observed = []
    for order, event in enumerate(events.split()):
        letters = event.rstrip("0123456789")
        time = event[len(letters) :]
        numbers = frozenset("abc".index(letter) for letter in letters)
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
    ],
)
def test_observation_operators_and_qualifiers(pattern: str, events: str, expected: list[tuple[int, ...]]) -> None:
    assert sorted(matches(pattern, events)) == sorted(expected)


def holds(tree: Observations, chosen: tuple[Observed, ...]) -> bool:
    """Say naively whether *exactly* these observations, in some roles, match: the standard's words as code."""
    if isinstance(tree, Observation):
        return len(chosen) == 1 and tree.number in chosen[0].numbers
    if isinstance(tree, ObservationOr):
        return any(holds(child, chosen) for child in tree.children)
    if isinstance(tree, Within):
        times = [item.time or 0 for item in chosen]
        return max(times) < min(times) + tree.seconds * 1_000_000 and holds(tree.child, chosen)
    if isinstance(tree, Followed):
        return any(
            max(item.time or 0 for item in first) <= min(item.time or 0 for item in then)
            and holds(tree.first, first)
            and holds(tree.then, then)
            for first, then in splits(chosen)
        )
    if isinstance(tree, Repeated):
        return (
            holds(ObservationAnd((tree.child,) * tree.times), chosen) if tree.times > 1 else holds(tree.child, chosen)
        )
    assert isinstance(tree, ObservationAnd)
    rest = tree.children[1:]
    after = ObservationAnd(rest) if len(rest) > 1 else rest[0]
    return any(holds(tree.children[0], first) and holds(after, then) for first, then in splits(chosen))


def splits(chosen: tuple[Observed, ...]) -> list[tuple[tuple[Observed, ...], tuple[Observed, ...]]]:
    found = []
    for mask in range(1, 2 ** len(chosen) - 1):
        first = tuple(item for at, item in enumerate(chosen) if mask >> at & 1)
        found.append((first, tuple(item for item in chosen if item not in first)))
    return found


PATTERNS = [
    f"{A} AND {B}",
    f"({A} FOLLOWEDBY {B}) WITHIN 3 SECONDS",
    f"({A} AND {B} AND {C}) WITHIN 4 SECONDS",
    f"{A} REPEATS 3 TIMES WITHIN 4 SECONDS",
    f"({A} FOLLOWEDBY {B} REPEATS 2 TIMES) WITHIN 5 SECONDS",
    f"({A} OR {B}) FOLLOWEDBY {C} WITHIN 2 SECONDS",
    f"(({A} AND {B}) WITHIN 2 SECONDS FOLLOWEDBY {C}) WITHIN 6 SECONDS",
    f"({A} FOLLOWEDBY {B}) REPEATS 2 TIMES WITHIN 6 SECONDS",
]


@settings(deadline=None)  # a shared machine
@given(
    st.sampled_from(PATTERNS),
    st.lists(st.tuples(st.integers(0, 8), st.sets(st.integers(0, 2))), max_size=6),
    st.randoms(use_true_random=False),
)
def test_matches_are_right_disjoint_complete_and_do_not_depend_on_order(
    pattern: str, events: list[tuple[int, set[int]]], chance: object
) -> None:
    tree = parse_pattern(pattern)
    observed = [Observed(at, time * 1_000_000, frozenset(numbers)) for at, (time, numbers) in enumerate(events)]
    found = list(find_matches(tree, observed))
    assert list(find_matches(tree, sorted(observed, key=lambda item: -item.order))) == found
    used = [place for match in found for place in match]
    assert len(used) == len(set(used))
    for match in found:
        assert holds(tree, tuple(observed[place] for place in match))
    left = [item for item in observed if item.order not in used]
    for mask in range(1, 2 ** len(left)):
        assert not holds(tree, tuple(item for at, item in enumerate(left) if mask >> at & 1))


def test_too_many_combinations_are_an_error_not_a_hang() -> None:
    events = " ".join(f"a{n}" for n in range(200)) + " " + " ".join(f"b{n}" for n in range(200))
    with pytest.raises(PatternError, match="steps"):
        matches(f"({A} AND {B} AND ({A} AND {B} AND {A} AND {B} AND {C}))", events)


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
