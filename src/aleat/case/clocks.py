"""Clocks that are off, measured where two machines' logs tell of one happening.

Pairings are data (`clocks.toml`): the same logon (Windows' LogonGuid, on the machine and on the domain controller), the
same request id, the same request in a proxy's log and the server's. A key counts where it occurs once in each of two
clocks' logs; their difference is the middle of the two seconds in which most differences lie, and is told only where at
least five keys, and half of all, lie there. Which of two clocks is right, no log can say.

A clock is a host, or ``source:PATH`` for logs that name none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from aleat.evidence.batch import EventBatch, field_column
from aleat.store.value_hash import hash_texts
from aleat.times import MINUTE, SECOND

__all__ = ["CLOCK_COLUMNS", "ClockOffset", "clock_name", "measure_clocks", "wants"]

_WINDOW = 2 * SECOND
_LEAST_PAIRS = 5
_LEAST_KEY, _LEAST_LONG = 16, 8
_MOST_KEYS = 4_000_000
_MOST_CLOCKS = 8
_ZONE_STEP, _ZONE_SLACK = 15 * MINUTE, MINUTE
_EMPTY = frozenset({"{00000000-0000-0000-0000-000000000000}", "00000000-0000-0000-0000-000000000000"})
_SCHEMA = {"pairing": pl.String, "key": pl.UInt64, "clock": pl.String, "time": pl.Int64}


class ClockOffset(msgspec.Struct, frozen=True, kw_only=True):
    """By how much `clock` is ahead of `other` (microseconds; negative: behind), as `agreeing` of `pairs` keys tell.

    `spread` is how far apart nine in ten of those lie. `like_zone`: the difference is one of time zones, rather than of
    clocks: was one of the logs read in the wrong zone?
    """

    clock: str
    other: str
    pairing: str
    offset: int
    spread: int
    pairs: int
    agreeing: int
    like_zone: bool


@lru_cache(maxsize=1)
def _pairings() -> tuple[Mapping[str, Any], ...]:
    text = resources.files("aleat.case").joinpath("clocks.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["pairing"])


CLOCK_COLUMNS = frozenset(
    field_column(name, kind)
    for pairing in _pairings()
    for name in (*pairing.get("any", ()), *pairing.get("all", ()))
    for kind in "si"
)
"""The field columns that `measure_clocks` looks at; batches need no others."""


def wants(formats: Iterable[str]) -> bool:
    """Say whether logs of these formats may hold a key."""
    return any(pairing["format"] in ("*", *formats) for pairing in _pairings())


def clock_name(host: str, evidence: str) -> str:
    """Return the name of the clock that dated an event."""
    return host.casefold() if host else f"source:{evidence}"


def measure_clocks(batches: Iterable[EventBatch]) -> tuple[ClockOffset, ...]:
    """Return how the clocks behind these events differ, the largest difference first.

    Of more than some million keys a part is looked at, the same for the same evidence.
    """
    parts: list[pl.DataFrame] = []
    rows, mask = 0, 0
    for batch in batches:
        for pairing in _pairings():
            if pairing["format"] not in ("*", batch.format):
                continue
            found = _observed(batch, pairing).filter((pl.col("key") & mask) == 0)
            if found.height:
                parts.append(found)
                rows += found.height
        while rows > _MOST_KEYS:
            mask = mask * 2 + 1
            parts = [pl.concat(parts).filter((pl.col("key") & mask) == 0)]
            rows = parts[0].height
    return tuple(_compared(pl.concat(parts))) if parts else ()


def _observed(batch: EventBatch, pairing: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of one batch that have a key: its number, the clock, the time."""
    keys = _keys(batch.table, pairing)
    if keys is None:
        return pl.DataFrame(schema=_SCHEMA)
    frame = pl.DataFrame(
        {
            "text": keys,
            "host": _texts(batch.table, "host").fill_null(""),
            "time": pl.Series(batch.table.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)),
            "event_id": _texts(batch.table, "event_id"),
        }
    ).filter(pl.col("text").is_not_null() & pl.col("time").is_not_null() & pl.col("time").is_not_nan())
    if "event_id" in pairing:
        frame = frame.filter(pl.col("event_id").is_in(pairing["event_id"]))
    hosts = {host: clock_name(host, batch.evidence) for host in frame["host"].unique().to_list()}
    numbers = hash_texts(frame["text"].to_arrow().cast(pa.string()))
    return pl.DataFrame(
        {
            "pairing": pl.Series([pairing["name"]], dtype=pl.String).new_from_index(0, frame.height),
            "key": pl.Series(numbers, dtype=pl.UInt64),
            "clock": frame["host"].replace_strict(hosts, return_dtype=pl.String),
            "time": frame["time"].cast(pl.Int64),
        },
        schema=_SCHEMA,
    )


