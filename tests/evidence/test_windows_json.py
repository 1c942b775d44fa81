"""Windows events as JSON: every shape and layout gives the events that EVTX gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.evidence.head import Head
from aleat.evidence.reader import ReadOptions, detect_reader
from tests.evidence.reading import events_of, issues_of, read_bytes

DUMP: dict[str, Any] = {
    "Event": {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"}},
            "EventID": 1,
            "Level": 4,
            "TimeCreated": {"#attributes": {"SystemTime": "2022-07-15T08:00:00.123456Z"}},
            "EventRecordID": 77,
            "Correlation": None,
            "Execution": {"#attributes": {"ProcessID": 12, "ThreadID": 34}},
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "ws1.example",
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": {"Image": "C:\\Tool\\a.exe", "ProcessId": 4460, "User": "Gëzim"},
    }
}
BESIDE = {
    "Event": {
        "Event_attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider_attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"},
            "EventID": 1,
            "Level": 4,
            "TimeCreated_attributes": {"SystemTime": "2022-07-15T08:00:00.123456Z"},
            "EventRecordID": 77,
            "Correlation": None,
            "Execution_attributes": {"ProcessID": 12, "ThreadID": 34},
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "ws1.example",
            "Security_attributes": {"UserID": "S-1-5-18"},
        },
        "EventData": {"Image": "C:\\Tool\\a.exe", "ProcessId": 4460, "User": "Gëzim"},
    }
}
VELOCIRAPTOR = {
    "System": {
        "Provider": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"},
        "EventID": {"Value": 1},
        "Level": 4,
        "TimeCreated": {"SystemTime": 1657872000.123456},
        "EventRecordID": 77,
        "Correlation": {},
        "Execution": {"ProcessID": 12, "ThreadID": 34},
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "ws1.example",
        "Security": {"UserID": "S-1-5-18"},
    },
    "EventData": {"Image": "C:\\Tool\\a.exe", "ProcessId": 4460, "User": "Gëzim"},
}
WINLOGBEAT = {
    "@timestamp": "2022-07-15T08:00:00.123456Z",
    "winlog": {
        "provider_name": "Microsoft-Windows-Sysmon",
        "provider_guid": "5770385F",
        "event_id": 1,
        "record_id": "77",
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "computer_name": "ws1.example",
        "process": {"pid": 12, "thread": {"id": 34}},
        "user": {"identifier": "S-1-5-18"},
        "event_data": {"Image": "C:\\Tool\\a.exe", "ProcessId": 4460, "User": "Gëzim"},
    },
    "event": {"code": 1},
}
DOTTED = {
    "@timestamp": "2022-07-15T08:00:00.123456Z",
    "winlog.provider_name": "Microsoft-Windows-Sysmon",
    "winlog.event_id": 1,
    "winlog.record_id": 77,
    "winlog.channel": "Microsoft-Windows-Sysmon/Operational",
    "winlog.computer_name": "ws1.example",
    "winlog.event_data.Image": "C:\\Tool\\a.exe",
    "winlog.event_data.ProcessId": 4460,
    "winlog.event_data.User": "Gëzim",
}
FLAT = {
    "EventTime": "2022-07-15 10:00:00",
    "@timestamp": "2022-07-15T08:00:00.123456Z",
    "Hostname": "ws1.example",
    "SourceName": "Microsoft-Windows-Sysmon",
    "EventID": 1,
    "RecordNumber": 77,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Image": "C:\\Tool\\a.exe",
    "ProcessId": 4460,
    "User": "Gëzim",
}
SHAPES = {
    "dump": DUMP,
    "beside": BESIDE,
    "velociraptor": VELOCIRAPTOR,
    "winlogbeat": WINLOGBEAT,
    "dotted": DOTTED,
    "flat": FLAT,
    "elastic": {"_index": "x", "_source": WINLOGBEAT},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_facts_and_payload(shape: str) -> None:
    (event,) = events_of(read_bytes(orjson.dumps(SHAPES[shape]) + b"\n"))
    assert event["channel"] == "Microsoft-Windows-Sysmon/Operational"
    assert event["provider"] == "Microsoft-Windows-Sysmon"
    assert event["event_id"] == "1"
    assert event["record_id"] == 77
    assert event["host"] == "ws1.example"
    assert event["time"].isoformat() == "2022-07-15T08:00:00.123456+00:00"
    payload = {name: event["fields"][name] for name in ("Image", "ProcessId", "User")}
    assert payload == {"Image": "C:\\Tool\\a.exe", "ProcessId": "4460", "User": "Gëzim"}


def test_winlogbeats_names_for_what_has_none_are_the_sources() -> None:
    """``paramN`` are the unnamed values in their order; `xml_name` is the element inside of UserData."""
    facts = {"channel": "Application", "event_id": "1040", "record_id": 5, "provider_name": "MsiInstaller"}
    unnamed = {"winlog": {**facts, "event_data": {"param2": "b", "param10": "c", "param1": "a"}}}
    single = {"winlog": {**facts, "event_data": {"param1": "a"}}}
    inside = {"winlog": {**facts, "user_data": {"xml_name": "LogFileCleared", "Channel": "System"}}}
    older = {**facts, "log_name": "Application", "source_name": "x", "event_data": {"param1": "a", "param2": "b"}}
    data = b"".join(orjson.dumps(event) + b"\n" for event in (unnamed, single, inside, older))
    first, second, third, fourth = events_of(read_bytes(data))
    assert (first["fields"]["Data"], first["kinds"]["Data"]) == ('["a","b","c"]', "l")
    assert (second["fields"]["Data"], second["kinds"]["Data"]) == ("a", "s")
    assert {name: third["fields"][name] for name in ("UserData", "Channel")} == {
        "UserData": "LogFileCleared",
        "Channel": "System",
    }
    assert "xml_name" not in third["fields"]
    assert fourth["fields"]["Data"] == '["a","b"]'
    assert first["fields"]["param1"] == "a"  # providers have values of that name, too


@pytest.mark.parametrize("shape", ["dump", "beside", "velociraptor", "winlogbeat"])
def test_system_values_have_their_xml_names(shape: str) -> None:
    (event,) = events_of(read_bytes(orjson.dumps(SHAPES[shape]) + b"\n"))
    fields = event["fields"]
    assert fields["Computer"] == "ws1.example"
    assert (fields["Execution.ProcessID"], fields["Execution.ThreadID"]) == ("12", "34")
    assert fields["Security.UserID"] == "S-1-5-18"
    assert fields["Provider.Guid"] == "5770385F"


def objects(count: int) -> list[dict[str, Any]]:
    """Return events with rising record ids, the last field a text with braces and quotes."""
    out = []
    for number in range(count):
        event = json.loads(json.dumps(DUMP))
        event["Event"]["System"]["EventRecordID"] = number
        event["Event"]["EventData"]["Note"] = f'}}{{"\\ {number} ç'
        out.append(event)
    return out


def lay_out(events: list[dict[str, Any]], layout: str) -> str:
    """Write events in one of the layouts that tools use."""
    compact = [json.dumps(event, ensure_ascii=False) for event in events]
    pretty = [json.dumps(event, ensure_ascii=False, indent=2) for event in events]
    return {
        "lines": "\n".join(compact) + "\n",
        "lines without an end": "\n".join(compact),
        "crlf lines": "\r\n".join(compact) + "\r\n",
        "array": json.dumps(events, ensure_ascii=False),
        "pretty array": json.dumps(events, ensure_ascii=False, indent=2),
        "array of lines": "[\n" + ",\n".join(compact) + "\n]",
        "pretty objects": "\n".join(pretty),
        "concatenated": "".join(compact),
    }[layout]


LAYOUTS = (
    "lines",
    "lines without an end",
    "crlf lines",
    "array",
    "pretty array",
    "array of lines",
    "pretty objects",
    "concatenated",
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_encoding_gives_the_same_events_at_their_bytes(layout: str, encoding: str) -> None:
    data = lay_out(objects(3), layout).encode(encoding)
    results = read_bytes(data)
    assert issues_of(results) == []
    events = events_of(results)
    assert [event["record_id"] for event in events] == [0, 1, 2]
    assert [event["fields"]["Note"] for event in events] == [f'}}{{"\\ {number} ç' for number in range(3)]
    inner = encoding if encoding.endswith("e") else {"utf-16": "utf-16-le"}.get(encoding, "utf-8")
    brace = '{"Event"' if "pretty" not in layout else "{"
    for event in events:
        assert data[event["offset"] :].startswith(brace.encode(inner))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("range_bytes", [700, 1500, 4096])
def test_ranges_lose_and_repeat_nothing(layout: str, range_bytes: int) -> None:
    data = lay_out(objects(12), layout).encode()
    whole = events_of(read_bytes(data))
    results = read_bytes(data, options=ReadOptions(range_bytes=range_bytes))
    assert issues_of(results) == []
    parts = events_of(results)
    assert [event["offset"] for event in parts] == [event["offset"] for event in whole]
    assert len(whole) == 12


def test_a_broken_line_is_named_and_the_rest_is_read() -> None:
    lines = lay_out(objects(4), "lines").encode().split(b"\n")
    lines[1] = lines[1][:50]
    data = b"\n".join(lines)
    results = read_bytes(data)
    assert [event["record_id"] for event in events_of(results)] == [0, 2, 3]
    (issue,) = issues_of(results)
    assert (issue.code, issue.place.line, issue.place.offset) == ("broken-json", 2, len(lines[0]) + 1)


def test_a_broken_object_among_pretty_ones_is_named_and_the_rest_is_read() -> None:
    pretty = lay_out(objects(4), "pretty objects").split("\n{\n")
    pretty[1] = pretty[1][:200]
    data = "\n{\n".join(pretty).encode()
    results = read_bytes(data)
    assert [event["record_id"] for event in events_of(results)] == [0, 2, 3]
    assert [issue.code for issue in issues_of(results)] == ["broken-json"]


def test_lines_in_another_code_page_are_read_and_noted() -> None:
    lines = lay_out(objects(2), "lines").encode("cp1252")
    results = read_bytes(lines)
    assert [event["fields"]["User"] for event in events_of(results)] == ["Gëzim", "Gëzim"]
    assert results[0].encodings == {"cp1252": 2}


def test_a_stated_code_page_is_taken() -> None:
    lines = lay_out(objects(2), "lines").encode("cp852")
    results = read_bytes(lines, options=ReadOptions(encoding="cp852"))
    assert [event["fields"]["User"] for event in events_of(results)] == ["Gëzim", "Gëzim"]


def test_json_that_is_no_windows_event_is_counted() -> None:
    data = lay_out(objects(2), "lines").encode() + b'{"a": 1}\n{"b": [2]}\n'
    results = read_bytes(data)
    assert len(events_of(results)) == 2
    (issue,) = issues_of(results)
    assert (issue.code, issue.records) == ("not-windows", 2)


def test_a_time_without_a_zone_is_noted() -> None:
    flat = {name: value for name, value in FLAT.items() if name != "@timestamp"}
    results = read_bytes(orjson.dumps(flat))
    assert [issue.code for issue in issues_of(results)] == ["zone-assumed"]
    assert events_of(results)[0]["time_text"] == "2022-07-15 10:00:00"


def test_named_data_elements_become_fields() -> None:
    event = json.loads(json.dumps(DUMP))
    event["Event"]["EventData"] = {"Data": [{"@Name": "Image", "#text": "a.exe"}, {"@Name": "Empty"}]}
    (read,) = events_of(read_bytes(orjson.dumps(event)))
    assert read["fields"]["Image"] == "a.exe"
    assert read["kinds"]["Empty"] == "n"


@pytest.mark.parametrize("layout", ["line", "wide", "indented", "array", "lax"])
@pytest.mark.parametrize("inner", ["1", str(10**30), "NaN"])
def test_a_value_nested_too_deep_costs_its_event_only(layout: str, inner: str) -> None:
    """Whatever way the parser took, so that nothing after it meets what it can't work on."""
    good = '{"EventID": 1, "Channel": "Security", "A": "x"}'
    deep = '{"EventID": 1, "Channel": "Security", "A": ' + "[" * 600 + inner + "]" * 600 + "}"
    texts = {
        "line": f"{good}\n{deep}\n{good}\n",
        "wide": f"{good}\n{deep}\n{good}\n",
        "indented": "\n".join(text.replace("{", "{\n  ", 1)[:-1] + "\n}" for text in (good, deep, good)),
        "array": f"[{good},\n{deep},\n{good}]",
        "lax": f"{good}\n" + deep.replace('"x"', '"\t"') + f"\n{good}\n",
    }
    results = read_bytes(texts[layout].encode("utf-16-le" if layout == "wide" else "utf-8"))
    assert len(events_of(results)) == 2
    (issue,) = issues_of(results)
    assert issue.code == "broken-json"


