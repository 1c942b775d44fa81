"""Dates as people's settings write them (``15.07.2022 10:00:00``, ``7/15/2022 10:00:00 AM``, ``15/07/2022``) to ISO.

The order of day and month is told by the column as a whole: a number above 12 settles it, then the separator (a point
is never an American date), then the words for before and after noon. What nothing settles is read with the day first,
and said. Words for before and after noon are in `local_dates.toml`, by language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources

__all__ = ["ORDERS", "date_order", "to_iso"]

ORDERS = ("ymd", "dmy", "mdy")
"""Year first, day first, month first."""

_DATE = re.compile(
    r"(\d{1,4})([./-]) ?(\d{1,2})\2 ?(\d{2,4})\.?,?\s{1,3}(?:([^\d\s]{1,12}(?:\s[^\d\s]{1,12}){0,2})\s{0,2})?"
    r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,](\d{1,9}))?)?\s{0,3}(\D{0,24})"
)
_SPACES = str.maketrans({"\u200e": None, "\u200f": None, "\u202f": " ", "\u00a0": " "})
_LONGEST = 80


def date_order(texts: Iterable[str]) -> tuple[str, bool]:
    """Return the order of day, month and year in `texts`, and whether something settled it."""
    separators, american = set(), False
    for text in texts:
        found = _match(text)
        if found is None:
            continue
        first, second = int(found[1]), int(found[3])
        if len(found[1]) == 4:
            return "ymd", True
        if first > 12 or second > 12:
            return ("dmy", True) if first > 12 else ("mdy", True)
        separators.add(found[2])
        american = american or (found[2] == "/" and (found[10] or "").strip() in ("AM", "PM"))
    if american:
        return "mdy", True
    return "dmy", separators == {"."}


def to_iso(text: str, order: str) -> str | None:
    """Return a date and time as ``2022-07-15 10:00:00``, without a zone; None where it is none in this `order`.

    >>> to_iso("15.07.2022 10:00:00", "dmy"), to_iso("7/15/2022 1:05:09 PM", "mdy"), to_iso("31/31/2022 1:00", "dmy")
    ('2022-07-15 10:00:00', '2022-07-15 13:05:09', None)
    """
    found = _match(text)
    if found is None:
        return None
    numbers = dict(zip("ymd" if len(found[1]) == 4 else order, (found[1], found[3], found[4]), strict=True))
    year, month, day = int(numbers["y"]), int(numbers["m"]), int(numbers["d"])
    hour, minute, second = int(found[6]), int(found[7]), int(found[8] or 0)
    half = _half(found[5]) or _half(found[10])
    if half is not None:
        if not 1 <= hour <= 12:
            half = None
        else:
            hour = hour % 12 + 12 * (half == "pm")
    elif (found[10] or found[5] or "").strip():
        return None
    year += 2000 if year < 70 else 1900 if year < 100 else 0
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    fraction = f".{found[9]}" if found[9] else ""
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}"


def _match(text: str) -> re.Match[str] | None:
    if len(text) > _LONGEST:
        return None
    return _DATE.fullmatch(text.translate(_SPACES).strip())


def _half(text: str | None) -> str | None:
    """Return "am" or "pm" where `text` is a word for it in some language."""
    if not text:
        return None
    return _halves().get(text.strip().casefold().replace(" ", "").replace(".", ""))


@lru_cache(maxsize=1)
def _halves() -> dict[str, str]:
    text = resources.files("aleat.evidence").joinpath("local_dates.toml").read_text("utf-8")
    words: dict[str, Sequence[str]] = tomllib.loads(text)
    return {word.casefold().replace(" ", "").replace(".", ""): half for half in ("am", "pm") for word in words[half]}
