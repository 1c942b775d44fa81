"""STIX patterns as trees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import PatternError
from aleat.hunt.stix_syntax import (
    AllOf,
    AnyOf,
    Comparison,
    Followed,
    Observation,
    ObservationAnd,
    ObservationOr,
    Repeated,
    StartStop,
    Within,
    comparisons,
    observations,
    parse_pattern,
)


def only(text: str) -> Comparison:
    (item,) = comparisons(next(observations(parse_pattern(text))).proposition)
    return item


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'a\\'b\\\\c'", "a'b\\c"),
        ("-5", -5),
        ("2.5", 2.5),
        ("true", True),
        ("h'ffc3'", b"\xff\xc3"),
        ("b'ABI='", b"\x00\x12"),
    ],
)
def test_constants_have_the_types_of_section_9_2(literal: str, value: object) -> None:
    (found,) = only(f"[a:b = {literal}]").values
    assert (type(found), found) == (type(value), value)


def test_paths_have_steps_indices_and_quoted_names() -> None:
    path = only("[file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7.0]").path
    assert path.steps == ("extensions", "windows-pebinary-ext", "sections", -1, "entropy")
    assert str(path) == "file:extensions.'windows-pebinary-ext'.sections[*].entropy"


def test_and_binds_closer_than_or_in_comparisons() -> None:
    tree = parse_pattern("[a:b = 1 AND a:c = 2 OR a:d = 3]")
    assert isinstance(tree, Observation)
    assert isinstance(tree.proposition, AnyOf)
    assert isinstance(tree.proposition.children[0], AllOf)


def test_and_or_followedby_bind_in_this_order_between_observations() -> None:
    tree = parse_pattern("[a:b=1] FOLLOWEDBY [a:b=2] OR [a:b=3] AND [a:b=4]")
    assert isinstance(tree, Followed)
    assert isinstance(tree.then, ObservationOr)
    assert isinstance(tree.then.children[1], ObservationAnd)


def test_a_qualifier_belongs_to_the_nearest_expression_unless_in_parentheses() -> None:
    near = parse_pattern("[a:b=1] FOLLOWEDBY [c:d=2] REPEATS 5 TIMES")
    assert isinstance(near, Followed)
    assert isinstance(near.then, Repeated)
    wide = parse_pattern("([a:b=1] FOLLOWEDBY [c:d=2]) REPEATS 5 TIMES WITHIN 1800 SECONDS")
    assert isinstance(wide, Within)
    assert isinstance(wide.child, Repeated)


def test_start_and_stop_are_times() -> None:
    tree = parse_pattern("[a:b=1] START t'2022-07-15T00:00:00Z' STOP t'2022-07-16T00:00:00.5Z'")
    assert isinstance(tree, StartStop)
    assert (tree.stop - tree.start).total_seconds() == 86400.5


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("", "line 1, column 1"),
        ("[a:b = 1", "line 1, column 9"),
        ("[a:b = 1] ?", "column 11"),
        ("[a:b = h'fff']", "line 1"),
        ("[a:b = 1] REPEATS 0 TIMES", "REPEATS"),
        ("[a:b = 1] WITHIN 0 SECONDS", "WITHIN"),
        ("[a:b = 1] WITHIN 1 SECONDS WITHIN 2 SECONDS", "twice"),
        ("[a:b = 1] START t'2022-01-02T00:00:00Z' STOP t'2022-01-01T00:00:00Z'", "START"),
        ("[a:b = t'2022-13-01T00:00:00Z']", "STIX pattern"),
        ("[a:b = 1 AND c:d = 2]", "different object types"),
        ("[" + "(" * 40 + "a:b=1" + ")" * 40 + "]", "nested"),
        ("[a:b = '" + "x" * 200_000 + "']", "limit"),
        ("/* ' */" + "(" * 400 + "[a:b = 1]" + ")" * 400, "nested"),
        (" FOLLOWEDBY ".join(["[a:b = 1]"] * 600), "FOLLOWEDBY"),
        ("[a:b" + "[*]" * 2000 + " = 1]", "steps"),
        ("[a:b = 1] REPEATS " + "9" * 5000 + " TIMES", "range"),
        ("[a:b = 1] WITHIN " + "9" * 500 + " SECONDS", "range"),
        ("[a:b[" + "9" * 5000 + "] = 1]", "range"),
        ("[a:b = 9007199254740992]", "range"),  # §2.10
        ("[a:b < " + "9" * 400 + ".0]", "range"),  # §2.6
        ("[a:b IN (1, 'x')]", "several types"),  # §9.6.1
        ("[a:b ISSUBSET '10.0.0.0/255.0.0.0']", "network"),
        ("[a:b ISSUPERSET 'fe80::1%eth0']", "network"),
    ],
)
def test_what_is_no_pattern_says_why_and_where(pattern: str, part: str) -> None:
    with pytest.raises(PatternError, match=part.replace("?", r"\?")):
        parse_pattern(pattern)


def test_comments_are_no_part_of_what_is_quoted() -> None:
    assert only("[a:b = /* it's */ b'AB\nI='] // '(").values == (b"\x00\x12",)
    assert only("[a:b = '/* x // y']").values == ("/* x // y",)


def test_brackets_inside_of_constants_do_not_count_as_nesting() -> None:
    assert only("[a:b = '" + "(" * 100 + "']").values == ("(" * 100,)


def test_long_alternatives_are_flat() -> None:
    tree = parse_pattern("[" + " OR ".join(f"ipv4-addr:value = '198.51.100.{n}'" for n in range(256)) + "]")
    assert isinstance(tree, Observation)
    assert isinstance(tree.proposition, AnyOf)
    assert len(tree.proposition.children) == 256


@settings(deadline=None)  # a shared machine
@given(st.text(alphabet="[]()abc:.='\\* ANDORFOLWEBYtimes0123456789<>!", max_size=60))
def test_any_text_is_a_pattern_or_a_pattern_error(text: str) -> None:
    try:
        parse_pattern(text)
    except PatternError as error:
        assert error.reason  # noqa: PT017 - either way is right
