"""Events that stand in other logs' messages: Windows events as XML (Sysmon for Linux), audit records.

A syslog daemon is only their way here, so that they are the events that they would be without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from aleat.evidence.reader import ReadOptions
from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.windows_xml import XmlEventError, parse_event

__all__ = ["XML_EVENT", "InnerWindowsEvents"]

XML_EVENT = r"^\s*<Event[ >]"
"""Expression (Rust's and Python's) of a message that may hold a Windows event."""


class InnerWindowsEvents:
    """Collects the Windows events of one range's messages."""

    def __init__(self, options: ReadOptions) -> None:
        self._rows = WindowsTables(options.host, options)

    def take(self, record: int, offset: int, text: str) -> bool:
        """Take the event in `text` as the range's record number `record`; say no where there is none."""
        text = text.strip()
        if not text.startswith("<Event") or not text.endswith("</Event>"):
            return False
        try:
            event = parse_event(text)
        except XmlEventError:
            return False
        self._rows.events = record
        self._rows.add_event(offset, event)
        return True

    def tables(self) -> Iterator[tuple[str, str, pa.Table]]:
        """Yield (format, channel, table)."""
        yield from self._rows.tables()
