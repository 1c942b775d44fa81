"""Hunting lists of values."""

from __future__ import annotations

import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import Place
from aleat.hunt.filters import apply_filters
from aleat.hunt.indicator import Indicator, ListEntry
from aleat.hunt.list_index import ListIndex
from aleat.hunt.lists import ListHunter
from aleat.hunt.plan import Plan
from aleat.hunt.result import Tally
from tests.hunt.batches import make_batch


def make_list(*entries: tuple[str, str] | tuple[str, str, str], id: str = "list--1") -> Indicator:
    return Indicator(
        id=id,
        ref="indicator--0b0e1c9e-0000-5000-8000-000000000001",
        digest="d" * 64,
        pattern_type="aleat-list",
        pattern="",
        title="C2 of the first wave",
        source="cert-x",
        place=Place("pack/c2.csv"),
        level="high",
        entries=tuple(ListEntry(*entry) for entry in entries),
    )


def values_hit(entry: tuple[str, str], text: str) -> bool:
    return bool(ListIndex([make_list(entry)]).lookup([text]))


HITS = [
    (("domain-name", "evil.example"), "evil.example"),
    (("domain-name", "evil.example"), "ping c2.Evil.example."),
    (("domain-name", "*.evil.example"), "cdn.evil.example"),
    (("domain-name", "evil.example"), "http://evil.example:8080/x"),
    (("domain-name", "evil.example"), "arben@mail.evil.example"),
    (("ipv4-addr", "198.51.100.0/24"), "connect 198.51.100.77:443"),
    (("ipv4-addr", "198.51.100[.]77"), "::ffff:198.51.100.77"),
    (("ipv4-addr", "198.51.100.9-198.51.100.11"), "198.51.100.10"),
    (("ipv6-addr", "2001:db8:7::/48"), "[2001:DB8:7:1::5]:443"),
    (("url", "http://evil.example/gate.php"), "GET https://evil.example/gate.php?id=1"),
    (("url", "evil.example/a/b"), "r=http%3A%2F%2Fevil.example%2Fa%2Fb%2Fc"),
    (("url", "/owa/auth/x.aspx"), "/owa/auth/x.aspx"),
    (("email-addr", "ceo@evil.example"), "To: <CEO@evil.example>"),
    (("file:hashes.MD5", "0123456789abcdef0123456789ABCDEF"), "SHA1=x,MD5=0123456789ABCDEF0123456789ABCDEF"),
    (("file:name", "mal ware.exe"), r'"C:\Temp\Mal Ware.exe" -x'),
    (("file:name", "cl.exe"), r"c:\programdata\cl.exe"),
    (("file:path", r"C:\ProgramData\x\cl.exe"), r'cmd /c "c:\programdata\x\cl.exe" -i'),
    (("file:path", r"%TEMP%\cl.exe"), r"C:\Users\arben\AppData\Local\Temp\cl.exe"),
    (("file:path", "/opt/.x/sh"), "sh -c /opt/.x/sh"),
    (("vulnerability", "CVE-2019-0604"), "exploit for cve-2019-0604"),
    (("mutex", "Global\\Wiper"), "global\\wiper"),
    (("text", "Wiper v2"), "started WIPER V2 now"),
    (("regex", r"\\(server|servisces)\.exe$"), r"C:\Temp\server.exe"),
    (("windows-registry-key", r"HKLM\Software\Evil"), r"HKLM\SOFTWARE\Evil\Value"),
    (("windows-registry-key", r"HKEY_CURRENT_USER\Software\Evil"), r"HKU\S-1-5-21-1-2-3-500\Software\Evil"),
]
MISSES = [
    (("domain-name", "evil.example"), "notevil.example"),
    (("domain-name", "evil.example"), "evil.example.org"),
    (("domain-name", "microsoft.net"), r"C:\Windows\Microsoft.NET\Framework"),
    (("ipv4-addr", "198.51.100.0/24"), "198.51.101.1"),
    (("ipv4-addr", "1.2.3.4"), "11.2.3.41 and 1.2.3.4.5"),
    (("url", "http://evil.example/gate"), "http://evil.example/gateway"),
    (("url", "http://evil.example/"), "http://evil.example/other"),
    (("file:name", "cl.exe"), r"c:\programdata\xcl.exe"),
    (("file:path", r"%TEMP%\cl.exe"), r"C:\Windows\cl.exe"),
    (("file:hashes.MD5", "0123456789abcdef0123456789abcdef"), "0123456789abcdef0123456789abcdef0123"),
    (("mutex", "Global\\Wiper"), "x global\\wiper"),
    (("regex", r"\\Server\.exe$"), r"C:\Temp\server.exe"),
    (("windows-registry-key", r"HKLM\Software\Evil"), r"HKLM\SOFTWARE\Evil2"),
]


@pytest.mark.parametrize(("entry", "text"), HITS)
def test_an_entry_is_found_in_text(entry: tuple[str, str], text: str) -> None:
    assert values_hit(entry, text)


