"""What each ally may fetch from our server, in the order in which it became theirs: one shelf an ally and kind of line.

```
shelf           one object an ally may have: its number on that shelf, when it was put there, and its bytes, or where
                they are among the objects, where it leaves as it is stored
shelf_states    from what the shelf was last made: a digest of the terms, a mark of the knowledge, the last number
taxii_statuses  what became of each push, for as long as its pusher may ask
```

Over TLS more may leave than over a plain line, so each has a shelf of its own (`aleat.store.given.shelf_of`); in all
three tables' columns and functions here, `ally` is what the shelf is called, but for statuses and `find_on_shelf`.

A shelf is a cache of the gate's decisions that keeps its order: what may no longer leave is taken off, what may
leave again is put at the end, numbers and times only grow, also where the clock goes back. So a page is a range of
an index, and a poller that remembers a time or a number misses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from aleat.stix.columns import microseconds
from aleat.stix.objects import StixObject
from aleat.stix.times import format_timestamp
from aleat.store.changes import KnowledgeMark
from aleat.store.database import metadata
from aleat.store.given import remember_told, shelves_of
from aleat.store.ledger import ledger_head
from aleat.store.object_tables import insert_rows, objects, packs
from aleat.times import from_micros, micros_of

__all__ = [
    "ShelfChange",
    "ShelfPage",
    "ShelfQuery",
    "ShelfRow",
    "ShelfState",
    "find_on_shelf",
    "put_shelf",
    "put_status",
    "read_shelf",
    "read_shelf_state",
    "read_status",
    "take_snapshot",
    "terms_mark",
]

_CHUNK = 400
_STATUS_SECONDS = 48 * 3600  # TAXII 2.1 §4.3: at least a day

shelf = sa.Table(
    "shelf",
    metadata,
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),  # as written; where it has none, when it was put here
    sa.Column("time", sa.BigInteger, nullable=False),  # the version's, microseconds since 1970
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("object", sa.Integer),  # the row of `objects` with these very bytes
    sa.Column("raw", sa.LargeBinary),  # the bytes, where there is no such row
    sa.Index("shelf_by_id", "ally", "id"),
    sa.Index("shelf_by_added", "ally", "added"),
    sa.Index("shelf_by_type", "ally", "type", "seq"),
    sqlite_with_rowid=False,
)

shelf_states = sa.Table(
    "shelf_states",
    metadata,
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("terms", sa.String, nullable=False),
    sa.Column("objects", sa.Integer, nullable=False),
    sa.Column("copies", sa.Integer, nullable=False),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
)

taxii_statuses = sa.Table(
    "taxii_statuses",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("ally", sa.String, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False, index=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


class ShelfState(msgspec.Struct, frozen=True):
    """From what a shelf was last made, and how far its numbers and times (microseconds) have come."""

    terms: str
    mark: KnowledgeMark
    last: int = 0
    added: int = 0


class ShelfChange(msgspec.Struct, frozen=True):
    """What is to come on a shelf, and (ids) what is to go; without `since`: everything else goes.

    `since` are the terms and the mark by which the shelf must have been made for this to be the change. `rows` are
    the numbers of the rows of `objects` with these very bytes, by id; `told` the ids of objects, and as told.
    """

    coming: Sequence[StixObject]
    going: frozenset[str] = frozenset()
    rows: Mapping[str, int] = {}
    since: tuple[str, KnowledgeMark] | None = None
    told: tuple[tuple[str, str], ...] = ()


class ShelfRow(msgspec.Struct, frozen=True, gc=False):
    """One object on a shelf; `added` in microseconds since 1970, `raw` empty where it wasn't asked for."""

    seq: int
    id: str
    version: str
    added: int
    raw: bytes = b""


class ShelfQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a shelf: what lies behind the number `after` and the time `added_after`.

    `ids`, `types` and `versions` (microseconds since 1970) are filters; None is none. Sizes are in bytes.
    """

    after: int = 0
    added_after: int | None = None
    ids: Collection[str] | None = None
    types: Collection[str] | None = None
    versions: Collection[int] | None = None
    limit: int = 1_000
    raw: bool = True
    max_bytes: int = 32 * 1024**2


class ShelfPage(msgspec.Struct, frozen=True):
    """Rows of a shelf in their order, and whether there are more behind them."""

    rows: tuple[ShelfRow, ...]
    more: bool


def take_snapshot(connection: sa.Connection) -> None:
    """Let all that `connection` reads until it is closed be of one moment; it must not have read anything yet."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def terms_mark(connection: sa.Connection) -> tuple[str, int, int]:
    """Return what changes whenever a decision, a sealed file or a withdrawal is recorded.

    The head of the ledger of decisions stands for allies, agreements, permissions and holds.
    """
    files, withdrawals = (
        connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() or 0  # noqa: S608
        for name in ("sealed_files", "withdrawn_releases")
    )
    return ledger_head(connection, "decisions").hash, files, withdrawals


