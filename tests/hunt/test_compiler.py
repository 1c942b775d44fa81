"""From indicators to a plan: named failures with their places, the cache, and hostile rules."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.errors import Place
from aleat.hunt import Indicator, compile_plan, hunt_segment
from aleat.hunt.indicator import ListEntry

from .events import batch
from .sigma_rules import indicator, rule_text

GOOD = rule_text("selection:\n    F: x")


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("title: [", "r.yml:2:1", "no valid YAML"),
        ("title: a\n  b: c", "r.yml:2:4", "no valid YAML"),
        ("", "r.yml:1", "empty"),
        ("- a", "r.yml:1:1", "must be a map"),
        ("title: a", "r.yml:1:1", "neither detection nor correlation nor filter"),
        ("detection:\n    s: x\n    condition: s", "r.yml:1:1", "no logsource"),
        ("logsource: {}\ndetection:\n    s: x\n    condition: s", "r.yml:1:12", "neither category"),
        ("logsource:\n    product: windows\ndetection:\n    s: x", "r.yml:4:5", "no condition"),
        (GOOD.replace("F: x", "F|contan: x"), "r.yml:6:9", "unknown modifier 'contan'"),
        (GOOD.replace("F: x", "F|re:\n          - a\n          - '('"), "r.yml:8:13", "not supported"),
        (GOOD.replace("condition: selection", "condition: selektion"), "r.yml:7:16", "'selektion'"),
        (GOOD + "---\n" + GOOD, "r.yml:8:1", "expected a single document"),
        ("a: &a [1]\nb: *b", "r.yml:2:4", "undefined alias"),
        ("x: \t- a\n\x00", "r.yml", "no valid YAML"),
    ],
)
def test_bad_rule_is_named_with_file_line_and_column(text: str, place: str, reason: str) -> None:
    """And costs only itself: the rule beside it is compiled."""
    plan = compile_plan([indicator(text, identifier="bad", path="r.yml"), indicator(GOOD, identifier="good")])
    (rejected,) = plan.not_evaluated
    assert (rejected.indicator, rejected.partial) == ("bad", False)
    assert reason in rejected.reason
    assert str(rejected.place).startswith(place)
    assert [rule.indicator.id for rule in plan.rules] == ["good"]


def test_lines_count_from_where_the_document_begins_in_its_file() -> None:
    """A rule that is the second document of a file has its lines there."""
    plan = compile_plan([indicator(GOOD.replace("F: x", "F|contan: x"), path="many.yml", line=101)])
    assert str(plan.not_evaluated[0].place) == "many.yml:106:9"


@pytest.mark.parametrize(
    ("value", "cell", "fires"),
    [
        (f"F: {10**30}", str(10**30), True),
        (f"F: {10**30}", 10**30, True),
        (f"F: {10**30}", 1, False),
        (f"F|gt: {10**30}", 10**31, True),
        (f"F|gt: {10**30}", 5, False),
        (f"F|lt: -{10**40}", -1, False),
        (f"F|lt: '{10**40}'", 5, True),
    ],
)
def test_a_number_of_more_than_64_bits_is_compared_and_stored(
    value: str, cell: object, fires: bool, tmp_path: Path
) -> None:
    """A plan is data, whatever stands in its rules."""
    given = [indicator(rule_text(f"selection:\n    {value}"))]
    compile_plan(given, cache=tmp_path)
    plan = compile_plan(given, cache=tmp_path)
    assert not plan.not_evaluated
    assert bool(hunt_segment(plan, [batch([{"F": cell}])]).sightings) is fires


@pytest.mark.parametrize("number", [10**30, -(10**30), 10**4000])
def test_a_patterns_number_of_more_than_64_bits_is_named(number: int) -> None:
    """The standard has none (STIX 2.1 §2.6)."""
    given = msgspec.structs.replace(indicator(f"[process:pid < {number}]"), pattern_type="stix")
    plan = compile_plan([given])
    (rejected,) = plan.not_evaluated
    assert "out of range" in rejected.reason
    assert not plan.rules


@pytest.mark.parametrize(
    "value", ["F|gt: .nan", "F|gt: 'nan'", "F|lt: 'inf'", f"F|hour: {10**30}", "F|hour: 1e300", "F|hour: .5"]
)
def test_what_is_no_number_to_compare_with_is_named(value: str) -> None:
    (rejected,) = compile_plan([indicator(rule_text(f"selection:\n    {value}"))]).not_evaluated
    assert "number" in rejected.reason


def test_unknown_kind_of_indicator_is_named() -> None:
    """What nobody can evaluate is not dropped in silence."""
    odd = msgspec.structs.replace(indicator(GOOD, identifier="odd"), pattern_type="pcre")
    assert "'pcre'" in compile_plan([odd]).not_evaluated[0].reason


def test_same_rule_of_two_givers_is_two_rules() -> None:
    """Each is sighted in its own name."""
    one, other = indicator(GOOD, identifier="a"), indicator(GOOD, identifier="b")
    result = hunt_segment(compile_plan([one, other]), [batch([{"F": "x"}])])
    assert [found.indicator for found in result.sightings] == ["a", "b"]


def test_cache_gives_the_same_plan(tmp_path: Path) -> None:
    """Lists' entries are not in it, and come back."""
    entries = (ListEntry("ipv4-addr", "192.0.2.1"),)
    values = Indicator("list", "list", "d", "aleat-list", "", "List", "s", Place("l.csv"), entries=entries)
    given_indicators = [indicator(GOOD), values]
    plan = compile_plan(given_indicators, cache=tmp_path)
    assert compile_plan(given_indicators, cache=tmp_path) == plan == compile_plan(given_indicators)
    assert plan.lists[0].entries == entries
    assert len(list(tmp_path.iterdir())) == 1


