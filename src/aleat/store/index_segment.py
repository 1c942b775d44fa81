"""What one segment gives to the value index; a pure function of its file, done by a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aleat.store.index_part import SKETCH, FieldRow, SegmentValues, is_near_unique, merge_field_rows, write_part
from aleat.store.lake_files import StoredTable, read_segment_file
from aleat.store.list_cells import list_elements
from aleat.store.value_hash import Hashes, fold_texts, hash_texts

__all__ = ["IndexTask", "index_segment", "segment_values"]

_EXAMPLE = 160  # characters


@dataclass(frozen=True, slots=True)
class IndexTask:
    """What a worker needs: the segment's file, its name and hash, and where the part is written."""

    path: str
    segment: str
    file_sha256: str
    target: str


def index_segment(task: IndexTask) -> str:
    """Write the part of one segment, and return its directory's SHA-256 (hex)."""
    return write_part(Path(task.target), segment_values(Path(task.path), task.segment, task.file_sha256))


def segment_values(path: Path, segment: str, file_sha256: str) -> SegmentValues:
    """Return the numbers of all distinct values in a segment's file, and what its columns hold."""
    numbers: dict[str, list[Hashes]] = {}
    events: dict[str, int] = {}
    rows: list[FieldRow] = []
    for table in read_segment_file(path, segment):
        for name, found, row in _columns(table):
            numbers.setdefault(name, []).append(found)
            events[name] = events.get(name, 0) + row.events
            rows.append(row)
    exact: dict[str, Any] = {}
    near: dict[str, Any] = {}
    for name, several in numbers.items():
        distinct = several[0] if len(several) == 1 else np.unique(np.concatenate(several))
        (near if is_near_unique(len(distinct), events[name]) else exact)[name] = distinct
    return SegmentValues(segment, file_sha256, exact, near, tuple(merge_field_rows(iter(rows))))


def _columns(stored: StoredTable) -> Iterator[tuple[str, Hashes, FieldRow]]:
    """Yield (column, its distinct values' numbers, its field row) for every column that holds texts."""
    time = stored.table["time"].combine_chunks()
    timed = time.is_valid().to_numpy(zero_copy_only=False)
    times = time.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    for name in stored.table.column_names:
        column = stored.table[name]
        if not pa.types.is_dictionary(column.type) or name in ("format", "channel"):
            continue
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        counts = np.bincount(codes + 1, minlength=len(array.dictionary) + 1)
        present = int(counts[1:].sum())
        if not present:
            continue
        words = array.dictionary
        used = counts[1:] > 0
        if not used.all():
            words = words.filter(pa.array(used))
        numbers = np.unique(hash_texts(fold_texts(words)))
        sketch = numbers[:SKETCH].astype("<u8").tobytes()
        if name.endswith("|l"):
            inside, _ = list_elements(words)
            numbers = np.union1d(numbers, hash_texts(fold_texts(inside)))
        first, last = _span(times, timed if present == len(codes) else timed & (codes >= 0))
        example = array.dictionary[int(codes[np.argmax(codes >= 0)])].as_py()[:_EXAMPLE]
        yield name, numbers, FieldRow(stored.format, stored.channel, name, present, first, last, example, sketch)


def _span(times: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]) -> tuple[int | None, int | None]:
    inside = times if wanted.all() else times[wanted]
    return (int(inside.min()), int(inside.max())) if len(inside) else (None, None)
