"""Rows of a lake as JSON, JSON lines or CSV: hits of a search, fields, sources, an answer in SQL.

As `aleat.hunt.output`, for records that aren't sightings: what comes from evidence is hostile, and acts on no
spreadsheet and no terminal. Tables for people are made where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from aleat.hunt.output import csv_lines, dump_json, escape_cell, format_time
from aleat.hunt.search import SearchHit
from aleat.text import visible, visible_json

__all__ = ["HIT_KEYS", "ROW_FORMATS", "hit_record", "write_rows"]

ROW_FORMATS = ("json", "jsonl", "csv")

HIT_KEYS = (
    "evidence",
    "record",
    "offset",
    "event",
    "time",
    "host",
    "format",
    "channel",
    "provider",
    "event_id",
    "record_id",
    "fields",
    "matched",
)
"""The keys of a hit, in order: the first of them as in a sighting's line."""


def hit_record(hit: SearchHit) -> dict[str, Any]:
    """Return a hit as it is written; `matched` are the fields by which it was found."""
    return {
        "evidence": hit.evidence,
        "record": hit.record,
        "offset": hit.offset,
        "event": hit.event,
        "time": format_time(hit.time),
        "host": hit.host,
        "format": hit.format,
        "channel": hit.channel,
        "provider": hit.provider,
        "event_id": hit.event_id,
        "record_id": hit.record_id,
        "fields": hit.fields,
        "matched": list(dict.fromkeys(name for name, _ in hit.matched)),
    }


def write_rows(rows: Iterable[Mapping[str, Any]], stream: IO[bytes], format: str, keys: Sequence[str]) -> int:
    """Write records with these keys as one of `ROW_FORMATS`, one after the other, and return how many they were."""
    count = 0
    if format == "csv":
        stream.write(csv_lines([keys]))
    for count, row in enumerate(rows, 1):
        if format == "csv":
            stream.write(csv_lines([[_cell(row[key]) for key in keys]]))
        else:
            before = b"" if format == "jsonl" else b"[\n" if count == 1 else b",\n"
            stream.write(before + dump_json({key: row[key] for key in keys}) + (b"\n" if format == "jsonl" else b""))
    if format == "json":
        stream.write(b"\n]\n" if count else b"[]\n")
    stream.flush()
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape_cell(visible(value))
    if value is None or isinstance(value, (int, float)):
        return value
    return visible_json(dump_json(value).decode())
