"""STIX 2.1 §9 over observed data: each vector names the section of the standard that it shows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import PatternError
from aleat.hunt import match_pattern

DAY = "2022-07-15T08:"


def bundle(*observables: dict[str, Any], first: str = "00:00", last: str = "", count: int = 1, name: str = "1") -> Any:
    """One observed data of these observables, which get ids (those named "_id" keep theirs) and are all referred to."""
    objects = []
    for number, item in enumerate(observables):
        kept = {key: value for key, value in item.items() if key != "_id"}
        objects.append({"id": item.get("_id", f"{item['type']}--{name}-{number}"), **kept})
    observed = {
        "type": "observed-data",
        "id": f"observed-data--{name}",
        "first_observed": f"{DAY}{first}Z",
        "last_observed": f"{DAY}{last or first}Z",
        "number_observed": count,
        "object_refs": [item["id"] for item in objects],
    }
    return {"type": "bundle", "id": f"bundle--{name}", "objects": [observed, *objects]}


def holds(pattern: str, *observables: dict[str, Any]) -> bool:
    return bool(match_pattern(pattern, [bundle(*observables)]))


FILE = {
    "type": "file",
    "name": "pdf.exe",
    "size": 25536,
    "hashes": {"SHA-256": "aec0", "MD5": "cead", "ssdeep": "3:x"},
    "mime_type": "image/bmp",
    "magic_number_hex": "ffd8",
    "ctime": "2014-01-13T07:03:17.000Z",
    "parent_directory_ref": "directory--1",
    "extensions": {"windows-pebinary-ext": {"sections": [{"entropy": 0.1}, {"entropy": 7.5}]}},
}
FOLDER = {"type": "directory", "_id": "directory--1", "path": "C:\\Windows\\System32"}
TRAFFIC = {
    "type": "network-traffic",
    "src_ref": "ipv4-addr--a",
    "dst_ref": "ipv4-addr--b",
    "protocols": ["ipv4", "tcp"],
    "dst_port": 443,
}
FROM = {"type": "ipv4-addr", "_id": "ipv4-addr--a", "value": "203.0.113.10"}
TO = {"type": "ipv4-addr", "_id": "ipv4-addr--b", "value": "198.51.100.58"}
ACCOUNT = {"type": "user-account", "account_type": "unix", "user_id": "1007", "account_login": "Peter"}
KEY = {"type": "windows-registry-key", "key": "HKEY_LOCAL_MACHINE\\foo\\bar", "values": []}
MAIL = {
    "type": "email-message",
    "from_ref": "email-addr--1",
    "is_multipart": True,
    "body_multipart": [{"body_raw_ref": "file--9"}],
    "subject": "Conference Info",
}
SENDER = {"type": "email-addr", "_id": "email-addr--1", "value": "jdoe@example.com"}
ATTACHED = {"type": "file", "_id": "file--9", "name": "Final Report 2022.exe"}
ARTIFACT = {"type": "artifact", "mime_type": "application/octet-stream", "payload_bin": "dGhpcyBpcyBhIHRlc3Q="}
PCAP = {"type": "artifact", "mime_type": "application/vnd.tcpdump.pcap", "payload_bin": "1MOyoQIABAA="}
ALL = (FILE, FOLDER, TRAFFIC, FROM, TO, ACCOUNT, KEY, MAIL, SENDER, ATTACHED)

TRUE = [
    ("9.1", "[file:size = 25536]"),
    ("9.2 string", "[directory:path = 'C:\\\\Windows\\\\System32']"),
    ("9.2 boolean", "[email-message:is_multipart = true]"),
    ("9.2 integer against float", "[file:extensions.'windows-pebinary-ext'.sections[*].entropy != 7]"),
    ("9.2 float against integer", "[file:size = 25536.0]"),
    ("9.2 timestamp", "[file:ctime = t'2014-01-13T07:03:17Z']"),
    ("9.2 hex", "[file:magic_number_hex = h'FFD8']"),
    ("9.2 binary", "[file:magic_number_hex = b'/9g=']"),
    ("9.2 line feeds in binary", "[file:magic_number_hex = b'/9\ng=']"),
    ("9.4 white space", "[ file:size\n\t=\r\n25536 ]"),
    ("9.5 types joined by OR", "[file:name = 'no' OR directory:path LIKE 'C:%']"),
    ("9.5 AND binds closer", "[file:name = 'no' AND file:size = 1 OR file:size = 25536]"),
    ("9.6.1 !=", "[file:size != 4112]"),
    ("9.6.1 >", "[file:size > 256]"),
    ("9.6.1 <", "[file:size < 99999]"),
    ("9.6.1 <=", "[file:size <= 25536]"),
    ("9.6.1 >=", "[file:size >= 25536]"),
    ("9.6.1 IN", "[file:name IN ('proccy', 'pdf.exe')]"),
    ("9.6.1 IN of numbers", "[file:size IN (1, 25536.0)]"),
    ("9.6.1 NOT IN", "[file:name NOT IN ('proccy', 'badproc')]"),
    ("9.6.1 LIKE", "[directory:path LIKE 'C:\\\\Windows\\\\%32']"),
    ("9.6.1 LIKE _", "[file:name LIKE 'pdf_exe']"),
    ("9.6.1 MATCHES", "[directory:path MATCHES '^C:\\\\\\\\Windows\\\\\\\\\\\\w+$']"),
    ("9.6.1 MATCHES searches", "[file:name MATCHES 'df']"),
    ("9.6.1 NOT", "[file:name NOT = 'foo.dll']"),
    ("9.6.1 NOT !=", "[file:name NOT != 'pdf.exe']"),
    ("9.6.1 types: != is true", "[file:size != '25536']"),
    ("9.6.1 types: NOT = is true", "[file:size NOT = true]"),
    ("9.6.1 ISSUBSET", "[ipv4-addr:value ISSUBSET '198.51.100.0/24']"),
    ("9.6.1 ISSUBSET of itself", "[ipv4-addr:value ISSUBSET '198.51.100.58']"),
    ("9.6.1 ISSUPERSET of itself", "[ipv4-addr:value ISSUPERSET '198.51.100.58/32']"),
    ("9.6.1 NOT ISSUBSET", "[ipv4-addr:value NOT ISSUBSET '10.0.0.0/8']"),
    ("9.6.1 EXISTS whatever it holds", "[EXISTS windows-registry-key:values]"),
    ("9.6.1 NOT EXISTS", "[NOT EXISTS windows-registry-key:number_of_subkeys]"),
    ("9.6.2 order by code points", "[file:name > 'pdf.ex' AND file:name < 'pdf.exe.']"),
    ("9.7.2 index", "[network-traffic:protocols[1] = 'tcp']"),
    ("9.7.2 any", "[network-traffic:protocols[*] = 'tcp']"),
    ("9.7.3 dictionary", "[file:hashes.ssdeep = '3:x']"),
    ("9.7.4 reference", "[email-message:from_ref.value = 'jdoe@example.com']"),
    ("9.7.4 reference's type", "[network-traffic:dst_ref.type = 'ipv4-addr']"),
    ("9.7.4 reference itself", "[network-traffic:dst_ref = 'ipv4-addr--b']"),
    ("9.8 hash", "[file:hashes.'SHA-256' = 'aec0']"),
    (
        "9.8 mail and attachment",
        "[email-message:from_ref.value MATCHES '.+\\\\@example\\\\.com$' AND "
        "email-message:body_multipart[*].body_raw_ref.name MATCHES '^Final Report.+\\\\.exe$']",
    ),
    ("9.8 path", "[file:name = 'pdf.exe' AND file:parent_directory_ref.path = 'C:\\\\Windows\\\\System32']"),
    ("9.8 entropy", "[file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7.0]"),
    ("9.8 magic number", "[file:mime_type = 'image/bmp' AND file:magic_number_hex = h'ffd8']"),
    (
        "9.8 destination",
        "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.58']",
    ),
    ("9.8 key", "[windows-registry-key:key = 'no' OR windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\foo\\\\bar']"),
    ("9.8 a set of properties", "[(file:name = 'x' OR file:size = 25536) AND file:ctime = t'2014-01-13T07:03:17Z']"),
    (
        "9.8 account",
        "[user-account:account_type = 'unix' AND user-account:user_id = '1007' AND "
        "user-account:account_login = 'Peter']",
    ),
]

FALSE = [
    ("9.2 integer against float", "[file:extensions.'windows-pebinary-ext'.sections[1].entropy = 7]"),
    ("9.5 not one object", "[file:name = 'pdf.exe' AND file:name = 'Final Report 2022.exe']"),
    ("9.6 absent", "[file:owner = 'x']"),
    ("9.6 absent, !=", "[file:owner != 'x']"),
    ("9.6 absent, NOT", "[file:owner NOT = 'x']"),
    ("9.6 absent, NOT IN", "[file:owner NOT IN ('x')]"),
    ("9.6.1 types", "[file:size = '25536']"),
    ("9.6.1 types, order", "[file:size > 'a']"),
    ("9.6.1 true is not 1", "[email-message:is_multipart = 1]"),
    ("9.6.1 empty set", "[file:name IN ()]"),
    ("9.6.1 LIKE is anchored", "[file:name LIKE 'pdf']"),
    ("9.6.1 LIKE, a number", "[file:size LIKE '%']"),
    ("9.6.1 ISSUBSET, another family", "[ipv4-addr:value ISSUBSET '::/0']"),
    ("9.6.1 ISSUPERSET", "[ipv4-addr:value ISSUPERSET '198.51.100.0/24']"),
    ("9.6.1 NOT EXISTS", "[NOT EXISTS windows-registry-key:values]"),
    ("9.6.1 NOT EXISTS needs the object", "[NOT EXISTS process:pid]"),
    ("9.6.2 case counts", "[file:name = 'PDF.EXE']"),
    ("9.7.2 out of range", "[network-traffic:protocols[2] = 'tcp']"),
    ("9.7.2 out of range, NOT", "[network-traffic:protocols[2] NOT = 'tcp']"),
    ("9.7.2 a list is no text", "[network-traffic:protocols = 'tcp']"),
    ("9.7.2 NOT over any", "[network-traffic:protocols[*] NOT = 'tcp']"),
    ("9.7.3 key of a text", "[file:name.x = 'pdf.exe']"),
    ("9.7.4 a reference followed twice", "[network-traffic:dst_ref.dst_ref.value = '198.51.100.58']"),
]


@pytest.mark.parametrize(("section", "pattern"), TRUE, ids=[section for section, _ in TRUE])
def test_what_the_standard_calls_true(section: str, pattern: str) -> None:
    assert holds(pattern, *ALL), section


@pytest.mark.parametrize(("section", "pattern"), FALSE, ids=[section for section, _ in FALSE])
def test_what_the_standard_calls_false(section: str, pattern: str) -> None:
    assert not holds(pattern, *ALL), section


def test_both_ends_must_be_of_one_connection() -> None:
    """§9.5's own example, with the deprecated `objects`: two connections, each with one of the addresses."""
    observed = {
        "type": "observed-data",
        "id": "observed-data--0960319a-3cab-4258-a143-4dbb25525bb1",
        "first_observed": "2019-10-20T00:12:01.000000Z",
        "last_observed": "2019-10-20T00:51:02.000000Z",
        "number_observed": 1,
        "objects": {
            "0": {"type": "network-traffic", "src_ref": "1"},
            "1": {"type": "ipv4-addr", "value": "203.0.113.10"},
            "2": {"type": "network-traffic", "dst_ref": "3"},
            "3": {"type": "ipv4-addr", "value": "198.51.100.58"},
        },
    }
    one, other = "network-traffic:src_ref.value = '203.0.113.10'", "network-traffic:dst_ref.value = '198.51.100.58'"
    data = [{"type": "bundle", "id": "bundle--1", "objects": [observed]}]
    assert match_pattern(f"[{one} AND {other}]", data) == ()
    assert match_pattern(f"[{one} OR {other}]", data) == (observed["id"],)
    assert holds(f"[{one} AND {other}]", TRAFFIC, FROM, TO)


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        ("= 'dGhpcyBpcyBhIHRlc3Q='", False),
        ("= 'this is a test'", True),
        ("= b'dGhpcyBpcyBhIHRlc3Q='", True),
        ("= h'7468697320697320612074657374'", True),
        ("= 'this is a te\u0161t'", False),
        ("!= 'this is a te\u0161t'", True),
        ("> 'this is a tesa'", True),
        ("< h'ff'", True),
        ("> 'this is a tes'", True),
        ("LIKE 'this%test'", True),
        ("MATCHES '\\\\x69s'", True),
    ],
)
def test_octets_are_compared_as_octets(constant: str, expected: bool) -> None:
    """§9.6.3, §9.6.4, with the standard's own example."""
    assert holds(f"[artifact:payload_bin {constant}]", ARTIFACT) is expected


