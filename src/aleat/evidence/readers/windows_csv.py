"""Windows events as tables (CSV or tab-separated), as PowerShell, the Event Viewer and EvtxECmd write them.

====================================  =======================================================================
`Get-WinEvent | Export-Csv`           .NET's names (`Id`, `LogName`, `TimeCreated` …), in every language
`Get-EventLog | Export-Csv`           `EventID`, `TimeGenerated`, `Source`, `ReplacementStrings` …; no log's name
Event Viewer, "Save as" CSV or text   five named columns in the viewer's language and one without a name
EvtxECmd                              `EventId`, `Channel`, `Payload` (the event's data as JSON); times in UTC
====================================  =======================================================================

Dates are as the exporting user's settings write them (see `local_dates`); a column whose order of day and month nothing
settles is read with the day first, and said. They carry no zone: what is stated counts, else UTC is assumed, and said.
The message is kept; the fields in it are taken where that is safe (see `windows_messages`). Where the log isn't named,
the provider tells it (`windows_csv.toml`). `offset` is the byte at which the record begins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, BinaryIO

import orjson

from aleat.errors import Issue, Place
from aleat.evidence.clock import time_issues
from aleat.evidence.head import Head
from aleat.evidence.local_dates import date_order, to_iso
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.delimited import header_of, outside_quotes, split_records
from aleat.evidence.text import LineNotes, bom_length, cut_lines, detect_encoding, numbered_lines
from aleat.evidence.windows_messages import message_fields
from aleat.evidence.windows_rows import FlatEvent, WindowsTables, flatten_payload

__all__ = ["WindowsCsvReader"]

_VIEWER_COLUMNS = 5
_LAYOUTS: Mapping[str, frozenset[str]] = {
    "evtxecmd": frozenset({"eventid", "channel", "payload", "timecreated"}),
    "winevent": frozenset({"id", "timecreated"}),
    "eventlog": frozenset({"eventid", "timegenerated", "source"}),
}
_BESIDE = {"winevent": frozenset({"providername", "logname", "machinename", "message"})}
_SAMPLE = 200
_TYPE_NAME = "System."
_MAX_INTEGER = 2**63


class WindowsCsvReader:
    """Reads Windows events from tables."""

    name = "windows-csv"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes to a header of one of the layouts."""
        return not head.is_json and _layout(head.text) is not None

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends outside of quotes; each range knows the header and the order of dates."""
        encoding = detect_encoding(head)
        text = head[bom_length(head) :].decode(encoding, "replace")
        layout, separator, names = _layout(text) or ("winevent", ",", [])
        place = _time_column(layout, names)
        lines = list(enumerate(text.split("\n", 5000)[:5000]))
        records = split_records([(0, number, line) for number, line in lines], separator)
        texts = [row[place] for _, _, _, row in records if len(row) > place][:_SAMPLE]
        order, settled = date_order(texts)
        context = {
            "encoding": encoding,
            "separator": separator,
            "header": names,
            "layout": layout,
            "order": order,
            "settled": settled,
        }
        return outside_quotes(cut_lines(stream, encoding, options.range_bytes, context), encoding)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the records of one range."""
        rows = WindowsTables(options.host, options)
        result = self.read_rows(data, span, path, options, rows)
        result.tables = list(rows.tables())
        result.issues.extend(time_issues(path, span, options, {"windows": rows.clock.found}))
        return result

    def read_rows(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, rows: WindowsTables
    ) -> RangeResult:
        """Read the records of one range into `rows`."""
        result = RangeResult()
        skip = bom_length(data) if span.start == 0 else 0
        lines = list(numbered_lines(data, span, skip, options.encoding, result.encodings))
        work = _Work(span, LineNotes(path, span, result), rows)
        for offset, number, text, values in split_records(lines, str(span.context["separator"])):
            if any(values):
                work.add(offset, number, text, values)
        work.notes.finish()
        if work.guessed:
            reason = f"{work.guessed} dates from here on can have the day or the month first; the day was taken."
            place = Place(path, offset=span.start)
            advice = "If that is wrong, export it again with dates as ISO 8601 (yyyy-MM-dd)."
            result.issues.append(Issue("evidence", "date-order", place, reason, advice, records=0))
        return result


