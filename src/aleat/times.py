"""Times as the house counts them: whole microseconds since 1970-01-01T00:00Z, as an event's time is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "calendar_time", "from_micros", "micros_of"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""In microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970; raises `OverflowError` outside the years 1 to 9999.

    >>> from_micros(1_657_900_000_123_456).isoformat()
    '2022-07-15T15:46:40.123456+00:00'
    """
    return _EPOCH + timedelta(microseconds=int(micros))


def calendar_time(micros: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970, to be shown in any zone; never an error.

    What lies outside the calendar is damage, or a lie: it becomes the first or last day that every zone has.
    """
    return from_micros(max(_FIRST, min(int(micros), _LAST)))


def micros_of(time: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    return (time - _EPOCH) // _MICROSECOND


_FIRST = micros_of(datetime(1, 1, 2, tzinfo=UTC))
_LAST = micros_of(datetime(9999, 12, 31, tzinfo=UTC)) - 1
