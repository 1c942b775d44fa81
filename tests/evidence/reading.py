"""Reads bytes through a reader, as the tests of all readers do."""

from __future__ import annotations

import io
from typing import Any

from aleat.errors import Issue
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.reader import RangeResult, ReadOptions, detect_reader


def read_bytes(data: bytes, name: str = "log", options: ReadOptions | None = None) -> list[RangeResult]:
    """Detect, cut and read; one result a range."""
    options = options or ReadOptions()
    reader = detect_reader(Head(data[:HEAD_BYTES], name))
    assert reader is not None, "no reader recognises it"
    results = []
    joined = b""
    for span, piece in reader.cut(io.BytesIO(data), data[:HEAD_BYTES], options):
        assert span.start == len(joined)
        joined += piece
        assert span.end == len(joined)
        results.append(reader.read(piece, span, name, options))
    assert joined == data
    return results


def issues_of(results: list[RangeResult]) -> list[Issue]:
    """Return all issues in order."""
    return [issue for result in results for issue in result.issues]


def events_of(results: list[RangeResult]) -> list[dict[str, Any]]:
    """Return events in the order of their records, as dicts: fixed columns, "channel", and fields without kinds."""
    out: list[dict[str, Any]] = []
    for result in results:
        rows: list[dict[str, Any]] = []
        for _, channel, table in result.tables:
            for row in table.to_pylist():
                event: dict[str, Any] = {"channel": channel, "fields": {}, "kinds": {}}
                for name, value in row.items():
                    field, bar, kind = name.rpartition("|")
                    if not bar:
                        event[name] = value
                    elif value is not None:
                        assert field not in event["fields"], "two kinds of one field in one event"
                        event["fields"][field] = value
                        event["kinds"][field] = kind
                rows.append(event)
        rows.sort(key=lambda event: event["record"])
        assert [event["record"] for event in rows] == list(range(len(rows)))
        out += rows
    return out
