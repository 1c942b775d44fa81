"""Windows events as tables: PowerShell's, the Event Viewer's in any language, EvtxECmd's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.evidence.local_dates import date_order, to_iso
from aleat.evidence.reader import ReadOptions
from aleat.evidence.windows_messages import message_fields
from tests.evidence.reading import events_of, issues_of, read_bytes

PROCESS = """{title}

{creator}:
	{sid}:		EXAMPLE\\agim
	{account}:		agim
	{domain}:		EXAMPLE
	{logon}:		0x3E7

{target}:
	{sid}:		NULL SID
	{account}:		-
	{domain}:		-
	{logon}:		0x0

{process}:
	{new_id}:		0x1a4
	{new_name}:	C:\\Windows\\System32\\cmd.exe
	{token}:	%%1936
	{label}:		Mandatory Label\\High Mandatory Level
	{creator_id}:	0x1b0
	{creator_name}:	C:\\Windows\\explorer.exe
	{line}:	cmd.exe /c "whoami: all"

{note}
"""
ENGLISH = PROCESS.format(
    title="A new process has been created.",
    creator="Creator Subject",
    target="Target Subject",
    sid="Security ID",
    account="Account Name",
    domain="Account Domain",
    logon="Logon ID",
    process="Process Information",
    new_id="New Process ID",
    new_name="New Process Name",
    token="Token Elevation Type",
    label="Mandatory Label",
    creator_id="Creator Process ID",
    creator_name="Creator Process Name",
    line="Process Command Line",
    note="Token Elevation Type indicates the type of token: it was assigned by policy.",
)
GERMAN = PROCESS.format(
    title="Ein neuer Prozess wurde erstellt.",
    creator="Antragsteller",
    target="Zielantragsteller",
    sid="Sicherheits-ID",
    account="Kontoname",
    domain="Kontodomäne",
    logon="Anmelde-ID",
    process="Prozessinformationen",
    new_id="Neue Prozess-ID",
    new_name="Neuer Prozessname",
    token="Tokenerhöhungstyp",
    label="Verbindliche Beschriftung",
    creator_id="Erstellerprozess-ID",
    creator_name="Name des Erstellerprozesses",
    line="Prozessbefehlszeile",
    note="Der Tokenerhöhungstyp gibt an, welcher Tokentyp zugewiesen wurde.",
)
FIELDS = {
    "SubjectUserSid": "EXAMPLE\\agim",
    "SubjectUserName": "agim",
    "NewProcessName": "C:\\Windows\\System32\\cmd.exe",
    "ParentProcessName": "C:\\Windows\\explorer.exe",
    "CommandLine": 'cmd.exe /c "whoami: all"',
}


def written(rows: Sequence[Sequence[str]], separator: str = ",", quoting: int = csv.QUOTE_ALL) -> str:
    """Return rows as a table."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\r\n", quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


WINEVENT = [
    *("Message", "Id", "Version", "Qualifiers", "Level", "Task", "Opcode", "Keywords", "RecordId", "ProviderName"),
    *("ProviderId", "LogName", "ProcessId", "ThreadId", "MachineName", "UserId", "TimeCreated", "ActivityId"),
    *("Bookmark", "LevelDisplayName", "Properties"),
]


def winevent(time: str, number: int = 7) -> list[str]:
    """Return a row of `Get-WinEvent | Export-Csv`."""
    values = {
        "Message": ENGLISH.replace("\n", "\r\n"),
        "Id": "4688",
        "Level": "0",
        "Keywords": "-9214364837600034816",
        "RecordId": str(number),
        "ProviderName": "Microsoft-Windows-Security-Auditing",
        "LogName": "Security",
        "ProcessId": "4",
        "MachineName": "dc1.example",
        "TimeCreated": time,
        "Bookmark": "System.Diagnostics.Eventing.Reader.EventBookmark",
        "Properties": "System.Collections.Generic.List`1[System.Diagnostics.Eventing.Reader.EventProperty]",
    }
    return [values.get(name, "") for name in WINEVENT]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_powershells_export_is_read(separator: str, encoding: str) -> None:
    table = "#TYPE System.Diagnostics.Eventing.Reader.EventLogRecord\r\n"
    table += written([WINEVENT, winevent("15.07.2022 10:00:00"), winevent("15.07.2022 10:00:01", 8)], separator)
    first, second = events_of(read_bytes(table.encode(encoding), "events.csv"))
    assert (first["channel"], first["provider"]) == ("Security", "Microsoft-Windows-Security-Auditing")
    assert (first["event_id"], first["record_id"], first["host"]) == ("4688", 7, "dc1.example")
    assert second["time"].isoformat() == "2022-07-15T10:00:01+00:00"
    assert FIELDS.items() <= first["fields"].items()
    assert first["fields"]["Keywords"] == "0x8020000000000000"
    assert first["fields"]["Execution.ProcessID"] == "4"
    assert "Properties" not in first["fields"]
    assert first["fields"]["Message"].startswith("A new process")


