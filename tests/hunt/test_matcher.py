"""The parts of the matcher: wildcards, regular expressions, networks, numbers; against simple oracles."""

from __future__ import annotations

import ipaddress
import random
import re
import time
import unicodedata
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import PatternError
from aleat.hunt.expression import Number, Regex, Text, Wildcard, fold
from aleat.hunt.matcher import Matcher, number_value, wildcard_fits
from aleat.hunt.networks import NetworkTable, parse_network
from aleat.hunt.regexes import find_matches, needs, translate

parts = st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab", 0, 1, 2]), min_size=1, max_size=7).map(tuple)


@settings(max_examples=400, deadline=None)
@given(parts, st.text("ab\n", max_size=12))
def test_wildcards_fit_as_a_regular_expression_would(pattern: tuple[str | int, ...], text: str) -> None:
    """Greedy leftmost matching of the runs is right."""
    expression = "".join(re.escape(part) if isinstance(part, str) else "." * part or ".*" for part in pattern)
    assert wildcard_fits(pattern, text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


def test_wildcards_take_linear_time() -> None:
    """The pattern that a backtracking matcher would never finish."""
    clock = time.process_time()
    assert not wildcard_fits(("a", 0) * 30 + ("b",), "a" * 200_000)
    assert time.process_time() - clock < 5


pieces = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "ab",
        ".",
        "[ab]",
        "[^a]",
        "(a|b)",
        "(?:ab)",
        "a?",
        "b*",
        "c+",
        "a{2}",
        "b{1,2}",
        "^",
        "$",
        r"\w",
        r"\.",
        "{",
        "|",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(pieces, min_size=1, max_size=5).map("".join),
    st.lists(st.text("abc.{\n", max_size=8), min_size=1, max_size=6),
)
def test_translated_patterns_find_what_pcre_finds(pattern: str, texts: list[str]) -> None:
    """On syntax that both have; and a text that lacks what `needs` says can't match."""
    if "$" in pattern[:-1]:  # what follows can't take the final newline that ``$`` looks ahead to: no look-ahead
        texts = [text.rstrip("\n") for text in texts]
    translated = translate(pattern).pattern
    found = find_matches(translated, "", texts)
    assert found == [re.search(pattern, text) is not None for text in texts]
    literal, length = needs(translated)
    for text, hit in zip(texts, found, strict=True):
        assert not hit or (literal in fold(text) and len(text) >= length)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\x{41}\x42$", "AB"),
        (r"^\p{L}\pL$", "\u00e9b"),
        (r"^\0\012\0123$", "\0\n\n3"),
        (r"^[\0-\x1f\x{e9}]+$", "\x05\u00e9"),
        (r"^\v[\v]\V$", "\x0b\u2028a"),
        (r"^\h[\h]\H$", "\t\u3000a"),
        (r"^\N$", "a"),
    ],
)
def test_escapes_mean_what_pcre_says(pattern: str, text: str) -> None:
    assert find_matches(translate(pattern).pattern, "s", [text, f"{text}-\n"]) == [True, False]


@pytest.mark.parametrize(
    "pattern",
    [
        "a(?=b)",
        "a(?!b)",
        "(?<=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?>a)",
        "a++",
        "a*+",
        r"\Ka",
        "(?R)",
        "(?(1)a)",
        "[a",
        "a\\",
        "(a",
        "a{99999}{99999}",
    ],
)
def test_patterns_beyond_a_linear_engine_are_refused(pattern: str) -> None:
    """By name, never evaluated otherwise."""
    with pytest.raises(PatternError):
        translate(pattern)


def test_regular_expressions_take_linear_time() -> None:
    """The pattern that blows up a backtracking engine."""
    matcher = Matcher()
    matcher.add(7, Regex(translate("^(a+)+$").pattern))
    clock = time.process_time()
    assert matcher.match(["a" * 50_000 + "!", "aaa"]) == [(), (7,)]
    assert time.process_time() - clock < 5


addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)
networks = st.sampled_from(
    ["10.0.0.0/8", "0.0.0.0/0", "192.168.0.0/16", "127.0.0.1", "::/0", "fe80::/10", "2001:db8::/32"]
)


