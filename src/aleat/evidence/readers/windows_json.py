"""Windows events as JSON, in the shapes that tools write, laid out in lines, arrays, or objects one after another.

========================  =============================================================================
`evtx_dump`               ``{"Event": {"System": …, "EventData": …}}``, attributes as ``#attributes``
                          or beside their element as ``<Element>_attributes``
Velociraptor              ``System`` and ``EventData`` at the top; ``EventID.Value``; times as epoch numbers
Winlogbeat                ``winlog.…`` (nested or dotted; also its older flat form, and ``_source`` around it)
NXLog, Security-Datasets  everything flat: ``EventID``, ``Channel``, ``Hostname``, and the payload beside them
========================  =============================================================================

Wrappers of the export tool are taken off (``winlog.event_data.X`` is the source's field ``X``); all else is
kept under the name that it has. The time is the event's own where it has a zone; a text without one is read
in the stated zone, else as UTC, which is said ("zone-assumed"). `offset` is the byte of the object's opening brace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from aleat.evidence.clock import time_issues
from aleat.evidence.head import Head
from aleat.evidence.json_stream import JsonStream, cut_json
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.windows_json_shapes import UnknownShapeError, add_object
from aleat.evidence.windows_rows import WindowsTables

__all__ = ["WindowsJsonReader"]

_MARKS = (b'"EventID"', b'"winlog"', b'"winlog.', b'"EventRecordID"', b'"event_data"')
_BESIDE_EVENT_ID = (
    b'"channel"',
    b'"computer_name"',
    b'"log_name"',
    b'"source_name"',
    b'"provider_name"',
    b'"record_id"',
)
"""What stands beside an ``event_id`` of Windows; others have event ids too."""

_NEAR = 65536
_OF_OTHERS = (b'"RuleTitle"', b'"sigmafile"', b'"rule_level"', b'"falsepositives"')
"""What stands in other tools' matches, which hold the events that they matched."""


class WindowsJsonReader:
    """Reads Windows events from JSON."""

    name = "windows-json"
    version = 2

    def detect(self, head: Head) -> bool:
        """Say yes to JSON that names an event id or Winlogbeat's field near its start."""
        if not head.is_json or any(mark in head.body[:_NEAR] for mark in _OF_OTHERS):
            return False
        return any(mark in head.body for mark in _MARKS) or (
            b'"event_id"' in head.body and any(mark in head.body for mark in _BESIDE_EVENT_ID)
        )

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends where each line is an object, else between objects."""
        return cut_json(stream, head, options)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the objects of one range."""
        result = RangeResult()
        rows = WindowsTables(options.host, options)

        def add(offset: int, value: Any) -> bool:
            try:
                add_object(rows, offset, value)
            except UnknownShapeError:
                return False
            return True

        stream = JsonStream(path, span, options, result, add)
        stream.read(data)
        result.tables = list(rows.tables())
        stream.tell_strange("not-windows", "objects from here on are no Windows events")
        result.issues.extend(time_issues(path, span, options, {"windows": rows.clock.found}))
        return result
