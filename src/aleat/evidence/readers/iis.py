"""IIS logs in the W3C extended format, with whatever fields their ``#Fields`` lines name, as often as they change.

https://www.w3.org/TR/WD-logfile (the format) and IIS's own field names (``cs-uri-stem``, ``cs(User-Agent)``):
fields are stored under these. Times are UTC; where there is no ``date`` field it is taken from ``#Date``, and
a clock that falls back by more than half a day has passed midnight. ``date`` and ``time`` are the fixed
columns `time` and `time_text`. The host is ``s-computername``, else the stated host, else ``s-ip``. A line
with another number of fields than ``#Fields`` names is an issue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, BinaryIO

from aleat.evidence.columns import TableBuilder
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import BLOCK_LINES, LineNotes, bom_length, cut_lines, detect_encoding, numbered_lines
from aleat.evidence.times import iso_seconds_column

__all__ = ["IisReader"]

_FIELDS, _DATE = "#Fields:", "#Date:"
_KNOWN = frozenset({"c-ip", "cs-method", "cs-uri-stem", "sc-status", "cs(User-Agent)", "s-ip"})
_FOREIGN = frozenset({"x-edge-location"})  # CloudFront writes W3C too, with tabs
_NUMERIC = frozenset(
    {"sc-status", "sc-substatus", "sc-win32-status", "sc-bytes", "cs-bytes", "time-taken", "s-port", "c-port"}
)
_HALF_DAY = 12 * 3600


class IisReader:
    """Reads IIS W3C logs."""

    name = "iis"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes where a ``#Fields`` line near the start names fields of a web server."""
        for line in head.text.split("\n", 200)[:200]:
            if line.startswith(_FIELDS):
                names = set(line[len(_FIELDS) :].split())
                return len(names & _KNOWN) >= 2 and not names & _FOREIGN
        return False

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends; each range knows the fields and the date in force where it starts."""
        encoding = detect_encoding(head)
        fields, clock = "", _Clock("")
        for span, data in cut_lines(stream, encoding, options.range_bytes, {}):
            force = {"encoding": encoding, "fields": fields, "date": clock.day, "clock": clock.last}
            yield replace(span, context=force), data
            fields = _last_directive(data, _FIELDS, encoding) or fields
            clock = _clock_after(data, encoding, fields, clock)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the lines of one range."""
        result = RangeResult()
        skip = bom_length(data) if span.start == 0 else 0
        work = _Work(span, path, options, result)
        work.take_all(numbered_lines(data, span, skip, options.encoding, result.encodings))
        result.tables = work.tables()
        return result


def _last_directive(data: bytes, name: str, encoding: str) -> str:
    """Return what follows the last `name` that starts a line, or nothing."""
    mark = name.encode(encoding)
    feed = "\n".encode(encoding)
    at = data.rfind(feed + mark)
    start = at + len(feed) if at >= 0 else bom_length(data) if data[bom_length(data) :].startswith(mark) else -1
    if start < 0:
        return ""
    end = data.find(feed, start)
    return data[start + len(mark) : end if end >= 0 else len(data)].decode(encoding, "replace").strip()


def _clock_after(data: bytes, encoding: str, fields: str, clock: _Clock) -> _Clock:
    """Return the clock behind `data`: for logs without a date field it has passed every midnight in it."""
    names = fields.split()
    day = _last_directive(data, _DATE, encoding)
    after = _Clock(day) if day else _Clock(clock.day, clock.last)
    if "date" in names or "time" not in names:
        return after
    column = names.index("time")
    at = data.rfind(("\n" + _DATE).encode(encoding)) if day else 0
    for line in data[max(at, 0) :].decode(encoding, "replace").split("\n"):
        parts = line.split(" ", column + 1)
        if len(parts) > column and not line.startswith("#"):
            after.date_of(parts[column])
    return after


class _Clock:
    """Gives the date of times without one."""

    def __init__(self, day: str, last: int = -1) -> None:
        self.day = day[:10]
        self.last = last

    def date_of(self, time: str) -> str:
        """Return the date of `time` ("hh:mm:ss"), the next one after each midnight passed."""
        hour, minute, second = time[0:2], time[3:5], time[6:8]
        if hour.isdecimal() and minute.isdecimal() and second.isdecimal():
            now = int(hour) * 3600 + int(minute) * 60 + int(second)
            if now < self.last - _HALF_DAY:
                self.day = _next_day(self.day)
            self.last = now
        return self.day


def _next_day(day: str) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return day


