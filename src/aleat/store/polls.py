"""How far each poll came: one bookmark for a server's feed and the giver it is polled for, the source's own text.

A bookmark is written in the transaction that keeps what came before it, so that both are there or neither. It
holds no secret.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from aleat.stix.times import format_timestamp
from aleat.store.database import metadata

__all__ = ["Bookmark", "put_bookmark", "read_bookmark", "read_bookmarks"]

polls = sa.Table(
    "polls",
    metadata,
    sa.Column("url", sa.String, primary_key=True),
    sa.Column("feed", sa.String, primary_key=True),
    sa.Column("giver", sa.String, primary_key=True),
    sa.Column("bookmark", sa.String, nullable=False),
    sa.Column("updated", sa.String, nullable=False),
)


class Bookmark(msgspec.Struct, frozen=True):
    """How far a poll came: of the feed `feed` at `url`, for `giver`; `updated` is when it was kept."""

    url: str
    feed: str
    giver: str
    bookmark: str
    updated: str


def read_bookmark(connection: sa.Connection, url: str, feed: str, giver: str) -> str:
    """Return how far a poll came, or the empty string where there was none."""
    where = (polls.c.url == url) & (polls.c.feed == feed) & (polls.c.giver == giver)
    return connection.execute(sa.select(polls.c.bookmark).where(where)).scalar() or ""


def read_bookmarks(connection: sa.Connection) -> tuple[Bookmark, ...]:
    """Return all bookmarks, by URL, feed and giver."""
    query = sa.select(polls).order_by(polls.c.url, polls.c.feed, polls.c.giver)
    return tuple(Bookmark(**row._mapping) for row in connection.execute(query))


def put_bookmark(connection: sa.Connection, url: str, feed: str, giver: str, bookmark: str, *, time: datetime) -> None:
    """Keep how far a poll came, within the caller's transaction."""
    where = (polls.c.url == url) & (polls.c.feed == feed) & (polls.c.giver == giver)
    connection.execute(sa.delete(polls).where(where))
    row = {"url": url, "feed": feed, "giver": giver, "bookmark": bookmark, "updated": format_timestamp(time)}
    connection.execute(polls.insert(), row)
