"""Text logs: which encoding a stream is in, cutting it at line ends, and decoding lines that break the rule.

Byte offsets always count in the stream as it is, whatever its encoding.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, BinaryIO

from aleat.errors import Issue, Place
from aleat.evidence.reader import ByteRange, RangeResult

__all__ = [
    "BLOCK_LINES",
    "MAX_LINE_BYTES",
    "LineNotes",
    "TextMap",
    "bom_length",
    "cut_lines",
    "decode_line",
    "detect_encoding",
    "newline_of",
    "numbered_lines",
    "split_lines",
]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""`line bytes`: a longer line is cut into two."""

MAX_LINE_ISSUES = 1000
BLOCK_LINES = 16384
"""How many lines a reader collects before their values are interned (and let go)."""

FALLBACK = "cp1252"
"""The code page of lines that are no UTF-8, where nothing says another (`codepages`)."""

_BLOCK = 256 * 1024
_BOMS = (("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE))


def detect_encoding(head: bytes) -> str:
    """Return "utf-8", "utf-16-le" or "utf-16-be" by the byte order mark, else by where the zero bytes are."""
    for name, mark in _BOMS:
        if head.startswith(mark):
            return name
    sample = head[:4096]
    if len(sample) >= 4 and sample.count(0) > len(sample) // 4:
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    return "utf-8"


def bom_length(data: bytes) -> int:
    """Return the length of the byte order mark that `data` starts with."""
    return next((len(mark) for _, mark in _BOMS if data.startswith(mark)), 0)


def newline_of(encoding: str) -> bytes:
    """Return the bytes of a line feed."""
    return "\n".encode(encoding)


def find_newline(data: bytes, encoding: str, position: int) -> int:
    """Return where the next line feed at or after `position` starts, or -1; `data` starts at a character."""
    mark = newline_of(encoding)
    if len(mark) == 1:
        return data.find(mark, position)
    position += position % 2
    while (found := data.find(mark, position)) >= 0 and found % 2:
        position = found + 1
    return found


def split_lines(data: bytes, encoding: str) -> list[bytes]:
    """Split at line feeds, which are left out; carriage returns stay."""
    if len(newline_of(encoding)) == 1:
        return data.split(b"\n")
    lines, start = [], 0
    while (end := find_newline(data, encoding, start)) >= 0:
        lines.append(data[start:end])
        start = end + 2
    lines.append(data[start:])
    return lines


def cut_lines(
    stream: BinaryIO, encoding: str, range_bytes: int, context: Mapping[str, Any]
) -> Iterator[tuple[ByteRange, bytes]]:
    """Cut a stream at the first line end at or after each multiple of `range_bytes`."""
    width = len(newline_of(encoding))
    data, start, boundary, index, line = b"", 0, 0, 0, 1
    ended = False
    while not ended:
        boundary += range_bytes
        pieces, have = [data], len(data)
        while start + have < boundary and (block := stream.read(min(boundary - start - have, 16 * _BLOCK))):
            pieces.append(block)
            have += len(block)
        data = b"".join(pieces)
        ended = start + have < boundary
        cut = have
        if not ended and boundary - width >= start:
            data, cut, ended = _extend_to_newline(stream, data, encoding, boundary - width - start)
        if cut and boundary > start:
            yield ByteRange(index, start, start + cut, context, line), data[:cut]
            line += data.count(newline_of(encoding), 0, cut)
            start += cut
            data = data[cut:]
            index += 1


def _extend_to_newline(stream: BinaryIO, data: bytes, encoding: str, position: int) -> tuple[bytes, int, bool]:
    """Read on to the end of the line that `position` stands in; return (data, where to cut, whether it ended)."""
    width = len(newline_of(encoding))
    searched = position
    while (found := find_newline(data, encoding, searched)) < 0:
        if len(data) - position >= MAX_LINE_BYTES:
            return data, len(data) - len(data) % width, False
        searched = max(position, len(data) - width + 1)
        searched -= searched % width
        block = stream.read(_BLOCK)
        if not block:
            return data, len(data), True
        data += block
    return data, found + width, False


def decode_line(line: bytes, encoding: str | None, counts: dict[str, int], fallback: str = FALLBACK) -> str:
    """Decode one line: in the stated `encoding`, else UTF-8, else `fallback`; `counts` says how often which."""
    if line.isascii():
        return line.decode("ascii")
    for name in (encoding, "utf-8") if encoding else ("utf-8",):
        try:
            text = line.decode(name)
        except UnicodeDecodeError:
            continue
        counts[name] = counts.get(name, 0) + 1
        return text
    counts[fallback] = counts.get(fallback, 0) + 1
    try:
        return line.decode(fallback)
    except UnicodeDecodeError:  # bytes that a page leaves open: five in cp1252
        return line.decode("latin-1")


def numbered_lines(
    data: bytes, span: ByteRange, skip: int, encoding: str | None, counts: dict[str, int]
) -> Iterator[tuple[int, int, str]]:
    """Yield (offset in the stream, line number in the range from 0, text) of each line, without line feeds."""
    wide = str(span.context["encoding"])
    fallback = str(span.context.get("fallback", FALLBACK))
    body = data[skip:] if skip else data
    lines = split_lines(body, wide)
    width = len(newline_of(wide))
    if wide != "utf-8":
        texts = [line.decode(wide, "replace") for line in lines]
    elif encoding is None or body.isascii():
        try:
            texts = body.decode("utf-8").replace("\r\n", "\n").split("\n")
        except UnicodeDecodeError:
            texts = [decode_line(line, encoding, counts, fallback) for line in lines]
    else:
        texts = [decode_line(line, encoding, counts, fallback) for line in lines]
    lengths = map(width.__add__, map(len, lines))
    offsets = accumulate(lengths, initial=span.start + skip)
    return zip(offsets, range(len(texts)), texts)  # noqa: B905 - `accumulate` gives one more, the end


class LineNotes:
    """Names broken lines of one range: the first thousand one by one, the rest in one issue."""

    def __init__(self, path: str, span: ByteRange, result: RangeResult) -> None:
        self._path = path
        self._span = span
        self._result = result
        self._broken = 0
        self._broken_bytes = 0
        self._odd = 0

    def broken(self, offset: int, number: int, length: int, reason: str) -> None:
        """Note a line that gave no record; `number` counts from 0 in the range, `length` is in bytes."""
        self._broken += 1
        if self._broken <= MAX_LINE_ISSUES:
            place = Place(self._path, line=self._span.first_line + number, offset=offset)
            self._result.issues.append(Issue("evidence", "broken-line", place, reason, "", length, 1))
        else:
            self._broken_bytes += length

    def odd(self, offset: int, number: int, length: int, reason: str) -> None:
        """Note a line that was read, but not in full order."""
        self._odd += 1
        if self._odd <= MAX_LINE_ISSUES:
            place = Place(self._path, line=self._span.first_line + number, offset=offset)
            self._result.issues.append(Issue("evidence", "odd-line", place, reason, "", length, 0))

    def finish(self) -> None:
        """Note how many lines were not named."""
        place = Place(self._path, offset=self._span.start)
        if self._broken > MAX_LINE_ISSUES:
            more = self._broken - MAX_LINE_ISSUES
            reason = f"{more} more lines between here and byte {self._span.end} can't be read."
            self._result.issues.append(Issue("evidence", "broken-line", place, reason, "", self._broken_bytes, more))
        if self._odd > MAX_LINE_ISSUES:
            reason = f"{self._odd - MAX_LINE_ISSUES} more lines between here and byte {self._span.end} are odd."
            self._result.issues.append(Issue("evidence", "odd-line", place, reason, records=0))


class TextMap:
    """UTF-8 bytes of a UTF-16 range, and the way back from an offset in them to one in the range."""

    def __init__(self, data: bytes, encoding: str) -> None:
        self._encoding = encoding
        self._from: list[int] = []
        self._to: list[int] = []
        pieces, source, target = [], 0, 0
        for line in split_lines(data, encoding):
            self._from.append(source)
            self._to.append(target)
            text = line.decode(encoding, "replace").encode("utf-8", "replace") + b"\n"
            pieces.append(text)
            source += len(line) + 2
            target += len(text)
        self.utf8 = b"".join(pieces)[:-1]

    def source_offset(self, offset: int) -> int:
        """Return the offset in the original range of the character at UTF-8 `offset`."""
        line = bisect_right(self._to, offset) - 1
        before = self.utf8[self._to[line] : offset].decode("utf-8", "replace")
        return self._from[line] + len(before.encode(self._encoding))
