"""The year of logs that write none (RFC 3164's syslog): from their own order, and when they were last written.

One pass over the whole stream notes each line at which a new year begins: its date lies more than 30 days before its
predecessor's. (One from the last month after one from the first is late, and belongs to the year before.) The latest
date is then taken to be the last such day that was not after the file's modification time, by a day's grace for zones;
a 29 February moves all of it back to years that have one. What was found is in the ranges' context, so that equal
bytes in equal years give equal segments, wherever the year came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.errors import Issue, Place
from aleat.evidence.clock import TimeSpec, has_year, is_local, year_steps
from aleat.evidence.reader import ByteRange, ReadOptions
from aleat.evidence.text import cut_lines, detect_encoding
from aleat.evidence.time_texts import FRACTION
from aleat.times import calendar_time

__all__ = [
    "YearScan",
    "Years",
    "find_years",
    "has_local_times",
    "scan_years",
    "solve_years",
    "time_specs",
    "with_years",
    "yearless_formats",
    "years_at",
]

_BLOCK = 4 * 1024 * 1024
_HEAD = 120
_MAX_CHANGES = 1000
_LEAP_SHIFTS = 9
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_STARTS = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335], np.int64)
_LEAP_DAY = 59
_PARTS = {
    "%b": "(?P<month>[A-Za-z]{3})",
    "%h": "(?P<month>[A-Za-z]{3})",
    "%e": "(?P<day>[ 0-3]?[0-9])",
    "%d": "(?P<day>[0-3]?[0-9])",
    "%m": "(?P<month>[01]?[0-9])",
    "%T": "[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "%R": "[0-9]{2}:[0-9]{2}",
    "%a": "[A-Za-z]{3}",
    "%p": "[AaPp][Mm]",
    "%f": "[0-9]{1,9}",
    "%.f": "(?:[.,][0-9]{1,9})?",
    **dict.fromkeys(("%H", "%I", "%k", "%l", "%M", "%S"), "[ 0-9]?[0-9]"),
    **dict.fromkeys(("%z", "%Z", "%:z", "%#z"), "[A-Za-z0-9:+-]{1,8}"),
}
_TOKEN = re.compile(r"%[.:#]?[A-Za-z]|\s+|[^%\s]", re.DOTALL)


@dataclass(slots=True)
class YearScan:
    """What a log's dates say of its years: where they step (byte, years since the first line), and how far it got.

    `latest` is the latest date as (step, day of a leap year from 0), `leaps` the steps in which 29 February occurs.
    """

    changes: list[tuple[int, int]] = field(default_factory=list)
    latest: tuple[int, int] = (-1, -1)
    leaps: set[int] = field(default_factory=set)
    unsteady: bool = False


@dataclass(frozen=True, slots=True)
class Years:
    """The year in force from each byte on, and in which words that is said."""

    starts: tuple[tuple[int, int], ...]
    note: Issue


def time_specs(reader: Any) -> tuple[TimeSpec, ...]:
    """Return how a reader's times may be written, where a description says it (see `described`); else nothing."""
    readings = [getattr(reader, "reading", None), *(item.reading for item in getattr(reader, "patterns", ()))]
    return tuple(dict.fromkeys(item.time.spec for item in readings if item is not None))


def has_local_times(reader: Any) -> bool:
    """Say whether a stated zone can mean something to a reader."""
    specs = time_specs(reader)
    return any(map(is_local, specs)) if specs else bool(getattr(reader, "local_times", True))


def yearless_formats(reader: Any) -> tuple[str, ...]:
    """Return the strftime patterns of a reader's times that have no year."""
    forms = (form for spec in time_specs(reader) for form in spec.formats)
    return tuple(dict.fromkeys(form for form in forms if not has_year(TimeSpec((form,)))))


@lru_cache(maxsize=64)
def _expression(formats: tuple[str, ...]) -> str:
    """Return a regular expression (Rust's) that finds the date in a line's first characters."""
    alternatives = []
    for number, form in enumerate(formats):
        parts = [
            _PARTS.get(token, " +" if token.isspace() else re.escape(token))
            for token in _TOKEN.findall(FRACTION.sub("%.f", form))
        ]
        alternatives.append("".join(parts).replace("<month>", f"<month{number}>").replace("<day>", f"<day{number}>"))
    return rf"^.{{0,64}}?(?-u:\b|^)(?:{'|'.join(alternatives)})"


def scan_years(stream: BinaryIO, formats: tuple[str, ...], encoding: str) -> YearScan:
    """Read a stream to its end, and return what the dates of its lines say of the years."""
    scan = YearScan()
    expression = _expression(formats)
    step, last = 0, -1
    for span, data in cut_lines(stream, encoding, _BLOCK, {}):
        offsets, days = _dates(data, encoding, expression)
        if not len(days):
            continue
        before = days[0] if last < 0 else last
        steps = step + year_steps(np.concatenate([[before], days]))[1:]
        moved = np.flatnonzero(np.diff(np.concatenate([[step], steps])))
        scan.changes += [(span.start + int(offsets[row]), int(steps[row])) for row in moved]
        scan.leaps.update(np.unique(steps[days == _LEAP_DAY]).tolist())
        highest = int(steps.max())
        scan.latest = max(scan.latest, (highest, int(days[steps == highest].max())))
        step, last = int(steps[-1]), int(days[-1])
        if len(scan.changes) > _MAX_CHANGES:
            scan.unsteady = True
            scan.changes, scan.leaps = [], set()
            scan.latest = (0, scan.latest[1])
            break
    return scan


