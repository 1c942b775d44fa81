"""Logs of JSON objects: what a ``[[read]]`` with ``layout = "json"`` says beside what all say.

==============  ==================================================================================================
``has``         lists of dotted paths: a stream is of the format where most of its first objects have all of one
``lacks``       paths that none of them has
``where``       ``path = [texts]``: what one of the values at the path must be
``unwrap``      paths of objects that are the record where they are there (``_source``, ``@cee``, what was parsed)
``channels``    ``name = [paths]``: the channel of records that name none: the first whose paths are all there
``parse``       paths of texts that hold JSON, which is put in their place
``each``        path of a list of objects: each is a record of its own, in the list's place, the rest beside it
``pairs``       ``path = {name = key, values = [keys]}``: lists of named values, which become an object of their own
``message``     the field whose text is read by the form of the program that the field ``program`` names, or as the
                Windows event that it holds as XML (Sysmon for Linux); see `message_rows`
==============  ==================================================================================================

Objects may be lines, an array, one after another, or in an array of an outer object (``{"Records": [...]}``), of which
there may be several, one a line or one after another.
Nested objects become fields with dotted names, lists stay lists. What is no such object is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from aleat.evidence.clock import ReadTimes, read_times, time_issues
from aleat.evidence.columns import Flat, TableBuilder, flatten_column, free_name
from aleat.evidence.described import Pick, Reading
from aleat.evidence.head import WRAPPERS, Head
from aleat.evidence.json_objects import parse_object
from aleat.evidence.json_stream import JsonStream, cut_json
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.shapes import MAX_CHANNELS, MAX_SHAPES, Known, as_rest
from aleat.evidence.text import BLOCK_LINES
from aleat.evidence.text_columns import FACT

if TYPE_CHECKING:
    from aleat.evidence.readers.message_rows import MessageRows

__all__ = ["JsonReader", "JsonRows"]

Picker = tuple[Sequence[tuple[str, ...]], str | None]
"""Where a fact is: paths, of which the first that says something counts, and what it is where none does."""

_SHARE = 0.5
_MISSING = object()
_LISTED = 64
"""So many objects of a list are looked at for a fact."""


class JsonReader:
    """Reads logs of one JSON format."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.name = reading.name
        self.version = reading.version
        own = reading.own
        self._has = [[_path(text) for text in texts] for texts in own["has"]]
        self._lacks = [_path(text) for text in own.get("lacks", ())]
        self._where = {_path(text): frozenset(values) for text, values in own.get("where", {}).items()}
        self._unwrap = [_path(text) for text in own.get("unwrap", ())]
        self._parse = [_path(text) for text in own.get("parse", ())]
        self._message = str(own.get("message", ""))
        self._program = str(own.get("program", "SYSLOG_IDENTIFIER"))
        self._each = _path(own["each"]) if "each" in own else ()
        self._pairs = [
            (_path(text), str(table["name"]), tuple(table["values"])) for text, table in own.get("pairs", {}).items()
        ]

    def detect(self, head: Head) -> bool:
        """Say yes where most of the first objects are of the format."""
        objects = head.objects
        good = sum(1 for value in objects if any(map(self.fits, self._unpacked(value))))
        return good > 0 and good >= _SHARE * len(objects)

    def fits(self, record: Mapping[str, Any]) -> bool:
        """Say whether a record has what the format's records have."""
        return (
            any(all(at(record, path) is not _MISSING for path in paths) for paths in self._has)
            and all(at(record, path) is _MISSING for path in self._lacks)
            and all(text_of(at(record, path)) in values for path, values in self._where.items())
        )

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends where each line is an object, else between objects."""
        return cut_json(stream, head, options)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the objects of one range."""
        result = RangeResult()
        rows = JsonRows(self.reading, path, span, options, result)
        into = self._messages(rows, options)

        def add(offset: int, value: Any) -> bool:
            if not isinstance(value, dict):
                return False
            for item in self._unpacked(value):
                for record in self._records(item):
                    (into or rows).add(offset, record)
            return True

        stream = JsonStream(path, span, options, result, add)
        stream.read(data)
        if into is not None:
            into.finish(path, result)
        rows.finish()
        stream.tell_strange("broken-json", "values from here on are no objects")
        return result

    def _messages(self, rows: JsonRows, options: ReadOptions) -> MessageRows | None:
        if not self._message:
            return None
        # not at the top: it imports this module
        from aleat.evidence.readers.message_rows import MessageRows  # noqa: PLC0415

        return MessageRows(rows, self._message, self._program, options)

    def _unpacked(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the record that an object is, or those that it holds in an array: each line can be such an object."""
        record = self.record(value)
        packed = [
            items
            for key, items in value.items()
            if isinstance(items, list) and key.casefold() in WRAPPERS and items and isinstance(items[0], dict)
        ]
        if len(packed) == 1 and not self.fits(record) and all(isinstance(item, dict) for item in packed[0]):
            inner = [self.record(item) for item in packed[0]]
            if any(self.fits(item) for item in inner):
                return inner
        return [record]

    def record(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the record that an object holds: unwrapped, and what is JSON in it parsed."""
        value = self._unwrapped(value)
        for path in self._parse:
            if isinstance(text := at(value, path), str) and (parsed := parse_object(text)) is not None:
                value = _with(value, path, parsed)
        return self._unwrapped(value) if self._parse else value

    def _unwrapped(self, value: dict[str, Any]) -> dict[str, Any]:
        for path in self._unwrap:
            if isinstance(inner := at(value, path), dict):
                value = inner
        return value

    def _records(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the records that one object holds."""
        items = at(record, self._each) if self._each else None
        if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
            for item in items:
                yield self._paired(_with(record, self._each, item))
        else:
            yield self._paired(record)

    def _paired(self, record: dict[str, Any]) -> dict[str, Any]:
        for path, name, values in self._pairs:
            if isinstance(items := at(record, path), list) and items:
                record = _with(record, path, _named(items, name, values))
        return record


class JsonRows:
    """Collects the records of one range, by channel and shape, and makes their tables.

    `count` is the number that the next record has; who gives records elsewhere counts them in it.
    """

    def __init__(self, reading: Reading, path: str, span: ByteRange, options: ReadOptions, result: RangeResult) -> None:
        self._reading = reading
        self._path = path
        self._span = span
        self._options = options
        self._result = result
        self._builders: dict[str, TableBuilder] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], list[tuple[int, int, dict[str, Any]]]] = {}
        self._picks = {name: _picker(reading.facts.get(name, Pick())) for name in ("host", "provider", "event_id")}
        self._channel = _picker(reading.facts.get("channel", Pick()))
        self._channels = {
            name: [_path(text) for text in paths] for name, paths in reading.own.get("channels", {}).items()
        }
        self._channel_of: dict[tuple[str, ...], Picker] = {}  # by shape
        self._shapes, self._known_channels = Known(MAX_SHAPES), Known(MAX_CHANNELS)
        self._kept = _first_keys(reading)
        self._record_id = _picker(reading.facts.get("record_id", Pick()))
        self._times = [[_path(text) for text in group] for group in reading.time.groups]
        self._read: list[ReadTimes] = []
        self.count = 0
        self._waiting = 0

    def add(self, offset: int, record: dict[str, Any]) -> None:
        """Add the record at `offset` in the stream."""
        keys = tuple(record)
        if not self._shapes.admits(keys):
            rest = {key: value for key, value in record.items() if key not in self._kept}
            record = {**{key: value for key, value in record.items() if key in self._kept}, **as_rest(rest)}
            keys = tuple(record)
        channel = pick(record, self._channel_of.get(keys) or self._channel_at(keys, record)) or ""
        if not self._known_channels.admits(channel):
            channel = ""
        self._groups.setdefault((channel, keys), []).append((self.count, offset, record))
        self.count += 1
        self._waiting += 1
        if self._waiting >= BLOCK_LINES:
            self._flush()

    def _channel_at(self, keys: tuple[str, ...], record: Mapping[str, Any]) -> Picker:
        """Return where the channel is in records of one shape, and what it is where they don't say it."""
        fitting = (
            name for name, paths in self._channels.items() if all(at(record, path) is not _MISSING for path in paths)
        )
        paths, constant = _in_shape(self._channel, keys)
        self._channel_of[keys] = found = (paths, constant or next(fitting, None))
        return found

    def finish(self) -> None:
        """Put the tables, and what is said about their times, into the result."""
        self._flush()
        for channel in sorted(self._builders):
            self._result.tables.append((self._reading.format, channel, self._builders[channel].finish()))
        self._result.issues.extend(
            time_issues(self._path, self._span, self._options, {self._reading.format: self._read})
        )

    def _flush(self) -> None:
        for (channel, keys), group in self._groups.items():
            builder = self._builders.get(channel)
            if builder is None:
                builder = self._builders[channel] = TableBuilder()
            self._add_group(builder, keys, group)
        self._groups = {}
        self._waiting = 0

    def _add_group(
        self, builder: TableBuilder, keys: tuple[str, ...], group: list[tuple[int, int, dict[str, Any]]]
    ) -> None:
        numbers, offsets, records = zip(*group, strict=True)
        flat: Flat = {}
        rows = list(range(len(records)))
        for key, values in zip(keys, zip(*map(dict.values, records), strict=True), strict=True):
            if not key.startswith(FACT):
                flatten_column(key, rows, values, flat)
        facts = {name: _picked(records, _in_shape(picker, keys)) for name, picker in self._picks.items()}
        hosts = facts["host"]
        if self._options.host is not None:
            hosts = [host or self._options.host for host in hosts]
        times = [_in_shape((group, None), keys)[0] for group in self._times]
        times = [group for group, whole in zip(times, self._times, strict=True) if len(group) == len(whole)]
        texts = [_time(record, times) for record in records]
        series = pl.Series(texts, dtype=pl.String)
        read = read_times(
            series, self._reading.time.spec, self._options, hosts=pl.Series(hosts, dtype=pl.String), year=None
        )
        self._read.append(read)
        builder.extend(
            records=numbers,
            offsets=offsets,
            times=read.times,
            time_texts=texts,
            record_ids=[_integer(text) for text in _picked(records, _in_shape(self._record_id, keys))],
            hosts=hosts,
            providers=facts["provider"],
            event_ids=facts["event_id"],
            fields=((name, piece) for name, pieces in flat.items() for piece in pieces),
        )


def _time(record: Mapping[str, Any], groups: Sequence[Sequence[tuple[str, ...]]]) -> str | None:
    for group in groups:
        texts = [text_of(at(record, path)) for path in group]
        if all(texts):
            return " ".join(texts)
    return None


def _first_keys(reading: Reading) -> frozenset[str]:
    """Return the keys that a reading's facts and times begin with, and those that are dotted in a record."""
    groups = [pick.fields for pick in reading.facts.values()] + list(reading.time.groups)
    groups += [tuple(paths) for paths in reading.own.get("channels", {}).values()]
    return frozenset(key for group in groups for path in group for key in (path, path.partition(".")[0]))


def _picker(chosen: Pick) -> Picker:
    return [_path(text) for text in chosen.fields], chosen.constant


def _in_shape(picker: Picker, keys: tuple[str, ...]) -> Picker:
    """Return the paths that records with these keys can have, a dotted key of theirs in one step."""
    joined = [(path, ".".join(path)) for path in picker[0]]
    paths = [(whole,) if whole in keys else path for path, whole in joined if whole in keys or path[0] in keys]
    return paths, picker[1]


def _picked(records: Sequence[Mapping[str, Any]], picker: Picker) -> list[str | None]:
    """Return a fact of records of one shape."""
    return [pick(record, picker) for record in records] if picker[0] else [picker[1]] * len(records)


def pick(record: Mapping[str, Any], picker: Picker) -> str | None:
    """Return a fact's text: the first path that has one, else the constant."""
    for path in picker[0]:
        if text := text_of(at(record, path)):
            return text
    return picker[1]


def at(record: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at `path` (its keys may be dotted ones of the record), or a marker of nothing.

    Of a list on the way the first object counts that has the rest.
    """
    for number, key in enumerate(path):
        if isinstance(record, list):
            inner = (at(item, path[number:]) for item in record[:_LISTED] if isinstance(item, dict))
            return next((value for value in inner if value is not _MISSING), _MISSING)
        if not isinstance(record, dict):
            return _MISSING
        if key not in record:
            rest = ".".join(path[number:])
            return record.get(rest, _MISSING) if number < len(path) - 1 else _MISSING
        record = record[key]
    return record


def text_of(value: Any) -> str:
    """Return a scalar's text, or nothing."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return repr(value) if type(value) in (int, float) else ""


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))


def _named(items: list[Any], name: str, values: Sequence[str]) -> Any:
    """Return a list of named values as an object; the list itself where it is none."""
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(key := item.get(name), str):
            return items
        found[free_name(key, found)] = next((item[place] for place in values if place in item), None)
    return found


def _with(value: dict[str, Any], path: tuple[str, ...], item: Any) -> dict[str, Any]:
    """Return `value` with `item` at `path`, the rest shared with it."""
    key, *rest = path
    return {**value, key: _with(value[key], tuple(rest), item) if rest and isinstance(value.get(key), dict) else item}


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
