"""STIX objects: bytes in, the same bytes out, and the properties that are used checked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import ObjectError, Place
from aleat.stix import StixObject, make_object, parse_object, random_id
from tests.stix.strict import strict_errors

TIME = "2022-07-15T08:00:00.000Z"
WHEN = datetime(2022, 7, 15, 8, tzinfo=UTC)
UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
HERE = Place("bundle.json", offset=7)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=8).map(lambda key: f"x_{key}"), JSON, max_size=4)


def parse(properties: dict[str, Any], **layout: Any) -> StixObject:
    return parse_object(json.dumps(properties, **layout).encode(), HERE)


def indicator(**more: Any) -> dict[str, Any]:
    """An indicator as an ally writes it."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{UUID}",
        "created": TIME,
        "modified": TIME,
        "pattern": "[domain-name:value = 'evil.example']",
        "pattern_type": "stix",
        "valid_from": TIME,
        **more,
    }


@given(UNKNOWN, st.sampled_from([{}, {"indent": 2}, {"separators": (" ,", " : ")}, {"ensure_ascii": False}]))
def test_an_object_keeps_its_bytes_and_its_unknown_properties(unknown: dict[str, Any], layout: dict[str, Any]) -> None:
    """Byte for byte, whatever the layout; the digest doesn't depend on the layout."""
    properties = indicator(**unknown)
    try:
        raw = json.dumps(properties, **layout).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate isn't UTF-8
    try:
        item = parse_object(raw, HERE)
    except ObjectError:
        assert b"\\ud" in raw  # an escaped lone surrogate is no JSON text either
        return
    assert item.raw == item.content == raw
    assert item.digest == parse(properties).digest
    assert item.id == properties["id"]
    assert item.version == TIME
    assert set(item.properties()) == set(properties)


def test_the_properties_that_are_used_are_typed() -> None:
    """Lists are tuples, absent is None, granular markings are records."""
    item = parse(
        indicator(
            confidence=85,
            revoked=True,
            labels=["a", "b"],
            name="N",
            object_marking_refs=[f"marking-definition--{UUID}"],
            granular_markings=[{"selectors": ["name"], "marking_ref": f"marking-definition--{UUID}"}],
            extensions={"extension-definition--x": {"n": 1}},
        )
    )
    assert (item.confidence, item.revoked, item.labels, item.name) == (85, True, ("a", "b"), "N")
    assert item.object_marking_refs == (f"marking-definition--{UUID}",)
    assert item.granular_markings[0].selectors == ("name",)
    assert item.created_by_ref is None
    assert item.extension("extension-definition--x") == {"n": 1}
    assert item.extension("extension-definition--y") is None


@pytest.mark.parametrize(
    ("fault", "properties", "reason"),
    [
        ("no id", {"type": "indicator"}, "missing required field `id`"),
        ("no type", {"id": f"indicator--{UUID}"}, "missing required field `type`"),
        ("id of another type", indicator(id=f"malware--{UUID}"), "not of the form type--UUID"),
        ("id that is no UUID", indicator(id="indicator--1"), "not of the form type--UUID"),
        ("id that is a number", indicator(id=5), "Expected `str`"),
        ("type with a space", {"type": "a b", "id": f"a b--{UUID}"}, "not of the form type--UUID"),
        ("timestamp without zone", indicator(modified="2022-07-15T08:00:00"), "'modified' is no STIX timestamp"),
        ("day that isn't", indicator(created="2022-02-30T08:00:00Z"), "'created' is no STIX timestamp"),
        ("timestamp that is a number", indicator(valid_from=1657872000), "Expected `str"),
        ("marking that is no id", indicator(object_marking_refs=["tlp:red"]), "references is no STIX id"),
        ("marking that is no list", indicator(object_marking_refs="x"), "Expected `array`"),
        ("confidence beyond 100", indicator(confidence=101), "between 0 and 100"),
        ("revoked that is a text", indicator(revoked="true"), "Expected `bool`"),
        ("version of the future", indicator(spec_version="3.0"), "neither 2.0 nor 2.1"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_bad_object_is_refused_with_its_place(fault: str, properties: dict[str, Any], reason: str) -> None:
    """And with a reason that names the fault."""
    with pytest.raises(ObjectError, match=reason) as caught:
        parse(properties)
    assert caught.value.place == HERE, fault


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"a","type":"indicator","id":"x"}',
        b'{"type" : "indicator" , "type" : "indicator", "id":"indicator--%s"}' % UUID.encode(),
        b'{"type":"indicator","id":"indicator--%s","x":{"a":1,"a":1}}' % UUID.encode(),
        b'{"type":"indicator","id":"indicator--%s","x\\u0022:":1,"x\\u0022:":1}' % UUID.encode(),
        b'{"type":"indicator","id":"indicator--%s","a":"\\u0022:","b":1,"b" :2}' % UUID.encode(),
    ],
)
def test_a_key_that_stands_twice_is_refused(raw: bytes) -> None:
    """Wherever it is, also where escapes or spaces hide it: parsers differ on which one counts."""
    with pytest.raises(ObjectError):
        parse_object(raw, HERE)


def test_keys_that_only_look_alike_are_kept() -> None:
    """Texts that hold quotes and colons are no keys."""
    item = parse(indicator(description='"a":1,"a":1 and \\"', name='":":":'))
    assert item.name == '":":":'


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
def test_nesting_beyond_the_limit_is_refused(depth: int) -> None:
    """Without a recursion error."""
    raw = json.dumps(indicator()).encode()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(ObjectError, match="nested deeper than 100 levels"):
        parse_object(raw, HERE)


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    """Only depth counts, and brackets in texts don't."""
    assert parse(indicator(x=[[n] for n in range(500)], y="[" * 500)).type == "indicator"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_an_error(raw: bytes) -> None:
    """Never anything else."""
    with pytest.raises(ObjectError):
        parse_object(raw, HERE)


def test_an_object_of_ours_passes_strict_validation() -> None:
    """And leaves out what is empty."""
    item = make_object(
        "indicator",
        random_id("indicator"),
        created=WHEN,
        created_by_ref=f"identity--{UUID}",
        markings=[],
        name="Loader",
        description="A loader's domain.",
        pattern="[domain-name:value = 'evil.example']",
        pattern_type="stix",
        valid_from=WHEN,
        valid_until=None,
        labels=[],
    )
    assert strict_errors(item) == []
    assert item.modified == item.created == TIME
    assert {"valid_until", "labels", "object_marking_refs"}.isdisjoint(item.properties())


def test_the_same_object_is_made_with_the_same_bytes() -> None:
    """Whatever the order of its properties."""
    first = make_object("note", f"note--{UUID}", created=WHEN, content="c", object_refs=[f"note--{UUID}"])
    second = make_object("note", f"note--{UUID}", object_refs=[f"note--{UUID}"], content="c", created=WHEN)
    assert first.raw == second.raw


@pytest.mark.parametrize("value", ["\ud800", float("nan"), {1}, 2**60])
def test_what_is_no_json_makes_no_object(value: object) -> None:
    """A clear error instead of a file that nobody can read."""
    with pytest.raises(ObjectError, match="can't be written as JSON"):
        make_object("note", f"note--{UUID}", created=WHEN, content=value)