def test_a_header_is_found_in_octets() -> None:
    """§9.8, "Matching an Artifact object PCAP payload header"."""
    header = "\\\\xd4\\\\xc3\\\\xb2\\\\xa1\\\\x02\\\\x00\\\\x04\\\\x00"
    pattern = f"[artifact:mime_type = 'application/vnd.tcpdump.pcap' AND artifact:payload_bin MATCHES '{header}']"
    assert holds(pattern, PCAP)
    assert not holds(pattern, {**PCAP, "payload_bin": "AAAA"})


def test_texts_are_octets_where_the_constant_is() -> None:
    """§9.2: a string may be converted where its code points are below U+0100."""
    assert holds("[x-a:b = h'616c']", {"type": "x-a", "b": "al"})
    assert not holds("[x-a:b = h'616c']", {"type": "x-a", "b": "a\u0142"})
    assert holds("[x-a:b != h'616c']", {"type": "x-a", "b": "a\u0142"})


@pytest.mark.parametrize(
    ("octets", "test", "expected"),
    [
        ("e9", "MATCHES '\\\\w'", False),  # §9.6.1: no UNICODE
        ("e9", "MATCHES '^\\\\W$'", True),
        ("e9", "MATCHES '(?i)\u00c9'", False),
        ("a0", "MATCHES '\\\\s'", False),
        ("61e9", "MATCHES '^a\u00e9$'", True),
        ("d4c3", "MATCHES '^[\\\\x80-\\\\xff]{2}$'", True),
        ("d4c3", "MATCHES '^\\\\xd4\\\\x{C3}$'", True),
        ("7f", "MATCHES '[\\\\x80-\\\\xff]'", False),
        ("00", "MATCHES '^\\\\0$'", True),
        ("61", "MATCHES 'a|\u0142'", False),  # §9.6.4: it can't be octets
        ("61", "LIKE '%\u0142%'", False),
        ("61", "NOT LIKE '%\u0142%'", True),
        ("61e9", "LIKE '_\u00e9'", True),
        ("61 ", "= 'a'", False),  # §2.8
    ],
)
def test_patterns_over_octets_know_no_unicode(octets: str, test: str, expected: bool) -> None:
    assert holds(f"[x-a:b_hex {test}]", {"type": "x-a", "b_hex": octets}) is expected


