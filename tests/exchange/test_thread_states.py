"""The state machine as a table: who may send what on what; and both sides end alike, whatever happens on the way."""

from __future__ import annotations

import itertools
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.exchange import fold_thread
from aleat.exchange.messages import (
    Acceptance,
    Affected,
    Asked,
    AskedObject,
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
from aleat.exchange.steps import next_step, tree
from aleat.exchange.threads import FOLLOWS, ROOTS, STATES
from tests.exchange.test_threads import NORTH, SOUTH, WEST, head, mid

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "asks-and-gives.md"
OBJECT = "indicator--00000000-0000-4000-8000-000000000001"
HASH = "0" * 64
EXTRA: dict[type, dict[str, Any]] = {
    Request: {"title": "Help", "affected": Affected(), "impact": "much", "needs": ("all",)},
    Inquiry: {"question": "Seen?", "asked": (Asked(indicator=OBJECT, what="x"),), "release": "r", "sha256": HASH},
    PermissionRequest: {
        "objects": (AskedObject(OBJECT, ""),),
        "onward_to": WEST,
        "onward_name": "West",
        "purpose": "p",
        "until": date(2030, 1, 1),
    },
    Offer: {"what": "A pack", "valid_until": date(2022, 9, 30)},
    Acceptance: {},
    Refusal: {"reason": "no"},
    Grant: {
        "objects": (OBJECT,),
        "onward_to": WEST,
        "valid_from": date(2022, 9, 1),
        "valid_until": date(2030, 1, 1),
    },
    Delivery: {"release": "release--1", "sha256": HASH},
    Findings: {"release": "r", "sha256": HASH, "seen": 1, "not_seen": 0, "false_positives": 0, "not_evaluated": 0},
    Results: {"what": "done"},
    Retraction: {"reason": "no more"},
    Withdrawal: {"release": "release--1", "reason": "wrong"},
    Receipt: {"sha256": HASH},
    Closing: {"outcome": "done"},
}
"""What each kind of message says beside its head."""


def make(kind: type, number: int, sender: str, of: int | None = None, thread: int = 1, **more: Any) -> Message:
    """A message of a kind."""
    recipient = SOUTH if sender == NORTH else NORTH
    fields = {**head(number, sender, recipient, thread), **EXTRA[kind], **more}
    if of is not None:
        fields["of"] = mid(of)
    return kind(**fields)  # type: ignore[no-any-return]


def state(*messages: Message) -> str:
    """The state that these fold to."""
    return fold_thread(mid(1), messages).state


@st.composite
def soups(draw: st.DrawFn) -> list[Message]:
    """Messages of one thread, sensible and senseless: any kind, from either side, on any other."""
    root = draw(st.sampled_from(ROOTS))
    count = draw(st.integers(0, 9))
    found = [make(root, 1, draw(st.sampled_from([NORTH, SOUTH])))]
    for number in range(2, 2 + count):
        kind = draw(st.sampled_from(list(FOLLOWS)))
        answers = "of" in kind.__struct_fields__
        of = draw(st.integers(1, 11)) if answers else None
        found.append(make(kind, number, draw(st.sampled_from([NORTH, SOUTH, WEST])), of))
    return found


@settings(max_examples=300, deadline=None)
@given(soups(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_ends_in_one_state(messages: list[Message], random: Any) -> None:
    """Two teams that have the same messages agree, whatever came first, twice, or by how many files."""
    shuffled = [*messages, *random.choices(messages, k=4)]
    random.shuffle(shuffled)
    whole = fold_thread(mid(1), messages)
    assert fold_thread(mid(1), shuffled) == whole
    assert len(whole.messages) + len(whole.faults) == len(messages)
    assert sorted(item.id for _, item in tree(whole)) == sorted(item.id for item in whole.messages)
    next_step(whole, date(2022, 9, 20))


@settings(max_examples=300, deadline=None)
@given(soups(), st.data())
def test_clocks_decide_nothing_but_an_offers_last_day(messages: list[Message], data: st.DataObject) -> None:
    """Whatever the clocks of both sides say, within the offers' days, the state is the same."""
    minute = st.integers(0, 59)
    moved = [
        type(item)(
            **{**_fields(item), "time": f"2022-09-{data.draw(st.integers(1, 30)):02d}T00:{data.draw(minute):02d}:00Z"}
        )  # type: ignore[call-arg]
        for item in messages
    ]
    assert fold_thread(mid(1), moved).state == fold_thread(mid(1), messages).state


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


@settings(max_examples=200, deadline=None)
@given(soups())
def test_what_a_stranger_says_changes_nothing(messages: list[Message]) -> None:
    """A third ally's messages in the thread count for nothing."""
    ours = [item for item in messages if item.sender != WEST]
    assert state(*messages) == state(*ours)


@pytest.mark.parametrize("kind", list(FOLLOWS))
def test_a_message_follows_only_on_what_the_table_says(kind: type) -> None:
    """Every pair of kinds, from either side: what counts is in the table, and what is in the table counts."""
    if "of" not in kind.__struct_fields__:
        return
    for answered, sender in itertools.product(FOLLOWS, (NORTH, SOUTH)):
        before = _path_to(answered)
        last = before[-1]
        number = len(before) + 1
        message = make(kind, number, sender, len(before))
        counts = message in fold_thread(mid(1), [*before, message]).messages
        rule = next((one for one in FOLLOWS[kind] if answered in one.answers), None)
        rightful = rule is not None and (sender == (last.sender if rule.by == "same" else last.recipient))
        assert counts == rightful, (kind, answered, sender)


def _path_to(kind: type) -> list[Message]:
    """The shortest rightful way from a beginning to a message of this kind."""
    if kind in ROOTS:
        return [make(kind, 1, SOUTH)]
    if kind is Closing:
        return [make(Request, 1, SOUTH), make(Closing, 2, SOUTH)]
    rule = FOLLOWS[kind][0]
    before = _path_to(rule.answers[0])
    last = before[-1]
    sender = last.sender if rule.by == "same" else last.recipient
    return [*before, make(kind, len(before) + 1, sender, len(before))]


REQUEST = make(Request, 1, SOUTH)
OFFER = make(Offer, 2, NORTH, 1)
ACCEPTANCE = make(Acceptance, 3, SOUTH, 2)
REFUSAL = make(Refusal, 4, SOUTH, 2)
TAKEN_BACK = make(Retraction, 5, NORTH, 2)
DELIVERY = make(Delivery, 6, NORTH, 2)
PEOPLE = make(Delivery, 7, NORTH, 2, release="", sha256="", what="Two people")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([REQUEST, OFFER, ACCEPTANCE, TAKEN_BACK], "asked"),
        ([REQUEST, OFFER, ACCEPTANCE, REFUSAL], "refused"),
        ([REQUEST, OFFER, ACCEPTANCE, REFUSAL, TAKEN_BACK], "asked"),
        ([REQUEST, OFFER, ACCEPTANCE, TAKEN_BACK, DELIVERY], "delivered"),
        ([REQUEST, OFFER, REFUSAL, DELIVERY], "delivered"),
        ([REQUEST, OFFER, ACCEPTANCE, make(Retraction, 7, SOUTH, 3)], "offered"),
        ([REQUEST, OFFER, ACCEPTANCE, make(Retraction, 7, SOUTH, 1)], "taken-back"),
        ([REQUEST, make(Acceptance, 7, NORTH, 1), make(Refusal, 8, NORTH, 1)], "refused"),
        ([REQUEST, make(Refusal, 7, NORTH, 1), OFFER], "offered"),
        ([make(Offer, 1, NORTH), make(Acceptance, 7, SOUTH, 1), make(Retraction, 8, NORTH, 1)], "taken-back"),
        ([REQUEST, OFFER, ACCEPTANCE, DELIVERY, make(Closing, 8, SOUTH), make(Closing, 9, NORTH)], "closed"),
        ([REQUEST, OFFER, DELIVERY, make(Withdrawal, 8, NORTH)], "withdrawn"),
        ([REQUEST, OFFER, DELIVERY, make(Withdrawal, 8, SOUTH)], "delivered"),
        ([REQUEST, OFFER, PEOPLE, make(Results, 8, SOUTH, 7)], "answered"),
        ([make(PermissionRequest, 1, SOUTH), make(Grant, 2, NORTH, 1)], "permitted"),
        ([make(PermissionRequest, 1, SOUTH), make(Grant, 2, NORTH, 1), make(Refusal, 3, NORTH, 1)], "refused"),
        ([make(PermissionRequest, 1, SOUTH), make(Grant, 2, NORTH, 1), make(Retraction, 3, SOUTH, 1)], "taken-back"),
        ([make(Inquiry, 1, SOUTH), make(Acceptance, 2, NORTH, 1)], "accepted"),
        ([make(Inquiry, 1, SOUTH), make(Offer, 2, NORTH, 1), make(Findings, 3, NORTH, 1)], "answered"),
    ],
)  # fmt: skip
def test_the_careful_word_wins_and_what_was_given_stays_given(messages: list[Message], expected: str) -> None:
    """Acceptance, refusal and retraction that cross on the way have one winner, in every order."""
    for order in itertools.islice(itertools.permutations(messages), 200):
        assert state(*order) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2022-09-30T23:59:59.999Z", "accepted"),
        ("2022-10-01T00:00:00Z", "offered"),
        ("9999-12-31T00:00:00Z", "offered"),
    ],
)
def test_an_offer_is_accepted_on_its_last_day_and_not_later(written: str, expected: str) -> None:
    """By the day that the acceptance says it was written; a late one is a fault that both sides see."""
    late = make(Acceptance, 3, SOUTH, 2, time=written)
    thread = fold_thread(mid(1), [REQUEST, OFFER, late])
    assert thread.state == expected
    assert [fault.reason for fault in thread.faults] == (["expired"] if expected == "offered" else [])


