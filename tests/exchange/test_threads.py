"""A thread's state follows from its messages, in whatever order, however often they come."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import ObjectError
from aleat.exchange import (
    Acceptance,
    Affected,
    Closing,
    Delivery,
    Findings,
    Message,
    Offer,
    Refusal,
    Request,
    fold_thread,
    fold_threads,
)
from aleat.exchange.messages import decode_messages, encode_messages, message_row, read_message

NORTH = "identity--11111111-1111-4111-8111-111111111111"
SOUTH = "identity--22222222-2222-4222-8222-222222222222"
WEST = "identity--33333333-3333-4333-8333-333333333333"


def mid(number: int) -> str:
    """A message's id."""
    return f"message--{uuid.UUID(int=number, version=4)}"


def head(number: int, sender: str, recipient: str, thread: int = 1) -> dict[str, str]:
    """What every message has."""
    return {
        "id": mid(number),
        "thread": mid(thread),
        "sender": sender,
        "recipient": recipient,
        "time": f"2022-09-20T12:{number:02d}:00.000Z",
        "person": "ana",
    }


REQUEST = Request(**head(1, SOUTH, NORTH), title="Help", affected=Affected(), impact="much", needs=("all",))  # type: ignore[arg-type]
OFFER = Offer(**head(2, NORTH, SOUTH), of=mid(1), what="A pack")  # type: ignore[arg-type]
ACCEPTANCE = Acceptance(**head(3, SOUTH, NORTH), of=mid(2))  # type: ignore[arg-type]
DELIVERY = Delivery(**head(4, NORTH, SOUTH), of=mid(2), release="release--1", sha256="0" * 64)  # type: ignore[arg-type]
FINDINGS = Findings(  # type: ignore[arg-type]
    **head(5, SOUTH, NORTH),
    of=mid(4),
    release="release--2",
    sha256="0" * 64,
    seen=1,
    not_seen=2,
    false_positives=0,
    not_evaluated=0,
)
CLOSING = Closing(**head(6, SOUTH, NORTH), outcome="done")  # type: ignore[arg-type]
WHOLE: tuple[Message, ...] = (REQUEST, OFFER, ACCEPTANCE, DELIVERY, FINDINGS, CLOSING)


def test_each_message_moves_the_thread_on() -> None:
    """The states in order."""
    states = [fold_thread(mid(1), WHOLE[:count]).state for count in range(7)]
    assert states == ["incomplete", "asked", "offered", "accepted", "delivered", "answered", "closed"]


@given(st.permutations(WHOLE), st.lists(st.sampled_from(WHOLE)))
def test_order_and_repetition_do_not_matter(messages: list[Message], again: list[Message]) -> None:
    """Both sides, however offline, come to the same."""
    assert fold_thread(mid(1), [*messages, *again]) == fold_thread(mid(1), WHOLE)


@given(st.sets(st.sampled_from(range(6))))
def test_any_part_of_a_thread_folds(present: set[int]) -> None:
    """What lacks its question waits, and is named."""
    thread = fold_thread(mid(1), [WHOLE[number] for number in present])
    assert len(thread.messages) + len(thread.faults) == len(present)
    if 0 not in present:
        assert thread.state == "incomplete"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Acceptance(**head(9, NORTH, SOUTH), of=mid(2)), "not-theirs"),  # type: ignore[arg-type]
        (Acceptance(**head(9, WEST, NORTH), of=mid(2)), "not-theirs"),  # type: ignore[arg-type]
        (Acceptance(**head(9, SOUTH, NORTH), of=mid(77)), "answers-nothing"),  # type: ignore[arg-type]
        (Acceptance(**head(9, SOUTH, NORTH), of=mid(4)), "answers-nothing"),  # type: ignore[arg-type]
        (Delivery(**head(9, SOUTH, NORTH), of=mid(2), release="r", sha256="0" * 64), "not-theirs"),  # type: ignore[arg-type]
        (Closing(**head(9, WEST, SOUTH), outcome="x"), "not-theirs"),  # type: ignore[arg-type]
        (Offer(**head(9, SOUTH, NORTH), of=mid(1), what="x"), "not-theirs"),  # type: ignore[arg-type]
        (Request(**head(9, SOUTH, NORTH), title="x", affected=Affected(), impact="", needs=()), "answers-nothing"),  # type: ignore[arg-type]
    ],
)
def test_a_message_that_is_not_its_senders_to_send_does_not_count(message: Message, reason: str) -> None:
    """It is listed, and the state stays."""
    thread = fold_thread(mid(1), [*WHOLE[:5], message])
    assert [fault.reason for fault in thread.faults] == [reason]
    assert thread.state == "answered"


def test_an_offer_counts_as_refused_when_every_offer_is() -> None:
    """One refusal of two leaves the other open."""
    second = Offer(**head(7, NORTH, SOUTH), of=mid(1), what="People")  # type: ignore[arg-type]
    no = Refusal(**head(8, SOUTH, NORTH), of=mid(2), reason="no")  # type: ignore[arg-type]
    no_again = Refusal(**head(9, SOUTH, NORTH), of=mid(7), reason="no")  # type: ignore[arg-type]
    assert fold_thread(mid(1), [REQUEST, OFFER, second, no]).state == "offered"
    assert fold_thread(mid(1), [REQUEST, OFFER, second, no, no_again]).state == "refused"


def test_threads_come_in_the_order_of_their_beginning() -> None:
    """Whatever the order of messages."""
    other = Offer(**head(2, NORTH, SOUTH, thread=2), what="Unasked")  # type: ignore[arg-type]
    for messages in itertools.permutations([REQUEST, CLOSING, other]):
        assert [thread.id for thread in fold_threads(messages)] == [mid(1), mid(2)]


def test_messages_read_back() -> None:
    """From a file's part and from the store's rows."""
    assert decode_messages(encode_messages(WHOLE)) == WHOLE
    assert tuple(read_message(message_row(item)) for item in WHOLE) == WHOLE


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_an_error_of_ours(data: bytes) -> None:
    """No other error escapes."""
    for attempt in (data, b"[" + data + b"]", b'[{"kind":"request",' + data + b"}]"):
        try:
            decode_messages(attempt)
        except ObjectError:
            continue
