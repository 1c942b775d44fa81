"""Advisories in prose: what is found in them, where it stands, and what is left alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import Issue
from aleat.knowledge.document import HEAD_BYTES, Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.readers.prose import detect, find_observables, find_techniques, read
from aleat.stix.extensions import read_extension

ADVISORY = """# ROADSWEEP intrusions, what we know

The actor used T1486 and T1561.002; see https://example.org/report for the report.
It came back with T1486 in September. The team at example.net can help.

| value | what |
|---|---|
| 203.0.113[.]24 | first server |
| update-portal[.]example | second server |
| `d41d8cd98f00b204e9800998ecf8427e` | web shell |

Downloads were made from hxxps://cdn.update-portal[.]example/a.bin, and the web shell was written to
C:\\inetpub\\wwwroot\\aspnet\\pickers.aspx. Mail came from helpdesk[@]update-portal[.]example and it used
CVE-2019-0604. The server 203.0.113[.]24 was seen again.
"""


def _document(text: str, name: str = "advisory.md") -> Document:
    data = text.encode()
    return Document(path=name, relative=name, size=len(data), head=data[:HEAD_BYTES], read=lambda: data)


def _read(text: str) -> list[KnowledgeItem]:
    items = list(read(_document(text), Limits()))
    assert not [item for item in items if isinstance(item, Issue)]
    return [item for item in items if isinstance(item, KnowledgeItem)]


def test_observables_are_found_refanged_and_typed() -> None:
    found = {(row.type, row.value) for row in find_observables(ADVISORY)}
    assert found == {
        ("ipv4-addr", "203.0.113.24"),
        ("domain-name", "update-portal.example"),
        ("file:hashes", "d41d8cd98f00b204e9800998ecf8427e"),
        ("url", "https://cdn.update-portal.example/a.bin"),
        ("file:path", "C:\\inetpub\\wwwroot\\aspnet\\pickers.aspx"),
        ("email-addr", "helpdesk@update-portal.example"),
        ("vulnerability", "CVE-2019-0604"),
    }


def test_plain_links_and_sites_of_prose_are_no_indicators() -> None:
    values = {row.value for row in find_observables(ADVISORY)}
    assert not {value for value in values if "example.org" in value or "example.net" in value}


def test_each_observable_stands_at_its_offset() -> None:
    for row in find_observables(ADVISORY):
        assert ADVISORY[row.offset : row.offset + len(row.written)] == row.written
        assert ADVISORY.count("\n", 0, row.offset) + 1 == row.line


def test_an_advisory_becomes_a_list_and_a_note_that_keeps_the_text() -> None:
    items = _read(ADVISORY)
    by_type = {item.object.type: item for item in items}
    assert set(by_type) == {"file", "indicator", "note"}
    entries = by_type["indicator"].entries
    assert entries is not None
    rows = {row["value"]: row for row in entries.to_pylist()}
    assert rows["203.0.113.24"]["count"] == 2
    assert "first server" in rows["203.0.113.24"]["context"]
    assert f"offset: {ADVISORY.index('203.0.113[.]24')};" in rows["203.0.113.24"]["context"]
    content = read_extension(by_type["indicator"].object, "list")
    assert content is not None
    assert content["entries"] == len(rows)
    note = by_type["note"].object
    assert b"ROADSWEEP intrusions, what we know" in note.raw
    assert b'"external_id":"T1561.002"' in note.raw


def test_techniques_are_named_as_often_as_they_stand_there() -> None:
    assert find_techniques(ADVISORY) == ("T1486", "T1561.002", "T1486")


def test_the_same_text_gives_the_same_objects() -> None:
    assert [item.object.digest for item in _read(ADVISORY)] == [item.object.digest for item in _read(ADVISORY)]


def test_an_advisory_is_detected_and_news_and_lists_are_not() -> None:
    assert detect(_document(ADVISORY))
    assert not detect(
        _document("Varonia blamed Kestria for a cyberattack.\nKestria denied the accusation on Friday.\n")
    )
    assert not detect(_document("203.0.113.1\n203.0.113.2\n203.0.113.3\n203.0.113.4\n", "list.txt"))
    assert not detect(_document(ADVISORY, "advisory.exe"))
    assert not detect(_document('{"type": "bundle"}', "a.txt"))


@given(st.text(max_size=400))
def test_any_text_is_searched_without_a_fault(text: str) -> None:
    for row in find_observables(text):
        assert text[row.offset : row.offset + len(row.written)] == row.written


def test_time_grows_with_length_and_not_faster() -> None:
    """Eight times the text; the floor of 0.05 s is a library's own start-up, and far below what a square would take."""
    for shape in ("a.", "a[.]", "1.", "a@", "hxxp://", "C:\\", "0" * 31 + " ", "%A%\\", "HKLM\\", "a-"):
        seconds = []
        for size in (20_000, 160_000):
            text = shape * (size // len(shape))
            began = time.process_time()
            find_observables(text)
            seconds.append(time.process_time() - began)
        assert seconds[1] < 32 * max(seconds[0], 0.05), shape


@pytest.mark.data
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_published_indicator_pages_are_read(test_data: Path, step: int) -> None:
    """Every page (or each fourth) of the published reports that names hashes gives a list with them."""
    pages = sorted((test_data / "prose" / "eset").glob("*/README.adoc"))[::step]
    assert pages
    read_pages = 0
    for page in pages:
        document = _document(page.read_text("utf-8", "replace"), page.name)
        if detect(document):
            items = [item for item in read(document, Limits()) if isinstance(item, KnowledgeItem)]
            read_pages += any(item.entries is not None and item.entries.num_rows for item in items)
    assert read_pages > len(pages) // 2
