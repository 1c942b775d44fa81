"""Regular expressions that are made to blow up a backtracking engine end in linear time, wherever one can be given.

A backtracking engine takes 2^n steps for the first, and n² and more for the others; n is large enough here for either
never to end. Time is the processor's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aleat.errors import Place
from aleat.hunt import Indicator, compile_plan, hunt_segment, match_pattern
from aleat.hunt.explain import explain
from aleat.hunt.list_index import ListIndex
from aleat.hunt.warning_lists import WarningIndex

from .events import SYSMON, batch
from .sigma_rules import plan_of
from .test_lists import make_list
from .test_stix_match import bundle
from .test_warning_lists import warning

LENGTH = 200_000
SECONDS = 10

BOMBS = [
    (r"^(a+)+$", "a" * LENGTH + "!"),
    (r"(a|aa)+$", "a" * LENGTH + "!"),
    (r"^(a|a)*b", "a" * LENGTH),
    (r"^(([a-z])+.)+[0-9]([a-z])+$", "a" * LENGTH),
    (r"(.*a){12}b", "a" * LENGTH),
    (r"a.*b.*c.*d", "abc" * (LENGTH // 3)),
    (r"(\w+\s*)+:", "word " * (LENGTH // 5)),
    (r"x(?:y|z)*?x", "x" + "yz" * (LENGTH // 2)),
]


@contextmanager
def in_time() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


def quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\").replace("'", "\\'") + "'"


def sigma(pattern: str, text: str) -> bool:
    plan = plan_of(f"selection:\n    F|re: '{pattern}'")
    assert plan.rules
    return bool(hunt_segment(plan, [batch([{"F": text}])]).sightings)


def sigma_any_case(pattern: str, text: str) -> bool:
    plan = plan_of(f"selection:\n    F|re|i|m|s: '{pattern}'")
    assert plan.rules
    return bool(hunt_segment(plan, [batch([{"F": text}])]).sightings)


def sigma_keyword(pattern: str, text: str) -> bool:
    plan = plan_of(f"selection:\n    '|re': '{pattern}'")
    assert plan.rules
    return bool(hunt_segment(plan, [batch([{"F": text}])]).sightings)


def explained(pattern: str, text: str) -> bool:
    plan = plan_of(f"selection:\n    F|re: '{pattern}'")
    return explain(plan, "rule", batch([{"F": text}]), 0).matches


def stix_over_events(pattern: str, text: str) -> bool:
    given = f"[process:command_line MATCHES {quoted(pattern)}]"
    plan = compile_plan([Indicator("i", "indicator--1", "d", "stix", given, "t", "s", Place("x"))])
    assert plan.rules
    events = batch([{"CommandLine": text}], channel=SYSMON, event_id=1)
    return bool(hunt_segment(plan, [events]).sightings)


def stix_over_observed_data(pattern: str, text: str) -> bool:
    given = f"[process:command_line MATCHES {quoted(pattern)}]"
    return bool(match_pattern(given, [bundle({"type": "process", "command_line": text})]))


def of_a_list(pattern: str, text: str) -> bool:
    index = ListIndex([make_list(("regex", pattern))])
    assert not index.not_evaluated
    return bool(index.lookup([text]))


def of_a_warning_list(pattern: str, text: str) -> bool:
    return WarningIndex([warning("regex", f"/{pattern}/")]).label("text", text) is not None


WAYS = [
    sigma, sigma_any_case, sigma_keyword, explained, stix_over_events, stix_over_observed_data, of_a_list,
    of_a_warning_list,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("pattern", "text"), BOMBS, ids=[pattern for pattern, _ in BOMBS])
def test_a_regular_expression_made_to_blow_up_ends(way: Callable[[str, str], bool], pattern: str, text: str) -> None:
    """And doesn't match: each text lacks the end that its pattern asks for."""
    with in_time():
        assert not way(pattern, text)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_same_ways_find_what_is_there(way: Callable[[str, str], bool]) -> None:
    """So that the tests above test something."""
    assert way("^(a+)+$", "aaaa")


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a)\\1", "a{1000}{1000}", "(?:" * 300 + "a" + ")" * 300, "a|" * 9000])
def test_what_no_linear_engine_can_do_is_refused(pattern: str) -> None:
    """By name, in time, and never done otherwise."""
    with in_time():
        assert not plan_of(f"selection:\n    F|re: '{pattern}'").rules


def test_wildcards_made_to_blow_up_end() -> None:
    """Sigma's, and STIX's LIKE."""
    text = "a" * LENGTH
    pattern = "*a" * 30 + "*b"
    with in_time():
        plan = plan_of(f"selection:\n    F: '{pattern}'")
        assert not hunt_segment(plan, [batch([{"F": text}])]).sightings
        like = f"[process:command_line LIKE '{pattern.replace('*', '%')}']"
        assert not match_pattern(like, [bundle({"type": "process", "command_line": text})])
