"""Events for tests, in the shape in which evidence hands them to the hunt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from aleat.evidence.batch import FIXED_SCHEMA, EventBatch, field_column

_FIXED = set(FIXED_SCHEMA.names)


def make_batch(
    rows: Sequence[Mapping[str, Any]],
    *,
    format: str = "windows",
    channel: str = "Security",
    evidence: str = "a.evtx",
    segment: str = "",
    record_base: int = 0,
) -> EventBatch:
    """Make a batch of events; keys that name fixed columns fill those, all others are fields."""
    fixed: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in FIXED_SCHEMA.names}
    for name, default in (("record", 0), ("offset", 0)):
        fixed[name] = [number if value is None else value for number, value in enumerate(fixed[name], default)]
    columns: dict[str, list[str | None]] = {}
    for number, row in enumerate(rows):
        for name, cell in row.items():
            if name not in _FIXED:
                kind, text = _cell(cell)
                columns.setdefault(field_column(name, kind), [None] * len(rows))[number] = text
    table = pa.table(fixed, schema=FIXED_SCHEMA)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.string()).dictionary_encode())
    return EventBatch(evidence, segment, record_base, format, channel, table)


def _cell(cell: Any) -> tuple[str, str]:
    if cell is None:
        return "n", ""
    if isinstance(cell, bool):
        return "b", str(cell).lower()
    if isinstance(cell, str):
        return "s", cell
    if isinstance(cell, int):
        return "i", str(cell)
    if isinstance(cell, float):
        return "f", repr(cell)
    return "l", orjson.dumps(cell, option=orjson.OPT_SORT_KEYS).decode()
