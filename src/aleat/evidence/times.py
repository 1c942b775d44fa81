"""Times of log records as microseconds in UTC: whole columns at once, with a slow path for odd texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from aleat.times import micros_of

__all__ = ["parse_time", "time_column"]

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII
)
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_NAT = np.datetime64("NaT", "us")
_WCF = re.compile(r"/Date\((-?\d{1,16})\)/", re.ASCII)


def parse_time(value: Any) -> int | None:
    """Return microseconds since 1970 of a text or a number as logs write it, or None where it is no time.

    Texts are ISO 8601 with a blank or a T; without a zone they are taken as UTC. Numbers (and digits) are
    seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size. Digits below
    the microsecond are cut off.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _from_number(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if match := _ISO.fullmatch(text):
        return _from_iso(match)
    if match := _WCF.fullmatch(text):
        return int(match[1]) * 1000
    try:
        return _from_number(float(text))
    except ValueError:
        return None


def _from_number(value: float) -> int | None:
    if not 0 < value < 1e20:
        return None
    for ceiling, scale in ((1e11, 1_000_000), (1e14, 1000), (1e17, 1)):
        if value < ceiling:
            return round(value * scale)
    return int(value) // 1000


def _from_iso(match: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    zone = match[8]
    offset = timedelta()
    if zone and zone not in ("Z", "UTC"):
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        offset = -offset if zone[0] == "-" else offset
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone(offset))
    except ValueError:
        return None
    micro = int((match[7] or "0")[:6].ljust(6, "0"))
    extra = 1_000_000 if second == 60 else 0
    return micros_of(moment) + micro + extra


def time_column(values: Sequence[Any]) -> npt.NDArray[np.datetime64]:
    """Return `values` as datetime64[us]; what is no time becomes NaT. UTC texts ending in Z go the fast way."""
    if len(values) > 8 and set(map(type, values)) == {str}:
        heads = [value[:26] if len(value) > 26 else value[:-1] for value in values]
        if all(map(_UTC.fullmatch, values)):
            try:
                return np.array(heads, "datetime64[us]")
            except ValueError:
                pass
    known: dict[Any, int | None] = {}
    out = np.full(len(values), _NAT)
    for row, value in enumerate(values):
        if value.__hash__ is None:
            continue
        if value not in known:
            known[value] = parse_time(value)
        if (micro := known[value]) is not None:
            out[row] = np.datetime64(micro, "us")
    return out
