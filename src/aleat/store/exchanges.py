"""What passed between us and each ally: sealed files with their signed headers, and the messages in them.

Rows are added in one transaction with the ledger's entry (ledger "exchange"), and never changed. A file counts
once: its random id and its serial number are kept. What a message *means* is for `aleat.exchange`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
import sqlalchemy as sa

from aleat.errors import SealError
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.store.ledger import append_entry
from aleat.trust.chain import Entry
from aleat.trust.keys import SigningKey

__all__ = [
    "FileRow",
    "MessageRow",
    "add_withdrawn",
    "missing_serials",
    "next_serial",
    "read_files",
    "read_messages",
    "received_files",
    "record_file",
    "withdrawn_releases",
]

sealed_files = sa.Table(
    "sealed_files",
    metadata,
    sa.Column("file", sa.String, primary_key=True),
    sa.Column("direction", sa.String, nullable=False),
    sa.Column("peer", sa.String, nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("release", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("header", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("time", sa.String, nullable=False),
    sa.UniqueConstraint("direction", "peer", "serial"),
)

exchange_messages = sa.Table(
    "exchange_messages",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("thread", sa.String, nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("sender", sa.String, nullable=False),
    sa.Column("recipient", sa.String, nullable=False),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("file", sa.String, sa.ForeignKey("sealed_files.file"), nullable=False),
)

withdrawn = sa.Table(
    "withdrawn_releases",
    metadata,
    sa.Column("release", sa.String, primary_key=True),
    sa.Column("peer", sa.String, nullable=False),
    sa.Column("time", sa.String, nullable=False),
)


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed file that went out or came in; `header` and `signature` prove later what its sender signed."""

    file: str
    direction: str
    """"out" or "in"."""
    peer: str
    serial: int
    release: str
    sha256: str
    header: bytes
    signature: str
    manifest: bytes = b""
    """What the release in it holds, if there is one."""
    time: str = ""


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a thread as it was signed; `body` is canonical JSON."""

    id: str
    thread: str
    kind: str
    sender: str
    recipient: str
    time: str
    body: bytes
    file: str = ""


def next_serial(connection: sa.Connection, peer: str) -> int:
    """Return the number of the next file to `peer`."""
    query = sa.select(sa.func.max(sealed_files.c.serial)).where(
        sealed_files.c.direction == "out", sealed_files.c.peer == peer
    )
    return int(connection.scalar(query) or 0) + 1


def record_file(
    connection: sa.Connection,
    row: FileRow,
    messages: Iterable[MessageRow],
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
) -> Entry:
    """Keep a sealed file and its messages, and append the ledger's entry ("sent" or "received").

    A message that is here already stays as it is. Raises `SealError` where the file was here before, its serial
    number was used for another, or a message comes again with other content.
    """
    values = {**msgspec.structs.asdict(row), "time": format_timestamp(time)}
    same = sa.or_(
        sealed_files.c.file == row.file,
        (sealed_files.c.direction == row.direction)
        & (sealed_files.c.peer == row.peer)
        & (sealed_files.c.serial == row.serial),
    )
    known = connection.execute(sa.select(sealed_files.c.file).where(same)).first()
    if known is not None and known.file == row.file:
        raise SealError("This file was opened before: a file counts once.")
    if known is not None:
        raise SealError(
            f"The ally's file number {row.serial} came before, as another file. Ask the ally which one is right."
        )
    connection.execute(sealed_files.insert(), values)
    fresh: dict[str, str] = {}
    for message in messages:
        if _is_new(connection, message):
            connection.execute(exchange_messages.insert(), {**msgspec.structs.asdict(message), "file": row.file})
            fresh[message.id] = hashlib.sha256(message.body).hexdigest()
    data = {
        "file": row.file,
        "peer": row.peer,
        "serial": row.serial,
        "release": row.release,
        "sha256": row.sha256,
        "signature": row.signature,
        "messages": list(fresh),
        "bodies": list(fresh.values()),
    }
    kind = "sent" if row.direction == "out" else "received"
    return append_entry(connection, "exchange", kind, data, actor=actor, time=time, key=key)


def read_files(connection: sa.Connection, peer: str | None = None) -> Iterator[FileRow]:
    """Yield the files that went to and came from `peer` (or everybody), in order of time."""
    query = sa.select(sealed_files).order_by(sealed_files.c.time, sealed_files.c.file)
    if peer is not None:
        query = query.where(sealed_files.c.peer == peer)
    for row in connection.execute(query).fetchall():
        yield FileRow(**row._mapping)


def received_files(connection: sa.Connection) -> frozenset[str]:
    """Return the ids of all files that were opened."""
    query = sa.select(sealed_files.c.file).where(sealed_files.c.direction == "in")
    return frozenset(connection.scalars(query))


def missing_serials(connection: sa.Connection, peer: str) -> tuple[int, ...]:
    """Return the numbers of files of `peer` that must exist and have not come: lost, late, or kept back."""
    query = sa.select(sealed_files.c.serial).where(sealed_files.c.direction == "in", sealed_files.c.peer == peer)
    there = set(connection.scalars(query))
    return tuple(number for number in range(1, min(max(there, default=0), 100_000)) if number not in there)


def read_messages(connection: sa.Connection, thread: str | None = None) -> Iterator[MessageRow]:
    """Yield messages (of one `thread`, if given) in order of their own time."""
    query = sa.select(exchange_messages).order_by(exchange_messages.c.time, exchange_messages.c.id)
    if thread is not None:
        query = query.where(exchange_messages.c.thread == thread)
    for row in connection.execute(query).fetchall():
        yield MessageRow(**row._mapping)


def add_withdrawn(connection: sa.Connection, release: str, peer: str, *, time: datetime) -> None:
    """Note that `peer` has withdrawn one of its releases."""
    if release not in withdrawn_releases(connection, peer):
        row = {"release": release, "peer": peer, "time": format_timestamp(time)}
        connection.execute(withdrawn.insert(), row)


def withdrawn_releases(connection: sa.Connection, peer: str | None = None) -> frozenset[str]:
    """Return the releases that their senders (or `peer`) have withdrawn."""
    query = sa.select(withdrawn.c.release)
    if peer is not None:
        query = query.where(withdrawn.c.peer == peer)
    return frozenset(connection.scalars(query))


def _is_new(connection: sa.Connection, message: MessageRow) -> bool:
    known = connection.execute(sa.select(exchange_messages.c.body).where(exchange_messages.c.id == message.id)).first()
    if known is not None and known.body != message.body:
        raise SealError("A message came again with other content. Ask the ally which one is right.")
    return known is None
