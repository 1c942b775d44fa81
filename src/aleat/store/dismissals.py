"""Dismissals ("this is normal here") as a workspace keeps them: Sigma filters with author, time and reason.

A dismissal is never deleted: undone, it says when, by whom and why. Both are entries of the decisions ledger.
The table is made when it is first written to, so that workspaces from before it go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from aleat.errors import TrustError
from aleat.stix.times import format_timestamp
from aleat.store.database import metadata
from aleat.store.decisions import require
from aleat.store.ledger import append_entry, read_entries
from aleat.trust.keys import SigningKey

__all__ = ["DismissalRow", "put_dismissal", "read_dismissals", "undo_dismissal", "verify_dismissals"]

dismissals = sa.Table(
    "dismissals",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("time", sa.String, nullable=False),  # STIX timestamp
    sa.Column("undone", sa.String),
    sa.Column("undone_by", sa.String),
    sa.Column("undone_reason", sa.String),
)


class DismissalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dismissal: `rule` is the rule's own id, `text` the Sigma filter; `undone` is None while it counts."""

    id: str
    rule: str
    text: str
    reason: str
    author: str
    time: str
    undone: str | None = None
    undone_by: str | None = None
    undone_reason: str | None = None


def put_dismissal(connection: sa.Connection, row: DismissalRow, *, time: datetime, key: SigningKey) -> None:
    """Keep a dismissal of `row.author`, who must be an analyst, with its ledger entry."""
    require(connection, row.author, "analyst")
    dismissals.create(connection, checkfirst=True)
    connection.execute(dismissals.insert(), msgspec.structs.asdict(row))
    data = {"dismissal": row.id, "rule": row.rule, "reason": row.reason, "sha256": _digest(row.text)}
    append_entry(connection, "decisions", "dismissal", data, actor=row.author, time=time, key=key)


def undo_dismissal(
    connection: sa.Connection, identifier: str, reason: str, *, actor: str, time: datetime, key: SigningKey
) -> DismissalRow:
    """Undo a dismissal (an id, or the beginning of one); raises `TrustError` where none that counts is called so."""
    require(connection, actor, "analyst")
    found = [row for row in read_dismissals(connection) if row.undone is None and row.id.startswith(identifier)]
    if len(found) != 1 or not identifier:
        count = "several dismissals" if found else "no dismissal"
        raise TrustError(f"{identifier[:60]!r} is {count} in force. `aleat dismissals` lists them.")
    values = {"undone": format_timestamp(time), "undone_by": actor, "undone_reason": reason}
    connection.execute(sa.update(dismissals).where(dismissals.c.id == found[0].id).values(values))
    data = {"dismissal": found[0].id, "reason": reason}
    append_entry(connection, "decisions", "dismissal-undone", data, actor=actor, time=time, key=key)
    return msgspec.structs.replace(found[0], **values)


def read_dismissals(connection: sa.Connection) -> tuple[DismissalRow, ...]:
    """Return all dismissals, undone ones too, in order of time."""
    if not sa.inspect(connection).has_table(dismissals.name):
        return ()
    rows = connection.execute(sa.select(dismissals).order_by(dismissals.c.time, dismissals.c.id))
    return tuple(DismissalRow(**row._mapping) for row in rows)


def verify_dismissals(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (what, reason) for every dismissal that differs from what the decisions ledger says of it."""
    said: dict[str, tuple[str | None, ...]] = {}
    for entry in read_entries(connection, "decisions"):
        data = entry.data
        if entry.kind == "dismissal":
            made = (data["rule"], data["sha256"], data["reason"], entry.actor, entry.time)
            said[data["dismissal"]] = (*made, None, None, None)
        elif entry.kind == "dismissal-undone":
            known = said.get(data["dismissal"], ())[:5]
            said[data["dismissal"]] = (*known, entry.time, entry.actor, data["reason"])
    found = {
        row.id: (
            row.rule,
            _digest(row.text),
            row.reason,
            row.author,
            row.time,
            row.undone,
            row.undone_by,
            row.undone_reason,
        )
        for row in read_dismissals(connection)
    }
    for identifier in sorted(said.keys() | found.keys()):
        if said.get(identifier) != found.get(identifier):
            yield f"dismissal {identifier}", "Its row differs from what the ledger decided."


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
