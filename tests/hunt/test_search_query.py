"""What a search asks for: terms, wildcards, brackets; and what is refused, with its place."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError
from aleat.hunt.search_query import MAXIMUM_DEPTH, MAXIMUM_TERMS, Query, Term, parse_query, terms_of


def shown(query: Query) -> str:
    """A query, fully bracketed."""
    if query.term is not None:
        return f"{query.term.field or ''}:{query.term.text}"
    if query.kind == "not":
        return f"!{shown(query.parts[0])}"
    return "(" + f" {query.kind} ".join(map(shown, query.parts)) + ")"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("198.51.100.7", ":198.51.100.7"),
        ("  cmd.exe ", ":cmd.exe"),
        (r"C:\Program Files (x86)\a.exe", r":C:\Program Files (x86)\a.exe"),
        (r"Image=C:\Program Files (x86)\a.exe", r"Image:C:\Program Files (x86)\a.exe"),
        ("User=", "User:"),
        ("User!=agim", "!User:agim"),
        ('"a and b"', ":a and b"),
        ('User="NT AUTHORITY" or User=agim', "(User:NT AUTHORITY or User:agim)"),
        ("a or b and not c", "(:a or (:b and !:c))"),
        ("(a or b) and not not c", "((:a or :b) and :c)"),
        ("NOT (A=1 OR b=2)", "!(A:1 or b:2)"),
        ("f(x) and (g=h(1) or i)", "(:f(x) and (g:h(1) or :i))"),
        ("a=b=c", "a:b=c"),
        ("band and candy", "(:band and :candy)"),
        ('"x=1" and y', "(:x=1 and :y)"),
        ('"aGVsbG8="', ":aGVsbG8="),
        ('CommandLine="C:\\x.exe" /c "echo"', 'CommandLine:"C:\\x.exe" /c "echo"'),
        ('cmd /c "echo"', ':cmd /c "echo"'),
        ('A="say ""no""" or b', '(A:say "no" or :b)'),
        ('A="say ""no"""', 'A:say "no"'),
    ],
)
def test_a_text_means_what_it_looks_like(text: str, meaning: str) -> None:
    """Operators are words of their own; one term needs no quotes."""
    assert shown(parse_query(text)) == meaning


@pytest.mark.parametrize(
    ("text", "fits", "fits_not"),
    [
        ("*mimi*", ["xMIMIx", "mimi", "a\nmimi\nb"], ["mim"]),
        ("a?c", ["abc", "a.c", "aéc"], ["ac", "abbc"]),
        (r"a\*c*", ["a*cd"], ["abcd"]),
        (r"a\\*", ["a\\b", "a\\"], ["ab"]),
        (r"C:\Win*\x", ["C:\\Windows\\x"], ["C:\\Win"]),
        ("[a]+.*", ["[A]+.b"], ["a.b", "aa"]),
    ],
)
def test_wildcards_are_sigmas(text: str, fits: list[str], fits_not: list[str]) -> None:
    """Everything else in a pattern stands for itself."""
    term = parse_query(text).term
    assert term is not None
    assert term.wild
    pattern = re.compile(term.regex.replace(r"\z", r"\Z"))
    assert all(map(pattern.search, fits))
    assert not any(map(pattern.search, fits_not))


def test_an_escaped_wildcard_is_a_plain_value() -> None:
    """It can be looked up as any other."""
    assert parse_query(r"a\*b\?").term == Term(None, "a*b?", False, False)
    assert parse_query(r"a\*b", exact=True).term == Term(None, r"a\*b", False, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing to search"),
        ("a and", "missing at the end"),
        ("and a", "search:1:1: A value is missing"),
        ("(a or b", "search:1:1: This bracket is never closed"),
        ("a and b)", "search:1:8: This bracket was never opened"),
        ('a and "b', "search:1:7: This quote is never closed"),
        ("a or b c", "search:1:8: Two terms stand side by side"),
        ("not ()", "A value is missing"),
        ("(" * (MAXIMUM_DEPTH + 1) + "a and b", "brackets lie in each other"),
        (" or ".join(["a"] * (MAXIMUM_TERMS + 1)), "more than 1,000 terms"),
        ("a" * 70_000, "longer than"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, reason: str) -> None:
    """And with advice."""
    with pytest.raises(InputError, match=re.escape(reason)) as refused:
        parse_query(text)
    assert refused.value.advice


@given(st.text(max_size=200), st.booleans())
def test_any_text_is_read_or_refused(text: str, exact: bool) -> None:
    """Nothing else is ever raised."""
    try:
        query = parse_query(text, exact=exact)
    except InputError:
        return
    assert list(terms_of(query)) or query.kind in ("not", "and", "or")


def test_long_texts_take_linear_time() -> None:
    """Sixty thousand brackets, nots or blanks are read at once."""
    for text in ("not " * 16_000 + "a", "(" * 60_000, "a or " * 900 + "b", " " * 60_000 + "a and b"):
        try:
            parse_query(text)
        except InputError:
            continue
