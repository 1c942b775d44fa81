"""Samples of formats: what the files in `samples` hold, and what comes out of them."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aleat.errors import Issue
from aleat.evidence.batch import EventBatch
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.opener import Source
from aleat.evidence.read import read_range
from aleat.evidence.reader import ReadOptions, _readers, reader_named
from aleat.evidence.years import find_years, with_years, yearless_formats

SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """One sample file and what is expected of it."""

    path: Path
    expected: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.relative_to(SAMPLES).as_posix()

    @property
    def format(self) -> str:
        return self.path.name.partition("--")[0]

    @property
    def options(self) -> ReadOptions:
        return ReadOptions(**self.expected.get("options", {}))


@dataclass
class Read:
    """What a sample gave."""

    readers: list[str]
    batches: list[EventBatch] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Events in order: fixed columns, format, channel, and `fields` as {name: (kind, text)}."""
        out: list[dict[str, Any]] = []
        for batch in self.batches:
            for row in batch.table.to_pylist():
                event: dict[str, Any] = {"format": batch.format, "channel": batch.channel, "fields": {}}
                for name, value in row.items():
                    column, bar, kind = name.rpartition("|")
                    if not bar:
                        event[name] = value + batch.record_base if name == "record" else value
                    elif value is not None:
                        assert column not in event["fields"], "two kinds of one field in one event"
                        event["fields"][column] = (kind, value)
                out.append(event)
        return sorted(out, key=lambda event: int(event["record"]))


@lru_cache(maxsize=1)
def all_samples() -> tuple[Sample, ...]:
    """Return all samples, sorted by name."""
    said = sorted(SAMPLES.rglob("*--*.toml"))
    return tuple(Sample(path.with_suffix(""), tomllib.loads(path.read_text("utf-8"))) for path in said)


def read_sample(sample: Sample, range_bytes: int | None = None) -> Read:
    """Detect, cut and read a sample."""
    return read_data(sample.path.read_bytes(), sample.path.name, sample.options, sample.path, range_bytes)


def read_data(data: bytes, name: str, options: ReadOptions, file: Path, range_bytes: int | None = None) -> Read:
    """Detect, cut and read bytes; ranges must join to what they were cut from."""
    head = Head(data[:HEAD_BYTES], name)
    read = Read([reader.name for reader in _readers() if reader.detect(head)])
    if not read.readers:
        return read
    if range_bytes is not None:
        options = replace(options, range_bytes=range_bytes)
    reader = reader_named(read.readers[0])
    source = Source(name, file, (), reader.name, len(data), options)
    base, joined = 0, b""
    ranges = reader.cut(io.BytesIO(data), data[:HEAD_BYTES], options)
    years = find_years(io.BytesIO(data), data[:HEAD_BYTES], yearless_formats(reader), name, None, options)
    for span, piece in ranges if years is None else with_years(ranges, years):
        assert (span.start, span.end) == (len(joined), len(joined) + len(piece))
        joined += piece
        part = read_range(source, span, piece, record_base=base)
        read.batches.extend(part.batches)
        read.issues.extend(part.issues)
        base += part.events
    assert joined == data
    return read