@pytest.mark.parametrize(
    ("value", "test", "expected"),
    [
        ("::ffff:10.1.2.3", "ISSUBSET '::/0'", True),
        ("::ffff:10.1.2.3", "ISSUBSET '10.0.0.0/8'", False),
        ("2001:db8::/48", "ISSUBSET '2001:0DB8:0000::/32'", True),
        ("2001:db8::/32", "ISSUPERSET '2001:db8:1::1'", True),
        ("fe80::1%eth0", "ISSUBSET 'fe80::/10'", False),
        ("10.2.4.5/24", "ISSUBSET '10.2.4.77/24'", True),
        ("0.0.0.0/0", "ISSUPERSET '10.0.0.1'", True),
    ],
)
def test_sets_of_addresses_are_of_one_family(value: str, test: str, expected: bool) -> None:
    """§9.6.1, §6.8, §6.9."""
    assert holds(f"[x-a:b {test}]", {"type": "x-a", "b": value}) is expected


@pytest.mark.parametrize("operator", ["LIKE", "MATCHES"])
def test_like_and_matches_normalise_and_equality_does_not(operator: str) -> None:
    """§9.6.2."""
    composed, decomposed = "n\u00ebnt\u00eb", "ne\u0308nte\u0308"
    for one, other in ((composed, decomposed), (decomposed, composed)):
        assert holds(f"[x-a:b {operator} '{one}']", {"type": "x-a", "b": other})
        assert holds(f"[x-a:b != '{one}']", {"type": "x-a", "b": other})


