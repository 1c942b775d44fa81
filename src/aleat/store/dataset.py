"""The lake as an Arrow dataset and as tables: what any tool sees that opens the workspace's folder.

`docs/concepts/lake.md` describes the layout. The dataset adds one column to those in the files, `segment`, by which
rows join with the tables of segments and sources; a segment's file is called by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow.fs import LocalFileSystem

from aleat.store.lake import Lake, ranges, segments
from aleat.store.value_index import ValueIndex

__all__ = ["lake_dataset", "lake_tables"]

_WORD = pa.dictionary(pa.int32(), pa.string())
_FIXED = pa.schema(
    [
        pa.field("segment", pa.string()),
        pa.field("format", _WORD),
        pa.field("channel", _WORD),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("time_text", pa.string()),
        pa.field("host", _WORD),
        pa.field("record", pa.int64()),
        pa.field("offset", pa.int64()),
        pa.field("record_id", pa.int64()),
        pa.field("provider", _WORD),
        pa.field("event_id", _WORD),
    ]
)
_TIME = pa.timestamp("us", tz="UTC")
_SOURCES = pa.schema(
    [
        pa.field("source", pa.int64()),
        pa.field("evidence", pa.string()),
        pa.field("reader", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("same_as", pa.int64()),
        pa.field("events", pa.int64()),
        pa.field("first", _TIME),
        pa.field("last", _TIME),
        pa.field("unreadable_bytes", pa.int64()),
        pa.field("given_by", pa.string()),
        pa.field("added", pa.string()),
        pa.field("actor", pa.string()),
    ]
)
_SEGMENTS = pa.schema(
    [
        pa.field("segment", pa.string()),
        pa.field("source", pa.int64()),
        pa.field("evidence", pa.string()),
        pa.field("record_base", pa.int64()),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("events", pa.int64()),
        pa.field("file_sha256", pa.string()),
        pa.field("file_size", pa.int64()),
    ]
)
_COVERAGE = pa.schema(
    [
        pa.field("host", pa.string()),
        pa.field("format", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("first", _TIME),
        pa.field("last", _TIME),
        pa.field("events", pa.int64()),
    ]
)


def lake_dataset(lake: Lake, index: ValueIndex) -> ds.Dataset:
    """Return all events as one dataset: the fixed columns, `segment`, and every field column there is.

    The columns of segments come from the value index where they are in it, else from their files.
    """
    columns = {name for part in index.parts for name in part.directory.columns if "|" in name}
    for segment, _ in index.missing:
        columns.update(name for name in pq.read_schema(lake.segment_path(segment)).names if "|" in name)
    fields = [pa.field(name, _WORD) for name in sorted(columns)]
    schema = pa.schema([*_FIXED, *fields])
    form, system = ds.ParquetFileFormat(), LocalFileSystem()
    fragments = [
        form.make_fragment(str(lake.segment_path(segment)), system, partition_expression=ds.field("segment") == segment)
        for segment, _ in index.keys
    ]
    return ds.FileSystemDataset(fragments, schema, form, system)


def lake_tables(lake: Lake) -> dict[str, pa.Table]:
    """Return the register of sources, the segments with their places in them, and the coverage, as tables."""
    sources = [
        {
            "source": row.id,
            "evidence": row.facts.path,
            "reader": f"{row.facts.reader} {row.facts.reader_version}",
            "sha256": row.sha256,
            "size": row.size,
            "same_as": row.same_as,
            "events": row.records,
            "first": row.first,
            "last": row.last,
            "unreadable_bytes": row.unreadable_bytes,
            "given_by": row.facts.given_by,
            "added": row.added,
            "actor": row.actor,
        }
        for row in lake.sources()
    ]
    paths = {row["source"]: row["evidence"] for row in sources}
    cells = [
        {name: getattr(row, name) for name in ("host", "format", "channel", "first", "last", "events")}
        for row in lake.coverage()
    ]
    return {
        "sources": pa.Table.from_pylist(sources, schema=_SOURCES),
        "segments": pa.Table.from_pylist(list(_segments(lake, paths)), schema=_SEGMENTS),
        "coverage": pa.Table.from_pylist(cells, schema=_COVERAGE),
    }


def _segments(lake: Lake, paths: Mapping[Any, Any]) -> Iterator[dict[str, object]]:
    query = (
        sa.select(ranges, segments.c.events, segments.c.file_sha256, segments.c.file_size)
        .join(segments, ranges.c.segment == segments.c.id)
        .order_by(ranges.c.source, ranges.c.ordinal)
    )
    with lake.database.read() as connection:
        for row in connection.execute(query):
            yield {
                "segment": row.segment,
                "source": row.source,
                "evidence": paths.get(row.source, ""),
                "record_base": row.record_base,
                "start": row.start,
                "end": row.end,
                "events": row.events,
                "file_sha256": row.file_sha256,
                "file_size": row.file_size,
            }
