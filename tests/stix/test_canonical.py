"""Canonical JSON, three ways to the same bytes: RFC 8785."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aleat.stix.canonical import canonical_json, canonical_json_parsed, canonical_json_text

SAFE = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(["T17:26.5Z", ',1.5"', "[2.0", '":3e7', "ë€😀"])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
CONTAINERS = st.lists(VALUES, max_size=4) | st.dictionaries(TEXT, VALUES, max_size=4)


@given(CONTAINERS)
def test_every_way_gives_the_form_of_rfc_8785(value: Any) -> None:
    """The fast ways are only faster."""
    expected = rfc8785.dumps(value)
    assert canonical_json(value) == expected
    assert canonical_json_parsed(value) == expected
    assert canonical_json_text(json.dumps(value, indent=1).encode()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"b": 1.0, "a": [1e3, -0.0]}', b'{"a":[1000,0],"b":1}'),
        ('{"€": 1, "\r": 2, "ö": 3, "1": 4}'.encode().replace(b"\r", b"\\r"), '{"\\r":2,"1":4,"ö":3,"€":1}'.encode()),
        ('{"\U0001f600": 1, "\ufb33": 2}'.encode(), '{"\U0001f600":1,"\ufb33":2}'.encode()),  # UTF-16, not UTF-8
        (b'{"n": 9007199254740993}', b'{"n":9007199254740993}'),  # digits beyond a double's are kept
        (b'{"n": -100000000000000000000000000000001}', b'{"n":-100000000000000000000000000000001}'),
        (
            '{"😀": [18446744073709551616, 1.50], "דּ": {"a": null, "t": true}}'.encode(),
            '{"😀":[18446744073709551616,1.5],"דּ":{"a":null,"t":true}}'.encode(),
        ),
        (b'{"n": 0.10000000000000000000001, "t": "12345678901234567890"}', b'{"n":0.1,"t":"12345678901234567890"}'),
    ],
)
def test_the_standards_hard_cases(text: bytes, expected: bytes) -> None:
    """RFC 8785 §3.2: numbers as ECMAScript writes them, keys ordered by UTF-16 code units."""
    assert canonical_json_text(text) == expected


@given(st.integers(-(2**80), 2**80), st.integers(-(2**80), 2**80))
def test_two_integers_are_two_however_long(one: int, other: int) -> None:
    """What differs beyond a double's precision has two digests."""
    texts = [json.dumps({"n": [number]}).encode() for number in (one, other)]
    assert (canonical_json_text(texts[0]) == canonical_json_text(texts[1])) == (one == other)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 300 + b"]" * 300, b'{"a":\xff}', b'{"a":"\\ud800"}', b"NaN"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    """Broken, too deep, no UTF-8, a lone surrogate."""
    with pytest.raises(ValueError):
        canonical_json_text(text)
