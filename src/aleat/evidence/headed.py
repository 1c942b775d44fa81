"""Logs whose lines stand under headers, as W3C's and Zeek's do: lines of equal headers are read together.

A log may repeat its header at every restart, or change it with every line, so that the number of headers must not
decide how long the reading takes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from aleat.evidence.described import Reading
from aleat.evidence.text import LineNotes
from aleat.evidence.text_columns import Classify, ColumnTables, Lines, Rows

__all__ = ["MAX_HEADERS", "HeadedRows"]

MAX_HEADERS = 256
"""`headers`: lines under further ones of a range are named, and not read."""

State = TypeVar("State", bound=Hashable)
Places = npt.NDArray[np.int64]


class HeadedRows:
    """Collects what the lines under each header gave; numbers records and names broken lines in the file's order."""

    def __init__(self, lines: Lines, tables: ColumnTables, notes: LineNotes) -> None:
        self._lines = lines
        self._tables = tables
        self._notes = notes
        self._found: list[tuple[Reading, Places, dict[str, pl.Series], Mapping[str, Classify]]] = []
        self._reasons: dict[int, str] = {}

    def by_header(self, state: State, step: Callable[[State, str], State]) -> Iterator[tuple[State, Places]]:
        """Yield each header's state with the places of the lines under it, in the order of the headers' first use.

        `step` gives the state behind a line that starts with ``#``; `state` is the one in force before the first line.
        Lines under more than `MAX_HEADERS` headers are refused.
        """
        found: dict[State, list[tuple[int, int]]] = {}
        directives = np.flatnonzero(self._lines.texts.str.starts_with("#").to_numpy()).tolist()
        texts = self._lines.texts.gather(directives).to_list()
        for number, (start, end) in enumerate(pairwise([-1, *directives, len(self._lines)])):
            if end - start > 1:
                found.setdefault(state, []).append((start + 1, end))
            if number < len(texts):
                state = step(state, texts[number])
        for number, (own, stretches) in enumerate(found.items()):
            places = np.concatenate([np.arange(start, end) for start, end in stretches])
            if number < MAX_HEADERS:
                yield own, places
            else:
                self.refuse(places, lambda _: f"It stands under more than {MAX_HEADERS} headers (limit: headers).")

    def take(
        self,
        reading: Reading,
        places: Places,
        columns: dict[str, pl.Series],
        classify: Mapping[str, Classify] | None = None,
    ) -> None:
        """Take the columns of the lines at `places`."""
        if len(places):
            self._found.append((reading, places, columns, classify or {}))

    def refuse(self, places: Places, reason: Callable[[str], str]) -> None:
        """Name the lines at `places`; `reason` says for a line's text why it is no record."""
        for place in places.tolist():
            self._reasons[place] = reason(self._lines.texts[place])

    def finish(self) -> None:
        """Hand all to the tables and the notes."""
        taken = np.zeros(len(self._lines), np.bool_)
        for _, places, _, _ in self._found:
            taken[places] = True
        records = np.cumsum(taken) - 1
        for reading, places, columns, classify in self._found:
            self._tables.add(reading, Rows(records[places], self._lines.offsets[places], columns, classify))
        for place in sorted(self._reasons):
            length = len(self._lines.texts[place].encode("utf-8", "replace"))
            offset, number = int(self._lines.offsets[place]), int(self._lines.numbers[place])
            self._notes.broken(offset, number, length, self._reasons[place])
