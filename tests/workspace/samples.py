"""A tiny case in every format: an ally's pack, logs, a news text. All of it is invented."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.evidence.evtx_writer import Event, evtx_bytes

START = datetime(2022, 7, 15, 8, 0, tzinfo=UTC)
BAD_ADDRESS = "203.0.113.7"
TOOL = "C:\\Windows\\Temp\\quillwiper.exe"

RULE = """\
title: Wiper Started
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001
status: test
description: The wiper of this test.
author: Test Team
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        CommandLine|contains: quillwiper
    condition: selection
level: high
tags:
    - attack.impact
    - attack.t1485
"""

SECOND_RULE = """\
title: Any Run Of Agim
id: 6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0002
status: test
author: Test Team
logsource:
    product: windows
    service: security
detection:
    selection:
        SubjectUserName: agim
        EventID: 4688
    condition: selection
level: low
"""

NEWS = """\
TIRANA, 13 September 2022. Albania severed diplomatic relations with Iran. Prime Minister Edi Rama accused Iran of the \
cyberattack of 15 July 2022, in which many government services had to be shut down.

Iran's foreign ministry rejected the accusation as "baseless".

The police were attacked a second time in early September, the ministry said.

Israel offered to share its knowledge and experience in cyber defence with Albania.
"""


def moment(number: int) -> str:
    """The time of the event with this number, as Windows writes it."""
    return (START + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")


def process(number: int, command: str = "", host: str = "pc1.example") -> Event:
    """A process that agim started."""
    data = [("SubjectUserName", "agim"), ("NewProcessName", TOOL), ("CommandLine", command or f"run {number}")]
    return Event(
        record_id=number,
        event_id=4688,
        provider="Microsoft-Windows-Security-Auditing",
        computer=host,
        time=moment(number),
        data=data,
    )


def evtx(count: int = 40, *, bad: bool = True, host: str = "pc1.example", per_chunk: int = 20) -> bytes:
    """An EVTX file; where `bad`, its third event starts the wiper."""
    events = [process(n, "quillwiper /all" if bad and n == 3 else "", host) for n in range(1, count + 1)]
    return evtx_bytes(*(events[n : n + per_chunk] for n in range(0, count, per_chunk)))


def json_lines(count: int = 30, *, bad: bool = True, host: str = "pc2.example") -> bytes:
    """Windows events as JSON lines, in the shape of evtx_dump."""
    lines = []
    for n in range(1, count + 1):
        system = {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
            "EventID": 4688,
            "Channel": "Security",
            "Computer": host,
            "EventRecordID": n,
            "TimeCreated": {"#attributes": {"SystemTime": moment(n)}},
        }
        command = "quillwiper /all" if bad and n == 5 else f"run {n}"
        data = {"SubjectUserName": "besa", "CommandLine": command}
        lines.append(json.dumps({"Event": {"System": system, "EventData": data}}))
    return ("\n".join(lines) + "\n").encode()


def access_log(count: int = 60, *, bad: bool = True) -> bytes:
    """A web log in the combined format."""
    lines = []
    for n in range(count):
        address = BAD_ADDRESS if bad and n == 10 else f"198.51.100.{n % 50 + 1}"
        time = (START + timedelta(minutes=n)).strftime("%d/%b/%Y:%H:%M:%S +0000")
        lines.append(f'{address} - - [{time}] "GET /faqe/{n} HTTP/1.1" 200 512 "-" "Mozilla/5.0"')
    return ("\n".join(lines) + "\n").encode()


def bundle(ids: Sequence[int] = (1,)) -> bytes:
    """A STIX bundle of indicators for the bad address."""
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--11111111-1111-4111-8111-{number:012d}",
            "created": "2022-08-01T00:00:00.000Z",
            "modified": "2022-08-01T00:00:00.000Z",
            "name": f"Server {number}",
            "indicator_types": ["malicious-activity"],
            "pattern": f"[ipv4-addr:value = '{BAD_ADDRESS}']",
            "pattern_type": "stix",
            "valid_from": "2022-01-01T00:00:00Z",
        }
        for number in ids
    ]
    outer = {"type": "bundle", "id": "bundle--11111111-1111-4111-8111-000000000099", "objects": objects}
    return json.dumps(outer).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2022, 7, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def write_logs(folder: Path, *, bad: bool = True) -> Path:
    """Write one log of each kind, and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pc1.evtx").write_bytes(evtx(bad=bad))
    (folder / "pc2.jsonl").write_bytes(json_lines(bad=bad))
    (folder / "portal_access.log").write_bytes(access_log(bad=bad))
    return folder


def write_pack(folder: Path) -> Path:
    """Write one file of each kind of knowledge, and return their folder."""
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "rules" / "wiper.yml").write_text(RULE)
    (folder / "bundle.json").write_bytes(bundle())
    (folder / "addresses.csv").write_text(f"value,type,comment\n{BAD_ADDRESS},ipv4,its server\n192.0.2.9,ipv4,other\n")
    return folder