def read_shelf_state(connection: sa.Connection, ally: str) -> ShelfState | None:
    """Return from what a shelf was last made, or None where it never was."""
    row = connection.execute(sa.select(shelf_states).where(shelf_states.c.ally == ally)).first()
    return None if row is None else ShelfState(row.terms, (row.objects, row.copies), row.last, row.added)


def put_shelf(
    connection: sa.Connection, ally: str, change: ShelfChange, *, terms: str, mark: KnowledgeMark, time: datetime
) -> bool:
    """Change a shelf, in the caller's transaction; False, and nothing done, where it isn't as it was.

    What stays the same keeps its number; so a change can be made twice.
    """
    state = read_shelf_state(connection, ally) or ShelfState("", (0, 0))
    if change.since is not None and change.since != (state.terms, state.mark):
        return False
    wanted = {item.id: item for item in change.coming}
    touched = None if change.since is None else {*wanted, *change.going}
    there = {id_: (digest, seq) for id_, digest, seq in _there(connection, ally, touched)}
    gone = [(seq, id_) for id_, (digest, seq) in there.items() if _goes(wanted.get(id_), digest)]
    for start in range(0, len(gone), _CHUNK):
        chosen = shelf.c.seq.in_([seq for seq, _ in gone[start : start + _CHUNK]])
        connection.execute(sa.delete(shelf).where(shelf.c.ally == ally, chosen))
    remember_told(connection, ally, [(id_, id_) for _, id_ in gone if id_ not in wanted])
    remember_told(connection, ally, change.told)
    fresh = [item for id_, item in wanted.items() if id_ not in there or _goes(item, there[id_][0])]
    last, added = state.last, max(state.added, micros_of(time) - 1)
    for start in range(0, len(fresh), _CHUNK * 10):
        rows = []
        for item in fresh[start : start + _CHUNK * 10]:
            last, added = last + 1, added + 1
            rows.append(_row(ally, last, added, item, change.rows.get(item.id)))
        insert_rows(connection, shelf, rows)
    connection.execute(sa.delete(shelf_states).where(shelf_states.c.ally == ally))
    state_row = {"ally": ally, "terms": terms, "objects": mark[0], "copies": mark[1]}
    connection.execute(shelf_states.insert(), {**state_row, "last": last, "added": added if fresh else state.added})
    return True


