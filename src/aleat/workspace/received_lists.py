"""Values of indicator lists that came as notes (`aleat.exchange.list_rows`): put together when the last part is here.

Parts may come in any order, in several pages or pushes. What counts is the digest that the list itself names: values
that aren't those are left out, and said.
"""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from aleat.errors import Issue, Place
from aleat.exchange.list_rows import read_rows, rows_table
from aleat.stix.entries import entries_digest
from aleat.store.database import Connection
from aleat.store.entries import list_digests
from aleat.store.object_tables import objects
from aleat.store.objects import get_object

__all__ = ["complete_lists", "last_object"]


def last_object(connection: Connection) -> int:
    """Return the number of the object that came last."""
    return connection.execute(sa.select(sa.func.max(objects.c.seq))).scalar() or 0


def complete_lists(connection: Connection, since: int, place: Place) -> tuple[list[pa.Table], list[Issue]]:
    """Return the values of the lists whose last part came behind the object `since`, and what was wrong with others."""
    query = sa.select(objects.c.id).where(objects.c.seq > since, objects.c.id >= "note--", objects.c.id < "note-.")
    tables: list[pa.Table] = []
    issues: list[Issue] = []
    done = set(list_digests(connection))
    for id_ in connection.scalars(query.distinct().order_by(objects.c.id)).all():
        stored = get_object(connection, id_)
        part = read_rows(stored.object) if stored is not None else None
        if part is None or part.entries_sha256 in done:
            continue
        held = (get_object(connection, one) for one in part.parts)
        notes = {one.object.id: one.object for one in held if one is not None}
        if (table := rows_table(part.entries_sha256, part.parts, notes)) is None:
            continue  # the others are still to come
        done.add(part.entries_sha256)
        if entries_digest(table) == part.entries_sha256:
            tables.append(table)
            continue
        reason = f"The values that {id_} tells of are not those that the list names; they were left out."
        issues.append(Issue("knowledge", "list", place, reason, "Ask the ally for them in a sealed file."))
    return tables, issues