def _layout(text: str) -> tuple[str, str, list[str]] | None:
    """Return (layout, separator, names) of a table of Windows events, or None."""
    found = header_of(text)
    if found is None:
        return None
    separator, names = found
    folded = {name.casefold() for name in names}
    for layout, wanted in _LAYOUTS.items():
        if wanted <= folded and (layout not in _BESIDE or folded & _BESIDE[layout]):
            return layout, separator, names
    if len(names) in (_VIEWER_COLUMNS, _VIEWER_COLUMNS + 1) and (_is_viewer(names) or _looks_like_viewer(text, found)):
        return "viewer", separator, names
    return None


def _is_viewer(names: Sequence[str]) -> bool:
    folded = [name.casefold() for name in names[:_VIEWER_COLUMNS]]
    return any(all(name in words for name, words in zip(folded, columns, strict=True)) for columns in _tables().viewer)


def _looks_like_viewer(text: str, header: tuple[str, list[str]]) -> bool:
    """Say whether the first record has a date in its second column, a number in its fourth, and a sixth."""
    separator, names = header
    lines = [(0, number, line) for number, line in enumerate(text.split("\n", 2000)[:2000])]
    records = (values for _, _, _, values in split_records(lines, separator) if any(values))
    for values in records:
        if [value.strip().strip('"\ufeff') for value in values] == names or values[0].startswith(("#TYPE", "sep=")):
            continue
        return (
            len(names) == _VIEWER_COLUMNS
            and len(values) == _VIEWER_COLUMNS + 1
            and values[3].strip().isdecimal()
            and any(to_iso(values[1], order) for order in ("dmy", "mdy"))
        )
    return False


def _time_column(layout: str, names: Sequence[str]) -> int:
    if layout == "viewer":
        return 1
    folded = [name.casefold() for name in names]
    return folded.index("timegenerated" if layout == "eventlog" else "timecreated") if names else 0


class _Tables:
    """`windows_csv.toml`, ready for look-ups."""

    def __init__(self) -> None:
        text = resources.files("aleat.evidence.readers").joinpath("windows_csv.toml").read_text("utf-8")
        data: dict[str, Any] = tomllib.loads(text)
        self.viewer = [[name.casefold().split("|") for name in columns] for columns in data["viewer"].values()]
        self.names: Mapping[str, Mapping[str, str]] = {name: data[name] for name in _LAYOUTS}
        self.channels: Mapping[str, str] = data["channels"]
        self.providers: Mapping[str, str] = data["providers"]
        self.eventlog: Mapping[str, str] = data["eventlog_channels"]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    return _Tables()


