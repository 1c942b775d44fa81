"""Quality at the door: what is doubtful gets a label with its reason; nothing is changed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.knowledge.quality import CODES, REASONS, doubtful, quality_of, version_labels
from aleat.report import LANGUAGES, load_messages
from aleat.stix.objects import StixObject, make_object

BORN = datetime(2022, 7, 1, tzinfo=UTC)
MAKER = "identity--11111111-1111-4111-8111-111111111111"


def made(pattern: str, number: int = 1, **properties: Any) -> StixObject:
    values: dict[str, Any] = {"pattern": pattern, "pattern_type": "stix", "valid_from": BORN} | properties
    identifier = f"indicator--00000000-0000-4000-8000-{number:012d}"
    return make_object("indicator", identifier, created=BORN, created_by_ref=MAKER, **values)


def reasons(pattern: str) -> list[str]:
    return [label.reason for label in quality_of(made(pattern))]


DOUBTFUL = {
    "[domain-name:value = 'com']": "top-level-domain",
    "[domain-name:value = '*.com']": "top-level-domain",
    "[domain-name:value LIKE '%.com']": "top-level-domain",
    "[domain-name:value = 'a b.example']": "domain",
    "[domain-name:value LIKE '%']": "any-text",
    "[file:name MATCHES '.*']": "any-text",
    "[file:name MATCHES 'a']": "any-text",
    r"[domain-name:value MATCHES '\\.com$']": "top-level-domain",
    r"[domain-name:value MATCHES '^.*\\.com$']": "top-level-domain",
    "[ipv4-addr:value = '0.0.0.0/0']": "wide-network",
    "[ipv4-addr:value = '45.0.0.0/8']": "wide-network",
    "[ipv6-addr:value = '2a00::/12']": "wide-network",
    "[ipv4-addr:value = '10.1.2.3']": "reserved-address",
    "[ipv4-addr:value = '127.0.0.1']": "reserved-address",
    "[ipv4-addr:value = '192.168.0.0/16']": "reserved-address",
    "[ipv6-addr:value = 'fe80::1']": "reserved-address",
    "[ipv4-addr:value = '300.1.2.3']": "address",
    "[ipv4-addr:value = '2001:db8::1']": "address",
    "[ipv4-addr:value = '']": "address",
    "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']": "empty-file",
    "[file:hashes.'SHA-256' = 'abcd']": "hash-length",
    "[file:hashes.MD5 = 'zz1d8cd98f00b204e9800998ecf8427e']": "hash-length",
    "[domain-name:value = 'x.example'": "pattern",
    "domain-name:value = 'x.example'": "pattern",
    "[domain-name:value = 'x.example]": "pattern",
    "[ipv4-addr:value = '198.51.100.7' OR ipv4-addr:value = '10.0.0.1']": "reserved-address",
    "[ipv4-addr:value IN ('198.51.100.7', '10.0.0.0/8')]": "wide-network",
}
GOOD = (
    "[ipv4-addr:value = '198.51.100.7']",
    "[ipv4-addr:value = '192.0.2.0/24']",
    "[ipv6-addr:value = '2001:db8::1']",
    "[domain-name:value = 'evil.example']",
    "[domain-name:value LIKE '%.evil.example']",
    "[url:value = 'http://evil.example/a']",
    "[file:hashes.'SHA-256' = '" + "ab" * 32 + "']",
    "[file:hashes.SSDEEP = '3:abc:def']",
    "[file:name = 'x.exe' AND file:size = 12]",
    "[ipv4-addr:value = '10.0.0.1' AND network-traffic:dst_port = 4444]",
    "[domain-name:value != 'com']",
    "[file:name = 'AND [ ( it''s']".replace("it''s", "it\\'s"),
    r"[domain-name:value MATCHES '^evil[0-9]+']",
    r"[domain-name:value MATCHES '(a+)+$']",
)


@pytest.mark.parametrize("pattern", DOUBTFUL, ids=str)
def test_what_is_doubtful_has_its_reason(pattern: str) -> None:
    """Each of these, and for one reason."""
    labels = quality_of(made(pattern))
    assert [label.reason for label in labels] == [DOUBTFUL[pattern]]
    assert labels[0].code == REASONS[labels[0].reason]


@pytest.mark.parametrize("pattern", GOOD, ids=str)
def test_what_is_good_has_no_label(pattern: str) -> None:
    """Documentation ranges too: nobody routes them, so that they hit only where somebody means them."""
    assert reasons(pattern) == []


def test_an_end_before_the_beginning_is_a_contradiction() -> None:
    """STIX says that it must not be."""
    (label,) = quality_of(made(GOOD[0], valid_until=BORN - timedelta(days=1)))
    assert (label.code, label.reason) == ("contradictory", "ends-before-it-begins")
    assert quality_of(made(GOOD[0], valid_until=BORN + timedelta(days=1))) == ()


def test_a_maker_who_says_benign_and_malicious_contradicts_itself() -> None:
    """In one object, or in two about the same; another maker's word is no contradiction."""
    both = made(GOOD[0], indicator_types=["benign", "malicious-activity"])
    assert [label.reason for label in quality_of(both)] == ["benign-and-malicious"]
    good = made(GOOD[0], 2, indicator_types=["benign"])
    bad = made(GOOD[0], 3, indicator_types=["malicious-activity"])
    other = made(GOOD[3], 4, indicator_types=["malicious-activity"])
    assert [position for position, _ in doubtful([good, other, bad])] == [0, 2]
    assert list(doubtful([good, other])) == []