@pytest.mark.parametrize(
    ("messages", "who", "what"),
    [
        ([REQUEST], NORTH, "answer"),
        ([REQUEST, OFFER], SOUTH, "decide"),
        ([REQUEST, OFFER, ACCEPTANCE], NORTH, "deliver"),
        ([REQUEST, OFFER, ACCEPTANCE, DELIVERY], SOUTH, "answer"),
        ([REQUEST, OFFER, DELIVERY, make(Findings, 7, SOUTH, 6)], SOUTH, "close"),
        ([make(Inquiry, 1, SOUTH)], NORTH, "hunt"),
        ([make(PermissionRequest, 1, SOUTH)], NORTH, "permit"),
        ([make(PermissionRequest, 1, SOUTH), make(Grant, 2, NORTH, 1)], SOUTH, "release"),
    ],
)
def test_it_is_said_whose_turn_it_is(messages: list[Message], who: str, what: str) -> None:
    """And for an offer whose day is over, that its maker would have to make it again."""
    step = next_step(fold_thread(mid(1), messages), date(2022, 9, 20))
    assert step is not None
    assert (step.who, step.what) == (who, what)


def test_an_offer_whose_day_is_over_waits_for_its_maker() -> None:
    """Days change no state, only what is waited for."""
    thread = fold_thread(mid(1), [REQUEST, OFFER])
    step = next_step(thread, date(2022, 10, 1))
    assert step is not None
    assert (thread.state, step.who, step.what, step.overdue(date(2022, 10, 1))) == ("offered", NORTH, "renew", True)
    assert next_step(fold_thread(mid(1), [REQUEST, make(Closing, 2, SOUTH)]), date(2022, 10, 1)) is None


