"""STIX documents block by block: what they are is what they were in one piece; a break costs only what it broke."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat import Workspace
from aleat.errors import InputError, Issue
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.blocks import WORTH_WORKERS, KnowledgeBlock, read_blocks
from aleat.knowledge.quality import doubtful
from aleat.stix import ObjectLimits, StixObject, parse_bundle
from aleat.trust.corpora import parse_policy, policy_bytes, recognise_objects
from aleat.trust.corpus_watch import CorpusWatch
from tests.stix.test_bundle import GOOD, bundle, domain
from tests.trust.test_corpora import technique


def document(data: bytes, size: int | None = None) -> Document:
    return Document("pack/b.json", "b.json", len(data) if size is None else size, data[:8192], lambda: data)


def read(data: bytes, limits: Limits | None = None, **more: Any) -> tuple[list[KnowledgeItem], list[Issue]]:
    items: list[KnowledgeItem] = []
    issues: list[Issue] = []
    for one in read_blocks(document(data, more.pop("size", None)), limits or Limits(), **more):
        if isinstance(one, Issue):
            issues.append(one)
        else:
            items += one.items()
    return items, issues


@given(
    st.lists(st.sampled_from([GOOD, b"3", b'{"type":"x"}', b"[1]"]), max_size=6),
    st.sampled_from([b"", b"\xef\xbb\xbf "]),
)
def test_a_document_is_what_it_is_in_one_piece(members: list[bytes], mark: bytes) -> None:
    """Objects, offsets and issues."""
    data = mark + bundle(*members)
    whole = parse_bundle(data, "pack/b.json")
    items, issues = read(data)
    assert [item.object for item in items] == list(whole.objects)
    assert [item.place.offset for item in items] == list(whole.offsets)
    assert issues == list(whole.issues)


def test_workers_change_nothing() -> None:
    """The order is the document's, whoever parsed what."""
    members = [{**domain(number), "x_note": "n" * 400} for number in range(9_000)]
    data = json.dumps({"type": "bundle", "objects": members}).encode()
    alone = read(data)
    with ThreadPoolExecutor(2) as workers:
        helped = read(data, workers=workers, size=WORTH_WORKERS)
    assert helped == alone
    assert len(alone[0]) == 9_000


INDICATOR: dict[str, Any] = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--00000000-0000-4000-8000-000000000001",
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "created_by_ref": "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "pattern": "[domain-name:value = 'evil.example' OR ipv4-addr:value = '198.51.100.7']",
    "pattern_type": "stix",
    "valid_from": "2022-07-15T08:00:00Z",
}
VARIED: tuple[dict[str, Any], ...] = (
    {},
    {"pattern": "[ipv4-addr:value = '10.0.0.1']"},
    {"pattern": "rule: x", "pattern_type": "sigma"},
    {"valid_until": "2021-07-15T08:00:00Z"},
    {"indicator_types": ["benign"]},
    {"indicator_types": ["benign", "malicious-activity"]},
    {"indicator_types": ["malicious-activity"], "x_weight": 0.5},
    {"spec_version": "2.0", "pattern": "[domain-name:value = 'com']"},
    {"x_note": "\u0000"},
)


@given(st.lists(st.sampled_from(VARIED), max_size=6))
def test_a_block_knows_which_of_its_indicators_are_looked_at(varied: list[dict[str, Any]]) -> None:
    """The labels are those of all its objects, looked at one by one and together."""
    ids = [f"indicator--00000000-0000-4000-8000-{number:012d}" for number in range(len(varied))]
    members = [{**INDICATOR, "id": id_, **more} for id_, more in zip(ids, varied, strict=True)]
    for one in read_blocks(document(json.dumps({"type": "bundle", "objects": members}).encode()), Limits()):
        assert isinstance(one, KnowledgeBlock)
        everything = [item.object for item in one.items()]
        chosen = [item.object for item in one.items(one.unusual)]
        assert [(chosen[at].id, labels) for at, labels in doubtful(chosen)] == [
            (everything[at].id, labels) for at, labels in doubtful(everything)
        ]