class _Work:
    """The state of reading one range."""

    def __init__(self, span: ByteRange, notes: LineNotes, rows: WindowsTables) -> None:
        self.notes = notes
        self.guessed = 0
        self._rows = rows
        self._layout = str(span.context["layout"])
        self._header = [str(name) for name in span.context["header"]]
        self._folded = [name.casefold() for name in self._header]
        self._order = str(span.context["order"])
        self._settled = bool(span.context["settled"])
        self._is_header = span.start == 0

    def add(self, offset: int, number: int, text: str, values: list[str]) -> None:
        """Add a record; the header, and what stands before it, is none."""
        if self._is_header:
            self._is_header = [value.strip().strip('"\ufeff') for value in values] != self._header
            return
        width = len(self._header) + (self._layout == "viewer" and len(self._header) == _VIEWER_COLUMNS)
        length = len(text.encode("utf-8", "replace"))
        if len(values) < min(width, 4):
            self.notes.broken(offset, number, length, "The line is no record of the table.")
            return
        if len(values) != width:
            self.notes.odd(offset, number, length, f"The record has {len(values)} values where {width} are named.")
        event = self._viewer(values) if self._layout == "viewer" else self._named(values)
        if event.time is None:
            self.notes.odd(offset, number, length, "Its time can't be read.")
        self._rows.add_flat(offset, event)

    def _time(self, text: str) -> str | None:
        """Return a time as ISO 8601; EvtxECmd's are in UTC."""
        found = to_iso(text, self._order)
        if found is None:
            return text if text[:4].isdecimal() and "T" in text[:11] else None
        self.guessed += not self._settled
        return f"{found}Z" if self._layout == "evtxecmd" else found

    def _viewer(self, values: list[str]) -> FlatEvent:
        level, time, source, event_id, task, *rest = [*values, "", ""]
        message = ",".join(rest[:-1]).strip(",") if len(values) > _VIEWER_COLUMNS + 1 else rest[0]
        provider, event_id = self._provider(source), event_id.strip()
        # an export of the Security log has the keywords ("Audit Success") where others have the level
        channel = _channel(source, event_id)
        name = "KeywordsDisplayNames" if channel == "Security" else "LevelDisplayName"
        fields = {**message_fields(provider, event_id, message), name: level, "TaskDisplayName": task}
        return self._flat(channel, provider, event_id, None, time, None, {**fields, "Message": message})

    def _named(self, values: list[str]) -> FlatEvent:
        record = dict(zip(self._folded, values, strict=False))
        own = dict(zip(self._folded, self._header, strict=True))
        take = record.pop
        if self._layout == "winevent":
            event_id, number, provider = take("id", ""), take("recordid", ""), take("providername", "")
            channel, time = take("logname", ""), take("timecreated", "")
        elif self._layout == "eventlog":
            event_id, number, provider = take("eventid", ""), take("index", ""), take("source", "")
            channel, time = take("log", ""), take("timegenerated", "")
        else:
            event_id, number, provider = take("eventid", ""), take("eventrecordid", ""), take("provider", "")
            channel, time = take("channel", ""), take("timecreated", "")
        host = take("machinename", "") or take("computer", "")
        payload = take("payload", "") if self._layout == "evtxecmd" else ""
        message = record.get("message", "")
        provider = self._provider(provider)
        fields: dict[str, Any] = dict(message_fields(provider, event_id, message))
        fields.update(_payload_fields(payload))
        renamed = _tables().names[self._layout]
        for name, value in record.items():
            if value and not value.startswith(_TYPE_NAME):  # .NET's name of a collection is no value
                fields.setdefault(renamed.get(name, own[name]), _hexadecimal(value) if name == "keywords" else value)
        return self._flat(channel or _channel(provider, event_id), provider, event_id, number, time, host, fields)

    def _flat(
        self,
        channel: str,
        provider: str,
        event_id: str,
        number: str | None,
        time: str,
        host: str | None,
        fields: dict[str, Any],
    ) -> FlatEvent:
        if host:
            fields["Computer"] = host
        record = int(number) if number and number.isascii() and number.isdecimal() and len(number) < 19 else None
        return FlatEvent(
            channel=channel,
            provider=provider or None,
            event_id=event_id or None,
            record_id=record,
            time=self._time(time),
            host=host or None,
            fields={name: value for name, value in fields.items() if value != ""},
        )

    @staticmethod
    def _provider(name: str) -> str:
        return _tables().providers.get(name.casefold(), name)


def _channel(provider: str, event_id: str) -> str:
    """Return the log of a provider's event, or the empty text where it can be one of several."""
    name = provider.casefold()
    if name in ("eventlog", "microsoft-windows-eventlog"):
        return _tables().eventlog.get(event_id, "")
    return _tables().channels.get(name, "")


def _payload_fields(text: str) -> dict[str, Any]:
    """Return the fields of EvtxECmd's payload."""
    if not text:
        return {}
    try:
        value = orjson.loads(text)
    except ValueError:
        return {"Payload": text}
    return flatten_payload(value) if isinstance(value, dict) else {"Payload": text}


def _hexadecimal(text: str) -> str:
    """Return keywords, which .NET writes as a signed number, as an event's XML has them."""
    try:
        number = int(text)
    except ValueError:
        return text
    return f"0x{number % (2 * _MAX_INTEGER):x}" if abs(number) < 2 * _MAX_INTEGER and len(text) < 24 else text
