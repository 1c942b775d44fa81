r"""Zeek's logs as tables (https://docs.zeek.org/en/master/log-formats.html): header lines, one typed value a column.

The channel is the log's ``#path`` (conn, dns, http …). Cells have the kinds of ``#types``: counts and ports are
integers, times and intervals floats, sets and vectors lists; unset values are absent, ``\x09`` and its like are
decoded. The same capture as JSON (``zeek.toml``) gives the same events. Files that were joined are read as well: a
header holds up to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

import orjson
import polars as pl

from aleat.evidence.clock import TimeSpec
from aleat.evidence.described import Pick, Reading, TimePick
from aleat.evidence.head import Head
from aleat.evidence.headed import HeadedRows, Places
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import LineNotes, bom_length, cut_lines, detect_encoding
from aleat.evidence.text_columns import Classify, ColumnTables, Lines, split_columns

__all__ = ["ZeekReader"]

_DIRECTIVE = re.compile(r"#(separator|set_separator|empty_field|unset_field|path|fields|types)(.)(.*)", re.DOTALL)
_DEFAULTS = {"separator": "\t", "set_separator": ",", "empty_field": "(empty)", "unset_field": "-", "path": ""}
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_INTEGERS = frozenset({"count", "int", "port"})
_FLOATS = frozenset({"time", "interval", "double"})
_CONTAINER = re.compile(r"(?:set|vector|table)\[(.*)\]")
_MOST_DIGITS = 40

Header = Mapping[str, str]


class ZeekReader:
    """Reads Zeek's tables."""

    name = "zeek"
    version = 1

    def detect(self, head: Head) -> bool:
        """Say yes where the header's lines stand near the start."""
        text = head.text[:8192]
        return text.startswith("#separator ") or ("#fields\t" in text and "#path\t" in text)

    def cut(self, stream: BinaryIO, head: bytes, options: ReadOptions) -> Iterator[tuple[ByteRange, bytes]]:
        """Cut at line ends; each range knows the header in force where it starts."""
        encoding = detect_encoding(head)
        header: Header = {}
        for span, data in cut_lines(stream, encoding, options.range_bytes, {}):
            yield replace(span, context={"encoding": encoding, "header": dict(header)}), data
            for line in data.split(b"\n") if b"#" in data else ():
                if line.startswith(b"#"):
                    header = _with_directive(header, line.decode("utf-8", "replace").rstrip("\r"))

    def read(self, data: bytes, span: ByteRange, path: str, options: ReadOptions) -> RangeResult:
        """Read the lines of one range."""
        result = RangeResult()
        lines = Lines.of(data, span, bom_length(data) if span.start == 0 else 0, options, result)
        notes = LineNotes(path, span, result)
        tables = ColumnTables(path, span, options, result)
        rows = HeadedRows(lines, tables, notes)
        start = tuple(sorted(span.context["header"].items()))
        for state, places in rows.by_header(start, _step):
            _take(lines, places, dict(state), rows)
        rows.finish()
        notes.finish()
        tables.finish()
        return result


def _step(state: tuple[tuple[str, str], ...], line: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(_with_directive(dict(state), line).items()))


def _with_directive(header: Header, line: str) -> Header:
    match = _DIRECTIVE.fullmatch(line)
    if match is None:
        return header
    name, _, value = match.groups()
    if name == "separator":  # the first line of a header: it begins anew
        return {"separator": _unescaped(value)}
    return {**header, name: value}


def _take(lines: Lines, places: Places, header: Header, rows: HeadedRows) -> None:
    """Read the lines under one header."""
    said = {**_DEFAULTS, **header}
    separator = said["separator"] or "\t"
    names = [_unescaped(name) for name in said.get("fields", "").split(separator)] if "fields" in said else []
    columns, good = split_columns(lines.texts.gather(places), names, separator)

    def reason(text: str) -> str:
        if not names:
            return "There is no #fields line before it."
        if not text.strip("\0 "):
            return "The line holds zeros only, as after a crash."
        return f"The line has {text.count(separator) + 1} values where {len(names)} are named."

    rows.refuse(places[~good], reason)
    kinds = dict(zip(columns, said.get("types", "").split(separator), strict=False))
    classify: dict[str, Classify] = {}
    for name, column in columns.items():
        present = column.set(column == said["unset_field"], None)
        columns[name] = present
        if (how := _classifier(kinds.get(name, "string"), present, said)) is not None:
            classify[name] = how
    rows.take(_reading(said["path"]), places[good], columns, classify)


def _reading(path: str) -> Reading:
    return Reading(
        format="zeek",
        name="zeek",
        version="",
        layout="zeek",
        time=TimePick((("ts",),), TimeSpec(("epoch", "iso"), "UTC")),
        facts={"channel": Pick(constant=path)},
        numbers=frozenset(),
        absent=frozenset(),
        own={},
    )


def _classifier(type_: str, column: pl.Series, said: Header) -> Classify | None:
    """Return what tells the cells of a column, or None where they are texts as they stand."""
    if type_ in _INTEGERS or type_ in _FLOATS or type_ == "bool":
        return partial(_scalar, type_)
    if match := _CONTAINER.fullmatch(type_):
        return partial(_list, match[1].split(",")[0], said["set_separator"], said["empty_field"], said["unset_field"])
    odd = column.str.contains("\\x", literal=True).any() or (column == said["empty_field"]).any()
    return partial(_text, said["empty_field"]) if odd else None


def _scalar(type_: str, text: str) -> tuple[str, str]:
    if type_ in _INTEGERS:
        return ("i" if _INTEGER.fullmatch(text) else "s"), text
    if type_ in _FLOATS:
        number = _float(text)
        return ("s", text) if number is None else ("f", repr(number))
    return ("b", {"T": "true", "F": "false"}[text]) if text in ("T", "F") else ("s", text)


def _float(text: str) -> float | None:
    try:
        return float(text) if len(text) <= _MOST_DIGITS else None
    except ValueError:
        return None


def _text(empty: str, text: str) -> tuple[str, str]:
    return "s", "" if text == empty else _unescaped(text)


def _list(type_: str, separator: str, empty: str, unset: str, text: str) -> tuple[str, str]:
    items = [] if text == empty else text.split(separator or ",")
    values: list[Any] = [None if item == unset else _value(type_, item, empty) for item in items]
    return "l", orjson.dumps(values).decode()


def _value(type_: str, text: str, empty: str) -> Any:
    kind, word = _scalar(type_, text) if type_ in _INTEGERS | _FLOATS | {"bool"} else _text(empty, text)
    return orjson.loads(word) if kind in "ifb" else word


def _unescaped(text: str) -> str:
    r"""Return a text with ``\x09`` and its like decoded, where what comes out is text.

    >>> _unescaped(r"a\x09b")
    'a\tb'
    """
    if "\\x" not in text:
        return text
    data = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "surrogatepass"))
    return data.decode("utf-8", "backslashreplace")
