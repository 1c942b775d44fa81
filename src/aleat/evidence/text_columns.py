"""Events of text logs, column by column: lines as a polars series, fields by Rust expressions, Arrow tables out.

No Python code runs for a single line or cell: a pattern's groups come out of `str.extract_groups` (linear in the
text, whatever it holds), and a column becomes an Arrow dictionary whose distinct words alone are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from aleat.evidence.batch import FIXED_SCHEMA
from aleat.evidence.clock import ReadTimes, read_times, time_issues
from aleat.evidence.columns import free_name
from aleat.evidence.described import Pick, Reading
from aleat.evidence.reader import ByteRange, RangeResult, ReadOptions
from aleat.evidence.text import numbered_lines
from aleat.evidence.years import years_at

__all__ = ["FACT", "ColumnTables", "Lines", "Rows", "extract", "first_of", "named", "split_columns"]

_WORD = pa.dictionary(pa.int32(), pa.string())
_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"

Micros = npt.NDArray[np.int64]

Classify = Callable[[str], tuple[str, str] | None]
"""From one distinct word to (kind, canonical text) of its cell, or None where it says that there is none."""


@dataclass(slots=True)
class Lines:
    """Lines of a range: their texts without line ends, where they begin in the stream, their numbers in the range."""

    texts: pl.Series
    offsets: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: bytes, span: ByteRange, skip: int, options: ReadOptions, result: RangeResult) -> Lines:
        """Split and decode a range; blank lines are left out."""
        lines = cls._plain(data, span, skip) if options.encoding is None else None
        if lines is None:
            found = list(numbered_lines(data, span, skip, options.encoding, result.encodings))
            offsets, numbers, texts = zip(*found, strict=True) if found else ((), (), ())
            lines = cls(pl.Series(texts, dtype=pl.String), np.array(offsets, np.int64), np.array(numbers, np.int64))
        if b"\r" in data:
            lines.texts = lines.texts.str.strip_chars_end("\r")
        filled = lines.texts.str.contains(r"\S").to_numpy()
        return lines if filled.all() else lines.where(filled)

    @classmethod
    def _plain(cls, data: bytes, span: ByteRange, skip: int) -> Lines | None:
        """Split UTF-8 without a step for each line; None where the bytes are something else."""
        if span.context["encoding"] != "utf-8":
            return None
        try:
            text = data[skip:].decode("utf-8")
        except UnicodeDecodeError:
            return None
        ends = np.flatnonzero(np.frombuffer(data[skip:], np.uint8) == _FEED)
        offsets = np.concatenate([[0], ends + 1]) + (span.start + skip)
        texts = pl.Series([text], dtype=pl.String).str.split("\n").explode()
        return cls(texts, offsets, np.arange(len(offsets)))

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, start: int, end: int) -> Lines:
        """Return the lines from the one at `start` to the one before `end`."""
        return Lines(self.texts[start:end], self.offsets[start:end], self.numbers[start:end])

    def where(self, mask: npt.NDArray[np.bool_]) -> Lines:
        """Return the lines for which `mask` holds."""
        return Lines(self.texts.filter(pl.Series(mask)), self.offsets[mask], self.numbers[mask])


STATED = "<stated>"
"""Among the fields of a host: here the host counts that was stated for the source (else behind all fields)."""

_FEED = 0x0A
FACT = "fact_"
"""Groups whose names begin so are no fields."""


def extract(texts: pl.Series, pattern: str) -> tuple[npt.NDArray[np.bool_], dict[str, pl.Series]]:
    """Return which texts match, and for those the named groups (null where a group took no part)."""
    groups = texts.str.extract_groups(pattern).struct.unnest()
    matched = np.zeros(len(texts), np.bool_)
    for name in groups.columns:
        matched |= groups[name].is_not_null().to_numpy()
    mask = pl.Series(matched)
    return matched, {name: groups[name].filter(mask) for name in groups.columns}


def split_columns(
    texts: pl.Series, names: Sequence[str], separator: str
) -> tuple[dict[str, pl.Series], npt.NDArray[np.bool_]]:
    """Return the columns of the texts that have one value for each of `names`, and which texts those are."""
    width = len(names)
    if not width:
        return {}, np.zeros(len(texts), np.bool_)
    good = (texts.str.count_matches(separator, literal=True) == width - 1).to_numpy()
    if not good.all() and separator == " ":  # blanks that were doubled
        texts = texts.str.strip_chars().str.replace_all(" +", " ")
        good = (texts.str.count_matches(" ", literal=True) == width - 1).to_numpy()
    split = texts.filter(pl.Series(good)).str.split_exact(separator, width - 1).struct.unnest()
    return named(names, [split[name] for name in split.columns]), good


def named(names: Sequence[str], columns: Sequence[pl.Series]) -> dict[str, pl.Series]:
    """Return columns by their names; the second of one name is kept beside the first."""
    fields: dict[str, pl.Series] = {}
    for name, column in zip(names, columns, strict=True):
        fields[free_name(name, fields)] = column
    return fields


@dataclass(slots=True)
class Rows:
    """Events on their way to a table: one value a row in each column (null: absent).

    `times` are there where they had to be read before the rows were parted: times without a year need their order.
    """

    records: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    columns: dict[str, pl.Series] = field(default_factory=dict)
    classify: Mapping[str, Classify] = field(default_factory=dict)
    times: npt.NDArray[np.datetime64] | None = None

    def where(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """Return the rows for which `mask` holds."""
        chosen = pl.Series(mask)
        columns = {name: column.filter(chosen) for name, column in self.columns.items()}
        times = None if self.times is None else self.times[mask]
        return Rows(self.records[mask], self.offsets[mask], columns, self.classify, times)


def first_of(pick: Pick, columns: Mapping[str, pl.Series], count: int) -> pl.Series:
    """Return a fact's text for each row: the first field that is there and says something, else the constant."""
    found = pl.Series([None], dtype=pl.String).new_from_index(0, count)
    for name in pick.fields:
        if name in columns:
            column = columns[name]
            found = found.zip_with(found.is_not_null(), column.set(column.is_in(["", "-"]), None))
    return found.fill_null(pick.constant) if pick.constant is not None else found


