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

import numpy as np
import pyarrow as pa

__all__ = ["ENTRY_SCHEMA", "ENTRY_TYPES", "empty_entries", "entries_digest"]

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
)
"""The head of a STIX object path, `file` told apart by its property. Networks (``10.0.0.0/8``) are addresses, the
algorithm of a hash is known by its length; `regex` and `text` are looked for in any text."""

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


def entries_digest(entries: pa.Table) -> str:
    """Return the SHA-256 (hex) of what a list says: its types, values and contexts, in order.

    Hashed are, for each of the three columns: the lengths of its texts (UTF-8 bytes, 64-bit little-endian),
    then the texts. Lines and counts don't take part.

    >>> entries_digest(empty_entries())[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    for name in ("type", "value", "context"):
        column = entries.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        texts = column.cast(pa.large_binary())
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        if len(texts) == 0:
            continue
        _, offset_buffer, data = texts.buffers()
        offsets = np.frombuffer(offset_buffer, dtype="<i8")[texts.offset : texts.offset + len(texts) + 1]
        digest.update(np.diff(offsets).astype("<i8").tobytes())
        if data is not None:
            digest.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])
    return digest.hexdigest()
