"""Logs of lines, by regular expressions: what a ``[[read]]`` with ``layout = "lines"`` says beside what all say.

================  =====================================================================================
``detect``        expressions (Python's `re`, linear, anchored at a line's start); a stream is of the format
                  where at least ``share`` (default 0.5) of its first lines match one
``lacks``         expressions that none of the first lines match
``start``         expression of the lines with which a record starts; others belong to the record before
``cut``           expression of the lines before which a file may be cut (default: ``start``)
``continues``     ``{mark, form}``: lines that go on with the text of an earlier one (`continued`)
``split``         expression of what starts a record in the middle of a line
``skip``          expression of lines that are no records (comments)
``pattern``       tables, tried in order: ``regex`` (Rust's syntax, named groups are fields), and where they
                  differ from the reading's: ``channel``, ``event_id``, ``provider``, ``host``, ``time``
``…expand``       ``{field, style, columns, separator}``: a group whose text names its values (`pairs`); or
                  ``{field, forms}``: expressions of which the first that fits a group's text names parts of it
``…carries``      the group that holds another format's line, as syslog does (see ``within``)
``…needs``        a text that is in all lines of this form, where few lines are of it
``…odd``          what is wrong with lines of this form, which were read all the same
``within``        ``"syslog"``: lines of this format may stand in a syslog message: one from a program that
                  ``programs`` (globs) names, or that ``marks`` match (expressions; default: ``detect``)
================  =====================================================================================

A line in no form that the format has is kept in custody as a broken line, with its place.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.evidence.clock import has_year
from aleat.evidence.columns import free_name
from aleat.evidence.continued import join_continued
from aleat.evidence.described import FACTS, Pick, Reading, reading_of
from aleat.evidence.head import Head
from aleat.evidence.inner_events import Found, InnerEvents, InnerWindowsEvents
from aleat.evidence.pairs import expand
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import MAX_LINE_BYTES, LineNotes, bom_length, cut_lines, detect_encoding
from aleat.evidence.text_columns import FACT, ColumnTables, Lines, Rows, extract
from aleat.formats import all_formats

__all__ = ["LinesReader", "Pattern", "grown", "parts_of"]

_DETECT_CHARACTERS = 2048
_DETECT_LINES = 20
_HELD_BYTES = 4 * MAX_LINE_BYTES
"""A record that runs on for more is cut."""
_FORMAT = "syslog"
"""The envelope."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One form of line: its expression, the reading that holds for its rows, and how its groups go on."""

    regex: str
    reading: Reading
    expand: Sequence[Mapping[str, Any]]
    carries: str
    odd: str
    needs: str = ""


