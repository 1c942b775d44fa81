"""Finding the objects of a JSON stream that isn't one object a line: arrays, concatenated, pretty-printed.

The bytes are scanned once, in linear time. An object that is laid out by a pretty-printer is found by its
closing brace at the indentation of its opening one; any other by counting braces outside of strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from aleat.evidence.reader import ByteRange

__all__ = [
    "MAX_NESTING",
    "MAX_OBJECT_BYTES",
    "TOO_DEEP",
    "FoundObject",
    "cut_objects",
    "end_of_open_object",
    "find_objects",
    "is_too_deep",
    "parse_object",
    "read_to",
]

MAX_OBJECT_BYTES = 16 * 1024 * 1024
"""`object bytes`: a longer object is passed over as unreadable."""
MAX_NESTING = 128
"""`nesting`: a deeper object is passed over as unreadable."""
TOO_DEEP = f"it is nested deeper than {MAX_NESTING} levels (limit: nesting)"

_BLOCK = 1024 * 1024
_SPACE = re.compile(rb"[\s,\[\]]*+")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]', re.DOTALL)
_OPENED = re.compile(rb"\{[ \t]*\r?\n")
_OPENING, _CLOSING = b"{[", b"}]"
_PATIENCE = 64
_LINE_START = re.compile(rb"\n[ \t]*\{")


@dataclass(frozen=True, slots=True)
class FoundObject:
    """Bytes `start` to `end`, and the object they hold, or (`value` None) why they hold none."""

    start: int
    end: int
    value: dict[str, Any] | None
    reason: str = ""
    unfinished: bool = False


def is_too_deep(value: Any) -> bool:
    """Return whether a parsed value is nested deeper than `MAX_NESTING` levels."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        inner = [item for item in level if isinstance(item, (dict, list))]
        level = [child for item in inner for child in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return False
    return True


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the one object that a text is, or None where it is none, or nested too deep.

    >>> parse_object(' {"a": 1}'), parse_object("[1]"), parse_object("")
    ({'a': 1}, None, None)
    """
    if text.lstrip()[:1] != (b"{" if isinstance(text, bytes) else "{"):
        return None
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and not is_too_deep(value) else None


def find_objects(data: bytes, position: int = 0) -> Iterator[FoundObject]:
    """Yield the top-level objects of `data` in order (those of top-level arrays too), and what is none of it."""
    found_so_far = misfits = losses = 0
    while True:
        match = _SPACE.match(data, position)
        position = match.end() if match else position
        if position >= len(data):
            return
        if data[position] != 0x7B:  # {
            end = _resume(data, position)
            yield FoundObject(position, end, None, "there is text between the JSON objects")
            position = end
            continue
        found = _laid_out(data, position) if misfits * 16 <= found_so_far + 128 else None
        if found is None:
            misfits += 1
            found = _counted(data, position, patient=losses < _PATIENCE)
        found_so_far += 1
        losses += found.value is None
        yield found
        position = found.end


def end_of_open_object(data: bytes, start: int, limit: int) -> int:
    """Return where an object ends whose members from `start` on are the rest of it; -1 where they are none."""
    depth = 1
    for match in _TOKEN.finditer(data, start, limit):
        token = data[match.start()]
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
            if depth == 0:
                try:
                    orjson.loads(b"{" + data[start : match.end()])
                except ValueError:
                    return -1
                return match.end()
    return -1


def _laid_out(data: bytes, start: int) -> FoundObject | None:
    """Return the object whose closing brace stands at the indentation of its opening one, if that parses."""
    if not _OPENED.match(data, start):
        return None
    indent = data[data.rfind(b"\n", 0, start) + 1 : start]
    if indent.strip(b" \t"):
        return None
    closing = b"\n" + indent + b"}"
    at = data.find(closing, start, start + MAX_OBJECT_BYTES)
    if at < 0:
        return None
    end = at + len(closing)
    try:
        value = orjson.loads(data[start:end])
    except ValueError:
        return None
    return FoundObject(start, end, value)


def _counted(data: bytes, start: int, *, patient: bool) -> FoundObject:
    """Count braces to the end of the object; after a loss, go on behind its first brace if `patient`."""
    depth, position, reason = 0, start, ""
    for match in _TOKEN.finditer(data, start):
        token = data[match.start()]
        position = match.end()
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
            if depth == 0:
                return _parsed(data, start, position)
        if depth > MAX_NESTING:
            reason = TOO_DEEP
            break
        if position > start + MAX_OBJECT_BYTES:
            reason = f"it is longer than {MAX_OBJECT_BYTES} bytes (limit: object bytes)"
            break
    resume = _resume(data, start + 1 if patient else position)
    return FoundObject(start, resume, None, reason or "the JSON object isn't closed", unfinished=not reason)


def _parsed(data: bytes, start: int, end: int) -> FoundObject:
    try:
        return FoundObject(start, end, orjson.loads(data[start:end]))
    except ValueError:
        return FoundObject(start, end, None, "it is no valid JSON")


def _resume(data: bytes, position: int) -> int:
    """Return where the next object may start: a brace that is the first on its line, or the end."""
    match = _LINE_START.search(data, position)
    return match.end() - 1 if match else len(data)


def cut_objects(
    stream: BinaryIO, encoding: str, range_bytes: int, context: Mapping[str, Any]
) -> Iterator[tuple[ByteRange, bytes]]:
    """Cut a stream where an object starts on its own line, as the first one does, past each multiple of `range_bytes`.

    Where objects don't start on lines of their own, braces are counted; where nothing helps, a range is as
    long as a range and an object may be together, and is cut there.
    """
    data, start, boundary, index, ended = b"", 0, 0, 0, False
    marker: bytes | None = None
    while not ended:
        boundary += range_bytes
        data, ended = read_to(stream, data, boundary - start)
        if marker is None:
            marker = _marker(data, encoding)
        cut = len(data)
        if not ended:
            target = max(boundary - start, 0)
            cut = _find_marker(data, marker, target)
            if cut < 0:
                data, ended = read_to(stream, data, target + MAX_OBJECT_BYTES)
                cut = _find_marker(data, marker, target)
            if cut < 0:
                cut = _object_end(data, target) if encoding == "utf-8" else len(data) - len(data) % 2
        if cut:
            yield ByteRange(index, start, start + cut, context), data[:cut]
            start += cut
            data = data[cut:]
            index += 1
    if data:
        yield ByteRange(index, start, start + len(data), context), data


def read_to(stream: BinaryIO, data: bytes, length: int) -> tuple[bytes, bool]:
    """Read on until `data` has `length` bytes; say whether the stream ended before."""
    pieces, have = [data], len(data)
    while have < length and (block := stream.read(min(length - have, _BLOCK))):
        pieces.append(block)
        have += len(block)
    return b"".join(pieces), have < length


def _marker(data: bytes, encoding: str) -> bytes:
    """Return the line start of the first object: a line feed, its indentation, its brace."""
    head = data[:_BLOCK].decode(encoding, "ignore")
    brace = head.find("{")
    indent = head[head.rfind("\n", 0, max(brace, 0)) + 1 : max(brace, 0)].lstrip("\ufeff")
    return f"\n{'' if indent.strip() else indent}{{".encode(encoding)


def _find_marker(data: bytes, marker: bytes, position: int) -> int:
    """Return where the line that starts with `marker` begins, at or after `position`, or -1."""
    width = 2 if b"\0" in marker[:2] else 1
    position = max(position - width, 0)
    while (found := data.find(marker, position)) >= 0:
        if found % width == 0:
            return found + width
        position = found + 1
    return -1


def _object_end(data: bytes, target: int) -> int:
    for found in find_objects(data):
        if found.end >= target and not found.unfinished:
            return found.end
    return len(data)
