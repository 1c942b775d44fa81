"""Tables as text: what a ``[[read]]`` with ``layout = "delimited"`` says beside what all say.

===============  ================================================================================================
``header``       lists of column names: a stream is of the format where its header line has all of one list
``separators``   characters that may part the values (default: comma, semicolon, tab)
``embeds``       a column whose text is a JSON object: its fields are the event's, beside the columns
``rename``       ``{name in the header = field}``, where an export renames what the source calls otherwise
``decimal``      ``","``: in fields of ``numbers``, 1.234,5 is a number
===============  ================================================================================================

Values are quoted by RFC 4180, so that a record may have several lines. A header is compared without case, blanks
around it and quotes; ``#TYPE`` and ``sep=`` lines before it are passed over. A record with too few or too many
values is read as far as it goes, and named.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from aleat.errors import Issue, Place
from aleat.evidence.columns import free_name
from aleat.evidence.described import Reading
from aleat.evidence.head import Head
from aleat.evidence.json_objects import parse_object
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.json_records import JsonRows
from aleat.evidence.text import LineNotes, bom_length, cut_lines, detect_encoding, numbered_lines
from aleat.evidence.text_columns import Classify, ColumnTables, Rows

__all__ = ["DelimitedReader", "header_of", "outside_quotes", "split_records"]

_SEPARATORS = (",", ";", "\t")
_BEFORE = re.compile(r"#TYPE |sep=", re.IGNORECASE)
MAX_COLUMNS = 4096
"""`columns`: a header with more is no table that is read."""
_MAX_RECORD_LINES = 10_000
"""`record lines`: a quoted value that runs on for more lines wasn't closed; its first line is read alone."""

_COMMA = re.compile(r"-?(?:\d{1,15}|\d{1,3}(?:\.\d{3}){1,4})(?:,\d{1,15})?", re.ASCII)

_HEADER_LINES = 4
Record = tuple[int, int, str, list[str]]
"""Offset, line number in the range, first line, values."""

csv.field_size_limit(16 * 1024 * 1024)