@given(st.lists(networks, unique=True), addresses)
def test_networks_hold_the_addresses_that_they_hold(given_networks: list[str], address: ipaddress.IPv4Address) -> None:
    """Against Python's own."""
    table = NetworkTable()
    for number, text in enumerate(given_networks):
        network = parse_network(text)
        assert network is not None
        table.add(network, number)
    mapped = getattr(address, "ipv4_mapped", None) or address
    expected = [number for number, text in enumerate(given_networks) if mapped in ipaddress.ip_network(text)]
    assert sorted(table.find(str(address))) == expected


@pytest.mark.parametrize("text", ["", "10.0.0.1:80", "010.0.0.1", "10.0.0", "host", "1" * 500, "fe80::1%", "::g"])
def test_what_is_no_address_is_in_no_network(text: str) -> None:
    """Not even in the largest (a zone may be empty)."""
    table = NetworkTable()
    for number, network in enumerate(("0.0.0.0/0", "::/0")):
        parsed = parse_network(network)
        assert parsed is not None
        table.add(parsed, number)
    assert table.find(text) == ([1] if text == "fe80::1%" else [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("005", 5),
        ("5.", 5.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("0x1F", 31),
        (" 5 ", 5),
        ("", None),
        ("five", None),
        ("1,000", None),
        ("1_000", None),
        ("\u0665", None),
        ("0x", None),
        ("nan", None),
        ("inf", None),
        ("9" * 100, None),
    ],
)
def test_numbers_are_read_or_refused(text: str, value: float | None) -> None:
    """Decimal and hexadecimal; nothing that only Python takes for a number."""
    assert number_value(text) == value


def test_floats_equal_numbers_of_their_value() -> None:
    """A cell of kind float, written otherwise than the number."""
    matcher = Matcher()
    matcher.add(1, Number("eq", 5))
    assert matcher.match(["5.0"], floats=True) == [(1,)]
    assert matcher.match(["5.0"]) == [()]


def test_one_pass_tells_all_places_apart() -> None:
    """One literal under several tests."""
    matcher = Matcher()
    for number, op in enumerate(("equals", "contains", "startswith", "endswith")):
        matcher.add(number, Text(op, "ABCD"))  # type: ignore[arg-type]
    assert matcher.match(["abcd", "xabcd", "abcdx", "xabcdx", "abc"]) == [(0, 1, 2, 3), (1, 3), (1, 2), (1,), ()]


@pytest.mark.parametrize("seed", range(6))
def test_many_texts_together_pass_what_each_passes_alone(seed: int) -> None:
    """Literals of every kind, cased and not, texts that few or most of them are in; one text holds line ends."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    letters = "abK\u212a\u00df\u0130 \n\x01"
    words = ["".join(rng.choices(letters, k=rng.randrange(1, 5))) for _ in range(12)]
    matcher = Matcher()
    for number, word in enumerate(words):
        op = rng.choice(("equals", "contains", "startswith", "endswith"))
        matcher.add(number, Text(op, word, cased=rng.random() < 0.4))
    matcher.add(90, Wildcard((words[0], 0, words[1])))
    matcher.add(91, Regex("b.?a" if seed == 5 else "abK", ""))
    density = rng.choice((0.02, 0.3, 1.0))
    texts = [
        "".join(rng.choices(letters if rng.random() < density else "xyz", k=rng.randrange(0, 9))) for _ in range(2500)
    ]
    assert matcher.match(texts) == [matcher.match([text])[0] for text in texts]


@pytest.mark.parametrize(
    "test",
    [
        Text("equals", "Çelësi"),
        Text("contains", "elës"),
        Text("startswith", "Çel", cased=True),
        Wildcard(("Çel", 1, "si")),
        Regex("^Çel.si$"),
    ],
)
def test_a_letter_with_its_accent_is_one_text_however_it_is_written(test: Text | Wildcard | Regex) -> None:
    """Normal forms C and D, in the rule and in the log."""
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for form in forms:
        matcher = Matcher()
        matcher.add(7, _in_form(test, form))
        assert matcher.match([unicodedata.normalize(other, "Çelësi") for other in forms]) == [(7,), (7,)]


def _in_form(test: Text | Wildcard | Regex, form: Literal["NFC", "NFD"]) -> Text | Wildcard | Regex:
    if isinstance(test, Text):
        return msgspec.structs.replace(test, value=unicodedata.normalize(form, test.value))
    if isinstance(test, Regex):
        return msgspec.structs.replace(test, pattern=unicodedata.normalize(form, test.pattern))
    parts = tuple(unicodedata.normalize(form, part) if isinstance(part, str) else part for part in test.parts)
    return msgspec.structs.replace(test, parts=parts)
