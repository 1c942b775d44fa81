"""Linux's audit log (`/var/log/audit/audit.log`), raw or enriched: ``layout = "audit"``.

Records are read and joined by `audit_records`. Those of one event stand together, but for what other processors wrote
between them: a range ends where no event is open, as far as the next 64 lines show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from aleat.evidence.audit_records import AUDIT_RECORD, AuditJoiner, audit_key
from aleat.evidence.described import Reading, reading_of
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.json_records import JsonRows
from aleat.evidence.text import MAX_LINE_BYTES, LineNotes, bom_length, cut_lines, detect_encoding, numbered_lines
from aleat.formats import format_named

__all__ = ["AuditReader", "audit_rows"]

_RECORD = re.compile(AUDIT_RECORD)
_WINDOW = 64
_FAR = 4096
"""Where no event ends for so many lines, one is cut."""
_SHARE = 0.5


class AuditReader:
    """Reads audit logs."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = f"1-{reading.version}"

    def detect(self, head: Head) -> bool:
        """Say yes where the lines are audit records."""
        lines = head.lines[:20]
        good = sum(1 for line in lines if _RECORD.match(line[:2048]))
        return good > 0 and good >= _SHARE * len(lines)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends between events."""
        encoding = detect_encoding(head)
        return _between_events(cut_lines(stream, encoding, options.range_bytes, {"encoding": encoding}), encoding)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the events of one range; each is where its first record is."""
        result = RangeResult()
        notes = LineNotes(path, span, result)
        joiner = AuditJoiner()
        skip = bom_length(data) if span.start == 0 else 0
        offsets: list[int] = []
        for offset, number, line in numbered_lines(data, span, skip, options.encoding, result.encodings):
            text = line.rstrip("\r")
            offsets.append(offset)
            if text.strip() and not joiner.add(number, text):
                notes.broken(offset, number, len(text.encode("utf-8", "replace")), "The line is no audit record.")
        rows = audit_rows(path, span, options, result)
        for place, _, fields in joiner.events():
            rows.add(offsets[place], fields)
        notes.finish()
        rows.finish()
        return result


def audit_rows(path: str, span: ByteRange, options: ReadOptions, result: RangeResult) -> JsonRows:
    """Return what makes tables of audit events."""
    found = format_named("auditd")
    assert found is not None  # noqa: S101 - the package ships it
    return JsonRows(reading_of("auditd", found.read[0]), path, span, options, result)


def _between_events(ranges: Iterator[tuple[ByteRange, bytes]], encoding: str) -> Iterator[tuple[ByteRange, bytes]]:
    """Move each cut forward to where no event is open."""
    feed = "\n".encode(encoding)
    waiting: tuple[ByteRange, bytes] | None = None
    edge = index = 0
    for span, data in ranges:
        if waiting is None:
            waiting, edge = (span, data), len(data)
            continue
        first, held = waiting
        held += data
        waiting = replace(first, end=span.end), held
        while (cut := _closed_at(held, edge, feed, encoding)) is not None:
            before = held[:cut]
            yield replace(waiting[0], index=index, end=waiting[0].start + cut), before
            index += 1
            rest = replace(
                waiting[0], start=waiting[0].start + cut, first_line=waiting[0].first_line + before.count(feed)
            )
            held = held[cut:]
            waiting, edge = (rest, held), max(len(data), 1)
            if edge >= len(held):
                edge = len(held)
                break
    if waiting is not None:
        yield replace(waiting[0], index=index), waiting[1]


def _closed_at(data: bytes, edge: int, feed: bytes, encoding: str) -> int | None:
    """Return the first line's start at or behind `edge` where no event is open; None where that isn't seen yet."""
    width = len(feed)
    start = edge
    for _ in range(_WINDOW):  # lines before the edge
        found = data.rfind(feed, 0, max(start - width, 0))
        if found < 0:
            start = 0
            break
        start = found + width
    lines: list[tuple[int, tuple[str, str, str] | None]] = []
    place = 0
    while len(lines) < _FAR:
        while len(lines) <= place + _WINDOW and (end := data.find(feed, start)) >= 0:
            lines.append((start, audit_key(data[start : min(end, start + 2048)].decode(encoding, "replace"))))
            start = end + width
        if len(lines) <= place + _WINDOW:  # what comes behind isn't here yet
            return edge if len(data) - edge > MAX_LINE_BYTES else None
        at = lines[place][0]
        before = {key for _, key in lines[max(0, place - _WINDOW) : place] if key is not None}
        if at >= edge and not any(key in before for _, key in lines[place : place + _WINDOW]):
            return at
        place += 1
    return lines[place][0]