class DelimitedReader:
    """Reads tables of one format."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = reading.version
        own = reading.own
        self._headers = [{name.casefold() for name in names} for names in own["header"]]
        self._separators = tuple(own.get("separators", _SEPARATORS))
        self._embeds = own.get("embeds", "")
        self._rename: Mapping[str, str] = own.get("rename", {})

    def detect(self, head: Head) -> bool:
        """Say yes where the header has the format's columns."""
        if head.is_json:
            return False
        found = header_of(head.text, self._separators)
        names = {name.casefold() for name in found[1]} if found else set()
        return any(wanted <= names for wanted in self._headers)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends outside of quotes; each range knows the header."""
        encoding = detect_encoding(head)
        text = head[bom_length(head) :].decode(encoding, "replace")
        separator, names = header_of(text, self._separators) or (",", [])
        context = {"encoding": encoding, "separator": separator, "header": names}
        return outside_quotes(cut_lines(stream, encoding, options.range_bytes, context), encoding)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the records of one range."""
        result = RangeResult()
        fields, rows, places = self._table(data, span, path, options, result)
        if self._embeds:
            unread = self._read_embedded(rows, places, fields, JsonRows(self.reading, path, span, options, result))
            if unread:
                reason = (
                    f"{len(unread)} records from here on have no readable JSON in {self._embeds}: their columns stand."
                )
                place = Place(path, offset=unread[0])
                result.issues.append(Issue("evidence", "odd-line", place, reason, records=0))
        else:
            tables = ColumnTables(path, span, options, result)
            columns = zip(*rows, strict=True) if rows else ()
            tables.add(
                self.reading,
                Rows(
                    np.arange(len(rows)),
                    np.array(places, np.int64),
                    {name: _column(values) for name, values in zip(fields, columns, strict=bool(rows))},
                    self._classify(fields),
                ),
            )
            tables.finish()
        return result

    def _classify(self, fields: Sequence[str]) -> dict[str, Classify]:
        comma = self.reading.own.get("decimal", ".") == ","
        return {name: _with_comma for name in fields if comma and self.reading.is_number(name)}

    def records(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, result: RangeResult
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the records of one range as objects, with their offsets; an empty value is left out."""
        fields, rows, places = self._table(data, span, path, options, result)
        for row, place in zip(rows, places, strict=True):
            yield place, {name: value for name, value in zip(fields, row, strict=True) if value != ""}

    def _table(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, result: RangeResult
    ) -> tuple[list[str], list[list[str]], list[int]]:
        """Return the fields' names, the values of each record, and where it begins."""
        skip = bom_length(data) if span.start == 0 else 0
        lines = list(numbered_lines(data, span, skip, options.encoding, result.encodings))
        header = [str(name) for name in span.context["header"]]
        notes = LineNotes(path, span, result)
        rows, places = _records(lines, str(span.context["separator"]), header, span.start == 0, notes)
        notes.finish()
        return _fields(header, self._rename), rows, places

    def _read_embedded(
        self, rows: list[list[str]], places: list[int], fields: Sequence[str], out: JsonRows
    ) -> list[int]:
        """Add the records to `out`; returns the offsets of those whose JSON can't be read."""
        unread: list[int] = []
        for row, place in zip(rows, places, strict=True):
            record: dict[str, Any] = {name: value for name, value in zip(fields, row, strict=True) if value != ""}
            inner = parse_object(record.get(self._embeds, ""))
            if inner is not None:
                del record[self._embeds]
                record = {**{name: value for name, value in record.items() if name not in inner}, **inner}
            elif self._embeds in record:
                unread.append(place)
            out.add(place, record)
        out.finish()
        return unread


def header_of(text: str, separators: Sequence[str] = _SEPARATORS) -> tuple[str, list[str]] | None:
    """Return the separator and the names of a table's header line, or None where the text begins with none.

    >>> header_of('"Date";"Computer name"')
    (';', ['Date', 'Computer name'])
    """
    line = ""
    for found in text.split("\n", _HEADER_LINES)[:_HEADER_LINES]:
        line = found.strip("\r\ufeff ")
        if line and not _BEFORE.match(line):
            break
    if not line or len(line) > 65536:
        return None
    separator = max(separators, key=lambda item: (line.count(item), -separators.index(item)))
    try:
        names = [name.strip().strip('"') for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return None
    if len(names) < 2 or len(names) > MAX_COLUMNS or sum(1 for name in names if name) < 2:
        return None
    return separator, names


def outside_quotes(ranges: Iterator[tuple[ByteRange, bytes]], encoding: str) -> Iterator[tuple[ByteRange, bytes]]:
    """Move each cut that lies within quotes to the next line end outside of them."""
    quote, feed = '"'.encode(encoding), "\n".encode(encoding)
    waiting: tuple[ByteRange, bytes] | None = None
    index = largest = 0
    for span, data in ranges:
        largest = max(largest, len(data))
        if waiting is None:
            waiting = span, data
            continue
        first, held = waiting
        if held.count(quote) % 2 == 0 or len(held) > 4 * largest:
            yield replace(first, index=index), held
            index, waiting = index + 1, (span, data)
            continue
        end = _closing(data, quote, feed)
        if end < 0:
            waiting = replace(first, end=span.end), held + data
            continue
        yield replace(first, index=index, end=first.end + end), held + data[:end]
        index += 1
        moved = replace(span, start=span.start + end, first_line=span.first_line + data.count(feed, 0, end))
        waiting = moved, data[end:]
    if waiting is not None and waiting[1]:
        yield replace(waiting[0], index=index), waiting[1]


def _closing(data: bytes, quote: bytes, feed: bytes) -> int:
    """Return where the first line ends that closes an open quote, or -1."""
    position, odd = 0, True
    while (end := data.find(feed, position)) >= 0:
        end += len(feed)
        odd ^= data.count(quote, position, end) % 2 == 1
        if not odd:
            return end
        position = end
    return -1


def _records(
    lines: list[tuple[int, int, str]], separator: str, header: Sequence[str], first: bool, notes: LineNotes
) -> tuple[list[list[str]], list[int]]:
    """Return the records' values (all as many as the header has names) and their offsets."""
    rows: list[list[str]] = []
    places: list[int] = []
    width = len(header)
    records = split_records(lines, separator)
    for offset, number, text, values in _behind_header(records, header) if first else records:
        if not any(values):
            continue
        if len(values) == width:
            rows.append(values)
        elif width < 2 or len(values) == 1:
            reason = "The line has no values." if width else "There is no line that names the columns."
            notes.broken(offset, number, len(text.encode("utf-8", "replace")), reason)
            continue
        else:
            notes.odd(offset, number, len(text), f"The record has {len(values)} values where {width} are named.")
            kept = (
                values[:width] if len(values) <= width else [*values[: width - 1], separator.join(values[width - 1 :])]
            )
            rows.append([*kept, *[""] * (width - len(kept))])
        places.append(offset)
    return rows, places


def _behind_header(records: Iterator[Record], header: Sequence[str]) -> Iterator[Record]:
    """Yield the records behind the header, which is one of the first four lines; all, where it is none of them."""
    before: list[Record] = []
    for record in records:
        if [value.strip().strip('"\ufeff') for value in record[3]] == list(header):
            break
        before.append(record)
        if len(before) == _HEADER_LINES:
            yield from before
            break
    else:
        yield from before
    yield from records


def split_records(lines: list[tuple[int, int, str]], separator: str) -> Iterator[Record]:
    """Yield (offset, number, first line, values) of each record."""
    position = 0
    while position < len(lines):
        offset, number, text = lines[position]
        text = text.rstrip("\r")
        if '"' not in text:
            position += 1
            yield offset, number, text, text.split(separator)
            continue
        count = 1
        quotes = text.count('"')
        while quotes % 2 and position + count < len(lines) and count < _MAX_RECORD_LINES:
            quotes += lines[position + count][2].count('"')
            count += 1
        if quotes % 2:
            count = 1
        whole = [line[2].rstrip("\r") + "\n" for line in lines[position : position + count]]
        try:
            values = next(csv.reader(whole, delimiter=separator), [])
        except csv.Error:
            values = text.split(separator)
        position += count
        yield offset, number, text, values


def _with_comma(text: str) -> tuple[str, str]:
    """Return the cell of a number with a decimal comma, or the text."""
    if not _COMMA.fullmatch(text):
        return "s", text
    whole, comma, part = text.replace(".", "").partition(",")
    return ("f", repr(float(f"{whole}.{part}"))) if comma else ("i", str(int(whole)))


def _fields(header: Sequence[str], rename: Mapping[str, str]) -> list[str]:
    """Return one field name a column: renamed, numbered where nameless, apart where equal."""
    fields: dict[str, None] = {}
    for place, name in enumerate(header):
        fields[free_name(rename.get(name, name) or f"column{place + 1}", fields)] = None
    return list(fields)


def _column(values: Sequence[str]) -> pl.Series:
    """Return a column; an empty value is none."""
    series = pl.Series(values, dtype=pl.String)
    return series.set(series == "", None)
