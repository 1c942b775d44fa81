"""Moments: whole microseconds since 1970-01-01T00:00Z, and their texts. No clock, no time zones database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def at(text: str) -> int:
    """Return the moment of ``YYYY-MM-DD hh:mm[:ss]`` (UTC)."""
    text = text if len(text) > 16 else text + ":00"
    return (datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def date_text(day: int) -> str:
    """Return ``YYYY-MM-DD`` of a day counted from 1970-01-01."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def _log_date(day: int) -> str:
    moment = _EPOCH + timedelta(days=day)
    return f"{moment.day:02d}/{_MONTHS[moment.month - 1]}/{moment.year}"


_CLOCK = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86400)]


def clock_text(moment: int) -> str:
    """Return ``hh:mm:ss``."""
    return _CLOCK[moment % DAY // SECOND]


def iso(moment: int, digits: int = 6) -> str:
    """Return ``YYYY-MM-DDThh:mm:ss.ffffffZ`` with the given number of decimals (0, 3, 6 or 7)."""
    base = f"{date_text(moment // DAY)}T{_CLOCK[moment % DAY // SECOND]}"
    if not digits:
        return base + "Z"
    fraction = f"{moment % SECOND:06d}0"
    return f"{base}.{fraction[:digits]}Z"


def spaced(moment: int) -> str:
    """Return ``YYYY-MM-DD hh:mm:ss.fff``, as Sysmon's UtcTime."""
    return f"{date_text(moment // DAY)} {_CLOCK[moment % DAY // SECOND]}.{moment % SECOND // 1000:03d}"


def access_time(moment: int) -> str:
    """Return ``dd/Mon/YYYY:hh:mm:ss +0200``: Tirana's summer time, which holds in all of the example's access logs."""
    local = moment + 2 * HOUR
    return f"{_log_date(local // DAY)}:{_CLOCK[local % DAY // SECOND]} +0200"


def weekday(moment: int) -> int:
    """Return 0 for Monday to 6 for Sunday, in local summer time."""
    return ((moment + 2 * HOUR) // DAY + 3) % 7


def local_hour(moment: int) -> int:
    """Return the hour of the day in local summer time."""
    return (moment + 2 * HOUR) % DAY // HOUR