@pytest.mark.parametrize(
    ("fault", "data", "count", "reason"),
    [
        ("cut off", bundle(GOOD, GOOD)[:-90], 1, "breaks off"),
        ("objects twice", bundle(GOOD, tail=b',"objects":[%s]' % GOOD), 1, "'objects' twice"),
        ("text behind the end", bundle(GOOD) + b"x", 1, "no JSON"),
        ("another type behind", b'{"objects":[%s],"type":"x-own"}' % GOOD, 1, "no bundle"),
        ("a brace for the bracket", b'{"objects":[%s}}' % GOOD, 1, "closed by a brace"),
        ("nesting without end", b'{"objects":[%s,' % GOOD + b"[" * 100_000, 1, "breaks off"),
        (
            "nesting of 100,000",
            bundle(GOOD, b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", GOOD),
            2,
            "nested deeper",
        ),
    ],
)
def test_a_break_is_an_issue_and_what_was_whole_goes_in(fault: str, data: bytes, count: int, reason: str) -> None:
    """Unlike a sealed file, in which nothing may be broken."""
    items, issues = read(data)
    assert len(items) == count, fault
    assert any(reason in issue.reason for issue in issues), issues


def test_what_is_no_stix_is_refused() -> None:
    """As a whole; an object of a type of its own that has a list of objects is one object."""
    for data in (b"hello", b'{"type":"bundle","objects":"x"}', b'{"a":1}'):
        with pytest.raises(InputError):
            read(data)
    own = GOOD.replace(b'"value"', b'"objects":[1,2],"value"')
    assert [item.object.raw for item in read(own)[0]] == [own]


def test_limits_bound_what_is_read() -> None:
    """On objects, on their size, on issues listed."""
    data = bundle(*[GOOD] * 5, *[b"3"] * 9)
    assert any("(objects)" in issue.reason for issue in read(data, Limits(objects=ObjectLimits(objects=3)))[1])
    assert len(read(data, Limits(objects=ObjectLimits(object_bytes=60)))[1]) == 5 + 9
    assert [issue.records for issue in read(data, Limits(objects=ObjectLimits(issues=2)))[1]] == [1, 1, 7]


POLICY = parse_policy(policy_bytes())


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.sampled_from([None, {"created_by_ref": None}, {"revoked": True}]),
)
def test_a_corpus_is_recognised_while_it_streams_by(numbers: Sequence[int], more: dict[str, Any] | None) -> None:
    """As if all of it were there."""
    objects: list[StixObject] = [technique(number) for number in numbers]
    if more is not None:
        objects.append(technique(99, **more))
    watch = CorpusWatch(POLICY)
    for item in objects:
        watch.take(item)
    assert watch.match() == recognise_objects(objects, POLICY)


def test_what_was_kept_before_is_not_read_again(tmp_path: Path) -> None:
    """From the same giver; from another one, or with another marking, the copies are others. `verify` binds it."""
    path = tmp_path / "b.json"
    objects = [domain(number) for number in range(9_000)]
    path.write_text(json.dumps({"type": "bundle", "objects": objects}))
    with Workspace.init(tmp_path / "case", actor="agim", key_folder=tmp_path / "keys") as ws:
        first = ws.add_knowledge(path, giver="north")
        again = ws.add_knowledge(path, giver="north")
        other = ws.add_knowledge(path, giver="north", marking="red")
        assert (first.new, first.known, first.kinds) == (9_000, 0, {"domain-name": 9_000})
        assert (again.new, again.known, again.kinds) == (0, 9_000, {"domain-name": 9_000})
        assert (other.new, other.known) == (0, 9_000)
        path.write_text(json.dumps({"type": "bundle", "objects": [*objects, domain(10_000)]}))
        more = ws.add_knowledge(path, giver="north")
        assert (more.new, more.known) == (1, 9_000)
        assert ws.verify().faults == ()


def test_a_known_block_has_no_columns() -> None:
    """It says only what was in it."""
    data = json.dumps([domain(number) for number in range(3_000)]).encode()
    asked: list[bytes] = []

    def known(digest: bytes) -> dict[tuple[str, str], int]:
        asked.append(digest)
        return {("domain-name", ""): 7}

    found = list(read_blocks(document(data), Limits(), known=known))
    assert all(isinstance(one, KnowledgeBlock) and one.known and not one.columns.ids for one in found)
    assert len(asked) == len(found) == 1
