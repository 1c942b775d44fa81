"""Builds `EventBatch`es from plain Python events, for the tests of the hunt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from aleat.evidence.batch import FIXED_SCHEMA, EventBatch, field_column

SECURITY = "Security"
SYSMON = "Microsoft-Windows-Sysmon/Operational"


def cell(value: Any) -> tuple[str, str]:
    """Return (kind, canonical text) of a Python value."""
    if value is None:
        return "n", ""
    if isinstance(value, bool):
        return "b", "true" if value else "false"
    if isinstance(value, int):
        return "i", str(value)
    if isinstance(value, float):
        return "f", repr(value)
    if isinstance(value, list):
        return "l", orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return "s", str(value)


def batch(
    events: Sequence[Mapping[str, Any]],
    *,
    format: str = "windows",
    channel: str = SECURITY,
    provider: str | None = None,
    event_id: int | str | None = None,
    host: str = "PC1",
    evidence: str = "test.evtx",
    segment: str = "0" * 64,
    times: Sequence[datetime] | None = None,
    record_base: int = 0,
) -> EventBatch:
    """Make a batch. The key "@event_id" (also "@provider", "@host", "@record_id") of an event sets a fixed column."""
    rows = len(events)
    if times is None:
        times = [datetime(2022, 7, 15, 12, 0, index % 60, tzinfo=UTC) for index in range(rows)]

    def fixed(name: str, default: Any) -> list[Any]:
        values = [event.get(f"@{name}", default) for event in events]
        return [None if value is None else str(value) for value in values]

    word = pa.dictionary(pa.int32(), pa.string())
    columns: dict[str, pa.Array] = {
        "time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "time_text": pa.array([time.isoformat() for time in times], pa.string()),
        "host": pa.array(fixed("host", host), pa.string()).cast(word),
        "record": pa.array(range(rows), pa.int64()),
        "offset": pa.array([index * 100 for index in range(rows)], pa.int64()),
        "record_id": pa.array([event.get("@record_id") for event in events], pa.int64()),
        "provider": pa.array(fixed("provider", provider), pa.string()).cast(word),
        "event_id": pa.array(fixed("event_id", event_id), pa.string()).cast(word),
    }
    assert list(columns) == FIXED_SCHEMA.names
    names: dict[tuple[str, str], list[str | None]] = {}
    for index, event in enumerate(events):
        for name, value in event.items():
            if not name.startswith("@"):
                kind, text = cell(value)
                names.setdefault((name, kind), [None] * rows)[index] = text
    for (name, kind), texts in names.items():
        columns[field_column(name, kind)] = pa.array(texts, pa.string()).dictionary_encode()
    return EventBatch(evidence, segment, record_base, format, channel, pa.table(columns))