class LinesReader:
    """Reads logs of one lines format."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        own = reading.own
        self.patterns = [_pattern(reading, table) for table in own["pattern"]]
        self.carries = any(pattern.carries for pattern in self.patterns)
        self._detect = [re.compile(text) for text in own["detect"]]
        self._lacks = [re.compile(text) for text in own.get("lacks", ())]
        self._share = own.get("share", 0.5)
        self._start = own.get("start", "")
        self._cut = own.get("cut", self._start)
        self._continues = own.get("continues")
        self._split = own.get("split", "")
        self._skip = own.get("skip", "")

    @cached_property
    def version(self) -> str:
        """The description's version; where lines carry others', it changes with those too."""
        if not self.carries:
            return self.reading.version
        carried = ",".join(item.reading.version for item in carried_readers())
        return f"{self.reading.version}+{sha256(carried.encode()).hexdigest()[:12]}"

    def detect(self, head: Head) -> bool:
        """Say yes where enough of the first lines match."""
        if head.is_json:
            return False
        lines = [line[:_DETECT_CHARACTERS] for line in head.lines if not self._is_comment(line)][:_DETECT_LINES]
        if any(expression.match(line) for expression in self._lacks for line in lines):
            return False
        good = sum(1 for line in lines if self.recognises(line))
        return good > 0 and good >= self._share * len(lines)

    def recognises(self, line: str) -> bool:
        """Say whether a line begins as this format's do."""
        return any(expression.match(line) for expression in self._detect)

    @cached_property
    def _comment(self) -> re.Pattern[str] | None:
        return re.compile(self._skip) if self._skip else None

    def _is_comment(self, line: str) -> bool:
        return self._comment is not None and self._comment.match(line[:_DETECT_CHARACTERS]) is not None

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends; where records have several lines, before the line that starts one."""
        encoding = detect_encoding(head)
        ranges = cut_lines(stream, encoding, options.range_bytes, {"encoding": encoding})
        if self._cut:
            ranges = _at_starts(ranges, encoding, re.compile(self._cut))
        return ranges

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the records of one range."""
        result = RangeResult()
        lines = Lines.of(data, span, bom_length(data) if span.start == 0 else 0, options, result)
        if self._split:
            lines = _split_inside(lines, self._split, str(span.context["encoding"]))
        if self._skip and len(lines):
            lines = lines.where(~lines.texts.str.contains(self._skip).to_numpy())
        if self._start and len(lines):
            lines = _joined(lines, self._start)
        if self._continues and len(lines):
            lines = join_continued(lines, self._continues)
        tables = ColumnTables(path, span, options, result)
        notes = LineNotes(path, span, result)
        left = self._take(lines, tables, notes, (path, span, options, result))
        for number, offset, text in zip(left.numbers, left.offsets, left.texts, strict=True):
            self._note(notes, int(number), int(offset), text)
        notes.finish()
        tables.finish()
        return result

    def _note(self, notes: LineNotes, number: int, offset: int, text: str) -> None:
        reason = f"The line has no form that {self.reading.name} logs have."
        if not text.strip("\0 "):
            reason = "The line holds zeros only, as after a crash."
        notes.broken(offset, number, len(text.encode("utf-8", "replace")), reason)

    def _take(
        self,
        lines: Lines,
        tables: ColumnTables,
        notes: LineNotes,
        place: tuple[str, ByteRange, ReadOptions, RangeResult],
    ) -> Lines:
        """Hand the rows of all lines that have a form to the tables, and return the rest."""
        places = np.arange(len(lines))
        found: list[Found] = []
        early = np.full(len(lines), np.datetime64("NaT", "us"))
        left = lines
        for pattern in self.patterns:
            if not len(left):
                break
            matched, columns = _extracted(left.texts, pattern)
            if matched.any():
                for row in np.flatnonzero(matched) if pattern.odd else ():
                    length = len(left.texts[int(row)])
                    notes.odd(int(left.offsets[row]), int(left.numbers[row]), length, pattern.odd)
                if not has_year(pattern.reading.time.spec):
                    early[places[matched]] = tables.read_early(pattern.reading, columns, lines.offsets[places[matched]])
                found.extend(grown(pattern, places[matched], columns))
                places, left = places[~matched], left.where(~matched)
        taken = np.ones(len(lines), np.bool_)
        taken[places] = False
        inner, windows = InnerEvents(self.reading.format), InnerWindowsEvents(place[2])
        if self.carries:
            found = inner.take_out(found, lines.offsets, windows)
            taken[inner.later] = False
        records = np.cumsum(taken) - 1
        if self.carries:
            inner.add(records, lines.offsets, windows, place)
            windows.finish(place[0], place[3])
        for reading, rows, columns in self._timed(found):
            times = None if has_year(reading.time.spec) else early[rows]
            tables.add(reading, Rows(records[rows], lines.offsets[rows], columns, times=times))
        return left

    def _timed(self, found: list[Found]) -> Iterator[Found]:
        """Give rows of other formats that don't say their time the envelope's."""
        for reading, rows, columns in found:
            if reading.format == self.reading.format:
                yield reading, rows, columns
                continue
            own = _has_time(reading, columns, len(rows))
            for mask, time in ((own, reading.time), (~own, self.reading.time)):
                if mask.all():
                    yield replace(reading, time=time), rows, columns
                elif mask.any():
                    chosen = pl.Series(mask)
                    part = {name: column.filter(chosen) for name, column in columns.items()}
                    yield replace(reading, time=time), rows[mask], part


