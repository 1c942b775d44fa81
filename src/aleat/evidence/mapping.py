"""Logs that no format knows, read as somebody states: ``--map 'time=ts,host=computer'``, or a small mapping file.

Nothing is guessed. A mapping names the columns of a table or the keys of JSON objects that are an event's time, host
and so on; the file's own names stay its fields. A file is read by the first mapping whose names it has, and only where
no format knows it. A mapping file is a format's file (`aleat.formats`) with ``format = "name"``: its ``[[read]]`` may
have the layouts ``json`` and ``delimited`` (and ``lines``, with ``pattern`` alone: expressions are Rust's, linear in
the text), its ``[[sigma]]`` and ``[[stix]]`` are applied when events are read, as those of the formats that ship.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, BinaryIO

import polars as pl

from aleat.errors import InputError, Place
from aleat.evidence.clock import TimeSpec, has_year
from aleat.evidence.described import FACTS, Reading, reading_of
from aleat.evidence.head import Head
from aleat.evidence.reader import ByteRange, RangeResult, Reader, ReadOptions
from aleat.evidence.readers.delimited import DelimitedReader
from aleat.evidence.readers.json_records import JsonReader
from aleat.evidence.readers.lines import LinesReader
from aleat.evidence.time_texts import parse_texts
from aleat.evidence.zones import zone_named
from aleat.formats import Format, all_formats, format_of

__all__ = [
    "MAPPED",
    "MappedReader",
    "formats_of_mappings",
    "mapped",
    "mapping_of_file",
    "mapping_of_flag",
    "mapping_of_json",
]

MAPPED = "mapped"
"""The name of the reader that reads as somebody states."""

MAXIMUM_BYTES = 1024 * 1024
"""`mapping bytes`: no mapping file is longer."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_FLAG = {"time", "host", "channel", "provider", "event-id", "record-id", "format", "zone", "time-format", "separator"}
_SOURCE = ("category", "product", "service")
_UNWRAP = ["_source", "result"]
_SHARED = {"layout", "name", "time", "numbers", "absent", *FACTS}
_LAYOUTS: dict[str, set[str]] = {
    "json": {"has", "lacks", "where", "unwrap", "parse", "channels"},
    "delimited": {"header", "separators", "embeds", "rename", "decimal"},
    "lines": {"pattern"},
}
_EXAMPLE = "Write 'time=ts,host=computer,format=myapp', or a file: docs/guides/other-logs.md."


