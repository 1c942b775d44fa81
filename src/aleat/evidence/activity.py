"""When each log of each host was written, and which of its record numbers are there: what a gap shows in.

A segment is described once, by few numbers: the minutes in which a log has events, the events on both sides of its
longest pauses, and the runs of record numbers without a gap, each with the places of its first and last record. A log
with more runs than `MOST_RUNS` in a segment is a selection (a filter's result), of which nothing is expected; its runs
are left out, and that is said.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import EventBatch
from aleat.times import MINUTE

__all__ = ["ACTIVITY_VERSION", "MOST_RUNS", "Activity", "Edge", "Run", "activity_minutes", "describe_activity"]

ACTIVITY_VERSION = 1
MOST_RUNS = 128
_MOST_PAUSES = 32
_PAUSE = 30 * MINUTE

Integers = npt.NDArray[np.int64]


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Records whose numbers follow each other: (number, time, ordinal, offset) of the first and of the last."""

    first: int
    first_time: int
    first_record: int
    first_offset: int
    last: int
    last_time: int
    last_record: int
    last_offset: int


class Edge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event beside a pause, or the first or last of its log: time, ordinal, offset, record number (or None)."""

    time: int
    record: int
    offset: int
    number: int | None


class Activity(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One log of one host in one segment; `minutes` is packed (`activity_minutes`), ordinals count in the segment."""

    host: str
    format: str
    channel: str
    minutes: bytes
    edges: tuple[Edge, ...] = ()
    runs: tuple[Run, ...] = ()
    selection: bool = False


def activity_minutes(packed: bytes) -> Integers:
    """Return the minutes (since 1970) in which there are events, sorted."""
    steps = np.frombuffer(zlib.decompress(packed), "<i8")
    minutes: Integers = np.cumsum(steps)
    return minutes


def describe_activity(batches: Iterable[EventBatch]) -> Iterator[Activity]:
    """Yield the activity of each host in each batch, hosts in order of their names."""
    for batch in batches:
        table = batch.table
        names, codes = _hosts(table["host"])
        timed = table["time"].is_valid().to_numpy(zero_copy_only=False)
        times = pc.fill_null(table["time"].cast(pa.int64()), 0).to_numpy()
        numbered = table["record_id"].is_valid().to_numpy(zero_copy_only=False) & timed
        columns = [pc.fill_null(table[name], 0).to_numpy() for name in ("record_id", "record", "offset")]
        for code in sorted(np.unique(codes).tolist(), key=lambda one: names[one]):
            here = codes == code
            seen = np.flatnonzero(here & timed)
            minutes = np.unique(times[seen] // MINUTE)
            rows = np.flatnonzero(here & numbered)
            runs = _runs(columns[0][rows], times[rows], columns[1][rows], columns[2][rows])
            few = runs if len(runs) <= MOST_RUNS else ()
            edges = tuple(_edges(times[seen], seen, columns, numbered))
            yield Activity(names[code], batch.format, batch.channel, _packed(minutes), edges, few, few is not runs)


def _edges(times: Integers, rows: Integers, columns: list[Any], numbered: Any) -> Iterator[Edge]:
    """Yield the events beside the longest pauses, in order of time."""
    if not len(times):
        return
    order = np.argsort(times, kind="stable")
    pauses = np.diff(times[order])
    long = np.flatnonzero(pauses >= _PAUSE)
    long = long[np.argsort(-pauses[long], kind="stable")][:_MOST_PAUSES]
    for place in sorted({0, len(order) - 1, *long.tolist(), *(long + 1).tolist()}):
        row = rows[order[place]]
        numbers, records, offsets = (int(column[row]) for column in columns)
        yield Edge(int(times[order[place]]), records, offsets, numbers if numbered[row] else None)


def _packed(minutes: Integers) -> bytes:
    return zlib.compress(np.diff(minutes, prepend=0).astype("<i8").tobytes(), 6)


def _runs(numbers: Integers, times: Integers, records: Integers, offsets: Integers) -> tuple[Run, ...]:
    if not len(numbers):
        return ()
    order = np.lexsort((records, numbers))
    ordered = numbers[order]
    breaks = np.flatnonzero(np.diff(ordered) > 1)
    if len(breaks) >= MOST_RUNS:
        return (_EMPTY,) * (MOST_RUNS + 1)
    starts, ends = [0, *(breaks + 1).tolist()], [*breaks.tolist(), len(ordered) - 1]

    def facts(place: int) -> list[Any]:
        row = order[place]
        return [int(column[row]) for column in (numbers, times, records, offsets)]

    return tuple(Run(*facts(start), *facts(end)) for start, end in zip(starts, ends, strict=True))


_EMPTY = Run(0, 0, 0, 0, 0, 0, 0, 0)


def _hosts(column: pa.ChunkedArray) -> tuple[list[str], Integers]:
    encoded = pc.dictionary_encode(column.cast(pa.string()).combine_chunks())
    array = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = [*array.dictionary.to_pylist(), ""]
    codes = array.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    return names, codes.astype(np.int64)
