"""Seeded draws that are the same on every machine: only `random()` and whole numbers are used."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import log
from typing import Any

# Quantiles of the exponential distribution in thousandths of its mean: whole numbers, so that a
# logarithm that differs in its last bit between machines can't change a byte.
_EXPONENTIAL = tuple(round(-1000 * log(1 - (i + 0.5) / 1024)) for i in range(1024))


class Weighted:
    """A table to draw from: items with whole-number weights."""

    def __init__(self, table: Sequence[Sequence[Any]]) -> None:
        """Take rows that begin with their weight; a row's second cell, or its rest, is the item."""
        self.items = [row[1] if len(row) == 2 else tuple(row[1:]) for row in table]
        self.steps = list(accumulate(int(row[0]) for row in table))


class Chance:
    """A stream of draws for one purpose, independent of all other streams of the same seed."""

    def __init__(self, seed: int, purpose: str) -> None:
        """Derive the stream from the seed and its purpose."""
        digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
        self.random = random.Random(int.from_bytes(digest[:8], "big")).random

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to bound - 1."""
        return int(self.random() * bound)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, items: Sequence[Any]) -> Any:
        """Return one of the items."""
        return items[int(self.random() * len(items))]

    def weighted(self, table: Weighted) -> Any:
        """Return an item of the table, by its weight."""
        return table.items[bisect_right(table.steps, int(self.random() * table.steps[-1]))]

    def gap(self, mean: int) -> int:
        """Return an exponentially distributed gap, in the mean's unit."""
        return _EXPONENTIAL[int(self.random() * 1024)] * mean // 1000


def invented_hash(label: str, kind: str = "sha256") -> str:
    """Return the (upper-case) hash that stands for an invented file."""
    return hashlib.new(kind, f"albania-2022 simulation: {label}".encode(), usedforsecurity=False).hexdigest().upper()
