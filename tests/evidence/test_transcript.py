"""PowerShell transcripts: sessions, commands, output, in any language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.evidence.reader import ReadOptions
from aleat.evidence.readers.transcript import MAX_OUTPUT
from tests.evidence.reading import events_of, issues_of, read_bytes

STARS = "*" * 22
ENGLISH = f"""{STARS}
Windows PowerShell transcript start
Start time: 20220715100000
Username: EXAMPLE\\agim
RunAs User: EXAMPLE\\admin
Configuration Name: 
Machine: WS1 (Microsoft Windows NT 10.0.19041.0)
Host Application: C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe -NoExit
Process ID: 4460
PSVersion: 5.1.19041.1
PSEdition: Desktop
CLRVersion: 4.0.30319.42000
{STARS}
Transcript started, output file is C:\\t.txt
"""  # noqa: W291 - as it is written
GERMAN = f"""{STARS}
Windows PowerShell-Aufzeichnungsstart
Startzeit: 20220715100000
Benutzername: EXAMPLE\\agim
RunAs-Benutzer: EXAMPLE\\admin
Konfigurationsname: 
Computer: WS1 (Microsoft Windows NT 10.0.19041.0)
Hostanwendung: C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe -NoExit
Prozess-ID: 4460
PSVersion: 5.1.19041.1
{STARS}
Die Aufzeichnung wurde gestartet. Die Ausgabedatei ist "C:\\t.txt".
"""  # noqa: W291 - as it is written
OLDER = f"""{STARS}
Windows PowerShell transcript start
Start time: 20220715100000
Username: EXAMPLE\\agim
RunAs User: EXAMPLE\\admin
Machine: WS1 (Microsoft Windows NT 6.3.9600.0)
Host Application: powershell.exe
Process ID: 4460
{STARS}
"""
BODY = f"""PS C:\\Users\\agim> whoami
example\\agim
PS C:\\Users\\agim> Get-Process |
>> Where-Object Name -eq lsass

Handles  Name
-------  ----
   1000  lsass
PS C:\\Users\\agim>
{STARS}
Command start time: 20220715100302
{STARS}
PS>Stop-Service EventLog
{STARS}
Windows PowerShell transcript end
End time: 20220715100510
{STARS}
"""


@pytest.mark.parametrize("header", [ENGLISH, GERMAN, OLDER], ids=["en", "de", "older"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("feed", ["\n", "\r\n"])
def test_commands_are_read_with_their_session(header: str, encoding: str, feed: str) -> None:
    data = (header + BODY).replace("\n", feed).encode(encoding)
    results = read_bytes(data, "PowerShell_transcript.WS1.txt")
    events = events_of(results)
    assert [event["fields"]["Kind"] for event in events] == ["start", "command", "command", "command", "end"]
    _, first, second, third, last = events
    assert (first["fields"]["Command"], first["fields"]["Output"]) == ("whoami", "example\\agim")
    assert first["fields"]["Location"] == "C:\\Users\\agim"
    assert second["fields"]["Command"] == "Get-Process |\nWhere-Object Name -eq lsass"
    assert second["fields"]["Output"].endswith("lsass")
    assert third["fields"]["Command"] == "Stop-Service EventLog"
    for event in events:
        assert event["host"] == "WS1"
        assert (event["fields"]["Username"], event["fields"]["RunAsUser"]) == ("EXAMPLE\\agim", "EXAMPLE\\admin")
        assert event["fields"]["ProcessId"] == "4460"
    assert (first["time"].hour, first["time"].minute, first["fields"]["TimeOf"]) == (10, 0, "session")
    assert (third["time"].minute, third["time"].second) == (3, 2)
    assert "TimeOf" not in third["fields"]
    assert (last["time"].minute, last["time"].second) == (5, 10)
    assert [issue.code for issue in issues_of(results)] == ["zone-assumed"]


def test_the_offset_leads_to_the_prompt() -> None:
    data = (ENGLISH + BODY).encode()
    for event in events_of(read_bytes(data, "t.txt")):
        start = data[event["offset"] :]
        assert start.startswith(b"PS" if event["fields"]["Kind"] == "command" else b"****")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_ranges_of_any_length_give_the_same_events(encoding: str) -> None:
    data = (ENGLISH + "".join(f"PS C:\\> run {number}\noutput ë {number}\n" for number in range(60))).encode(encoding)
    whole = events_of(read_bytes(data, "t.txt"))
    parts = read_bytes(data, "t.txt", ReadOptions(range_bytes=500))
    assert len(parts) > 3
    assert [(event["offset"], event["time"], event["fields"]) for event in events_of(parts)] == [
        (event["offset"], event["time"], event["fields"]) for event in whole
    ]


def test_output_has_a_limit_and_its_length_is_told() -> None:
    data = (ENGLISH + "PS C:\\> dir\n" + "x" * 99 + "\n" + ("y" * 999 + "\n") * 50).encode()
    (_, event) = events_of(read_bytes(data, "t.txt"))
    assert len(event["fields"]["Output"]) <= MAX_OUTPUT
    assert int(event["fields"]["OutputLength"]) > 50_000


def test_text_behind_no_command_is_kept() -> None:
    data = (ENGLISH + "PS C:\\>\nthe job says\nso\n" + BODY).encode()
    start, output, *_ = events_of(read_bytes(data, "t.txt"))
    assert start["fields"]["Output"].startswith("Transcript started")
    assert (output["fields"]["Kind"], output["fields"]["Output"]) == ("output", "the job says\nso")


def test_times_are_read_in_the_stated_zone() -> None:
    results = read_bytes((ENGLISH + BODY).encode(), "t.txt", ReadOptions(zone="Europe/Tirane"))
    assert events_of(results)[0]["time"].isoformat() == "2022-07-15T08:00:00+00:00"


@given(
    st.lists(
        st.sampled_from([STARS, "PS C:\\> a", ">> b", "Start time: 20220715100000", "x: y", "", "PS>", "[h]: PS>c"])
    )
)
def test_no_order_of_lines_breaks_it(lines: list[str]) -> None:
    data = (ENGLISH + "\n".join(lines)).encode()
    whole = events_of(read_bytes(data, "t.txt"))
    parts = events_of(read_bytes(data, "t.txt", ReadOptions(range_bytes=100)))
    commands = [event["fields"]["Command"] for event in whole if event["fields"]["Kind"] == "command"]
    assert [event["fields"]["Command"] for event in parts if event["fields"]["Kind"] == "command"] == commands
