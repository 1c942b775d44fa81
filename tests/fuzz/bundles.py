"""Target "bundles": STIX bundles, envelopes, lists and what breaks them, in blocks of any size.

A bundle is split alike wherever its blocks end, every member stands where it says, none overlaps another; its objects
by columns are those that are parsed one by one; what the strict way takes, the way by blocks takes the same.
"""

from __future__ import annotations

import json
import random
from typing import Any

from aleat.errors import InputError, Issue, Place
from aleat.knowledge import Document, Limits
from aleat.knowledge.blocks import read_blocks
from aleat.stix import ObjectLimits, StixObject, parse_bundle, parse_object
from aleat.stix.columns import columns_of, parse_members
from aleat.stix.members import Members
from aleat.stix.splitter import MemberSplitter, find_members
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["BundlesTarget"]

_TOKENS = (
    '"objects":[', '"type":"bundle",', '"type":"x-own",', "},{", "}{", ",,", "[[[[", "]", "}", '"\\"', '\\\\"',
    '"a" :1,', '"\\u0022:', "1e999", "-0.0", "99999999999999999999", '"ë":', '"spec_version":"2.0",',
    '"revoked":true,', "null",
)  # fmt: skip
_TYPES = ("indicator", "domain-name", "relationship", "malware", "x-own", "bundle")
_LIMITS = ObjectLimits(object_bytes=3_000, objects=200, depth=20, issues=50)


class BundlesTarget:
    """See the module."""

    name = "bundles"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return a bundle, most of the time damaged."""
        objects = [_object(rng) for _ in range(rng.randrange(6))]
        head: Any = rng.choice(({"type": "bundle", "objects": objects}, {"objects": objects}, objects))
        text = json.dumps(head, indent=rng.choice((None, None, 1)), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.5:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "surrogatepass")
        return mutate_bytes(data, rng) if rng.random() < 0.3 else data

    def check(self, data: bytes) -> None:
        """Split it in several ways; parse it in two."""
        at = find_members(data)
        if at is not None:
            ways = [_split(data, at, size) for size in (len(data) + 1, 1, 7, 64)]
            assert all(way == ways[0] for way in ways), "where blocks end makes a difference"
            end = 0
            for start, raw in ways[0][0]:
                assert start >= end, "two members overlap"
                assert data[start : start + len(raw)] == raw, "a member isn't where it says"
                end = start + len(raw)
            _compare(data, ways[0][0])
        _read_both(data)


def _object(rng: random.Random) -> dict[str, Any]:
    type_ = rng.choice(_TYPES)
    id_ = f"{type_}--8e2e2d2b-17d4-4cbf-938f-{rng.randrange(9):012x}"
    stamp = f"2022-07-{rng.randint(1, 31):02}T00:00:00.{rng.randrange(1000):03}Z"
    value = rng.choice(("a", "ë", '"', "\\", ",", "}{", 1.5, 10**20, None, [], {"a": [{}]}, "\ud800", ' :"', "\u2028"))
    return {"type": type_, "id": id_, "spec_version": "2.1", "created": stamp, "modified": stamp, "value": value}


def _split(data: bytes, at: int, size: int) -> tuple[list[tuple[int, bytes]], bool]:
    splitter = MemberSplitter("fuzz", _LIMITS, at)
    found: list[tuple[int, bytes]] = []
    faults = False
    try:
        for start in range(at, len(data), size):
            for part in splitter.feed(data[start : start + size]):
                if isinstance(part, Members):
                    pairs = zip(part.starts, part.ends, strict=True)
                    members = [(part.base + begin, part.data[begin:end]) for begin, end in pairs]
                    found += [one for one in members if len(one[1]) <= _LIMITS.object_bytes]
                    faults |= any(len(raw) > _LIMITS.object_bytes for _, raw in members)  # named when it is parsed
                else:
                    faults = True
        faults |= bool(list(splitter.finish()))
    except InputError:
        faults = True
    return found, faults


def _compare(data: bytes, members: list[tuple[int, bytes]]) -> None:
    """Parse the members by columns and one by one."""
    starts, ends = [at for at, _ in members], [at + len(raw) for at, raw in members]
    deepest = max((raw.count(b"[") + raw.count(b"{") for _, raw in members), default=0)  # no deeper than that
    block = Members(data, 0, starts, ends, deepest)
    parsed = parse_members(block, "fuzz", _LIMITS).with_raws(block)
    items: list[StixObject] = []
    for at, raw in members:
        try:
            if len(raw) <= _LIMITS.object_bytes:
                items.append(parse_object(raw, Place("fuzz", offset=at), depth=_LIMITS.depth))
        except InputError:
            continue
    assert parsed.columns == columns_of(items), "columns say otherwise"
    assert len(parsed.issues) == len(members) - len(items)


def _read_both(data: bytes) -> None:
    """What the strict way takes, the way by blocks takes the same."""
    document = Document("fuzz.json", "fuzz.json", len(data), data[:8192], lambda: data)
    issues: list[Issue] = []
    objects: list[StixObject] = []
    refused = False
    try:
        for one in read_blocks(document, Limits(objects=_LIMITS)):
            if isinstance(one, Issue):
                issues.append(one)
            else:
                objects += [item.object for item in one.items()]
    except InputError:
        refused = True
    try:
        whole = parse_bundle(data, "fuzz.json", _LIMITS)
    except InputError:
        assert refused or issues, "a broken file went in without a word"
        return
    assert not refused, "a whole file was refused"
    assert [item.raw for item in objects] == [item.raw for item in whole.objects], "other objects"
    assert len(issues) == len(whole.issues), "other issues"
