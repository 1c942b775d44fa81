"""The digest that copies of one event share.

One event often lies in evidence several times: collected twice, forwarded and local, as EVTX and as its JSON
export. `event_digest` is equal for such copies, so that a case can fold them (a hunt never does):

- where the log gives its records an id: over host, log, that id, and the time to the millisecond (exports cut
  the last digits of a time, and a cleared log counts its ids anew: the time tells those apart);
- else over host, log, time and all source fields, by their canonical text: a number that an export wrote as a
  string is the same number, and what a tool rendered (``RenderingInfo``) is none of the event's own. Two identical
  lines of a web log within its clock's resolution can't be told apart.

Hosts, logs and field names are compared without case. The digest is a name for an event, not a seal: what is
sealed is the segment that holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from aleat.evidence.batch import EventBatch, split_column

__all__ = ["cell_text", "event_digest", "event_digests"]

_DIGEST_BYTES = 16
_RENDERED = "renderinginfo."
"""What Windows' tools add to an event when they write it out: its message and names in the reader's language."""
_MICROSECONDS = 1000


def event_digest(
    *,
    host: str,
    format: str,
    channel: str,
    record_id: int | None,
    time: int | None,
    fields: Mapping[str, Any],
) -> str:
    """Return the digest (32 hexadecimal digits) of one event.

    `time` is microseconds since 1970, `format` and `channel` are the batch's; `fields` are the source's own
    names with their cells, typed or as canonical text, and may be empty where there is a `record_id`.

    >>> one = event_digest(host="PC1", format="windows", channel="Security", record_id=7, time=1_500, fields={})
    >>> two = event_digest(host="pc1", format="windows", channel="security", record_id=7, time=1_000, fields={})
    >>> one == two
    True
    """
    parts = [host.casefold(), format, channel.casefold(), "" if time is None else str(time // _MICROSECONDS)]
    if record_id is not None:
        parts.append(str(record_id))
    else:
        parts.append("")
        for name, cell in sorted((name.casefold(), cell_text(cell)) for name, cell in fields.items()):
            if not name.startswith(_RENDERED):
                parts += (name, cell)
    return _digest(parts)


def event_digests(batch: EventBatch) -> list[str]:
    """Return the digest of each event of `batch`, in its order."""
    table = batch.table
    hosts, times, ids = table["host"].to_pylist(), _microseconds(batch), table["record_id"].to_pylist()
    rows: list[dict[str, str]] = [{} for _ in ids]
    if None in ids:
        for column in table.column_names:
            split = split_column(column)
            if split is not None:
                for row, text in zip(rows, table[column].to_pylist(), strict=True):
                    if text is not None:
                        row[split[0]] = text
    return [
        event_digest(
            host=host or "", format=batch.format, channel=batch.channel, record_id=identifier, time=time, fields=row
        )
        for host, time, identifier, row in zip(hosts, times, ids, rows, strict=True)
    ]


def cell_text(cell: Any) -> str:
    """Return the canonical text (see `aleat.evidence.batch`) of a typed cell; a string is its own."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return repr(cell)
    try:
        return orjson.dumps(cell, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits, a lone surrogate
        return json.dumps(cell, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _microseconds(batch: EventBatch) -> list[int | None]:
    values: list[int | None] = batch.table["time"].cast("int64").to_pylist()
    return values


def _digest(parts: list[str]) -> str:
    # Each part goes in with its length: no two lists of parts share their bytes.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
