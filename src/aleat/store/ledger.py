"""Append-only, hash-chained ledgers, written in the transaction that they record.

The chain's mathematics are `aleat.trust.chain`; this file only keeps the rows. An entry is appended with the
connection of the transaction that it is about, so that neither can be there without the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from aleat.errors import IntegrityError
from aleat.stix.canonical import canonical_json
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.trust.chain import GENESIS, ChainFault, Entry, Head, check_chain, make_entry
from aleat.trust.keys import PublicKey, SigningKey

__all__ = ["LEDGERS", "append_entry", "entry_hash", "export_ledger", "ledger_head", "read_entries", "verify_ledger"]

LEDGERS = ("custody", "decisions", "release", "exchange")
"""custody: what came in; decisions: who decided what; release: what left; exchange: asks, gives, answers."""

ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("ledger", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("previous", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
    sa.Column("key_id", sa.String, nullable=False),
)


def append_entry(
    connection: sa.Connection,
    ledger: str,
    kind: str,
    data: dict[str, Any],
    *,
    actor: str,
    time: datetime,
    key: SigningKey,
) -> Entry:
    """Append one signed entry to `ledger` within the caller's transaction, and return it."""
    head = ledger_head(connection, ledger)
    previous = head.hash if head.entries else GENESIS
    entry = make_entry(ledger, head.entries + 1, format_timestamp(time), actor, kind, data, previous, key)
    row = {**msgspec.structs.asdict(entry), "data": canonical_json(entry.data)}
    connection.execute(ledger_entries.insert(), row)
    return entry


def ledger_head(connection: sa.Connection, ledger: str) -> Head:
    """Return the end of `ledger`; an empty one has 0 entries and the genesis hash."""
    row = connection.execute(
        sa.select(ledger_entries.c.seq, ledger_entries.c.hash)
        .where(ledger_entries.c.ledger == ledger)
        .order_by(ledger_entries.c.seq.desc())
        .limit(1)
    ).first()
    return Head(ledger, row.seq, row.hash) if row else Head(ledger, 0, GENESIS)


def entry_hash(connection: sa.Connection, ledger: str, seq: int) -> str | None:
    """Return the hash of entry `seq` of `ledger`, or None where there is no such entry."""
    where = (ledger_entries.c.ledger == ledger) & (ledger_entries.c.seq == seq)
    return connection.execute(sa.select(ledger_entries.c.hash).where(where)).scalar()


def read_entries(
    connection: sa.Connection, ledger: str, kind: str | None = None, *, since: str = ""
) -> Iterator[Entry]:
    """Yield the entries of `ledger` in order, of one `kind` if given, `since` a time; a changed one: `IntegrityError`.

    `since` is written as entries' times are: see `format_timestamp`.
    """
    query = sa.select(ledger_entries).where(ledger_entries.c.ledger == ledger).order_by(ledger_entries.c.seq)
    if kind is not None:
        query = query.where(ledger_entries.c.kind == kind)
    if since:
        query = query.where(ledger_entries.c.time >= since)
    for row in connection.execute(query):
        values = dict(row._mapping)
        try:
            values["data"] = orjson.loads(values["data"])
        except orjson.JSONDecodeError as error:
            raise IntegrityError(f"The content of {ledger} entry {row.seq} was changed. See: aleat verify.") from error
        yield Entry(**values)


def verify_ledger(
    connection: sa.Connection, ledger: str, keys: Mapping[str, PublicKey], head: Head | None = None
) -> Iterator[ChainFault]:
    """Yield every fault of `ledger`, also against an exported `head`."""
    query = sa.select(ledger_entries).where(ledger_entries.c.ledger == ledger).order_by(ledger_entries.c.seq)
    entries: list[Entry] = []
    for row in connection.execute(query):
        values = dict(row._mapping)
        try:
            data = orjson.loads(values["data"])
        except orjson.JSONDecodeError:
            yield ChainFault(ledger, row.seq, "its content was changed (no JSON)")
            data = {}
        if canonical_json(data) != values["data"]:
            yield ChainFault(ledger, row.seq, "its content was changed (not in canonical form)")
        values["data"] = data
        entries.append(Entry(**values))
    yield from check_chain(ledger, entries, keys, head)


def export_ledger(connection: sa.Connection, ledger: str) -> Iterator[bytes]:
    """Yield `ledger` as JSON lines in canonical form."""
    for entry in read_entries(connection, ledger):
        yield canonical_json(msgspec.structs.asdict(entry)) + b"\n"
