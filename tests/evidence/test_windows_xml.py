"""Windows events as XML: every layout gives the events that EVTX gives, and a broken event costs no other."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from evtx import PyEvtxParser
from hypothesis import given
from hypothesis import strategies as st

from aleat.evidence.reader import ReadOptions
from aleat.evidence.readers.windows_xml import WindowsXmlReader
from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.windows_xml import MAX_ELEMENTS, XmlEventError, add_xml, parse_any, parse_event, parse_plain
from tests.evidence.evtx_writer import Event, evtx_bytes, sample
from tests.evidence.reading import events_of, issues_of, read_bytes
from tests.evidence.xml_layouts import LAYOUTS, compact, lay_out, xml_of_evtx

EVENTS = [
    *sample(3),
    Event(record_id=4, unnamed=["a", "", "c"]),
    Event(record_id=5, channel="System", user_data=("LogFileCleared", [("Channel", "Other"), ("BackupPath", "")])),
    Event(record_id=6, data=[("Text", "a <&> \"'\r\n\tb ë 漢 😀"), ("Empty", "")]),
    Event(record_id=7, event_id=7036, attributes={"EventID": {"Qualifiers": "16384"}}, unnamed=["one"]),
    Event(record_id=8),
]
SHORT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='P'/>"
    "<EventID>{id}</EventID><TimeCreated SystemTime='2022-07-15T08:00:00.1234567Z'/><EventRecordID>{id}</EventRecordID>"
    "<Channel>Security</Channel><Computer>pc1</Computer></System>{payload}</Event>"
)


def short(number: int, payload: str = "<EventData><Data Name='A'>x</Data></EventData>") -> str:
    """Return an event as `ToXml()` writes it."""
    return SHORT.format(id=number, payload=payload)


def xml_of(events: list[Event]) -> list[str]:
    """Return the XML of events that were written as EVTX."""
    return [record["data"] for record in PyEvtxParser(io.BytesIO(evtx_bytes(events))).records() if record]


def facts(event: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal in every layout; numbers are written as such or as text."""
    names = ("channel", "provider", "event_id", "record_id", "host", "time", "time_text")
    fields = {name: value for name, value in event["fields"].items() if not name.startswith("RenderingInfo.")}
    return {**{name: event[name] for name in names}, "fields": fields}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_what_evtx_gives(layout: str) -> None:
    expected = [facts(event) for event in events_of(read_bytes(evtx_bytes(EVENTS)))]
    results = read_bytes(lay_out(xml_of(EVENTS), layout), "export.xml")
    assert [facts(event) for event in events_of(results)] == expected
    assert issues_of(results) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ranges_of_any_length_give_the_same_events(layout: str) -> None:
    data = lay_out(xml_of(sample(20)), layout)
    whole = events_of(read_bytes(data, "export.xml"))
    parts = read_bytes(data, "export.xml", ReadOptions(range_bytes=1500))
    assert len(parts) > 5
    assert [(event["offset"], event["fields"]) for event in events_of(parts)] == [
        (event["offset"], event["fields"]) for event in whole
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_offset_leads_to_the_event(encoding: str) -> None:
    text = "\ufeff<Events>\n" + "\n".join(
        short(number, f"<EventData><Data Name='A'>ë漢😀{number}</Data></EventData>") for number in range(4)
    )
    data = (text + "\n</Events>").encode(encoding)
    for event in events_of(read_bytes(data, "export.xml")):
        assert data[event["offset"] :].decode(encoding).startswith(short(event["record_id"])[:60])


def test_an_event_says_how_long_it_is() -> None:
    data = f"<Events>{short(1)}\n{short(2)}</Events>".encode()
    for event in events_of(read_bytes(data, "export.xml")):
        length = WindowsXmlReader().record_length(data, event["offset"])
        assert length is not None
        assert data[event["offset"] :][:length].decode() == short(event["record_id"])


def test_rendered_texts_are_kept() -> None:
    (event,) = events_of(read_bytes(lay_out(xml_of(sample(1)), "wevtutil"), "export.xml"))
    assert event["fields"]["RenderingInfo.Message"] == "It happened."
    assert event["fields"]["RenderingInfo.Keywords.Keyword"] == "Audit Success"
    assert event["fields"]["CommandLine"] == "run 1"


def test_a_broken_event_is_named_and_the_others_are_read() -> None:
    pieces = [short(1), short(2).replace("</Data>", ""), short(3), short(4).removesuffix("</Event>"), short(5)]
    data = "<Events>" + "".join(pieces) + "</Events>"
    results = read_bytes(data.encode(), "export.xml")
    assert [event["record_id"] for event in events_of(results)] == [1, 3, 5]
    issues = issues_of(results)
    assert [(issue.code, issue.place.offset, issue.length, issue.records) for issue in issues] == [
        ("broken-xml", data.index(pieces[1]), len(pieces[1]), 1),
        ("broken-xml", data.index(pieces[3]), len(pieces[3]), 1),
    ]


def test_an_export_that_was_cut_off_says_so() -> None:
    data = ("<Events>" + short(1) + short(2))[:-30]
    results = read_bytes(data.encode(), "export.xml")
    assert [event["record_id"] for event in events_of(results)] == [1]
    assert [issue.code for issue in issues_of(results)] == ["broken-xml"]


def test_a_range_in_which_no_event_begins_is_named() -> None:
    data = f"<Events>{short(1)}{'x' * 9_000_000}".encode()
    results = read_bytes(data, "export.xml", ReadOptions(range_bytes=1000))
    assert [event["record_id"] for event in events_of(results)] == [1]
    issues = issues_of(results)
    assert {issue.code for issue in issues} == {"broken-xml"}
    assert sum(issue.length or 0 for issue in issues) == 9_000_000


def test_an_element_of_the_payload_may_be_called_event() -> None:
    payload = "<UserData><Event xmlns='x'><User>agim</User></Event></UserData>"
    (event,) = events_of(read_bytes(f"<Events>{short(1, payload)}</Events>".encode(), "export.xml"))
    assert event["fields"]["UserData"] == "Event"
    assert event["fields"]["User"] == "agim"


def test_values_of_one_name_are_all_kept() -> None:
    payload = (
        "<EventData><Data Name='A'>1</Data><Data Name='A'>2</Data><Data Name='A'>3</Data><Data>4</Data></EventData>"
    )
    (event,) = events_of(read_bytes(f"<Events>{short(1, payload)}</Events>".encode(), "export.xml"))
    fields = event["fields"]
    assert [fields[name] for name in ("A", "A~", "A~2", "Data")] == ["1", "2", "3", "4"]


BILLION = '<!DOCTYPE lolz [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {"abcdefghij"[number + 1]} "{("&" + "abcdefghij"[number] + ";") * 10}">' for number in range(9)
)


