"""Writes small EVTX files for tests: binary XML without templates, sound checksums, several chunks.

Layout after libevtx's "Windows XML Event Log (EVTX) format". Only what the tests need: string values.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

CHUNK = 65536
FILE_HEADER = 4096


@dataclass
class Event:
    """One event to write; `data` is EventData's named values, `user_data` an (element, values) pair."""

    record_id: int = 1
    event_id: int = 1
    channel: str = "Security"
    provider: str = "Test-Provider"
    computer: str = "host1.example"
    time: str = "2022-07-15T08:00:00.1234567Z"
    data: Sequence[tuple[str, str]] = ()
    unnamed: Sequence[str] = ()
    user_data: tuple[str, Sequence[tuple[str, str]]] | None = None
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    in_template: bool = False
    written: int = 133000000000000000
    """The time in the record's header, as FILETIME."""


class _Xml:
    """Builds binary XML whose names are written in place, at known offsets in the chunk."""

    def __init__(self, base: int, *, in_template: bool = False) -> None:
        self.base = base
        self.dependency = b"\xff\xff" if in_template else b""
        self.out = bytearray(b"\x0f\x01\x01\x00")

    def _name(self, name: str) -> None:
        self.out += struct.pack("<I", self.base + len(self.out) + 4)
        hashed = 0
        for character in name:
            hashed = (hashed * 65599 + ord(character)) & 0xFFFFFFFF
        self.out += struct.pack("<IHH", 0, hashed & 0xFFFF, len(name)) + name.encode("utf-16-le") + b"\0\0"

    def _value(self, text: str) -> None:
        self.out += b"\x05\x01" + struct.pack("<H", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")

    def element(self, name: str, attributes: dict[str, str], *content: object) -> None:
        """Write an element; content is texts and (name, attributes, *content) tuples."""
        self.out += (b"\x41" if attributes else b"\x01") + self.dependency
        size_at = len(self.out)
        self.out += b"\0\0\0\0"
        self._name(name)
        if attributes:
            list_at = len(self.out)
            self.out += b"\0\0\0\0"
            items = list(attributes.items())
            for number, (key, value) in enumerate(items):
                self.out += b"\x46" if number + 1 < len(items) else b"\x06"
                self._name(key)
                self._value(value)
            struct.pack_into("<I", self.out, list_at, len(self.out) - list_at - 4)
        if content:
            self.out += b"\x02"
            for item in content:
                if isinstance(item, str):
                    self._value(item)
                else:
                    assert isinstance(item, tuple)
                    self.element(*item)
            self.out += b"\x04"
        else:
            self.out += b"\x03"
        struct.pack_into("<I", self.out, size_at, len(self.out) - size_at - 4)

    def finish(self) -> bytes:
        """End the fragment."""
        return bytes(self.out + b"\0")


def _binary_xml(event: Event, base: int) -> bytes:
    xml = _Xml(base, in_template=event.in_template)
    extra = event.attributes
    system = (
        "System",
        {},
        ("Provider", {"Name": event.provider}),
        ("EventID", extra.get("EventID", {}), str(event.event_id)),
        ("Level", {}, "4"),
        ("TimeCreated", {"SystemTime": event.time}),
        ("EventRecordID", {}, str(event.record_id)),
        ("Execution", {"ProcessID": "4", "ThreadID": "8"}),
        ("Channel", {}, event.channel),
        ("Computer", {}, event.computer),
        ("Security", {}),
    )
    named = [("Data", {"Name": key}, value) if value else ("Data", {"Name": key}) for key, value in event.data]
    payload: tuple[object, ...] = ("EventData", {}, *named, *(("Data", {}, text) for text in event.unnamed))
    if event.user_data is not None:
        element, values = event.user_data
        inner = [(key, {}, value) if value else (key, {}) for key, value in values]
        payload = ("UserData", {}, (element, {"xmlns": "http://example.org/events"}, *inner))
    xml.element("Event", {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"}, system, payload)
    return xml.finish()


def _in_template(event: Event, base: int) -> bytes:
    """Return the event as an instance, without values, of a template that is defined inside of its record."""
    inside = base + 14  # behind the fragment's and the instance's heads
    fragment = _binary_xml(event, inside + 24)
    head = b"\x0f\x01\x01\x00\x0c\x01" + struct.pack("<II", 7, inside)
    return head + struct.pack("<II", 0, 7) + bytes(12) + struct.pack("<I", len(fragment)) + fragment + bytes(4) + b"\0"


def record_bytes(event: Event, offset: int) -> bytes:
    """Return the record of an event that starts at `offset` in its chunk."""
    body = (_in_template if event.in_template else _binary_xml)(event, offset + 24)
    body += bytes(-len(body) % 8)
    size = 24 + len(body) + 4
    head = b"\x2a\x2a\0\0" + struct.pack("<IQQ", size, event.record_id, event.written)
    return head + body + struct.pack("<I", size)


def chunk_bytes(events: Sequence[Event]) -> bytes:
    """Return one sound chunk of 64 KiB with these events."""
    out = bytearray(512)
    last = 512
    for event in events:
        last = len(out)
        out += record_bytes(event, last)
    free = len(out)
    assert free <= CHUNK, "too many events for one chunk"
    ids = (events[0].record_id, events[-1].record_id) if events else (0, 0)
    out[:8] = b"ElfChnk\0"
    struct.pack_into("<QQQQ", out, 8, *ids, *ids)
    struct.pack_into("<III", out, 40, 128, last, free)
    struct.pack_into("<I", out, 52, zlib.crc32(out[512:free]))
    struct.pack_into("<I", out, 124, zlib.crc32(out[128:512], zlib.crc32(out[:120])))
    return bytes(out.ljust(CHUNK, b"\0"))


def file_header(chunks: int) -> bytes:
    """Return a sound file header."""
    head = b"ElfFile\0" + struct.pack("<QQQIHHHH", 0, max(chunks - 1, 0), 1, 128, 1, 3, FILE_HEADER, chunks)
    head = head.ljust(124, b"\0")
    return (head + struct.pack("<I", zlib.crc32(head[:120]))).ljust(FILE_HEADER, b"\0")


def evtx_bytes(*chunks: Sequence[Event]) -> bytes:
    """Return a file whose chunks hold these events."""
    return file_header(len(chunks)) + b"".join(chunk_bytes(events) for events in chunks)


def sample(count: int, start: int = 1, **values: object) -> list[Event]:
    """Return `count` events with rising record ids and a command line each."""
    return [
        Event(record_id=start + number, data=[("CommandLine", f"run {start + number}"), ("User", "agim")], **values)  # type: ignore[arg-type]
        for number in range(count)
    ]