def test_matches_sees_line_feeds_and_has_perls_end() -> None:
    """§9.6.1: the option DOTALL; `$` stands before a last line feed too."""
    assert holds("[x-a:b MATCHES '^a.b$']", {"type": "x-a", "b": "a\nb\n"})


def test_what_is_no_character_matches_as_one() -> None:
    """A surrogate alone is no character, but JSON can hold it."""
    assert holds("[x-a:b MATCHES '^.$' AND x-a:b LIKE '_']", {"type": "x-a", "b": "\ud800"})
    assert not holds("[x-a:b LIKE '?' OR x-a:b MATCHES '[?]']", {"type": "x-a", "b": "\ud800"})


def test_timestamps_are_compared_to_their_last_digit() -> None:
    """§9.2, §2.16: any number of digits."""
    item = {"type": "x-a", "b": "2010-05-21T13:21:43.1234567Z"}
    assert holds("[x-a:b > t'2010-05-21T13:21:43.1234566Z' AND x-a:b < t'2010-05-21T13:21:43.12345670001Z']", item)
    assert holds("[x-a:b = t'2010-05-21T13:21:43.12345670Z' AND x-a:b != t'2010-05-21T13:21:43.123456Z']", item)


def test_times_that_are_none_are_no_times() -> None:
    """§9.6.1: a text that is no timestamp can't be compared with one."""
    item = {"type": "x-a", "good": "2010-05-21T13:21:43.1234Z", "bad": "2010-05-21 13:21"}
    assert holds("[x-a:good > t'2010-05-21T13:21:43.1Z']", item)
    assert not holds("[x-a:bad = t'2010-05-21T13:21:00Z']", item)
    assert holds("[x-a:bad != t'2010-05-21T13:21:00Z']", item)


