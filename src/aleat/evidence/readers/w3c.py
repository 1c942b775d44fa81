"""W3C extended log files (https://www.w3.org/TR/WD-logfile.html): ``layout = "w3c"``, beside what all say.

===============  ================================================================================================
``fields``       names of which at least two stand in the ``#Fields`` of the format's logs
``lacks``        names that none of its logs has
``separator``    what parts the values: ``" "`` (default), tab, or ``","`` with quotes as in CSV
``quotes``       true: values parted by blanks may be quoted, as proxies do
``directive``    ``name = [texts]``: what one of the format's directives says (``Log-type = ["EWS Logs"]``; none:
                 anything); the text is the group ``fact_<name>`` of the lines below, for ``channel`` and the like
===============  ================================================================================================

``#Fields`` may change anywhere in a file; ``#Date`` gives the day of logs without a date field, which goes on at each
midnight that their times pass. A line of the fields' names that is no directive, as Exchange writes it, is no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.evidence.described import Reading
from aleat.evidence.head import Head
from aleat.evidence.headed import HeadedRows, Places
from aleat.evidence.pairs import split_delimited
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import LineNotes, bom_length, cut_lines, detect_encoding
from aleat.evidence.text_columns import FACT, ColumnTables, Lines, named, split_columns

__all__ = ["W3cReader"]

_FIELDS, _DATE = "#Fields:", "#Date:"
_HALF_DAY = 12 * 3600

State = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
"""A header: the names of the fields, and the directives that say something of the lines below."""


class W3cReader:
    """Reads W3C logs of one format."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = reading.version
        self._known = frozenset(reading.own["fields"])
        self._lacks = frozenset(reading.own.get("lacks", ()))
        self._separator: str = reading.own.get("separator", " ")
        self._quotes: bool = reading.own.get("quotes", False)
        self._directives: dict[str, list[str]] = reading.own.get("directive", {})

    def detect(self, head: Head) -> bool:
        """Say yes where a ``#Fields`` line near the start names fields of the format."""
        for line in head.text.split("\n", 200)[:200]:
            if line.startswith(_FIELDS):
                names = set(self._names(line[len(_FIELDS) :]))
                good = len(names & self._known) >= 2 and not names & self._lacks
                return good and self._says(head.text[: 64 * 1024])
        return False

    def _says(self, text: str) -> bool:
        """Say whether the directives near the start are the format's."""
        found = (re.search(rf"^#{re.escape(name)}:([^\r\n]{{0,200}})", text, re.M) for name in self._directives)
        return all(
            match is not None and (not texts or match[1].strip() in texts)
            for match, texts in zip(found, self._directives.values(), strict=True)
        )

    def _names(self, text: str) -> tuple[str, ...]:
        parts = text.split(",") if self._separator == "," and text.strip() else text.split()
        return tuple(name.strip() for name in parts)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends; each range knows the fields and the date in force where it starts."""
        encoding = detect_encoding(head)
        fields, clock = "", _Clock("")
        said = dict.fromkeys(self._directives, "")
        for span, data in cut_lines(stream, encoding, options.range_bytes, {}):
            force: dict[str, Any] = {"encoding": encoding, "fields": fields, "date": clock.day, "clock": clock.last}
            if said:
                force["said"] = dict(said)
            yield replace(span, context=force), data
            for name in said:
                said[name] = _last_directive(data, f"#{name}:", encoding) or said[name]
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
        rows = HeadedRows(lines, tables, notes)
        names = self._names(str(span.context["fields"]))
        days = self._days(lines, names, _Clock(str(span.context["date"]), int(span.context["clock"])))
        start = (names, tuple(span.context.get("said", {}).items()))
        for (names, said), places in rows.by_header(start, self._step):
            self._take(lines, places, names, dict(said), days, rows)
        rows.finish()
        notes.finish()
        tables.finish()
        return result

    def _step(self, state: State, text: str) -> State:
        """Return the names of fields and what else is said behind a directive."""
        names, said = state
        if text.startswith(_FIELDS):
            return self._names(text[len(_FIELDS) :]), said
        name, _, value = text[1:].partition(":")
        return names, tuple((key, value.strip() if key == name else old) for key, old in said)

    def _days(self, lines: Lines, names: tuple[str, ...], clock: _Clock) -> dict[int, str]:
        """Return the dates of lines under headers without one, by place: their times pass from day to day in order."""
        directives = lines.texts.filter(lines.texts.str.starts_with(_FIELDS)).unique().to_list()
        headers = [names, *(self._names(text[len(_FIELDS) :]) for text in directives)]
        if all("date" in header or "time" not in header for header in headers):
            return {}
        days: dict[int, str] = {}
        for place, text in enumerate(lines.texts.to_list()):
            if text.startswith(_FIELDS):
                names = self._names(text[len(_FIELDS) :])
            elif text.startswith(_DATE):
                clock = _Clock(text[len(_DATE) :].strip())
            elif clock.day and "time" in names and "date" not in names and not text.startswith("#"):
                column = names.index("time")
                parts = text.split(self._separator, column + 1)
                days[place] = clock.date_of(parts[column]) if len(parts) > column else clock.day
        return days

    def _take(
        self,
        lines: Lines,
        places: Places,
        names: Sequence[str],
        said: Mapping[str, str],
        days: Mapping[int, str],
        rows: HeadedRows,
    ) -> None:
        """Read the lines under one header."""
        if self._separator == ",":
            places = self._without_headers(lines, places, names)
        columns, good = self._split(lines.texts.gather(places), names)
        rows.refuse(places[~good], lambda text: self._reason(text, names))
        places = places[good]
        if days and "date" not in columns and "time" in columns:
            columns["date"] = pl.Series([days.get(place) for place in places.tolist()], dtype=pl.String)
        for name, text in said.items():
            columns[f"{FACT}{name}"] = pl.Series([text], dtype=pl.String).new_from_index(0, len(places))
        rows.take(self.reading, places, columns)

    def _without_headers(self, lines: Lines, places: Places, names: Sequence[str]) -> Places:
        """Leave out lines that name the fields."""
        texts = lines.texts.gather(places)
        headers = (texts == ",".join(names)).to_numpy().copy()
        if not names and len(texts):
            headers[0] = len(self._known & set(texts[0].split(","))) >= 2
        kept: Places = places[~headers]
        return kept

    def _split(self, texts: pl.Series, names: Sequence[str]) -> tuple[dict[str, pl.Series], npt.NDArray[np.bool_]]:
        """Return the columns of the lines that have as many values as there are names, and which those are."""
        quoted = self._quotes and texts.str.contains('"', literal=True).any()
        if self._separator != "," and not quoted:
            return split_columns(texts, names, self._separator)
        width = len(names)
        rows = [split_delimited(text, self._separator) for text in texts.to_list()]
        good = np.array([len(row) == width for row in rows], np.bool_)
        values = list(zip(*[row for row in rows if len(row) == width], strict=True)) or [()] * width
        return named(names, [pl.Series(column, dtype=pl.String) for column in values]), good

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