def test_the_tree_hangs_each_answer_under_its_question() -> None:
    """Inquiry, offer, delivery, findings: what led to what."""
    messages = [
        make(Inquiry, 1, SOUTH),
        make(Offer, 2, NORTH, 1),
        make(Acceptance, 3, SOUTH, 2),
        make(Delivery, 4, NORTH, 2),
        make(Findings, 5, SOUTH, 4),
        make(Closing, 6, SOUTH),
    ]
    shown = [(depth, type(item).__name__) for depth, item in tree(fold_thread(mid(1), messages))]
    expected = [(0, "Inquiry"), (1, "Offer"), (2, "Acceptance"), (2, "Delivery"), (3, "Findings"), (1, "Closing")]
    assert shown == expected


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the page."""
    text = GUIDE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def tag(kind: type) -> str:
    """A kind's name in the files."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def test_the_page_says_what_the_tables_say() -> None:
    """Kinds, what they answer and who sends them; states and when they hold, in order."""
    kinds = {row[0].strip("`"): row[1:3] for row in rows("Messages")}
    assert list(kinds) == [tag(kind) for kind in FOLLOWS]
    for kind, follows in FOLLOWS.items():
        answers, sender = kinds[tag(kind)]
        told = {name.strip("` ") for name in answers.split(",")} - {"—", "begins a thread", "stands by itself"}
        assert told == {tag(one) for rule in follows for one in rule.answers}, kind
        assert ("begins a thread" in answers) == (kind in ROOTS), kind
        assert ("same side" in sender) == any(rule.by == "same" for rule in follows), kind
    assert [row[0].strip("`") for row in rows("States")] == [name for name, _, _ in STATES]
    assert [row[1] for row in rows("States")] == [meaning for _, meaning, _ in STATES]
