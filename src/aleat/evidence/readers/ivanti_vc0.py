"""Logs on the disk of an Ivanti Connect Secure appliance (``log.events.vc0`` …): ``layout = "vc0"``.

The files have a header of 8192 bytes and then records without line ends: the byte 5, the time in hexadecimal seconds
and a counter (``65c4a670.00000021``), then values parted by tabs: the device, the message's code, the node, the realm,
the client's address, the user, the user's realm, and the message's parameters, which are one field. Two files of one
appliance, and what is known of the format from parsers of incident responders, agree; it isn't documented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from aleat.evidence.described import Reading
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.readers.json_records import JsonRows
from aleat.evidence.text import MAX_LINE_BYTES, LineNotes, decode_line

__all__ = ["VC0Reader"]

_HEADER = 8192
_START = re.compile(rb"\x05(?=[0-9a-f]{8}\.[0-9a-f]{1,16}\t)")
_MAGIC = (b"\x05\x00\x00\x00", b"\x01\x00\x00\x00")
_NAMES = ("device", "code", "node", "realm", "src_ip", "user", "user_realm")
_BLOCK = 1024 * 1024


class VC0Reader:
    """Reads `.vc0` files."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = f"1-{reading.version}"

    def detect(self, head: Head) -> bool:
        """Say yes to the header, or to a record where the header was cut off."""
        data = head.data
        whole = data.startswith(_MAGIC[0]) and data[4:8] == _MAGIC[1] and not any(data[8:64])
        return (whole and len(data) >= _HEADER) or _START.match(data) is not None

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut before records; the first range has the header."""
        has_header = _START.match(head) is None
        data, start, index, ended = b"", 0, 0, False
        while not ended:
            boundary = max(options.range_bytes, _HEADER + 1 if has_header and index == 0 else 1)
            while (cut := _record_at(data, boundary)) < 0 and not ended:
                block = stream.read(_BLOCK)
                data, ended = data + block, not block
            if cut < 0:
                cut = len(data)
            if cut:
                span = ByteRange(index, start, start + cut, {"header": _HEADER if has_header and index == 0 else 0})
                yield span, data[:cut]
                data, start, index = data[cut:], start + cut, index + 1
            ended = ended and not data

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the records of one range."""
        result = RangeResult()
        notes = LineNotes(path, span, result)
        rows = JsonRows(self.reading, path, span, options, result)
        header = min(int(span.context["header"]), len(data))
        starts = [match.start() for match in _START.finditer(data, header)]
        if junk := data[header : starts[0] if starts else len(data)].strip(b"\0"):
            notes.broken(span.start + header, 0, len(junk), "There is no record here.")
        for number, at in enumerate(starts):
            end = starts[number + 1] if number + 1 < len(starts) else len(data)
            record = data[at + 1 : end]
            bare = record.rstrip(b"\0\r\n")
            text = decode_line(bare, options.encoding, result.encodings)
            moment, _, rest = text.partition("\t")
            seconds, _, line = moment.partition(".")
            values = rest.split("\t", len(_NAMES))
            fields = {name: value for name, value in zip(_NAMES, values, strict=False) if value}
            if len(values) > len(_NAMES):
                fields["parameters"] = values[len(_NAMES)]
            facts = {"fact_time": str(int(seconds, 16)), "fact_line": str(int(line, 16))}
            rows.add(span.start + at, {**facts, **fields})
        notes.finish()
        rows.finish()
        return result


def _record_at(data: bytes, boundary: int) -> int:
    """Return where the first record at or behind `boundary` starts; -1 where it isn't seen yet."""
    if len(data) <= boundary:
        return -1
    match = _START.search(data, boundary)
    if match is not None:
        return match.start()
    return len(data) if len(data) > boundary + MAX_LINE_BYTES else -1
