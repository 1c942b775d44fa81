"""A small simulator of what a hunt and a request table hold: sightings, signals, coverage, requests. Seeded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from aleat.case.records import CoverageRow
from aleat.case.requests import REQUESTS_SCHEMA
from aleat.hunt.indicator import Sighting

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ALLY = "CERT-Ally"
PUBLIC = "SigmaHQ"


def at(text: str) -> int:
    """Microseconds of a UTC time written as ``2022-07-15 13:02[:30]``."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def hit(
    indicator: str,
    host: str,
    time: str | int,
    *,
    level: str = "high",
    source: str = ALLY,
    tags: Sequence[str] = (),
    event: str = "",
    evidence: str = "",
    event_id: str = "1",
    format: str = "windows",
    matched: Sequence[tuple[str, str]] = (),
    ref: str = "",
    **fields: Any,
) -> Sighting:
    """One sighting; keyword arguments that no parameter takes are the event's fields (``_`` for ``-``)."""
    micros = at(time) if isinstance(time, str) else time
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    digest = event or f"{host}|{micros}|{sorted(fields.items())!r}|{event_id}"
    return Sighting(
        indicator=indicator,
        title=f"Title of {indicator}",
        level=level,
        author=None,
        evidence=evidence or f"logs/{host}.jsonl",
        record=micros // 1_000_000 % 100_000_007,
        offset=0,
        event=digest,
        time=micros,
        host=host,
        fields=fields,
        source=source,
        ref=ref or f"indicator--{indicator}",
        format=format,
        channel="Security",
        event_id=event_id,
        tags=tuple(tags),
        matched=tuple(matched),
    )


def signal(name: str, host: str, time: str | int, *, event_id: str = "0", **fields: Any) -> Sighting:
    """One sighting of our own signal rules."""
    return hit(
        f"signal-{name}",
        host,
        time,
        level="informational",
        source="aleat",
        tags=(f"aleat.{name}",),
        event_id=event_id,
        **fields,
    )


def shutdown(host: str, time: str | int, user: str, code: str = "0x80050013", comment: str = "") -> Sighting:
    """System 1074: somebody asks for a shutdown."""
    return signal(
        "shutdown-planned", host, time, event_id="1074", param4=code, param5="shutdown", param6=comment, param7=user
    )


def cover(hosts: Sequence[str], first: str, last: str, channel: str = "Security") -> tuple[CoverageRow, ...]:
    """Coverage of Windows logs on hosts, from first to last."""
    since = datetime.fromisoformat(first).replace(tzinfo=UTC)
    until = datetime.fromisoformat(last).replace(tzinfo=UTC)
    return tuple(
        CoverageRow(host=host, format="windows", channel=channel, first=since, last=until, events=10_000)
        for host in hosts
    )


class Traffic:
    """Requests to services, Poisson with nights and weekends, as a request table; seeded."""

    def __init__(self, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._parts: list[tuple[str, str, np.ndarray, np.ndarray, str, bool]] = []  # type: ignore[type-arg]

    def serve(
        self,
        service: str,
        host: str,
        first: str,
        last: str,
        *,
        rate: float = 2.0,
        night: float = 0.1,
        weekend: float = 0.4,
        down: Sequence[tuple[str, str]] = (),
        failing: Sequence[tuple[str, str]] = (),
        burst: int = 1,
        folder: str = "logs",
        rotate: bool = True,
        missing_days: Sequence[str] = (),
    ) -> Traffic:
        """Add a service: `rate` in requests a minute by day; `down` windows have no rows, `failing` ones only 503."""
        minutes = np.arange(at(first), at(last), MINUTE)
        hours = minutes // HOUR % 24
        weekday = (minutes // DAY + 3) % 7
        level = np.where((hours < 6) | (hours >= 22), rate * night, rate) * np.where(weekday >= 5, weekend, 1.0)
        counts = self._random.poisson(level / burst) * burst
        times = np.repeat(minutes, counts)
        times = np.sort(times + self._random.integers(0, MINUTE if burst == 1 else 5_000_000, len(times)))
        for a, b in [*down, *((day + " 00:00", day + " 23:59:59.999999") for day in missing_days)]:
            times = times[(times <= at(a)) | (times >= at(b))]
        status = np.full(len(times), 200, np.int16)
        for a, b in failing:
            status[(times > at(a)) & (times < at(b))] = 503
        self._parts.append((service, host, times, status, f"{folder}/{service}", rotate))
        return self

    def table(self, shuffle: int | None = None) -> pa.Table:
        """The request table; rows shuffled where a seed is given."""
        tables = [self._part(*part) for part in self._parts]
        table = pa.concat_tables(tables).unify_dictionaries()
        if shuffle is not None:
            table = table.take(np.random.default_rng(shuffle).permutation(table.num_rows))
        return table

    def _part(self, service: str, host: str, times: Any, status: Any, folder: str, rotate: bool) -> pa.Table:
        count = len(times)
        days, codes = np.unique(times // DAY, return_inverse=True)
        names = [f"{folder}/u_ex{datetime.fromtimestamp(int(day) * 86400, UTC):%y%m%d}.log" for day in days]
        if not rotate:
            names, codes = [f"{folder}/access.log"], np.zeros(count, np.int64)
        zeros = pa.array(np.zeros(count, np.int32))
        columns = [
            pa.DictionaryArray.from_arrays(zeros, pa.array([service])),
            pa.DictionaryArray.from_arrays(zeros, pa.array([host])),
            pa.array(times, pa.timestamp("us", tz="UTC")),
            pa.array(status),
            pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)),
            pa.array(np.arange(count)),
            pa.array(np.arange(count) * 100),
        ]
        return pa.Table.from_arrays(columns, schema=REQUESTS_SCHEMA)


def utc(text: str) -> datetime:
    """An aware UTC time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def later(text: str, **delta: float) -> str:
    """A time written as text, moved by a timedelta."""
    return (datetime.fromisoformat(text) + timedelta(**delta)).strftime("%Y-%m-%d %H:%M:%S")


def noise(seed: int, hosts: Sequence[str], first: str, last: str, count: int) -> list[Sighting]:
    """Benign hits of public rules: frequent ones everywhere, and rare single ones of any level up to high."""
    source = random.Random(seed)  # noqa: S311
    start, end = at(first), at(last)
    found = []
    for number in range(count):
        host = source.choice(hosts)
        time = source.randrange(start, end, 1_000_000)
        if number % 20:
            rule, level = source.choice(
                [("whoami", "low"), ("admin-share", "medium"), ("encoded", "medium"), ("psexec", "high")]
            )
        else:
            rule, level = f"odd-{source.randrange(50)}", source.choice(["low", "medium", "medium", "high"])
        tactic = source.choice(["execution", "discovery", "defense-evasion"])
        user = source.choice(["GOV\\admin", "GOV\\helpdesk", "GOV\\arta"])
        found.append(
            hit(
                rule,
                host,
                time,
                level=level,
                source=PUBLIC,
                tags=(f"attack.{tactic}",),
                User=user,
                event=f"n{seed}-{number}",
            )
        )
    return found
