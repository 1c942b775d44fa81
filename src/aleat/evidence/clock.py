"""Columns of time texts to UTC: what a format says of its times, and what is assumed where it says nothing.

A text's own offset always counts. Without one, the zone is what the format defines (IIS writes UTC), else what
was stated for the source or its host (`ReadOptions.zone`, `zones`), else an assumption: the zone that the workspace
assumes, or UTC. Assumed rows are counted, and every reader says so in the same words (`zone_issue`), with the flag
that settles it.

Measured, millions of texts per second of processor time on one core: ISO 8601 with Z 2.4, with an offset 3.2, without a
zone and read in Europe/Tirane 3.0; Apache's 3.3, syslog's 2.4, epochs with microseconds 2.8, whole ones 11.8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.errors import InputError, Issue, Place
from aleat.evidence.reader import ByteRange, ReadOptions
from aleat.evidence.zones import Localised, localise, tzdata_version
from aleat.times import DAY, SECOND, micros_of

__all__ = [
    "TIME_NOTES",
    "ReadTimes",
    "TimeSpec",
    "has_year",
    "is_local",
    "read_times",
    "refusal",
    "time_issues",
    "zone_issue",
]

TIME_NOTES = frozenset({"zone-assumed", "zone-stated", "zone-fold", "zone-gap", "year-assumed", "year-stated"})
"""Codes of issues that say how times were read; none was lost with them."""

_NAT = np.iinfo(np.int64).min
_LONGEST = 64
"""No text longer than this is a time."""

_YEAR = re.compile(r"%[-_0]?[YyGgCDFcxs+]")
_ISO_SHAPES = tuple((blank, zoned) for blank in (False, True) for zoned in (True, False))
"""Whether a blank stands between date and time, and an offset at the end: tried on every text, whatever others are."""
_ENDS_ZONED = re.compile(r"[T ]\d\d:\d\d:\d\d\S*(?:Z|[+-]\d\d:?\d\d)$", re.ASCII)
_ZONED = re.compile(r"%[:#]?z")
FRACTION = re.compile(r"([.,])%f")
"""A fraction of a second in a pattern, as Python's strptime writes it: polars has ``%.f``, which may be absent."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d?):?(\d\d)?", re.ASCII)
_WCF = re.compile(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/", re.ASCII)
_FILETIME_EPOCH = 11_644_473_600 * SECOND
_ABBREVIATIONS = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET"), 0),
    **dict.fromkeys(("CET", "MET", "WEST"), 60),
    **dict.fromkeys(("CEST", "MEST", "EET"), 120),
    **dict.fromkeys(("EEST", "MSK"), 180),
    "EST": -300,
    "EDT": -240,
    "CST": -360,
    "CDT": -300,
    "MST": -420,
    "MDT": -360,
    "PST": -480,
    "PDT": -420,
}
"""Minutes ahead of UTC: RFC 822's own names, and European ones that mean one thing only."""

