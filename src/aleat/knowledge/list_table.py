"""The lines of an indicator list as a table: cells, a header where there is one. No meaning yet.

Two shapes: a *table* (nearly every line has the same delimiter: comma, semicolon or tab; quotes as in RFC 4180
where it has a header or is called .csv or .tsv), and *lines* (one value a line, perhaps with ``;comment``). The
first block of lines decides about the shape; every block is split by whole columns, and only where a row spans
lines, or its quotes don't fit, row by row.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, zip_longest

import polars as pl

__all__ = ["Column", "ListTable", "column_role", "parse_tables"]

_SNIFFED = 200  # lines looked at to tell the shape
_QUOTE_FAULTS = 100  # after so many, quotes are no quotes in this file
_MOST_COLUMNS = 256  # a row of more has the rest in its last
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
    """A block of a list: its columns, and the line (from 1) of each row."""

    columns: tuple[Column, ...]
    lines: pl.Series
    header: bool


def parse_tables(blocks: Iterable[pl.DataFrame], suffix: str, *, line_characters: int) -> Iterator[ListTable]:
    """Yield the table that lines (`number`, `text`) are, block by block; a row has at most `line_characters`."""
    rest = iter(blocks)
    first = next(rest, None)
    if first is None:
        yield _lines_table(pl.DataFrame(schema={"number": pl.Int64, "text": pl.String}), "value", False)
        return
    sample = first["text"].head(_SNIFFED).to_list()
    delimiter = _delimiter(sample, suffix)
    blocks = chain([first], rest)
    if delimiter is None:
        word = sample[0].strip()
        header = column_role(word) not in {"context", "type", "marking"}
        for number, block in enumerate(blocks):
            frame = block.slice(1) if header and not number else block
            yield _lines_table(frame, word if header else "value", header)
        return
    names = _header(sample[0], delimiter)
    if names is None and suffix not in {".csv", ".tsv"}:
        for block in blocks:
            yield _split_lines(block, delimiter)
        return
    rows = _Rows(delimiter, line_characters)
    if names is not None:
        blocks = chain([first.slice(1)], rest)
    given: list[str] = names or []
    for frame in rows.split(blocks):
        width = len(frame.columns) - 1
        if not given:  # the first block's width decides what columns without names are called
            given = ["value", "comment"] if width <= 2 else [f"column {number + 1}" for number in range(width)]
        yield _rows_table(frame, given, header=names is not None)


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


@contextmanager
def _cells_up_to(length: int) -> Iterator[None]:
    """Let `csv` read cells of that length; its limit is the whole process's, and is put back."""
    before = csv.field_size_limit(max(length, 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _header(line: str, delimiter: str) -> list[str] | None:
    """Return the names in a first line that is a header: one of its cells says what a column holds."""
    try:
        with _cells_up_to(len(line)):
            names = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    except csv.Error:
        return None
    known = [column_role(name) for name in names]
    return names[:_MOST_COLUMNS] if any(role not in {"context", "type"} for role in known) else None


def _lines_table(frame: pl.DataFrame, name: str, header: bool) -> ListTable:
    """One value a line; a header of one word (``domain``) counts; ``;`` parts a comment off."""
    values, comments = _parted(frame["text"], ";")
    role = column_role(name) if header else "value"
    columns = (Column(name, values, role), Column("comment", comments, "context"))
    return ListTable(columns, frame["number"], header)


def _split_lines(frame: pl.DataFrame, delimiter: str) -> ListTable:
    """A table without a header and without quotes: the first column has the values, the rest is its comment."""
    values, comments = _parted(frame["text"], delimiter)
    columns = (Column("value", values, "value"), Column("comment", comments, "context"))
    return ListTable(columns, frame["number"], False)


def _parted(text: pl.Series, delimiter: str) -> tuple[pl.Series, pl.Series]:
    """Return what stands before the first delimiter, and what after it."""
    if not text.str.contains(delimiter, literal=True).any():
        return _trim(text), pl.repeat("", len(text), dtype=pl.String, eager=True)
    parts = text.str.splitn(delimiter, 2).struct.unnest()
    return _trim(parts["field_0"]), _trim(parts["field_1"])


def _rows_table(frame: pl.DataFrame, names: Sequence[str], *, header: bool) -> ListTable:
    cells = [frame[column] for column in frame.columns if column != "number"]
    width = len(cells)
    names = [*names, *(f"column {number + 1}" for number in range(len(names), width))]
    cells += [pl.repeat("", len(frame), dtype=pl.String, eager=True)] * (len(names) - width)
    columns = [Column(name, _trim(column), column_role(name)) for name, column in zip(names, cells, strict=True)]
    return ListTable(tuple(columns), frame["number"], header)


class _Rows:
    """Splits lines into cells, with quotes; `_faults` counts lines whose quotes don't fit, in the whole list."""

    def __init__(self, delimiter: str, line_characters: int) -> None:
        self._delimiter = delimiter
        self._longest = line_characters
        self._faults = 0
        mark = "\\t" if delimiter == "\t" else delimiter
        cell = rf' *(?:"(?:[^"]|"")*"|(?:[^" {mark}\r][^{mark}\r]*)?)'
        self._whole = rf"^{cell}(?:{mark}{cell})*$"  # a line that is a row, whatever its quotes

    def split(self, blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield frames of `number` and the cells, one for each block that has rows."""
        pending = iter(blocks)
        block = next(pending, None)
        while block is not None:
            following = next(pending, None)
            quoted = block["text"].str.contains('"', literal=True)
            if self._faults > _QUOTE_FAULTS:
                plain = block["text"].str.replace_all('"', "", literal=True)
                yield self._plain(block["number"], plain)
            elif not quoted.any():
                yield self._plain(block["number"], block["text"])
            elif block["text"].filter(quoted).str.contains(self._whole).all():
                parts = [self._plain(*block.filter(~quoted).get_columns()), self._quoted(block.filter(quoted))]
                yield pl.concat(parts, how="diagonal").sort("number")
            else:
                with _cells_up_to(self._longest):
                    frame, used = self._row_by_row(block, following)
                following = following.slice(used) if following is not None and used else following
                yield frame
            block = following

    def _plain(self, numbers: pl.Series, text: pl.Series) -> pl.DataFrame:
        most = text.str.count_matches(self._delimiter, literal=True).max()
        width = min(most + 1 if isinstance(most, int) else 1, _MOST_COLUMNS)
        cells = text.str.splitn(self._delimiter, width).struct.unnest()
        return pl.DataFrame([numbers.alias("number"), *cells.get_columns()])

    def _quoted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Split lines that are rows, each of them."""
        text = frame["text"]
        if text.str.contains(rf'^"[^"]*"(?:{self._delimiter}"[^"]*")*$').all():
            inner = text.str.slice(1).str.head(-1)
            between = f'"{self._delimiter}"'
            most = inner.str.count_matches(between, literal=True).max()
            width = min(most + 1 if isinstance(most, int) else 1, _MOST_COLUMNS)
            cells = inner.str.splitn(between, width).struct.unnest()
            return pl.DataFrame([frame["number"], *cells.get_columns()])
        with _cells_up_to(self._longest):
            rows = list(csv.reader(text.to_list(), delimiter=self._delimiter, skipinitialspace=True, strict=True))
        return self._frame(frame["number"].to_list(), rows)

    def _row_by_row(self, block: pl.DataFrame, following: pl.DataFrame | None) -> tuple[pl.DataFrame, int]:
        """Split lines of which some are no rows; returns how many of the following ones the last row took."""
        own = len(block)
        both = block if following is None else pl.concat([block, following])
        numbers, lines = both["number"].to_list(), both["text"].to_list()
        found: list[int] = []
        rows: list[list[str]] = []
        position = 0
        while position < own:
            begin = position
            reader = csv.reader(
                (f"{lines[at]}\n" for at in range(begin, len(lines))),
                delimiter=self._delimiter,
                skipinitialspace=True,
                strict=True,
            )
            try:
                while self._faults <= _QUOTE_FAULTS and position < own:
                    row = next(reader)
                    found.append(numbers[position])
                    rows.append(row)
                    position = begin + reader.line_num
                if position >= own:
                    break
            except StopIteration:
                break
            except csv.Error:
                self._faults += 1
            found.append(numbers[position])
            rows.append(lines[position].replace('"', "").split(self._delimiter))
            position += 1
        return self._frame(found, rows), max(position - own, 0)

    def _frame(self, numbers: list[int], rows: list[list[str]]) -> pl.DataFrame:
        long = [number for number, row in enumerate(rows) if len(row) > _MOST_COLUMNS]
        for number in long:
            row = rows[number]
            rows[number] = [*row[: _MOST_COLUMNS - 1], self._delimiter.join(row[_MOST_COLUMNS - 1 :])]
        columns = {
            f"field_{place}": pl.Series(cells, dtype=pl.String)
            for place, cells in enumerate(zip_longest(*rows, fillvalue=""))
        }
        return pl.DataFrame({"number": pl.Series(numbers, dtype=pl.Int64), **columns})


def _trim(cells: pl.Series) -> pl.Series:
    return cells.fill_null("").str.strip_chars()


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character not in " -_\"'")


@cache
def _roles() -> dict[str, str]:
    table = tomllib.loads(files("aleat.knowledge").joinpath("list_columns.toml").read_text(encoding="utf-8"))
    roles = {word: role for role in ("value", "type", "marking") for word in table[role]}
    return roles | {word: kind for kind, words in table["types"].items() for word in words}
