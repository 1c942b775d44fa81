"""systemd's journal in its export format (``journalctl -o export``): ``layout = "journal"``, beside what all say.

============  ======================================================================
``message``   the field whose text is read by the program's form (`message_rows`)
``program``   the field that names the program
============  ======================================================================

An entry is fields up to an empty line: ``NAME=value``, or where the value isn't plain text the name, its length in 8
bytes (little-endian) and its bytes. https://systemd.io/JOURNAL_EXPORT_FORMATS/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from aleat.evidence.described import Reading
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.json_records import JsonRows
from aleat.evidence.readers.message_rows import MessageRows
from aleat.evidence.text import MAX_LINE_BYTES, LineNotes

__all__ = ["JournalReader"]

_FIRST = re.compile(rb"\s*+(?:__CURSOR|__REALTIME_TIMESTAMP|_BOOT_ID)=")
_ENTRY = b"\n\n__CURSOR="
_NAME = re.compile(rb"[A-Z_][A-Z0-9_]{0,63}")
_BLOCK = 1024 * 1024
MAX_FIELDS = 1024
"""`journal fields`: an entry with more is read as far as that."""


class JournalReader:
    """Reads exported journals."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = f"1-{reading.version}"
        self._message = str(reading.own.get("message", "MESSAGE"))
        self._program = str(reading.own.get("program", "SYSLOG_IDENTIFIER"))

    def detect(self, head: Head) -> bool:
        """Say yes to an entry's first field, and its time near it."""
        return _FIRST.match(head.data) is not None and b"__REALTIME_TIMESTAMP=" in head.data[:4096]

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut between entries."""
        data, start, index, line, ended = b"", 0, 0, 1, False
        while not ended:
            while (cut := _entry_at(data, options.range_bytes)) < 0 and not ended:
                block = stream.read(_BLOCK)
                data, ended = data + block, not block
            cut = len(data) if cut < 0 else cut
            if cut:
                yield ByteRange(index, start, start + cut, {}, line), data[:cut]
                line += data.count(b"\n", 0, cut)
                data, start, index = data[cut:], start + cut, index + 1
            ended = ended and not data

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the entries of one range."""
        result = RangeResult()
        notes = LineNotes(path, span, result)
        rows = JsonRows(self.reading, path, span, options, result)
        messages = MessageRows(rows, self._message, self._program, options)
        for at, entry in _entries(data, span, notes):
            messages.add(span.start + at, entry)
        messages.finish(path, result)
        rows.finish()
        notes.finish()
        return result


def _entry_at(data: bytes, boundary: int) -> int:
    if len(data) <= boundary:
        return -1
    found = data.find(_ENTRY, max(boundary - 2, 0))
    if found >= 0:
        return found + 2
    return len(data) if len(data) > boundary + MAX_LINE_BYTES else -1


def _entries(data: bytes, span: ByteRange, notes: LineNotes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (place, fields) of each entry; what is no field is noted."""
    entry: dict[str, Any] = {}
    position = start = line = 0
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end
        text = data[position:end].rstrip(b"\r")
        following = end + 1
        name, equals, value = text.partition(b"=")
        if not text:
            if entry:
                yield start, entry
            entry, start = {}, following
        elif _NAME.fullmatch(name):
            if not equals:
                length = int.from_bytes(data[following : following + 8], "little")
                value = data[following + 8 : following + 8 + length]
                if length > len(data) - following - 8:
                    notes.broken(span.start + position, line, len(data) - position, "A field's value isn't whole.")
                    break
                following += 8 + length + 1
            if not entry:
                start = position
            if len(entry) < MAX_FIELDS:
                _put(entry, name.decode("ascii"), value.decode("utf-8", "replace"))
        else:
            notes.broken(span.start + position, line, len(text), "The line is no field of a journal's entry.")
        line += data.count(b"\n", position, following)
        position = following
    if entry:
        yield start, entry


def _put(entry: dict[str, Any], name: str, value: str) -> None:
    """Add a value; a field that an entry has several times is a list."""
    if name not in entry:
        entry[name] = value
    elif isinstance(entry[name], list):
        entry[name].append(value)
    else:
        entry[name] = [entry[name], value]