def test_times_have_no_zone_and_are_read_in_the_stated_one() -> None:
    table = written([WINEVENT, winevent("15.07.2022 10:00:00")]).encode()
    assert [issue.code for issue in issues_of(read_bytes(table, "events.csv"))] == ["zone-assumed"]
    stated = read_bytes(table, "events.csv", ReadOptions(zone="Europe/Tirane"))
    assert events_of(stated)[0]["time"].isoformat() == "2022-07-15T08:00:00+00:00"
    assert [issue.code for issue in issues_of(stated)] == ["zone-stated"]


def test_get_eventlogs_export_is_read_and_the_log_told_by_the_provider() -> None:
    header = ["EventID", "MachineName", "Data", "Index", "Category", "EntryType", "Message", "Source", "TimeGenerated"]
    row = [
        "7045",
        "ws1",
        "System.Byte[]",
        "99",
        "(0)",
        "Information",
        "",
        "Service Control Manager",
        "7/15/2022 1:00:00 PM",
    ]
    row[6] = "A service was installed in the system.\r\n\r\nService Name:  evil\r\nService File Name:  C:\\evil.exe\r\n"
    row[6] += "Service Type:  user mode service\r\nService Start Type:  auto start\r\nService Account:  LocalSystem"
    (event,) = events_of(read_bytes(written([header, row]).encode(), "events.csv"))
    assert (event["channel"], event["event_id"], event["record_id"]) == ("System", "7045", 99)
    assert event["time"].isoformat() == "2022-07-15T13:00:00+00:00"
    assert event["fields"]["ServiceName"] == "evil"
    assert event["fields"]["ImagePath"] == "C:\\evil.exe"


VIEWERS = {
    "en": ("Keywords,Date and Time,Source,Event ID,Task Category", "7/15/2022 10:00:00 PM", ENGLISH),
    "de": ("Schlüsselwörter,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie", "15.07.2022 22:00:00", GERMAN),
    "sq": (
        "Fjalëkyçet,Data dhe ora,Burimi,ID e ngjarjes,Kategoria e detyrës",
        "15.7.2022 10:00:00 e pasdites",
        ENGLISH,
    ),
    "unknown": ("Vrsta,Datum i vreme,Izvor,ID dogadjaja,Kategorija", "15.7.2022. 22.00.00", GERMAN),
}


@pytest.mark.parametrize("language", VIEWERS)
@pytest.mark.parametrize("separator", [",", "\t"])
def test_the_event_viewers_export_is_read_in_any_language(language: str, separator: str) -> None:
    header, time, message = VIEWERS[language]
    rows = [[language, time, "Microsoft-Windows-Security-Auditing", "4688", "Process Creation", message]]
    body = written(rows, separator, csv.QUOTE_MINIMAL)
    data = f"{header.replace(',', separator)}\r\n{body}".encode("utf-8-sig")
    (event,) = events_of(read_bytes(data, "events.csv"))
    assert (event["channel"], event["event_id"]) == ("Security", "4688")
    assert event["time"].isoformat() == "2022-07-15T22:00:00+00:00"
    assert FIELDS.items() <= event["fields"].items()


def test_a_table_that_only_looks_alike_is_not_taken() -> None:
    data = b"a,b,c,d,e\r\n1,15.07.2022 10:00:00,x,4688,y\r\n"
    with pytest.raises(AssertionError, match="no reader"):
        read_bytes(data, "table.dat")


def test_evtxecmds_export_is_read() -> None:
    payload = {"EventData": {"Data": [{"@Name": "Image", "#text": "C:\\a.exe"}, {"@Name": "User", "#text": "agim"}]}}
    header = [
        "RecordNumber",
        "EventRecordId",
        "TimeCreated",
        "EventId",
        "Level",
        "Provider",
        "Channel",
        "Computer",
        "Payload",
    ]
    row = ["1", "77", "2022-07-15 08:00:00.1234567", "1", "Info", "Microsoft-Windows-Sysmon"]
    row += ["Microsoft-Windows-Sysmon/Operational", "ws1.example", json.dumps(payload)]
    results = read_bytes(written([header, row], quoting=csv.QUOTE_MINIMAL).encode(), "events.csv")
    (event,) = events_of(results)
    assert (event["channel"], event["event_id"], event["record_id"]) == (
        "Microsoft-Windows-Sysmon/Operational",
        "1",
        77,
    )
    assert event["time"].isoformat() == "2022-07-15T08:00:00.123456+00:00"
    assert event["fields"]["Image"] == "C:\\a.exe"
    assert issues_of(results) == []


