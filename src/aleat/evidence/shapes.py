"""Limits on how many shapes and channels the records of one range have: each costs a table's worth of work.

Logs have tens of shapes; only damage and hostile files have thousands. Beyond the limits nothing is lost: what would
be further fields of a record stands as JSON text in its field ``rest``, and a further channel in its field
``Channel``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from aleat.evidence.columns import cell_kind

__all__ = ["MAX_CHANNELS", "MAX_SHAPES", "Known", "as_rest"]

MAX_SHAPES = 2048
"""`shapes`: sets of field names in one range."""

MAX_CHANNELS = 1024
"""`channels`: in one range."""


class Known:
    """What was seen so far, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._seen: set[Hashable] = set()
        self._limit = limit

    def admits(self, item: Hashable) -> bool:
        """Say whether `item` was seen before, or there is room for it."""
        if item in self._seen:
            return True
        if len(self._seen) >= self._limit:
            return False
        self._seen.add(item)
        return True


def as_rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as one: their JSON under the name ``rest``.

    >>> as_rest({"b": 1, "a": None})
    {'rest': '{"a":null,"b":1}'}
    """
    return {"rest": cell_kind(dict(fields))[1]}
