"""Re-checking objects and their copies: each against its bytes, and all of them against what the ledger's entries bind.

An entry of the custody ledger says under "knowledge_rows" which rows an import added, and their digest: from number
to number, one import after another, so that no row can be changed, taken out or put between without being noticed.
Entries of workspaces of format 2 bind all copies by one digest instead (`knowledge_digest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from aleat.errors import ObjectError, Place
from aleat.stix.canonical import canonical_json, canonical_json_parsed
from aleat.stix.columns import microseconds, traits_of
from aleat.stix.objects import parse_object
from aleat.stix.times import format_timestamp
from aleat.stix.values import value_hashes
from aleat.store.object_tables import (
    NUMBERED,
    Provenance,
    arrivals,
    copies,
    facts,
    object_values,
    objects,
    packs,
    provenance_of,
    traits,
)
from aleat.store.objects_conflicts import raw_bytes
from aleat.store.objects_put import AddedDigest

__all__ = ["ObjectFault", "knowledge_digest", "verify_added", "verify_objects"]

_ROWS = 4_000


class ObjectFault(msgspec.Struct, frozen=True):
    """A stored object whose bytes no longer fit what was recorded."""

    id: str
    digest: str
    reason: str


def verify_objects(connection: sa.Connection) -> Iterator[ObjectFault]:
    """Yield every object whose bytes, id, version, copies or values don't fit each other."""
    yield from _verify_packs(connection)
    query = (
        sa.select(objects, raw_bytes(), traits.c.created_by_ref, traits.c.markings, traits.c.native, traits.c.revoked)
        .select_from(
            objects.outerjoin(traits, objects.c.traits == traits.c.seq).outerjoin(packs, objects.c.pack == packs.c.seq)
        )
        .order_by(objects.c.seq)
    )
    expected: list[tuple[int, int]] = []
    for row in connection.execute(query):
        digest = row.digest.hex() if isinstance(row.digest, bytes) else str(row.digest)
        try:
            item = parse_object(row.raw or b"", Place(row.id))
        except ObjectError as error:
            yield ObjectFault(row.id, digest, f"its bytes were changed: {error.reason}")
            continue
        shared = (row.created_by_ref, row.markings, row.native, row.revoked)
        if item.digest != digest:
            yield ObjectFault(row.id, digest, "its bytes were changed (hash differs)")
        elif (row.id, row.time, *shared) != (item.id, microseconds(item.version), *traits_of(item)):
            yield ObjectFault(row.id, digest, "its row was changed (it doesn't fit its bytes)")
        expected.extend((value, row.seq) for value in value_hashes(orjson.loads(item.raw)))
    yield from _verify_copies(connection)
    yield from _verify_values(connection, expected)


def _verify_packs(connection: sa.Connection) -> Iterator[ObjectFault]:
    """Yield where the objects' places don't fill their packs, one behind the other."""
    places = sa.select(objects.c.pack, objects.c.start, objects.c.length).order_by(objects.c.seq)
    lengths = connection.execute(sa.select(packs.c.seq, sa.func.length(packs.c.data)))
    sizes = {int(row[0]): int(row[1]) for row in lengths}
    filled: dict[int, int] = {}
    for pack, start, length in connection.execute(places):
        if filled.get(pack, 0) != start:
            yield ObjectFault("", str(pack), "an object's place was changed")
            return
        filled[pack] = start + length
    for pack in sorted({*sizes, *filled}):
        if sizes.get(pack) != filled.get(pack):
            yield ObjectFault("", str(pack), "the objects' bytes were changed (there are more, or fewer)")


def _verify_copies(connection: sa.Connection) -> Iterator[ObjectFault]:
    lost = (
        (objects, "somebody gave it, and its row is gone", copies.c.object),
        (facts, "what a copy's giver said of it is gone", copies.c.facts),
        (arrivals, "when and where a copy came from is gone", copies.c.arrival),
    )
    for table, reason, column in lost:
        query = sa.select(column).where(column.not_in(sa.select(table.c.seq))).distinct().order_by(column)
        for number in connection.scalars(query):
            yield ObjectFault("", f"{table.name} {number}", reason)
    given = sa.select(objects.c.id, objects.c.digest).where(objects.c.seq.not_in(sa.select(copies.c.object)))
    for id_, digest in connection.execute(given.order_by(objects.c.seq)):
        yield ObjectFault(id_, digest.hex(), "nobody gave it: its copies are gone")


