"""STIX timestamps (STIX 2.1 §3.2): RFC 3339 in UTC, with ``Z``; precision is kept to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime

from aleat.errors import ObjectError

__all__ = ["format_timestamp", "parse_timestamp"]


def format_timestamp(time: datetime) -> str:
    """Return `time` (aware) as a STIX timestamp, in milliseconds unless it is finer.

    >>> format_timestamp(datetime(2022, 7, 15, 8, 0, tzinfo=UTC))
    '2022-07-15T08:00:00.000Z'
    """
    utc = time.astimezone(UTC)
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def parse_timestamp(text: str) -> datetime:
    """Return the aware UTC time of a STIX timestamp; digits below the microsecond are cut off.

    Raises `ObjectError` where it is none.
    """
    if not text.endswith("Z"):
        raise ObjectError(f"{text[:40]!r} is no STIX timestamp.", advice="It ends in Z (STIX 2.1 §3.2).")
    head, dot, fraction = text[:-1].partition(".")
    if dot and not (fraction.isascii() and fraction.isdigit()):
        raise ObjectError(f"{text[:40]!r} is no STIX timestamp.")
    try:
        time = datetime.strptime(head, "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise ObjectError(f"{text[:40]!r} is no STIX timestamp.") from None
    return time.replace(microsecond=int((fraction[:6] or "0").ljust(6, "0")), tzinfo=UTC)
