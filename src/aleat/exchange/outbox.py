"""What is said: requests, offers, acceptances, refusals, closings, withdrawals; each a sealed file.

Every function takes a `Desk`, needs the role of a releaser, and returns a `Sent` (see `aleat.exchange.sending`). What
a person writes into a message is that person's to answer for; objects pass the gate (`aleat.exchange.giving`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aleat.errors import TrustError
from aleat.exchange.desk import Desk
from aleat.exchange.messages import (
    Acceptance,
    Affected,
    Closing,
    Delivery,
    Findings,
    Offer,
    Refusal,
    Request,
    Withdrawal,
    read_message,
)
from aleat.exchange.sending import Sent, answered, message_head, new_id, other_side, recipient_of, send, thread_of
from aleat.store.decisions import read_releases, record_withdrawal
from aleat.store.exchanges import read_messages

__all__ = ["accept", "ask", "close_thread", "offer", "refuse", "withdraw"]


def ask(
    desk: Desk,
    ally: str,
    *,
    title: str,
    affected: Affected,
    impact: str,
    needs: Sequence[str],
    planned_use: str = "",
    measures_taken: str = "",
    other_support: str = "",
) -> Sent:
    """Ask an ally for support in incident response."""
    to = recipient_of(desk, ally)
    id_ = new_id()
    request = Request(
        **message_head(desk, to.identity, id_, id_),
        title=title,
        affected=affected,
        impact=impact,
        needs=tuple(needs),
        planned_use=planned_use,
        measures_taken=measures_taken,
        other_support=other_support,
    )
    return send(desk, to, (request,))


def offer(desk: Desk, ally: str, *, what: str, of: str | None = None, **fields: Any) -> Sent:
    """Offer something to an ally, unasked or in answer to its request `of`; `fields` are further ones of `Offer`."""
    to = recipient_of(desk, ally)
    id_ = new_id()
    thread = thread_of(desk, of).id if of is not None else id_
    return send(desk, to, (Offer(**message_head(desk, to.identity, thread, id_), what=what, of=of, **fields),))


def accept(desk: Desk, of: str, *, remarks: str = "") -> Sent:
    """Accept an ally's offer, or take on its request."""
    thread, to = answered(desk, of)
    return send(desk, to, (Acceptance(**message_head(desk, to.identity, thread.id), of=of, remarks=remarks),))


def refuse(desk: Desk, of: str, *, reason: str) -> Sent:
    """Refuse an ally's offer or request."""
    thread, to = answered(desk, of)
    return send(desk, to, (Refusal(**message_head(desk, to.identity, thread.id), of=of, reason=reason),))


def close_thread(desk: Desk, thread: str, *, outcome: str, lessons: str = "") -> Sent:
    """End a thread."""
    found = thread_of(desk, thread)
    to = other_side(desk, found)
    closing = Closing(**message_head(desk, to.identity, found.id), outcome=outcome, lessons=lessons)
    return send(desk, to, (closing,))


def withdraw(desk: Desk, release: str, *, reason: str) -> Sent:
    """Withdraw a release of ours, and tell its recipient."""
    row = next((item for item in read_releases(desk.connection) if item.id == release), None)
    if row is None:
        raise TrustError(f"There is no release {release}. See: aleat preview.")
    thread = next(
        (
            item.thread
            for item in map(read_message, read_messages(desk.connection))
            if isinstance(item, Delivery | Findings) and item.release == release and item.sender == desk.own
        ),
        None,
    )
    if thread is None:
        raise TrustError(f"The release {release} was never sent.")
    to = recipient_of(desk, row.recipient)
    record_withdrawal(desk.connection, release, reason, actor=desk.actor, time=desk.time, key=desk.key)
    return send(desk, to, (Withdrawal(**message_head(desk, to.identity, thread), release=release, reason=reason),))
