"""Which objects are affected by what came since a mark: rows only come, numbered in the order in which they do."""

from __future__ import annotations

from collections.abc import Collection

import orjson
import sqlalchemy as sa

from aleat.store.object_tables import copies, facts, objects, traits

__all__ = [
    "KnowledgeMark",
    "ids_of_digests",
    "ids_of_several",
    "ids_since",
    "ids_under",
    "knowledge_mark",
    "last_definition",
]

KnowledgeMark = tuple[int, int]
"""The last numbers of objects and copies: equal marks are equal knowledge, as rows never change."""

_CHUNK = 400


def knowledge_mark(connection: sa.Connection) -> KnowledgeMark:
    """Return the mark of what is known now."""
    last_object, last_copy = (
        connection.exec_driver_sql(f"SELECT max(seq) FROM {name}").scalar() or 0  # noqa: S608
        for name in ("objects", "copies")
    )
    return last_object, last_copy


def last_definition(connection: sa.Connection) -> int:
    """Return the number of the marking definition that came last, 0 where there is none."""
    named = (objects.c.id >= "marking-definition--") & (objects.c.id < "marking-definition-.")
    return connection.execute(sa.select(sa.func.max(objects.c.seq)).where(named)).scalar() or 0


def ids_since(connection: sa.Connection, mark: KnowledgeMark) -> set[str]:
    """Return the ids of objects of which a version or a copy came after `mark`."""
    found = set(connection.execute(sa.select(objects.c.id).where(objects.c.seq > mark[0])).scalars())
    copied = sa.select(objects.c.id).join(copies, copies.c.object == objects.c.seq).where(copies.c.seq > mark[1])
    return found | set(connection.execute(copied).scalars())


def ids_of_several(connection: sa.Connection, ids: Collection[str] | None = None) -> set[str]:
    """Return the ids (of `ids`, where given) under which more than one content is here."""
    query = sa.select(objects.c.id).group_by(objects.c.id).having(sa.func.count() > 1)
    if ids is None:
        return set(connection.execute(query).scalars())
    wanted = sorted(ids)
    parts = (wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK))
    return {id_ for part in parts for id_ in connection.execute(query.where(objects.c.id.in_(part))).scalars()}


def ids_of_digests(connection: sa.Connection, digests: Collection[str]) -> set[str]:
    """Return the ids of objects with these digests (hex)."""
    found: set[str] = set()
    wanted = sorted(map(bytes.fromhex, digests))
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(objects.c.id).where(objects.c.digest.in_(wanted[start : start + _CHUNK]))
        found.update(connection.execute(query).scalars())
    return found


def ids_under(connection: sa.Connection, markings: Collection[str]) -> set[str]:
    """Return the ids of objects that bear one of these markings, on the whole, a part, or one of their copies."""
    wanted = set(markings)

    def naming(table: sa.Table) -> list[int]:
        rows = connection.execute(sa.select(table.c.seq, table.c.markings).where(table.c.markings != "[]"))
        return [seq for seq, said in rows if wanted.intersection(orjson.loads(said))]

    found: set[str] = set()
    for start in range(0, len(marked := naming(traits)), _CHUNK):
        chosen = objects.c.traits.in_(marked[start : start + _CHUNK])
        found.update(connection.execute(sa.select(objects.c.id).where(chosen)).scalars())
    for start in range(0, len(beside := naming(facts)), _CHUNK):
        chosen = copies.c.facts.in_(beside[start : start + _CHUNK])
        query = sa.select(objects.c.id).join(copies, copies.c.object == objects.c.seq).where(chosen)
        found.update(connection.execute(query).scalars())
    return found