def _extracted(texts: pl.Series, pattern: Pattern) -> tuple[npt.NDArray[np.bool_], dict[str, pl.Series]]:
    """Return what `extract` does, without a look at texts that lack what the pattern needs."""
    if not pattern.needs:
        return extract(texts, pattern.regex)
    some = texts.str.contains(pattern.needs, literal=True)
    if not some.any():
        return np.zeros(len(texts), np.bool_), {}
    mask = some.to_numpy().copy()
    matched, columns = extract(texts.filter(some), pattern.regex)
    mask[mask] = matched
    return mask, columns


def _has_time(reading: Reading, columns: Mapping[str, pl.Series], count: int) -> npt.NDArray[np.bool_]:
    """Say for each row whether its time stands in one of the reading's fields."""
    found = np.zeros(count, np.bool_)
    for group in reading.time.groups:
        if all(name in columns for name in group):
            here = np.ones(count, np.bool_)
            for name in group:
                here &= columns[name].is_not_null().to_numpy()
            found |= here
    return found


def _pattern(reading: Reading, table: Mapping[str, Any]) -> Pattern:
    facts = {name: table[name] for name in (*FACTS, "time") if name in table}
    if facts:
        own = reading_of(reading.format, {"layout": "lines", **facts})
        time = own.time if "time" in facts else reading.time
        reading = replace(reading, facts={**reading.facts, **own.facts}, time=time)
    return Pattern(
        table["regex"],
        reading,
        table.get("expand", ()),
        table.get("carries", ""),
        table.get("odd", ""),
        table.get("needs", ""),
    )


def grown(
    pattern: Pattern, places: npt.NDArray[np.int64], columns: dict[str, pl.Series]
) -> Iterator[tuple[Reading, npt.NDArray[np.int64], dict[str, pl.Series]]]:
    """Yield the rows of one pattern, at `places` of their log, parted where what their groups hold differs."""
    parts = [(pattern.reading, places, columns)]
    if pattern.carries:
        parts = [grown for part in parts for grown in _carried(pattern.carries, *part)]
    for step in pattern.expand:
        parts = [grown for part in parts for grown in _expanded(step, *part)]
    yield from parts


def _expanded(
    step: Mapping[str, Any], reading: Reading, places: npt.NDArray[np.int64], columns: dict[str, pl.Series]
) -> Iterator[tuple[Reading, npt.NDArray[np.int64], dict[str, pl.Series]]]:
    field = step["field"]
    if field not in columns:
        yield reading, places, columns
        return
    if "forms" in step:
        yield from _formed(step["forms"], field, reading, places, columns)
        return
    values = expand(columns[field], step["style"], step.get("columns", ()), step.get("separator", ","))
    named = np.zeros(len(places), np.bool_)
    for column in values.values():
        named |= column.is_not_null().to_numpy()
    inner = {**columns, field: columns[field].set(pl.Series(named), None)}
    for name, column in values.items():
        inner[name if name not in inner or inner[name].is_null().all() else free_name(name, inner)] = column
    yield reading, places, inner


def _formed(
    forms: Sequence[str], field: str, reading: Reading, places: npt.NDArray[np.int64], columns: dict[str, pl.Series]
) -> Iterator[tuple[Reading, npt.NDArray[np.int64], dict[str, pl.Series]]]:
    """Yield the rows by the first of `forms` that a group's text has, with its parts; the rest as they are."""
    left = np.arange(len(places))
    for form in forms:
        matched, parts = extract(columns[field].gather(left), form)
        if matched.any():
            chosen = left[matched]
            inner = {name: column.gather(chosen) for name, column in columns.items()}
            for name, column in parts.items():
                inner[name if name not in inner or inner[name].is_null().all() else free_name(name, inner)] = column
            yield reading, places[chosen], inner
            left = left[~matched]
            if not len(left):
                return
    yield reading, places[left], {name: column.gather(left) for name, column in columns.items()}