Micros = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TimeSpec:
    """How a format writes its times.

    `formats` are tried in order: ``iso`` (ISO 8601 and its relatives), ``epoch`` (seconds to nanoseconds since 1970,
    told by their size), ``filetime`` (tenths of microseconds since 1601), or a pattern of strftime (``%d/%b/%Y:%H:%M:%S
    %z``; ``.%f`` is a fraction of a second, ``%Z`` a zone's abbreviation). `zone` is what the format defines where a
    text has no offset; None where that is the logging machine's local time.
    """

    formats: tuple[str, ...]
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Times in UTC (NaT where there is none), and what had to be assumed for how many of them.

    `assumed`: the zone; `ambiguous`: they occurred twice, as clocks were put back; `nonexistent`: they never occurred,
    as clocks were put forward; `yearless`: nobody knows their year, so that they are no times. `stated` are pairs of a
    zone that somebody stated and how many times were read in it.
    """

    times: npt.NDArray[np.datetime64]
    assumed: int = 0
    ambiguous: int = 0
    nonexistent: int = 0
    yearless: int = 0
    stated: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class _Parsed:
    """Microseconds as written, and whether each is UTC already because its text has an offset."""

    micros: Micros
    zoned: Mask


def has_year(spec: TimeSpec) -> bool:
    """Say whether every format of `spec` writes the year."""
    return all(form in _NAMED or _YEAR.search(form) for form in spec.formats)


def is_local(spec: TimeSpec) -> bool:
    """Say whether texts of `spec` may be in a zone that neither they nor the format name."""
    return spec.zone is None and any(
        form not in ("epoch", "filetime") and not _ZONED.search(form) for form in spec.formats
    )


def read_times(
    texts: pl.Series,
    spec: TimeSpec,
    options: ReadOptions,
    *,
    hosts: pl.Series | None = None,
    year: int | npt.NDArray[np.int64] | None = None,
) -> ReadTimes:
    """Return `texts` as times in UTC; what is no time becomes NaT.

    `hosts` are the rows' hosts, where zones are stated by host. `year` is the year of the first text that has none
    (a text that lies much before its predecessor begins the next year), or each row's.
    """
    texts = (texts if texts.dtype == pl.String else texts.cast(pl.String)).rechunk()
    count = len(texts)
    micros, zoned, dated = np.full(count, _NAT), np.zeros(count, bool), np.ones(count, bool)
    missing: npt.NDArray[np.intp] | None = None
    for form in spec.formats:
        some = texts if missing is None else texts.gather(missing)
        found = _NAMED[form](some) if form in _NAMED else _by_pattern(some, form)
        if missing is None:
            micros, zoned = found.micros, found.zoned
            if not (form in _NAMED or _YEAR.search(form)):
                dated = micros == _NAT
        else:
            micros[missing], zoned[missing] = found.micros, found.zoned
            if not (form in _NAMED or _YEAR.search(form)):
                dated[missing] = found.micros == _NAT
        missing = np.flatnonzero(micros == _NAT)
        if not len(missing):
            break
    yearless = 0
    if not dated.all():
        yearless = _give_years(micros, np.flatnonzero(~dated), options.year if year is None else year)
    local = np.flatnonzero((micros != _NAT) & ~zoned)
    done = ReadTimes(micros.view("datetime64[us]"), yearless=yearless)
    return _to_utc(micros, local, spec, options, hosts, done) if len(local) else done


def zone_issue(path: str, span: ByteRange, assumed: int, options: ReadOptions) -> Issue:
    """Return the note on `assumed` times of a range that were read in a zone that nobody stated."""
    what = "UTC" if options.assume_zone is None else f"{_told(options.assume_zone)}, the case's zone"
    reason = f"{assumed} times from here on carry no zone and were read as {what}."
    advice = "State the zone of the machine that wrote it: --log-zone Europe/Tirane, or --log-zone 'host:DC*=+02:00'."
    return Issue("evidence", "zone-assumed", Place(path, offset=span.start), reason, advice, records=0)


def _told(zone: str) -> str:
    """Return a zone with the edition of its rules, where it has any."""
    return f"{zone} (rules of tzdata {tzdata_version()})" if zone[0].isalpha() and zone != "UTC" else zone


def refusal(issues: Iterable[Issue], path: str, options: ReadOptions) -> InputError | None:
    """Return the error that ends the reading of a source where it had to assume what `strict_time` forbids."""
    if options.strict_time:
        for issue in issues:
            if issue.code in ("zone-assumed", "year-assumed", "no-year"):
                what = "year" if "year" in issue.code else "zone"
                reason = f"Its times carry no {what}, and --strict-time refuses to assume one."
                return InputError(reason, Place(path), advice=issue.advice)
    return None


def time_issues(
    path: str, span: ByteRange, options: ReadOptions, times: Mapping[str, Sequence[ReadTimes]]
) -> Iterator[Issue]:
    """Yield what a reader must say of the times of one range; `times` are those of each format in it."""
    read = [item for name in sorted(times) for item in times[name]]
    place = Place(path, offset=span.start)
    if assumed := sum(item.assumed for item in read):
        yield zone_issue(path, span, assumed, options)
    stated: dict[str, int] = {}
    for item in read:
        for zone, count in item.stated:
            stated[zone] = stated.get(zone, 0) + count
    for zone, count in sorted(stated.items()):
        reason = f"{count} times from here on carry no zone and were read as {_told(zone)}, as was stated."
        yield Issue("evidence", "zone-stated", place, reason, records=0)
    if twice := sum(item.ambiguous for item in read):
        reason = f"{twice} times from here on occurred twice, as clocks were put back; the first was taken."
        yield Issue("evidence", "zone-fold", place, reason, "They may be an hour later.", records=0)
    if never := sum(item.nonexistent for item in read):
        reason = f"{never} times from here on never occurred in their zone: clocks were put forward."
        yield Issue("evidence", "zone-gap", place, reason, "Is the zone right? State it: --log-zone.", records=0)
    if yearless := sum(item.yearless for item in read):
        reason = f"{yearless} times from here on have no year, or a day that their year doesn't have."
        yield Issue("evidence", "no-year", place, reason, "State the year of its first line: --log-year.", records=0)


def _to_utc(
    micros: Micros,
    local: npt.NDArray[np.intp],
    spec: TimeSpec,
    options: ReadOptions,
    hosts: pl.Series | None,
    done: ReadTimes,
) -> ReadTimes:
    """Shift the rows `local` of `micros` to UTC, in place."""
    assumed = ambiguous = nonexistent = 0
    stated: dict[str, int] = {}
    for zone, rows in _zones(local, spec, options, hosts):
        if zone is None:
            assumed += len(rows)
        elif spec.zone is None:
            stated[zone] = stated.get(zone, 0) + len(rows)
        name = zone or options.assume_zone or "UTC"
        if name == "UTC":
            continue
        found: Localised = localise(micros[rows], name)
        micros[rows] = found.utc
        ambiguous += found.ambiguous
        nonexistent += found.nonexistent
    return ReadTimes(done.times, assumed, ambiguous, nonexistent, done.yearless, tuple(sorted(stated.items())))


def _zones(
    local: npt.NDArray[np.intp], spec: TimeSpec, options: ReadOptions, hosts: pl.Series | None
) -> Iterator[tuple[str | None, npt.NDArray[np.intp]]]:
    """Yield (zone, rows): what the format defines, or was stated; None where nobody said anything."""
    if spec.zone is not None or not options.zones or hosts is None:
        yield spec.zone or options.zone, local
        return
    names = hosts.gather(local)
    distinct = names.unique(maintain_order=True).to_list()
    stated = {name: _host_zone(name, options) for name in distinct}
    for zone in dict.fromkeys(stated.values()):
        mine = pl.Series([name for name in distinct if stated[name] == zone], dtype=pl.String)
        yield zone, local[names.is_in(mine, nulls_equal=True).to_numpy()]


def _host_zone(host: str | None, options: ReadOptions) -> str | None:
    name = (host or "").casefold()
    return next((zone for glob, zone in options.zones if host and fnmatchcase(name, glob.casefold())), options.zone)


# ------------------------------------------------------------------------------------------------ ISO 8601


def _iso(texts: pl.Series) -> _Parsed:
    """Read ``2022-07-15T08:00:00.123Z`` and the like: T or blank, comma or point, any offset or none."""
    texts = texts.str.strip_chars()
    first = next(iter(texts.drop_nulls().head(1)), "")[:_LONGEST]
    guess = (first[10:11] == " ", _ENDS_ZONED.search(first) is not None)
    found = _Parsed(np.full(len(texts), _NAT), np.zeros(len(texts), bool))
    rows: npt.NDArray[np.intp] | None = None
    for blank, zoned in (guess, *(shape for shape in _ISO_SHAPES if shape != guess)):
        pattern = f"%Y-%m-%d{' ' if blank else 'T'}%H:%M:%S%.f{'%#z' if zoned else ''}"
        if rows is None:
            found = _Parsed(_to_micros(texts, pattern), np.full(len(texts), zoned))
        else:
            found.micros[rows], found.zoned[rows] = _to_micros(texts.gather(rows), pattern), zoned
        rows = np.flatnonzero(found.micros == _NAT)
        if not len(rows):
            return found
    assert rows is not None  # noqa: S101 - there is a shape
    other = _mixed_iso(texts.gather(rows))
    found.micros[rows], found.zoned[rows] = other.micros, other.zoned
    return found


def _mixed_iso(texts: pl.Series) -> _Parsed:
    head, rest = texts.str.slice(0, 19), texts.str.slice(19)
    seconds = _to_micros(head, "%Y-%m-%dT%H:%M:%S")
    blank = seconds == _NAT
    if blank.any():
        again = _to_micros(head.filter(pl.Series(blank)), "%Y-%m-%d %H:%M:%S")
        seconds[blank] = again
    found = _Parsed(seconds, np.zeros(len(texts), bool))
    if (rest != "").any():
        suffix = rest.str.strip_chars_start(".,0123456789")
        fraction = rest.str.head(rest.str.len_chars().cast(pl.Int64) - suffix.str.len_chars().cast(pl.Int64))
        if (fraction != "").any():
            _add_fraction(found, fraction)
        _add_suffix(found, suffix)
    return _by_words(found, texts, _odd_iso)


def _add_fraction(found: _Parsed, fraction: pl.Series) -> None:
    """Add ``.123`` to the seconds; what is no fraction makes the row no time."""
    digits = fraction.str.slice(1, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False)
    good = ((fraction == "") | (fraction.str.contains(r"^[.,][0-9]+$") & digits.is_not_null())).fill_null(False)
    some = found.micros != _NAT
    found.micros[some] += digits.fill_null(0).to_numpy()[some]
    found.micros[~good.to_numpy()] = _NAT


def _add_suffix(found: _Parsed, suffix: pl.Series) -> None:
    """Apply each distinct offset to its rows; what is no offset makes the row no time."""
    coded = suffix.cast(pl.Categorical)
    codes = coded.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    for code in np.unique(codes):
        if code < 0:
            continue
        rows = codes == code
        text = str(suffix[int(np.argmax(rows))]).strip()
        if not text:
            continue
        minutes = offset_minutes(text)
        if minutes is None:
            found.micros[rows] = _NAT
        else:
            some = rows & (found.micros != _NAT)
            found.micros[some] -= minutes * 60 * SECOND
            found.zoned[rows] = True


@lru_cache(maxsize=4096)
def offset_minutes(text: str) -> int | None:
    """Return minutes ahead of UTC of ``Z``, ``+02:00``, ``+0200``, ``+02``, ``CEST``; None where it is no offset.

    >>> offset_minutes("+02:00"), offset_minutes("-0530"), offset_minutes("CET"), offset_minutes("IST")
    (120, -330, 60, None)
    """
    if (known := _ABBREVIATIONS.get(text.upper())) is not None:
        return known
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3] or 0) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return -minutes if match[1] == "-" else minutes


def _odd_iso(text: str) -> tuple[int, bool] | None:
    """Read what the fast way didn't: dates alone, minutes alone, the basic form, .NET's ``/Date(…)/``."""
    if match := _WCF.fullmatch(text):
        return int(match[1]) * 1000, True
    if len(text) < 8 or text.isdecimal():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return micros_of(moment.replace(tzinfo=UTC)), False
    return micros_of(moment), True


# ------------------------------------------------------------------------------------------------- numbers


def _epoch(texts: pl.Series) -> _Parsed:
    """Read seconds, milliseconds, microseconds or nanoseconds since 1970, with or without a fraction."""
    texts = texts.str.strip_chars()
    point = texts.str.find(".", literal=True)
    if point.is_null().all():
        whole, fraction = texts, None
    else:
        whole = texts.str.extract(r"^([0-9]+)(?:\.[0-9]*)?$", 1)
        fraction = texts.str.extract(r"\.([0-9]{1,6})", 1).fill_null("").str.pad_end(6, "0").cast(pl.Int64)
    number = whole.cast(pl.Int64, strict=False)
    value = number.fill_null(_NAT).to_numpy().copy()
    value[value <= 0] = _NAT
    micro = np.zeros(len(texts), np.int64) if fraction is None else fraction.fill_null(0).to_numpy()
    # below 1e11 seconds (the year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds
    sizes = [value == _NAT, value < 10**11, value < 10**14, value < 10**17]
    with np.errstate(over="ignore"):
        choices = [value, value * SECOND + micro, value * 1000 + micro // 1000, value]
        micros = np.select(sizes, choices, value // 1000)
    return _by_words(_Parsed(micros, np.ones(len(texts), bool)), texts, _odd_number)


def _odd_number(text: str) -> tuple[int, bool] | None:
    """Read a number that is no plain one: ``1.6579e9``, ``.5``."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not 0 < value < 1e20:
        return None
    scale = next((scale for ceiling, scale in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0)) if value < ceiling), 1e-3)
    return round(value * scale), True


