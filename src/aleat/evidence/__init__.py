"""Evidence: what you hold, from files and archives to events with their place, and into the workspace's lake.

`open_sources` walks what the user names and finds the reader for each stream; `read_batches` gives its
events in memory; `ingest` keeps them as segments with custody. Readers are in `readers/`, the seam in
`reader`. This room knows nothing of rules or taxonomies: the source's own field names are what it gives.
"""

from aleat.evidence.batch import FIXED_SCHEMA, KINDS, EventBatch, field_column, split_column
from aleat.evidence.clock import TIME_NOTES
from aleat.evidence.ingest import IngestProgress, IngestResult, ingest
from aleat.evidence.opener import (
    NOTE_CODES,
    Limits,
    Secrets,
    Source,
    change_limits,
    is_url,
    known_bytes,
    location,
    open_sources,
    shown_url,
)
from aleat.evidence.read import (
    JoinedRead,
    RangeRead,
    can_join,
    read_batches,
    read_joined,
    read_range,
    read_segment,
    segment_id,
    source_ranges,
)
from aleat.evidence.reader import RANGE_BYTES, ByteRange, Reader, ReadOptions
from aleat.evidence.statements import check_encoding, read_options

__all__ = [
    "FIXED_SCHEMA",
    "KINDS",
    "NOTE_CODES",
    "RANGE_BYTES",
    "TIME_NOTES",
    "ByteRange",
    "EventBatch",
    "IngestProgress",
    "IngestResult",
    "JoinedRead",
    "Limits",
    "RangeRead",
    "ReadOptions",
    "Reader",
    "Secrets",
    "Source",
    "can_join",
    "change_limits",
    "check_encoding",
    "field_column",
    "ingest",
    "is_url",
    "known_bytes",
    "location",
    "open_sources",
    "read_batches",
    "read_joined",
    "read_options",
    "read_range",
    "read_segment",
    "segment_id",
    "shown_url",
    "source_ranges",
    "split_column",
]
