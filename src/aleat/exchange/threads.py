"""The state of a thread, folded from its messages: the same on both sides, in whatever order they came.

A message counts if the one it answers is there and its sender may send it (`FOLLOWS`); one that doesn't is listed as
a fault, and waits: when the missing message comes, the fold gives another answer. Folding twice gives the same.

No clock decides between two messages, for clocks differ and jump. Where both sides acted at once, or two people of
one side differently, the careful word wins: what was taken back or refused was not accepted. What was given was
given: a delivery stands whatever was said beside it. The one date that counts is an offer's last day, against the
day on which its acceptance says that it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from aleat.exchange.messages import (
    Acceptance,
    Closing,
    Delivery,
    Findings,
    Grant,
    Inquiry,
    Message,
    Offer,
    PermissionRequest,
    Receipt,
    Refusal,
    Request,
    Results,
    Retraction,
    Withdrawal,
)

__all__ = ["FOLLOWS", "ROOTS", "STATES", "Follows", "State", "Thread", "ThreadFault", "fold_thread", "fold_threads"]

State = Literal[
    "incomplete",
    "closed",
    "withdrawn",
    "answered",
    "delivered",
    "taken-back",
    "permitted",
    "accepted",
    "offered",
    "refused",
    "asked",
]

Kind = type[msgspec.Struct]


class ThreadFault(msgspec.Struct, frozen=True):
    """A message that doesn't count, and why.

    "no-root": what it belongs to has not come; "answers-nothing": what it answers has not come, or is nothing that
    it can answer; "not-theirs": its sender may not send it; "expired": it accepts an offer after its last day.
    """

    message: str
    reason: Literal["no-root", "answers-nothing", "not-theirs", "expired"]


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

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The permissions that hold: neither taken back, nor refused beside, nor without a request that stands."""
        facts = _Facts(self.messages, self.id)
        return () if self.id in facts.refused | facts.taken_back else facts.grants

    @property
    def standing_offers(self) -> tuple[Offer, ...]:
        """The offers that are open or accepted: neither refused nor taken back."""
        return _Facts(self.messages, self.id).standing_offers

    def last(self, kind: Kind) -> Message | None:
        """Return the latest message of a kind, or None."""
        return next((item for item in reversed(self.messages) if isinstance(item, kind)), None)


class Follows(msgspec.Struct, frozen=True):
    """What a message may answer, and who sends it: the "other" side than what it answers came from, or the "same"."""

    answers: tuple[Kind, ...]
    by: Literal["other", "same"] = "other"


ROOTS: Final[tuple[Kind, ...]] = (Request, Inquiry, PermissionRequest, Offer, Withdrawal)
"""What a thread may begin with."""

FOLLOWS: Final[dict[Kind, tuple[Follows, ...]]] = {
    Request: (),
    Inquiry: (),
    PermissionRequest: (),
    Offer: (Follows((Request, Inquiry)),),
    Acceptance: (Follows((Request, Inquiry, Offer)),),
    Refusal: (Follows((Request, Inquiry, PermissionRequest, Offer)),),
    Grant: (Follows((PermissionRequest,)),),
    Delivery: (Follows((Request, Inquiry)), Follows((Offer,), "same")),
    Findings: (Follows((Delivery, Inquiry)),),
    Results: (Follows((Delivery,)),),
    Retraction: (Follows((Request, Inquiry, PermissionRequest, Offer, Acceptance, Grant), "same"),),
    Withdrawal: (),
    Receipt: (Follows((Inquiry, Delivery, Findings, Withdrawal)),),
    Closing: (),
}
"""What may follow on what, in order: a message answers only messages of kinds before its own.

`Withdrawal` and `Closing` stand by themselves: either side of the thread may send them.
"""


class _Facts:
    """What of a thread stands, and what doesn't any more."""

    def __init__(self, messages: Iterable[Message], thread: str) -> None:
        self.messages = tuple(messages)
        self.root = next((item for item in self.messages if item.id == thread), None)
        self.taken_back = {item.of for item in self.messages if isinstance(item, Retraction)}
        self.refused = {item.of for item in self.messages if isinstance(item, Refusal)}
        gone = self.taken_back | self.refused
        standing = [item for item in self.messages if item.id not in self.taken_back]
        self.grants = tuple(item for item in standing if isinstance(item, Grant))
        self.offers = tuple(item for item in standing if isinstance(item, Offer))
        self.standing_offers = tuple(item for item in self.offers if item.id not in gone)
        self.accepted = {item.of for item in standing if isinstance(item, Acceptance)} - gone

    def has(self, *kinds: Kind) -> bool:
        return any(isinstance(item, kinds) for item in self.messages)

    def withdrawn(self) -> bool:
        if isinstance(self.root, Withdrawal):
            return True
        gone = {(item.sender, item.release) for item in self.messages if isinstance(item, Withdrawal) and item.release}
        given = [(item.sender, item.release) for item in self.messages if isinstance(item, Delivery)]
        return bool(given) and all(one in gone for one in given)

    def is_taken_back(self) -> bool:
        assert self.root is not None  # noqa: S101 ("incomplete" comes first)
        return self.root.id in self.taken_back or (self.has(Grant) and not self.grants)

    def is_refused(self) -> bool:
        assert self.root is not None  # noqa: S101
        return self.root.id in self.refused or bool(self.offers)


STATES: Final[tuple[tuple[State, str, Callable[[_Facts], bool]], ...]] = (
    ("incomplete", "the message that it began with has not come", lambda facts: facts.root is None),
    ("closed", "either side closed it", lambda facts: facts.has(Closing)),
    ("withdrawn", "all that was delivered was withdrawn", _Facts.withdrawn),
    ("answered", "findings or results came back", lambda facts: facts.has(Findings, Results)),
    ("delivered", "something was given", lambda facts: facts.has(Delivery)),
    ("taken-back", "its first message, or the permission, was taken back", _Facts.is_taken_back),
    (
        "permitted",
        "the originator's permission holds",
        lambda facts: bool(facts.grants) and not {facts.root and facts.root.id} & facts.refused,
    ),
    ("accepted", "a request or offer was accepted, and stands", lambda facts: bool(facts.accepted)),
    ("offered", "an offer is open", lambda facts: bool(facts.standing_offers)),
    ("refused", "what was asked, or every offer, was refused", _Facts.is_refused),
    ("asked", "nobody has answered yet", lambda _: True),
)
"""The states in order: a thread is in the first that holds."""


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
    for kind in FOLLOWS:
        for message in waiting:
            if type(message) is kind:
                fault = _fault(message, id_, counted)
                if fault is None:
                    counted[message.id] = message
                else:
                    faults.append(fault)
    ordered = tuple(item for item in waiting if item.id in counted)
    facts = _Facts(ordered, id_)
    state = next(name for name, _, holds in STATES if holds(facts))
    return Thread(id=id_, state=state, messages=ordered, faults=tuple(faults))


def _fault(message: Message, thread: str, counted: dict[str, Message]) -> ThreadFault | None:
    if message.id == thread and isinstance(message, ROOTS):
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
    follows = [one for one in FOLLOWS[type(message)] if isinstance(answered, one.answers)]
    if answered is None or not follows:
        return ThreadFault(message.id, "answers-nothing")
    rightful = answered.sender if follows[0].by == "same" else answered.recipient
    if message.sender != rightful:
        return ThreadFault(message.id, "not-theirs")
    if isinstance(message, Acceptance) and isinstance(answered, Offer) and answered.valid_until is not None:
        late = message.time[:10] > answered.valid_until.isoformat()
        return ThreadFault(message.id, "expired") if late else None
    return None