def test_only_what_the_observed_data_refers_to_is_looked_at() -> None:
    """§9.7.4: what `object_refs` doesn't list is not found, nor are references to it followed."""
    whole = bundle(TRAFFIC, FROM, TO)
    whole["objects"][0]["object_refs"].remove("ipv4-addr--b")
    assert match_pattern("[network-traffic:src_ref.value = '203.0.113.10']", [whole])
    assert not match_pattern("[network-traffic:dst_ref.value = '198.51.100.58']", [whole])
    assert not match_pattern("[ipv4-addr:value = '198.51.100.58']", [whole])
    assert not match_pattern("[EXISTS network-traffic:dst_ref.value]", [whole])
    assert not match_pattern("[observed-data:number_observed = 1]", [whole])


def test_paths_begin_at_observables() -> None:
    """§9.7: at no relationship that `object_refs` may name too (§4.14)."""
    link = {"type": "relationship", "_id": "relationship--1", "source_ref": "x-a--1-1"}
    assert not holds("[relationship:source_ref.b = 1]", link, {"type": "x-a", "b": 1})


def test_bundles_belong_together() -> None:
    """What a bundle doesn't hold is in another; observed data is given once, in its latest version (§3.6)."""
    one, two = bundle({"type": "x-a", "b": 1}), bundle({"type": "x-a", "b": 2})
    observed, item = one["objects"]
    apart = [{"type": "bundle", "objects": [observed]}, {"type": "bundle", "objects": [item]}]
    assert match_pattern("[x-a:b = 1]", apart) == (observed["id"],)
    assert match_pattern("[x-a:b = 1]", [one, one]) == (observed["id"],)
    assert match_pattern("[x-a:b = 1] AND [x-a:b = 1]", [one, one]) == ()
    two["objects"][0]["modified"] = "2022-07-15T09:00:00Z"
    assert match_pattern("[x-a:b = 1]", [one, two]) == ()
    assert match_pattern("[x-a:b = 2]", [one, two]) == (observed["id"],)


