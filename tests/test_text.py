"""Foreign text, made safe to look at."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.text import composed, path_text, visible, visible_json

ANY = st.characters(codec=None)


@given(st.text(ANY))
def test_what_is_visible_needs_no_more_of_it(text: str) -> None:
    """And any encoder takes it."""
    assert visible(visible(text)) == visible(text)
    visible(text).encode()


@given(st.recursive(st.text(ANY), lambda inner: st.lists(inner) | st.dictionaries(st.text(ANY), inner)))
def test_visible_json_says_the_same(value: object) -> None:
    """Lone surrogates, marks of direction and characters of the higher planes among them."""
    shown = visible_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("logs/Ministria e Punëve.evtx", "logs/Ministria e Punëve.evtx"),
        ("logs/\udce9.evtx", "logs/\ufffd.evtx"),
        ("logs/\ud83d.evtx", "logs/\ufffd\ufffd\ufffd.evtx"),
    ],
)
def test_a_path_is_text_that_any_encoder_takes(path: str, shown: str) -> None:
    """Also of bytes that are no UTF-8 (POSIX), and of half a pair of UTF-16 (Windows)."""
    assert path_text(path) == shown


@given(st.text(ANY))
def test_any_path_is_text(path: str) -> None:
    """Whatever the system gives."""
    path_text(path).encode()


def test_a_text_is_composed_in_linear_time() -> None:
    """Marks in an order that sorting them would take hours for stay as they are."""
    assert composed("Çele\u0308si") == "Çelësi"
    hostile = "a" + "\u0315\u0300" * 500_000
    started = process_time()
    assert composed(hostile) == hostile
    assert process_time() - started < 2