def test_cache_knows_what_decides_a_plan(tmp_path: Path) -> None:
    """Another rule, another title, or other placeholders are another plan."""
    text = rule_text("selection:\n    F|expand: '%a%'")
    one = indicator(text)
    compile_plan([one], cache=tmp_path)
    assert compile_plan([one], cache=tmp_path).not_evaluated
    assert not compile_plan([one], cache=tmp_path, placeholders={"a": ["x"]}).not_evaluated
    changed = msgspec.structs.replace(one, title="Other")
    assert compile_plan([changed], cache=tmp_path).not_evaluated[0].title == "Other"


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff" * 100])
def test_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    """A plan is never half of one."""
    plan = compile_plan([indicator(GOOD)], cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert compile_plan([indicator(GOOD)], cache=tmp_path) == plan
    assert file.read_bytes() != damage


def test_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    blocked = tmp_path / "file"
    blocked.write_text("x")
    assert compile_plan([indicator(GOOD)], cache=blocked / "plans").rules


HOSTILE = {
    "deep brackets": "detection: " + "[" * 200_000,
    "deep braces": "detection: " + "{a: " * 100_000,
    "deep blocks": "".join(" " * depth + "a:\n" for depth in range(3000)),
    "aliases of aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "itself": "a: &a [*a]",
    "deep condition": rule_text("selection:\n    F: x\ncondition: " + "(" * 5000 + "selection" + ")" * 5000),
    "many nots": rule_text("selection:\n    F: x\ncondition: " + "not " * 4000 + "selection"),
    "many dashes": rule_text("selection:\n    F|windash: '" + " -a" * 40 + "'"),
    "long pattern": rule_text("selection:\n    F|re: '" + "a?" * 10_000 + "'"),
    "explosive pattern": rule_text("selection:\n    F|re: '" + "(a{1000}){1000}" + "'"),
    "too long": "title: " + "x" * 3_000_000,
    "control characters": "title: \x01\x02",
    "surrogate": "title: \ud800",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rule_is_named_in_time(name: str) -> None:
    """No crash, no long run, nothing else lost."""
    clock = time.process_time()
    plan = compile_plan([indicator(HOSTILE[name], identifier="bad"), indicator(GOOD, identifier="good")])
    assert time.process_time() - clock < 10
    assert "good" in [rule.indicator.id for rule in plan.rules]
    assert name == "many nots" or len(plan.not_evaluated) == 1


words = st.sampled_from(
    [
        "selection",
        "F",
        "F|contains",
        "F|re",
        "|all",
        "condition",
        "detection",
        "logsource",
        "product",
        "windows",
        "a",
        "1 of them",
        "not selection",
        "null",
        "''",
        "5",
        "'*'",
        "[a, b]",
        "{a: b}",
        "'%x%'",
        "F|cidr",
        "F|windash|contains",
    ]
)
lines = st.builds(
    lambda indent, key, value: f"{' ' * indent}{key}: {value}", st.integers(0, 3), words, words | st.just("")
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, max_size=8).map("\n".join) | st.text(max_size=60))
def test_any_text_is_a_rule_or_has_a_reason(text: str) -> None:
    """Fuzz: nothing escapes as an exception, and what compiles can be hunted."""
    whole = f"title: T\nlogsource:\n  product: windows\ndetection:\n{text}\n"
    for candidate in (text, whole):
        plan = compile_plan([indicator(candidate)])
        assert len(plan.rules) + len([item for item in plan.not_evaluated if not item.partial]) == 1
        hunt_segment(plan, [batch([{"F": "a"}, {"F": None}, {}])])
