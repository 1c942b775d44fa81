"""The post box: sealed files that wait to be fetched or pushed, and those that came and wait to be opened.

```
post   a letter to an ally that carries a sealed file of ours, or a piece of one, kept in the transaction that gives the
       file its number: its id, its payload, its place in the ally's collection of messages, and how it first went out
mail   a letter that came and isn't opened yet, with what stood against that at the last attempt
```

A letter stays in its collection for some time after it went out, so that an ally whose line broke can fetch it again;
then its bytes are dropped, the row stays. What came leaves `mail` in the transaction that keeps what is inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from aleat.errors import InputError
from aleat.stix.times import format_micros
from aleat.store.database import metadata
from aleat.store.decisions import releases
from aleat.store.exchanges import sealed_files
from aleat.store.shelves import ShelfPage, ShelfQuery, ShelfRow
from aleat.times import micros_of

__all__ = [
    "KEPT_DAYS",
    "MailRow",
    "PostRow",
    "add_mail",
    "add_post",
    "drop_mail",
    "is_known",
    "mark_posted",
    "note_refusal",
    "read_letters",
    "read_mail",
    "read_payload",
    "read_post",
    "read_waiting",
]

KEPT_DAYS = 30
"""How long a letter's bytes stay after it went out first; how long what came and can't be opened is kept."""

_MAX_WAITING = 10_000
_MAX_WAITING_BYTES = 2 * 1024**3

post = sa.Table(
    "post",
    metadata,
    sa.Column("ally", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("file", sa.String, sa.ForeignKey("sealed_files.file"), nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("piece", sa.Integer, nullable=False),
    sa.Column("pieces", sa.Integer, nullable=False),
    sa.Column("letter", sa.String, nullable=False, unique=True),
    sa.Column("release", sa.String, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary),
    sa.Column("added", sa.BigInteger, nullable=False),  # microseconds since 1970, growing with `seq`
    sa.Column("gone", sa.BigInteger),
    sa.Column("how", sa.String, nullable=False),
)

mail = sa.Table(
    "mail",
    metadata,
    sa.Column("sha256", sa.String, primary_key=True),  # of the payload
    sa.Column("box", sa.String, nullable=False),
    sa.Column("letter", sa.String, nullable=False),
    sa.Column("part_of", sa.String, nullable=False),  # the same for all pieces of a file
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("came", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
)


Carrier = Callable[[str, bytes], bytes]
"""What makes the object that carries a sealed file, of the letter's id and the file."""


class PostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A letter of ours in the post box; times are STIX timestamps, `gone` empty while it waits.

    `file` and `name` are those of the sealed file, of which it carries `piece` of `pieces`; `letter` is its artifact's
    id, `size` in bytes, `how` it went out first: "fetched", or "pushed to URL".
    """

    ally: str
    seq: int
    file: str
    name: str
    piece: int
    pieces: int
    letter: str
    release: str
    size: int
    added: str
    gone: str
    how: str


class MailRow(msgspec.Struct, frozen=True):
    """A letter that came and isn't opened: into which `box` (a collection's URL), and why not ("": nobody tried yet).

    `part_of` is the same for all pieces of a file, and empty where it carries a whole one.
    """

    sha256: str
    box: str
    letter: str
    part_of: str
    size: int
    came: str
    reason: str


def add_post(
    connection: sa.Connection,
    ally: str,
    *,
    file: str,
    name: str,
    release: str,
    letters: Sequence[tuple[str, bytes]],
    time: datetime,
) -> None:
    """Put a sealed file into the post box, in the transaction that records it; drop bytes that went out long ago.

    `letters` are ids and payloads, one for each piece of the file.
    """
    last = connection.execute(
        sa.select(post.c.seq, post.c.added).where(post.c.ally == ally).order_by(post.c.seq.desc()).limit(1)
    ).first()
    seq, added = (0, 0) if last is None else (last.seq, last.added)
    added = max(added, micros_of(time) - 1)
    common: dict[str, Any] = {"ally": ally, "file": file, "name": name, "pieces": len(letters), "release": release}
    common |= {"gone": None, "how": ""}
    for piece, (letter, data) in enumerate(letters, 1):
        row = {"seq": seq + piece, "piece": piece, "letter": letter, "size": len(data), "data": data}
        connection.execute(post.insert(), {**common, **row, "added": added + piece})
    old = micros_of(time - timedelta(days=KEPT_DAYS))
    connection.execute(sa.update(post).where(post.c.gone < old).values(data=None))


def read_post(connection: sa.Connection, ally: str | None = None, *, waiting: bool = False) -> Iterator[PostRow]:
    """Yield the letters in the post box (for `ally`; `waiting`: what went out by no way yet), in order."""
    columns = [column for column in post.c if column.name != "data"]
    query = sa.select(*columns).order_by(post.c.ally, post.c.seq)
    if ally is not None:
        query = query.where(post.c.ally == ally)
    if waiting:
        query = query.where(post.c.gone.is_(None), post.c.release.not_in(_withdrawn()))
    for row in connection.execute(query).fetchall():
        values: dict[str, Any] = dict(row._mapping)
        values |= {"added": format_micros(row.added), "gone": "" if row.gone is None else format_micros(row.gone)}
        yield PostRow(**values)


def read_payload(connection: sa.Connection, letter: str) -> bytes | None:
    """Return what a letter in the post box carries, or None where that was dropped."""
    data = connection.execute(sa.select(post.c.data).where(post.c.letter == letter)).scalar()
    return None if data is None else bytes(data)


def read_letters(
    connection: sa.Connection, ally: str, query: ShelfQuery, *, kept_back: Collection[str], carry: Carrier
) -> tuple[ShelfPage, frozenset[str]]:
    """Return a page of the letters to `ally` that are there, and the ids of the sealed files that are on it.

    Letters with a release of `kept_back` are left out. `carry` makes an object of a letter's id and payload. A letter's
    version is the time at which it was added.
    """
    rows: list[ShelfRow] = []
    files: set[str] = set()
    size = 0
    for row in connection.execute(_letters(ally, query, kept_back)):
        length = row.size * 4 // 3 + 500
        if len(rows) >= query.limit or (rows and query.raw and size + length > query.max_bytes):
            return ShelfPage(tuple(rows), True), frozenset(files)
        size += length
        raw = b""
        if query.raw:
            raw = carry(row.letter, read_payload(connection, row.letter) or b"")
            files.add(row.file)
        rows.append(ShelfRow(row.seq, row.letter, format_micros(row.added), row.added, raw))
    return ShelfPage(tuple(rows), False), frozenset(files)


def _letters(ally: str, query: ShelfQuery, kept_back: Collection[str]) -> sa.Select[Any]:
    columns = [post.c[name] for name in ("seq", "file", "letter", "size", "added")]
    chosen = sa.select(*columns).where(post.c.ally == ally, post.c.seq > query.after, post.c.data.is_not(None))
    chosen = chosen.where(post.c.release.not_in(_withdrawn()), post.c.release.not_in(sorted(kept_back)))
    if query.added_after is not None:
        chosen = chosen.where(post.c.added > query.added_after)
    if query.ids is not None:
        chosen = chosen.where(post.c.letter.in_(sorted(query.ids)))
    if query.types is not None and "artifact" not in query.types:
        chosen = chosen.where(sa.false())
    if query.versions is not None:
        chosen = chosen.where(post.c.added.in_(sorted(query.versions)))
    return chosen.order_by(post.c.seq).limit(query.limit + 1)


def mark_posted(connection: sa.Connection, letters: Collection[str], how: str, *, time: datetime) -> None:
    """Note that letters went out; the first time counts."""
    if letters:
        chosen = post.c.letter.in_(sorted(letters)) & post.c.gone.is_(None)
        connection.execute(sa.update(post).where(chosen).values(gone=micros_of(time), how=how))


def _withdrawn() -> sa.Select[Any]:
    """Select the releases of ours that were withdrawn: a letter that carries one goes out no more."""
    return sa.select(releases.c.id).where(releases.c.withdrawn.is_not(None))


def add_mail(
    connection: sa.Connection, data: bytes, *, box: str, letter: str, part_of: str = "", time: datetime
) -> bool:
    """Keep a letter's payload that came, unopened; False where it is here already.

    Raises `InputError` where too many wait already.
    """
    digest = hashlib.sha256(data).hexdigest()
    if connection.execute(sa.select(mail.c.sha256).where(mail.c.sha256 == digest)).first() is not None:
        return False
    old = micros_of(time - timedelta(days=KEPT_DAYS))
    connection.execute(sa.delete(mail).where(mail.c.came < old, (mail.c.reason != "") | (mail.c.part_of != "")))
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(mail.c.size), 0))
    count, size = connection.execute(query.select_from(mail)).one()
    if count >= _MAX_WAITING or size + len(data) > _MAX_WAITING_BYTES:
        raise InputError(
            f"{count:,} letters wait to be opened; there is no room for more.",
            advice="Open them, or see why they can't be: aleat receive.",
        )
    row = {"sha256": digest, "box": box, "letter": letter, "part_of": part_of, "data": data, "size": len(data)}
    connection.execute(mail.insert(), {**row, "reason": "", "came": micros_of(time)})
    return True


def is_known(connection: sa.Connection, digest: str) -> bool:
    """Tell whether the sealed file with this SHA-256 was opened before, or is one of ours."""
    where = sealed_files.c.sha256 == digest
    return connection.execute(sa.select(sealed_files.c.file).where(where)).first() is not None


def read_mail(connection: sa.Connection) -> tuple[MailRow, ...]:
    """Return what came and isn't opened, in the order in which it came."""
    columns = [mail.c[name] for name in MailRow.__struct_fields__]
    rows = connection.execute(sa.select(*columns).order_by(mail.c.came, mail.c.sha256))
    return tuple(
        MailRow(row.sha256, row.box, row.letter, row.part_of, row.size, format_micros(row.came), row.reason)
        for row in rows
    )


def read_waiting(connection: sa.Connection, digest: str) -> bytes | None:
    """Return the payload of a letter that waits to be opened, or None where it no longer does."""
    data = connection.execute(sa.select(mail.c.data).where(mail.c.sha256 == digest)).scalar()
    return None if data is None else bytes(data)


def note_refusal(connection: sa.Connection, digest: str, reason: str) -> None:
    """Keep why a letter could not be opened."""
    connection.execute(sa.update(mail).where(mail.c.sha256 == digest).values(reason=reason))


def drop_mail(connection: sa.Connection, digests: Collection[str]) -> None:
    """Take letters out, in the transaction that keeps what was inside."""
    connection.execute(sa.delete(mail).where(mail.c.sha256.in_(sorted(digests))))
