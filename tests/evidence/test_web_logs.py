"""IIS and access logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.evidence.reader import ReadOptions
from tests.evidence.reading import events_of, issues_of, read_bytes

IIS = """#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2022-07-15 08:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status time-taken
2022-07-15 08:00:01 10.0.0.1 GET /portal.aspx id=1 443 198.51.100.7 Mozilla/5.0+(X11) 200 15
2022-07-15 08:00:02 10.0.0.1 POST /upload.aspx - 443 198.51.100.7 - 500 7
#Date: 2022-07-15 09:00:00
#Fields: date time s-computername cs-method cs-uri-stem sc-status
2022-07-15 09:00:00 WEB1 GET / 200
"""


def test_iis_events_have_the_sources_names_times_and_places() -> None:
    data = IIS.encode()
    results = read_bytes(data)
    assert issues_of(results) == []
    first, second, third = events_of(results)
    assert first["fields"] == {
        "s-ip": "10.0.0.1",
        "cs-method": "GET",
        "cs-uri-stem": "/portal.aspx",
        "cs-uri-query": "id=1",
        "s-port": "443",
        "c-ip": "198.51.100.7",
        "cs(User-Agent)": "Mozilla/5.0+(X11)",
        "sc-status": "200",
        "time-taken": "15",
    }
    assert first["kinds"]["sc-status"] == "i"
    assert first["time"].isoformat() == "2022-07-15T08:00:01+00:00"
    assert first["time_text"] == "2022-07-15 08:00:01"
    assert second["fields"]["cs-uri-query"] == "-"
    assert [first["host"], third["host"]] == ["10.0.0.1", "WEB1"]
    for event in (first, second, third):
        assert data[event["offset"] :].startswith(event["time_text"].encode())


def test_iis_fields_in_force_reach_into_later_ranges() -> None:
    body = "".join(f"2022-07-15 08:00:01 10.0.0.1 GET /p{n} - 443 10.1.1.1 - 200 1\n" for n in range(50))
    data = ("#Version: 1.0\n" + IIS.split("\n")[3] + "\n" + body).encode()
    results = read_bytes(data, options=ReadOptions(range_bytes=500))
    assert len(results) > 4
    assert issues_of(results) == []
    assert len(events_of(results)) == 50


@pytest.mark.parametrize("range_bytes", [2**20, 60])
def test_iis_without_a_date_field_takes_it_from_the_directive_and_passes_midnight(range_bytes: int) -> None:
    lines = ["#Date: 2022-07-15 23:59:00", "#Fields: time c-ip cs-method cs-uri-stem sc-status"]
    lines += [f"{clock} 10.0.0.1 GET /a 200" for clock in ("23:59:58", "23:59:59", "00:00:01", "12:00:00", "00:00:02")]
    results = read_bytes("\n".join(lines).encode(), options=ReadOptions(range_bytes=range_bytes))
    times = [event["time"].isoformat()[:19] for event in events_of(results)]
    assert times == [
        "2022-07-15T23:59:58",
        "2022-07-15T23:59:59",
        "2022-07-16T00:00:01",
        "2022-07-16T12:00:00",
        "2022-07-16T00:00:02",
    ]


def test_a_truncated_last_line_is_named() -> None:
    data = IIS.encode()[:-12]
    results = read_bytes(data)
    assert len(events_of(results)) == 2
    (issue,) = issues_of(results)
    assert (issue.code, issue.place.line) == ("broken-line", 9)
    assert issue.place.offset == data.rindex(b"\n") + 1


def test_iis_lines_before_any_fields_and_of_zeros_are_named() -> None:
    data = b"2022-07-15 08:00:01 10.0.0.1 GET /\n" + IIS.encode() + b"\0" * 50 + b"\n"
    results = read_bytes(data)
    assert len(events_of(results)) == 3
    assert [issue.place.line for issue in issues_of(results)] == [1, 11]


@pytest.mark.parametrize(("code_page", "stated"), [("cp1252", None), ("cp1250", "cp1250"), ("cp852", "cp852")])
def test_albanian_names_in_code_pages(code_page: str, stated: str | None) -> None:
    data = IIS.replace("/portal.aspx", "/përdorues/Çela").encode(code_page)
    results = read_bytes(data, options=ReadOptions(encoding=stated))
    assert events_of(results)[0]["fields"]["cs-uri-stem"] == "/përdorues/Çela"
    assert results[0].encodings == {code_page: 1}


def test_iis_in_utf_16() -> None:
    data = IIS.encode("utf-16")
    first = events_of(read_bytes(data))[0]
    assert data[first["offset"] :].startswith("2022-07-15 08:00:01".encode("utf-16-le"))


COMMON = '198.51.100.7 - agim [15/Jul/2022:10:00:01 +0200] "GET /a?b=1 HTTP/1.1" 200 512\n'
COMBINED = COMMON[:-1] + ' "https://portal.example/" "Mozilla/5.0 (X11)"\n'


def test_common_and_combined_lines() -> None:
    data = (COMMON + COMBINED).encode()
    results = read_bytes(data)
    assert issues_of(results) == []
    common, combined = events_of(results)
    assert common["fields"] == {
        "remote_host": "198.51.100.7",
        "ident": "-",
        "user": "agim",
        "request": "GET /a?b=1 HTTP/1.1",
        "method": "GET",
        "uri": "/a",
        "query": "b=1",
        "protocol": "HTTP/1.1",
        "status": "200",
        "bytes": "512",
    }
    assert common["time"].isoformat() == "2022-07-15T08:00:01+00:00"
    assert combined["fields"]["user_agent"] == "Mozilla/5.0 (X11)"
    assert combined["offset"] == len(COMMON)


def test_a_virtual_host_in_front_is_the_host() -> None:
    (event,) = events_of(read_bytes(("portal.example:443 " + COMBINED).encode()))
    assert event["fields"]["vhost"] == "portal.example:443"
    assert event["host"] == "portal.example"
    assert event["fields"]["remote_host"] == "198.51.100.7"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (COMMON.replace("512", "-"), "bytes", "-"),
        (COMMON.replace("agim", "Agim Hoxha"), "user", "Agim Hoxha"),
        (COMMON.replace("/a?b=1", '/<script>alert("x")</script>'), "uri", '/<script>alert("x")</script>'),
        (COMMON.replace("GET /a?b=1 HTTP/1.1", r"\x16\x03\x01"), "request", r"\x16\x03\x01"),
        (COMMON.replace("GET /a?b=1 HTTP/1.1", r"GET /\" HTTP/1.1"), "uri", r"/\""),
        (COMBINED[:-1] + ' "203.0.113.9" 0.004\n', "x_forwarded_for", "203.0.113.9"),
        (COMBINED[:-1] + ' "de-DE" 0.004\n', "extra", '"de-DE" 0.004'),
        (COMBINED.replace("\n", "\r\n"), "user_agent", "Mozilla/5.0 (X11)"),
    ],
)
def test_odd_lines_are_read(line: str, field: str, value: str) -> None:
    (event,) = events_of(read_bytes(line.encode()))
    assert event["fields"][field] == value


def test_a_line_in_no_format_is_named_and_the_rest_is_read() -> None:
    results = read_bytes((COMMON + "something else\n" + COMMON).encode())
    assert len(events_of(results)) == 2
    (issue,) = issues_of(results)
    assert (issue.code, issue.place.line, issue.place.offset) == ("broken-line", 2, len(COMMON))


def test_many_broken_lines_are_counted_and_not_all_named() -> None:
    results = read_bytes((COMMON * 3000 + "x\n" * 2500).encode())
    issues = issues_of(results)
    assert len(issues) == 1001
    assert sum(issue.records or 0 for issue in issues) == 2500


def test_a_line_without_end_takes_linear_time() -> None:
    line = '1.1.1.1 - - [15/Jul/2022:10:00:01 +0200] "' + '" ' * 300_000
    results = read_bytes((COMMON * 3 + line).encode())
    assert len(events_of(results)) == 3


def is_filled(line: str) -> bool:
    """Whether a line holds anything but White_Space (Unicode): Python counts four separators as such, too."""
    return bool(line.strip()) or not set("\x1c\x1d\x1e\x1f").isdisjoint(line)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=12), st.integers(40, 300))
def test_every_line_is_an_event_or_an_issue(junk: list[str], range_bytes: int) -> None:
    lines = [COMMON.strip()] * (len(junk) + 2) + [text.replace("\n", " ").replace("\r", " ") for text in junk]
    data = "\n".join(lines).encode()
    results = read_bytes(data, options=ReadOptions(range_bytes=range_bytes))
    events, issues = events_of(results), issues_of(results)
    assert len(events) + len([i for i in issues if i.code == "broken-line"]) == sum(map(is_filled, lines))
    for event in events:
        assert event["offset"] == 0 or data[event["offset"] - 1] == 0x0A


def test_requests_without_a_method_have_no_parts() -> None:
    none, only = (
        events_of(read_bytes(COMMON.replace("GET /a?b=1 HTTP/1.1", request).encode()))[0]["fields"]
        for request in ("-", "GET /only")
    )
    assert none["request"] == "-"
    assert not {"method", "uri", "query", "protocol"} & none.keys()
    assert (only["method"], only["uri"]) == ("GET", "/only")
    assert not {"query", "protocol"} & only.keys()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("plaso/iis/iis10.log", 1),
        ("plaso/iis/iis10_edge_cases.log", 15),
        ("plaso/iis/iis_without_date.log", 11),
        ("plaso/apache_access.log", 15),
        ("evtx-attack-samples/Command and Control/Tunna_rdp_tunnel_IIS.log", 4298),
        ("evtx-attack-samples/Command and Control/web_attack_and_isp_webshell_localhost_access_log.txt", 2661),
    ],
)
def test_real_logs_are_read_line_by_line(test_data: Path, name: str, events: int) -> None:
    data = (test_data / "logs" / name).read_bytes()
    results = read_bytes(data, name)
    read = events_of(results)
    assert len(read) == events
    assert not [issue for issue in issues_of(results) if issue.code == "broken-line"]
    assert all(event["time"] is not None for event in read)