def _dates(data: bytes, encoding: str, expression: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return offsets of the lines that have a date, and the days."""
    wide = encoding.startswith("utf-16")
    narrow = data[encoding.endswith("be") :: 2] if wide else data
    lines = narrow.decode("latin-1").split("\n")
    texts = pl.Series(lines, dtype=pl.String)
    offsets = np.concatenate([[0], np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)[:-1]])
    groups = texts.str.head(_HEAD).str.extract_groups(expression).struct.unnest()
    months = pl.Series([None], dtype=pl.String).new_from_index(0, len(texts))
    days = months
    for name in groups.columns:
        if name.startswith("month"):
            months = months.zip_with(months.is_not_null(), groups[name])
        else:
            days = days.zip_with(days.is_not_null(), groups[name])
    known = {name: _month(name) for name in months.unique().to_list()}
    month = months.replace_strict(known, return_dtype=pl.Int64)
    day = days.str.strip_chars().cast(pl.Int64, strict=False)
    good = (month.is_not_null() & day.is_between(1, 31)).fill_null(value=False)
    numbers = month.filter(good).to_numpy()
    ordinals = _STARTS[numbers] + day.filter(good).to_numpy() - 1
    return offsets[good.to_numpy()] * (2 if wide else 1), ordinals


def _month(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isdecimal():
        return int(text) - 1 if 1 <= int(text) <= 12 else None
    return _MONTHS.index(text.lower()) if text.lower() in _MONTHS else None


def solve_years(scan: YearScan, path: str, modified: datetime | None, stated: int | None) -> Years | None:
    """Return the years of a log, or None where nothing says them: `stated` is its first line's."""
    highest, latest = scan.latest
    if latest < 0 or (stated is None and modified is None):
        return None
    shifted = 0
    if stated is not None:
        first = stated
        code, source = "year-stated", "as was stated"
    else:
        assert modified is not None  # noqa: S101 - as above
        limit = modified.astimezone(UTC) + timedelta(days=1)
        day = int(_STARTS[limit.month - 1]) + limit.day - 1
        first = limit.year - (latest > day) - highest
        while shifted < _LEAP_SHIFTS and not all(_is_leap(first + step) for step in scan.leaps):
            first, shifted = first - 1, shifted + 1
        if shifted == _LEAP_SHIFTS:
            first, shifted = first + shifted, 0
        code, source = "year-assumed", f"by its order and its modification time, {modified.astimezone(UTC):%Y-%m-%d}"
    if shifted:
        source += ", and because it has a 29 February"
    if scan.unsteady:
        source += "; its dates go back and forth so often that one year was taken for all"
    last = first + highest
    what = f"taken to be of {first}" if last == first else f"taken to be of {first} to {last}"
    advice = "" if stated is not None else f"State the year of its first line if that is wrong: --log-year {first}."
    note = Issue(
        "evidence", code, Place(path), f"Its lines carry no year; they were {what}, {source}.", advice, records=0
    )
    return Years(((0, first), *((offset, first + step) for offset, step in scan.changes)), note)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def with_years(ranges: Iterator[tuple[ByteRange, bytes]], years: Years) -> Iterator[tuple[ByteRange, bytes]]:
    """Put the years into the ranges' context, and the note on them into the first one."""
    starts = [start for start, _ in years.starts]
    for span, data in ranges:
        first = max(0, int(np.searchsorted(starts, span.start, "right")) - 1)
        inside = [[start, year] for start, year in years.starts[first:] if start < span.end]
        inside[0][0] = span.start
        notes = (years.note,) if span.index == 0 else ()
        yield replace(span, context={**span.context, "years": inside}, notes=(*span.notes, *notes)), data


def years_at(context: Mapping[str, Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Return the years of the lines at `offsets` by a range's context; None where that has none."""
    years = context.get("years")
    if not years:
        return None
    starts = np.array([start for start, _ in years], np.int64)
    values = np.array([year for _, year in years], np.int64)
    return values[np.maximum(np.searchsorted(starts, offsets, "right") - 1, 0)]


def find_years(
    stream: BinaryIO, head: bytes, formats: tuple[str, ...], path: str, modified: float | None, options: ReadOptions
) -> Years | None:
    """Scan a stream for its years and solve them; `modified` is when it was last written, in seconds since 1970."""
    moment = None if modified is None else calendar_time(int(modified * 1_000_000))
    return solve_years(scan_years(stream, formats, detect_encoding(head)), path, moment, options.year)