# ------------------------------------------------------------------------------------ several observations


def people(*rows: str) -> list[Any]:
    """Observed data as "a 00:05", "b 00:05-00:09", "c 00:05 x3": who, when, how often."""
    found = []
    for number, row in enumerate(rows, 1):
        who, when, *often = row.split()
        first, _, last = when.partition("-")
        count = int(often[0][1:]) if often else 1
        item = {"type": "x-person", "name": who}
        found.append(bundle(item, first=first, last=last, count=count, name=str(number)))
    return found


def numbers(pattern: str, *rows: str) -> str:
    found = match_pattern(pattern.replace("[", "[x-person:name = '").replace("]", "']"), people(*rows))
    return " ".join(name.removeprefix("observed-data--") for name in found)


@pytest.mark.parametrize(
    ("section", "pattern", "rows", "expected"),
    [
        ("9.5.2 AND", "[a] AND [b]", ("b 00:01", "a 00:09"), "1 2"),
        ("9.5.2 AND on different ones", "[a] AND [a]", ("a 00:01",), ""),
        ("9.5.2 OR", "[z] OR [b]", ("a 00:01", "b 00:09"), "2"),
        ("9.5.2 FOLLOWEDBY", "[a] FOLLOWEDBY [b]", ("a 00:01", "b 00:09"), "1 2"),
        ("9.5.2 FOLLOWEDBY, given in another order", "[a] FOLLOWEDBY [b]", ("b 00:09", "a 00:01"), "2 1"),
        ("9.5.2 FOLLOWEDBY, too early", "[a] FOLLOWEDBY [b]", ("b 00:01", "a 00:09"), ""),
        ("9.5.2 FOLLOWEDBY at one time", "[a] FOLLOWEDBY [b]", ("b 00:01", "a 00:01"), "1 2"),
        (
            "9.5.2 qualifiers aren't greedy",
            "[a] FOLLOWEDBY [c] REPEATS 2 TIMES",
            ("a 00:01", "c 00:02", "c 00:03"),
            "1 2 3",
        ),
        (
            "9.5.2 parentheses",
            "([a] FOLLOWEDBY [c]) REPEATS 2 TIMES",
            ("a 00:01", "c 00:02", "a 00:03", "c 00:04"),
            "1 2 3 4",
        ),
        ("9.5.2 parentheses, too few", "([a] FOLLOWEDBY [c]) REPEATS 2 TIMES", ("a 00:01", "c 00:02", "c 00:03"), ""),
        ("9.5.3 AND before OR", "[z] OR [a] AND [y]", ("a 00:01",), ""),
        ("9.5.3 OR before FOLLOWEDBY", "[a] OR [z] FOLLOWEDBY [b]", ("a 00:01",), ""),
        ("9.5.1 REPEATS", "[a] REPEATS 3 TIMES", ("a 00:01", "a 00:02", "a 00:03"), "1 2 3"),
        ("9.5.1 REPEATS, too few", "[a] REPEATS 3 TIMES", ("a 00:01", "a 00:02"), ""),
        ("9.1 number_observed", "[a] REPEATS 5 TIMES", ("a 00:01 x2", "a 00:02 x3"), "1 2"),
        ("9.1 number_observed, too few", "[a] REPEATS 6 TIMES", ("a 00:01 x2", "a 00:02 x3"), ""),
        ("9.1 number_observed, no more than needed", "[a] REPEATS 2 TIMES", ("a 00:01 x999999999",), "1"),
        ("9.5.1 WITHIN", "([a] AND [b]) WITHIN 6 SECONDS", ("a 00:01", "b 00:06"), "1 2"),
        ("9.5.1 WITHIN, equal is too late", "([a] AND [b]) WITHIN 5 SECONDS", ("a 00:01", "b 00:06"), ""),
        ("9.5.1 WITHIN of one", "[a] WITHIN .001 SECONDS", ("a 00:01",), "1"),
        (
            "9.5.1 WITHIN finds the later pair",
            "([a] AND [b]) WITHIN 3 SECONDS",
            ("a 00:01", "b 00:06", "a 00:07"),
            "2 3",
        ),
        (
            "9.5 the example of a and five b",
            "([a] AND [b] REPEATS 5 TIMES) WITHIN 300 SECONDS",
            ("a 00:01", "b 00:02 x4", "b 04:59"),
            "1 2 3",
        ),
        (
            "9.5 the same, too late",
            "([a] AND [b] REPEATS 5 TIMES) WITHIN 300 SECONDS",
            ("a 00:01", "b 00:02 x4", "b 05:01"),
            "",
        ),
        (
            "9.5 five of both",
            "([a] AND [b]) REPEATS 5 TIMES WITHIN 300 SECONDS",
            ("a 00:01 x5", "b 00:02 x4", "b 04:59"),
            "1 2 3",
        ),
        ("9.8 beaconing", "[a] REPEATS 5 TIMES WITHIN 1800 SECONDS", ("a 00:00 x2", "a 20:00 x2", "a 29:59"), "1 2 3"),
        ("9.1 at some time between", "[a] FOLLOWEDBY [b]", ("a 00:05-00:09", "b 00:01-00:06"), "2 1"),
        ("9.1 not at any time between", "[a] FOLLOWEDBY [b]", ("a 00:05-00:09", "b 00:01-00:04"), ""),
        ("9.1 WITHIN between", "([a] AND [b]) WITHIN 2 SECONDS", ("a 00:01-00:05", "b 00:06-00:09"), "1 2"),
        ("9.1 WITHIN, not between", "([a] AND [b]) WITHIN 1 SECONDS", ("a 00:01-00:05", "b 00:06-00:09"), ""),
        (
            "9.1 WITHIN, three that meet only by two",
            "([a] AND [b] AND [c]) WITHIN 1 SECONDS",
            ("a 00:01-00:05", "b 00:01-00:02", "c 00:04-00:05"),
            "",
        ),
    ],
)
def test_several_observations(section: str, pattern: str, rows: tuple[str, ...], expected: str) -> None:
    assert numbers(pattern, *rows) == expected, section


