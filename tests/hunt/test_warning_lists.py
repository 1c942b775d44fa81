"""Values that mean nothing: which entries of lists get a label, and what a label does."""

from __future__ import annotations

import pyarrow as pa
import pytest

from aleat.errors import Place
from aleat.hunt.filters import apply_filters
from aleat.hunt.indicator import Indicator, ListEntry
from aleat.hunt.lists import ListHunter
from aleat.hunt.plan import Plan
from aleat.hunt.result import Tally
from aleat.hunt.warning_lists import WARNING_LABEL, WarningIndex, WarningList, refused_expressions
from aleat.stix.entries import ENTRY_SCHEMA, entries_digest
from aleat.store.entries import EntryRows
from tests.hunt.batches import make_batch

SHA256 = "ab" * 32


def rows_of(kind: str, *values: str) -> EntryRows:
    records = [{"type": kind, "value": value, "context": "", "line": None, "count": 1} for value in values]
    table = pa.Table.from_pylist(records, schema=ENTRY_SCHEMA)
    return EntryRows(table, entries_digest(table))


def warning(match: str, *values: str, attributes: tuple[str, ...] = (), name: str = "known") -> WarningList:
    kind = {"cidr": "ipv4-addr", "hostname": "domain-name", "regex": "regex"}.get(match, "text")
    return WarningList(name, match, attributes, Place("list.json"), rows=rows_of(kind, *values))


STANDS = [
    (warning("string", "Evil.example"), ("domain-name", "evil.example")),
    (warning("string", ".evil.example"), ("domain-name", "*.evil.example")),
    (warning("string", SHA256), ("file:hashes", SHA256)),
    (warning("string", "Global\\x"), ("text", "Global\\x")),
    (warning("substring", "/analysis/"), ("url", "https://x.example/analysis/7")),
    (warning("hostname", "Example.com."), ("domain-name", "www.example.com")),
    (warning("hostname", "example.com"), ("url", "hxxps://cdn.example.com:8443/x?y")),
    (warning("hostname", "com"), ("domain-name", "example.com")),
    (warning("cidr", "198.51.100.0/24"), ("ipv4-addr", "198.51.100.7")),
    (warning("cidr", "198.51.100.0/24"), ("ipv4-addr", "198.51.100.128/25")),
    (warning("cidr", "198.51.100.7"), ("ipv4-addr", "198.51.100[.]7")),
    (warning("cidr", "203.0.0.0/6"), ("ipv4-addr", "203.0.113.1 - 203.0.113.9")),
    (warning("cidr", "2001:db8::/32"), ("ipv6-addr", "2001:DB8:7::1")),
    (warning("regex", "/^wave[0-9]+$/i"), ("text", "WAVE12")),
    (warning("regex", "#^a/b$#"), ("text", "a/b")),
    (warning("regex", "x{3}"), ("file:name", "axxx.exe")),
]
STANDS_NOT = [
    (warning("string", "evil.example"), ("domain-name", "www.evil.example")),
    (warning("string", "global\\x"), ("text", "Global\\x")),
    (warning("substring", "analysis"), ("url", "https://x.example/Analysis")),
    (warning("hostname", "example.com"), ("domain-name", "notexample.com")),
    (warning("hostname", "example.com"), ("url", "https://x.example/example.com")),
    (warning("hostname", "example.com"), ("email-addr", "a@example.com")),
    (warning("cidr", "198.51.100.0/24"), ("ipv4-addr", "198.51.0.0/16")),
    (warning("cidr", "198.51.100.0/24"), ("ipv4-addr", "198.51.100.9-198.51.101.1")),
    (warning("cidr", "198.51.100.0/24"), ("domain-name", "198.51.100.7")),
    (warning("cidr", "not a network"), ("ipv4-addr", "198.51.100.7")),
    (warning("regex", "/^wave/"), ("text", "WAVE12")),
    (warning("regex", "/wave/"), ("regex", "wave.*")),
    (warning("hostname", "example.com", attributes=("ip-src",)), ("domain-name", "example.com")),
    (warning("string", SHA256, attributes=("md5", "filename|md5")), ("file:hashes", SHA256)),
]


