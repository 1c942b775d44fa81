"""The report's page: opens offline, loads nothing, and nothing in it acts."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from aleat.exchange import Finding
from aleat.exchange.beside import FindingRow, LookedAt
from aleat.report import LANGUAGES, render_html
from tests.report.cases import START, full_report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202egpj.exe{{7*7}}'


class Page(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def poison(value: Any) -> Any:
    """Return a record with every free string in it replaced by a hostile one."""
    keep = {"kind", "cause", "level", "act", "effects", "words", "verdict", "confidence", "reason", "stages", "zone"}
    if isinstance(value, msgspec.Struct):
        changed = {
            name: item if name in keep or name.endswith(("id", "_date", "hash")) else poison(item)
            for name, item in msgspec.structs.asdict(value).items()
        }
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(poison(item) for item in value)
    if isinstance(value, dict):
        return {name: poison(item) for name, item in value.items()}
    return value


def test_the_page_loads_nothing() -> None:
    """No script, no link elsewhere, no picture: only fragments of the page itself."""
    page = Page(render_html(full_report()))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form", "base"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert (attributes.get("href") or "#").startswith("#")
    assert b"http" not in render_html(full_report()).replace(b"http-equiv", b"")
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert "default-src 'none'" in (policies[0] or "")


def test_every_link_has_its_target() -> None:
    """Each fragment link leads to an element of the page."""
    page = Page(render_html(full_report()))
    ids = {attributes.get("id") for _, attributes in page.tags}
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a" and attributes.get("href")}
    assert links
    assert {(link or "")[1:] for link in links} <= ids


def test_hostile_values_are_shown_and_do_nothing() -> None:
    """Markup, terminal controls, bidirectional overrides and template syntax in any value stay text."""
    data = render_html(poison(full_report()))
    page = Page(data)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert "onerror" not in {name for _, attributes in page.tags for name in attributes}
    assert "\x1b" not in data.decode()
    assert "\u202e" not in data.decode()
    assert "<script>alert(1)" in page.text
    assert "{{7*7}}" in page.text


def test_the_first_screen_holds_at_most_twenty_things() -> None:
    """Twenty, not twenty thousand; the rest is one step away."""
    report = full_report()
    entries = tuple(msgspec.structs.replace(report.case.timeline[0], title=f"Thing {number}") for number in range(300))
    report = msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, timeline=entries))
    page = render_html(report).decode()
    first = page[page.index('<ul class="first">') : page.index("</ul>", page.index('<ul class="first">'))]
    assert first.count("<li>") == 20


def test_a_sighting_leads_to_file_record_offset_and_hash() -> None:
    """Each shown sighting names its bytes."""
    text = Page(render_html(full_report())).text
    assert "logs/HOST01.jsonl" in text
    assert "record 7, byte 3584" in text
    assert "ab" * 32 in text


def test_same_report_same_bytes() -> None:
    """No clock and no chance in the page."""
    assert render_html(full_report()) == render_html(full_report())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_tells_the_whole_case(language: str) -> None:
    """A page in each language, with no message left out."""
    data = render_html(full_report(), language=language)
    assert f'<html lang="{language}">'.encode() in data
    assert "…:" not in data.decode()


def test_allies_findings_stand_beside_our_own() -> None:
    """Who found it, how often, when as exactly as told, over what; an ally's words are shown, not acted on."""
    looked = LookedAt(sources=1, hosts=3, events=900, first=START, last=START, gaps=2)
    theirs = Finding(
        indicator="indicator--1",
        status="seen",
        count=7,
        first=START,
        last=START,
        granularity="day",
        sender="identity--1",
    )
    denied = Finding(indicator="indicator--2", status="false-positive", reason="<b>scanner</b>", sender="identity--1")
    rows = (
        FindingRow(
            by="identity--0", name="Beacon", finding=Finding(indicator="indicator--1", status="not-seen"), ours=True
        ),
        FindingRow(by="identity--1", ally="cert-north", name="Beacon", finding=theirs, looked=looked),
        FindingRow(by="identity--1", ally="cert-north", name="<i>Two</i>", finding=denied),
    )
    report = full_report(findings=rows)
    page = render_html(report).decode()
    section = page[page.index('<section id="findings">') :].partition("</section>")[0]
    for text in ("ourselves", "not seen", "cert-north", "seen", "2022-07-15", "hosts: 3", "Gaps: 2", "&lt;i&gt;Two"):
        assert text in section
    assert "<b>scanner" not in section
    assert "06:00" not in section
    assert "Çfarë gjetën aleatët" in render_html(report, language="sq").decode()
    assert 'id="findings"' not in render_html(full_report()).decode()
