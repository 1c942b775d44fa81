"""The text of an indicator list as a table: lines, cells, a header where there is one. No meaning yet.

Two shapes: a *table* (nearly every line has the same delimiter: comma, semicolon or tab; quotes as in RFC 4180
where it has a header or is called .csv or .tsv), and *lines* (one value a line, perhaps with ``;comment``).
Lines that are empty or begin with ``#`` or ``//`` are comments.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice, zip_longest

import polars as pl

__all__ = ["Column", "ListTable", "column_role", "parse_table"]

_SNIFFED = 200  # lines looked at to tell the shape
_QUOTE_FAULTS = 100  # after so many, quotes are no quotes in this file
_DELIMITERS = ("\t", ";", ",")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name as written, its cells (trimmed, "" where absent), and what it holds.

    `role` is "value", "type", "marking", "context", or one of `ENTRY_TYPES` for a column of such values.
    """

    name: str
    cells: pl.Series
    role: str


@dataclass(frozen=True, slots=True)
class ListTable:
    """A list's columns and the line (from 1) of each row; `cut` are lines that could not be split."""

    columns: tuple[Column, ...]
    lines: pl.Series
    header: bool
    cut: tuple[int, ...] = ()


def parse_table(text: str, suffix: str, *, line_characters: int) -> ListTable:
    """Return the table that `text` is; lines longer than `line_characters` are left out and named in `cut`."""
    lines = pl.Series("line", text.split("\n"), dtype=pl.String).str.strip_chars("\r\ufeff")
    frame = pl.DataFrame({"number": pl.int_range(1, len(lines) + 1, eager=True), "text": lines})
    stripped = pl.col("text").str.strip_chars()
    frame = frame.filter((stripped != "") & ~stripped.str.starts_with("#") & ~stripped.str.starts_with("//"))
    long = frame.filter(pl.col("text").str.len_chars() > line_characters)["number"].to_list()
    if long:
        frame = frame.filter(pl.col("text").str.len_chars() <= line_characters)
    sample = frame["text"].head(_SNIFFED).to_list()
    delimiter = _delimiter(sample, suffix)
    if delimiter is None:
        return _lines(frame, tuple(long))
    csv.field_size_limit(line_characters)  # of the whole process, so it is set before each use
    header = _header(sample[0], delimiter) if sample else None
    if header is None and suffix not in {".csv", ".tsv"}:
        return _split_lines(frame, delimiter, tuple(long))
    return _rows(frame, delimiter, header, tuple(long))


def column_role(name: str) -> str:
    """Return what a column of that name holds; see `Column.role`.

    >>> column_role("SHA-256"), column_role("Indicator"), column_role("First seen")
    ('file:hashes', 'value', 'context')
    """
    return _roles().get(_plain(name), "context")


def _delimiter(sample: Sequence[str], suffix: str) -> str | None:
    """Return what separates the cells, or None where each line is one value."""
    for delimiter in _DELIMITERS:
        if sample and 10 * sum(delimiter in line for line in sample) >= 8 * len(sample):
            return delimiter
    if suffix in {".csv", ".tsv"} and any("," in line for line in sample):
        return ","
    return None


def _header(line: str, delimiter: str) -> list[str] | None:
    """Return the names in a first line that is a header: one of its cells says what a column holds."""
    try:
        names = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    except csv.Error:
        return None
    known = [column_role(name) for name in names]
    return names if any(role not in {"context", "type"} for role in known) else None


def _lines(frame: pl.DataFrame, cut: tuple[int, ...]) -> ListTable:
    """One value a line; a header of one word (``domain``) counts; ``;`` parts a comment off."""
    first = str(frame["text"][0]).strip() if len(frame) else ""
    role = column_role(first)
    header = role not in {"context", "type", "marking"}
    if header:
        frame = frame.slice(1)
    parts = frame["text"].str.splitn(";", 2).struct.unnest()
    columns = (
        Column(first if header else "value", _trim(parts["field_0"]), role if header else "value"),
        Column("comment", _trim(parts["field_1"]), "context"),
    )
    return ListTable(columns, frame["number"], header, cut)


def _split_lines(frame: pl.DataFrame, delimiter: str, cut: tuple[int, ...]) -> ListTable:
    """A table without a header and without quotes: the first column has the values, the rest is its comment."""
    parts = frame["text"].str.splitn(delimiter, 2).struct.unnest()
    columns = (
        Column("value", _trim(parts["field_0"]), "value"),
        Column("comment", _trim(parts["field_1"]), "context"),
    )
    return ListTable(columns, frame["number"], False, cut)


def _rows(frame: pl.DataFrame, delimiter: str, header: list[str] | None, cut: tuple[int, ...]) -> ListTable:
    """A table with quotes: rows may span lines; each has the number of the line on which it begins."""
    if header is not None:
        frame = frame.slice(1)
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, row in _read_rows(frame, delimiter):
        numbers.append(number)
        rows.append(row)
    width = max(map(len, rows), default=0)
    named = header is not None
    if header is None:
        header = ["value", "comment"] if width <= 2 else [f"column {number + 1}" for number in range(width)]
    names = [*header, *(f"column {number + 1}" for number in range(len(header), width))]
    cells = list(zip_longest(*rows, fillvalue="")) or [()] * len(names)
    cells += [("",) * len(rows)] * (len(names) - len(cells))
    columns = tuple(
        Column(name, _trim(pl.Series(name, column, dtype=pl.String)), column_role(name))
        for name, column in zip(names, cells, strict=True)
    )
    return ListTable(columns, pl.Series("number", numbers, dtype=pl.Int64), named, cut)


def _read_rows(frame: pl.DataFrame, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells); a line whose quotes don't fit is split without them, and costs only itself."""
    numbers, lines = frame["number"].to_list(), frame["text"].to_list()
    position, faults = 0, 0
    while position < len(lines):
        begin = position
        rest = (f"{line}\n" for line in islice(lines, begin, None))
        reader = csv.reader(rest, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            while faults <= _QUOTE_FAULTS:
                row = next(reader)
                yield numbers[position], row
                position = begin + reader.line_num
        except StopIteration:
            return
        except csv.Error:
            faults += 1
        yield numbers[position], lines[position].replace('"', "").split(delimiter)
        position += 1


def _trim(cells: pl.Series) -> pl.Series:
    return cells.fill_null("").str.strip_chars()


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character not in " -_\"'")


@cache
def _roles() -> dict[str, str]:
    table = tomllib.loads(files("aleat.knowledge").joinpath("list_columns.toml").read_text(encoding="utf-8"))
    roles = {word: role for role in ("value", "type", "marking") for word in table[role]}
    return roles | {word: kind for kind, words in table["types"].items() for word in words}
