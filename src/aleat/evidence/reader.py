"""The seam between bytes and events: what a reader is, what it is given, what it returns, and which there are.

A reader knows one log format: `detect` says whether the head of a stream is its format, `cut` parts the stream
into ranges at record boundaries (so that workers can share a file and a killed ingest goes on), and `read`
turns the bytes of one range into Arrow tables. `read` is a pure function of its arguments: equal bytes,
range, options and reader version give equal tables. What can't be read is an `Issue` with its byte range.

`_readers` is the registry, in the order in which readers are asked. Most formats need no reader of their own: their
file in `aleat.formats` tells a generic one (`readers.lines`, `json_records`, `delimited`, `w3c`) how they are written;
``access.toml`` is the living example. Where a grammar needs code, write `readers/<name>.py` with a class like
`readers.windows_json.WindowsJsonReader`, and name it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

import pyarrow as pa

from aleat.errors import Issue, Place

if TYPE_CHECKING:
    from aleat.evidence.head import Head
    from aleat.evidence.windows_rows import WindowsTables

__all__ = [
    "RANGE_BYTES",
    "ByteRange",
    "MeasuresRecords",
    "RangeResult",
    "ReadOptions",
    "Reader",
    "RowsReader",
    "detect_reader",
    "reader_named",
]

RANGE_BYTES = 16 * 1024 * 1024
"""Nominal length of a range: a source is cut at the first record boundary at or after each multiple of it."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the person who adds a source may state about it; part of a segment's id.

    `encoding` is the text's code page where it is not UTF-8 (None: UTF-8, then cp1252 line by line);
    `host` names the machine where the log itself doesn't. `name` is the file's own name, which the opener states
    where the file is taken as one (`readers.file`), and nowhere else.

    `zone` is the time zone (an IANA name or ±hh:mm) of times that carry none, `zones` the same by host (glob, zone;
    the first that fits counts), `assume_zone` what is assumed where neither says anything (None: UTC). `year` is the
    year of the first record of a log that writes none: it is in the ranges' context, not in the segment's id. With
    `strict_time` a source for which a zone or a year would have to be assumed is refused. `by_source` holds
    statements on some sources, until `for_source` picks: (glob, "zone", "year" or "encoding", value). `file_bytes` is
    how large a file that is no log may be (None: `readers.file.FILE_BYTES`); it changes no record. `mappings` are those
    that are stated for files that no format knows (see `mapping`), `mapping` is the one by which this source is read.
    """

    encoding: str | None = None
    host: str | None = None
    range_bytes: int = RANGE_BYTES
    name: str | None = None
    zone: str | None = None
    zones: tuple[tuple[str, str], ...] = ()
    assume_zone: str | None = None
    year: int | None = None
    strict_time: bool = False
    by_source: tuple[tuple[str, str, str], ...] = ()
    mappings: tuple[str, ...] = ()
    mapping: str | None = None
    slack: bool = False
    file_bytes: int | None = None

    def for_source(self, path: str, *, local_times: bool = True) -> ReadOptions:
        """Return what is stated for the source at `path`; without zones where its times are never local."""
        found: dict[str, Any] = {}
        for glob, kind, value in self.by_source:
            if kind not in found and any(fnmatchcase(path, form) for form in (glob, f"*/{glob}", f"*!{glob}")):
                found[kind] = int(value) if kind == "year" else value
        settled = replace(self, by_source=(), **found)
        return settled if local_times else replace(settled, zone=None, zones=(), assume_zone=None, year=None)

    def canonical(self) -> dict[str, Any]:
        """Return the options as JSON for a segment's id (the range's length shows in the range itself)."""
        stated: dict[str, Any] = {"encoding": self.encoding, "host": self.host}
        if self.name is not None:
            stated["name"] = self.name
        if self.zones:
            stated["zones"] = [list(pair) for pair in self.zones]
        if self.mapping is not None:
            stated["mapping"] = self.mapping
        for name in ("zone", "assume_zone"):
            if (value := getattr(self, name)) is not None:
                stated[name] = value
        if self.slack:
            stated["slack"] = True
        return stated


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `end` of a stream, cut at record boundaries, with what a reader must know to read them.

    `context` carries what stands before the range and changes its meaning (a header in force, the text's
    encoding, …) and is part of the segment's id; `first_line` (from 1; 0 where lines don't count) is not, nor are
    `notes`, what cutting found that must be said once, and `other_pages`, in which its text may be written as well.
    """

    index: int
    start: int
    end: int
    context: Mapping[str, Any]
    first_line: int = 0
    notes: tuple[Issue, ...] = ()
    other_pages: tuple[str, ...] = ()


