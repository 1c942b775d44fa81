"""What a thread waits for, how its messages hang together, and what one thread led to in another.

Pure but for `links`, which reads what is recorded. Nothing here changes a state: days that pass are told, and decide
nothing (an offer whose last day is over is still "offered", and waits for its maker).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec

from aleat.exchange.messages import (
    Acceptance,
    Delivery,
    Findings,
    Grant,
    Inquiry,
    Message,
    Offer,
    PermissionRequest,
    Request,
    Results,
    read_message,
)
from aleat.exchange.threads import Thread
from aleat.store.database import Connection
from aleat.store.decisions import permissions_used
from aleat.store.exchanges import read_messages

__all__ = ["AskRow", "Link", "Step", "Word", "links", "next_step", "tree"]

Word = Literal["answer", "hunt", "permit", "decide", "deliver", "release", "renew", "close"]


class Step(msgspec.Struct, frozen=True):
    """Whose turn it is (an identity), to do what, about which message, until which day."""

    who: str
    what: Word
    message: str
    due: date | None = None

    def overdue(self, today: date) -> bool:
        """Say whether the day is over."""
        return self.due is not None and today > self.due


class Link(msgspec.Struct, frozen=True):
    """A permission's thread, and the thread in which something was given on it."""

    permission: str
    given: str
    release: str


class AskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thread as the ledger of asks shows it."""

    thread: Thread
    step: Step | None = None
    links: tuple[Link, ...] = ()


def next_step(thread: Thread, today: date) -> Step | None:
    """Return what the thread waits for; None where it waits for nothing."""
    find = {
        "asked": _of_asked,
        "offered": _of_offered,
        "accepted": _of_accepted,
        "delivered": _of_delivered,
        "permitted": _of_permitted,
        "answered": _of_answered,
    }.get(thread.state)
    return find(thread, today) if find is not None else None


def tree(thread: Thread) -> tuple[tuple[int, Message], ...]:
    """Return the messages that count, each under the one it answers, with its depth; siblings by their time."""
    ids = {item.id for item in thread.messages}
    below: dict[str, list[Message]] = {}
    for item in thread.messages:
        if item.id != thread.id:
            parent = getattr(item, "of", None)
            below.setdefault(parent if parent in ids else thread.id, []).append(item)

    def walk(message: Message, depth: int) -> Iterator[tuple[int, Message]]:
        yield depth, message
        for item in below.get(message.id, ()):
            yield from walk(item, depth + 1)

    return tuple(walk(thread.root, 0)) if thread.root is not None else ()


def links(connection: Connection) -> tuple[Link, ...]:
    """Return which threads gave something on which threads' permission, as our releases record it."""
    used = list(permissions_used(connection))
    if not used:
        return ()
    messages = [read_message(row) for row in read_messages(connection)]
    grants = {item.permission: item.thread for item in messages if isinstance(item, Grant)}
    given = {item.release: item.thread for item in messages if isinstance(item, Delivery) and item.release}
    found = {
        Link(grants[name], given[release], release) for release, name in used if name in grants and release in given
    }
    return tuple(sorted(found, key=lambda item: (item.permission, item.given, item.release)))


def _of_asked(thread: Thread, _: date) -> Step | None:
    root = thread.root
    if isinstance(root, PermissionRequest):
        return Step(root.recipient, "permit", root.id, root.until)
    if isinstance(root, Request | Inquiry):
        return Step(root.recipient, "hunt" if isinstance(root, Inquiry) else "answer", root.id, root.needed_by)
    return None


def _of_offered(thread: Thread, today: date) -> Step | None:
    offers = sorted(thread.standing_offers, key=lambda item: (item.valid_until or date.max, item.id))
    open_ = [item for item in offers if item.valid_until is None or item.valid_until >= today]
    if open_:
        return Step(open_[0].recipient, "decide", open_[0].id, open_[0].valid_until)
    return Step(offers[0].sender, "renew", offers[0].id, offers[0].valid_until) if offers else None


def _of_accepted(thread: Thread, _: date) -> Step | None:
    by_id = {item.id: item for item in thread.messages}
    taken = [by_id[item.of] for item in thread.messages if isinstance(item, Acceptance) and item.of in by_id]
    if not taken:
        return None
    last = taken[-1]
    if isinstance(last, Offer):
        return Step(last.sender, "deliver", last.id)
    if isinstance(last, Inquiry):
        return Step(last.recipient, "hunt", last.id, last.needed_by)
    return Step(last.recipient, "deliver", last.id, getattr(last, "needed_by", None))


def _of_delivered(thread: Thread, _: date) -> Step | None:
    last = thread.last(Delivery)
    return Step(last.recipient, "answer", last.id) if isinstance(last, Delivery) else None


def _of_permitted(thread: Thread, _: date) -> Step | None:
    grant = max(thread.grants, key=lambda item: (item.valid_until, item.id), default=None)
    return Step(grant.recipient, "release", grant.id, grant.valid_until) if grant is not None else None


def _of_answered(thread: Thread, _: date) -> Step | None:
    last = thread.last(Findings) or thread.last(Results)
    if last is None or thread.root is None:
        return None
    asker = thread.root.recipient if isinstance(thread.root, Offer) else thread.root.sender
    return Step(asker, "close", last.id)
