"""What was pushed into other parties' collections, for whom, and what became of it.

```
pushes       one content of one object that was pushed for an ally into a collection: taken, waiting there, or refused
push_marks   up to which number of the ally's shelf everything was pushed once
```

What was refused is pushed again the next time; what was taken never is, wherever it stands on the shelf.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from aleat.stix.times import format_timestamp
from aleat.store.database import metadata

__all__ = ["PushRow", "pushed_digests", "put_push_mark", "put_pushes", "read_open_pushes", "read_push_mark"]

_CHUNK = 400

pushes = sa.Table(
    "pushes",
    metadata,
    sa.Column("url", sa.String, primary_key=True),
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("time", sa.String, nullable=False),
    sa.Index("pushes_by_state", "url", "ally", "state"),
)

push_marks = sa.Table(
    "push_marks",
    metadata,
    sa.Column("url", sa.String, primary_key=True),
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
)


class PushRow(msgspec.Struct, frozen=True):
    """What became of one content of an object: `digest` is `StixObject.digest`, `reason` the server's words."""

    id: str
    digest: str
    version: str
    state: Literal["taken", "waiting", "refused"]
    reason: str = ""


def put_pushes(connection: sa.Connection, url: str, ally: str, rows: Iterable[PushRow], *, time: datetime) -> None:
    """Keep what became of objects that were pushed into the collection at `url`, in the caller's transaction."""
    when = format_timestamp(time)
    latest = {(row.id, row.digest): row for row in rows}
    here = (pushes.c.url == url) & (pushes.c.ally == ally)
    for id_, digest in latest:
        connection.execute(sa.delete(pushes).where(here, pushes.c.id == id_, pushes.c.digest == digest))
    values = [{"url": url, "ally": ally, "time": when, **msgspec.structs.asdict(row)} for row in latest.values()]
    if values:
        connection.execute(pushes.insert(), values)


def pushed_digests(connection: sa.Connection, url: str, ally: str, ids: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return (id, digest) of what of these ids the collection at `url` has taken for `ally`."""
    wanted = sorted(set(ids))
    found: set[tuple[str, str]] = set()
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        here = (pushes.c.url == url) & (pushes.c.ally == ally) & (pushes.c.state == "taken") & pushes.c.id.in_(part)
        found.update((row.id, row.digest) for row in connection.execute(sa.select(pushes).where(here)))
    return frozenset(found)


def read_open_pushes(connection: sa.Connection, url: str, ally: str) -> tuple[PushRow, ...]:
    """Return what was pushed into the collection at `url` for `ally` and not taken yet, by id."""
    columns = [pushes.c[name] for name in PushRow.__struct_fields__]
    here = (pushes.c.url == url) & (pushes.c.ally == ally) & (pushes.c.state != "taken")
    query = sa.select(*columns).where(here).order_by(pushes.c.id, pushes.c.digest)
    return tuple(PushRow(*row) for row in connection.execute(query))


def read_push_mark(connection: sa.Connection, url: str, ally: str) -> int:
    """Return up to which number of the shelf of `ally` everything was pushed once into the collection at `url`."""
    here = (push_marks.c.url == url) & (push_marks.c.ally == ally)
    return connection.execute(sa.select(push_marks.c.seq).where(here)).scalar() or 0


def put_push_mark(connection: sa.Connection, url: str, ally: str, seq: int) -> None:
    """Keep how far pushing came, in the caller's transaction."""
    connection.execute(sa.delete(push_marks).where((push_marks.c.url == url) & (push_marks.c.ally == ally)))
    connection.execute(push_marks.insert(), {"url": url, "ally": ally, "seq": seq})
