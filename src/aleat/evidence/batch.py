"""The shape in which recorded events pass from evidence to the hunt: Arrow tables with typed cell columns.

A table holds *fixed columns* (no ``|`` in the name) and *field columns*, one for each (field, kind), named
``<the source's own field name>|<kind>``. Every field column is a dictionary of strings that holds the cell's
canonical text; the kind says what the source wrote:

====  =========  ==========================================================================
kind  cell       text in the column
====  =========  ==========================================================================
s     string     the string itself
i     integer    decimal, no leading zeros or plus sign
f     float      shortest text that reads back as the same float (`repr`); integral floats keep ``.0``
b     boolean    ``true`` or ``false``
n     null       the empty string (the cell is there, and is null)
l     list       JSON of the list, compact, keys sorted (nested objects are flattened before, see below)
====  =========  ==========================================================================

An Arrow null in every one of a field's columns means that the field is *absent* from that event. A field has
at most one kind in one event. Nested objects are flattened with dots (``userIdentity.type``); lists stay lists.

The fixed columns are `FIXED_SCHEMA`. `evidence` and the record's base are not in a segment (its bytes must
not depend on where the file lay): they are in `EventBatch`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["FIXED_SCHEMA", "KINDS", "EventBatch", "field_column", "split_column"]

KINDS = "sifbnl"

_WORD = pa.dictionary(pa.int32(), pa.string())

FIXED_SCHEMA = pa.schema(
    [
        pa.field("time", pa.timestamp("us", tz="UTC")),  # null where the record has none
        pa.field("time_text", pa.string()),  # as read
        pa.field("host", _WORD),
        pa.field("record", pa.int64(), nullable=False),  # ordinal in the segment, from 0
        pa.field("offset", pa.int64(), nullable=False),  # byte, in the innermost decompressed stream
        pa.field("record_id", pa.int64()),  # the log's own record id
        pa.field("provider", _WORD),
        pa.field("event_id", _WORD),  # decimal text where the log has one
    ]
)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one segment that share one format and one channel.

    `format` is the log format ("windows", "iis", "access", …: EVTX and its JSON forms are both "windows");
    `channel` the log within it ("Security", "Microsoft-Windows-Sysmon/Operational"; "" where there is none).
    `evidence` is the path as given (archive members: ``a.zip!member``), `segment` the segment's id,
    `record_base` is added to the column `record` to make the ordinal unique in the source.
    """

    evidence: str
    segment: str
    record_base: int
    format: str
    channel: str
    table: pa.Table


def field_column(name: str, kind: str) -> str:
    """Return the column that holds cells of `kind` for the source's field `name`."""
    return f"{name}|{kind}"


def split_column(column: str) -> tuple[str, str] | None:
    """Return (field, kind) of a field column, or None for a fixed column."""
    name, bar, kind = column.rpartition("|")
    return (name, kind) if bar else None