def _carried(
    field: str, outer: Reading, places: npt.NDArray[np.int64], columns: dict[str, pl.Series], only: str = ""
) -> Iterator[tuple[Reading, npt.NDArray[np.int64], dict[str, pl.Series]]]:
    """Yield the rows with what other formats find in their messages; those in which none does, as they are."""
    left = np.arange(len(places))
    for reader in carried_readers():
        if not len(left):
            break
        if only and reader.reading.format != only:
            continue
        messages = columns[field].gather(left)
        mask = reader.among(messages, columns["program"].gather(left) if "program" in columns else None)
        for pattern in reader.patterns if mask.any() else ():
            rows = left[mask]
            matched, inner = extract(messages.filter(pl.Series(mask)), pattern.regex)
            if not matched.any():
                continue
            chosen = rows[matched]
            rest = {name: column.gather(chosen) for name, column in columns.items() if name != field}
            reading = _within(outer, pattern.reading)
            merged = _merged(inner, rest)
            yield from grown(replace(pattern, reading=reading, carries=""), places[chosen], merged)
            keep = ~np.isin(left, chosen)
            left, messages, mask = left[keep], messages.filter(pl.Series(keep)), mask[keep]
            if not mask.any():
                break
    if len(left):
        yield outer, places[left], {name: column.gather(left) for name, column in columns.items()}


