"""Corrections of clocks, as analysts decided them: entries of the decisions ledger, and nothing else.

A correction is never deleted: undone, the ledger says when, by whom and why.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from aleat.errors import TrustError
from aleat.stix.times import format_timestamp
from aleat.store.decisions import require
from aleat.store.ledger import append_entry, read_entries
from aleat.trust.keys import SigningKey

__all__ = ["ClockCorrection", "put_correction", "read_corrections", "undo_correction"]


class ClockCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """A clock that is `offset` microseconds ahead (negative: behind): its times are put back by so much.

    `clock` is a host in lower case, or ``source:PATH``; `undone` is None while it counts.
    """

    id: str
    clock: str
    offset: int
    reason: str
    author: str
    time: str
    undone: str | None = None


def put_correction(connection: sa.Connection, row: ClockCorrection, *, time: datetime, key: SigningKey) -> None:
    """Keep a correction by `row.author`, who must be an analyst; one in force for the clock is undone by it."""
    require(connection, row.author, "analyst")
    for old in read_corrections(connection):
        if old.clock == row.clock and old.undone is None:
            undo_correction(connection, old.id, "replaced", actor=row.author, time=time, key=key)
    data = {"clock": row.clock, "correction": row.id, "offset": row.offset, "reason": row.reason}
    append_entry(connection, "decisions", "clock-set", data, actor=row.author, time=time, key=key)


def undo_correction(
    connection: sa.Connection, identifier: str, reason: str, *, actor: str, time: datetime, key: SigningKey
) -> ClockCorrection:
    """Undo a correction (its id, the beginning of one, or the clock); raises `TrustError` where none is in force."""
    require(connection, actor, "analyst")
    rows = [row for row in read_corrections(connection) if row.undone is None]
    found = [row for row in rows if row.clock == identifier.casefold() or row.clock == identifier]
    found = found or [row for row in rows if identifier and row.id.startswith(identifier)]
    if len(found) != 1:
        raise TrustError(f"{identifier[:60]!r} is no correction in force. `aleat clocks list` lists them.")
    data = {"correction": found[0].id, "reason": reason}
    append_entry(connection, "decisions", "clock-undone", data, actor=actor, time=time, key=key)
    return msgspec.structs.replace(found[0], undone=format_timestamp(time))


def read_corrections(connection: sa.Connection) -> tuple[ClockCorrection, ...]:
    """Return all corrections, undone ones too, in order of time."""
    found: dict[str, ClockCorrection] = {}
    for entry in read_entries(connection, "decisions", "clock-set"):
        data = entry.data
        found[data["correction"]] = ClockCorrection(
            id=data["correction"],
            clock=data["clock"],
            offset=data["offset"],
            reason=data["reason"],
            author=entry.actor,
            time=entry.time,
        )
    for entry in read_entries(connection, "decisions", "clock-undone"):
        name = entry.data["correction"]
        if name in found:
            found[name] = msgspec.structs.replace(found[name], undone=entry.time)
    return tuple(found.values())
