"""Windows events as JSON, in the shapes that tools write, laid out in lines, arrays, or objects one after another.

========================  =============================================================================
`evtx_dump`               ``{"Event": {"System": …, "EventData": …}}``, attributes as ``#attributes``
                          or beside their element as ``<Element>_attributes``
Velociraptor              ``System`` and ``EventData`` at the top; ``EventID.Value``; times as epoch numbers
Winlogbeat                ``winlog.…`` (nested or dotted; also its older flat form, and ``_source`` around it)
NXLog, Security-Datasets  everything flat: ``EventID``, ``Channel``, ``Hostname``, and the payload beside them
========================  =============================================================================

Wrappers of the export tool are taken off (``winlog.event_data.X`` is the source's field ``X``); all else is
kept under the name that it has. The time is the event's own where it has a zone; a text without one is taken
as UTC, and counted ("zone-assumed"). `offset` is the byte of the object's opening brace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from aleat.errors import Issue, Place
from aleat.evidence.head import Head
from aleat.evidence.json_objects import MAX_NESTING, TOO_DEEP, cut_objects, find_objects, is_too_deep
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import TextMap, bom_length, cut_lines, decode_line, detect_encoding, newline_of, split_lines
from aleat.evidence.windows_json_shapes import UnknownShapeError, add_object
from aleat.evidence.windows_rows import WindowsTables

__all__ = ["WindowsJsonReader"]

_MARKS = (b'"EventID"', b'"winlog"', b'"winlog.', b'"event_id"', b'"EventRecordID"', b'"event_data"')
_MAX_LINE_ISSUES = 1000
"""`issues`: broken lines of one range that are named one by one; the rest is one issue with their number."""


class WindowsJsonReader:
    """Reads Windows events from JSON."""

    name = "windows-json"
    version = 2

    def detect(self, head: Head) -> bool:
        """Say yes to JSON that names an event id or Winlogbeat's field near its start."""
        return head.is_json and any(mark in head.body for mark in _MARKS)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends where each line is an object, else between objects."""
        encoding = detect_encoding(head)
        lines = _is_lines(head, encoding)
        context = {"encoding": encoding, "layout": "lines" if lines else "objects"}
        cut = cut_lines if lines else cut_objects
        return cut(stream, encoding, options.range_bytes, context)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the objects of one range."""
        work = _Work(path, span, options)
        skip = bom_length(data) if span.start == 0 else 0
        if span.context["layout"] == "lines":
            work.read_lines(data, skip)
        else:
            work.read_objects(data, skip)
        return work.finish()


def _is_lines(head: bytes, encoding: str) -> bool:
    """Say whether one of the first lines is an object by itself."""
    body = head[bom_length(head) :]
    body = body[: len(body) - len(body) % len(newline_of(encoding))]
    if body[:4096].decode(encoding, "ignore").lstrip().startswith("["):
        return False
    lines = split_lines(body, encoding)
    if len(lines) > 1:
        lines.pop()  # cut off by the head's end, or empty
    for line in lines[:20]:
        try:
            value = orjson.loads(line.decode(encoding, "replace"))
        except ValueError:
            continue
        return isinstance(value, dict)
    return False