@pytest.mark.parametrize(("entry", "text"), MISSES)
def test_what_only_looks_alike_is_no_hit(entry: tuple[str, str], text: str) -> None:
    assert not values_hit(entry, text)


@pytest.mark.parametrize(
    ("entry", "label"),
    [
        (("file:hashes.MD5", "d41d8cd98f00b204e9800998ecf8427e"), "empty file"),
        (("ipv4-addr", "127.0.0.1"), "loopback"),
        (("ipv4-addr", "192.168.7.0/24"), "private"),
        (("ipv4-addr", "8.8.8.8"), "public resolver"),
        (("ipv6-addr", "::1"), "loopback"),
        (("domain-name", "gov.al"), "public suffix"),
        (("file:name", "svchost.exe"), "operating system"),
    ],
)
def test_values_that_mean_nothing_are_labelled_and_no_hits(entry: tuple[str, str], label: str) -> None:
    plan = Plan(lists=(make_list(entry, ("domain-name", "evil.example")),))
    text = entry[1].replace("/24", "")
    found = ListHunter.of(plan.lists).hunt([make_batch([{"A": f"{text} evil.example"}])])
    tally = Tally()
    for sighting in apply_filters(plan, found):
        tally.add(sighting)
    assert [name for name, _ in tally.by_rule] == ["list--1#evil.example"]
    assert [(label in name, count) for name, count in tally.meaningless.items()] == [(True, 1)]


def test_a_network_wider_than_any_owners_is_named_and_not_matched() -> None:
    index = ListIndex([make_list(("ipv4-addr", "0.0.0.0/0"))])
    assert not index.lookup(["198.51.100.7"])
    (row,) = index.not_evaluated
    assert (row.code, row.indicator, row.partial) == ("meaningless", "list--1#0.0.0.0/0", True)
    assert "wider" in row.reason


def test_a_regular_expression_that_is_not_linear_is_named() -> None:
    (row,) = ListIndex([make_list(("regex", "(?=a)b"))]).not_evaluated
    assert (row.code, row.indicator) == ("pattern", "list--1#(?=a)b")


def test_a_value_that_cannot_be_read_is_named() -> None:
    (row,) = ListIndex([make_list(("ipv4-addr", "300.1.1.1"))]).not_evaluated
    assert (row.code, row.indicator) == ("list-value", "list--1#300.1.1.1")


def test_a_hit_is_one_sighting_for_each_entry_in_each_record() -> None:
    batch = make_batch(
        [
            {"host": "PC1", "time": 1_000, "record_id": 5, "event_id": "3", "DestinationIp": "198.51.100.7"},
            {"host": "PC1", "CommandLine": "ping 198.51.100.7", "User": "198.51.100.7"},
            {"host": "PC1", "FileVersion": "198.51.100.7", "Arguments": ["-h", "c2.evil.example"]},
        ],
        record_base=100,
    )
    lists = [make_list(("ipv4-addr", "198.51.100.7"), ("domain-name", "evil.example", "stage two"))]
    sightings = list(ListHunter.of(lists).hunt([batch]))
    assert [(item.record, item.indicator) for item in sightings] == [
        (100, "list--1#198.51.100.7"),
        (101, "list--1#198.51.100.7"),
        (102, "list--1#evil.example"),
    ]
    assert sightings[0].fields == {"DestinationIp": "198.51.100.7"}
    assert (sightings[0].level, sightings[0].source, sightings[0].event_id) == ("high", "cert-x", "3")
    assert dict(sightings[1].matched) == {"CommandLine": "ping 198.51.100.7", "User": "198.51.100.7"}
    assert sightings[2].title == "C2 of the first wave: stage two"


def test_two_lists_with_one_value_are_two_sightings() -> None:
    lists = [make_list(("domain-name", "evil.example"), id=name) for name in ("a", "b")]
    (hit,) = ListIndex(lists).lookup(["evil.example"]).values()
    assert len(hit) == 2


@settings(deadline=None)  # a shared machine
@given(st.integers(0, 2**16), st.integers(1, 6))
def test_batches_and_an_index_sent_elsewhere_make_no_difference(seed: int, cuts: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    words = ["evil.example", "x.evil.example", "10.1.1.1", "198.51.100.7", "cl.exe", "plain", "198.51.100.0"]
    rows = [{"record": n, "offset": n, "A": " ".join(chance.choices(words, k=2))} for n in range(12)]
    lists = [make_list(("domain-name", "evil.example"), ("ipv4-addr", "198.51.100.0/29"), ("file:name", "cl.exe"))]
    index = ListIndex(lists)
    whole = list(ListHunter(index).hunt([make_batch(rows)]))
    size = max(1, len(rows) // cuts)
    parts = [make_batch(rows[start : start + size]) for start in range(0, len(rows), size)]
    assert list(ListHunter(pickle.loads(pickle.dumps(index))).hunt(parts)) == whole  # noqa: S301 - our own bytes