def _merged(inner: dict[str, pl.Series], rest: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Return a message's fields with its envelope's, which have a name of their own where both say something."""
    merged = dict(inner)
    for name, column in rest.items():
        if name not in inner:
            merged[name] = column
        elif name.startswith(FACT) or inner[name].is_null().all():
            merged[name] = inner[name].zip_with(inner[name].is_not_null(), column)
        else:
            merged[f"{_FORMAT}.{name}"] = column
    return merged


def _within(outer: Reading, inner: Reading) -> Reading:
    """Return the inner format's reading, which takes from the envelope what its own line doesn't say.

    A time without a year is only the envelope's, so that those of a file are all in one order.
    """
    facts = dict(inner.facts)
    for name in ("host", "provider"):
        if name in outer.facts:
            own = facts.get(name, Pick())
            facts[name] = Pick((*own.fields, *(field for field in outer.facts[name].fields)), own.constant)
    time = inner.time if inner.time.groups and has_year(inner.time.spec) else outer.time
    return replace(inner, facts=facts, time=time, numbers=inner.numbers | outer.numbers)


def parts_of(format_: str, messages: pl.Series, programs: pl.Series) -> dict[int, dict[str, str]]:
    """Return what the forms of one format's messages find in some, by their rows."""
    envelope = reading_of(format_, {"layout": "lines"})
    columns = {"message": messages, "program": programs}
    parts: dict[int, dict[str, str]] = {}
    for _, places, found in _carried("message", envelope, np.arange(len(messages)), columns, only=format_):
        named = {
            name: column.to_list()
            for name, column in found.items()
            if name not in columns and not name.startswith((FACT, f"{_FORMAT}."))
        }
        for row, place in enumerate(places.tolist()):
            values = {name: value for name, column in named.items() if (value := column[row]) is not None}
            if values:
                parts[place] = values
    return parts


class _Carried:
    """A lines format whose lines may stand in a syslog message."""

    def __init__(self, reader: LinesReader) -> None:
        self.reading = reader.reading
        self.patterns = reader.patterns
        self._programs = [re.compile(fnmatch.translate(glob)) for glob in reader.reading.own.get("programs", ())]
        marks = [item.pattern for item in reader._detect] if not self._programs else []
        self._marks: Sequence[str] = reader.reading.own.get("marks", marks)

    def among(self, messages: pl.Series, programs: pl.Series | None) -> npt.NDArray[np.bool_]:
        """Say for each message whether it may be of the format."""
        mask = np.zeros(len(messages), np.bool_)
        if self._programs and programs is not None:
            names = [
                name for name in programs.unique().to_list() if name and any(p.match(name) for p in self._programs)
            ]
            mask |= programs.is_in(names).fill_null(value=False).to_numpy()
        for mark in self._marks:
            mask |= messages.str.contains(f"^(?:{mark})").fill_null(value=False).to_numpy()
        return mask


@lru_cache(maxsize=1)
def carried_readers() -> tuple[_Carried, ...]:
    """Return the formats whose lines may stand in a syslog message, by name."""
    tables = [(item.name, table) for item in all_formats() for table in item.read if table.get("within") == "syslog"]
    return tuple(_Carried(LinesReader(reading_of(name, table))) for name, table in tables)


def _at_starts(
    ranges: Iterator[tuple[ByteRange, bytes]], encoding: str, start: re.Pattern[str]
) -> Iterator[tuple[ByteRange, bytes]]:
    """Move each cut forward to the next line that starts a record."""
    waiting: tuple[ByteRange, bytes] | None = None
    index = 0
    for span, data in ranges:
        if waiting is None:
            waiting = span, data
            continue
        before, lines = _before_start(data, encoding, start)
        first, held = waiting
        if before == len(data) and len(held) < _HELD_BYTES:
            waiting = replace(first, end=span.end), held + data
            continue
        yield replace(first, index=index, end=first.end + before), held + data[:before]
        index += 1
        moved = replace(span, start=span.start + before, first_line=span.first_line + lines)
        waiting = moved, data[before:]
    if waiting is not None and waiting[1]:
        yield replace(waiting[0], index=index), waiting[1]


def _before_start(data: bytes, encoding: str, start: re.Pattern[str]) -> tuple[int, int]:
    """Return how many bytes and lines stand before the first line that starts a record (all, where none does)."""
    feed = "\n".encode(encoding)
    position = lines = 0
    while position < len(data):
        end = data.find(feed, position)
        end = len(data) if end < 0 else end + len(feed)
        if start.match(data[position:end][: 4 * _DETECT_CHARACTERS].decode(encoding, "replace")):
            return position, lines
        position, lines = end, lines + 1
    return len(data), lines


def _joined(lines: Lines, start: str) -> Lines:
    """Join the lines of one record; lines before the first start are a record of their own."""
    starts = lines.texts.str.contains(f"^(?:{start})").to_numpy().copy()
    starts[0] = True
    if starts.all():
        return lines
    heads = np.flatnonzero(starts)
    texts = lines.texts.to_list()
    joined = [
        texts[first] if last == first + 1 else "\n".join(texts[first:last])
        for first, last in pairwise([*heads.tolist(), len(texts)])
    ]
    return Lines(pl.Series(joined, dtype=pl.String), lines.offsets[heads], lines.numbers[heads])


def _split_inside(lines: Lines, split: str, encoding: str) -> Lines:
    """Part lines in which further records start."""
    inside = lines.texts.str.count_matches(split).to_numpy()
    odd = (inside > 1) | ((inside == 1) & ~lines.texts.str.contains(f"^(?:{split})").to_numpy())
    if not odd.any():
        return lines
    expression = re.compile(split)
    texts: list[str] = []
    offsets: list[int] = []
    numbers: list[int] = []
    for text, offset, number, is_odd in zip(lines.texts, lines.offsets, lines.numbers, odd, strict=True):
        cuts = [match.start() for match in expression.finditer(text)] if is_odd else []
        at = int(offset)
        for first, last in pairwise([0, *(cut for cut in cuts if cut), len(text)]):
            texts.append(text[first:last])
            offsets.append(at)
            numbers.append(int(number))
            at += len(texts[-1].encode(encoding, "replace")) if is_odd else 0
    return Lines(pl.Series(texts, dtype=pl.String), np.array(offsets, np.int64), np.array(numbers, np.int64))