def test_entities_are_never_expanded() -> None:
    payload = "<EventData><Data Name='A'>{}</Data></EventData>"
    bomb, outside = short(1, payload.format("&j;")), short(2, payload.format("&xxe;"))
    data = f'<?xml version="1.0"?>{BILLION}<!ENTITY xxe SYSTEM "file:///etc/passwd">]><Events>{bomb}{outside}{short(3)}'
    results = read_bytes(data.encode(), "export.xml")
    assert [event["record_id"] for event in events_of(results)] == [3]
    codes = [issue.code for issue in issues_of(results)]
    assert codes == ["document-type", "broken-xml", "broken-xml"]
    assert all("entit" in issue.reason for issue in issues_of(results))


def test_depth_number_and_length_have_limits() -> None:
    deep = short(1, "<UserData>" + "<a>" * 1000 + "</a>" * 1000 + "</UserData>")
    many = short(2, "<EventData>" + "<Data Name='A'/>" * MAX_ELEMENTS * 2 + "</EventData>")
    long = short(3, "<EventData><Data Name='A'>" + "x" * 3_000_000 + "</Data></EventData>")
    results = read_bytes("".join([deep, many, long, short(4)]).encode(), "export.xml")
    assert [event["record_id"] for event in events_of(results)] == [4]
    reasons = [issue.reason for issue in issues_of(results)]
    assert [reason.partition("limit: ")[2] for reason in reasons] == ["nesting).", "event elements).", "event bytes)."]