@pytest.mark.parametrize(
    ("start", "stop", "when", "expected"),
    [
        ("05", "10", "00:05", True),
        ("05", "10", "00:10", False),
        ("05", "10", "00:04", False),
        ("05", "10", "00:01-00:05", True),
        ("05", "10", "00:10-00:20", False),
        ("05", "05", "00:05", False),
        ("10", "05", "00:01-00:20", False),
    ],
)
def test_start_and_stop(start: str, stop: str, when: str, expected: bool) -> None:
    """§9.5.1: at or after START, before STOP; a window without any time matches nothing."""
    window = f"START t'{DAY}00:{start}Z' STOP t'{DAY}00:{stop}Z'"
    assert bool(numbers(f"[a] {window}", f"a {when}")) is expected


def test_start_and_stop_bound_what_others_compare() -> None:
    """§9.1, §9.5.1: there must be one moment for each observation, whatever asks for it."""
    late, early = (f"START t'{DAY}00:{at}0Z' STOP t'{DAY}00:{at}9Z'" for at in (5, 1))
    lasting = ("a 00:00-00:59", "b 00:00-00:59")
    assert numbers(f"[a] {early} FOLLOWEDBY [b] {late}", *lasting) == "1 2"
    assert numbers(f"[a] {late} FOLLOWEDBY [b] {early}", *lasting) == ""
    assert numbers(f"([a] {early} AND [b] {late}) WITHIN 33 SECONDS", *lasting) == "1 2"
    assert numbers(f"([a] {early} AND [b] {late}) WITHIN 31 SECONDS", *lasting) == ""


def test_the_first_match_is_given_and_each_id_once() -> None:
    assert numbers("[a]", "a 00:07", "a 00:03", "a 00:03") == "2"
    assert numbers("[a] AND [a]", "a 00:07 x9") == "1"


