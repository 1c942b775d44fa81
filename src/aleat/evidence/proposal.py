"""Tables and JSON objects that no format knows: which columns may be their time and host, for somebody to confirm.

Names propose, the first 1,000 values decide: a column is proposed as the time where nearly all of its values are times
in one of the forms below. Nothing is read by a proposal; the issue shows it as the flag that confirms it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from aleat.errors import Issue, Place
from aleat.evidence.clock import TimeSpec, read_times
from aleat.evidence.head import Head
from aleat.evidence.json_objects import parse_object
from aleat.evidence.reader import ReadOptions
from aleat.evidence.readers.delimited import header_of
from aleat.evidence.readers.json_records import text_of

__all__ = ["proposal"]

_ROWS = 1000
_SHARE = 0.9
_SHOWN = 12
_TIMES = (
    "@timestamp", "_time", "timestamp", "eventtime", "event_time", "time", "datetime", "date_time", "date-time", "ts",
    "timecreated", "time_created", "createddatetime", "creationtime", "timegenerated", "occurred", "date", "created",
    "starttime", "start_time", "start", "firstseen", "lastaccess", "zeit", "datum", "data", "koha", "ora",
)  # fmt: skip
_HOSTS = (
    "host", "hostname", "host.name", "host_name", "computer", "computername", "computer_name", "machine",
    "machinename", "device", "devicename", "device_name", "server", "servername", "system", "agent.name", "observer",
    "node", "dvc", "endpoint", "kompjuteri", "rechner",
)  # fmt: skip
_FORMS = (
    "iso", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d-%m-%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S", "%d/%b/%Y:%H:%M:%S %z", "%d-%b-%Y %H:%M:%S", "%d %b %Y %H:%M:%S", "%a %b %e %H:%M:%S %Y",
    "%b %d, %Y %I:%M:%S %p", "%b %d %Y %H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%d %H:%M",
)  # fmt: skip
_DIGITS = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class _Time:
    fields: tuple[str, ...]
    form: str
    zoned: bool
    others: tuple[str, ...] = ()


def proposal(head: Head) -> Issue | None:
    """Return what is said of a table, or of JSON objects, that no format knows; None where it is neither."""
    if head.encoding == "utf-8" and b"\0" in head.data[:4096]:
        return None
    columns = _objects(head) if head.is_json else _table(head)
    if not columns:
        return None
    kind = "JSON log" if head.is_json else "table"
    names = ", ".join(f"{name!r}" for name in list(columns)[:_SHOWN])
    more = " …" if len(columns) > _SHOWN else ""
    time, host = _time(columns), _named(columns, _HOSTS)
    if time is None:
        rows = max(map(len, columns.values()))
        if rows < 2 if head.is_json else not _is_steady(head):  # a document, a text with commas
            return None
        reason = f"No format knows this {kind} ({names}{more}), and none of its first values look like times."
        return _issue(head, reason, "Say which is the time: --map 'time=NAME,host=NAME,format=myapp'.")
    parts = [f"time={'+'.join(time.fields)}"]
    if host:
        parts.append(f"host={host}")
    if time.form not in ("iso", "epoch"):
        parts.append(f"time-format={time.form}")
    parts.append("format=myapp")
    flag = f"--map '{','.join(parts)}'"
    reason = f"No format knows this {kind} ({names}{more}). Its time seems to be {' and '.join(map(repr, time.fields))}"
    reason += f", its host {host!r}." if host else "; none of the names is a host's."
    advice = f"Confirm or correct it: {flag}."
    if time.others:
        advice += f" Its days and months can't be told apart: it may be time-format={time.others[0]}."
    if not time.zoned:
        advice += " The times carry no zone: state it with zone=Europe/Tirane, or --log-zone."
    return _issue(head, reason, advice)


def _issue(head: Head, reason: str, advice: str) -> Issue:
    return Issue("evidence", "no-reader", Place(head.name), reason, advice)


def _table(head: Head) -> dict[str, list[str]]:
    """Return the first values of a table's columns; nothing where the text is no table."""
    found = header_of(head.text)
    if found is None:
        return {}
    separator, names = found
    if len(set(names)) != len(names) or any(not name or len(name) > 100 for name in names):
        return {}
    lines = head.text.split("\n")[: _ROWS + 8]
    rows: list[list[str]] = []
    try:
        for row in csv.reader((line.rstrip("\r") for line in lines if not line.startswith("#")), delimiter=separator):
            if len(row) == len(names):
                rows.append([value.strip() for value in row])
    except csv.Error:
        pass
    rows = [row for row in rows if [value.strip('"\ufeff') for value in row] != names][:_ROWS]
    if not rows or any(_DIGITS.fullmatch(name) for name in names):
        return {}
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _is_steady(head: Head) -> bool:
    """Say whether a text without times is a table all the same: ten lines, nearly all with as many values."""
    found = header_of(head.text)
    if found is None:
        return False
    counts = [line.count(found[0]) for line in head.lines]
    return len(counts) >= 10 and counts.count(len(found[1]) - 1) >= _SHARE * len(counts)