def _there(connection: sa.Connection, ally: str, ids: Collection[str] | None) -> Iterator[tuple[str, bytes, int]]:
    """Yield id, digest and number of what is on a shelf (of these ids)."""
    query = sa.select(shelf.c.id, shelf.c.digest, shelf.c.seq).where(shelf.c.ally == ally)
    wanted = None if ids is None else sorted(ids)
    parts = [None] if wanted is None else [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
    for part in parts:
        for id_, digest, seq in connection.execute(query if part is None else query.where(shelf.c.id.in_(part))):
            yield id_, bytes(digest), seq


def _goes(item: StixObject | None, digest: bytes) -> bool:
    """Tell whether what is on a shelf goes, because nothing or something else of its id is wanted."""
    return item is None or bytes.fromhex(item.digest) != digest


def read_shelf(connection: sa.Connection, ally: str, query: ShelfQuery) -> ShelfPage:
    """Return one page of a shelf; it ends early at `max_bytes` too, but not before its first row."""
    rows = _rows(connection, ally, query)
    more = len(rows) > query.limit
    chosen = rows[: query.limit]
    if not query.raw:
        return ShelfPage(tuple(ShelfRow(*row[:4]) for row in chosen), more)
    size = 0
    for number, row in enumerate(chosen):
        size += len(row[4]) if row[4] is not None else row[7]
        if number and size > query.max_bytes:
            chosen, more = chosen[:number], True
            break
    return ShelfPage(_with_bytes(connection, chosen), more)


def find_on_shelf(
    connection: sa.Connection, ally: str, ids: Collection[str], *, shelf: str | None = None
) -> dict[str, ShelfRow]:
    """Return what the shelves of `ally` (or that one called `shelf`) hold of these ids, with its bytes.

    Of what is on both, that which was put there last.
    """
    found: dict[str, ShelfRow] = {}
    wanted = sorted(set(ids))
    for name in shelves_of(ally) if shelf is None else (shelf,):
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            rows = _with_bytes(connection, _rows(connection, name, ShelfQuery(ids=part, limit=len(part))))
            found.update((row.id, row) for row in rows if row.id not in found or found[row.id].added < row.added)
    return found


def put_status(connection: sa.Connection, id_: str, ally: str, body: bytes, *, time: datetime) -> None:
    """Keep what became of a push, in the caller's transaction; what is older than two days is dropped."""
    now = micros_of(time)
    connection.execute(sa.delete(taxii_statuses).where(taxii_statuses.c.received < now - _STATUS_SECONDS * 1_000_000))
    connection.execute(taxii_statuses.insert(), {"id": id_, "ally": ally, "received": now, "body": body})


def read_status(connection: sa.Connection, id_: str, ally: str) -> bytes | None:
    """Return what became of a push of `ally`'s, or None where it made none of that id."""
    where = (taxii_statuses.c.id == id_) & (taxii_statuses.c.ally == ally)
    return connection.execute(sa.select(taxii_statuses.c.body).where(where)).scalar()


def _rows(connection: sa.Connection, ally: str, query: ShelfQuery) -> list[tuple[Any, ...]]:
    """Return one row more than was asked for, if there is one.

    Each is number, id, version, when it was added; with bytes: its own ones, or the pack that they are in, and where.
    """
    columns: list[Any] = [shelf.c.seq, shelf.c.id, shelf.c.version, shelf.c.added]
    source: sa.FromClause = shelf
    if query.raw:
        columns += [shelf.c.raw, objects.c.pack, objects.c.start, objects.c.length]
        source = shelf.outerjoin(objects, shelf.c.object == objects.c.seq)
    after = query.after
    if query.added_after is not None:
        after = max(after, _last_before(connection, ally, query.added_after))
    chosen = sa.select(*columns).select_from(source).where(shelf.c.ally == ally, shelf.c.seq > after)
    for column, values in ((shelf.c.id, query.ids), (shelf.c.type, query.types), (shelf.c.time, query.versions)):
        if values is not None:
            chosen = chosen.where(column.in_(sorted(values)))
    return list(map(tuple, connection.execute(chosen.order_by(shelf.c.seq).limit(query.limit + 1)).fetchall()))


def _with_bytes(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> tuple[ShelfRow, ...]:
    """Return rows with their bytes: each pack that some of them are in is read once."""
    wanted = sorted({row[5] for row in rows if row[4] is None})
    data: dict[int, bytes] = {}
    for start in range(0, len(wanted), _CHUNK):
        chosen = sa.select(packs.c.seq, packs.c.data).where(packs.c.seq.in_(wanted[start : start + _CHUNK]))
        data.update((seq, bytes(pack)) for seq, pack in connection.execute(chosen))
    found: list[ShelfRow] = []
    for seq, id_, version, added, own, pack, start, length in rows:
        raw = bytes(own) if own is not None else data[pack][start : start + length]
        found.append(ShelfRow(seq, id_, version, added, raw))
    return tuple(found)


def _last_before(connection: sa.Connection, ally: str, time: int) -> int:
    """Return the number of the last row that was added at `time` or before: numbers and times grow together."""
    query = sa.select(shelf.c.seq).where(shelf.c.ally == ally, shelf.c.added <= time)
    return connection.execute(query.order_by(shelf.c.added.desc()).limit(1)).scalar() or 0


def _row(ally: str, seq: int, added: int, item: StixObject, stored: int | None) -> tuple[Any, ...]:
    """Return a row of `shelf`; a version's time is 0 where it can't be asked for: the last second of the calendar."""
    version = item.version or format_timestamp(from_micros(added))
    digest = bytes.fromhex(item.digest)
    raw = None if stored is not None else item.content
    return (ally, seq, item.id, item.type, version, microseconds(version), added, digest, stored, raw)
