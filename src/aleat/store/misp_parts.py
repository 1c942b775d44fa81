"""What we wrote to MISP servers, for whom: each event and what it lists, by UUID, with what was written last.

A part is written down, without a digest, before it is sent: so that whatever cuts a push off, the next one knows all
that may be there, and can take it back. Its digest is kept once the server has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from aleat.stix.times import format_timestamp
from aleat.store.database import metadata

__all__ = ["GONE", "put_misp_parts", "read_misp_parts"]

GONE = "gone"
"""Instead of a digest: it was there, and we took it back. Its UUID is that event's for ever."""

misp_parts = sa.Table(
    "misp_parts",
    metadata,
    sa.Column("url", sa.String, primary_key=True),
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("event", sa.String, primary_key=True),
    sa.Column("part", sa.String, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("time", sa.String, nullable=False),
)


def read_misp_parts(connection: sa.Connection, url: str, ally: str) -> dict[str, dict[str, str]]:
    """Return the digests of what was written to the server at `url` for `ally`, by event and part; "" is the event."""
    found: dict[str, dict[str, str]] = {}
    here = (misp_parts.c.url == url) & (misp_parts.c.ally == ally)
    for row in connection.execute(sa.select(misp_parts).where(here)):
        found.setdefault(row.event, {})[row.part] = row.digest
    return found


def put_misp_parts(
    connection: sa.Connection, url: str, ally: str, event: str, parts: Mapping[str, str | None], *, time: datetime
) -> None:
    """Keep what was written of one event, in the caller's transaction; a part whose digest is None was taken back."""
    here = (misp_parts.c.url == url) & (misp_parts.c.ally == ally) & (misp_parts.c.event == event)
    for part in parts:
        connection.execute(sa.delete(misp_parts).where(here, misp_parts.c.part == part))
    common = {"url": url, "ally": ally, "event": event, "time": format_timestamp(time)}
    values = [{**common, "part": part, "digest": GONE if digest is None else digest} for part, digest in parts.items()]
    if values:
        connection.execute(misp_parts.insert(), values)
