"""Where STIX objects are kept: every version and every variant with its bytes, and who gave each copy.

Two givers of one object are two copies, each with its own markings. Nothing is ever changed or deleted: adding the
same thing again adds no row, a newer version stands beside the older one, and the same id and `modified` with
different content is a conflict, kept and shown. Two kinds of difference are none: an upgrade of one object from
STIX 2.0, and variants of one public corpus (ATT&CK's three bundles differ so).

Which of several contents of one object counts says `aleat.store.objects_counting`. The tables are in
`aleat.store.object_tables`, the way in is `objects_put`; lists' rows are in `entries`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa

from aleat.stix.objects import restore_object
from aleat.stix.values import has_value, hash_value
from aleat.store.object_tables import (
    Conflict,
    Provenance,
    PutResult,
    StoredObject,
    arrivals,
    copies,
    facts,
    object_values,
    objects,
    packs,
    provenance_of,
    traits,
)
from aleat.store.objects_conflicts import NAMED_RIVALS, find_conflicts, raw_bytes, rivals
from aleat.store.objects_counting import CHUNK, contents_by_id
from aleat.store.objects_put import ObjectWriter, known_kinds, put_objects
from aleat.store.objects_verify import ObjectFault, knowledge_digest, verify_added, verify_objects

__all__ = [
    "Conflict",
    "ObjectFault",
    "ObjectWriter",
    "Provenance",
    "PutResult",
    "StoredObject",
    "find_conflicts",
    "find_objects",
    "get_object",
    "get_variants",
    "iterate_objects",
    "knowledge_digest",
    "known_kinds",
    "put_objects",
    "shared_values",
    "verify_added",
    "verify_objects",
]


def get_object(connection: sa.Connection, id_: str) -> StoredObject | None:
    """Return the content of the object `id_` that counts, with its copies, or None."""
    rows = next(contents_by_id(connection, _query().where(objects.c.id == id_)), None)
    return next(_with_copies(connection, rows[:1])) if rows is not None else None


def get_variants(connection: sa.Connection, id_: str) -> tuple[StoredObject, ...]:
    """Return every version and variant of the object `id_`, the one that counts first."""
    rows = next(contents_by_id(connection, _query().where(objects.c.id == id_)), [])
    return tuple(_with_copies(connection, rows))


def iterate_objects(
    connection: sa.Connection,
    types: Sequence[str] | None = None,
    *,
    ids: Sequence[str] | None = None,
    revoked: bool = True,
) -> Iterator[StoredObject]:
    """Yield the newest version of every object, ordered by id; only of these `types` or `ids`, where given.

    An object whose newest version is revoked is left out where `revoked` is false.
    """
    return find_objects(connection, types=types, ids=ids, revoked=revoked)


def find_objects(
    connection: sa.Connection,
    *,
    types: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    value: str | None = None,
    marking: str | None = None,
    giver: str | None = None,
    revoked: bool = True,
    limit: int | None = None,
    after: str | None = None,
) -> Iterator[StoredObject]:
    """Yield the newest version of every object that fits all that is given, ordered by id.

    `value` is one that the object can be looked up by (an observable's, a constant of a pattern, a name, an alias;
    `aleat.stix.values`), `marking` the id of a marking on the object, on part of it, or on one of its copies,
    `giver` who gave a copy. At most `limit` objects, those after the id `after`: so one goes from page to page.
    """
    some = objects.alias("some")
    some_fit = _candidates(some, value, marking, giver)
    found = _newest(connection, types, ids, after, sa.select(some.c.id).where(*some_fit) if some_fit else None)
    wanted = (row for row in found if revoked or not row.revoked)
    stored = (one for rows in _parts(wanted, limit) for one in _with_copies(connection, rows))
    fitting = (one for one in stored if _fits(one, value, marking, giver))
    return islice(fitting, limit)


def shared_values(connection: sa.Connection, values: Iterable[str]) -> list[str]:
    """Return those of the values by which several objects, or several versions of one, may be looked up."""
    hashes = {hash_value(value): value for value in values}
    found: list[str] = []
    for part in _chunks(sorted(hashes)):
        query = sa.select(object_values.c.hash).where(object_values.c.hash.in_(part))
        several = query.group_by(object_values.c.hash).having(sa.func.count() > 1)
        found += [hashes[number] for number in connection.scalars(several)]
    return sorted(found)


def _candidates(
    some: sa.FromClause, value: str | None, marking: str | None, giver: str | None
) -> list[sa.ColumnElement[bool]]:
    """Return what a version of an object (a row of `some`) must fit, so that the object may be looked for."""
    found: list[sa.ColumnElement[bool]] = []
    if value is not None:
        holds = sa.select(object_values.c.object).where(object_values.c.hash == hash_value(value))
        found.append(some.c.seq.in_(holds))
    if marking is not None:
        named = orjson.dumps(marking).decode()
        marked = sa.select(traits.c.seq).where(traits.c.markings.contains(named, autoescape=True))
        beside = sa.select(facts.c.seq).where(facts.c.markings.contains(named, autoescape=True))
        found.append(some.c.traits.in_(marked) | some.c.seq.in_(_copied(beside)))
    if giver is not None:
        found.append(some.c.seq.in_(_copied(sa.select(facts.c.seq).where(facts.c.giver == giver))))
    return found


def _copied(which: sa.Select[tuple[int]]) -> sa.Select[tuple[int]]:
    return sa.select(copies.c.object).where(copies.c.facts.in_(which))


def _fits(stored: StoredObject, value: str | None, marking: str | None, giver: str | None) -> bool:
    item = stored.object
    if giver is not None and all(copy.giver != giver for copy in stored.copies):
        return False
    if marking is not None:
        parts = {part.marking_ref for part in item.granular_markings}
        beside = {one for copy in stored.copies for one in copy.markings}
        if marking not in {*item.object_marking_refs, *parts, *beside}:
            return False
    return value is None or has_value(orjson.loads(item.raw), value)


def _query() -> sa.Select[Any]:
    columns = (objects.c.seq, objects.c.id, objects.c.time, objects.c.digest, traits.c.created_by_ref, traits.c.revoked)
    joined = objects.join(traits, objects.c.traits == traits.c.seq).join(packs, objects.c.pack == packs.c.seq)
    return sa.select(*columns, raw_bytes()).select_from(joined)


def _newest(
    connection: sa.Connection,
    types: Sequence[str] | None,
    ids: Sequence[str] | None,
    after: str | None,
    fitting: sa.Select[tuple[str]] | None,
) -> Iterator[Any]:
    """Yield the row of each id that counts, ordered by id. A type is a range of ids, and in their order."""
    query = _query()
    if after is not None:
        query = query.where(objects.c.id > after)
    if fitting is not None:
        query = query.where(objects.c.id.in_(fitting))
    for condition in _ranges(types, ids):
        found = query if condition is None else query.where(condition)
        yield from (rows[0] for rows in contents_by_id(connection, found))


def _ranges(types: Sequence[str] | None, ids: Sequence[str] | None) -> Iterator[sa.ColumnElement[bool] | None]:
    if ids is not None:
        wanted = sorted({id_ for id_ in ids if types is None or id_.partition("--")[0] in types})
        for start in range(0, len(wanted), CHUNK):
            yield objects.c.id.in_(wanted[start : start + CHUNK])
    elif types is not None:
        for type_ in sorted(set(types)):
            yield (objects.c.id >= f"{type_}--") & (objects.c.id < f"{type_}-.")
    else:
        yield None


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK))


def _parts(rows: Iterator[Any], limit: int | None) -> Iterator[list[Any]]:
    size = CHUNK if limit is None else max(1, min(CHUNK, limit))
    while part := list(islice(rows, size)):
        yield part


def _with_copies(connection: sa.Connection, rows: Sequence[Any]) -> Iterator[StoredObject]:
    given: dict[int, list[Provenance]] = defaultdict(list)
    query = (
        sa.select(copies, facts, arrivals)
        .join(facts, copies.c.facts == facts.c.seq)
        .join(arrivals, copies.c.arrival == arrivals.c.seq)
        .order_by(copies.c.seq)
    )
    for start in range(0, len(rows), CHUNK):
        some = copies.c.object.in_([row.seq for row in rows[start : start + CHUNK]])
        for row in connection.execute(query.where(some)):
            given[row.object].append(provenance_of(row))
    conflicts = rivals(connection, sorted({row.id for row in rows}))
    for row in rows:
        digest = row.digest.hex()
        others = (other for other in conflicts.get((row.id, row.time), ()) if other != digest)
        yield StoredObject(restore_object(row.raw, digest), tuple(given[row.seq]), tuple(islice(others, NAMED_RIVALS)))
