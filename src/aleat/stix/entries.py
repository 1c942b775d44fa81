"""The rows of an indicator list: one Arrow table beside its one STIX object, bound to it by a digest.

=========  ==================  ===========================================================================
column     type                what
=========  ==================  ===========================================================================
type       string, dictionary  what the value is: `ENTRY_TYPES`
value      string              the value, refanged and trimmed; hashes and domains in lower case
context    string              the other columns of its line: ``column: cell; …``, a lone comment as it stands
line       int64               where it first stood (from 1), or null
count      int64               how often it stood in the list (duplicates are one row)
=========  ==================  ===========================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["ENTRY_SCHEMA", "ENTRY_TYPES", "empty_entries", "entries_digest", "entries_of"]

_CHUNK = 1 << 20

ENTRY_TYPES = (
    "ipv4-addr",
    "ipv6-addr",
    "domain-name",
    "url",
    "email-addr",
    "file:hashes",
    "file:name",
    "file:path",
    "vulnerability",
    "windows-registry-key",
    "regex",
    "text",
    "mac-addr",
    "autonomous-system",
    "tls-fingerprint",
    "cryptocurrency-address",
    "file:ssdeep",
)
"""The head of a STIX object path, `file` told apart by its property. Networks (``10.0.0.0/8``) are addresses, the
algorithm of a hash is known by its length; `regex` and `text` are looked for in any text. A `tls-fingerprint` is of
JA3, JA3S or JA4."""

ENTRY_SCHEMA = pa.schema(
    [
        pa.field("type", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("count", pa.int64(), nullable=False),
    ]
)


def empty_entries() -> pa.Table:
    """Return a table of entries without rows."""
    return ENTRY_SCHEMA.empty_table()


def entries_of(rows: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Return a table of entries of these (type, value, context), which came without lines and counts of their own."""
    columns: dict[str, list[Any]] = {
        **{name: [row[at] for row in rows] for at, name in enumerate(("type", "value", "context"))},
        "line": [None] * len(rows),
        "count": [1] * len(rows),
    }
    return pa.table({name: pa.array(values, ENTRY_SCHEMA.field(name).type) for name, values in columns.items()})


def entries_digest(entries: pa.Table) -> str:
    """Return the SHA-256 (hex) of what a list says: its types, values and contexts, in order.

    Hashed are, for each of the three columns: the lengths of its texts (UTF-8 bytes, 64-bit little-endian),
    then the texts. Lines and counts don't take part.

    >>> entries_digest(empty_entries())[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    for name in ("type", "value", "context"):
        column = entries.column(name)
        for texts in _texts(column):
            digest.update(np.diff(texts[0]).astype("<i8").tobytes())
        for offsets, data in _texts(column):
            digest.update(data[int(offsets[0]) : int(offsets[-1])])
    return digest.hexdigest()


def _texts(column: pa.ChunkedArray) -> Iterator[tuple[np.ndarray[Any, np.dtype[Any]], memoryview]]:
    """Yield the offsets of a column's texts and the bytes that they point into, chunk by chunk: nothing is joined."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), _CHUNK):
            part = chunk.slice(start, _CHUNK)
            if pa.types.is_dictionary(part.type):
                part = part.dictionary_decode()
            large = pa.types.is_large_string(part.type)
            texts = part if large or pa.types.is_string(part.type) else part.cast(pa.large_string())
            _, offset_buffer, data = texts.buffers()
            width = "<i8" if large or texts.type == pa.large_string() else "<i4"
            offsets = np.frombuffer(offset_buffer, dtype=width)[texts.offset : texts.offset + len(texts) + 1]
            yield offsets, memoryview(data if data is not None else b"")