def test_characters_that_xml_forbids_are_replaced() -> None:
    payload = "<EventData><Data Name='A'>a\x02b&#x0;c\ufffe</Data></EventData>"
    (event,) = events_of(read_bytes(f"<Events>{short(1, payload)}</Events>".encode(), "export.xml"))
    assert event["fields"]["A"] == "a\ufffdb\ufffdc\ufffd"


def test_a_namespace_may_have_a_prefix() -> None:
    data = "<e:Events xmlns:e='x'><e:Event><e:System><e:EventID>7</e:EventID><e:Channel>Security</e:Channel></e:System>"
    data += "<e:EventData><e:Data Name='A'>x</e:Data></e:EventData></e:Event></e:Events>"
    (event,) = events_of(read_bytes(data.encode(), "export.xml"))
    assert (event["channel"], event["event_id"], event["fields"]["A"]) == ("Security", "7", "x")


def test_the_declared_code_page_is_used() -> None:
    payload = "<EventData><Data Name='User'>Gëzim Čela</Data></EventData>"
    data = f'<?xml version="1.0" encoding="windows-1250"?><Events>{short(1, payload)}</Events>'.encode("cp1250")
    results = read_bytes(data, "export.xml")
    assert events_of(results)[0]["fields"]["User"] == "Gëzim Čela"
    assert results[0].encodings == {"cp1250": 1}


def test_a_time_without_a_zone_is_counted() -> None:
    data = f"<Events>{short(1)}{short(2).replace('67Z', '67')}</Events>"
    assert [issue.code for issue in issues_of(read_bytes(data.encode(), "export.xml"))] == ["zone-assumed"]


def test_other_readers_can_hand_over_one_event() -> None:
    """Sysmon for Linux writes its events as XML into syslog lines."""
    rows = WindowsTables()
    add_xml(rows, 5, short(1))
    with pytest.raises(XmlEventError, match="System"):
        add_xml(rows, 9, "<Event><System/></Event>")
    ((form, channel, table),) = rows.tables()
    assert (form, channel, table["offset"].to_pylist()) == ("windows", "Security", [5])


VALUES = st.text(st.sampled_from("a<>&;'\"\n\r\t #x0]-!é😀\x02"), max_size=12)


@given(st.lists(st.tuples(st.sampled_from("ABC"), VALUES), max_size=4), VALUES, st.booleans())
def test_the_fast_way_is_the_general_way(data: list[tuple[str, str]], raw: str, escaped: bool) -> None:
    """What the fast way takes, it reads as the general way does."""
    inner = "".join(f"<Data Name='{name}'>{_escape(value) if escaped else value}</Data>" for name, value in data)
    text = short(1, f"<EventData>{inner}</EventData>").replace("</Computer>", f"{raw}</Computer>")
    plain = parse_plain(text)
    if plain is not None:
        assert plain == parse_any(text)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;")


@pytest.mark.data
def test_real_events_are_the_same_as_evtx_and_as_xml(test_data: Path) -> None:
    """A sample; `test_same_events` has all of them in every form."""
    for path in sorted((test_data / "evtx").rglob("*.evtx"))[::30]:
        texts = xml_of_evtx(str(path))
        expected = [facts(event) for event in events_of(read_bytes(path.read_bytes(), path.name))]
        found = [facts(event) for event in events_of(read_bytes(lay_out(texts, "event viewer"), "export.xml"))]
        assert found == expected
        for text in texts[:20]:
            plain = parse_plain(compact(text))
            assert plain is None or plain == parse_any(compact(text))
            assert parse_event(compact(text)) == parse_any(compact(text))