def mapping_of_flag(text: str) -> str:
    """Return the mapping (as JSON text) that ``--map`` states; raises `InputError`.

    Keys: ``time`` (a column; ``date+time``: two, joined), ``host``, ``channel``, ``provider``, ``event-id``,
    ``record-id``, ``format`` (its name; default: other), ``zone``, ``time-format``, ``separator``, and Sigma's
    ``category``, ``product``, ``service``, by which rules take the events for theirs under the log's own names.
    """
    found: dict[str, str] = {}
    for part in re.split(r",(?=[a-z-]+=)", text):
        key, equals, value = part.partition("=")
        if not equals or not value.strip() or key.strip() not in {*_FLAG, *_SOURCE}:
            known = ", ".join(sorted({*_FLAG, *_SOURCE}))
            raise InputError(f"{part[:60]!r} states nothing of a log. Known are {known}.", advice=_EXAMPLE)
        found[key.strip()] = value.strip()
    if "time" not in found:
        raise InputError("The mapping names no time.", advice=_EXAMPLE)
    time = {"fields": [found["time"].split("+") if "+" in found["time"] else found["time"]]}
    if form := found.get("time-format"):
        time["formats"] = [form]
    else:
        time["formats"] = ["iso", "epoch"]
    if zone := found.get("zone"):
        time["zone"] = zone  # type: ignore[assignment]
    facts = {name: [found[key]] for name in FACTS if (key := name.replace("_", "-")) in found}
    host = ["<stated>", *facts.pop("host", [])] if "host" not in found else [*facts.pop("host"), "<stated>"]
    common: dict[str, Any] = {"time": time, "host": host, **facts}
    names = [*found["time"].split("+"), *(found[key] for key in ("host", "channel", "provider") if key in found)]
    table: dict[str, Any] = {"layout": "delimited", "header": [names], **common}
    if separator := found.get("separator"):
        table["separators"] = [{"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(separator, separator)]
        if len(table["separators"][0]) != 1:
            raise InputError("separator is to be one character, tab, comma or semicolon.", advice=_EXAMPLE)
    read = [table, {"layout": "json", "has": [names], "unwrap": _UNWRAP, **common}]
    source = {key: [found[key]] for key in _SOURCE if key in found}
    name = found.get("format", "other")
    sigma = [{"name": name, **source, "needs": sorted(source)}] if source else []
    return _checked({"format": name, "read": read, "sigma": sigma}, None)


def mapping_of_file(data: bytes, path: str) -> str:
    """Return the mapping (as JSON text) that a file holds; raises `InputError` with its place."""
    if len(data) > MAXIMUM_BYTES:
        raise InputError(f"The mapping is longer than {MAXIMUM_BYTES} bytes.", Place(path))
    try:
        stated = tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"The mapping is no TOML: {error}.", Place(path)) from error
    return _checked(stated, Place(path))


def mapping_of_json(data: bytes, path: str) -> str:
    """Return the mapping that a file of JSON holds; raises `InputError` with its place."""
    try:
        stated = json.loads(data) if len(data) <= MAXIMUM_BYTES else None
    except (ValueError, RecursionError) as error:
        raise InputError(f"The mapping is no JSON: {str(error)[:200]}.", Place(path)) from error
    if not isinstance(stated, dict):
        raise InputError("The mapping is no JSON object.", Place(path))
    return _checked(stated, Place(path))


def _checked(stated: dict[str, Any], place: Place | None) -> str:
    """Return a mapping as JSON text, once everything in it can be used."""
    if unknown := stated.keys() - {"format", "title", "family", "documentation", "notes", "read", "sigma", "stix"}:
        raise _error(f"A mapping has no {', '.join(sorted(unknown))[:100]}.", place)
    name = stated.get("format")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _error("format is to be a name of small letters, digits and underscores.", place)
    if any(item.name == name for item in all_formats()):
        raise _error(f"A format that ships is called {name!r}: give yours another name.", place)
    tables = stated.get("read", ())
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise _error("A mapping needs at least one [[read]].", place)
    for number, table in enumerate(tables):
        _check_table(name, table, number, place)
    try:
        text = json.dumps(stated, sort_keys=True, ensure_ascii=False)
        _format_of(text)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _error(f"It can't be used: {error}.", place) from error
    return text


def _check_table(name: str, table: dict[str, Any], number: int, place: Place | None) -> None:
    where = f"[[read]] {number + 1}"
    layout = table.get("layout")
    if layout not in _LAYOUTS:
        raise _error(f"{where}: layout is to be one of {', '.join(_LAYOUTS)}.", place)
    if unknown := table.keys() - _SHARED - _LAYOUTS[layout]:
        raise _error(f"{where}: the layout {layout} has no {', '.join(sorted(unknown))[:100]}.", place)
    time = table.get("time")
    if not isinstance(time, dict) or not time.get("fields"):
        raise _error(f"{where}: time = {{ fields = [...] }} is missing.", place)
    forms = tuple(time.get("formats", ("iso",)))
    if not all(isinstance(form, str) for form in forms) or not has_year(TimeSpec(forms)):
        raise _error(f"{where}: a time's format is to have the year (iso, epoch, filetime or strftime's).", place)
    for form in forms:
        try:
            parse_texts(pl.Series(["2022-07-15 10:00:00"]), form)
        except pl.exceptions.PolarsError as error:
            said = str(error).splitlines()[0][:200]
            raise _error(f"{where}: the time's format {form[:100]!r} can't be used: {said}", place) from error
    if time.get("zone") is not None:
        try:
            zone_named(str(time["zone"]))
        except InputError as error:
            raise _error(f"{where}: {error.reason}", place) from error
    try:
        _reader_of(name, table)
    except (ValueError, KeyError, TypeError, AttributeError, re.error, pl.exceptions.PolarsError) as error:
        raise _error(f"{where} can't be used: {str(error)[:200]}.", place) from error


def _error(reason: str, place: Place | None) -> InputError:
    return InputError(reason, place, advice=_EXAMPLE)


class _PlainLines(LinesReader):
    """Lines of a mapping: recognised by their own forms, which are Rust's, never Python's."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(replace(reading, own={**reading.own, "detect": []}))
        for pattern in self.patterns:
            pl.Series([""]).str.extract_groups(pattern.regex)

    def detect(self, head: Head) -> bool:
        """Say yes where half of the first lines have a form."""
        if head.is_json or not head.lines:
            return False
        lines = pl.Series(head.lines, dtype=pl.String)
        known = pl.Series([False]).new_from_index(0, len(lines))
        for pattern in self.patterns:
            known |= lines.str.contains(pattern.regex).fill_null(value=False)
        return bool(known.sum() * 2 >= len(lines))


def _reader_of(name: str, table: Mapping[str, Any]) -> Reader:
    if table["layout"] == "lines":
        if any(set(item) - {"regex", "time", *FACTS} for item in table["pattern"]):
            raise ValueError("a pattern has regex, time, host, channel, provider, event_id and record_id alone")
        return _PlainLines(reading_of(name, table))
    made: dict[str, Any] = {"json": JsonReader, "delimited": DelimitedReader}
    reader: Reader = made[table["layout"]](reading_of(name, table))
    return reader


class MappedReader:
    """Reads a file by the mapping in its options."""

    name = MAPPED
    version = 1

    def detect(self, head: Head) -> bool:
        """Say no: what isn't stated isn't read."""
        return False

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut as the mapping's layout does."""
        return _inner(options.mapping or "").cut(stream, head, options)

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read one range."""
        return _inner(options.mapping or "").read(data, span, path, options)


@lru_cache(maxsize=32)
def _inner(text: str) -> Reader:
    mapping = json.loads(text)
    return _reader_of(mapping["format"], mapping["read"])


def mapped(head: Head, options: ReadOptions) -> str | None:
    """Return the first of the options' mappings that fits a stream (`ReadOptions.mapping`), or None."""
    for text in options.mappings:
        stated = json.loads(text)
        for table in stated["read"]:
            chosen = json.dumps({"format": stated["format"], "read": table}, sort_keys=True, ensure_ascii=False)
            if _inner(chosen).detect(head):
                return chosen
    return None


def formats_of_mappings(texts: Iterable[str]) -> tuple[Format, ...]:
    """Return the formats of mappings, with what they say of Sigma and STIX; one of a name counts, the last."""
    return tuple({item.name: item for item in map(_format_of, texts)}.values())


def _format_of(text: str) -> Format:
    stated = json.loads(text)
    parts = {key: stated[key] for key in ("sigma", "stix") if key in stated}
    return format_of(stated["format"], {"title": stated.get("title", stated["format"]), "family": "other", **parts})
