"""Values and modifiers, with pySigma as a second opinion where it follows the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.modifiers import SigmaBase64OffsetModifier
from sigma.rule import SigmaDetectionItem
from sigma.types import SigmaString, SpecialChars

from aleat.hunt.expression import And, Atom, Field, Not, Or, Regex, Text, Wildcard, atoms
from aleat.hunt.sigma_values import MODIFIERS, compile_item, parse_text
from aleat.hunt.sigma_yaml import compose_document

SPECIAL = {SpecialChars.WILDCARD_MULTI: 0, SpecialChars.WILDCARD_SINGLE: 1}


def item(key: str, value: str) -> object:
    return compile_item(key, compose_document(value), {})


@given(st.text("ab*?\\", max_size=12))
def test_escapes_are_read_as_pysigma_reads_them(text: str) -> None:
    """Rules 2.1, "Escape Character"."""
    theirs = tuple(SPECIAL.get(part, part) for part in SigmaString(text).s)  # type: ignore[call-overload]
    assert parse_text(text) == theirs


@given(st.text("abc 123", min_size=3, max_size=12))
def test_base64_shifts_are_pysigmas_for_ascii(text: str) -> None:
    """Three shifts, each cut to what no neighbour changes."""
    source = SigmaDetectionItem("F", [], [SigmaString(text)])
    theirs = SigmaBase64OffsetModifier(source, []).modify(SigmaString(text))
    expected = {str(value) for value in theirs.values}
    found = {
        leaf.test.value
        for leaf, _ in atoms(item("F|base64offset|contains", f'"{text}"'))  # type: ignore[arg-type]
        if isinstance(leaf, Atom) and isinstance(leaf.test, Text)
    }
    assert found == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("F", "a", Atom(Field("F"), Text("equals", "a"))),
        ("F", "'*a*'", Atom(Field("F"), Text("contains", "a"))),
        ("F|contains", "'*a'", Atom(Field("F"), Text("contains", "a"))),
        ("F|startswith", "a", Atom(Field("F"), Text("startswith", "a"))),
        ("F", "'*a'", Atom(Field("F"), Text("endswith", "a"))),
        ("F", "'a*b'", Atom(Field("F"), Wildcard(("a", 0, "b")))),
        ("F", "'a??***b'", Atom(Field("F"), Wildcard(("a", 2, 0, "b")))),
        ("F|re", "a", Atom(Field("F"), Regex("a"))),
        ("F|re|startswith", "a", Atom(Field("F"), Regex(r"\A(?:a)"))),
        (
            "F|all|contains",
            "[a, b]",
            And((Atom(Field("F"), Text("contains", "a")), Atom(Field("F"), Text("contains", "b")))),
        ),
        ("F|neq", "[a, b]", Not(Or((Atom(Field("F"), Text("equals", "a")), Atom(Field("F"), Text("equals", "b")))))),
    ],
)
def test_items_compile_to_the_simplest_test(key: str, value: str, expected: object) -> None:
    """Wildcards at the ends are no wildcards to the engine."""
    assert item(key, value) == expected


def test_every_modifier_of_the_appendix_is_known() -> None:
    """Modifiers 2.1, in its order."""
    appendix = (
        "all startswith endswith contains exists cased neq windash re i m s base64 base64offset utf16le utf16be utf16 "
        "wide lt lte gt gte minute hour day week month year cidr expand fieldref"
    )
    assert list(MODIFIERS) == appendix.split()
