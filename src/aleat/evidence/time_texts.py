"""Columns of time texts to microseconds as written, by their format: what `clock` makes UTC of.

Everything works on whole columns; only what is written in an odd way is read text by text, each distinct one once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.times import SECOND, micros_of

__all__ = ["FRACTION", "NAT", "Parsed", "offset_minutes", "parse_texts", "writes_offset", "writes_year"]

NAT = np.iinfo(np.int64).min
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


@dataclass(slots=True)
class Parsed:
    """Microseconds as written, and whether each is UTC already because its text has an offset."""

    micros: Micros
    zoned: Mask


def writes_year(form: str) -> bool:
    """Say whether a format writes the year."""
    return form in _NAMED or _YEAR.search(form) is not None


def writes_offset(form: str) -> bool:
    """Say whether no time in a format can be local."""
    return form in ("epoch", "filetime") or _ZONED.search(form) is not None


def parse_texts(texts: pl.Series, form: str) -> Parsed:
    """Read texts by one format (see `clock.TimeSpec`); those of one that writes no year are of the year 2000."""
    return _NAMED[form](texts) if form in _NAMED else _by_pattern(texts, form)


# ------------------------------------------------------------------------------------------------ ISO 8601


def _iso(texts: pl.Series) -> Parsed:
    """Read ``2022-07-15T08:00:00.123Z`` and the like: T or blank, comma or point, any offset or none."""
    texts = texts.str.strip_chars()
    first = next(iter(texts.drop_nulls().head(1)), "")[:_LONGEST]
    guess = (first[10:11] == " ", _ENDS_ZONED.search(first) is not None)
    found = Parsed(np.full(len(texts), NAT), np.zeros(len(texts), bool))
    rows: npt.NDArray[np.intp] | None = None
    for blank, zoned in (guess, *(shape for shape in _ISO_SHAPES if shape != guess)):
        pattern = f"%Y-%m-%d{' ' if blank else 'T'}%H:%M:%S%.f{'%#z' if zoned else ''}"
        if rows is None:
            found = Parsed(_to_micros(texts, pattern), np.full(len(texts), zoned))
        else:
            found.micros[rows], found.zoned[rows] = _to_micros(texts.gather(rows), pattern), zoned
        rows = np.flatnonzero(found.micros == NAT)
        if not len(rows):
            return found
    assert rows is not None  # noqa: S101 - there is a shape
    other = _mixed_iso(texts.gather(rows))
    found.micros[rows], found.zoned[rows] = other.micros, other.zoned
    return found


def _mixed_iso(texts: pl.Series) -> Parsed:
    head, rest = texts.str.slice(0, 19), texts.str.slice(19)
    seconds = _to_micros(head, "%Y-%m-%dT%H:%M:%S")
    blank = seconds == NAT
    if blank.any():
        again = _to_micros(head.filter(pl.Series(blank)), "%Y-%m-%d %H:%M:%S")
        seconds[blank] = again
    found = Parsed(seconds, np.zeros(len(texts), bool))
    if (rest != "").any():
        suffix = rest.str.strip_chars_start(".,0123456789")
        fraction = rest.str.head(rest.str.len_chars().cast(pl.Int64) - suffix.str.len_chars().cast(pl.Int64))
        if (fraction != "").any():
            _add_fraction(found, fraction)
        _add_suffix(found, suffix)
    return _by_words(found, texts, _odd_iso)


def _add_fraction(found: Parsed, fraction: pl.Series) -> None:
    """Add ``.123`` to the seconds; what is no fraction makes the row no time."""
    digits = fraction.str.slice(1, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False)
    good = ((fraction == "") | (fraction.str.contains(r"^[.,][0-9]+$") & digits.is_not_null())).fill_null(False)
    some = found.micros != NAT
    found.micros[some] += digits.fill_null(0).to_numpy()[some]
    found.micros[~good.to_numpy()] = NAT


def _add_suffix(found: Parsed, suffix: pl.Series) -> None:
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
            found.micros[rows] = NAT
        else:
            some = rows & (found.micros != NAT)
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


def _epoch(texts: pl.Series) -> Parsed:
    """Read seconds, milliseconds, microseconds or nanoseconds since 1970, with or without a fraction."""
    texts = texts.str.strip_chars()
    point = texts.str.find(".", literal=True)
    if point.is_null().all():
        whole, fraction = texts, None
    else:
        whole = texts.str.extract(r"^([0-9]+)(?:\.[0-9]*)?$", 1)
        fraction = texts.str.extract(r"\.([0-9]{1,6})", 1).fill_null("").str.pad_end(6, "0").cast(pl.Int64)
    number = whole.cast(pl.Int64, strict=False)
    value = number.fill_null(NAT).to_numpy().copy()
    value[value <= 0] = NAT
    micro = np.zeros(len(texts), np.int64) if fraction is None else fraction.fill_null(0).to_numpy()
    # below 1e11 seconds (the year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds
    sizes = [value == NAT, value < 10**11, value < 10**14, value < 10**17]
    with np.errstate(over="ignore"):
        choices = [value, value * SECOND + micro, value * 1000 + micro // 1000, value]
        micros = np.select(sizes, choices, value // 1000)
    return _by_words(Parsed(micros, np.ones(len(texts), bool)), texts, _odd_number)


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


def _filetime(texts: pl.Series) -> Parsed:
    """Read tenths of microseconds since 1601, as Windows and LDAP count."""
    value = texts.str.strip_chars().cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    micros = np.where(value > 0, value // 10 - _FILETIME_EPOCH, NAT)
    return Parsed(micros, np.ones(len(texts), bool))


# ------------------------------------------------------------------------------------------------ patterns


def _by_pattern(texts: pl.Series, pattern: str) -> Parsed:
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
    return Parsed(_to_micros(texts, pattern), np.full(len(texts), zoned))


def _by_abbreviation(texts: pl.Series, pattern: str) -> Parsed:
    """Read texts that may end with the name of a zone; a name that isn't known counts as none."""
    names = texts.str.extract(r" \(?([A-Z][A-Za-z]{0,4}|[+-][0-9:]{2,6})\)?$", 1).fill_null("")
    bare = texts.str.replace(r" \(?([A-Z][A-Za-z]{0,4}|[+-][0-9:]{2,6})\)?$", "")
    if pattern.endswith("%p"):
        bare = pl.select(pl.when(names.is_in(["AM", "PM"])).then(texts).otherwise(bare)).to_series()
        names = pl.select(pl.when(names.is_in(["AM", "PM"])).then(pl.lit("")).otherwise(names)).to_series()
    found = _by_pattern(bare, pattern)
    known = [name for name in names.unique().to_list() if name and offset_minutes(name) is not None]
    for name in known:
        rows = (names == name).to_numpy() & (found.micros != NAT)
        found.micros[rows] -= (offset_minutes(name) or 0) * 60 * SECOND
        found.zoned[rows] = True
    return found


# --------------------------------------------------------------------------------------------------- shared


def _to_micros(texts: pl.Series, pattern: str) -> Micros:
    zone = "UTC" if _ZONED.search(pattern) else None
    found = texts.str.to_datetime(pattern, strict=False, time_unit="us", time_zone=zone, cache=False)
    return found.to_physical().fill_null(NAT).to_numpy().copy()


def _by_words(found: Parsed, texts: pl.Series, parse: Callable[[str], tuple[int, bool] | None]) -> Parsed:
    """Read what is no time yet with `parse`, each distinct text once."""
    rows = np.flatnonzero(found.micros == NAT)
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


_NAMED: dict[str, Callable[[pl.Series], Parsed]] = {"iso": _iso, "epoch": _epoch, "filetime": _filetime}
