"""The table of indicator lists' files, for those who ask what is there and read none of it (`aleat.store.entries`)."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from aleat.store.database import metadata

__all__ = ["EntryFault", "entry_lists", "list_digests"]

entry_lists = sa.Table(
    "entry_lists",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("file_sha256", sa.String, nullable=False),
)


class EntryFault(msgspec.Struct, frozen=True):
    """A list's file that no longer fits what was recorded."""

    digest: str
    reason: str


def list_digests(connection: sa.Connection) -> tuple[str, ...]:
    """Return the digests of all lists whose rows are here; a list's object can be looked up by its digest."""
    return tuple(connection.scalars(sa.select(entry_lists.c.digest).order_by(entry_lists.c.digest)))
