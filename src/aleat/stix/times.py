"""STIX timestamps (STIX 2.1 §3.2): RFC 3339 in UTC, with ``Z``; precision is kept to the microsecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from aleat.errors import ObjectError

__all__ = ["format_timestamp", "is_timestamp", "parse_timestamp"]

_TIMESTAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?Z")


def format_timestamp(time: datetime) -> str:
    """Return `time` (aware) as a STIX timestamp, in milliseconds unless it is finer.

    >>> format_timestamp(datetime(2022, 7, 15, 8, 0, tzinfo=UTC))
    '2022-07-15T08:00:00.000Z'
    """
    utc = time.astimezone(UTC)
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


@lru_cache(65_536)
def is_timestamp(text: str) -> bool:
    """Tell whether `text` is a STIX timestamp."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match[1] + min(match[2], "59")).replace(tzinfo=UTC)
    except ValueError:
        return False
    return match[2] <= "60"


def parse_timestamp(text: str) -> datetime:
    """Return the aware UTC time of a STIX timestamp; digits below the microsecond are cut off.

    A leap second (``:60``) becomes the first second after it. Raises `ObjectError` where it is none.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None or not is_timestamp(text):
        raise ObjectError("That is no STIX timestamp.", advice="STIX 2.1 §3.2: YYYY-MM-DDTHH:MM:SS.sssZ.")
    minute = datetime.fromisoformat(match[1] + "00").replace(tzinfo=UTC)
    fraction = int((match[3] or "0")[:6].ljust(6, "0"))
    try:
        return minute + timedelta(seconds=int(match[2]), microseconds=fraction)
    except OverflowError:
        raise ObjectError("That STIX timestamp is after the year 9999.") from None
