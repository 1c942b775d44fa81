"""Exports of log stores that keep each event's original text: ``layout = "raw-json"`` and ``"raw-delimited"``.

===============  ================================================================================================
``raw``          paths of which the first text is the original line
``keep``         ``{path in the export = field}``: what the store adds, kept beside the line's own fields
===============  ================================================================================================

The rest is that of ``json`` or ``delimited``. An original is read by the format that recognises it (a line, a JSON
object, a Windows event as XML), so that it gives the event that the original log gives. The store's time counts where
the line's own has no zone or no year, its host where the line names none. What no format recognises stays an event of
the export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from aleat.evidence.clock import has_year, is_local
from aleat.evidence.described import Pick, Reading, TimePick, described_readers
from aleat.evidence.head import Head
from aleat.evidence.inner_events import InnerWindowsEvents
from aleat.evidence.json_objects import parse_object
from aleat.evidence.json_stream import JsonStream
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.delimited import DelimitedReader
from aleat.evidence.readers.json_records import JsonReader, JsonRows, at, text_of
from aleat.evidence.readers.lines import LinesReader, Pattern, grown
from aleat.evidence.text_columns import ColumnTables, Rows, extract

__all__ = ["RawJsonReader", "RawTableReader"]

_BLOCK = 4096
_HOST, _TIME = "export.host", "fact_export_time"
_CHARACTERS = 2048


class _Carries:
    """What both readers share: their version is that of all that originals may be read by, too."""

    reading: Reading

    @cached_property
    def version(self) -> str:
        """Changes with every reader of lines and JSON."""
        others = ",".join(str(item.version) for item in _inner_readers())
        return f"2-{self.reading.version}+{sha256(others.encode()).hexdigest()[:12]}"


def _inner_readers() -> tuple[LinesReader | JsonReader, ...]:
    return tuple(item for item in described_readers() if isinstance(item, LinesReader | JsonReader))


class RawJsonReader(_Carries):
    """Reads exports as JSON."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self._json = JsonReader(reading)

    def detect(self, head: Head) -> bool:
        """Say yes where most of the first objects are of the export."""
        return self._json.detect(head)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends where each line is an object, else between objects."""
        return self._json.cut(stream, head, options)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the objects of one range."""
        result = RangeResult()
        rows = _RawRows(self.reading, path, span, options, result)

        def add(offset: int, value: Any) -> bool:
            if isinstance(value, dict):
                rows.add(offset, self._json.record(value))
            return isinstance(value, dict)

        stream = JsonStream(path, span, options, result, add)
        stream.read(data)
        rows.finish()
        stream.tell_strange("broken-json", "values from here on are no objects")
        return result


class RawTableReader(_Carries):
    """Reads exports as CSV."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self._table = DelimitedReader(replace(reading, own={**reading.own, "embeds": "\0"}))

    def detect(self, head: Head) -> bool:
        """Say yes where the header has the export's columns."""
        return self._table.detect(head)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends outside of quotes."""
        return self._table.cut(stream, head, options)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the records of one range."""
        result = RangeResult()
        rows = _RawRows(self.reading, path, span, options, result)
        for offset, record in self._table.records(data, span, path, options, result):
            rows.add(offset, record)
        rows.finish()
        return result