def test_dates_that_nothing_settles_are_said() -> None:
    table = written([WINEVENT, winevent("05/07/2022 10:00:00")]).encode()
    results = read_bytes(table, "events.csv")
    assert events_of(results)[0]["time"].isoformat() == "2022-07-05T10:00:00+00:00"
    assert {issue.code for issue in issues_of(results)} == {"zone-assumed", "date-order"}
    settled = written([WINEVENT, winevent("05/07/2022 10:00:00"), winevent("05/17/2022 10:00:00")]).encode()
    assert events_of(read_bytes(settled, "events.csv"))[0]["time"].isoformat() == "2022-05-07T10:00:00+00:00"


def test_ranges_of_any_length_give_the_same_events() -> None:
    table = written([WINEVENT, *(winevent(f"15.07.2022 10:00:{number:02}", number) for number in range(30))]).encode()
    whole = events_of(read_bytes(table, "events.csv"))
    parts = read_bytes(table, "events.csv", ReadOptions(range_bytes=3000))
    assert len(parts) > 3
    assert [(event["offset"], event["fields"]) for event in events_of(parts)] == [
        (event["offset"], event["fields"]) for event in whole
    ]
    assert [table[event["offset"] :][:5] for event in whole] == [b'"A ne'] * 30


def test_a_record_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    names = ["MachineName", "LogName", "TimeCreated", "Message", "ProviderName", "Id"]
    table = written([names, ["pc1", "Security", "15.07.2022 10:00:00", "x"]])
    results = read_bytes(table.encode(), "events.csv")
    assert [(event["channel"], event["event_id"]) for event in events_of(results)] == [("Security", None)]
    assert {issue.code for issue in issues_of(results)} == {"odd-line", "zone-assumed"}


def test_sysmons_messages_have_the_fields_own_names() -> None:
    message = "Process Create:\nRuleName: -\nImage: C:\\a.exe\nCommandLine: a.exe\n  /second line\nUser: EX\\agim"
    found = message_fields("Sysmon", "1", message)
    assert found["CommandLine"] == "a.exe\n  /second line"
    assert found["User"] == "EX\\agim"


@pytest.mark.parametrize("words", ["Creating Scriptblock text (1 of 2):", "Skriptblocktext wird erstellt (1 von 2):"])
def test_a_scripts_text_is_taken_from_its_message(words: str) -> None:
    identifier = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    message = f"{words}\nGet-Process\n\nStop-Process -Id 4\n\nScriptBlock ID: {identifier}\nPath: C:\\a.ps1"
    found = message_fields("Microsoft-Windows-PowerShell", "4104", message)
    assert found["ScriptBlockText"] == "Get-Process\n\nStop-Process -Id 4"
    assert (found["ScriptBlockId"], found["Path"], found["MessageTotal"]) == (identifier, "C:\\a.ps1", "2")


def test_a_message_of_another_layout_gives_no_fields() -> None:
    short = ENGLISH.replace("\tMandatory Label:\t\tMandatory Label\\High Mandatory Level\n", "")
    assert message_fields("Microsoft-Windows-Security-Auditing", "4688", short) == {}
    swapped = ENGLISH.replace("0x1a4", "cmd.exe")
    assert message_fields("Microsoft-Windows-Security-Auditing", "4688", swapped) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15.07.2022 10:00:00", "2022-07-15 10:00:00"),
        ("7/15/2022 1:05:09 PM", "2022-07-15 13:05:09"),
        ("7/15/2022 12:05:09 AM", "2022-07-15 00:05:09"),
        ("15/07/2022 10:00", "2022-07-15 10:00:00"),
        ("2022-07-15 10:00:00.123", "2022-07-15 10:00:00.123"),
        ("15.7.2022 10:05:00 e pasdites", "2022-07-15 22:05:00"),
        ("2022/7/15 下午 1:05:00", "2022-07-15 13:05:00"),
        ("15. 7. 2022 10:00:00", "2022-07-15 10:00:00"),
        ("\u200e15/7/2022\u00a01:05:00 μ.μ.", "2022-07-15 13:05:00"),
        ("15.07.22 10.00.01", "2022-07-15 10:00:01"),
    ],
)
def test_dates_of_many_settings_are_read(text: str, expected: str) -> None:
    assert to_iso(text, date_order([text])[0]) == expected


@given(st.text(max_size=60), st.text(st.sampled_from("0123456789./:- APMapm"), max_size=40))
def test_no_text_breaks_dates_or_messages(text: str, date: str) -> None:
    for value in (text, date):
        order, _ = date_order([value])
        to_iso(value, order)
        for event_id in ("4688", "4104", "1"):
            message_fields("Microsoft-Windows-PowerShell", event_id, value)
            message_fields("Sysmon", event_id, value)
