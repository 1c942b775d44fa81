"""Which of several contents of one object counts: its maker's own word, then the newest, then what came first.

Only its maker makes new versions of an object (STIX 2.1 §3.6). So where its maker gave us a content of it (or a public
corpus of the maker's did, recognised by its digest or declared by a person), that is its word, and what others hand
on under the same id counts after all of it, however new it says it is. Where nobody but others gave it, the newest
counts. Of one version STIX 2.1 counts before STIX 2.0, and then what came first: who comes later with another content
under the same id and time replaces nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa

from aleat.store.object_tables import copies, facts, objects, traits

__all__ = ["CHUNK", "contents_by_id"]

CHUNK = 400  # rows looked into at once

_RECOGNISED = ("digest", "declared")  # what else looks like a corpus anybody can forge


def contents_by_id(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[list[Any]]:
    """Yield the rows of each id, ordered by id, the content that counts first.

    `query` selects from `objects` joined with `traits`, and has at least their `id`, `seq` and `created_by_ref`.
    """
    ordered = query.order_by(objects.c.id, objects.c.time.desc(), traits.c.native.desc(), objects.c.seq)
    groups = (list(group) for _, group in groupby(connection.execute(ordered), key=lambda row: row.id))
    while part := list(islice(groups, CHUNK)):
        several = [group for group in part if len(group) > 1]
        words = _makers_words(connection, [row for group in several for row in group])
        for group in several:
            group.sort(key=lambda row: row.seq not in words)
        yield from part


def _makers_words(connection: sa.Connection, rows: Sequence[Any]) -> set[int]:
    """Return the numbers of those rows that their object's maker gave; of two who say they made it, the first did."""
    givers, corpora = _sources(connection, [row.seq for row in rows])
    makers: dict[str, set[tuple[str, str]]] = {}
    found: set[int] = set()
    for row in sorted(rows, key=lambda row: row.seq):
        maker = row.created_by_ref or row.id  # an identity that nobody says to have made speaks for itself
        made = {("corpus", name) for name in corpora[row.seq]}
        if maker in givers[row.seq]:
            made.add(("maker", maker))
        known = makers.setdefault(row.id, set(made)) or made
        if made & known:
            makers[row.id] = known | made
            found.add(row.seq)
    return found


def _sources(connection: sa.Connection, seqs: Iterable[int]) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
    """Return who gave each of these rows, and the corpora that it is known to be of."""
    givers: dict[int, set[str]] = defaultdict(set)
    corpora: dict[int, set[str]] = defaultdict(set)
    wanted = sorted(seqs)
    columns = (copies.c.object, facts.c.giver, facts.c.corpus, facts.c.corpus_basis)
    query = sa.select(*columns).join(facts, copies.c.facts == facts.c.seq)
    for start in range(0, len(wanted), CHUNK):
        for seq, giver, corpus, basis in connection.execute(
            query.where(copies.c.object.in_(wanted[start : start + CHUNK]))
        ):
            givers[seq].add(giver)
            if corpus and basis in _RECOGNISED:
                corpora[seq].add(corpus)
    return givers, corpora