class _Work:
    """The state of reading one range: the directives in force, and the rows read under them."""

    def __init__(self, span: ByteRange, path: str, options: ReadOptions, result: RangeResult) -> None:
        self.options = options
        self.notes = LineNotes(path, span, result)
        self.names = tuple(str(span.context["fields"]).split())
        self.clock = _Clock(str(span.context["date"]), int(span.context["clock"]))
        self.builder = TableBuilder()
        self.records = 0
        self._rows: list[list[str]] = []
        self._offsets: list[int] = []
        self._days: list[str] = []

    def take_all(self, lines: Iterator[tuple[int, int, str]]) -> None:
        """Take every line: those of the usual form here, all others one by one."""
        rows, offsets, width = self._rows, self._offsets, self._usual_width()
        for offset, number, text in lines:
            parts = text.split(" ")
            if len(parts) == width and text[0] != "#" and text[-1] != "\r":
                rows.append(parts)
                offsets.append(offset)
            else:
                self._take(offset, number, text)
                rows, offsets, width = self._rows, self._offsets, self._usual_width()
            if len(rows) >= BLOCK_LINES:
                self._flush()
                rows, offsets = self._rows, self._offsets

    def _usual_width(self) -> int:
        """Return how many fields a line has, or 0 where each line needs a look of its own (there is no date field)."""
        return len(self.names) if len(self.names) > 1 and ("date" in self.names or "time" not in self.names) else 0

    def _take(self, offset: int, number: int, text: str) -> None:
        if not text or text == "\r":
            return
        if text[0] == "#":
            self._directive(text)
            return
        parts = (text[:-1] if text[-1] == "\r" else text).split(" ")
        if len(parts) != len(self.names):
            parts = text.split()
            if len(parts) != len(self.names) or not self.names:
                self._refuse(offset, number, text)
                return
        self._rows.append(parts)
        self._offsets.append(offset)
        if "date" not in self.names and "time" in self.names:
            self._days.append(self.clock.date_of(parts[self.names.index("time")]))

    def _refuse(self, offset: int, number: int, text: str) -> None:
        if not self.names:
            reason = "There is no #Fields line before it."
        elif not text.strip("\0\r "):
            reason = "The line holds zeros only, as after a crash."
        else:
            reason = f"The line has {len(text.split())} fields where {len(self.names)} are named."
        self.notes.broken(offset, number, len(text.encode("utf-8", "replace")), reason)

    def _directive(self, text: str) -> None:
        if text.startswith(_FIELDS):
            names = tuple(text[len(_FIELDS) :].split())
            if names != self.names:
                self._flush()
                self.names = names
        elif text.startswith(_DATE):
            self.clock = _Clock(text[len(_DATE) :].strip())

    def _flush(self) -> None:
        if not self._rows:
            return
        count = len(self._rows)
        columns: dict[str, Sequence[str]] = {}
        for name, values in zip(self.names, zip(*self._rows, strict=True), strict=True):
            columns[name if name not in columns else f"{name}~"] = values
        days = columns.pop("date", None)
        clocks = columns.pop("time", None)
        texts, times = _times(days, self._days, clocks, count)
        start = self.builder.extend(
            records=range(self.records, self.records + count),
            offsets=self._offsets,
            times=times,
            time_texts=texts,
            hosts=self._hosts(columns, count),
            providers=[None] * count,
            event_ids=[None] * count,
        )
        for name, texts_of in columns.items():
            self.builder.add_texts(start, name, texts_of, numeric=name in _NUMERIC)
        self.records += count
        self._rows, self._offsets, self._days = [], [], []

    def _hosts(self, columns: Mapping[str, Sequence[str]], count: int) -> list[str | None]:
        names = columns.get("s-computername") or ["-"] * count
        addresses = columns.get("s-ip") or ["-"] * count
        stated = self.options.host
        return [
            name if name != "-" else stated or (address if address != "-" else None)
            for name, address in zip(names, addresses, strict=True)
        ]

    def tables(self) -> list[tuple[str, str, Any]]:
        """Return the one table, if there is any row."""
        self._flush()
        self.notes.finish()
        return [("iis", "", self.builder.finish())] if self.records else []


def _times(
    days: Sequence[str] | None, taken: Sequence[str], clocks: Sequence[str] | None, count: int
) -> tuple[list[str | None], Any]:
    """Return the texts as read and the times; no time without both a date and a time of day."""
    if clocks is None:
        return (list(days) if days else [None] * count), iso_seconds_column([""] * count)
    whole = [f"{day}T{clock}" for day, clock in zip(days or taken, clocks, strict=True)]
    texts = [f"{day} {clock}" for day, clock in zip(days, clocks, strict=True)] if days else list(clocks)
    return list(texts), iso_seconds_column(whole)
