"""One chunk of EVTX to rows, through the `evtx` wheel, with an account of every byte of it.

A sound chunk goes into the wheel as it is; one that isn't is repaired in a copy (see `evtx_chunk`) and read record by
record, and each byte range that gives no event becomes an `Issue`. The account (`RangeResult.account`) tells what the
bytes are: ``header``, ``record`` (gave an event), ``slack`` (behind the last record, not zero), ``empty`` (zeros),
``damaged`` (should have given an event, or can't be told).
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from typing import Any, cast

import orjson
from evtx import PyEvtxParser

from aleat.errors import Issue, Place
from aleat.evidence.evtx_carve import INSTANCE, slack_spans
from aleat.evidence.evtx_chunk import CHUNK_BYTES, GOOD_HEADER, Chunk, RecordSpan, data_end, repair_chunk
from aleat.evidence.reader import RangeResult
from aleat.evidence.times import parse_time
from aleat.evidence.windows_event import System, decode_events
from aleat.evidence.windows_rows import WindowsTables

__all__ = ["ChunkReader"]

MAX_EVENT_CHARACTERS = 8 * 1024 * 1024
"""`event characters`: the longest JSON text of one event that is taken from the wheel (a record has < 64 KiB)."""

_FIRST_RECORD = 512
_LEAST_RECORD = 28
_FILETIME_EPOCH = 11_644_473_600_000_000
_SYSTEM = frozenset(System.__struct_fields__)
_CLOSE = 60_000_000
"""Microseconds between a record's header and its event within which both tell of one moment."""


class ChunkReader:
    """Reads chunks into `rows`; with `slack`, records behind a chunk's end too."""

    def __init__(self, path: str, rows: WindowsTables, result: RangeResult, *, slack: bool) -> None:
        self._path = path
        self._rows = rows
        self._result = result
        self._slack = slack

    def read(self, data: bytes, at: int) -> None:
        """Read the chunk `data` (up to 64 KiB) that starts at `at`."""
        chunk = Chunk.parse(data)
        lost = 0
        if not (chunk.sound and len(data) == CHUNK_BYTES and self._read_sound(data, at, chunk)):
            self._note_faults(data, at, chunk)
            lost = self._read_repaired(data, at, chunk)
        self._account(data, chunk, lost)
        if self._slack and len(data) > chunk.end:
            self._read_slack(data, at, chunk)

    def read_piece(self, data: bytes, at: int, first: int) -> int:
        """Read records of a chunk that started at `at`, of which bytes `first` on are there; return where they end.

        A record whose template isn't there is none.
        """
        chunk = Chunk.parse(data, first)
        lost = self._read_repaired(data, at, chunk, strict=True)
        end = max(chunk.end, first)
        self._result.count("record", sum(span.size for span in chunk.spans) - lost)
        self._result.count("damaged", end - first - sum(span.size for span in chunk.spans) + lost)
        return end

    def _account(self, data: bytes, chunk: Chunk, lost: int) -> None:
        head = min(_FIRST_RECORD, len(data))
        taken = sum(span.size for span in chunk.spans)
        end = min(max(chunk.end, head), len(data))
        used = max(data_end(data), end)
        count = self._result.count
        count("header" if chunk.magic else "damaged", head)
        count("record", taken - lost)
        count("damaged", lost + end - head - taken)
        count("slack", used - end)
        count("empty", len(data) - used)

    def _read_sound(self, data: bytes, at: int, chunk: Chunk) -> bool:
        """Read a chunk whose checksums fit; False (and no row) where the wheel sees other records than the walk."""
        spans = chunk.spans
        try:
            records = list(_records(data))
            if [record["event_record_id"] for record in records] != [span.id for span in spans]:
                return False
            texts = [record["data"] for record in records]
        except (RuntimeError, ValueError, KeyError):
            return False
        if max(map(len, texts), default=0) > MAX_EVENT_CHARACTERS:
            return False
        offsets = [at + span.offset for span in spans]
        typed = decode_events(texts)
        if typed is not None and len(typed) == len(spans):
            self._rows.add_typed(offsets, typed)
            return True
        events = [_event(text) for text in texts]
        if any(isinstance(event, str) for event in events):
            return False
        for offset, event in zip(offsets, events, strict=True):
            self._rows.add_event(offset, cast("dict[str, Any]", event))
        return True

    def _note_faults(self, data: bytes, at: int, chunk: Chunk) -> None:
        lost, path = self._result.lost, self._path
        if not chunk.magic:
            reason = "The EVTX chunk doesn't start with ElfChnk; what looks like records was read."
            lost(path, "chunk-header", at, min(len(data), 512), reason, records=0)
        elif not chunk.header_checksum:
            reason = "The checksum of the EVTX chunk's header doesn't fit; its records were read all the same."
            lost(path, "chunk-header", at, min(len(data), 512), reason, records=0)
        if not chunk.records_checksum and len(data) == CHUNK_BYTES:
            reason = (
                "The checksum over the EVTX chunk's records doesn't fit: they were read, and may have been changed."
            )
            lost(path, "records-checksum", at + 512, max(chunk.end - 512, 0), reason, records=0)

    def _read_repaired(self, data: bytes, at: int, chunk: Chunk, *, strict: bool = False) -> int:
        """Read record by record what the wheel can make of a damaged chunk; return how many bytes gave nothing."""
        outcomes = _outcomes(repair_chunk(data, chunk), len(chunk.spans) + 1)
        if chunk.spans and chunk.spans[0].offset > _FIRST_RECORD:
            next(outcomes, None)
        lost: list[tuple[RecordSpan, str]] = []
        for span in chunk.spans:
            if span.gap and span.size < _LEAST_RECORD:
                lost.append((span, "no record starts here"))
                continue
            record_id, outcome = next(outcomes, (span.id, "the chunk ends before it"))
            if isinstance(outcome, str):
                lost.append((span, outcome))
            elif record_id != span.id:
                lost.append((span, "another record was read in its place"))
            elif strict and not _is_whole(data, span, outcome):
                lost.append((span, "its template isn't there"))
            else:
                self._rows.add_event(at + span.offset, outcome)
                if span.gap:
                    reason = "The record's header is damaged; its content was read."
                    self._result.lost(self._path, "record-header", at + span.offset, span.size, reason, records=0)
        for span, why in lost:
            kind = "These bytes hold no readable EVTX record" if span.gap else "The EVTX record can't be read"
            records = None if span.gap else 1
            reason = f"{kind}: {why}."
            self._result.lost(self._path, "unreadable-range", at + span.offset, span.size, reason, records=records)
        return sum(span.size for span, _ in lost)

    def _read_slack(self, data: bytes, at: int, chunk: Chunk) -> None:
        """Read older records behind the chunk's end of which nothing was overwritten."""
        first, found = None, 0
        for span in slack_spans(data, chunk):
            event = _slack_event(data, chunk, span)
            if event is not None:
                self._rows.add_event(at + span.offset, event, {"Recovered": "slack"})
                first = at + span.offset if first is None else first
                found += 1
        if first is not None:
            reason = f"{found} records were recovered from the unused space behind the chunk's last record."
            place = Place(self._path, offset=first)
            self._result.issues.append(Issue("evidence", "slack-record", place, reason, records=0))


