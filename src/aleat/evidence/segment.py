"""One range of a source to one segment file: the part of an ingest that a worker does, alone and repeatably."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from aleat.errors import InputError, Place
from aleat.evidence.clock import refusal
from aleat.evidence.opener import Source
from aleat.evidence.read import encoding_issues, paused_collector
from aleat.evidence.reader import ByteRange, reader_named
from aleat.store.lake import Coverage, SegmentDraft
from aleat.store.lake_files import write_segment_file

__all__ = ["RangeTask", "coverage_of", "write_range"]


@dataclass(frozen=True, slots=True)
class RangeTask:
    """What a worker needs for one segment; `data` is None where it can read the range from the file itself."""

    source: Source
    span: ByteRange
    segment: str
    data_sha256: str
    temporary: str
    data: bytes | None


def write_range(task: RangeTask) -> SegmentDraft:
    """Read a range, write its segment under the temporary name, and return the draft to be committed.

    Raises `InputError` where the file changed since it was hashed or `strict_time` refuses it, `WorkspaceError` where
    the disk refuses.
    """
    data = task.data if task.data is not None else task.source.read_range(task.span.start, task.span.end)
    if hashlib.sha256(data).hexdigest() != task.data_sha256:
        reason = "The file was changed while it was read."
        place = Place(task.source.path, offset=task.span.start)
        raise InputError(reason, place, advice="Add it again when nothing writes to it.")
    reader = reader_named(task.source.reader)
    with paused_collector():
        result = reader.read(data, task.span, task.source.path, task.source.options)
    if (refused := refusal((*task.span.notes, *result.issues), task.source.path, task.source.options)) is not None:
        raise refused
    written = write_segment_file(Path(task.temporary), result.tables)
    return SegmentDraft(
        id=task.segment,
        start=task.span.start,
        end=task.span.end,
        temporary=task.temporary,
        data_sha256=task.data_sha256,
        file_sha256=written.sha256,
        file_size=written.size,
        events=result.events,
        reader=f"{reader.name}/{reader.version}",
        coverage=tuple(row for form, channel, table in result.tables for row in coverage_of(form, channel, table)),
        issues=(*task.span.notes, *result.issues, *encoding_issues(result, task.source.path, task.span)),
        encodings=result.encodings,
    )


def coverage_of(form: str, channel: str, table: pa.Table) -> Iterator[Coverage]:
    """Yield who logged how much from when to when in one table, hosts sorted ("" where a log names none)."""
    host = table.column("host").combine_chunks()
    host = host.chunk(0) if isinstance(host, pa.ChunkedArray) else host
    names = host.dictionary.to_pylist()
    codes = host.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    times = table.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    for code in sorted(set(np.unique(codes).tolist()), key=lambda item: names[item] if item >= 0 else ""):
        inside = codes == code
        seen = times[inside]
        seen = seen[~np.isnan(seen)] if seen.dtype.kind == "f" else seen
        first = int(seen.min()) if len(seen) else None
        last = int(seen.max()) if len(seen) else None
        yield Coverage(names[code] if code >= 0 else "", form, channel, first, last, int(inside.sum()))
