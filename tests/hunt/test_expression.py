"""The expressions' algebra and the forms in which names and texts are compared."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.hunt.expression import (
    ALWAYS,
    NEVER,
    And,
    Atom,
    Expression,
    Field,
    Not,
    Or,
    Text,
    all_of,
    any_of,
    atoms,
    fold,
    map_leaves,
    negate,
    normalise_name,
)

A, B, C = (Atom(Field(name), Text("equals", "x")) for name in "ABC")


def test_conjunctions_and_disjunctions_are_flat() -> None:
    """In the order given, each part once."""
    assert all_of([A, all_of([B, A]), C]) == And((A, B, C))
    assert any_of([A, any_of([B, A]), C]) == Or((A, B, C))
    assert all_of([any_of([A])]) == A


def test_constants_disappear() -> None:
    """Or decide."""
    assert all_of([A, ALWAYS]) == A
    assert all_of([A, NEVER]) == NEVER
    assert any_of([A, NEVER]) == A
    assert any_of([A, ALWAYS]) == ALWAYS
    assert (all_of([]), any_of([])) == (ALWAYS, NEVER)
    assert (negate(ALWAYS), negate(negate(A))) == (NEVER, A)


def test_leaves_are_found_with_their_sign_and_can_be_replaced() -> None:
    """An even number of negations is none."""
    tree = all_of([A, negate(any_of([B, negate(C)]))])
    assert list(atoms(tree)) == [(A, True), (B, False), (C, True)]
    assert map_leaves(tree, lambda leaf: NEVER if leaf == B else leaf) == And((A, C))


def test_expressions_are_data() -> None:
    """They can be stored and read again."""
    tree: Expression = And((A, Not(Or((B, C)))))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tree), type=Expression) == tree


@pytest.mark.parametrize(("one", "other"), [("ΟΔΟΣ", "οδος"), ("ẞ", "ß"), ("Ë", "ë"), ("Ж", "ж"), ("K", "k")])
def test_folding_knows_more_than_ascii(one: str, other: str) -> None:
    """Whatever stands around a letter."""
    assert fold(one) == fold(other)


@given(st.text())
def test_folding_keeps_the_number_of_characters_and_is_done_once(text: str) -> None:
    """So that a single-character wildcard counts right."""
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_names_are_compared_without_case_and_spaces() -> None:
    """Sigma, Rules 2.1, "Field Usage"."""
    assert normalise_name("New Value") == normalise_name("newvalue")
