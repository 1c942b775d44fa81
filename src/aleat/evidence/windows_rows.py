"""Windows events, from EVTX and from every JSON form, to tables: one shape of row for all of them.

Payload names (EventData, UserData and their kin) are stored as the source wrote them. System values are
stored under their XML names (`Level`, `Execution.ProcessID`, `Security.UserID`, …) except for those that are
fixed columns: channel, provider's name, event id, record id, time. Where a payload and a system value have
one name, both are kept, the system's as `System.<name>`. Unnamed `Data` elements are one field, `Data`: a
list, or a string where there is one. The element inside UserData is the value of the field `UserData`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from msgspec import UNSET
from msgspec.structs import replace

from aleat.evidence.clock import ReadTimes, TimeSpec, read_times
from aleat.evidence.columns import Flat, Piece, TableBuilder, flatten_column, free_name
from aleat.evidence.reader import ReadOptions
from aleat.evidence.shapes import MAX_CHANNELS, MAX_SHAPES, Known, as_rest
from aleat.evidence.times import time_column
from aleat.evidence.windows_event import Event, flatten_systems

__all__ = ["FlatEvent", "WindowsTables", "flatten_payload"]


_SECTIONS = (
    "EventData",
    "UserData",
    "ProcessingErrorData",
    "SubscriptionBookmarkEvent",
    "DebugData",
    "BinaryEventData",
)
_KNOWN = frozenset({"#attributes", "System", "RenderingInfo", *_SECTIONS})
_PLAIN = frozenset({"#attributes", "System", "EventData"})
_NAME_KEYS = ("@Name", "Name", "#attributes", "@name")
BLOCK_EVENTS = 256
"""Rows of one shape are taken apart in blocks of this size, while they are in the processor's caches."""
_MAX_INT64 = 2**63 - 1


class FlatEvent(NamedTuple):
    """An event whose facts were already told apart from its fields (see `readers.windows_json`)."""

    channel: str
    provider: str | None
    event_id: str | None
    record_id: int | None
    time: Any
    host: str | None
    fields: dict[str, Any]


_Group = list[tuple[int, int, Any, dict[str, Any]]]
"""Events of one shape: record, offset, system values (or the flat event), payload."""


class _Clock:
    """Reads times that are in UTC, or in the zone that is stated or assumed; `found` is what was read so."""

    def __init__(self, host: str | None, options: ReadOptions | None) -> None:
        self.host = host
        self.found: list[ReadTimes] = []
        self._options = options

    def read(self, values: Sequence[Any], hosts: Sequence[str | None]) -> npt.NDArray[np.datetime64]:
        if self._options is None or all(type(value) is str and value[-1:] == "Z" for value in values):
            return time_column(values)
        texts = pl.Series([_time_text(value) for value in values], dtype=pl.String)
        found = read_times(texts, _TIMES, self._options, hosts=pl.Series(hosts, dtype=pl.String))
        self.found.append(found)
        return found.times


_TIMES = TimeSpec(("iso", "epoch"))


def _time_text(value: Any) -> str | None:
    if type(value) is str:
        return value
    return repr(value) if type(value) in (int, float) else None


