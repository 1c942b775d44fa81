"""How many objects there are, without reading them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from aleat.store.object_tables import objects, traits

__all__ = ["count_types", "makers"]


def count_types(connection: sa.Connection, types: Sequence[str] | None = None) -> dict[str, int]:
    """Return how many objects of each type there are (of these `types`), the most frequent first.

    Versions of one object count once.
    """
    ids = connection.scalars(sa.select(objects.c.id).distinct().execution_options(yield_per=10_000))
    found = Counter(id_.partition("--")[0] for id_ in ids)
    return {name: count for name, count in found.most_common() if types is None or name in types}


def makers(connection: sa.Connection) -> frozenset[str]:
    """Return the identities that made objects which are here (`created_by_ref`); none ever ceases to be one."""
    found = connection.scalars(sa.select(traits.c.created_by_ref).distinct())
    return frozenset(name for name in found if name)
