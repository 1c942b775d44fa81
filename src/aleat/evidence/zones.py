"""Time zones as logs are read in them: IANA names with their historical rules, or plain offsets from UTC.

Rules come from the `tzdata` package that the lock pins, never from the system, so that a log gives the same times
on every machine. Local times that occur twice (the hour before clocks go back) are taken as the first one, those
that never occur (clocks went forward) as if the clock had not been changed yet, as PEP 495 does with ``fold=0``;
both are counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from aleat.errors import InputError
from aleat.times import DAY, SECOND, micros_of

__all__ = ["Localised", "localise", "tzdata_version", "zone_named"]

Micros = npt.NDArray[np.int64]

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d):?(\d\d)", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}", re.ASCII)
_LARGEST = timedelta(hours=18)
_FIRST_YEAR, _LAST_YEAR = 2, 9997  # with room for a day more on both sides
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Localised:
    """Local times as UTC microseconds; how many occurred twice, how many never."""

    utc: Micros
    ambiguous: int
    nonexistent: int


@lru_cache(maxsize=256)
def zone_named(text: str) -> tzinfo:
    """Return the zone called `text`: an IANA name (``Europe/Tirane``), ``UTC``, or an offset (``+02:00``).

    Raises `InputError` where there is none such.
    """
    if text in ("UTC", "Z"):
        return UTC
    if found := _OFFSET.fullmatch(text):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset <= _LARGEST and int(found[3]) < 60:
            return timezone(-offset if found[1] == "-" else offset)
    elif _NAME.fullmatch(text):
        *folders, name = text.split("/")
        try:
            data = resources.files(".".join(("tzdata", "zoneinfo", *folders))).joinpath(name).read_bytes()
            return ZoneInfo.from_file(BytesIO(data), key=text)
        except (OSError, ImportError, ValueError):
            pass
    advice = "Give an IANA name, as Europe/Tirane, or an offset from UTC, as +02:00."
    raise InputError(f"The time zone {text[:60]!r} is unknown.", advice=advice)


@lru_cache(maxsize=1)
def tzdata_version() -> str:
    """Return the edition of the zones' rules, as ``2026a``."""
    import tzdata  # type: ignore[import-untyped]  # noqa: PLC0415 - only notes on zones name it

    return str(tzdata.IANA_VERSION)


def localise(local: Micros, zone: str) -> Localised:
    """Return times that a clock in `zone` showed (microseconds, as if they were UTC) as UTC.

    Times outside the calendar are shifted by the zone's first or last offset. Linear in the number of times, plus the
    distinct years among them.
    """
    if not len(local):
        return Localised(local, 0, 0)
    years = local.view("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    years = np.clip(years, _FIRST_YEAR, _LAST_YEAR)
    low = int(years.min())
    periods = [period for year in np.flatnonzero(np.bincount(years - low)) for period in _year(zone, low + int(year))]
    starts = np.array([period.start for period in periods], np.int64)[1:]
    offsets = np.array([period.offset for period in periods], np.int64)
    before, after = offsets[:-1], offsets[1:]
    # local times from the earlier to the later of these showed twice, or never; the offset before the change counts
    place = np.searchsorted(starts + np.maximum(before, after), local, "right")
    later = np.searchsorted(starts + np.minimum(before, after), local, "right")
    changed = np.flatnonzero(place != later)
    back = offsets[later[changed]] < offsets[place[changed]]
    return Localised(local - offsets[place], int(back.sum()), len(changed) - int(back.sum()))


@dataclass(frozen=True, slots=True)
class _Period:
    """From `start` (UTC microseconds) on, the zone's clocks are `offset` microseconds ahead of UTC."""

    start: int
    offset: int


@lru_cache(maxsize=16384)
def _year(zone: str, year: int) -> tuple[_Period, ...]:
    """Return which offsets are in force from two days before a year to two days after it."""
    clock = zone_named(zone)
    begin = micros_of(datetime(year, 1, 1, tzinfo=UTC)) - 2 * DAY
    end = micros_of(datetime(year + 1, 1, 1, tzinfo=UTC)) + 2 * DAY
    periods = [_Period(begin, _offset_at(clock, begin))]
    for day in range(begin, end, DAY):
        before = periods[-1].offset
        after = _offset_at(clock, day + DAY)
        if after != before:
            periods.append(_Period(_change(clock, day, day + DAY, before), after))
    return tuple(periods)


def _change(clock: tzinfo, low: int, high: int, before: int) -> int:
    """Return the moment between `low` and `high` at which the offset is no longer `before`."""
    while high - low > SECOND:
        middle = (low + high) // 2 // SECOND * SECOND
        low, high = (middle, high) if _offset_at(clock, middle) == before else (low, middle)
    return high


def _offset_at(clock: tzinfo, utc: int) -> int:
    offset = (_EPOCH + timedelta(microseconds=utc)).astimezone(clock).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)