def test_deep_nesting_is_an_issue_and_ends() -> None:
    data = b'{"EventID": 1, "x": ' + b'{"a":' * 100_000
    results = read_bytes(data)
    assert events_of(results) == []
    assert "nesting" in str(issues_of(results)[0])


def test_a_hundred_megabytes_of_braces_take_linear_time() -> None:
    """Each brace would start a scan of its own if the scanner went back to it."""
    data = b'{"EventID":1,"Channel":"c"}{"x":1}' + b"\n{" * 200_000
    results = read_bytes(data, options=ReadOptions(range_bytes=2**20))
    assert len(events_of(results)) == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 600))
def test_no_bytes_make_the_reader_fail(junk: bytes, at: int) -> None:
    sound = lay_out(objects(2), "lines").encode()
    data = sound[:at] + junk + sound[at:]
    reader = detect_reader(Head(data, "x.json"))
    if reader is not None and reader.name == "windows-json":
        events_of(read_bytes(data, "x.json"))


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=6),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=6,
    )
)
def test_any_payload_is_read(payload: dict[str, Any]) -> None:
    """Whatever stands in EventData: the event is read, and each field has one kind (`events_of` checks it)."""
    event = json.loads(json.dumps(DUMP))
    event["Event"]["EventData"] = payload
    results = read_bytes(json.dumps(event).encode() + b"\n")
    assert len(events_of(results)) == 1