@pytest.mark.parametrize(("given", "entry"), STANDS)
def test_an_entry_that_stands_on_a_warning_list_gets_its_name(given: WarningList, entry: tuple[str, str]) -> None:
    assert WarningIndex([given]).label(*entry) == f"{WARNING_LABEL}known"


@pytest.mark.parametrize(("given", "entry"), STANDS_NOT)
def test_an_entry_that_does_not_gets_none(given: WarningList, entry: tuple[str, str]) -> None:
    assert WarningIndex([given]).label(*entry) is None


@pytest.mark.parametrize(
    ("attribute", "entry"),
    [
        ("ip-dst|port", ("ipv4-addr", "198.51.100.7")),
        ("domain|ip", ("domain-name", "198.51.100.7.example")),
        ("filename|sha256", ("file:hashes", SHA256)),
        ("filename|sha256", ("file:name", "198.51.100.7.exe")),
        ("regkey", ("windows-registry-key", "HKLM\\198.51.100.7")),
        ("ALL", ("vulnerability", "CVE-2019-0604")),
    ],
)
def test_matching_attributes_say_which_types_are_meant(attribute: str, entry: tuple[str, str]) -> None:
    values = ["198.51.100.7", SHA256, "CVE", "HKLM"]
    assert WarningIndex([warning("substring", *values, attributes=(attribute,))]).label(*entry)
    assert WarningIndex([warning("substring", *values, attributes=("AS",))]).label(*entry) is None


def test_all_lists_that_a_value_stands_on_are_named() -> None:
    """The project's own first, then the others by name."""
    lists = [warning("cidr", "8.8.8.0/24", name="b"), warning("string", "8.8.8.8", name="a")]
    assert WarningIndex(lists).label("ipv4-addr", "8.8.8.8") == "warning list: public resolver; a; b"


def test_expressions_that_are_not_linear_are_named_and_the_others_count() -> None:
    given = warning("regex", "/(?=x)y/", "/a/", "/b/X", "(")
    refused = list(refused_expressions([given]))
    assert [(row.indicator, row.code, row.partial) for row in refused] == [
        ("known#0", "pattern", True),
        ("known#2", "pattern", True),
        ("known#3", "pattern", True),
    ]
    assert WarningIndex([given]).label("text", "ba") is not None


def test_a_labelled_sighting_is_kept_counted_apart_and_no_hit() -> None:
    """An ally's list with a resolver among its values: the other value is a hit."""
    entries = (ListEntry("ipv4-addr", "192.0.2.53"), ListEntry("ipv4-addr", "198.51.100.7"))
    place = Place("ally.csv")
    listed = Indicator("l", "indicator--l", "d", "aleat-list", "", "C2", "ally", place, entries=entries)
    plan = Plan(lists=(listed,), warnings=(warning("cidr", "192.0.2.53", name="Resolvers"),))
    batch = make_batch([{"A": "192.0.2.53"}, {"A": "dial 198.51.100.7"}])
    sightings = apply_filters(plan, ListHunter.of(plan.lists).hunt([batch]))
    assert [(one.indicator, one.hidden_by) for one in sightings] == [
        ("l#192.0.2.53", "warning list: Resolvers"),
        ("l#198.51.100.7", None),
    ]
    tally = Tally()
    for one in sightings:
        tally.add(one)
    assert (tally.sightings, tally.hidden, dict(tally.meaningless)) == (1, 0, {"Resolvers": 1})
    assert [one.hidden_by for one in apply_filters(Plan(lists=(listed,)), sightings)] == [None, None]


def test_patterns_are_not_labelled() -> None:
    """Somebody wrote each of them for its value."""
    entries = (ListEntry("ipv4-addr", "8.8.8.8"),)
    pattern = Indicator("p", "indicator--p", "d", "stix", "", "p", "ally", Place("p"), entries=entries)
    (sighting,) = ListHunter.of([pattern]).hunt([make_batch([{"A": "8.8.8.8"}])])
    assert apply_filters(Plan(lists=(pattern,)), [sighting])[0].hidden_by is None
