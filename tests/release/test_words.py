"""What an object could be known by, and where it is found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.release.words import (
    _literals,
    find_words,
    fold,
    internal_addresses,
    replace_uuids,
    strings_of,
    uuids_of,
    words_of,
)

RULE = """\
title: Quiet loader
id: 5f113a8f-8b61-41ca-b90f-d374fa7e4a39
detection:
  selection:
    DestinationHostname|contains: 'quiet.example'
    Image|endswith: '\\quietload.exe'
    EventID: 3
    CommandLine: '*--quiet-mode*x?'
  condition: selection
"""


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("hxxps://Evil[.]Example/a", "https://evil.example/a"),
        ("evil(.)example", "evil.example"),
        ("evil[dot]example", "evil.example"),
        ("a[at]evil{.}example", "a@evil.example"),
        ("h**p[:]//x", "http://x"),
        ("\uff25vil", "evil"),
        ("STRASSE straße", "strasse strasse"),
        ("ev\u200bil\u00ad", "evil"),
    ],
)
def test_one_word_has_one_folded_form(written: str, plain: str) -> None:
    """However it was written to be harmless, or hidden."""
    assert fold(written) == plain


@given(st.text())
def test_folding_ends(text: str) -> None:
    """Any text has a folded form, and its letters' case makes no difference where Unicode folds it alike."""
    assert fold(text) == fold(text)
    if text.isascii():
        assert fold(text.upper()) == fold(text.lower())


def test_words_are_names_values_literals_and_references() -> None:
    """Free text is not: it may say anything."""
    words = words_of(
        {
            "id": "indicator--1",
            "type": "indicator",
            "name": "Quiet Name",
            "description": "Free text about powershell.",
            "aliases": ["Other Name"],
            "pattern": "[file:hashes.'SHA-256' = 'ABCDEF' AND file:name = 'it\\'s.exe']",
            "pattern_type": "stix",
            "hashes": {"MD5": "0123456789abcdef"},
            "external_references": [{"source_name": "here", "url": "https://quiet.example/x", "external_id": "Q-1"}],
        },
        ["listed.example"],
    )
    assert {"quiet name", "other name", "abcdef", "it's.exe", "0123456789abcdef", "q-1", "listed.example"} <= words
    assert "https://quiet.example/x" in words
    assert not any("powershell" in word for word in words)


def test_a_sigma_rules_words_are_its_title_its_id_and_its_longer_literals() -> None:
    """Wildcards and leading backslashes are none of it."""
    words = words_of({"name": "Quiet loader", "pattern": RULE, "pattern_type": "sigma"})
    expected = {"quiet loader", "5f113a8f-8b61-41ca-b90f-d374fa7e4a39", "quiet.example", "quietload.exe"}
    assert expected | {"--quiet-mode"} <= words
    assert "selection" not in words


