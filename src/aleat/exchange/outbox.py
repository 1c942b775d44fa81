"""What is said: requests, offers, acceptances, refusals, help that comes, results, closings; each a sealed file.

Every function takes a `Desk`, needs the role of a releaser, and returns a `Sent` (see `aleat.exchange.sending`). What
a person writes into a message is that person's to answer for; objects pass the gate (`aleat.exchange.giving`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from aleat.errors import NotPermittedError, TrustError
from aleat.exchange.desk import Desk
from aleat.exchange.messages import (
    Acceptance,
    Affected,
    Closing,
    Delivery,
    Help,
    Message,
    Offer,
    PermissionRequest,
    Refusal,
    Request,
    Results,
    Retraction,
)
from aleat.exchange.permissions import settle_permissions
from aleat.exchange.sending import Sent, answered, message_head, new_id, other_side, recipient_of, say, thread_of
from aleat.exchange.threads import FOLLOWS, Thread

__all__ = ["accept", "answer_in_words", "ask", "close_thread", "deliver_help", "offer", "refuse", "retract"]


_ENDED = ("closed", "refused", "taken-back")


def ask(
    desk: Desk, ally: str, *, title: str, affected: Affected, impact: str, needs: Sequence[str], **fields: Any
) -> Sent:
    """Ask an ally for support in incident response; `fields` are further ones of `Request`."""
    to = recipient_of(desk, ally)
    id_ = new_id()
    head = message_head(desk, to.identity, id_, id_)
    request = Request(**{**head, **fields}, title=title, affected=affected, impact=impact, needs=tuple(needs))
    return say(desk, to, (request,))


def offer(desk: Desk, ally: str, *, what: str, of: str | None = None, **fields: Any) -> Sent:
    """Offer something to an ally, unasked or in answer to its request `of`; `fields` are further ones of `Offer`."""
    to = recipient_of(desk, ally)
    id_ = new_id()
    thread = thread_of(desk, of).id if of is not None else id_
    head = message_head(desk, to.identity, thread, id_)
    return say(desk, to, (Offer(**{**head, **fields}, what=what, of=of),))


def accept(desk: Desk, of: str, *, remarks: str = "") -> Sent:
    """Accept an ally's offer, or take on its request; an offer only up to its last day, and while it stands."""
    thread, to = answered(desk, of)
    _require_open(thread)
    found = next(item for item in thread.messages if item.id == of)
    if isinstance(found, PermissionRequest):
        raise TrustError("A permission request is permitted or refused: aleat permit --request, aleat refuse.")
    if isinstance(found, Offer):
        if found not in thread.standing_offers:
            raise TrustError("That offer was refused or taken back. Ask for a new one.")
        if found.valid_until is not None and desk.time.date() > found.valid_until:
            raise TrustError(f"That offer ended on {found.valid_until}. Ask for a new one.")
    return say(desk, to, (Acceptance(**message_head(desk, to.identity, thread.id), of=of, remarks=remarks),))


def refuse(desk: Desk, of: str, *, reason: str) -> Sent:
    """Refuse an ally's offer, or its request for support, information or permission; it wins over an acceptance."""
    thread, to = answered(desk, of)
    _require_open(thread)
    return say(desk, to, (Refusal(**message_head(desk, to.identity, thread.id), of=of, reason=reason),))


def retract(desk: Desk, of: str, *, reason: str) -> Sent:
    """Take back what we said: a request, an offer, an acceptance, a permission. What was given stays given."""
    thread = thread_of(desk, of)
    found = next((item for item in thread.messages if item.id == of), None)
    if found is None or found.sender != desk.own:
        raise NotPermittedError("That message is not ours to take back.")
    if not isinstance(found, FOLLOWS[Retraction][0].answers):
        raise TrustError("What was given or answered can't be taken back. Withdraw it: aleat withdraw.")
    to = other_side(desk, thread)
    sent = say(desk, to, (Retraction(**message_head(desk, to.identity, thread.id), of=of, reason=reason),))
    settle_permissions(desk, [thread.id])
    return sent


def deliver_help(
    desk: Desk,
    ally: str,
    *,
    what: str,
    of: str | None = None,
    kinds: Sequence[Help] = ("people",),
    people: Sequence[str] = (),
    begins: date | None = None,
    ends: date | None = None,
) -> Sent:
    """Say that people, tools or other help come, in answer to `of`; without one it is an offer itself."""
    to = recipient_of(desk, ally)
    if begins is not None and ends is not None and ends < begins:
        raise TrustError("It ends before it begins.")
    messages: list[Message] = []
    if of is None:
        of = thread = new_id()
        offered = message_head(desk, to.identity, thread, of)
        messages.append(Offer(**offered, what=what, kinds=tuple(kinds), people=tuple(people)))
    else:
        thread = thread_of(desk, of).id
    head = message_head(desk, to.identity, thread)
    given = Delivery(**head, of=of, what=what, kinds=tuple(kinds), people=tuple(people), begins=begins, ends=ends)
    return say(desk, to, (*messages, given))


def answer_in_words(desk: Desk, delivery: str, *, what: str, lessons: str = "", outcome: str | None = None) -> Sent:
    """Say what came of a delivery of people, tools or playbooks; with an `outcome`, the thread is closed by it."""
    thread, to = answered(desk, delivery)
    messages: list[Message] = [
        Results(**message_head(desk, to.identity, thread.id), of=delivery, what=what, lessons=lessons)
    ]
    if outcome is not None:
        messages.append(Closing(**message_head(desk, to.identity, thread.id), outcome=outcome, lessons=lessons))
    return say(desk, to, tuple(messages))


def close_thread(desk: Desk, thread: str, *, outcome: str, lessons: str = "", provided: str = "") -> Sent:
    """End a thread: what was provided, what came of it, what was learned."""
    found = thread_of(desk, thread)
    to = other_side(desk, found)
    head = message_head(desk, to.identity, found.id)
    return say(desk, to, (Closing(**head, outcome=outcome, lessons=lessons, provided=provided),))


def _require_open(thread: Thread) -> None:
    if thread.state in _ENDED:
        raise TrustError(f"That is {thread.state}: an answer would change nothing. See: aleat asks {thread.id}.")