def _verify_values(connection: sa.Connection, expected: list[tuple[int, int]]) -> Iterator[ObjectFault]:
    """Yield where objects can't be found by their values, or by others' values."""
    import numpy as np  # noqa: PLC0415

    wanted = np.array(expected, dtype=np.int64).reshape(-1, 2)
    wanted = wanted[np.lexsort((wanted[:, 1], wanted[:, 0]))]
    query = sa.select(object_values.c.hash, object_values.c.object).order_by(*object_values.primary_key)
    there = np.array([tuple(row) for row in connection.execute(query)], dtype=np.int64).reshape(-1, 2)
    if not np.array_equal(wanted, there):
        differing = sorted({of for _, of in set(map(tuple, wanted.tolist())) ^ set(map(tuple, there.tolist()))})
        for number in differing[:10]:
            yield ObjectFault("", f"objects {number}", "the values that it is found by were changed")


def verify_added(
    connection: sa.Connection, entries: Iterable[tuple[int, Mapping[str, Any]]], *, begun: bool = False
) -> Iterator[ObjectFault]:
    """Yield where the rows differ from what the custody ledger's `entries` (number, what they bind) say was added.

    `begun`: there are rows from before the first of these entries, which other entries bind.
    """
    next_: dict[str, int] = {} if begun else {table.name: 1 for table in NUMBERED}
    for number, bound in entries:
        ranges = {table: bound[table.name] for table in NUMBERED if table.name in bound}
        digest = AddedDigest()
        for table, (first, last) in ranges.items():
            if next_.setdefault(table.name, first) != first:
                yield ObjectFault(
                    "", f"entry {number}", f"what it added doesn't follow the entry before ({table.name})"
                )
            next_[table.name] = last + 1
            _take_rows(connection, table, first, last, digest)
        if bound and digest.value() != bound.get("sha256"):
            reason = "what it added to the objects, or who gave them, was changed since"
            yield ObjectFault("", f"entry {number}", reason)
    for table in NUMBERED:
        query = sa.select(sa.func.count(), sa.func.min(table.c.seq), sa.func.max(table.c.seq)).select_from(table)
        count, first, last = connection.execute(query).one()
        if count and (first != 1 or last != count):
            yield ObjectFault("", f"{table.name} {last}", "the rows are not numbered without gaps")
        elif count and table.name in next_ and last >= next_[table.name]:
            yield ObjectFault("", f"{table.name} {last}", "no entry of the custody ledger names it")


def _take_rows(connection: sa.Connection, table: sa.Table, first: int, last: int, digest: AddedDigest) -> None:
    query = sa.select(table).where(table.c.seq.between(first, last)).order_by(table.c.seq)
    for part in connection.execute(query).partitions(_ROWS if table is not packs else 64):
        digest.take(table, part)


def knowledge_digest(connection: sa.Connection, *, before: int | None = None) -> str:
    """Return the SHA-256 (hex) over all copies with their objects' digests, whatever their order.

    Two workspaces with the same knowledge from the same givers have the same. What ledgers of format 2 bind; of
    those copies whose number is below `before`, where it is given.
    """
    query = (
        sa.select(copies, objects.c.digest, facts, arrivals)
        .join(objects, copies.c.object == objects.c.seq)
        .join(facts, copies.c.facts == facts.c.seq)
        .join(arrivals, copies.c.arrival == arrivals.c.seq)
    )
    if before is not None:
        query = query.where(copies.c.seq < before)
    lines = sorted(_digest_line(row) for row in connection.execute(query))
    digest = hashlib.sha256()
    for _, line in lines:
        digest.update(line)
    return digest.hexdigest()


def _digest_line(row: Any) -> tuple[str, bytes]:
    copy = provenance_of(row)
    values = {
        "key": _key(row.digest.hex(), copy),
        "digest": row.digest.hex(),
        "giver": copy.giver,
        "received": format_timestamp(copy.received),
        "markings": orjson.dumps(sorted(copy.markings)).decode(),
        "originator": copy.originator,
        "agreement": copy.agreement,
        "path": copy.source.path,
        "line": copy.source.line,
        "column": copy.source.column,
        "offset": copy.source.offset,
        "corpus": copy.corpus,
        "corpus_basis": copy.corpus_basis,
    }
    return values["key"], canonical_json(values) + b"\n"


def _key(digest: str, copy: Provenance) -> str:
    """What makes two copies the same: object, giver, markings, originator, agreement, corpus; not when or where."""
    said = [copy.giver, sorted(copy.markings), copy.originator, copy.agreement, copy.corpus, copy.corpus_basis]
    return hashlib.sha256(canonical_json_parsed([digest, *said])).hexdigest()
