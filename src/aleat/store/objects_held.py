"""Objects as the gate asks for them: the version that counts, and who gave it; thousands at a time, in storage's order.

Where and when a copy came doesn't count there and isn't read, which makes this several times as fast as
`aleat.store.objects`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from aleat.stix.objects import restore_object
from aleat.store.object_tables import Provenance, StoredObject, copies, facts, objects, packs, traits
from aleat.store.objects_counting import contents_by_id

__all__ = ["HeldObject", "iterate_held"]

_CHUNK = 400
_PACKS = 200  # of some 16 KiB, read at once
_UNTIMED = datetime.min.replace(tzinfo=UTC)


class HeldObject(msgspec.Struct, frozen=True, gc=False):
    """An object with its copies (but for when and where they came), and the number of its row."""

    seq: int
    stored: StoredObject


def iterate_held(connection: sa.Connection, ids: Collection[str] | None = None) -> Iterator[HeldObject]:
    """Yield the version that counts of every object, or of those with these ids, in no particular order."""
    rows = sorted(_newest(connection, ids))
    given = _givers(connection, None if ids is None else [row[1] for row in rows])
    for start in range(0, len(rows), _CHUNK * 10):
        part = rows[start : start + _CHUNK * 10]
        data = _packs(connection, sorted({row[0] for row in part}))
        for pack, seq, digest, first, length in part:
            raw = data[pack][first : first + length]
            yield HeldObject(seq, StoredObject(restore_object(raw, digest.hex()), given.get(seq, ())))


def _newest(connection: sa.Connection, ids: Collection[str] | None) -> Iterator[tuple[int, int, bytes, int, int]]:
    """Yield (pack, number, digest, start, length) of the row of each id that counts."""
    place = (objects.c.pack, objects.c.seq, objects.c.digest, objects.c.start, objects.c.length)
    joined = sa.select(*place, objects.c.id, traits.c.created_by_ref).join(traits, objects.c.traits == traits.c.seq)
    for part in _parts(None if ids is None else sorted(ids)):
        query = joined if part is None else joined.where(objects.c.id.in_(part))
        for rows in contents_by_id(connection, query):
            pack, seq, digest, start, length, *_ = rows[0]
            yield pack, seq, digest, start, length


def _givers(connection: sa.Connection, seqs: Sequence[int] | None) -> dict[int, tuple[Provenance, ...]]:
    """Return the copies of objects by their rows' numbers, in the order in which they came."""
    shared = {row.seq: _provenance(row) for row in connection.execute(sa.select(facts))}
    found: dict[int, list[int]] = defaultdict(list)
    query = sa.select(copies.c.object, copies.c.facts).order_by(copies.c.seq)
    for part in _parts(seqs):
        for object_, number in connection.execute(query if part is None else query.where(copies.c.object.in_(part))):
            found[object_].append(number)
    alike: dict[tuple[int, ...], tuple[Provenance, ...]] = {}
    result: dict[int, tuple[Provenance, ...]] = {}
    for object_, numbers in found.items():
        key = tuple(numbers)
        if key not in alike:
            alike[key] = tuple(shared[number] for number in key)
        result[object_] = alike[key]
    return result


def _packs(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for start in range(0, len(seqs), _PACKS):
        query = sa.select(packs.c.seq, packs.c.data).where(packs.c.seq.in_(seqs[start : start + _PACKS]))
        found.update((seq, bytes(data)) for seq, data in connection.execute(query))
    return found


def _provenance(row: Any) -> Provenance:
    return Provenance(
        giver=row.giver,
        received=_UNTIMED,
        markings=tuple(orjson.loads(row.markings)),
        originator=row.originator or None,
        agreement=row.agreement or None,
        corpus=row.corpus or None,
        corpus_basis=row.corpus_basis,
    )


def _parts(wanted: Sequence[Any] | None) -> Iterator[Sequence[Any] | None]:
    if wanted is None:
        yield None
        return
    for start in range(0, len(wanted), _CHUNK):
        yield wanted[start : start + _CHUNK]