def _filetime(texts: pl.Series) -> _Parsed:
    """Read tenths of microseconds since 1601, as Windows and LDAP count."""
    value = texts.str.strip_chars().cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    micros = np.where(value > 0, value // 10 - _FILETIME_EPOCH, _NAT)
    return _Parsed(micros, np.ones(len(texts), bool))


# ------------------------------------------------------------------------------------------------ patterns


def _by_pattern(texts: pl.Series, pattern: str) -> _Parsed:
    """Read texts by a strftime pattern; one without a year is read in the year 2000."""
    texts = texts.str.strip_chars()
    if pattern.endswith("%Z"):
        return _by_abbreviation(texts, pattern.removesuffix("%Z").rstrip())
    if ",%f" in pattern:
        texts = texts.str.replace(r",([0-9]+)", ".$1")
    pattern = FRACTION.sub("%.f", pattern)
    if not _YEAR.search(pattern):
        pattern, texts = f"%Y {pattern}", "2000 " + texts
    zoned = _ZONED.search(pattern) is not None
    return _Parsed(_to_micros(texts, pattern), np.full(len(texts), zoned))


def _by_abbreviation(texts: pl.Series, pattern: str) -> _Parsed:
    """Read texts that may end with the name of a zone; a name that isn't known counts as none."""
    names = texts.str.extract(r" \(?([A-Z][A-Za-z]{0,4}|[+-][0-9:]{2,6})\)?$", 1).fill_null("")
    bare = texts.str.replace(r" \(?([A-Z][A-Za-z]{0,4}|[+-][0-9:]{2,6})\)?$", "")
    if pattern.endswith("%p"):
        bare = pl.select(pl.when(names.is_in(["AM", "PM"])).then(texts).otherwise(bare)).to_series()
        names = pl.select(pl.when(names.is_in(["AM", "PM"])).then(pl.lit("")).otherwise(names)).to_series()
    found = _by_pattern(bare, pattern)
    known = [name for name in names.unique().to_list() if name and offset_minutes(name) is not None]
    for name in known:
        rows = (names == name).to_numpy() & (found.micros != _NAT)
        found.micros[rows] -= (offset_minutes(name) or 0) * 60 * SECOND
        found.zoned[rows] = True
    return found


def _give_years(micros: Micros, rows: npt.NDArray[np.intp], year: int | Micros | None) -> int:
    """Move `rows`, read in the year 2000, to their years from `year` on; return how many have none.

    A text much before its predecessor (30 days) begins a new year; one from the last month after one from the first
    is late, and belongs to the year before.
    """
    if not len(rows):
        return 0
    if year is None:
        micros[rows] = _NAT
        return len(rows)
    moments = micros[rows]
    days = moments // DAY
    years = np.clip(year + year_steps(days) if isinstance(year, int) else year[rows], 1, 9998)
    dates = days.astype("datetime64[D]")
    months = (years - 1970) * 12 + dates.astype("datetime64[M]").astype(np.int64) % 12
    of_month = dates - dates.astype("datetime64[M]").astype("datetime64[D]")
    placed = months.astype("datetime64[M]").astype("datetime64[D]") + of_month
    wrong = placed.astype("datetime64[M]").astype(np.int64) != months  # 29 February
    micros[rows] = np.where(wrong, _NAT, placed.astype(np.int64) * DAY + moments % DAY)
    return int(wrong.sum())


def year_steps(days: Micros) -> Micros:
    """Return how many years each day (in any one year, in a log's order) lies after the first one's."""
    steps = np.diff(days)
    return np.concatenate([[0], np.cumsum((steps < -BACK_DAYS).astype(np.int64) - (steps > LATE_DAYS))])


BACK_DAYS = 30
"""A log that steps back further has passed the end of a year."""
LATE_DAYS = 335
"""A log that steps forward further has stepped back over the beginning of a year."""


# --------------------------------------------------------------------------------------------------- shared


def _to_micros(texts: pl.Series, pattern: str) -> Micros:
    zone = "UTC" if _ZONED.search(pattern) else None
    found = texts.str.to_datetime(pattern, strict=False, time_unit="us", time_zone=zone, cache=False)
    return found.to_physical().fill_null(_NAT).to_numpy().copy()


def _by_words(found: _Parsed, texts: pl.Series, parse: Callable[[str], tuple[int, bool] | None]) -> _Parsed:
    """Read what is no time yet with `parse`, each distinct text once."""
    rows = np.flatnonzero(found.micros == _NAT)
    if not len(rows):
        return found
    known: dict[str, tuple[int, bool] | None] = {}
    for row, text in zip(rows.tolist(), texts.gather(rows).to_list(), strict=True):
        if not text or len(text) > _LONGEST:
            continue
        if text not in known:
            known[text] = parse(text)
        if (value := known[text]) is not None:
            found.micros[row], found.zoned[row] = value
    return found


_NAMED: dict[str, Callable[[pl.Series], _Parsed]] = {"iso": _iso, "epoch": _epoch, "filetime": _filetime}