def _slack_event(data: bytes, chunk: Chunk, span: RecordSpan) -> dict[str, Any] | None:
    """Return the event of a record in slack, if nothing of it was overwritten."""
    copy = repair_chunk(data, Chunk(chunk.magic, chunk.header_checksum, False, span.offset + span.size, [span]))
    events = [event for number, event in _outcomes(copy, 2) if number == span.id]
    if len(events) != 1 or isinstance(events[0], str):
        return None
    whole = _is_whole(data, span, events[0]) and _is_of_its_time(data, span, events[0])
    return events[0] if whole else None


def _is_whole(data: bytes, span: RecordSpan, event: dict[str, Any]) -> bool:
    """Say whether a record that lies outside of a sound chunk was read with its own template and names.

    The template where it points must have the number that it says, and the System element the schema's names.
    """
    body = span.offset + 24
    if data[body : body + len(INSTANCE)] == INSTANCE:
        number, place = struct.unpack_from("<II", data, body + len(INSTANCE))
        if data[place + 4 : place + 8] != number.to_bytes(4, "little"):
            return False
    system = event["System"]
    names = set(system)
    return names <= _SYSTEM and {"Provider", "EventID", "TimeCreated", "Computer"} <= names


def _is_of_its_time(data: bytes, span: RecordSpan, event: dict[str, Any]) -> bool:
    created = event["System"]["TimeCreated"]
    time = parse_time(created.get("#attributes", {}).get("SystemTime")) if isinstance(created, dict) else None
    written = struct.unpack_from("<Q", data, span.offset + 16)[0] // 10 - _FILETIME_EPOCH
    return time is not None and abs(time - written) <= _CLOSE


def _records(chunk: bytes) -> Iterator[Any]:
    """Return the wheel's iterator over one chunk; a `next` that raises may be followed by one that doesn't."""
    parser = PyEvtxParser(io.BytesIO(GOOD_HEADER + chunk), number_of_threads=1)
    return cast("Iterator[Any]", parser.records_json())


def _outcomes(data: bytes, count: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (record id, event or what was wrong) for each record the wheel sees; never more than `count`."""
    try:
        records = _records(data)
    except RuntimeError:
        return
    for _ in range(count):
        try:
            record = next(records)
        except StopIteration:
            return
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic in the wheel is no Exception
            yield -1, _error_kind(error)
            continue
        yield record["event_record_id"], _event(record["data"])


def _event(text: str) -> dict[str, Any] | str:
    if len(text) > MAX_EVENT_CHARACTERS:
        return f"it unfolds to more than {MAX_EVENT_CHARACTERS} characters (limit: event characters)"
    try:
        event = orjson.loads(text)["Event"]
    except (ValueError, KeyError, TypeError):
        try:
            event = json.loads(text)["Event"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return "it holds no event"
    if not isinstance(event, dict) or not isinstance(event.get("System"), dict) or not event["System"]:
        return "it holds no System element"
    return event


def _error_kind(error: BaseException) -> str:
    """Name the wheel's error without any value from the record."""
    text = str(error)
    for part in _KINDS:
        if part in text:
            return part.lower()
    return "its binary XML is damaged"


_KINDS = (
    "Invalid EVTX record header magic",
    "out of bounds",
    "invalid byte",
    "buffer too small",
    "Unexpected EOF",
    "Unimplemented",
    "Failed to parse chunk",
)