def test_a_rule_that_multiplies_itself_ends_nothing() -> None:
    """YAML's aliases: a billion strings in a few lines."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 25))
    words = words_of({"pattern": f"title: x\na0: &a0 [quietlong]\n{levels}detection: *a24\n", "pattern_type": "sigma"})
    assert "quietlong" in words
    assert words_of({"pattern": "title: [", "pattern_type": "sigma"}) == {"title: ["}


def test_short_words_count_only_alone() -> None:
    """Else a group called "Net" would stop every text."""
    texts = ["internet networks", "the net, closed", "a.net", "netquiet", "x"]
    assert set(find_words(texts, {"net", "quiet"})) == {1, 2}
    assert find_words(["netquietly"], {"quietl"}) == {0: frozenset({"quietl"})}
    assert find_words([], {"net"}) == {}
    assert find_words(["net"], set()) == {}


def test_what_says_nothing_is_no_word() -> None:
    """Two letters, a port."""
    assert words_of({"name": "ab", "aliases": ["443", "a b", " "]}) == {"a b"}


def test_overlapping_words_are_all_found() -> None:
    """One within another, one after another."""
    assert find_words(["quiet.example.com"], {"quiet.example", "example.com", "quiet.example.com"}) == {
        0: frozenset({"quiet.example", "example.com", "quiet.example.com"})
    }


def test_internal_addresses_are_told_from_others() -> None:
    """RFC 1918 and RFC 4193, not documentation ranges, not versions."""
    text = "10.1.2.3 172.16.0.9 172.32.0.9 192.168.7.7, 192.0.2.1 110.1.2.3 10.1.2.3.4 fd12:3456::1 2001:db8::1"
    assert internal_addresses(text) == {"10.1.2.3", "172.16.0.9", "192.168.7.7", "fd12:3456::1"}


def test_references_are_found_in_any_string() -> None:
    """In keys, in texts, in any case; and replaced there."""
    value = {
        "5F113A8F-8b61-41ca-b90f-d374fa7e4a39": ["see malware--0b1f8a52-6f0f-4a56-8a63-0f6f5e6d9d11.", 3, None],
    }
    assert uuids_of(strings_of(value)) == {
        "5f113a8f-8b61-41ca-b90f-d374fa7e4a39",
        "0b1f8a52-6f0f-4a56-8a63-0f6f5e6d9d11",
    }
    old, new = "0b1f8a52-6f0f-4a56-8a63-0f6f5e6d9d11", "11111111-1111-4111-8111-111111111111"
    assert replace_uuids(f"see malware--{old.upper()}.", {old: new}) == f"see malware--{new}."


@pytest.mark.parametrize(
    "pattern",
    [
        "[" * 3_000,
        "{a: " * 3_000,
        "- " * 3_000 + "a",
        'a: !!int ""',
        "a: !!bool x",
        "a: !!timestamp x",
        "a: !!float x",
        "a: &a {<<: *a}",
        "a: *nothing",
        'title: "\\ud800"',
        "? [a, b]\n: c",
    ],
)
def test_a_rule_that_is_none_ends_nothing(pattern: str) -> None:
    """Brackets that would end the process, tags that don't fit their values: what can't be read counts by its lines."""
    words = words_of({"name": "Zqbroken", "pattern": f"{pattern}\nzqliteral.example", "pattern_type": "sigma"})
    assert "zqbroken" in words
    assert "zqliteral.example" in words or not pattern.startswith(("[", "{", "- "))


def test_words_of_any_length_are_found() -> None:
    """Long ones by their beginning, and then whole; one that begins another is found beside it."""
    long, longer, other = "ab" * 150, "ab" * 400, "ab" * 150 + "c"
    texts = [f"x {long} y", f"x {longer} y", f"x {other}", "x " + "ab" * 149, "nothing"]
    found = find_words(texts, {long, longer, other, "ab" * 100, "nothing"})
    assert found == {
        0: frozenset({long, "ab" * 100}),
        1: frozenset({long, longer, "ab" * 100}),
        2: frozenset({long, other, "ab" * 100}),
        3: frozenset({"ab" * 100}),
        4: frozenset({"nothing"}),
    }


def test_a_word_of_many_letters_is_looked_for_at_once() -> None:
    """One letter over and over: no search that goes back and forth in it."""
    word = "a" * 200_000
    assert find_words([f"-{word}-", "a" * 199_999], {word, "other"}) == {0: frozenset({word})}


@given(st.lists(st.text("ab", min_size=6, max_size=500), max_size=6), st.lists(st.text("ab", max_size=900), max_size=4))
def test_words_are_found_as_by_looking_for_each(words: list[str], texts: list[str]) -> None:
    """Every word in every text, and no other."""
    expected = {row: {word for word in words if word in text} for row, text in enumerate(texts)}
    assert find_words(texts, set(words)) == {row: frozenset(found) for row, found in expected.items() if found}


@given(st.text("'\"\\ab", max_size=60))
def test_literals_are_what_stands_between_quotes(pattern: str) -> None:
    """As a search from each place finds them, one after the other."""
    search = re.compile(r"'((?:[^'\\]|\\.)*+)'|\"((?:[^\"\\]|\\.)*+)\"", re.DOTALL)
    assert list(_literals(pattern)) == [one[1] if one[1] is not None else one[2] for one in search.finditer(pattern)]


@pytest.mark.parametrize("part", ["'\\", '"\\', "'\\\"\\", "''", "'a\"", "\\'"])
def test_a_million_quotes_end_nothing(part: str) -> None:
    """Escaped ones that no quote ends, looked through anew from each, would take an hour."""
    assert len(list(_literals(part * (1_000_000 // len(part))))) <= 500_000