class _Work:
    """The state of reading one range."""

    def __init__(self, path: str, span: ByteRange, options: ReadOptions) -> None:
        self.path = path
        self.span = span
        self.encoding = options.encoding
        self.result = RangeResult()
        self.rows = WindowsTables(options.host)
        self.strange = 0
        self.first_strange: int | None = None
        self.broken = 0

    def read_lines(self, data: bytes, skip: int) -> None:
        encoding = self.span.context["encoding"]
        if encoding != "utf-8":
            self._read_wide_lines(data, skip, encoding)
            return
        loads = orjson.loads
        offset = self.span.start + skip
        for number, line in enumerate((data[skip:] if skip else data).split(b"\n")):
            try:
                value = loads(line)
                start = offset if line[:1] == b"{" else offset + len(line) - len(line.lstrip())
                if line.count(b"[") + line.count(b"{") > MAX_NESTING:
                    self._add_checked(start, value, len(line), number)
                else:
                    self._add(start, value)
            except ValueError:
                if not line.isspace() and line:
                    self._read_odd_line(line, offset, number)
            offset += len(line) + 1

    def _read_wide_lines(self, data: bytes, skip: int, encoding: str) -> None:
        offset = self.span.start + skip
        width = len(newline_of(encoding))
        for number, line in enumerate(split_lines(data[skip:], encoding)):
            text = line.decode(encoding, "replace")
            body = text.lstrip()
            at = offset + width * (len(text) - len(body))
            if body:
                try:
                    self._add_checked(at, orjson.loads(body), len(line), number)
                except ValueError:
                    self._note_broken(at, len(line), "the line is no JSON object", number)
            offset += len(line) + width

    def _read_odd_line(self, line: bytes, offset: int, number: int) -> None:
        """Read a line that is no plain JSON object: another encoding, several objects, lax JSON; or name it."""
        body = line.strip().rstrip(b",")
        offset += len(line) - len(line.lstrip())
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = decode_line(body, self.encoding, self.result.encodings)
            try:
                self._add_checked(offset, orjson.loads(text), len(body), number)
            except ValueError:
                self._note_broken(offset, len(body), "the line is no JSON object", number)
            return
        if (value := _lax(text)) is not None:
            self._add_checked(offset, value, len(body), number)
            return
        found = list(find_objects(body)) if body[:1] == b"{" else []
        if any(item.value is not None for item in found):
            for item in found:
                if item.value is not None:
                    self._add_checked(offset + item.start, item.value, item.end - item.start, number)
                else:
                    self._note_broken(offset + item.start, item.end - item.start, item.reason, number)
        else:
            self._note_broken(offset, len(body), "the line is no JSON object", number)

    def read_objects(self, data: bytes, skip: int) -> None:
        encoding = self.span.context["encoding"]
        wide = TextMap(data[skip:], encoding) if encoding != "utf-8" else None
        body = wide.utf8 if wide else data
        for item in find_objects(body, 0 if wide else skip):
            start, end = item.start, item.end
            if wide:
                start, end = skip + wide.source_offset(start), skip + wide.source_offset(end)
            value = item.value if item.value is not None else self._reread(body[item.start : item.end])
            if value is not None:
                self._add_checked(self.span.start + start, value, end - start, None)
            else:
                self._note_broken(self.span.start + start, end - start, item.reason, None)

    def _reread(self, body: bytes) -> Any:
        """Try an object again that is no valid JSON: in another encoding, or by laxer rules."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = decode_line(body, self.encoding, self.result.encodings)
        return _lax(text)

    def _add_checked(self, offset: int, value: Any, length: int, number: int | None) -> None:
        """Add an object unless it is nested so deep that what comes after can't work on it."""
        if is_too_deep(value):
            self._note_broken(offset, length, TOO_DEEP, number)
        else:
            self._add(offset, value)

    def _add(self, offset: int, value: Any) -> None:
        try:
            add_object(self.rows, offset, value)
        except UnknownShapeError:
            self.strange += 1
            if self.first_strange is None:
                self.first_strange = offset

    def _note_broken(self, offset: int, length: int, reason: str, number: int | None) -> None:
        self.broken += 1
        if self.broken > _MAX_LINE_ISSUES:
            return
        line = None if number is None else self.span.first_line + number
        place = Place(self.path, line=line, offset=offset)
        self.result.issues.append(
            Issue("evidence", "broken-json", place, f"JSON can't be read: {reason}.", "", length, 1)
        )

    def finish(self) -> RangeResult:
        result = self.result
        result.tables = list(self.rows.tables())
        if self.broken > _MAX_LINE_ISSUES:
            more = self.broken - _MAX_LINE_ISSUES
            place = Place(self.path, offset=self.span.start)
            reason = f"{more} more JSON objects between here and byte {self.span.end} can't be read."
            result.issues.append(Issue("evidence", "broken-json", place, reason, records=more))
        if self.strange:
            reason = f"{self.strange} JSON objects from here on are no Windows events, and were passed over."
            place = Place(self.path, offset=self.first_strange)
            result.issues.append(Issue("evidence", "not-windows", place, reason, records=self.strange))
        if self.rows.zoneless:
            reason = f"{self.rows.zoneless} events have a time without a zone: it was taken as UTC."
            result.issues.append(Issue("evidence", "zone-assumed", Place(self.path, offset=self.span.start), reason))
        return result


def _lax(text: str) -> dict[str, Any] | None:
    """Parse what `orjson` refuses and Python's parser takes (control characters, lone surrogates, NaN)."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or is_too_deep(value):
        return None
    return {_plain(key): _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    """Replace lone surrogates, which no UTF-8 text can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