def test_observations_without_a_time_match_what_asks_for_none() -> None:
    data = people("a 00:01", "b 00:02")
    del data[0]["objects"][0]["first_observed"], data[0]["objects"][0]["last_observed"]
    one, other = "[x-person:name = 'a']", "[x-person:name = 'b']"
    assert match_pattern(f"{one} AND {other}", data)
    assert not match_pattern(f"{one} FOLLOWEDBY {other}", data)
    assert match_pattern(f"{one} OR ({other} FOLLOWEDBY {one})", data)
    assert match_pattern(f"{one} AND {other} WITHIN 5 SECONDS", data)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a:b = 1",
        "[a:b = 1",
        "[a:b = null]",
        "[a:b = h'0']",
        "[a:b = b'A']",
        "[a:b = t'2022-07-15']",
        "[a:b = 'x\\q']",
        "[a:b LIKE 1]",
        "[a:b IN (1, 'x')]",
        "[a:b IN (1, true)]",
        "[a:b[-1] = 1]",
        "[a:b MATCHES '(']",
        "[a:b ISSUBSET 'host']",
        "[a:b = 1 AND c:d = 2]",
        "[a:b = 1] REPEATS 0 TIMES",
        "[a:b = 1] WITHIN 0 SECONDS",
        "[a:b = 1] WITHIN -5 SECONDS",
        "[a:b = 1] WITHIN 5 SECONDS WITHIN 6 SECONDS",
        "[a:b = 1] START t'2022-07-15T00:00:00Z'",
    ],
)
def test_a_pattern_that_cannot_be_is_an_error_whatever_the_data(pattern: str) -> None:
    """§9.2 to §9.7: also where there is nothing to match."""
    for data in ([], people("a 00:01")):
        with pytest.raises(PatternError):
            match_pattern(pattern, data)


def test_hostile_bundles_and_patterns_end() -> None:
    """Cycles of references, wrong types everywhere, and combinations without number."""
    ring = {"type": "x-a", "_id": "x-a--1", "next_refs": ["x-a--1"] * 1000, "b": 1}
    assert holds(f"[x-a:{'next_refs[*].' * 40}b = 1]", ring)
    odd: list[Any] = [{}, {"objects": 7}, {"objects": [1, {"type": "observed-data", "object_refs": [3, None, "x"]}]}]
    odd += [{"objects": [{"type": "observed-data", "id": 5, "objects": {"0": 1}, "first_observed": 3}]}]
    odd += [None, [], "x", {"type": "bundle", "objects": [{"type": "observed-data", "object_refs": [[]], "id": []}]}]
    assert match_pattern("[a:b = 1]", odd) == ()
    with pytest.raises(PatternError):
        numbers("([a] AND [b]) REPEATS 9000 TIMES", "a 00:01 x999999999", "b 00:01 x999999999")
    with pytest.raises(PatternError):
        numbers("[a] REPEATS 999999999 TIMES", "a 00:01 x999999999")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "c_ref", "d_bin"]), inner),
    max_leaves=8,
)
TESTS = st.sampled_from(["= 1", "!= 'x'", "> 'a'", "IN ('a', 'b')", "LIKE '%a%'", "MATCHES 'a+'", "ISSUBSET '::/0'"])
PATHS = st.sampled_from(["b", "b[*]", "b[0].b", "c_ref.b", "d_bin", "b.c_ref.type"])


@settings(deadline=None)
@given(VALUES, PATHS, TESTS)
def test_not_is_the_opposite_wherever_the_path_leads_somewhere(value: Any, path: str, test: str) -> None:
    """§9.6.1, §9.6."""
    operator, _, constant = test.partition(" ")
    item = {"type": "x-a", "b": value, "c_ref": "x-a--1-0", "d_bin": value}
    there = holds(f"[EXISTS x-a:{path}]", item)
    plain = holds(f"[x-a:{path} {operator} {constant}]", item)
    negated = holds(f"[x-a:{path} NOT {operator} {constant}]", item)
    assert (plain, negated) == (plain and there, there and not plain)
