"""W3C extended log files (https://www.w3.org/TR/WD-logfile.html): ``layout = "w3c"``, beside what all say.

===============  ================================================================================================
``fields``       names of which at least two stand in the ``#Fields`` of the format's logs
``lacks``        names that none of its logs has
``separator``    what parts the values: ``" "`` (default), tab, or ``","`` with quotes as in CSV
===============  ================================================================================================

``#Fields`` may change anywhere in a file; ``#Date`` gives the day of logs without a date field, which goes on at each
midnight that their times pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import polars as pl

from aleat.evidence.described import Reading
from aleat.evidence.head import Head
from aleat.evidence.pairs import split_delimited
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import LineNotes, bom_length, cut_lines, detect_encoding
from aleat.evidence.text_columns import ColumnTables, Lines, Rows

__all__ = ["W3cReader"]

_FIELDS, _DATE = "#Fields:", "#Date:"
_HALF_DAY = 12 * 3600


class W3cReader:
    """Reads W3C logs of one format."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = reading.version
        self._known = frozenset(reading.own["fields"])
        self._lacks = frozenset(reading.own.get("lacks", ()))
        self._separator: str = reading.own.get("separator", " ")

    def detect(self, head: Head) -> bool:
        """Say yes where a ``#Fields`` line near the start names fields of the format."""
        for line in head.text.split("\n", 200)[:200]:
            if line.startswith(_FIELDS):
                names = set(self._names(line[len(_FIELDS) :]))
                return len(names & self._known) >= 2 and not names & self._lacks
        return False

    def _names(self, text: str) -> tuple[str, ...]:
        parts = text.split() if self._separator == " " else text.split(self._separator)
        return tuple(name.strip() for name in parts)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends; each range knows the fields and the date in force where it starts."""
        encoding = detect_encoding(head)
        fields, clock = "", _Clock("")
        for span, data in cut_lines(stream, encoding, options.range_bytes, {}):
            force = {"encoding": encoding, "fields": fields, "date": clock.day, "clock": clock.last}
            yield replace(span, context=force), data
            fields = _last_directive(data, _FIELDS, encoding) or fields
            clock = self._clock_after(data, encoding, fields, clock)

    def _clock_after(self, data: bytes, encoding: str, fields: str, clock: _Clock) -> _Clock:
        """Return the clock behind `data`: for logs without a date field it has passed every midnight in it."""
        names = self._names(fields)
        day = _last_directive(data, _DATE, encoding)
        after = _Clock(day) if day else _Clock(clock.day, clock.last)
        if "date" in names or "time" not in names:
            return after
        column = names.index("time")
        at = data.rfind(("\n" + _DATE).encode(encoding)) if day else 0
        for line in data[max(at, 0) :].decode(encoding, "replace").split("\n"):
            parts = line.split(self._separator, column + 1)
            if len(parts) > column and not line.startswith("#"):
                after.date_of(parts[column])
        return after

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the lines of one range."""
        result = RangeResult()
        lines = Lines.of(data, span, bom_length(data) if span.start == 0 else 0, options, result)
        notes = LineNotes(path, span, result)
        tables = ColumnTables(path, span, options, result)
        names = self._names(str(span.context["fields"]))
        clock = _Clock(str(span.context["date"]), int(span.context["clock"]))
        directives = np.flatnonzero(lines.texts.str.starts_with("#").to_numpy()).tolist()
        records = 0
        for start, end in pairwise([-1, *directives, len(lines)]):
            if end - start > 1:
                block = lines.part(int(start) + 1, int(end))
                records += self._take(block, names, clock, records, tables, notes)
            if end < len(lines):
                text = lines.texts[int(end)]
                if text.startswith(_FIELDS):
                    names = self._names(text[len(_FIELDS) :])
                elif text.startswith(_DATE):
                    clock = _Clock(text[len(_DATE) :].strip())
        notes.finish()
        tables.finish()
        return result

    def _take(
        self, lines: Lines, names: Sequence[str], clock: _Clock, records: int, tables: ColumnTables, notes: LineNotes
    ) -> int:
        """Read lines under one header, and return how many records they gave."""
        columns, good = self._split(lines, names)
        for place in np.flatnonzero(~good):
            reason = self._reason(lines.texts[int(place)], names)
            length = len(lines.texts[int(place)].encode("utf-8", "replace"))
            notes.broken(int(lines.offsets[place]), int(lines.numbers[place]), length, reason)
        count = int(good.sum())
        if count:
            if "date" not in columns and "time" in columns and clock.day:
                days = [clock.date_of(text) for text in columns["time"].to_list()]
                columns["date"] = pl.Series(days, dtype=pl.String)
            tables.add(self.reading, Rows(np.arange(records, records + count), lines.offsets[good], columns))
        return count

    def _split(self, lines: Lines, names: Sequence[str]) -> tuple[dict[str, pl.Series], np.ndarray]:
        """Return the columns of the lines that have as many values as there are names, and which those are."""
        width = len(names)
        if not width:
            return {}, np.zeros(len(lines), np.bool_)
        if self._separator == ",":
            rows = [split_delimited(text, ",") for text in lines.texts.to_list()]
            good = np.array([len(row) == width for row in rows])
            values = list(zip(*[row for row in rows if len(row) == width], strict=True)) or [()] * width
            columns = [pl.Series(column, dtype=pl.String) for column in values]
        else:
            texts = lines.texts
            good = (texts.str.count_matches(self._separator, literal=True) == width - 1).to_numpy()
            if not good.all() and self._separator == " ":  # blanks that were doubled
                texts = texts.str.strip_chars().str.replace_all(" +", " ")
                good = (texts.str.count_matches(" ", literal=True) == width - 1).to_numpy()
            split = texts.filter(pl.Series(good)).str.split_exact(self._separator, width - 1).struct.unnest()
            columns = [split[name] for name in split.columns]
        fields: dict[str, pl.Series] = {}
        for name, column in zip(names, columns, strict=True):
            while name in fields:
                name += "~"  # noqa: PLW2901 - the second of one name is kept beside the first
            fields[name] = column
        return fields, good

    @staticmethod
    def _reason(text: str, names: Sequence[str]) -> str:
        if not names:
            return "There is no #Fields line before it."
        if not text.strip("\0 "):
            return "The line holds zeros only, as after a crash."
        return f"The line has another number of values than the {len(names)} fields that are named."


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