def test_what_was_revoked_does_not_come_back_in_a_later_version() -> None:
    """A later version that isn't revoked contradicts the earlier one."""
    gone = made(GOOD[0], modified=BORN + timedelta(days=1), revoked=True)
    back = made(GOOD[0], modified=BORN + timedelta(days=2))
    assert version_labels([made(GOOD[0]), gone]) == ()
    assert [label.reason for label in version_labels([back, gone, made(GOOD[0])])] == ["revoked-and-not"]


def test_all_values_are_asked_for_on_warning_lists_at_once() -> None:
    """One question for many objects; of a pattern all of whose comparisons must hold none is asked."""
    asked: list[list[tuple[str, str]]] = []

    def warn(pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        asked.append(list(pairs))
        return {("domain-name", "evil.example"): "Top sites"}

    items = [made(GOOD[0], 1), made(GOOD[3], 2), made(GOOD[8], 3), made(DOUBTFUL.__iter__().__next__(), 4)]
    found = dict(doubtful(items, warn))
    assert asked == [[("ipv4-addr", "198.51.100.7"), ("domain-name", "evil.example"), ("domain-name", "com")]]
    assert [(label.code, label.name) for label in found[1]] == [("warning-list", "Top sites")]


def test_nothing_but_indicators_is_looked_at() -> None:
    """Names, rules and lists have their own ways."""
    rule = made("title: x", pattern_type="sigma")
    other = make_object("malware", "malware--00000000-0000-4000-8000-000000000001", created=BORN, is_family=False)
    assert list(doubtful([rule, other])) == []


def test_every_reason_has_its_words_in_every_language() -> None:
    """And every code its name."""
    for language in LANGUAGES:
        words = load_messages(language).catalogue["quality"]
        assert set(words) == {*CODES, *REASONS}


@given(st.text(max_size=80))
def test_any_pattern_is_looked_at(text: str) -> None:
    """Whatever stands in it: labels, and no error."""
    for pattern in (f"[domain-name:value = '{text}']", f"[ipv4-addr:value IN ({text})]", f"[{text}]", text or "x"):
        try:
            item = made(pattern)
        except ValueError:
            continue
        assert all(label.code in CODES for label in quality_of(item))


@given(st.lists(st.sampled_from([*DOUBTFUL, *GOOD]), min_size=1, max_size=3), st.sampled_from([" OR ", " AND "]))
def test_the_usual_form_spares_a_look_and_no_label(patterns: list[str], between: str) -> None:
    """What is written so that it needs no closer look has the labels that it has when it is written otherwise."""
    pattern = f"[{between.join(pattern.strip('[]') for pattern in patterns)}]"
    assert reasons(pattern) == reasons(pattern.replace(" = '", "='"))


def test_a_pattern_of_brackets_takes_no_longer_than_its_length() -> None:
    """Linear in the text, however it nests or leaves open."""
    for part in ("[", "'", "(", "[a:b = '", "a:b.'", "[x:y IN ('a',", "\\'", "[url:value = 'a://b' OR "):
        assert quality_of(made("[" + part * 50_000)) is not None
    assert not quality_of(made("[" + " OR ".join(["url:value = 'ab://c'"] * 50_000) + "]"))
