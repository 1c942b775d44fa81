"""Evidence that was read again as somebody stated it: the earlier reading goes, so that no event is there twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from aleat.errors import Issue, NotPermittedError, Place
from aleat.store.lake import Custodian, Lake, sources
from aleat.store.lake_forget import clear_forgotten, forget_source

__all__ = ["replace_readings"]


def replace_readings(lake: Lake, custodian: Custodian, read: Sequence[int]) -> Iterator[Issue]:
    """Take out earlier readings of the sources `read`: same path, same bytes, other options or reader.

    Yield a note for each that went ("read-again"), an issue where it may not ("read-twice": a hold, a lacking role).
    """
    earlier = _earlier(lake, read)
    rows = {row.id: row for row in lake.sources()} if earlier else {}
    for old in sorted(earlier):
        row = rows[old]
        try:
            forget_source(lake, custodian, row, "read again, as stated then")
        except NotPermittedError as error:
            reason = "It was read before, otherwise: its events are there twice, since that reading can't go."
            yield Issue("evidence", "read-twice", Place(row.facts.path), reason, str(error), records=0)
        else:
            reason = f"It was read before, as {row.facts.reader}: that reading was taken out for this one."
            yield Issue("evidence", "read-again", Place(row.facts.path), reason, records=0)
    if earlier:
        clear_forgotten(lake)


def _earlier(lake: Lake, read: Sequence[int]) -> set[int]:
    old, new = sources.alias("old"), sources.alias("new")
    query = sa.select(old.c.id).where(
        old.c.path == new.c.path,
        old.c.sha256 == new.c.sha256,
        old.c.id < new.c.id,
        old.c.same_as.is_(None),
        new.c.same_as.is_(None),
        old.c.forgotten.is_(None),
        old.c.abandoned.is_(False),
    )
    found: set[int] = set()
    with lake.database.read() as connection:
        for start in range(0, len(read), 500):
            found.update(connection.execute(query.where(new.c.id.in_(read[start : start + 500]))).scalars())
    return found
