"""Records that hold a log's message among other fields (systemd's journal): what the message's program says in it.

The forms are those in which `aleat.formats` reads the messages of syslog itself (``within = "syslog"`` in
``syslog.toml``); their groups become fields beside the record's own. A message that is a Windows event as XML is that
event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from aleat.evidence.inner_events import InnerWindowsEvents
from aleat.evidence.reader import RangeResult, ReadOptions
from aleat.evidence.readers.json_records import JsonRows
from aleat.evidence.readers.lines import parts_of

__all__ = ["MessageRows"]

_BLOCK = 4096
_FORMAT = "syslog"


class MessageRows:
    """Hands records on to `rows`, with what their messages tell."""

    def __init__(self, rows: JsonRows, field: str, program: str, options: ReadOptions) -> None:
        self._rows = rows
        self._field = field
        self._program = program
        self._windows = InnerWindowsEvents(options)
        self._waiting: list[tuple[int, dict[str, Any]]] = []

    def add(self, offset: int, record: dict[str, Any]) -> None:
        """Add the record at `offset` in the stream."""
        message = record.get(self._field)
        if isinstance(message, list):  # journalctl writes what is no UTF-8 as numbers
            text = _text_of(message)
            record = record if text is None else {**record, self._field: text}
        self._waiting.append((offset, record))
        if len(self._waiting) >= _BLOCK:
            self._flush()

    def finish(self, path: str, result: RangeResult) -> None:
        """Hand on what waits; the caller finishes `rows`."""
        self._flush()
        self._windows.finish(path, result)

    def _flush(self) -> None:
        messages = [_plain(record.get(self._field)) for _, record in self._waiting]
        programs = [_plain(record.get(self._program)) for _, record in self._waiting]
        parts = parts_of(_FORMAT, pl.Series(messages, dtype=pl.String), pl.Series(programs, dtype=pl.String))
        for number, (offset, record) in enumerate(self._waiting):
            event = self._windows.read(offset, messages[number] or "")
            if event is not None:
                self._windows.take(self._rows.count, offset, event)
                self._rows.count += 1
            else:
                self._rows.add(offset, _with_parts(record, parts.get(number)))
        self._waiting = []


def _with_parts(record: dict[str, Any], parts: Mapping[str, str] | None) -> dict[str, Any]:
    if not parts:
        return record
    return record | {name: value for name, value in parts.items() if name not in record}


def _plain(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text_of(numbers: list[Any]) -> str | None:
    if not numbers or not all(type(number) is int and 0 <= number < 256 for number in numbers):
        return None
    return np.array(numbers, np.uint8).tobytes().decode("utf-8", "replace")