class _RawRows:
    """Hands each original to the reader that recognises it."""

    def __init__(self, reading: Reading, path: str, span: ByteRange, options: ReadOptions, result: RangeResult) -> None:
        self._reading = reading
        self._place = (path, span, options, result)
        self._raw = [tuple(text.split(".")) for text in reading.own["raw"]]
        self._keep = {tuple(text.split(".")): str(field) for text, field in reading.own.get("keep", {}).items()}
        self._lines = [item for item in _inner_readers() if isinstance(item, LinesReader)]
        self._objects = [item for item in _inner_readers() if isinstance(item, JsonReader)]
        self._rows: dict[str, JsonRows] = {}
        self._tables = ColumnTables(*self._place)
        self._windows = InnerWindowsEvents(options)
        self._waiting: dict[str, list[tuple[int, int, str, dict[str, Any]]]] = {}
        self._last: LinesReader | None = None
        self._count = self._held = 0

    def add(self, offset: int, record: dict[str, Any]) -> None:
        """Add the record at `offset` in the stream."""
        number = self._count
        self._count += 1
        raw = next((text for path in self._raw if (text := text_of(at(record, path)))), "").rstrip("\r\n")
        event = self._windows.read(offset, raw) if raw.lstrip()[:1] == "<" else None
        if event is not None:
            self._windows.take(number, offset, event)
        elif (inner := parse_object(raw)) is not None and self._add_object(number, offset, inner, record):
            return
        elif (reader := self._recognised(raw)) is not None:
            self._waiting.setdefault(reader.name, []).append((number, offset, raw, record))
            self._held += 1
            if self._held >= _BLOCK:
                self._flush()
        else:
            self._add_record(self._reading, number, offset, record)

    def finish(self) -> None:
        """Put everything into the result."""
        self._flush()
        path, _, _, result = self._place
        self._windows.finish(path, result)
        self._tables.finish()
        for rows in self._rows.values():
            rows.finish()

    def _add_record(self, reading: Reading, number: int, offset: int, record: dict[str, Any]) -> None:
        rows = self._rows.get(reading.name)
        if rows is None:
            rows = self._rows[reading.name] = JsonRows(reading, *self._place)
        rows.count = number
        rows.add(offset, record)

    def _add_object(self, number: int, offset: int, inner: dict[str, Any], record: dict[str, Any]) -> bool:
        for reader in self._objects:
            value = reader.record(inner)
            if reader.fits(value):
                kept = {f"export.{field}": text for field, text in self._kept(record).items()}
                self._add_record(_with_export(reader.reading, ("export.time",)), number, offset, {**kept, **value})
                return True
        return False

    def _recognised(self, raw: str) -> LinesReader | None:
        head = raw[:_CHARACTERS].partition("\n")[0]
        if not head:
            return None
        if self._last is None or not self._last.recognises(head):
            self._last = next((reader for reader in self._lines if reader.recognises(head)), None)
        return self._last

    def _kept(self, record: Mapping[str, Any]) -> dict[str, str]:
        return {field: text for path, field in self._keep.items() if (text := text_of(at(record, path)))}

    def _flush(self) -> None:
        readers = {reader.name: reader for reader in self._lines}
        for name, waiting in self._waiting.items():
            for number, offset, record in self._read_lines(readers[name].patterns, waiting):
                self._add_record(self._reading, number, offset, record)
        self._waiting, self._held = {}, 0

    def _read_lines(
        self, patterns: Sequence[Pattern], waiting: list[tuple[int, int, str, dict[str, Any]]]
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Read originals by one format's forms, and yield the records whose original has none."""
        numbers = np.array([item[0] for item in waiting], np.int64)
        offsets = np.array([item[1] for item in waiting], np.int64)
        texts = pl.Series([item[2] for item in waiting], dtype=pl.String)
        kept = [self._kept(item[3]) for item in waiting]
        names = sorted({name for item in kept for name in item})
        beside = {
            _TIME if name == "time" else f"export.{name}": pl.Series([item.get(name) for item in kept], dtype=pl.String)
            for name in names
        }
        left = np.arange(len(waiting))
        for pattern in patterns:
            if not len(left):
                break
            matched, columns = extract(texts.gather(left), pattern.regex)
            rows = left[matched]
            if len(rows):
                columns |= {name: column.gather(rows) for name, column in beside.items() if name not in columns}
                pattern = replace(pattern, reading=_with_export(pattern.reading, (_TIME,)))  # noqa: PLW2901
                for reading, places, found in grown(pattern, rows, columns):
                    self._tables.add(reading, Rows(numbers[places], offsets[places], found))
            left = left[~matched]
        for place in left.tolist():
            yield waiting[place][0], waiting[place][1], waiting[place][3]


def _with_export(reading: Reading, time: tuple[str, ...]) -> Reading:
    """Return a reading that takes from the export what the line doesn't say, or says without a zone or a year."""
    own, spec = reading.time, reading.time.spec
    formats = (*spec.formats, *(form for form in ("iso", "epoch") if form not in spec.formats))
    vague = is_local(spec) or not has_year(spec)
    if vague:
        formats = tuple(form for form in formats if has_year(replace(spec, formats=(form,))))
    groups = (time, *own.groups) if vague else (*own.groups, time)
    host = reading.facts.get("host", Pick())
    facts = {**reading.facts, "host": Pick((*host.fields, _HOST), host.constant)}
    return replace(reading, time=TimePick(groups, replace(spec, formats=formats)), facts=facts)
