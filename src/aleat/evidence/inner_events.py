"""Events that stand in other logs' messages: Windows events as XML, which is how Sysmon for Linux logs; audit records.

A syslog daemon is only their way here, so that they are the events that they would be without it. It may have cut them
off, or have lost the semicolons of their entities: what is there is read, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from aleat.errors import Issue, Place
from aleat.evidence.audit_records import AUDIT_RECORD, AuditJoiner
from aleat.evidence.described import Reading
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.windows_xml import XmlEventError, parse_event

__all__ = ["Found", "InnerEvents", "InnerWindowsEvents"]

Found = tuple[Reading, npt.NDArray[np.int64], dict[str, pl.Series]]
"""Rows of one reading: their places among a range's lines, and their columns."""

_XML_EVENT = r"^\s*<Event[ >]"

_BARE_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos)(?![;a-z])")
_PARTIAL_END = re.compile(r"(?:<[^<>]*+|&[a-z0-9#]{0,8}+)$")


class InnerWindowsEvents:
    """Collects the Windows events of one range's messages."""

    def __init__(self, options: ReadOptions) -> None:
        self._rows = WindowsTables(options.host, options)
        self._cut = 0
        self._first_cut = 0

    def take(self, record: int, offset: int, event: dict[str, Any]) -> None:
        """Take an event (see `read`) as the range's record number `record`."""
        self._rows.events = record
        self._rows.add_event(offset, event)

    def read(self, offset: int, text: str) -> dict[str, Any] | None:
        """Return the event in a message, or None where there is none."""
        text = text.strip()
        if not text.startswith(("<Event>", "<Event ")):
            return None
        is_whole = text.endswith("</Event>")
        try:
            event = parse_event(text if is_whole else _closed(text))
        except XmlEventError:
            try:
                event = parse_event(_BARE_ENTITY.sub(r"&\1;", text if is_whole else _closed(text)))
            except XmlEventError:
                return None
        if not is_whole:
            self._first_cut = self._first_cut if self._cut else offset
            self._cut += 1
        return event

    def finish(self, path: str, result: RangeResult) -> None:
        """Put the tables and what is said of them into the result."""
        result.tables.extend(self._tables())
        if self._cut:
            reason = f"{self._cut} events from here on were cut off on their way; they were read as far as they go."
            advice = "Let the syslog daemon take longer messages."
            place = Place(path, offset=self._first_cut)
            result.issues.append(Issue("evidence", "odd-line", place, reason, advice, records=0))

    def _tables(self) -> Iterator[tuple[str, str, pa.Table]]:
        yield from self._rows.tables()


def _closed(text: str) -> str:
    """Return an event that was cut off within its data, closed behind what is there.

    >>> _closed('<Event><System/><EventData><Data Name="a">b &am')
    '<Event><System/><EventData><Data Name="a">b </Data></EventData></Event>'
    """
    text = _PARTIAL_END.sub("", text)
    inside = text.count("<Data ") > text.count("</Data>")
    return f"{text}{'</Data>' if inside else ''}</EventData></Event>"


class InnerEvents:
    """Takes the events of other formats out of the rows of a range whose messages hold them."""

    def __init__(self, format_: str) -> None:
        self._format = format_
        self._windows: dict[int, dict[str, Any]] = {}
        self._audit = AuditJoiner()
        self._has_audit = False
        self.later: list[int] = []

    def take_out(self, found: list[Found], offsets: npt.NDArray[np.int64], windows: InnerWindowsEvents) -> list[Found]:
        """Return `found` without the rows that hold such events; `later` has places that belong to an event before."""
        kept: list[Found] = []
        for reading, places, columns in found:
            messages = columns.get("message") if reading.format == self._format else None
            if messages is None:
                kept.append((reading, places, columns))
                continue
            stays = np.ones(len(places), np.bool_)
            for row in np.flatnonzero(messages.str.contains(_XML_EVENT).fill_null(value=False).to_numpy()).tolist():
                place = int(places[row])
                event = windows.read(int(offsets[place]), messages[row])
                if event is not None:
                    self._windows[place] = event
                    stays[row] = False
            audit = np.flatnonzero(messages.str.contains(AUDIT_RECORD).fill_null(value=False).to_numpy()).tolist()
            hosts = columns.get("fact_host")
            for row in audit:
                if self._audit.add(int(places[row]), messages[row], (hosts[row] or "") if hosts is not None else ""):
                    self._has_audit = True
                    stays[row] = False
            if not stays.all():
                mask = pl.Series(stays)
                columns = {name: column.filter(mask) for name, column in columns.items()}  # noqa: PLW2901
                places = places[stays]  # noqa: PLW2901
            if len(places):
                kept.append((reading, places, columns))
        self._events = list(self._audit.events()) if self._has_audit else []
        self.later = [place for _, places, _ in self._events for place in places[1:]]
        return kept

    def add(
        self,
        records: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        windows: InnerWindowsEvents,
        place: tuple[str, ByteRange, ReadOptions, RangeResult],
    ) -> None:
        """Add the events, each with the record number of its first line."""
        for line, event in sorted(self._windows.items()):
            windows.take(int(records[line]), int(offsets[line]), event)
        if self._events:
            # not at the top: it imports this module
            from aleat.evidence.readers.auditd import audit_rows  # noqa: PLC0415

            rows = audit_rows(*place)
            for line, _, fields in self._events:
                rows.count = int(records[line])
                rows.add(int(offsets[line]), fields)
            rows.finish()
