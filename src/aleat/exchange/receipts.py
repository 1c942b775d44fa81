"""Receipts: who opened a delivery, findings or a withdrawal says so, and both sides keep it.

A receipt goes with the next file to its ally, whatever that is; `acknowledge` makes a file of nothing else. It says
that the file was opened and kept, not that anything was done with it.
"""

from __future__ import annotations

import msgspec

from aleat.exchange.messages import Delivery, Findings, Message, Receipt, Withdrawal, read_message
from aleat.store.database import Connection
from aleat.store.exchanges import read_files, read_messages

__all__ = ["WithdrawalRow", "owed_receipts", "withdrawals"]

_MOST = 50  # in one file; the rest goes with the next
_RECEIPTED = (Delivery, Findings, Withdrawal)


class WithdrawalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A withdrawal of ours: whom it was sent to, when, of what, why, and when its receipt says it was opened."""

    ally: str
    time: str
    release: str
    objects: tuple[str, ...]
    reason: str
    received: str = ""


def owed_receipts(connection: Connection, own: str, peer: str) -> tuple[tuple[Message, str], ...]:
    """Return the messages of `peer` that we opened and have not receipted, with the SHA-256 of the file of each."""
    rows = list(read_messages(connection))
    given = {item.of for item in map(read_message, rows) if isinstance(item, Receipt) and item.sender == own}
    theirs = [row for row in rows if row.sender == peer and row.id not in given]
    found = [(item, row.file) for row in theirs if isinstance(item := read_message(row), _RECEIPTED)][:_MOST]
    if not found:
        return ()
    hashes = {file.file: file.sha256 for file in read_files(connection, peer)}
    return tuple((item, hashes[file]) for item, file in found)


def withdrawals(connection: Connection, own: str) -> tuple[WithdrawalRow, ...]:
    """Return what we withdrew, ally by ally, by time."""
    messages = [read_message(row) for row in read_messages(connection)]
    receipts = {item.of: item.time for item in messages if isinstance(item, Receipt) and item.recipient == own}
    return tuple(
        WithdrawalRow(
            ally=item.recipient,
            time=item.time,
            release=item.release,
            objects=item.objects,
            reason=item.reason,
            received=receipts.get(item.id, ""),
        )
        for item in messages
        if isinstance(item, Withdrawal) and item.sender == own
    )