class ColumnTables:
    """Collects rows, and makes one table of each (format, channel)."""

    def __init__(self, path: str, span: ByteRange, options: ReadOptions, result: RangeResult) -> None:
        self._path = path
        self._span = span
        self._options = options
        self._result = result
        self._parts: dict[tuple[str, str], list[pa.Table]] = {}
        self._read: dict[str, list[ReadTimes]] = {}

    def add(self, reading: Reading, rows: Rows) -> None:
        """Add rows of one reading: its facts are picked, its time is read, the rest is fields."""
        if len(rows.records) == 0:
            return
        rows = replace(rows, columns=self._present(reading, rows.columns))
        channels = first_of(reading.facts.get("channel", Pick()), rows.columns, len(rows.records)).fill_null("")
        names = channels.unique().to_list()
        if len(names) == 1:
            self._add(reading, names[0], rows)
            return
        for name in sorted(names):
            self._add(reading, name, rows.where((channels == name).to_numpy()))

    def add_table(self, format_: str, channel: str, table: pa.Table) -> None:
        """Add a table whose records are numbered as those of the rows are."""
        if table.num_rows:
            self._parts.setdefault((format_, channel), []).append(table)

    def finish(self) -> None:
        """Put the tables and what is said about their times into the result."""
        for key in sorted(self._parts):
            parts = self._parts[key]
            table = parts[0] if len(parts) == 1 else pa.concat_tables(parts, promote_options="default")
            self._result.tables.append((*key, _in_order(table.unify_dictionaries().combine_chunks())))
        self._parts = {}
        self._result.issues.extend(time_issues(self._path, self._span, self._options, self._read))

    def read_early(
        self, reading: Reading, columns: Mapping[str, pl.Series], offsets: Micros
    ) -> npt.NDArray[np.datetime64]:
        """Read the times of rows in their order, before they are parted."""
        count = len(offsets)
        hosts = self._hosts(reading, columns, count)
        read = self._read_times(reading, _time_texts(reading, columns, count)[0], hosts, offsets)
        return read.times

    def _hosts(self, reading: Reading, columns: Mapping[str, pl.Series], count: int) -> pl.Series:
        pick, stated = reading.facts.get("host", Pick()), self._options.host
        if stated is None:
            return first_of(pick, columns, count)
        fields = pick.fields if STATED in pick.fields else (*pick.fields, STATED)
        column = pl.Series([stated], dtype=pl.String).new_from_index(0, count)
        return first_of(replace(pick, fields=fields), {**columns, STATED: column}, count)

    def _read_times(self, reading: Reading, texts: pl.Series, hosts: pl.Series, offsets: Micros) -> ReadTimes:
        years = years_at(self._span.context, offsets)
        read = read_times(texts, reading.time.spec, self._options, hosts=hosts, year=years)
        self._read.setdefault(reading.format, []).append(read)
        return read

    @staticmethod
    def _present(reading: Reading, columns: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
        if not reading.absent:
            return dict(columns)
        gone = list(reading.absent)
        return {name: column.set(column.is_in(gone), None) for name, column in columns.items()}

    def _add(self, reading: Reading, channel: str, rows: Rows) -> None:
        columns, count = rows.columns, len(rows.records)
        hosts = self._hosts(reading, columns, count)
        texts, used = _time_texts(reading, columns, count)
        times = rows.times if rows.times is not None else self._read_times(reading, texts, hosts, rows.offsets).times
        facts = {name: first_of(reading.facts.get(name, Pick()), columns, count) for name in ("provider", "event_id")}
        record_ids = first_of(reading.facts.get("record_id", Pick()), columns, count).cast(pl.Int64, strict=False)
        arrays: dict[str, pa.Array] = {
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "time_text": _plain(texts),
            "host": encoded(hosts),
            "record": pa.array(rows.records, pa.int64()),
            "offset": pa.array(rows.offsets, pa.int64()),
            "record_id": record_ids.to_arrow().cast(pa.int64()),
            "provider": encoded(facts["provider"]),
            "event_id": encoded(facts["event_id"]),
        }
        fields: dict[str, pa.Array] = {}
        for name, column in columns.items():
            if not name.startswith(FACT):
                column = column.set(used[name], None) if name in used else column  # noqa: PLW2901
                for kind, array in cells(encoded(column), rows.classify.get(name), number=reading.is_number(name)):
                    fields[f"{name}|{kind}"] = array
        schema = [FIXED_SCHEMA.field(name) for name in arrays]
        names = sorted(fields)
        table = pa.Table.from_arrays(
            [*arrays.values(), *(fields[name] for name in names)],
            schema=pa.schema([*schema, *(pa.field(name, _WORD) for name in names)]),
        )
        self._parts.setdefault((reading.format, channel), []).append(table)


def _time_texts(
    reading: Reading, columns: Mapping[str, pl.Series], count: int
) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Return the text of each row's time, and for the fields that it is made of in which rows they are."""
    texts = pl.Series([None], dtype=pl.String).new_from_index(0, count)
    used: dict[str, pl.Series] = {}
    for group in reading.time.groups:
        if all(name in columns for name in group):
            joined = columns[group[0]]
            for name in group[1:]:
                joined = joined + " " + columns[name]
            taken = texts.is_null() & joined.is_not_null()
            texts = texts.zip_with(texts.is_not_null(), joined)
            for name in group:
                used[name] = used[name] | taken if name in used else taken
    return texts, used


def _plain(series: pl.Series) -> pa.Array:
    return series.to_arrow().cast(pa.string())


def encoded(series: pl.Series) -> pa.DictionaryArray:
    """Return texts as a dictionary of their distinct words."""
    return pc.dictionary_encode(series.to_arrow().cast(pa.string())).cast(_WORD)


def cells(
    column: pa.DictionaryArray, classify: Classify | None = None, *, number: bool = False
) -> Iterable[tuple[str, pa.DictionaryArray]]:
    """Yield (kind, column) of a field's cells: texts, integers where `number` holds, or what `classify` says."""
    words = column.dictionary
    if len(words) == 0:
        return
    if classify is None:
        if not number:
            yield "s", column
            return
        whole = pc.match_substring_regex(words, _INTEGER).to_numpy(zero_copy_only=False)
        if whole.all():
            yield "i", column
        elif not whole.any():
            yield "s", column
        else:
            yield "i", _only(column, whole, words)
            yield "s", _only(column, ~whole, words)
        return
    judged = [classify(word) for word in words.to_pylist()]
    texts = pa.array([item[1] if item else "" for item in judged], pa.string())
    for kind in sorted({item[0] for item in judged if item}):
        yield kind, _only(column, np.array([item is not None and item[0] == kind for item in judged]), texts)


def _only(column: pa.DictionaryArray, chosen: npt.NDArray[np.bool_], words: pa.Array) -> pa.DictionaryArray:
    """Return the column with the chosen words only, by their canonical texts; two words may have one."""
    kept = pc.dictionary_encode(words.filter(pa.array(chosen)))
    places = np.full(len(chosen) + 1, -1, np.int32)
    places[:-1][chosen] = kept.indices.to_numpy(zero_copy_only=False)
    codes = places[column.indices.fill_null(len(chosen)).to_numpy(zero_copy_only=False)]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), kept.dictionary, safe=False)


def _in_order(table: pa.Table) -> pa.Table:
    """Return the table with its rows by record and its fields by name."""
    records = table.column("record").to_numpy()
    if not np.all(records[:-1] < records[1:]):
        table = table.take(pa.array(np.argsort(records, kind="stable")))
    fixed = [name for name in table.column_names if "|" not in name]
    ordered: Sequence[str] = [*fixed, *sorted(name for name in table.column_names if "|" in name)]
    return table.select(ordered) if list(ordered) != table.column_names else table
