"""Segment files: tables of events in one Parquet file, written so that equal tables give equal bytes.

A row group holds one (format, channel); channels with few rows share one, so that a file has few. All groups
have one schema, the union of their columns; which columns a group really has stands in the file's metadata
under ``aleat``, so that a reader touches no others. Any Parquet tool can read the files: the columns
``format`` and ``channel`` say what the groups hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aleat.errors import WorkspaceError

__all__ = [
    "ColumnFilter",
    "OpenSegment",
    "SegmentFile",
    "StoredTable",
    "hash_file",
    "read_segment_file",
    "write_segment_file",
]

ColumnFilter = Callable[[str], bool]
"""Says whether a field column (``<field>|<kind>``) is wanted; fixed columns always come along."""

SMALL_ROWS = 4096
_FORMAT_VERSION = 1
_WORD = pa.dictionary(pa.int32(), pa.string())
_KEY = b"aleat"


@dataclass(frozen=True, slots=True)
class StoredTable:
    """Events of one segment that share one format and one channel."""

    segment: str
    format: str
    channel: str
    table: pa.Table


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A written file: its SHA-256 (hex) and its length in bytes."""

    sha256: str
    size: int


def write_segment_file(path: Path, tables: Sequence[tuple[str, str, pa.Table]]) -> SegmentFile:
    """Write (format, channel, table) triples to `path` and sync it.

    Raises `WorkspaceError`, and leaves nothing, where the disk refuses.
    """
    try:
        _write(path, tables)
        return SegmentFile(hash_file(path), path.stat().st_size)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        what = error.strerror or type(error).__name__
        advice = "What was committed before stays; make room and run it again."
        raise WorkspaceError(f"{path.parent}: a segment can't be written: {what}. {advice}") from error


def _write(path: Path, tables: Sequence[tuple[str, str, pa.Table]]) -> None:
    groups = _groups(tables)
    schema = _schema(groups)
    described = [
        {
            "parts": [[form, channel, table.num_rows] for form, channel, table in group],
            "columns": sorted({name for _, _, table in group for name in table.column_names}),
        }
        for group in groups
    ]
    meta = orjson.dumps({"version": _FORMAT_VERSION, "groups": described}, option=orjson.OPT_SORT_KEYS)
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with path.open("wb") as file:
        writer = pq.ParquetWriter(
            file,
            schema.with_metadata({_KEY: meta}),
            compression="zstd",
            compression_level=3,
            use_dictionary=words,
            dictionary_pagesize_limit=4 * 1024 * 1024,
            write_statistics=False,
        )
        with writer:
            for group in groups:
                for part in [pa.concat_tables(_widen(*item, schema) for item in group).unify_dictionaries()]:
                    writer.write_table(part.combine_chunks(), row_group_size=max(part.num_rows, 1))
        file.flush()
        os.fsync(file.fileno())


def _groups(tables: Sequence[tuple[str, str, pa.Table]]) -> list[list[tuple[str, str, pa.Table]]]:
    filled = [item for item in tables if item[2].num_rows]
    large = [[item] for item in filled if item[2].num_rows >= SMALL_ROWS]
    small = [item for item in filled if item[2].num_rows < SMALL_ROWS]
    return large + ([small] if small else [])


def _schema(groups: list[list[tuple[str, str, pa.Table]]]) -> pa.Schema:
    fields: dict[str, pa.Field] = {"format": pa.field("format", _WORD), "channel": pa.field("channel", _WORD)}
    ordered: dict[str, pa.Field] = {}
    for group in groups:
        for _, _, table in group:
            for field in table.schema:
                if "|" in field.name:
                    ordered.setdefault(field.name, field)
                else:
                    fields.setdefault(field.name, field)
    return pa.schema([*fields.values(), *(ordered[name] for name in sorted(ordered))])


def _widen(form: str, channel: str, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `table` with every column of `schema`."""
    rows = table.num_rows
    have = set(table.column_names)
    arrays = []
    for field in schema:
        if field.name in ("format", "channel"):
            text = form if field.name == "format" else channel
            codes = pa.array([0], pa.int32()).take(pa.nulls(rows, pa.int32()).fill_null(0))
            arrays.append(pa.DictionaryArray.from_arrays(codes, pa.array([text], pa.string())))
        elif field.name in have:
            arrays.append(table.column(field.name))
        else:
            arrays.append(pa.nulls(rows, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def read_segment_file(path: Path, segment: str, wanted: ColumnFilter | None = None) -> Iterator[StoredTable]:
    """Yield the tables of a segment file, with the fixed columns and those field columns that are `wanted`."""
    with pq.ParquetFile(path, memory_map=False) as file:
        described = orjson.loads(file.schema_arrow.metadata[_KEY])["groups"]
        for number, group in enumerate(described):
            names = [name for name in group["columns"] if "|" not in name or wanted is None or wanted(name)]
            table = file.read_row_group(number, columns=_in_order(file.schema_arrow, names), use_threads=False)
            table = table.replace_schema_metadata(None)
            start = 0
            for form, channel, rows in group["parts"]:
                part = table.slice(start, rows)
                start += rows
                yield StoredTable(segment, form, channel, part if len(group["parts"]) == 1 else _narrow(part))


class OpenSegment:
    """An open segment file, row group by row group: for those who want few columns, and few rows of all."""

    def __init__(self, path: Path, segment: str) -> None:
        self._segment = segment
        self._file = pq.ParquetFile(path, memory_map=False)
        self._groups = orjson.loads(self._file.schema_arrow.metadata[_KEY])["groups"]
        self.columns: tuple[frozenset[str], ...] = tuple(frozenset(group["columns"]) for group in self._groups)
        """For each row group the columns that it has."""

    def __enter__(self) -> OpenSegment:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, group: int, wanted: Collection[str] | None = None) -> list[StoredTable]:
        """Return a row group's tables with the columns that are wanted and there (None: all of them)."""
        described = self._groups[group]
        names = [name for name in described["columns"] if wanted is None or name in wanted]
        table = self._file.read_row_group(group, columns=_in_order(self._file.schema_arrow, names), use_threads=False)
        table = table.replace_schema_metadata(None)
        found, start = [], 0
        for form, channel, rows in described["parts"]:
            found.append(StoredTable(self._segment, form, channel, table.slice(start, rows)))
            start += rows
        return found


def _in_order(schema: pa.Schema, names: Iterable[str]) -> list[str]:
    wanted = set(names)
    return [name for name in schema.names if name in wanted]


def _narrow(table: pa.Table) -> pa.Table:
    """Drop the field columns that hold nothing here, and the words that don't occur here."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if "|" in name and column.null_count == len(column):
            continue
        if pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column.cast(pa.string()))
        columns[name] = column
    return pa.table(columns)


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's hash (hex) by an algorithm as `hashlib` calls it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
