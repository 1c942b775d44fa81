"""Indicator lists as JSON: lists of values or records, JSON lines, and what common feeds make of them.

What is a list in a document, `aleat.knowledge.list_records` says; it becomes a list like any other
(`aleat.knowledge.readers.lists`), one for each label. A label beside the list (``"TLP": "amber"``, as OTX's pulses
have) is the whole list's; the names and texts beside it are told in its description.

JSON without values is none of ours: at least one column has to be of values, and half of its first cells of a type that
is known; so no log is taken for a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.knowledge.document import Document
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.list_entries import label_marking
from aleat.knowledge.list_items import collect_tables, list_items
from aleat.knowledge.list_records import JsonList, find_list, records_table
from aleat.knowledge.text import decode_text, guess_issues

__all__ = ["detect", "read"]

_STAGE = "knowledge"
_SUFFIXES = {".json", ".jsonl", ".ndjson", ".txt", ""}
_LOOKED_AT = 1024**2  # bytes that are looked at where the head is no whole document
_LABELS = {"tlp", "pap"}
_EVENTS = {
    "event",
    "eventdata",
    "#attributes",
    "@timestamp",
    "eventid",
    "event_type",
    "eventname",
    "flow_id",
    "_source",
    "winlog",
    "logsource",
    "detection",
}
"""Members that records of logs have, and no list."""


def detect(document: Document) -> bool:
    """Tell whether a JSON document holds values: a column of them, half of whose first cells have a known type."""
    if document.suffix not in _SUFFIXES:
        return False
    head = document.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith((b"[", b"{", b'"')):
        return False
    try:
        found = _first_records(document.head if document.size <= len(document.head) else _begin(document))
    except InputError:
        return False
    return found is not None and _is_list(found, document.name)


def _is_list(found: JsonList, name: str) -> bool:
    """Say whether records have a column of values, of types that are known, and nothing that logs have."""
    first = [(1, record) for record in found.records[:200]]
    if any(isinstance(record, dict) and _EVENTS & {key.lower() for key in record} for _, record in first):
        return False
    table = next(records_table(first))
    if not any(column.role not in ("context", "type", "marking") for column in table.columns):
        return False
    _, collector = collect_tables(lambda: iter([table]), name, 1_000_000)
    untyped = len(collector.settle())
    return collector.rows > 0 and 2 * (collector.rows - untyped) >= collector.rows


def _begin(document: Document) -> bytes:
    """Return the beginning of a document, some of it cut off so that what is left has whole lines where it has any."""
    return next(document.blocks(_LOOKED_AT), b"")


def _first_records(data: bytes) -> JsonList | None:
    """Return a list from the beginning of a document: all of it, its first lines, or the records in what is cut."""
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        return find_list(orjson.loads(text))
    except orjson.JSONDecodeError:
        pass
    lines = text.split(b"\n")
    try:
        return JsonList([orjson.loads(line) for line in lines[:200][: max(1, len(lines) - 1)] if line.strip()])
    except orjson.JSONDecodeError:
        pass
    return _mended(text)


def _mended(text: bytes) -> JsonList | None:
    """Close what a cut left open: after the last whole record, by the brackets that are open there."""
    open_: list[int] = []
    ends: list[tuple[int, bytes]] = []
    quoted = escaped = False
    for at, byte in enumerate(text[:65_536]):
        if quoted:
            quoted = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            open_.append(byte + 2)  # the sign that closes it
            if len(open_) > 100:
                return None
        elif byte in b"]}":
            if not open_:
                return None
            open_.pop()
            ends.append((at + 1, bytes(reversed(open_))))
        elif byte == 0x2C and open_ and len(open_) == 1:
            ends.append((at, bytes(reversed(open_))))
    for at, closing in reversed(ends[-50:]):
        try:
            return find_list(orjson.loads(text[:at] + closing))
        except orjson.JSONDecodeError:
            continue
    return None


def read(document: Document, limits: Limits) -> Iterator[KnowledgeItem | Issue]:
    """Yield the list in the document (one for each label, where it has labels), and issues for what isn't in it."""
    if document.size > limits.list_bytes:
        raise LimitError(f"The list is larger than {limits.list_bytes} bytes (list_bytes).", Place(document.path))
    data = document.read()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text, guessed = decode_text(data)
        yield from guess_issues(guessed, document.path)
        data = text.encode("utf-8", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    faults: list[int] = []
    found, numbered = _parse(data, document, limits, faults)
    if faults:
        shown = ", ".join(map(str, faults[:10]))
        reason = f"{len(faults)} lines are no JSON: lines {shown}{' …' if len(faults) > 10 else ''}."
        yield Issue(_STAGE, "list-value", Place(document.path, faults[0]), reason, records=len(faults))
    lines = numbered or range(1, len(found.records) + 1)
    classifier, collector = collect_tables(
        lambda: records_table(zip(lines, found.records, strict=True)), document.name, limits.list_entries, document.path
    )
    beside = {name.lower(): text for name, text in found.beside.items()}
    markings = tuple(label_marking(beside[name], name) for name in sorted(_LABELS & set(beside)))
    yield from list_items(document, document.name, classifier, collector, markings, found.beside)


def _parse(data: bytes, document: Document, limits: Limits, faults: list[int]) -> tuple[JsonList, list[int]]:
    """Return the list in a document, and the records' lines where it is JSON lines."""
    try:
        content: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        lines = data.split(b"\n")
        records: list[Any] = []
        numbers: list[int] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                records.append(orjson.loads(line))
                numbers.append(number)
            except orjson.JSONDecodeError:
                faults.append(number)
        if len(faults) > len(records):
            place = Place(document.path, error.lineno, error.colno)
            raise InputError(f"The file is no JSON: {error.msg}.", place) from None
        return JsonList(records), numbers
    found = find_list(content)
    if found is None:
        raise InputError("The file holds no list.", Place(document.path))
    return found, []