def _objects(head: Head) -> dict[str, list[str]]:
    """Return the first scalar values of JSON objects, by dotted names."""
    columns: dict[str, list[str]] = {}
    for value in _values(head):
        for wrapper in ("_source", "result"):
            if isinstance(inner := value.get(wrapper), dict):
                value = inner  # noqa: PLW2901 - what is wrapped is the record
        for name, text in _flat("", value, 0):
            columns.setdefault(name, []).append(text)
    return columns


def _values(head: Head) -> Iterator[dict[str, Any]]:
    count = 0
    for line in head.text.split("\n", _ROWS)[:_ROWS]:
        value = parse_object(line.strip().rstrip(","))
        if value is not None:
            count += 1
            yield value
    if not count:
        yield from head.objects


def _flat(prefix: str, value: dict[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and depth < 4:
            yield from _flat(f"{name}.", item, depth + 1)
        elif text := text_of(item):
            yield name, text


def _named(columns: dict[str, list[str]], wanted: Sequence[str]) -> str:
    by_name = {name.casefold().replace(" ", ""): name for name in reversed(list(columns))}
    return next((by_name[name] for name in wanted if name in by_name), "")


def _time(columns: dict[str, list[str]]) -> _Time | None:
    """Return the column whose values are times: by name first, then by place."""
    by_name = {name.casefold().replace(" ", ""): name for name in reversed(list(columns))}
    likely = [by_name[name] for name in _TIMES if name in by_name]
    if "date" in by_name and "time" in by_name and len(columns[by_name["date"]]) == len(columns[by_name["time"]]):
        pair = (by_name["date"], by_name["time"])
        texts = [f"{one} {other}" for one, other in zip(columns[pair[0]], columns[pair[1]], strict=True)]
        if (found := _form(texts, named=True)) is not None:
            return _Time(pair, *found)
    rest = [name for name in columns if name not in likely][: 4 * _SHOWN]
    for name in (*likely, *rest):
        if (found := _form(columns[name], named=name in likely)) is not None:
            return _Time((name,), *found)
    return None


def _form(values: list[str], *, named: bool) -> tuple[str, bool, tuple[str, ...]] | None:
    """Return in which form nearly all values are times, whether they carry a zone, and other forms that fit too."""
    texts = [text for text in values if text and len(text) <= 40]
    if not texts or len(texts) < _SHARE * len([text for text in values if text]):
        return None
    series = pl.Series(texts, dtype=pl.String)
    fitting = []
    for form in (*_FORMS, *(("epoch",) if named else ())):
        read = read_times(series, TimeSpec((form,)), ReadOptions())
        good = ~np.isnat(read.times)
        years = read.times[good].astype("datetime64[Y]").astype(np.int64) + 1970
        if good.sum() >= _SHARE * len(texts) and ((years >= 1990) & (years <= 2100)).all():
            fitting.append((form, read.assumed == 0))
            if form in ("iso", "epoch"):
                break
    if not fitting:
        return None
    form, zoned = fitting[0]
    swapped = tuple(other for other, _ in fitting[1:] if {other[:2], form[:2]} == {"%d", "%m"})
    return form, zoned, swapped
