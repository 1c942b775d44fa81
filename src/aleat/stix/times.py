"""STIX timestamps (STIX 2.1 §3.2): RFC 3339 in UTC, with ``Z``; precision is kept to the microsecond."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

from aleat.errors import ObjectError
from aleat.times import DAY, HOUR, MINUTE, SECOND, from_micros, micros_of

__all__ = ["format_micros", "format_timestamp", "is_timestamp", "parse_timestamp", "timestamp_micros"]

_TIMESTAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]++))?Z")


def format_timestamp(time: datetime) -> str:
    """Return `time` (aware) as a STIX timestamp, in milliseconds unless it is finer.

    >>> format_timestamp(datetime(2022, 7, 15, 8, 0, tzinfo=UTC))
    '2022-07-15T08:00:00.000Z'
    """
    utc = time.astimezone(UTC)
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def format_micros(micros: int) -> str:
    """Return microseconds since 1970 as a STIX timestamp with all six digits: a poller asks for what came after it.

    >>> format_micros(0)
    '1970-01-01T00:00:00.000000Z'
    """
    return from_micros(micros).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def is_timestamp(text: str) -> bool:
    """Tell whether `text` is a STIX timestamp."""
    return timestamp_micros(text) is not None


@lru_cache(65_536)
def timestamp_micros(text: str) -> int | None:
    """Return the time of a STIX timestamp in microseconds since 1970, as `parse_timestamp` reads it; None: it is none.

    >>> timestamp_micros("1970-01-02T00:00:60.5Z")
    86460500000
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    calendar, hour, minute, second, fraction = match.groups()
    day = _day(calendar)
    if day is None or hour > "23" or minute > "59" or second > "60":
        return None
    micros = day * DAY + int(hour) * HOUR + int(minute) * MINUTE + int(second) * SECOND
    if fraction:
        micros += int(fraction[:6].ljust(6, "0"))
    return micros if micros <= _LAST else None


def parse_timestamp(text: str) -> datetime:
    """Return the aware UTC time of a STIX timestamp; digits below the microsecond are cut off.

    A leap second (``:60``) becomes the first second after it. Raises `ObjectError` where it is none.
    """
    micros = timestamp_micros(text)
    if micros is None:
        raise ObjectError("That is no STIX timestamp.", advice="STIX 2.1 §3.2: YYYY-MM-DDTHH:MM:SS.sssZ.")
    return from_micros(micros)


@lru_cache(4_096)
def _day(text: str) -> int | None:
    """Return the days from 1970 to a date; None where there is no such day."""
    try:
        return date.fromisoformat(text).toordinal() - _FIRST
    except ValueError:
        return None


_FIRST = date(1970, 1, 1).toordinal()
_LAST = micros_of(datetime.max.replace(tzinfo=UTC))
