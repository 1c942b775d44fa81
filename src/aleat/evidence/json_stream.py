"""JSON logs as a stream of objects: which layout a file has, where to cut it, and every object with its place.

Lines, arrays, objects one after another, pretty-printed, or an array within an outer object; UTF-8 or UTF-16.
What is no JSON is read again by laxer rules before it is named as broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import orjson

from aleat.errors import Issue, Place
from aleat.evidence.head import Head
from aleat.evidence.json_objects import (
    MAX_NESTING,
    TOO_DEEP,
    FoundObject,
    cut_objects,
    end_of_open_object,
    find_objects,
    is_too_deep,
)
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import (
    FALLBACK,
    TextMap,
    bom_length,
    cut_lines,
    decode_line,
    detect_encoding,
    newline_of,
    split_lines,
)

__all__ = ["JsonStream", "cut_json"]

_MAX_LINE_ISSUES = 1000
"""`issues`: broken lines of one range that are named one by one; the rest is one issue with their number."""

_OF_WRAPPER = re.compile(rb'\s*+(?:\}|"[^"]{0,200}"\s*+:)')
"""What stands behind the records' array in the object that wraps it."""

_MAX_WRAPPERS = 64
"""Objects with records that are looked for behind one another on one line; what comes then is named as broken."""


def cut_json(stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
    """Cut at line ends where each line is an object, else between objects."""
    encoding = detect_encoding(head)
    wrapper = Head(head, "").wrapper[1] if encoding == "utf-8" else 0
    if not wrapper and _is_lines(head, encoding):
        return cut_lines(stream, encoding, options.range_bytes, {"encoding": encoding, "layout": "lines"})
    context: dict[str, Any] = {"encoding": encoding, "layout": "objects"}
    if wrapper:
        context["wrapper"] = wrapper + bom_length(head)
    return cut_objects(stream, encoding, options.range_bytes, context)


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


class JsonStream:
    """Reads one range, and hands each object to `add` with its offset; `add` says whether it takes it.

    Objects that it doesn't take are counted in `strange`; what can't be read is an issue of `result`.
    """

    def __init__(
        self, path: str, span: ByteRange, options: ReadOptions, result: RangeResult, add: Callable[[int, Any], bool]
    ) -> None:
        self.path = path
        self.span = span
        self.encoding = options.encoding
        self.fallback = span.context.get("fallback", FALLBACK)
        self.result = result
        self.strange = 0
        self.first_strange: int | None = None
        self._add_object = add
        self._broken = 0

    def read(self, data: bytes) -> None:
        """Read the range's bytes."""
        skip = bom_length(data) if self.span.start == 0 else 0
        if self.span.context["layout"] == "lines":
            self._read_lines(data, skip)
        else:
            self._read_objects(data, max(skip, self.span.context.get("wrapper", 0)) if self.span.start == 0 else 0)
        if self._broken > _MAX_LINE_ISSUES:
            more = self._broken - _MAX_LINE_ISSUES
            place = Place(self.path, offset=self.span.start)
            reason = f"{more} more JSON objects between here and byte {self.span.end} can't be read."
            self.result.issues.append(Issue("evidence", "broken-json", place, reason, records=more))

    def tell_strange(self, code: str, what: str) -> None:
        """Note how many objects `add` didn't take, and `what` they are."""
        if self.strange:
            reason = f"{self.strange} JSON {what}, and were passed over."
            place = Place(self.path, offset=self.first_strange)
            self.result.issues.append(Issue("evidence", code, place, reason, records=self.strange))

    def _read_lines(self, data: bytes, skip: int) -> None:
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
            text = decode_line(body, self.encoding, self.result.encodings, self.fallback)
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

    def _read_objects(self, data: bytes, skip: int) -> None:
        encoding = self.span.context["encoding"]
        wide = TextMap(data[skip:], encoding) if encoding != "utf-8" else None
        body = wide.utf8 if wide else data
        for item in self._items(body, 0 if wide else skip):
            start, end = item.start, item.end
            if wide:
                start, end = skip + wide.source_offset(start), skip + wide.source_offset(end)
            value = item.value if item.value is not None else self._reread(body[item.start : item.end])
            if value is not None:
                self._add_checked(self.span.start + start, value, end - start, None)
            else:
                self._note_broken(self.span.start + start, end - start, item.reason, None)

    def _items(self, body: bytes, position: int) -> Iterator[FoundObject]:
        """Yield objects, and what is none, but for the end of the object that wraps them."""
        if "wrapper" not in self.span.context:
            yield from find_objects(body, position)
            return
        for _ in range(_MAX_WRAPPERS):
            following = None
            for item in find_objects(body, position):
                if item.value is not None or not _OF_WRAPPER.match(body, item.start):
                    yield item
                    continue
                end = end_of_open_object(body, item.start, item.end)
                if b"{" not in body[max(end, item.start) : item.end]:
                    continue
                if end < 0:
                    yield item
                    continue
                following = end
                break
            if following is None:
                return
            position = following
        yield from find_objects(body, position)

    def _reread(self, body: bytes) -> Any:
        """Try an object again that is no valid JSON: in another encoding, or by laxer rules."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = decode_line(body, self.encoding, self.result.encodings, self.fallback)
        return _lax(text)

    def _add_checked(self, offset: int, value: Any, length: int, number: int | None) -> None:
        """Add an object unless it is nested so deep that what comes after can't work on it."""
        if is_too_deep(value):
            self._note_broken(offset, length, TOO_DEEP, number)
        else:
            self._add(offset, value)

    def _add(self, offset: int, value: Any) -> None:
        if not self._add_object(offset, value):
            self.strange += 1
            if self.first_strange is None:
                self.first_strange = offset

    def _note_broken(self, offset: int, length: int, reason: str, number: int | None) -> None:
        self._broken += 1
        if self._broken > _MAX_LINE_ISSUES:
            return
        line = None if number is None else self.span.first_line + number
        place = Place(self.path, line=line, offset=offset)
        self.result.issues.append(
            Issue("evidence", "broken-json", place, f"JSON can't be read: {reason}.", "", length, 1)
        )


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