def _keys(table: pa.Table, pairing: Mapping[str, Any]) -> pl.Series | None:
    """Return each row's key, null where it has none; None where no row can have one."""
    if "any" in pairing:
        found: pl.Series | None = None
        for name in pairing["any"]:
            texts = _field(table, name)
            if texts is not None:
                found = texts if found is None else found.zip_with(found.is_not_null(), texts)
        if found is None:
            return None
        good = (found.str.len_chars() >= _LEAST_KEY) & ~found.is_in(list(_EMPTY))
        return found.set(~good.fill_null(value=False), None)
    columns = [_field(table, name) for name in pairing["all"]]
    if any(column is None for column in columns):
        return None
    long = columns[pairing["all"].index(pairing["long"])]
    joined = pl.select(pl.concat_str([column for column in columns if column is not None], separator="\n")).to_series()
    assert long is not None  # noqa: S101 - none is None
    return joined.set(~(long.str.len_chars() >= _LEAST_LONG).fill_null(value=False), None)


def _field(table: pa.Table, name: str) -> pl.Series | None:
    found = [_texts(table, column) for kind in "si" if (column := field_column(name, kind)) in table.column_names]
    if not found:
        return None
    return found[0] if len(found) == 1 else found[0].fill_null(found[1])


def _texts(table: pa.Table, name: str) -> pl.Series:
    series = pl.from_arrow(table.column(name).cast(pa.string()))
    assert isinstance(series, pl.Series)  # noqa: S101 - a column gives a series
    return series.rechunk()


def _compared(seen: pl.DataFrame) -> list[ClockOffset]:
    once = seen.group_by("pairing", "key", "clock").agg(pl.col("time").first(), pl.len()).filter(pl.col("len") == 1)
    shared = once.filter(pl.len().over("pairing", "key").is_between(2, _MOST_CLOCKS)).drop("len")
    pairs = shared.join(shared, on=["pairing", "key"], suffix="_other").filter(pl.col("clock") < pl.col("clock_other"))
    pairs = pairs.with_columns((pl.col("time") - pl.col("time_other")).alias("difference"))
    found = []
    for (pairing, clock, other), rows in sorted(pairs.group_by("pairing", "clock", "clock_other"), key=lambda x: x[0]):
        told = _middle(np.sort(rows["difference"].to_numpy()))
        if told is not None:
            offset, spread, agreeing = told
            found.append(
                ClockOffset(
                    clock=str(clock),
                    other=str(other),
                    pairing=str(pairing),
                    offset=offset,
                    spread=spread,
                    pairs=rows.height,
                    agreeing=agreeing,
                    like_zone=_is_like_zone(offset),
                )
            )
    return sorted(found, key=lambda item: (-abs(item.offset), item.clock, item.other, item.pairing))


def _middle(differences: Sequence[int] | np.ndarray[Any, Any]) -> tuple[int, int, int] | None:
    """Return middle, spread and number of the differences in the two seconds that hold most; None where too few do."""
    values = np.asarray(differences, np.int64)
    ends = np.searchsorted(values, values + _WINDOW, "right")
    counts = ends - np.arange(len(values))
    first = int(np.argmax(counts)) if len(values) else 0
    if not len(values) or counts[first] < _LEAST_PAIRS or counts[first] * 2 < len(values):
        return None
    inside = values[first : ends[first]]
    low, high = np.quantile(inside, [0.05, 0.95])
    return int(np.median(inside)), int(high - low), len(inside)


def _is_like_zone(offset: int) -> bool:
    steps = round(offset / _ZONE_STEP)
    return abs(steps) >= 2 and abs(offset - steps * _ZONE_STEP) <= _ZONE_SLACK
