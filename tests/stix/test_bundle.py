"""Bundles: split into objects, each with its own bytes and its own fault."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, LimitError, ObjectError
from aleat.stix import ObjectLimits, make_bundle, parse_bundle

UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
GOOD = b'{"type":"domain-name","spec_version":"2.1","id":"domain-name--%s","value":"evil.example"}' % UUID.encode()


def bundle(*members: bytes, tail: bytes = b"") -> bytes:
    return b'{"type":"bundle","id":"bundle--%s","objects":[%s]%s}' % (UUID.encode(), b",".join(members), tail)


def domain(number: int) -> dict[str, Any]:
    return {
        "type": "domain-name",
        "spec_version": "2.1",
        "id": f"domain-name--8e2e2d2b-17d4-4cbf-938f-{number:012x}",
        "value": f"{number}.example",
    }


@given(
    st.lists(st.integers(0, 99), max_size=8),
    st.sampled_from([{}, {"indent": 1}, {"indent": "\t"}, {"separators": (" , ", " : ")}]),
    st.booleans(),
)
def test_each_object_keeps_its_bytes(numbers: list[int], layout: dict[str, Any], mark: bool) -> None:
    """And its offset leads to them, in any layout, with a byte order mark or without."""
    content = {"type": "bundle", "id": f"bundle--{UUID}", "objects": [domain(number) for number in numbers]}
    data = (b"\xef\xbb\xbf" if mark else b"") + json.dumps(content, **layout).encode()
    parsed = parse_bundle(data, "b.json")
    assert [item.properties() for item in parsed.objects] == content["objects"]
    for item, offset in zip(parsed.objects, parsed.offsets, strict=True):
        assert data[offset : offset + len(item.raw)] == item.raw
    assert parsed.issues == ()


@given(st.lists(st.integers(0, 99), max_size=5))
def test_a_bundle_of_ours_holds_the_objects_unchanged(numbers: list[int]) -> None:
    """Out and in again: the same bytes, under a bundle id that says nothing."""
    items = parse_bundle(json.dumps([domain(number) for number in numbers], indent=2).encode(), "").objects
    again = parse_bundle(make_bundle(items), "").objects
    assert [item.raw for item in again] == [item.raw for item in items]
    assert parse_bundle(make_bundle(items), "").id != parse_bundle(make_bundle(items), "").id


@pytest.mark.parametrize(
    ("form", "data", "count"),
    [
        ("TAXII envelope", b'{"more":false,"objects":[%s]}' % GOOD, 1),
        ("empty bundle", b'{"type":"bundle","id":"bundle--%s"}' % UUID.encode(), 0),
        ("bundle of STIX 2.0", bundle(GOOD, tail=b',"spec_version":"2.0"'), 1),
        ("list of objects", b" [%s, %s]" % (GOOD, GOOD), 2),
        ("one object", b"\n" + GOOD + b"\n", 1),
        ("observed data with its own objects", b'{"type":"observed-data","objects":{"0":{}}}', 0),
    ],
)
def test_the_forms_in_which_stix_comes(form: str, data: bytes, count: int) -> None:
    """Bundles, envelopes, lists, single objects."""
    assert len(parse_bundle(data, form).objects) == count


def test_one_bad_object_costs_only_itself() -> None:
    """Each has its issue with the byte where it stands."""
    bad = [b"3", b'"text"', b"null", b"{}", b'{"type":"domain-name","id":"domain-name--1"}', b'{"id":"\xff"}', b"[[]]"]
    data = bundle(*(part for member in bad for part in (member, GOOD)))
    parsed = parse_bundle(data, "b.json")
    assert len(parsed.objects) == len(bad)
    for issue, member in zip(parsed.issues, bad, strict=True):
        assert issue.code == "object"
        offset = issue.place.offset
        assert offset is not None
        assert data[offset : offset + len(member)] == member
        assert issue.length == len(member)


def test_an_object_that_nests_too_deep_costs_only_itself() -> None:
    """Also where the decoder would give up on the whole file."""
    bomb = b'{"type":"x","y":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    quoted = GOOD.replace(b"evil", b'],[{\\"objects\\":[')
    parsed = parse_bundle(bundle(GOOD, bomb, quoted), "b.json")
    assert [item.raw for item in parsed.objects] == [GOOD, quoted]
    assert [issue.reason for issue in parsed.issues] == ["The object is nested deeper than 100 levels."]


@pytest.mark.parametrize(
    ("fault", "data", "error", "reason"),
    [
        ("nothing", b"", ObjectError, "no STIX bundle"),
        ("cut off", bundle(GOOD)[:-20], ObjectError, "no STIX bundle"),
        ("no JSON", b"hello", ObjectError, "no STIX bundle"),
        ("JSON, not STIX", b'{"a":1}', ObjectError, "holds no STIX objects"),
        ("objects is a text", b'{"type":"bundle","objects":"x"}', ObjectError, "no STIX bundle"),
        ("objects twice", bundle(GOOD, tail=b',"objects":[]'), ObjectError, "a key twice"),
        ("objects twice, no bundle", b'{"objects":[],"objects":[%s]}' % GOOD, ObjectError, "a key twice"),
        ("text behind the end", bundle(GOOD) + b"x", ObjectError, "no STIX bundle"),
        ("nesting without end", b'{"objects":[' + b"[" * 1_000_000, LimitError, "nested deeper"),
        ("nesting outside", b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}", LimitError, "nested deeper"),
        ("a list of nesting", b"[" * 1_000_000, LimitError, "nested deeper"),
    ],
)
def test_a_file_that_is_no_stix_is_refused(fault: str, data: bytes, error: type[InputError], reason: str) -> None:
    """With its name and the reason."""
    with pytest.raises(error, match=reason) as caught:
        parse_bundle(data, "b.json")
    assert caught.value.place is not None, fault
    assert caught.value.place.path == "b.json"


def test_limits_are_named() -> None:
    """Size of the file, size of an object, number of objects, number of issues listed."""
    data = bundle(GOOD, GOOD)
    with pytest.raises(LimitError, match="bundle_bytes"):
        parse_bundle(data, "", ObjectLimits(bundle_bytes=10))
    with pytest.raises(LimitError, match=re.escape("(objects)")):
        parse_bundle(data, "", ObjectLimits(objects=1))
    assert "object_bytes" in parse_bundle(data, "", ObjectLimits(object_bytes=10)).issues[0].reason
    issues = parse_bundle(bundle(*[b"3"] * 9), "", ObjectLimits(issues=2)).issues
    assert [issue.records for issue in issues] == [1, 1, 7]


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",: ab\\1', max_size=200).map(str.encode))
def test_any_bytes_are_a_bundle_or_an_error(data: bytes) -> None:
    """Never anything else."""
    try:
        parse_bundle(data, "fuzz")
    except InputError:
        return


@given(st.binary(max_size=20), st.integers(0, 10_000), st.integers(0, 40))
def test_a_damaged_bundle_never_crashes(junk: bytes, at: int, cut: int) -> None:
    """Some objects may be lost, with issues; the rest is as it was."""
    data = bundle(GOOD, b'{"type":"x-y","id":"z","deep":[[[{"a":[1]}]]]}', GOOD)
    at %= len(data)
    damaged = data[:at] + junk + data[at + cut :]
    try:
        parsed = parse_bundle(damaged, "fuzz")
    except InputError:
        return
    assert len(parsed.objects) + len(parsed.issues) >= 1 or b'"objects"' not in damaged


@pytest.mark.long
def test_megabytes_of_nesting_without_an_end_are_refused() -> None:
    """As a whole, without recursion; a bundle that streams goes another way (`aleat.stix.splitter`)."""
    with pytest.raises(LimitError):
        parse_bundle(b'{"type":"bundle","objects":[' + b'{"a":[' * 3_000_000, "bomb.json")


@pytest.mark.data
def test_the_specifications_examples_go_in_and_out(test_data: Path) -> None:
    """Every example of the STIX 2.1 text that is whole JSON; only its own illegal ids (``example--1``) are refused."""
    text = (test_data / "specs" / "stix-v2.1.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    examples += map(html.unescape, re.findall(r'<code class="language-JSON">(.*?)</code>', text, re.DOTALL))
    taken, refused = 0, []
    for example in examples:
        try:
            value = json.loads(example)
            parsed = parse_bundle(example.encode(), "spec")
        except (ValueError, ObjectError):
            continue  # with elisions, or a fragment
        members = value if isinstance(value, list) else value["objects"] if value["type"] == "bundle" else [value]
        given = {json.dumps(member) for member in members}
        assert {json.dumps(json.loads(item.raw)) for item in parsed.objects} <= given
        assert len(parsed.objects) + len(parsed.issues) == len(members)
        taken += len(parsed.objects)
        refused += [issue.reason for issue in parsed.issues]
    assert taken == 170
    assert len(refused) == 16
    assert all("type--UUID" in reason or "required field `id`" in reason for reason in refused)
