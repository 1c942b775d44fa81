"""Sightings as text, JSON, JSON lines, CSV or Parquet: ``aleat hunt -t table|json|jsonl|csv|parquet``.

All writers stream: they hold no more than a block of rows. They write to a binary stream that the caller opened
and closes. What comes from evidence is hostile: in the table control characters, and characters that turn or hide
text, are shown as escapes; in CSV a cell that a spreadsheet would take for a formula begins with an apostrophe.

The keys of a JSON line, and their order, are the project's promise (DESIGN, "The front door").
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, timezone
from functools import lru_cache
from math import isfinite
from types import TracebackType
from typing import IO, Any, NamedTuple, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from aleat.hunt.indicator import Part, Sighting
from aleat.text import visible, visible_json
from aleat.times import from_micros

__all__ = [
    "FORMATS",
    "SightingWriter",
    "csv_lines",
    "dump_json",
    "escape_cell",
    "format_time",
    "open_writer",
    "sighting_line",
]

FORMATS = ("table", "json", "jsonl", "csv", "parquet")

_COLORS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36"}
"""A terminal's codes for levels (ECMA-48, "Select graphic rendition")."""
_BLOCK = 5_000
_LINES = 64
_KEYS = (
    "indicator",
    "title",
    "level",
    "author",
    "evidence",
    "record",
    "offset",
    "event",
    "time",
    "host",
    "fields",
    "source",
    "hidden_by",
    "parts",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SURROGATE = re.compile("[\ud800-\udfff]")


class SightingWriter(Protocol):
    """Writes sightings, one after the other; used in a ``with`` block, whose end completes the output."""

    def __enter__(self) -> SightingWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def write(self, sighting: Sighting) -> None:
        """Write one sighting."""
        ...


def open_writer(
    format: str, stream: IO[bytes], *, width: int = 120, zone: timezone = UTC, color: bool = False
) -> SightingWriter:
    """Return the writer for one of `FORMATS`.

    `width` is the table's, in characters. Table and CSV show times at the offset `zone`; JSON and Parquet are for
    programs, and stay in UTC. With `color` the table's levels are coloured by a terminal's control sequences.
    """
    return _WRITERS[format](stream, _Shown(width, zone, color))


def format_time(time: int | None, zone: timezone = UTC) -> str | None:
    """Return microseconds since 1970 as RFC 3339 at an offset (UTC: ``Z``) with six digits; None without a time.

    >>> format_time(1_657_900_000_123_456)
    '2022-07-15T15:46:40.123456Z'
    >>> from datetime import timedelta
    >>> format_time(1_657_900_000_123_456, timezone(timedelta(hours=2)))
    '2022-07-15T17:46:40.123456+02:00'
    """
    if time is None:
        return None
    seconds, micros = divmod(time, 1_000_000)
    ahead = zone.utcoffset(None)
    text = _seconds_text(seconds + int(ahead.total_seconds()))
    return text and f"{text}.{micros:06}{str(zone).removeprefix('UTC') or 'Z'}"


@lru_cache(4096)  # sightings come in the order of time, more or less
def _seconds_text(seconds: int) -> str | None:
    try:
        return from_micros(seconds * 1_000_000).replace(tzinfo=None).isoformat(timespec="seconds")
    except OverflowError:  # a time before year 1 or after 9999 is damage; the source's own text is in the fields
        return None


def sighting_line(sighting: Sighting) -> bytes:
    """Return one line of JSON, without its end."""
    return dump_json(_record(sighting))


def escape_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula.

    >>> escape_cell("=cmd|' /C calc'!A0")
    "'=cmd|' /C calc'!A0"
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _record(sighting: Sighting) -> dict[str, Any]:
    return {  # in the order of _KEYS, written out: this is done for every sighting
        "indicator": sighting.indicator,
        "title": sighting.title,
        "level": sighting.level,
        "author": sighting.author,
        "evidence": sighting.evidence,
        "record": sighting.record,
        "offset": sighting.offset,
        "event": sighting.event,
        "time": format_time(sighting.time),
        "host": sighting.host,
        "fields": sighting.fields,
        "source": sighting.source,
        "hidden_by": sighting.hidden_by,
        "parts": None if sighting.parts is None else [_part(part) for part in sighting.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "evidence": part.evidence,
        "record": part.record,
        "offset": part.offset,
        "event": part.event,
        "time": format_time(part.time),
    }


def dump_json(value: Any) -> bytes:
    """Return a value as compact JSON, whatever its integers' size and its texts' surrogates."""
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, TypeError):  # an integer of more than 64 bits, or a lone surrogate
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
        return _SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode()


_ARROW_TYPES = {"record": pa.int64(), "offset": pa.int64(), "time": pa.timestamp("us", tz="UTC")}


def _finite(value: Any) -> Any:
    """Return a JSON value with null for what JSON has no number for, as orjson writes it."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


class _Shown(NamedTuple):
    """How people want it."""

    width: int
    zone: timezone
    color: bool


class _Writer:
    """What all writers share: a block of rows, written when full and at the end."""

    def __init__(self, stream: IO[bytes], shown: _Shown) -> None:
        self._stream = stream
        self._shown = shown
        self._waiting: list[Sighting] = []

    def __enter__(self) -> SightingWriter:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._flush()
        self._end()
        self._stream.flush()

    def write(self, sighting: Sighting) -> None:
        """Write one sighting."""
        self._waiting.append(sighting)
        if len(self._waiting) >= self._block():
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._write(self._waiting)
            self._waiting.clear()

    def _block(self) -> int:
        return 1

    def _begin(self) -> None:
        return None

    def _write(self, sightings: list[Sighting]) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        return None


class _JsonLinesWriter(_Writer):
    def _write(self, sightings: list[Sighting]) -> None:
        self._stream.write(b"".join([sighting_line(sighting) + b"\n" for sighting in sightings]))

    def _block(self) -> int:
        return _LINES


class _JsonWriter(_Writer):
    _between = b"[\n"

    def _write(self, sightings: list[Sighting]) -> None:
        for sighting in sightings:
            self._stream.write(self._between + sighting_line(sighting))
            self._between = b",\n"

    def _end(self) -> None:
        self._stream.write(b"[]\n" if self._between == b"[\n" else b"\n]\n")


class _CsvWriter(_Writer):
    def _begin(self) -> None:
        self._stream.write(csv_lines([list(_KEYS)]))

    def _write(self, sightings: list[Sighting]) -> None:
        rows = []
        for sighting in sightings:
            record = {**_flat(sighting), "time": format_time(sighting.time, self._shown.zone)}
            rows.append([_safe_cell(key, cell) for key, cell in record.items()])
        self._stream.write(csv_lines(rows))


class _ParquetWriter(_Writer):
    _schema = pa.schema([pa.field(key, _ARROW_TYPES.get(key, pa.string())) for key in _KEYS])

    def _begin(self) -> None:
        self._file = pq.ParquetWriter(self._stream, self._schema, compression="zstd")

    def _block(self) -> int:
        return _BLOCK

    def _write(self, sightings: list[Sighting]) -> None:
        rows = []
        for sighting in sightings:
            row = {key: _writable(cell) for key, cell in _flat(sighting).items()}
            rows.append({**row, "time": sighting.time})
        self._file.write_table(pa.Table.from_pylist(rows, schema=self._schema))

    def _end(self) -> None:
        self._file.close()


class _TableWriter(_Writer):
    """Lines of fixed columns; the title takes what the width leaves."""

    _columns = (("TIME", 19), ("LEVEL", 13), ("HOST", 22), ("EVENT", 20))

    def _begin(self) -> None:
        names = [name for name, _ in self._columns]
        self._write_row([f"TIME ({self._shown.zone})", *names[1:]], "RULE", "EVIDENCE")

    def _write(self, sightings: list[Sighting]) -> None:
        for sighting in sightings:
            time = (format_time(sighting.time, self._shown.zone) or "")[:19].replace("T", " ")
            channel = sighting.channel.rpartition("/")[0] or sighting.channel or sighting.format
            event = f"{channel.rpartition('-')[2]} {sighting.event_id}".strip()
            title = f"[hidden] {sighting.title}" if sighting.hidden_by is not None else sighting.title
            if sighting.quality:
                title = f"[{', '.join(sighting.quality)}] {title}"
            if sighting.pap:
                title = f"[PAP:{sighting.pap.upper()}] {title}"
            if "#" in sighting.indicator:
                title += f" ({sighting.indicator.partition('#')[2]})"
            place = f"{sighting.evidence} #{sighting.record}"
            self._write_row([time, sighting.level, sighting.host, event], title, place)

    def _write_row(self, cells: list[str], title: str, place: str) -> None:
        fixed = [_fit(cell, width) for cell, (_, width) in zip(cells, self._columns, strict=True)]
        if self._shown.color and cells[1] in _COLORS:
            fixed[1] = f"\x1b[{_COLORS[cells[1]]}m{fixed[1]}\x1b[0m"
        room = max(20, self._shown.width - sum(width + 2 for _, width in self._columns) - 2)
        line = "  ".join([*fixed, _fit(title, room), visible(place)])
        self._stream.write(line.rstrip().encode("utf-8", "replace") + b"\n")


def _fit(text: str, width: int) -> str:
    shown = visible(text)
    return f"{shown[: width - 1]}…" if len(shown) > width else shown.ljust(width)


def _flat(sighting: Sighting) -> dict[str, Any]:
    """Return a record whose cells are texts and numbers: fields and parts as JSON."""
    record = _record(sighting)
    record["fields"] = dump_json(record["fields"]).decode()
    record["parts"] = None if record["parts"] is None else dump_json(record["parts"]).decode()
    return record


def _writable(cell: Any) -> Any:
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell


def _safe_cell(key: str, cell: Any) -> Any:
    """Return a cell that acts on no spreadsheet and no terminal; JSON says the same as before."""
    if not isinstance(cell, str):
        return cell
    return visible_json(cell) if key in ("fields", "parts") else escape_cell(visible(cell))


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


_WRITERS: Mapping[str, Callable[[IO[bytes], _Shown], SightingWriter]] = {
    "table": _TableWriter,
    "json": _JsonWriter,
    "jsonl": _JsonLinesWriter,
    "csv": _CsvWriter,
    "parquet": _ParquetWriter,
}