class WindowsTables:
    """Collects Windows events of one range and makes one table a channel."""

    def __init__(self, host: str | None = None, options: ReadOptions | None = None) -> None:
        """Take the `host` of events that name none, and what is stated about their times (else all are UTC)."""
        self.events = 0
        self.clock = _Clock(host, options)
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._flat: dict[tuple[Any, ...], _Group] = {}
        self._typed: dict[tuple[Any, ...], _Group] = {}
        self._builders: dict[str, TableBuilder] = {}
        self._shapes, self._channels = Known(MAX_SHAPES), Known(MAX_CHANNELS)

    def add_event(self, offset: int, event: dict[str, Any], extra: dict[str, Any] | None = None) -> None:
        """Add one event with a `System` object; `extra` are fields that stand beside it in the export."""
        system = event["System"]
        payload = event.get("EventData")
        if type(payload) is not dict or not payload or extra or "Data" in payload or not event.keys() <= _PLAIN:
            payload = flatten_payload(event, extra)
        channel = system.get("Channel")
        if (channel, *payload) not in self._groups and not self._admits(channel, payload):
            channel, payload = self._admitted(channel, payload)
            system = {**system, "Channel": channel}
        self._add(self._groups, _build_group, offset, system, payload, (channel, *payload))

    def add_typed(self, offsets: Sequence[int], events: Sequence[Event]) -> None:
        """Add events of the `evtx` wheel, each with its offset."""
        groups, number = self._typed, self.events
        for offset, event in zip(offsets, events, strict=True):
            payload = event.EventData
            if type(payload) is not dict or not payload or "Data" in payload or event.UserData is not UNSET:
                payload = flatten_payload(event.sections(), None)
            system = event.System
            key = (system.Channel, *payload)
            group = groups.get(key)
            if group is None:
                if not self._admits(system.Channel, payload):
                    channel, payload = self._admitted(system.Channel, payload)
                    system = replace(system, Channel=channel)
                    key = (channel, *payload)
                group = groups.setdefault(key, [])
            group.append((number, offset, system, payload))
            number += 1
            if len(group) == BLOCK_EVENTS:
                _build_typed(groups.pop(key), self._builders, self.clock)
        self.events = number

    def add_flat(self, offset: int, event: FlatEvent) -> None:
        """Add one event whose facts are already apart from its fields."""
        payload = event.fields
        if (event.channel, *payload) not in self._flat and not self._admits(event.channel, payload):
            channel, payload = self._admitted(event.channel, payload)
            event = event._replace(channel=channel or "")
        self._add(self._flat, _build_flat, offset, event, payload, (event.channel, *payload))

    def _admits(self, channel: Any, payload: Mapping[str, Any]) -> bool:
        return self._channels.admits(channel) and self._shapes.admits((channel, *payload))

    def _admitted(self, channel: Any, payload: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the channel and the fields of an event that is over the limits."""
        payload = as_rest(payload)
        return (channel, payload) if self._channels.admits(channel) else ("", {**payload, "Channel": channel})

    def _add(
        self,
        groups: dict[tuple[Any, ...], _Group],
        build: Callable[[_Group, dict[str, TableBuilder], _Clock], None],
        offset: int,
        system: Any,
        payload: dict[str, Any],
        key: tuple[Any, ...],
    ) -> None:
        group = groups.get(key)
        if group is None:
            group = groups[key] = []
        group.append((self.events, offset, system, payload))
        self.events += 1
        if len(group) == BLOCK_EVENTS:
            build(groups.pop(key), self._builders, self.clock)

    def tables(self) -> Iterator[tuple[str, str, pa.Table]]:
        """Yield ("windows", channel, table), channels sorted; the collected rows are let go."""
        for group in self._groups.values():
            _build_group(group, self._builders, self.clock)
        for group in self._flat.values():
            _build_flat(group, self._builders, self.clock)
        for group in self._typed.values():
            _build_typed(group, self._builders, self.clock)
        self._groups, self._flat, self._typed = {}, {}, {}
        for channel in sorted(self._builders):
            yield "windows", channel, self._builders.pop(channel).finish()


def flatten_payload(event: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Flatten the payload sections of one event to one level of names (values may still be nested)."""
    out: dict[str, Any] = {}
    for section in _SECTIONS:
        if section in event:
            _put_section(out, section, event[section])
    for name, value in event.items():
        if name == "RenderingInfo" and isinstance(value, dict):
            out.update({f"RenderingInfo.{key}": item for key, item in value.items() if key != "#attributes"})
        elif name not in _KNOWN and not name.startswith(("#", "xmlns", "@xmlns")) and not name.endswith("_attributes"):
            _put(out, name, value)
    for name, value in (extra or {}).items():
        _put(out, name, value)
    return out


def _put_section(out: dict[str, Any], section: str, value: Any) -> None:
    if isinstance(value, list):
        _put_data(out, value)
    elif not isinstance(value, dict):
        if value not in (None, ""):
            _put(out, section, value)
    elif section != "UserData":
        _put_all(out, value, section)
    else:
        for element, inner in value.items():
            if element.startswith(("#", "xmlns", "@")):
                continue
            _put(out, "UserData", element)
            if isinstance(inner, dict):
                _put_all(out, inner, element)
            elif inner is not None:
                _put(out, element, inner)


def _put_all(out: dict[str, Any], values: Mapping[str, Any], section: str) -> None:
    for name, value in values.items():
        if name == "#attributes":
            if isinstance(value, dict):
                for key, item in value.items():
                    if not key.startswith("xmlns"):
                        _put(out, f"{section}.{key}", item)
        elif name == "Data":
            _put_data(out, value)
        elif name == "#text":
            _put(out, section, value)
        elif not name.startswith(("xmlns", "@xmlns")):
            _put(out, name, value)


def _put_data(out: dict[str, Any], value: Any) -> None:
    """Add `Data` elements: named ones under their names, the rest as the one field `Data`."""
    if isinstance(value, dict) and "#text" in value and len(value) == 1:
        value = value["#text"]
    if not isinstance(value, list):
        if value is not None or "Data" not in out:
            _put(out, "Data", value)
        return
    unnamed = []
    for item in value:
        name = _data_name(item)
        if name:
            _put(out, name, item.get("#text", item.get("Value", item.get("@Value"))))
        else:
            unnamed.append(item.get("#text") if isinstance(item, dict) and len(item) == 1 else item)
    if unnamed:
        _put(out, "Data", unnamed)


def _data_name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    for key in _NAME_KEYS:
        name = item.get(key)
        if isinstance(name, dict):
            name = name.get("Name")
        if isinstance(name, str) and name:
            return name
    return None


def _put(out: dict[str, Any], name: str, value: Any) -> None:
    """Add a field; a second one of that name keeps its cell under ``name~``."""
    out[free_name(name, out)] = value


def _build_group(group: _Group, builders: dict[str, TableBuilder], clock: _Clock) -> None:
    records, offsets, systems, payloads = zip(*group, strict=True)
    system: Flat = {}
    flatten_column("", list(range(len(records))), systems, system)
    system.pop("", None)
    _build(records, offsets, system, payloads, builders, clock)


def _build_typed(group: _Group, builders: dict[str, TableBuilder], clock: _Clock) -> None:
    records, offsets, systems, payloads = zip(*group, strict=True)
    _build(records, offsets, flatten_systems(systems), payloads, builders, clock)


def _build(
    records: Sequence[int],
    offsets: Sequence[int],
    system: Flat,
    payloads: Sequence[dict[str, Any]],
    builders: dict[str, TableBuilder],
    clock: _Clock,
) -> None:
    rows = list(range(len(records)))
    payload = _flat_payload(rows, payloads)
    channel = _text_cells(_take(system, "Channel", len(rows)))[0] or ""
    times = _take(system, "TimeCreated.SystemTime", len(rows))
    hosts = _named(_text_cells(_full(system.get("Computer"), len(rows))), clock.host)
    builder = builders.get(channel) or builders.setdefault(channel, TableBuilder())
    record_ids = _integers(_take(system, "EventRecordID", len(rows)))
    event_ids = _text_cells(_take(system, "EventID", len(rows)))
    providers = _text_cells(_take(system, "Provider.Name", len(rows)))
    builder.extend(
        records=records,
        offsets=offsets,
        times=clock.read(times, hosts),
        time_texts=_text_cells(times),
        record_ids=record_ids,
        hosts=hosts,
        providers=providers,
        event_ids=event_ids,
        fields=_fields(payload, system),
    )


def _build_flat(group: _Group, builders: dict[str, TableBuilder], clock: _Clock) -> None:
    records, offsets, events, payloads = zip(*group, strict=True)
    rows = list(range(len(records)))
    payload = _flat_payload(rows, payloads)
    channels, providers, event_ids, record_ids, times, named, _ = zip(*events, strict=True)
    builder = builders.get(channels[0]) or builders.setdefault(channels[0], TableBuilder())
    hosts = _named(named, clock.host)
    builder.extend(
        records=records,
        offsets=offsets,
        times=clock.read(times, hosts),
        time_texts=_text_cells(times),
        record_ids=record_ids,
        hosts=hosts,
        providers=providers,
        event_ids=event_ids,
        fields=_fields(payload, {}),
    )


def _flat_payload(rows: list[int], payloads: Sequence[dict[str, Any]]) -> Flat:
    """Flatten payloads that all have the same names in the same order."""
    payload: Flat = {}
    columns = zip(*map(dict.values, payloads), strict=True)
    for name, values in zip(payloads[0], columns, strict=True):
        flatten_column(name, rows, values, payload)
    return payload


def _fields(payload: Flat, system: Flat) -> Iterator[tuple[str, Piece]]:
    for name, pieces in payload.items():
        for piece in pieces:
            yield name, piece
    for name, pieces in system.items():
        stored = f"System.{name}" if name in payload else name
        for piece in pieces:
            if name not in _EMPTY_ELEMENTS or piece[1][0] is not None:
                yield stored, piece


_EMPTY_ELEMENTS = frozenset({"Correlation", "Security", "Execution"})
"""Elements that hold attributes only: without any they say nothing, and are no fields."""


def _take(flat: Flat, name: str, count: int) -> Sequence[Any]:
    return _full(flat.pop(name, None), count)


def _full(pieces: list[Piece] | None, count: int) -> Sequence[Any]:
    if not pieces:
        return [None] * count
    if len(pieces) == 1 and len(pieces[0][0]) == count:
        return pieces[0][1]
    out: list[Any] = [None] * count
    for rows, values, _ in pieces:
        for row, value in zip(rows, values, strict=True):
            out[row] = value
    return out


def _text_cells(values: Sequence[Any]) -> Sequence[str | None]:
    """Return texts as they are, numbers in decimal, None where there is neither."""
    types = set(map(type, values))
    if types == {str}:
        return values
    if types == {int}:
        return list(map(str, values))
    return [
        value if type(value) is str else None if value is None or isinstance(value, (list, dict)) else str(value)
        for value in values
    ]


def _named(hosts: Sequence[str | None], host: str | None) -> Sequence[str | None]:
    """Return the hosts, with the stated one where the log names none."""
    if all(hosts):
        return hosts
    return [item or host for item in hosts]


def _integers(values: Sequence[Any]) -> Sequence[int | None]:
    if set(map(type, values)) == {int} and max(values) <= _MAX_INT64:
        return values
    out: list[int | None] = []
    for value in values:
        number = value if type(value) is int else None
        if type(value) is str and value.isascii() and value.isdecimal() and len(value) < 20:
            number = int(value)
        out.append(number if number is not None and number <= _MAX_INT64 else None)
    return out
