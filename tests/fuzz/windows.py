"""Targets of one reader each: "evtx", "windows-xml", "windows-csv", "transcript".

An input is a file's bytes. It is read in one range and in small ones; offsets lie inside of the file, records count
without gaps, what is sound gives the same events both ways, and an EVTX file's account adds up.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aleat.evidence.batch import FIXED_SCHEMA
from aleat.evidence.opener import NOTE_CODES
from aleat.evidence.reader import RangeResult, Reader, ReadOptions, reader_named
from aleat.evidence.windows_xml import XmlEventError, parse_any, parse_plain
from tests.evidence.evtx_writer import Event, chunk_bytes, evtx_bytes
from tests.evidence.mutate import damage
from tests.fuzz.mutation import mutate_bytes, mutate_text
from tests.fuzz.world import FIELDS, SYSMON, VALUES

__all__ = ["WINDOWS_TARGETS", "ReaderTarget"]

Make = Callable[[random.Random], bytes]
_CHUNK = 65536


class ReaderTarget:
    """See the module; `seeds` are real files to damage, beside what is made."""

    limit = 3.0

    def __init__(self, name: str, seeds: Sequence[bytes] = ()) -> None:
        self.name = name
        self._reader: Reader = reader_named(_READERS[name])
        self._make: Make = _MAKERS[name]
        self._seeds = seeds

    def make(self, rng: random.Random) -> bytes:
        """Return a file, more than half of the time damaged."""
        data = rng.choice(self._seeds) if self._seeds and rng.random() < 0.4 else self._make(rng)
        if rng.random() < 0.4:
            return data
        if self.name == "evtx":
            return _damaged_evtx(data, rng)
        if rng.random() < 0.7:
            text = data.decode("utf-8", "surrogateescape")
            return mutate_text(text, rng, _TOKENS[self.name]).encode("utf-8", "replace")
        return mutate_bytes(data, rng)

    def check(self, data: bytes) -> None:
        """Read in one range and in small ones."""
        whole, sound = self._read(data, ReadOptions(slack=True))
        parts, also = self._read(data, ReadOptions(slack=True, range_bytes=_CHUNK if self.name == "evtx" else 500))
        # where text is damaged a reader may take up the thread at a range's beginning
        assert whole == parts or not sound or not also, "other events with other ranges"
        if self.name == "windows-xml":
            _check_xml(data)

    def _read(self, data: bytes, options: ReadOptions) -> tuple[list[Any], bool]:
        """Return comparable rows, and whether all was read; checks what must hold of them."""
        rows: list[Any] = []
        sound, place = True, 0
        account = 0
        for span, piece in self._reader.cut(io.BytesIO(data), data[: 1024 * 1024], options):
            assert (span.start, span.end - span.start) == (place, len(piece)), "ranges without gaps"
            place = span.end
            result = self._reader.read(piece, span, "x", options)
            rows += _rows(result, span.start, span.end)
            account += sum(result.account.values())
            for issue in result.issues:
                assert issue.reason, "an issue says why"
                sound = sound and issue.code in NOTE_CODES
        assert place == len(data), "ranges to the end"
        assert self.name != "evtx" or account == len(data), "every byte is accounted for"
        return rows, sound


def _rows(result: RangeResult, start: int, end: int) -> list[Any]:
    found = []
    for form, channel, table in result.tables:
        assert table.column_names[: len(FIXED_SCHEMA)] == FIXED_SCHEMA.names, "the fixed columns"
        table.validate(full=True)
        for row in table.to_pylist():
            assert start <= row["offset"] < end, "an offset inside of its range"
            cells = {name: value for name, value in row.items() if value is not None and name != "record"}
            found.append((row["record"], form, channel, cells))
    found.sort(key=lambda row: row[0])
    assert [row[0] for row in found] == list(range(len(found))), "records count from 0 without gaps"
    return [row[1:] for row in found]


def _check_xml(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    start, end = text.find("<Event"), text.rfind("</Event>")
    if start < 0 or end < start:
        return
    piece = text[start : end + 8]
    plain = parse_plain(piece)
    if plain is not None:
        try:
            assert plain == parse_any(piece), "the fast way is the general way"
        except XmlEventError as error:
            raise AssertionError("the fast way takes what the general way refuses") from error


# ------------------------------------------------------------------------------------------------- making


def _value(rng: random.Random) -> str:
    return rng.choice([text for text in VALUES if "\x00" not in text])


def _evtx(rng: random.Random) -> bytes:
    def event(number: int) -> Event:
        return Event(
            record_id=rng.choice((number, number, number, 0, 2**40)),
            event_id=rng.choice((1, 4624, 4688)),
            channel=rng.choice((SYSMON, "Security", "")),
            computer=rng.choice(("pc1", "")),
            time=rng.choice(("2022-07-15T08:00:00.1234567Z", "2022")),
            data=[(name, _value(rng)) for name in rng.sample(FIELDS[:12], 3)],
            unnamed=[_value(rng) or "x" for _ in range(rng.randrange(3))],
            in_template=rng.random() < 0.5,
        )

    chunks = [[event(number) for number in range(1, rng.randrange(1, 12))] for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.6:
        return evtx_bytes(*chunks)
    return b"".join(rng.randbytes(rng.choice((0, 3, 512, 4096, 9000))) + chunk_bytes(events) for events in chunks)


def _damaged_evtx(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0 and data[:7] == b"ElfFile":
        try:
            return damage(data, rng.randrange(10**6))[0]
        except IndexError:
            return data
    if kind == 1:  # bytes lost, or put in
        at = rng.randrange(len(data))
        return data[:at] + rng.randbytes(rng.choice((0, 1, 700))) + data[at + rng.choice((0, 1, 900, _CHUNK)) :]
    if kind == 2:  # records' heads where none are
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 9)):
            at = rng.randrange(len(copy))
            copy[at : at + 8] = b"**\0\0" + rng.choice((64, 1024, 70_000)).to_bytes(4, "little")
        return bytes(copy[: len(data)])
    return mutate_bytes(data, rng)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _xml(rng: random.Random) -> bytes:
    events = []
    for number in range(rng.randrange(1, 8)):
        inner = "".join(
            f"<Data Name='{_escaped(name)}'>{_escaped(_value(rng))}</Data>"
            for name in (rng.choice([*FIELDS[:8], "A", "A"]) for _ in range(4))
            if "'" not in name
        )
        payload = rng.choice(
            (
                f"<EventData>{inner}</EventData>",
                f"<EventData><Data>{_escaped(_value(rng))}</Data><Binary/></EventData>",
                "<UserData><Cleared xmlns='x'><A>1</A><A>2</A></Cleared></UserData>",
                "<EventData/>",
            )
        )
        rendering = rng.choice(("", "", "<RenderingInfo Culture='x'><Message>m</Message></RenderingInfo>"))
        events.append(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
            "<Provider Name='P' Guid='{1}'/>"
            f"<EventID Qualifiers='0'>{rng.choice((1, 4624, 'x', ''))}</EventID><Level>4</Level>"
            f"<TimeCreated SystemTime='{rng.choice(('2022-07-15T08:00:00.1Z', '2022-07-15T08:00:00', ''))}'/>"
            f"<EventRecordID>{number}</EventRecordID><Execution ProcessID='4' ThreadID='08'/>"
            f"<Channel>{rng.choice(('Security', SYSMON, ''))}</Channel><Computer>pc1</Computer><Security/></System>"
            f"{payload}{rendering}</Event>"
        )
    text = rng.choice(("", "\n", "\r\n", "<!-- x -->")).join(events)
    if rng.random() < 0.5:
        text = f'<?xml version="1.0" encoding="{rng.choice(("utf-8", "windows-1250", "x"))}"?><Events>{text}</Events>'
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16")), "replace")


def _csv(rng: random.Random) -> bytes:
    out = io.StringIO()
    separator = rng.choice(",;\t")
    writer = csv.writer(out, delimiter=separator, quoting=rng.choice((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)))
    message = "Done.\n\nSubject:\n\tSecurity ID:\t\tS-1\n\tAccount Name:\t\ta\n\tDomain:\t\tb\n\tLogon ID:\t\t0x1\n"
    times = ("15.07.2022 10:00:00", "7/15/2022 1:00:00 PM", "05/07/2022 10:00", "x", "", "2022-07-15 10:00:00.1")
    if rng.random() < 0.5:
        header = ["Message", "Id", "RecordId", "ProviderName", "LogName", "MachineName", "TimeCreated", "Keywords"]
        writer.writerow(header)
        for number in range(rng.randrange(1, 9)):
            names = ("Security", "", SYSMON)
            row = [rng.choice((message, _value(rng))), "1102", number, "P", rng.choice(names), "pc1", rng.choice(times)]
            writer.writerow([*row, rng.choice(("-1", "0", "x", "9" * 30))][: rng.randrange(6, 9)])
    else:
        out.write(separator.join(("Level", "Date and Time", "Source", "Event ID", "Task Category")) + "\r\n")
        for _ in range(rng.randrange(1, 9)):
            row = ["Information", rng.choice(times), "Eventlog", rng.choice(("1102", "x")), "None", message]
            writer.writerow(row[: rng.randrange(4, 7)])
    return out.getvalue().encode(rng.choice(("utf-8", "utf-8-sig", "cp1252", "utf-16")), "replace")


def _transcript(rng: random.Random) -> bytes:
    stars = "*" * 22
    header = [
        stars,
        "Windows PowerShell transcript start",
        "Start time: 20220715100000",
        "Username: a",
        "RunAs User: b",
    ]
    header += ["Machine: WS1 (Microsoft Windows NT 10.0.19041.0)", "Host Application: x", "Process ID: 1", stars]
    lines = [*header]
    for _ in range(rng.randrange(20)):
        lines += rng.choice(
            (
                [f"PS C:\\> {_value(rng)}"],
                [_value(rng)],
                [">> more"],
                [stars, "Command start time: 20220715100302", stars],
                ["PS>", "[dc1]: PS C:\\> x"],
                header,
                [stars, "Windows PowerShell transcript end", "End time: 99999999999999", stars],
            )
        )
    encoding = rng.choice(("utf-8", "utf-8-sig", "cp1252", "utf-16"))
    return rng.choice(("\n", "\r\n")).join(lines).encode(encoding, "replace")


_READERS = {
    "evtx": "evtx",
    "windows-xml": "windows-xml",
    "windows-csv": "windows-csv",
    "transcript": "powershell-transcript",
}
_MAKERS: dict[str, Make] = {"evtx": _evtx, "windows-xml": _xml, "windows-csv": _csv, "transcript": _transcript}
_TOKENS: dict[str, Sequence[str]] = {
    "windows-xml": (
        "<Event>",
        "</Event>",
        "<System>",
        "</System>",
        "<EventData>",
        "&x;",
        "&#0;",
        "<!DOCTYPE a [",
        "]]>",
        *("<![CDATA[", "<!--", "-->", "'", '"', "<Data Name='A'>", "</Data>", "\x01", " xmlns:e='x'", "<e:Event>"),
    ),
    "windows-csv": ('"', '""', ",", ";", "\t", "\r\n", "#TYPE x\r\n", "sep=;\r\n", "12:00:00 AM", "\t0x1\n"),
    "transcript": ("*" * 22, "\n", "PS>", ">> ", ": ", "20220715100000", "(Microsoft Windows NT", "PSVersion: 5"),
}
WINDOWS_TARGETS = tuple(_READERS)


def seeds_of(data: Path, name: str) -> list[bytes]:
    """Return real files for a target: small ones of EVTX."""
    if name != "evtx":
        return []
    files = sorted((data / "evtx").rglob("*.evtx"))[::9]
    return [path.read_bytes() for path in files if path.stat().st_size < 150_000]
