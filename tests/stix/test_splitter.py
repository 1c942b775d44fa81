"""Bundles of any size, block by block: the same objects as in one piece, wherever the blocks end."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.stix import ObjectLimits, parse_object
from aleat.stix.columns import columns_of, kinds_of, parse_members
from aleat.stix.members import Members
from aleat.stix.splitter import MemberSplitter, find_members
from tests.stix.test_bundle import GOOD, bundle, domain

LIMITS = ObjectLimits()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('ab"\\[]{},: \u00eb\ud83d\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\[{'), inner, max_size=3),
    max_leaves=8,
)


def split(
    data: bytes, sizes: int | list[int], limits: ObjectLimits = LIMITS
) -> tuple[list[tuple[int, bytes]], list[InputError], bytes]:
    """The members with their offsets, the errors and the tail, when `data` comes in blocks of these sizes."""
    at = find_members(data)
    assert at is not None
    splitter = MemberSplitter("b.json", limits, at)
    found: list[tuple[int, bytes]] = []
    errors: list[InputError] = []
    steps = iter([sizes] if isinstance(sizes, int) else sizes)
    step = next(steps)
    while at < len(data):
        parts = list(splitter.feed(data[at : at + step]))
        at += step
        step = next(steps, step)
        for part in parts:
            if isinstance(part, Members):
                found += [
                    (part.base + start, part.data[start:end]) for start, end in zip(part.starts, part.ends, strict=True)
                ]
            else:
                errors.append(part)
    errors += [error for error in splitter.finish() if isinstance(error, InputError)]
    return found, errors, bytes(splitter.tail)


@given(
    st.lists(VALUES, max_size=6),
    st.sampled_from([{}, {"indent": 1}, {"separators": (" , ", " : ")}, {"ensure_ascii": False}]),
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.booleans(),
)
@example([{"a": "\\"}, "x,[", {'"': '\\"'}], {}, [1], True)
def test_members_are_those_of_the_list_wherever_blocks_end(
    values: list[Any], layout: dict[str, Any], sizes: list[int], enveloped: bool
) -> None:
    """Every value of the list, with its bytes and its place, whatever stands in its strings."""
    text = json.dumps({"type": "bundle", "objects": values} if enveloped else values, **layout)
    data = text.encode("utf-8", "surrogatepass")
    found, errors, tail = split(data, sizes)
    assert errors == []
    assert [json.loads(raw.decode("utf-8", "surrogatepass")) for _, raw in found] == values
    assert all(data[at : at + len(raw)] == raw for at, raw in found)
    assert tail.strip() == (b"}" if enveloped else b"")


@given(st.binary(max_size=200) | st.text('{}[]",: \\a1', max_size=200).map(str.encode), st.integers(1, 30))
def test_any_bytes_are_split_alike_in_any_blocks(junk: bytes, size: int) -> None:
    """What is broken is broken alike; no member is given twice, none overlaps another."""
    data = b"[" + GOOD + b"," + junk
    found, errors, _ = split(data, size)
    whole, errors_of_whole, _ = split(data, len(data))
    assert found == whole
    assert bool(errors) == bool(errors_of_whole)
    ends = 0
    for at, raw in found:
        assert at >= ends
        ends = at + len(raw)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_stood_whole_before_a_break_is_there(size: int) -> None:
    """The break is an error with its byte."""
    data = bundle(GOOD, GOOD, GOOD)
    found, errors, _ = split(data[: data.rindex(b"value")], size)
    assert [raw for _, raw in found] == [GOOD, GOOD]
    assert [error.reason[:21] for error in errors] == ["The file breaks off w"]
    assert errors[0].place == Place("b.json", offset=data.rindex(GOOD))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_commas_that_are_wrong_are_named(size: int) -> None:
    """The objects around them are there all the same."""
    for between in (b"", b",,", b", ,"):
        found, errors, _ = split(b"[" + GOOD + between + GOOD + b"]", size)
        assert [raw for _, raw in found] == [GOOD, GOOD]
        assert len(errors) == 1, between
    assert split(b"[" + GOOD + b",]", size)[1]
    assert not split(b"[ ]", size)[1]


def test_an_object_that_is_too_large_costs_only_itself_and_no_memory() -> None:
    """It is named with its place; what follows is read."""
    large = GOOD.replace(b"evil", b"e" * 5_000)
    data = bundle(GOOD, large, GOOD)
    found, errors, _ = split(data, 100, ObjectLimits(object_bytes=1_000))
    assert [raw for _, raw in found] == [GOOD, GOOD]
    assert [type(error) for error in errors] == [LimitError]
    assert errors[0].place == Place("b.json", offset=data.index(large))


@pytest.mark.parametrize("closed", [True, False])
def test_nesting_costs_only_the_object_that_has_it(closed: bool) -> None:
    """However deep, and whatever the size of the blocks; one that is never closed takes what follows with it."""
    deep = b'{"x":' + b"[" * 200_000 + (b"]" * 200_000 + b"}" if closed else b"")
    found, errors, _ = split(bundle(GOOD, deep, GOOD), 4_096)
    assert [raw for _, raw in found] == ([GOOD, deep, GOOD] if closed else [GOOD])
    assert ["breaks off" in str(error) for error in errors] == ([] if closed else [True])


@pytest.mark.parametrize(
    ("head", "behind"),
    [
        (b'\xef\xbb\xbf [ {"', b"["),
        (b'{"type":"bundle","objects":[', b'objects":['),
        (b'{"id":"bundle--1","objects" : [', b"["),
        (b'{"more":false,"x":{"objects":[1]},"objects":[', b',"objects":['),
        (b'{"id":"grouping--1","objects":[', None),
        (b'{"type":"x-own","objects":[', None),
        (b'{"type":"observed-data","objects":{"0":[', None),
        (b'{"x":{"objects":[', None),
        (b'{"x":"objects","y":[', None),
        (b'{}{"objects":[', None),
        (b"", None),
        (b"hello", None),
    ],
)
def test_the_list_of_objects_is_found_in_the_head(head: bytes, behind: bytes | None) -> None:
    """Only where the file is a bundle, an envelope or a list; what is one object is told apart."""
    found = find_members(head)
    assert found == (None if behind is None else head.index(behind) + len(behind))


ODD: list[dict[str, Any]] = [
    {},
    {"x": 1.5},
    {"x": [1e300, 10**30, -0.0]},
    {"x": 10**30 + 1, "spec_version": "2.0"},
    {"ë": {"z": 1}},
    {"x": 'ë \u2028 \\u0041 " :'},
    {"spec_version": "2.0"},
    {"spec_version": "3.0"},
    {"id": "domain-name--1"},
    {"created": "yesterday"},
    {"revoked": True, "confidence": 101},
    {"object_marking_refs": ["marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]},
    {
        "granular_markings": [
            {"selectors": ["value"], "marking_ref": "marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}
        ]
    },
    {"labels": "no list"},
    {"modified": "2022-07-15T08:00:60.123456789Z"},
    {"modified": "9999-12-31T23:59:60Z"},
    {"type": "x-beacon", "id": "x-beacon--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"},
    {"x": [[[[[[]]]]]]},
]
RAW = [
    b'{"a":1,"a":2}',
    b"3",
    b'{"type":"tool" ,"id" : "tool--1","id" :1}',
    GOOD[:-1] + b',"value" :"b"}',
    b'{"id":"\xff"}',
]


@pytest.mark.parametrize("layout", [{}, {"separators": (" , ", " : ")}, {"ensure_ascii": False}])
@given(st.lists(st.sampled_from(range(len(ODD))), max_size=6), st.lists(st.sampled_from(RAW), max_size=2))
def test_columns_say_what_each_object_says(layout: dict[str, Any], chosen: list[int], bad: list[bytes]) -> None:
    """Ids, versions, traits, digests, values, kinds and issues: as of the objects parsed one by one."""
    raws = [json.dumps({**domain(number), **ODD[number]}, **layout).encode() for number in chosen] + bad
    data = b",".join(raws)
    starts, ends, at = [], [], 0
    for raw in raws:
        starts.append(at)
        ends.append(at + len(raw))
        at += len(raw) + 1
    members = Members(data, 1_000, starts, ends, 9)
    limits = ObjectLimits(depth=100)
    parsed = parse_members(members, "b.json", limits).with_raws(members)
    items, issues, offsets = [], [], []
    for raw, start in zip(raws, starts, strict=True):
        place = Place("b.json", offset=1_000 + start)
        try:
            items.append(parse_object(raw, place))
            offsets.append(1_000 + start)
        except InputError as error:
            issues.append(Issue("knowledge", error.code, place, error.reason, error.advice, length=len(raw), records=1))
    assert parsed.columns == columns_of(items)
    assert parsed.offsets == offsets
    assert parsed.issues == issues
    assert parsed.kinds == kinds_of(items) == Counter(parsed.kinds)


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_what_stands_between_objects_is_bounded_wherever_blocks_end(size: int) -> None:
    """What stood before goes in, and the place is named; a quote that is missing makes all behind it look so."""
    limits = ObjectLimits(object_bytes=500)
    data = b'{"type": "bundle", "objects": [' + GOOD + b", " + b"7, " * 400 + GOOD + b"]}"
    at = find_members(data)
    assert at is not None
    splitter = MemberSplitter("b.json", limits, at)
    blocks = (data[start : start + size] for start in range(at, len(data), size))
    parts = (part for block in blocks for part in splitter.feed(block))
    first = next(parts)
    assert isinstance(first, Members)
    assert len(first.starts) == 1
    with pytest.raises(LimitError, match="between two objects") as caught:
        next(parts)
    assert caught.value.place == Place("b.json", offset=at + len(GOOD))
