"""Targets that damage the formats' samples: "formats" all, "unix" those whose grammar is code, "tables" tables, W3C
logs and exports.

An input is a reader's name, a line feed, and a file's bytes. Each is read in one range and in small ones: nothing
breaks, offsets lie inside of the file, records count without gaps, and where nothing is wrong both give the same.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

from aleat.errors import InputError, Issue
from aleat.evidence.batch import FIXED_SCHEMA
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.opener import NOTE_CODES
from aleat.evidence.reader import ReadOptions, _readers, reader_named
from aleat.evidence.years import find_years, with_years, yearless_formats
from aleat.formats import all_formats
from tests.formats.sample import all_samples
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["FORMAT_TARGETS", "FormatsTarget", "is_text", "lost", "read_ranges"]

_SMALL = 300
_JOINED = frozenset({"auditd", "sharepoint_uls"})
"""Formats whose records are joined within a range where they are damaged, or stand in another format's lines."""
_TOKENS = (
    "<13>",
    "<Event>",
    "</Event>",
    "%ASA-6-302013: ",
    "CEF:0|",
    "LEEF:2.0|",
    "a=",
    "#Fields: ",
    "2022-02-29",
    "29/02",
    "\\x",
    "eni-",
    "MESSAGE",
    "type=EXECVE msg=audit(1.1:1): ",
    "Feb 29 08:00:00 ",
    "\x1d",
    "\x05",
    "=\n",
)

_TABLES = frozenset(
    item.name
    for item in all_formats()
    if any(table["layout"] in ("delimited", "w3c", "raw-json", "raw-delimited") for table in item.read)
)

FORMAT_TARGETS: dict[str, Callable[[str], bool]] = {
    "formats": lambda format_: True,
    "tables": lambda format_: format_ in _TABLES,
    "unix": lambda format_: format_ in ("auditd", "journald", "ivanti", "syslog"),
}


class FormatsTarget:
    """See the module."""

    limit = 3.0

    def __init__(self, name: str) -> None:
        self.name = name
        wanted = FORMAT_TARGETS[name]
        self._seeds = [
            (str(sample.expected["reader"]), sample.path.read_bytes())
            for sample in all_samples()
            if wanted(sample.format)
        ]

    def make(self, rng: random.Random) -> bytes:
        """Return a damaged sample, or two of them in one."""
        reader, data = rng.choice(self._seeds)
        if rng.random() < 0.15:
            data += rng.choice(self._seeds)[1]
        if rng.random() < 0.1:
            data *= rng.choice((2, 20))
        if rng.random() < 0.75:
            text = data.decode("utf-8", "surrogateescape")
            data = mutate_text(text, rng, _TOKENS).encode("utf-8", "replace")
        else:
            data = mutate_bytes(data, rng)
        if rng.random() < 0.05:
            data = data.decode("utf-8", "replace").encode("utf-16")
        return reader.encode() + b"\n" + data

    def check(self, data: bytes) -> None:
        """Read with large and with small ranges."""
        name, _, content = data.partition(b"\n")
        head = Head(content[:HEAD_BYTES], "x")
        for reader in _readers():
            reader.detect(head)
        whole, issues = read_ranges(name.decode(), content, ReadOptions(year=2022))
        parts, more = read_ranges(
            name.decode(), content, ReadOptions(year=2022, range_bytes=max(_SMALL, len(content) // 8))
        )
        joined = any(row[2] in _JOINED for row in whole)
        assert whole == parts or lost(issues) or lost(more) or joined or not is_text(content), "other events"


def is_text(content: bytes) -> bool:
    """Say whether it is UTF-8: else a header may be decoded otherwise than the lines behind it."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def lost(issues: list[Issue]) -> bool:
    """Say whether issues tell of something that could not be read."""
    return any(issue.code not in NOTE_CODES for issue in issues)


def read_ranges(name: str, content: bytes, options: ReadOptions) -> tuple[list[Any], list[Issue]]:
    """Return all events in order as comparable rows, and the issues; checks what must hold of them."""
    reader = reader_named(name)
    rows: list[Any] = []
    issues: list[Issue] = []
    try:
        years = find_years(io.BytesIO(content), content[:HEAD_BYTES], yearless_formats(reader), "x", None, options)
        ranges = reader.cut(io.BytesIO(content), content[:HEAD_BYTES], options)
        base = end = 0
        for span, data in ranges if years is None else with_years(ranges, years):
            assert (span.start, span.end) == (end, end + len(data)), "ranges join"
            end = span.end
            result = reader.read(data, span, "x", options)
            own = [row for table in result.tables for row in _rows(*table)]
            own.sort(key=lambda row: int(row[0]))
            assert [row[0] for row in own] == list(range(len(own))), "records count from 0 without gaps"
            rows += [(base + record, *row) for record, *row in own]
            base += len(own)
            issues += result.issues
    except InputError as error:
        return rows, [error.issue("evidence", "x")]
    assert end == len(content), "nothing is left over"
    for issue in issues:
        assert issue.reason, "an issue says why"
        assert issue.place.offset is None or 0 <= issue.place.offset <= len(content), "an issue's place is in the file"
    return rows, issues


def _rows(format_: str, channel: str, table: Any) -> list[tuple[Any, ...]]:
    assert table.column_names[: len(FIXED_SCHEMA)] == FIXED_SCHEMA.names, "the fixed columns"
    table.validate(full=True)
    found = []
    for row in table.to_pylist():
        cells = {name: value for name, value in row.items() if value is not None}
        found.append((cells.pop("record"), cells["offset"], format_, channel, cells))
    return found
