"""The values of indicator lists as STIX objects, for ways on which only STIX objects travel (TAXII).

A sealed file carries a list's values beside its bundle. Over TAXII they go as notes about the list, each with a part
of the rows (extension "list-rows"): another tool sees a note, ours puts the parts together and holds them against the
digest that the list itself names. What the gate lets leave of a list is decided before; a note says nothing else, and
carries the label that the list leaves under.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from aleat.release import ListRow, strictest_label
from aleat.release.retell import keyed_uuid
from aleat.stix.canonical import canonical_json
from aleat.stix.extensions import extend, read_extension
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import parse_timestamp
from aleat.trust.markings import effective_markings, marking_id

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAX_ROWS", "RowsPart", "read_rows", "rows_table", "tell_rows"]

MAX_ROWS = 200_000
"""Of one list; the values of a longer one go in a sealed file."""

_PART_ROWS = 5_000
_PART_CHARACTERS = 512 * 1024
_MAX_PARTS = 1_000


class RowsPart(msgspec.Struct, frozen=True):
    """A part of a list's values: the list's digest, the ids of the notes with all parts, and this one's rows."""

    entries_sha256: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, str, str], ...]


def tell_rows(
    item: StixObject, rows: Sequence[ListRow], *, label: str | None, recipient: str, maker: str, secret: bytes
) -> list[StixObject]:
    """Return notes with the values of a list for `recipient`; none where it is too long, or would have no label.

    `item` is the list as it leaves, `label` the TLP label under which it does; `maker` is the id of our identity. The
    notes' ids follow from `secret` and all that they say: the same values under the same label are the same objects,
    and tell nothing to who doesn't have them.
    """
    content = read_extension(item, "list") if rows else None
    own = strictest_label(effective_markings(item, lambda _: None)) or label
    if content is None or own is None or len(rows) > MAX_ROWS:
        return []
    parts = list(_parts(rows))
    if len(parts) > _MAX_PARTS:
        return []
    refs = sorted({*item.object_marking_refs, marking_id(f"tlp:{own}")})
    digest = str(content.get("entries_sha256", ""))
    key = canonical_json(["list-rows", recipient, item.id, item.version, refs, digest]).decode()
    ids = [f"note--{keyed_uuid(secret, f'{key}/{number}')}" for number in range(len(parts))]
    found: list[StixObject] = []
    first = 1
    for id_, part in zip(ids, parts, strict=True):
        words = f"Values {first:,} to {first + len(part) - 1:,} of the list. They stand in this note's extension."
        found.append(
            make_object(
                "note",
                id_,
                created=parse_timestamp(item.version),
                created_by_ref=maker,
                markings=refs,
                abstract="Values of an indicator list",
                content=words,
                object_refs=[item.id],
                extensions=extend("list-rows", {"entries_sha256": digest, "parts": ids, "rows": part}),
            )
        )
        first += len(part)
    return found


def _parts(rows: Sequence[ListRow]) -> Iterator[list[ListRow]]:
    """Yield the rows in parts that no client has trouble with."""
    part: list[ListRow] = []
    size = 0
    for row in rows:
        length = sum(map(len, row))
        if part and (len(part) >= _PART_ROWS or size + length > _PART_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    yield part


def read_rows(item: StixObject) -> RowsPart | None:
    """Return the part of a list's values that a note holds; None where it holds none, or none that can be read."""
    if item.type != "note" or (content := read_extension(item, "list-rows")) is None:
        return None
    try:
        part = msgspec.convert(content, RowsPart)
        plain = all(str(uuid.UUID(id_.removeprefix("note--"))) == id_.removeprefix("note--") for id_ in part.parts)
    except (msgspec.ValidationError, ValueError):
        return None
    sound = plain and item.id in part.parts and 0 < len(part.parts) <= _MAX_PARTS
    return part if sound and len(set(part.parts)) == len(part.parts) else None


def rows_table(digest: str, parts: Sequence[str], notes: Mapping[str, StixObject]) -> pa.Table | None:
    """Return the values that `parts` (notes' ids) hold together; None where one isn't there, or is of another list."""
    rows: list[tuple[str, str, str]] = []
    for id_ in parts:
        part = read_rows(notes[id_]) if id_ in notes else None
        if part is None or part.entries_sha256 != digest or list(part.parts) != list(parts):
            return None
        rows += part.rows
        if len(rows) > MAX_ROWS:
            return None
    from aleat.stix.entries import entries_of  # noqa: PLC0415  (pyarrow)

    return entries_of(rows)
