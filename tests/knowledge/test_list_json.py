"""Lists as JSON: the shapes that feeds and tools write, told from logs and other JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import InputError, Issue, LimitError
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.list_records import find_list
from aleat.knowledge.reader import detect_reader
from aleat.knowledge.readers import list_json
from aleat.stix.extensions import read_extension
from aleat.trust.markings import marking_id
from tests.stix.strict import strict_errors

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def document(content: Any, name: str = "feed.json") -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(
    content: Any, name: str = "feed.json", limits: Limits | None = None
) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(list_json.read(document(content, name), limits or Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def rows(item: KnowledgeItem) -> list[tuple[str, str, str]]:
    assert item.entries is not None
    return [(row["type"], row["value"], row["context"]) for row in item.entries.to_pylist()]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["evil[.]example", "192.0.2.7", "evil[.]example"],
         [("domain-name", "evil.example", ""), ("ipv4-addr", "192.0.2.7", "")]),
        # ThreatFox: the API's answer, and the dump
        ({"query_status": "ok",
          "data": [{"ioc": "192.0.2.7:443", "ioc_type": "ip:port", "tags": ["a", "b"], "malware": None}]},
         [("ipv4-addr", "192.0.2.7", "tags: a, b; port: 443")]),
        ({"11": [{"ioc_value": MD5, "ioc_type": "md5_hash", "first_seen_utc": "2022-07-15 08:00:00"}]},
         [("file:hashes", MD5, "id: 11; first_seen_utc: 2022-07-15 08:00:00")]),
        # URLhaus: the dump, and the API's answer, whose host is not the indicator
        ({"2001": [{"url": "http://evil.example/x.exe", "url_status": "online"}]},
         [("url", "http://evil.example/x.exe", "id: 2001; url_status: online")]),
        ({"query_status": "ok", "urls": [{"url": "https://files.example/x", "host": "files.example"}]},
         [("url", "https://files.example/x", "host: files.example")]),
        # Feodo Tracker
        ([{"ip_address": "192.0.2.5", "port": 443, "hostname": None, "malware": "X"}],
         [("ipv4-addr", "192.0.2.5", "port: 443; malware: X")]),
        # one record for a file, with several of its values
        ([{"file": {"name": "wiper", "hashes": {"md5": MD5}}, "note": "x"}],
         [("file:hashes", MD5, "file.name: wiper; note: x")]),
        # a list within a record
        ([{"title": "report", "iocs": ["evil.example", "192.0.2.1"]}],
         [("domain-name", "evil.example", "title: report"), ("ipv4-addr", "192.0.2.1", "title: report")]),
        ([{"domains": ["a.example", "b.example"], "tags": ["x", "y"]}],
         [("domain-name", "a.example", "tags: x, y"), ("domain-name", "b.example", "tags: x, y")]),
        # values as names, and deeper
        ({"evil.example": {"seen": 3}, "192.0.2.1": "C2"},
         [("domain-name", "evil.example", "seen: 3"), ("ipv4-addr", "192.0.2.1", "comment: C2")]),
        ({"response": {"count": 1, "data": ["evil.example"]}}, [("domain-name", "evil.example", "")]),
    ],
)  # fmt: skip
def test_shapes_of_lists(content: Any, expected: list[tuple[str, str, str]]) -> None:
    """Texts, records, dumps by number, answers of interfaces, lists within records, values as names."""
    (item,), issues = read(content)
    assert (rows(item), issues) == (expected, [])
    assert list_json.detect(document(content))
    assert strict_errors(item.object) == []


def test_a_pulse_keeps_its_label_and_what_stands_beside_it() -> None:
    """OTX: TLP beside the list is the whole list's; name, tags and references are told; its end is the list's."""
    pulse = {
        "name": "July pulse",
        "TLP": "amber",
        "tags": ["wiper"],
        "expiration": "2023-01-01T00:00:00",
        "indicators": [
            {"indicator": "evil.example", "type": "hostname", "created": "2022-07-15T08:00:00", "title": ""},
            {"indicator": MD5, "type": "FileHash-MD5"},
            {"indicator": "CVE-2022-1234", "type": "CVE"},
        ],
    }
    (item,), _ = read(pulse)
    assert item.markings == (marking_id("tlp:amber"),)
    assert item.object.valid_until == "2023-01-01T00:00:00.000Z"
    assert "name: July pulse." in str(item.object.description)
    assert [kind for kind, _, _ in rows(item)] == ["domain-name", "file:hashes", "vulnerability"]


def test_lines_of_json() -> None:
    """Records and texts; a broken line costs itself, places are lines."""
    text = (
        b'{"indicator":"evil.example","type":"domain"}\n\n"192.0.2.9"\nbroken\n{"indicator":"b.example","tlp":"red"}\n'
    )
    items, issues = read(text, "feed.jsonl")
    assert list_json.detect(document(text, "feed.jsonl"))
    assert {item.markings: item.place.line for item in items} == {(): 1, (marking_id("tlp:red"),): 5}
    assert [(issue.code, issue.place.line) for issue in issues] == [("list-value", 4)]


@pytest.mark.parametrize(
    "content",
    [
        [{"@timestamp": "2022-07-15T08:00:00Z", "src_ip": "192.0.2.1", "message": "x"}],
        {"timestamp": "2022-07-15T08:00:00Z", "event_type": "dns", "src_ip": "192.0.2.1"},
        {"a": 1, "b": {"c": 2}},
        [],
        {},
        [1, 2, 3],
        ["some words", "more words"],
        "evil.example and more",
        b"[",
        b"{\"a\": ",
        b"\x00\x01",
    ],
)  # fmt: skip
def test_other_json_is_no_list(content: Any) -> None:
    """Logs, settings, numbers, prose, what is cut off."""
    assert not list_json.detect(document(content))


def test_a_long_document_is_told_by_its_beginning() -> None:
    """Longer than the head: cut, and closed again."""
    records = [{"value": f"host{number}.example", "type": "domain", "note": "x" * 60} for number in range(40_000)]
    for content in ({"meta": {"a": 1}, "indicators": records}, records, [row["value"] for row in records]):
        assert detect_reader(document(content)).name == "list-json"  # type: ignore[union-attr]
    lines = b"\n".join(json.dumps(row).encode() for row in records)
    assert list_json.detect(document(lines, "feed.ndjson"))


def test_hostile_json_is_bounded() -> None:
    """Depth, members without number, cells without end, lists beyond the limit, HTML: refused, cut or text."""
    assert not list_json.detect(document(b"[" * 100_000))
    with pytest.raises(InputError):
        read(b"[" * 100_000)
    wide = [{f"key{number}": "x" for number in range(5_000)} | {"domain": "a.example"}]
    (item,), _ = read([{"domain": "a.example", **wide[0]}])
    assert len((read_extension(item.object, "list") or {})["columns"]) <= 256
    (item,), _ = read([{"domain": "a.example", "note": "<script>" * 10_000}])
    assert len(rows(item)[0][2]) < 5_000
    with pytest.raises(LimitError, match="list_entries"):
        read(["a.example"] * 100, limits=Limits(list_entries=10))
    with pytest.raises(LimitError, match="list_bytes"):
        read(["a.example"] * 100, limits=Limits(list_bytes=10))
    begin = time.process_time()
    list_json.detect(document(b'{"a":' * 13_000 + b'"' + b"\\" * 100_000))
    assert time.process_time() - begin < 5


@settings(max_examples=25, deadline=None)  # a shared machine
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.sampled_from(["evil.example", "192.0.2.1", "x", ""]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["1", "ioc", "data", "tlp", "url", "host", "type", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_list_or_an_error(content: Any) -> None:
    """Whatever shape: read, or refused by name."""
    list_json.detect(document(content))
    find_list(content)
    try:
        read(content)
    except InputError:
        return
