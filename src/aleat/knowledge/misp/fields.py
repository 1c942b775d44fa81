"""The values of MISP's JSON as what they mean; whatever else stands there is told apart, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["flag", "identifier", "instant", "moment", "objects_in", "text"]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LAST = 253_402_300_799  # the end of the year 9999


def text(value: Any) -> str:
    """Return `value` as text: strings as they are, numbers as digits, all else as the empty string."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def flag(value: Any) -> bool:
    """Return a flag in any of MISP's spellings: true, 1, "1", "true".

    >>> flag("1"), flag(False), flag("0"), flag(None)
    (True, False, False, False)
    """
    return value is True or text(value).strip().lower() in {"1", "true"}


def identifier(value: Any) -> str:
    """Return a UUID in lower case, or the empty string where `value` is none."""
    found = text(value).strip().lower()
    return found if _UUID.fullmatch(found) else ""


def instant(value: Any) -> datetime | None:
    """Return the aware time of seconds since 1970 (``timestamp``, ``date_sighting``); None for 0 and what is none."""
    digits = text(value).strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15 or not 0 < int(digits) <= _LAST:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(digits))


def moment(value: Any) -> datetime | None:
    """Return the aware time of a date or time in ISO 8601 (``first_seen``, ``date``), UTC where it names no zone."""
    written = text(value).strip()
    if not 8 <= len(written) <= 40:
        return None
    try:
        found = datetime.fromisoformat(written)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year > 1 else None


def objects_in(value: Any) -> tuple[list[Mapping[str, Any]], int]:
    """Return the JSON objects in a list, and how many members are none (one, where `value` itself is no list).

    MISP writes one object alone, and numbered objects, where PHP made a list of them.
    """
    if value is None:
        return [], 0
    if isinstance(value, Mapping):
        value = list(value.values()) if value and all(key.isdigit() for key in value) else [value]
    if not isinstance(value, list):
        return [], 0 if value in ("", False) else 1
    found = [row for row in value if isinstance(row, Mapping)]
    return found, len(value) - len(found)
