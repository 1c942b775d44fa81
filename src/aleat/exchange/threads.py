"""The state of a thread, folded from its messages: the same on both sides, in whatever order they came.

A message counts if the one it answers is there and its sender may send it; one that doesn't is listed as a
fault, and waits: when the missing message comes, the fold gives another answer. Folding twice gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from aleat.exchange.messages import (
    Acceptance,
    Closing,
    Delivery,
    Findings,
    Message,
    Offer,
    Receipt,
    Refusal,
    Request,
    Withdrawal,
)

__all__ = ["State", "Thread", "ThreadFault", "fold_thread", "fold_threads"]

State = Literal[
    "asked", "offered", "accepted", "refused", "delivered", "answered", "closed", "withdrawn", "incomplete"
]
"""A thread that is a withdrawal of objects, and nothing else, is "withdrawn"."""


class ThreadFault(msgspec.Struct, frozen=True):
    """A message that doesn't count: "no-root", "answers-nothing", "not-theirs" (its sender may not send it)."""

    message: str
    reason: Literal["no-root", "answers-nothing", "not-theirs"]


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """One thread: its state, and the messages that count, in order of their time."""

    id: str
    state: State
    messages: tuple[Message, ...]
    faults: tuple[ThreadFault, ...] = ()

    @property
    def root(self) -> Message | None:
        """The request or offer that it began with."""
        return next((item for item in self.messages if item.id == self.id), None)

    def last(self, kind: type[msgspec.Struct]) -> Message | None:
        """Return the latest message of a kind, or None."""
        return next((item for item in reversed(self.messages) if isinstance(item, kind)), None)


_ORDER = (Request, Offer, Acceptance, Refusal, Delivery, Findings, Withdrawal, Receipt, Closing)
"""A message answers only messages of kinds before its own."""


def fold_threads(messages: Iterable[Message]) -> tuple[Thread, ...]:
    """Return all threads, by the time and id of their first message."""
    groups: dict[str, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.thread, []).append(message)
    threads = [fold_thread(id_, group) for id_, group in groups.items()]
    return tuple(sorted(threads, key=lambda item: (item.messages[0].time if item.messages else "~", item.id)))


def fold_thread(id_: str, messages: Iterable[Message]) -> Thread:
    """Return the thread `id_` of these messages, whatever their order."""
    waiting = sorted({item.id: item for item in messages}.values(), key=lambda item: (item.time, item.id))
    counted: dict[str, Message] = {}
    faults: list[ThreadFault] = []
    for kind in _ORDER:
        for message in waiting:
            if type(message) is kind:
                fault = _fault(message, id_, counted)
                if fault is None:
                    counted[message.id] = message
                else:
                    faults.append(fault)
    ordered = tuple(item for item in waiting if item.id in counted)
    return Thread(id=id_, state=_state(ordered), messages=ordered, faults=tuple(faults))


def _fault(message: Message, thread: str, counted: dict[str, Message]) -> ThreadFault | None:
    if message.id == thread and isinstance(message, Request | Offer | Withdrawal):
        return None
    root = counted.get(thread)
    if root is None:
        return ThreadFault(message.id, "no-root")
    if {message.sender, message.recipient} != {root.sender, root.recipient}:
        return ThreadFault(message.id, "not-theirs")
    if isinstance(message, Closing | Withdrawal):
        return None
    return _fault_of_answer(message, counted)


def _fault_of_answer(message: Message, counted: dict[str, Message]) -> ThreadFault | None:
    answered = counted.get(getattr(message, "of", None) or "")
    if answered is None or not isinstance(answered, _ANSWERS.get(type(message), ())):
        return ThreadFault(message.id, "answers-nothing")
    # An offer that was taken is delivered by the one who made it; all else is the other side's to send.
    by_its_maker = isinstance(message, Delivery) and isinstance(answered, Offer)
    rightful = answered.sender if by_its_maker else answered.recipient
    return None if message.sender == rightful else ThreadFault(message.id, "not-theirs")


_ANSWERS: dict[type[msgspec.Struct], tuple[type[msgspec.Struct], ...]] = {
    Offer: (Request,),
    Acceptance: (Request, Offer),
    Refusal: (Request, Offer),
    Delivery: (Request, Offer),
    Findings: (Delivery,),
    Receipt: (Delivery, Findings, Withdrawal),
}


_LATEST_FIRST: tuple[tuple[type[msgspec.Struct], State], ...] = (
    (Closing, "closed"),
    (Findings, "answered"),
    (Delivery, "delivered"),
    (Acceptance, "accepted"),
)


def _state(messages: tuple[Message, ...]) -> State:
    kinds = {type(item) for item in messages}
    for kind, state in _LATEST_FIRST:
        if kind in kinds:
            return state
    offers = {item.id for item in messages if isinstance(item, Offer)}
    roots = {item.id for item in messages if isinstance(item, Request)}
    refused = {item.of for item in messages if isinstance(item, Refusal)}
    if roots & refused or (offers and offers <= refused):
        return "refused"
    if offers:
        return "offered"
    if roots:
        return "asked"
    return "withdrawn" if Withdrawal in kinds else "incomplete"
