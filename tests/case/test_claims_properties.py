"""Properties of the claims reader on any text: quotes stand where they say, and nothing takes too long."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.case.claims import read_claims
from aleat.case.claims.text import paragraphs, sentences

NOW = datetime(2026, 11, 1, tzinfo=UTC)

SAMPLE = (
    "Albania Iran Tehran the its his he it they “ ” \" ' \u2018 ’ , . ; : — ( ) accused blamed denied "
    "rejected condemned "
    "offered severed expelled said claimed responsibility for of by attack cyberattack on and which who that not ties "
    "with help diplomats to Friday July 15 2022 ministry spokesman Prime Minister Rama second another police systems "
    "according ’s behind was no U.S. Mr. baseless accusation ? ! \n \n\n \r\n \u202e \x00 \u2028"
)
WORDS = st.sampled_from(SAMPLE.split(" "))
PROSE = st.lists(WORDS, max_size=120).map(" ".join)


@given(st.one_of(st.text(max_size=400), PROSE))
@settings(max_examples=150, deadline=None)
def test_quotes_are_slices_of_any_text(text: str) -> None:
    result = read_claims(text, "x", reference_time=NOW)
    data = text.encode()
    ids = [claim.id for claim in result.claims]
    assert len(set(ids)) == len(ids)
    for claim in result.claims:
        assert claim.quote
        assert text[claim.offset : claim.offset + len(claim.quote)] == claim.quote
        assert data[claim.byte_offset : claim.byte_offset + len(claim.quote.encode())] == claim.quote.encode()
    for alleged in result.alleged:
        assert text[alleged.offset : alleged.offset + len(alleged.quote)] == alleged.quote
        assert alleged.status == "alleged"
        assert set(alleged.claims) <= set(ids)
    for contradiction in result.contradictions:
        assert {contradiction.first, contradiction.second} <= set(ids)
    assert {item.claim for item in result.collect} <= set(ids)


@given(st.one_of(st.text(max_size=400), PROSE))
@settings(max_examples=100, deadline=None)
def test_sentences_follow_one_another_and_tokens_are_slices(text: str) -> None:
    last = 0
    for sentence in sentences(text, paragraphs(text)):
        assert sentence.start >= last
        last = sentence.end
        assert all(text[token.start : token.end] == token.text for token in sentence.tokens)


def _seconds(text: str) -> float:
    began = time.process_time()
    read_claims(text, "x", reference_time=NOW)
    return time.process_time() - began


def test_time_grows_with_length_and_not_faster() -> None:
    """Eight times the text takes well under four times what linear growth would take, in each hostile shape."""
    shapes = (
        "Albania blamed Iran for a cyberattack on its police in July, and Iran denied it. ",
        "“it its he his they their ” said it of the the ’s 's , , and and ",
        "its his its his its his ministry of the ministry of the ministry of ",
        "accused " * 20,
        "( ( ( “ “ “ — — : : ",
        "A" * 50,
        "a.b.c.d.1.2.3-4-5'6'7 ",
        "\n\n\r",
        "Iran, Iran, Iran, Iran and Iran, ",
    )
    for shape in shapes:
        small = _seconds(shape * (5_000 // len(shape)))
        large = _seconds(shape * (40_000 // len(shape)))
        assert large < 32 * max(small, 0.05), shape