def test_integers_of_any_size_stand_in_lists() -> None:
    event = json.loads(json.dumps(DUMP))
    event["Event"]["EventData"] = {"Sizes": [[-(2**63) - 1], 2**70, float("inf")], "Big": 2**70}
    fields = events_of(read_bytes(json.dumps(event).encode() + b"\n"))[0]["fields"]
    assert fields["Sizes"] == "[[-9223372036854775809],1180591620717411303424,null]"
    assert fields["Big"] == "1180591620717411303424"


def strip(event: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal between an EVTX and its JSON: the export there cut off blanks at the ends."""
    fixed = {name: event[name] for name in ("channel", "provider", "event_id", "record_id", "time", "host")}
    return {**fixed, "fields": {name: value.strip() for name, value in event["fields"].items()}}


@pytest.mark.data
def test_each_regression_pair_gives_the_same_events(test_data: Path) -> None:
    """The only difference between the 95 pairs: `evtx_dump` cut off blanks at the ends of 42 files' values."""
    pairs = sorted((test_data / "sigma" / "regression_data").rglob("*.json"))
    assert len(pairs) == 95
    differ = 0
    for path in pairs:
        from_json = read_bytes(path.read_bytes(), path.name)
        from_evtx = read_bytes(path.with_suffix(".evtx").read_bytes(), path.name)
        assert issues_of(from_json) == issues_of(from_evtx) == []
        left, right = events_of(from_json), events_of(from_evtx)
        assert [strip(event) for event in left] == [strip(event) for event in right]
        differ += [event["fields"] for event in left] != [event["fields"] for event in right]
    assert differ == 42