@dataclass(slots=True)
class RangeResult:
    """What a range holds: tables with the format and the channel of their events, and what could not be read."""

    tables: list[tuple[str, str, pa.Table]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    encodings: dict[str, int] = field(default_factory=dict)
    account: dict[str, int] = field(default_factory=dict)
    """What the range's bytes are, by kind, where the reader tells of every byte (EVTX: see `evtx_records`)."""

    @property
    def events(self) -> int:
        """Number of events in all tables."""
        return sum(table.num_rows for _, _, table in self.tables)

    def count(self, kind: str, length: int) -> None:
        """Add `length` bytes of a kind to the account."""
        if length:
            self.account[kind] = self.account.get(kind, 0) + length

    def lost(
        self,
        path: str,
        code: str,
        offset: int,
        length: int,
        reason: str,
        *,
        advice: str = "",
        records: int | None = None,
    ) -> None:
        """Note that `length` bytes at `offset` could not be read (or not be trusted)."""
        self.issues.append(Issue("evidence", code, Place(path, offset=offset), reason, advice, length, records))


class Reader(Protocol):
    """One way to write down a format.

    An attribute `local_times` that is False says that no time is ever written without a zone, so that stated zones
    are nothing to it. Readers with a `reading` (see `described`) say so by that.
    """

    @property
    def name(self) -> str:
        """Its name, which no other reader has."""
        ...

    @property
    def version(self) -> int | str:
        """What changes with what `read` gives for the same bytes."""
        ...

    def detect(self, head: Head) -> bool:
        """Say whether a stream with this head is written so."""
        ...

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Yield the stream's ranges in order, without gaps, each with its bytes; reads the stream once, forward."""
        ...

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Return the events of one range."""
        ...


@runtime_checkable
class RowsReader(Protocol):
    """A reader of Windows events that can read into the rows of other ranges, too."""

    def read_rows(
        self, data: bytes, span: ByteRange, path: str, options: ReadOptions, rows: WindowsTables
    ) -> RangeResult:
        """Read one range's events into `rows`, and return the rest of what `Reader.read` does."""
        ...


@runtime_checkable
class MeasuresRecords(Protocol):
    """A reader whose records say how long they are; of others' records the next one's start is the end."""

    def record_length(self, data: bytes, at: int) -> int | None:
        """Return the length in bytes of the record at `at` in a range's bytes, or None where it doesn't say."""
        ...


@lru_cache(maxsize=1)
def _readers() -> tuple[Reader, ...]:
    # not at the top: the seam must not load every format's libraries, and readers import the seam
    from aleat.evidence.described import described_readers  # noqa: PLC0415
    from aleat.evidence.readers.evtx import EvtxReader  # noqa: PLC0415
    from aleat.evidence.readers.transcript import TranscriptReader  # noqa: PLC0415
    from aleat.evidence.readers.windows_csv import WindowsCsvReader  # noqa: PLC0415
    from aleat.evidence.readers.windows_json import WindowsJsonReader  # noqa: PLC0415
    from aleat.evidence.readers.windows_xml import WindowsXmlReader  # noqa: PLC0415
    from aleat.evidence.readers.zeek import ZeekReader  # noqa: PLC0415

    return (
        EvtxReader(),
        WindowsJsonReader(),
        WindowsXmlReader(),
        WindowsCsvReader(),
        TranscriptReader(),
        ZeekReader(),
        *described_readers(),
    )


def detect_reader(head: Head) -> Reader | None:
    """Return the first reader that recognises a stream, or None."""
    return next((reader for reader in _readers() if reader.detect(head)), None)


def reader_named(name: str) -> Reader:
    """Return the reader called `name`; raises `KeyError` where there is none."""
    return _by_name()[name]


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Reader]:
    from aleat.evidence.mapping import MappedReader  # noqa: PLC0415 - as above
    from aleat.evidence.readers.file import FileReader  # noqa: PLC0415

    return {reader.name: reader for reader in (*_readers(), FileReader(), MappedReader())}
