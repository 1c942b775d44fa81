"""Windows events as XML: the Event Viewer's export, `wevtutil`'s, and what `ToXml()` of `Get-WinEvent` gives.

====================  ==================================================================================
Event Viewer          ``<Events><Event …>…</Event>…</Events>``, all in one line, or pretty-printed
`wevtutil qe /f:xml`  one event after the other without a root; with ``/e:Events`` one around them
`ToXml()`             an event a line, in UTF-8 or (PowerShell's ``>``) UTF-16
====================  ==================================================================================

An event is found by its start tag with the System element behind it and parsed by itself, so that a broken one costs
nothing else. Rendered texts (``RenderingInfo``) are kept as ``RenderingInfo.Message`` and so on. What is declared
before the events (a document type with entities) is named and never used. `offset` is the byte of ``<Event``.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO

from aleat.errors import Issue, Place
from aleat.evidence.clock import time_issues, zone_issue
from aleat.evidence.head import Head
from aleat.evidence.json_objects import read_to
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import FALLBACK, bom_length, decode_line, detect_encoding
from aleat.evidence.windows_rows import WindowsTables
from aleat.evidence.windows_xml import EVENT_START, MAX_EVENT_BYTES, XmlEventError, parse_event

__all__ = ["WindowsXmlReader"]

_BEGINS = re.compile(rb"\s*+<(?:\?xml|!--|!DOCTYPE|(?:[A-Za-z_][\w.-]{0,40}:)?Events?[\s>])", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._-]{1,40})")
_END = re.compile(rb"</(?:[A-Za-z_][\w.-]{0,40}:)?Event\s{0,9}>")
_BETWEEN = re.compile(
    rb"(?:[\s\x00]++|<\?[^>]*+>|<!--(?:[^-]++|-(?!->))*+-->|</?(?:[A-Za-z_][\w.-]{0,40}:)?Events(?:\s[^<>]*+)?>"
    rb"|\xef\xbb\xbf)*+"
)
"""What may stand around events: white space, a root, the XML declaration, comments."""
_ENTITY = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ZONE = re.compile(r"(?:UTC|[+-]\d\d:?\d\d)\Z", re.ASCII)
_BLOCK = 1024 * 1024
_OVERLAP = 8192
_MAX_ISSUES = 1000
"""`issues`: broken events of one range that are named one by one; the rest is one issue with their number."""


class WindowsXmlReader:
    """Reads Windows events from XML."""

    name = "windows-xml"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes to XML that has an event with a System element near its start."""
        return _BEGINS.match(head.body) is not None and EVENT_START.search(head.body) is not None

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut where an event starts, at or after each multiple of a range's length."""
        encoding = detect_encoding(head)
        context = {"encoding": encoding, "declared": _declared(head) if encoding == "utf-8" else None}
        start_tag = _wide_start(encoding) if encoding != "utf-8" else EVENT_START
        data, start, boundary, index, ended = b"", 0, 0, 0, False
        while not ended or data:
            boundary += options.range_bytes
            data, ended = read_to(stream, data, boundary - start)
            cut = len(data)
            if not ended:
                data, cut, ended = _find_cut(stream, data, start_tag, max(boundary - start, 1))
            if cut:
                yield ByteRange(index, start, start + cut, context), data[:cut]
                start += cut
                data = data[cut:]
                index += 1

    def record_length(self, data: bytes, at: int) -> int | None:
        """Return the length of the event at `at`, up to its last end tag; None where the text isn't UTF-8."""
        if EVENT_START.match(data, at) is None:
            return None
        following = EVENT_START.search(data, at + 1)
        end = at
        for found in _END.finditer(data, at, following.start() if following else min(len(data), at + MAX_EVENT_BYTES)):
            end = found.end()
        return end - at or None

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the events of one range."""
        rows = WindowsTables(options.host, options)
        work = _Work(data, span, path, options, rows)
        result = work.read()
        result.tables = list(rows.tables())
        result.issues.extend(time_issues(path, span, options, {"windows": rows.clock.found}))
        return result

    def read_rows(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, rows: WindowsTables
    ) -> RangeResult:
        """Read the events of one range into `rows`, which may hold those of other ranges already."""
        work = _Work(data, span, path, options, rows)
        result = work.read()
        if work.zoneless:
            result.issues.append(zone_issue(path, span, work.zoneless, options))
        return result


def _declared(head: bytes) -> str | None:
    """Return the code page that the XML declaration names, where it is one of single bytes that Python knows."""
    found = _DECLARED.match(head[bom_length(head) :].lstrip())
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode()).name
        "<".encode(name)
    except (LookupError, UnicodeError):
        return None
    return name if name != "utf-8" and "<".encode(name) == b"<" else None


def _wide_start(encoding: str) -> re.Pattern[bytes]:
    """Return `EVENT_START` for UTF-16."""

    def one(character: bytes) -> bytes:
        return character + rb"\x00" if encoding == "utf-16-le" else rb"\x00" + character

    def word(text: str) -> bytes:
        return b"".join(one(letter.encode()) for letter in text)

    prefix = b"(?:(?:" + one(rb"[\w.-]") + b"){1,41}" + word(":") + b")?"
    attributes = b"(?:" + one(rb"\s") + b"(?:" + one(rb"[^<>]") + b"){0,2000})?"
    space = b"(?:" + one(rb"\s") + b")*+"
    return re.compile(
        word("<") + prefix + word("Event") + attributes + word(">") + space + word("<") + prefix + word("System")
    )


def _find_cut(stream: BinaryIO, data: bytes, start_tag: re.Pattern[bytes], target: int) -> tuple[bytes, int, bool]:
    """Return (data, where to cut, whether the stream ended): where an event starts at or after `target`."""
    ended = False
    searched = target
    wide = start_tag is not EVENT_START
    while True:
        found = start_tag.search(data, searched)
        while found is not None and wide and found.start() % 2:
            found = start_tag.search(data, found.start() + 1)
        if found is not None:
            return data, found.start(), ended
        if ended or len(data) - target > 2 * MAX_EVENT_BYTES:
            return data, len(data) - len(data) % 2 * wide, ended
        searched = max(target, len(data) - _OVERLAP)
        data, ended = read_to(stream, data, len(data) + _BLOCK)


def _is_zoneless(event: dict[str, Any]) -> bool:
    created = event["System"].get("TimeCreated")
    time = created.get("#attributes", {}).get("SystemTime") if isinstance(created, dict) else None
    return isinstance(time, str) and time[-1:] != "Z" and _ZONE.search(time) is None


class _Work:
    """The state of reading one range."""

    def __init__(self, data: bytes, span: ByteRange, path: str, options: ReadOptions, rows: WindowsTables) -> None:
        self.path = path
        self.span = span
        self.rows = rows
        self.result = RangeResult()
        self.encoding = options.encoding or span.context["declared"]
        self.fallback = span.context.get("fallback", FALLBACK)
        self.broken = self.zoneless = 0
        self.place = _Offsets(data, span)
        self.data = self.place.utf8

    def read(self) -> RangeResult:
        data = self.data
        starts = [found.start() for found in EVENT_START.finditer(data)]
        self._between(0, starts[0] if starts else len(data))
        for start, limit in pairwise([*starts, len(data)]):
            end = start
            for found in _END.finditer(data, start, limit):
                end = found.end()
            if end == start:
                self._broken(start, limit, "it isn't closed")
                continue
            self._event(start, end)
            self._between(end, limit)
        if self.broken > _MAX_ISSUES:
            more = self.broken - _MAX_ISSUES
            reason = f"{more} more events between here and byte {self.span.end} can't be read."
            place = Place(self.path, offset=self.span.start)
            self.result.issues.append(Issue("evidence", "broken-xml", place, reason, records=more))
        return self.result

    def _event(self, start: int, end: int) -> None:
        if end - start > MAX_EVENT_BYTES:
            self._broken(start, end, f"it is longer than {MAX_EVENT_BYTES} bytes (limit: event bytes)")
            return
        piece = self.data[start:end]
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError:
            text = decode_line(piece, self.encoding, self.result.encodings, self.fallback)
        try:
            event = parse_event(text)
        except XmlEventError as error:
            self._broken(start, end, str(error))
            return
        self.zoneless += _is_zoneless(event)
        self.rows.add_event(self.place.of(start), event)

    def _between(self, start: int, end: int) -> None:
        """Name what stands between events and is no part of such a file."""
        found = _BETWEEN.match(self.data, start, end)
        start = found.end() if found else start
        rest = self.data[start:end]
        if not rest.strip():
            return
        at = self.place.of(start)
        length = self.place.of(end) - at
        if _ENTITY.search(rest):
            reason = "A document type is declared before the events; entities are never expanded."
            self.result.lost(self.path, "document-type", at, length, reason, records=0)
        else:
            reason = "This text between events is none; it was passed over."
            self.result.lost(self.path, "broken-xml", at, length, reason, records=0)

    def _broken(self, start: int, end: int, why: str) -> None:
        self.broken += 1
        if self.broken <= _MAX_ISSUES:
            at = self.place.of(start)
            reason = f"The event can't be read: {why}."
            self.result.lost(self.path, "broken-xml", at, self.place.of(end) - at, reason, records=1)


class _Offsets:
    """A range's text as UTF-8, and where in the stream a byte of it came from (asked in rising order)."""

    def __init__(self, data: bytes, span: ByteRange) -> None:
        encoding = span.context["encoding"]
        self._wide = encoding if encoding != "utf-8" else None
        self._asked, self._source = 0, span.start
        self.utf8 = data
        if self._wide is not None:
            self.utf8 = data.decode(encoding, "replace").encode("utf-8", "replace")

    def of(self, offset: int) -> int:
        """Return the offset in the stream of the character that stands at `offset` in `utf8`."""
        step = offset - self._asked
        if self._wide is not None:
            step = len(self.utf8[self._asked : offset].decode("utf-8", "replace").encode(self._wide))
        self._asked, self._source = offset, self._source + step
        return self._source
