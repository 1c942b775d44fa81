r"""What `aleat search` looks for: a value, a field's value, or an expression over such terms.

    198.51.100.7                                   a whole value, in any field
    "sekurlsa::logonpasswords"                     the same, quoted
    TargetUserName=agim                            in one field
    CommandLine=*-enc* and not (User=SYSTEM or User="NETWORK SERVICE")

Case doesn't count. `*` stands for any characters, `?` for one; ``\*`` and ``\?`` for themselves, as in Sigma (and
``\\*`` for a backslash and then anything). ``FIELD=*`` asks that the field is there, ``FIELD!=VALUE`` is ``not
FIELD=VALUE``. A text without a separate ``and``, ``or`` or ``not`` is one term, blanks, brackets and quotes inside it
included; in an expression a value with any of those is quoted, and ``""`` in quotes is a quote. With `exact` case
counts and nothing has a special meaning in a value.

The parser runs in linear time; length, terms and depth are limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from aleat.errors import InputError, Place

__all__ = ["MAXIMUM_DEPTH", "MAXIMUM_LENGTH", "MAXIMUM_TERMS", "Query", "Term", "parse_query", "terms_of"]

MAXIMUM_LENGTH = 64 * 1024
MAXIMUM_TERMS = 1000
MAXIMUM_DEPTH = 64
MAXIMUM_WILDCARDS = 100

_OPERATORS = frozenset({"and", "or", "not"})
_FIELD = re.compile(r"""([^\s=!"()<>*?]+)(!?=)""")
_WHERE = "search"


class Term(msgspec.Struct, frozen=True):
    """A value in a field (None: in any), which is named as it was written; `cased` terms compare case.

    `text` is the value itself, or with `wild` a text whose wildcards and escapes `regex` knows.
    """

    field: str | None
    text: str
    wild: bool = False
    cased: bool = False

    @property
    def regex(self) -> str:
        """The wildcards as a regular expression that is anchored at both ends."""
        return "".join(["(?s)" if self.cased else "(?si)", r"\A", *map(_regex, _characters(self.text)), r"\z"])


class Query(msgspec.Struct, frozen=True):
    """A node: ``term`` with its term, ``not`` with one part, ``and`` or ``or`` with several."""

    kind: str
    parts: tuple[Query, ...] = ()
    term: Term | None = None


def parse_query(text: str, *, exact: bool = False) -> Query:
    """Return what a text looks for; raises `InputError` with the column where it can't be read.

    >>> parse_query("User=agim").term
    Term(field='User', text='agim', wild=False, cased=False)
    >>> parse_query("a=1 or b=2 and not c=3").kind
    'or'
    """
    if len(text) > MAXIMUM_LENGTH:
        raise InputError(f"The search is longer than {MAXIMUM_LENGTH:,} characters.", advice="Search for less.")
    if not text.strip():
        raise InputError("There is nothing to search for.", advice="Name a value, or FIELD=VALUE.")
    if _OPERATORS.isdisjoint(text.lower().split()):
        return _single(text.strip(), exact)
    return _Parser(text, exact).query()


def terms_of(query: Query) -> Iterator[Term]:
    """Yield the terms that an event can match by (those behind ``not`` left out)."""
    if query.term is not None:
        yield query.term
    elif query.kind != "not":
        for part in query.parts:
            yield from terms_of(part)


def _single(text: str, exact: bool) -> Query:
    """Return a text that is one term: quotes around all of its value are taken off."""
    match = _FIELD.match(text)
    field, value = (text[: match.end()], text[match.end() :]) if match else ("", text)
    if len(value) >= 2 and value[0] == value[-1] == '"' and '"' not in value[1:-1].replace('""', ""):
        return _term(field, exact, value[1:-1].replace('""', '"'))
    return _term(text, exact)


def _term(text: str, exact: bool, quoted: str | None = None) -> Query:
    """Return the term of a word; `quoted` is what stood in quotes behind ``FIELD=``, or alone."""
    match = _FIELD.match(text)
    field = match[1] if match else None
    value = quoted if quoted is not None else text[match.end() :] if match else text
    characters = [] if exact else list(_characters(value))
    wild = any(is_wild for is_wild, _ in characters)
    if wild and sum(is_wild for is_wild, _ in characters) > MAXIMUM_WILDCARDS:
        raise InputError(f"A value has more than {MAXIMUM_WILDCARDS} wildcards.", advice="Search for less at once.")
    plain = value if exact or wild else "".join(character for _, character in characters)
    term = Term(field, plain, wild, exact)
    node = Query("term", (), term)
    return Query("not", (node,)) if match and match[2] == "!=" else node


def _characters(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (whether it is a wildcard, the character), escapes resolved."""
    place = 0
    while place < len(text):
        if text[place] == "\\" and text[place + 1 : place + 2] in ("*", "?"):
            place += 1
            yield False, text[place]
        elif text.startswith("\\\\", place) and text[place + 2 : place + 3] in ("*", "?"):
            place += 1
            yield False, "\\"
        else:
            yield text[place] in "*?", text[place]
        place += 1


def _regex(part: tuple[bool, str]) -> str:
    is_wild, character = part
    return {"*": ".*", "?": "."}[character] if is_wild else re.escape(character)


class _Parser:
    """Recursive descent, one token at a time."""

    def __init__(self, text: str, exact: bool) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._end = len(text) + 1
        self._exact = exact
        if sum(kind == "term" for kind, *_ in self._tokens) > MAXIMUM_TERMS:
            raise InputError(f"The search has more than {MAXIMUM_TERMS:,} terms.", advice="Make a list, and hunt it.")

    def query(self) -> Query:
        """Return the whole."""
        found = self._any(0)
        if self._at < len(self._tokens):
            kind, _, _, column = self._tokens[self._at]
            what = "This bracket was never opened." if kind == ")" else "Two terms stand side by side."
            raise self._fault(what, column, "Write and, or between them; quote a value with blanks.")
        return found

    def _any(self, depth: int) -> Query:
        return self._chain("or", depth)

    def _chain(self, word: str, depth: int) -> Query:
        inner = self._all_of if word == "or" else self._one
        parts = [inner(depth)]
        while self._take(word):
            parts.append(inner(depth))
        return parts[0] if len(parts) == 1 else Query(word, tuple(parts))

    def _all_of(self, depth: int) -> Query:
        return self._chain("and", depth)

    def _one(self, depth: int) -> Query:
        negated = False
        while self._take("not"):
            negated = not negated
        if self._at >= len(self._tokens):
            raise self._fault("Something is missing at the end.", self._end, "Name a value, or FIELD=VALUE.")
        kind, text, quoted, column = self._tokens[self._at]
        self._at += 1
        if kind == "(":
            if depth >= MAXIMUM_DEPTH:
                raise self._fault(f"More than {MAXIMUM_DEPTH} brackets lie in each other.", column, "Write it flatter.")
            found = self._any(depth + 1)
            if not self._take(")"):
                raise self._fault("This bracket is never closed.", column, "Close it, or quote a value that has one.")
        elif kind == "term":
            found = _term(text, self._exact, quoted)
        else:
            raise self._fault(f"A value is missing before {text!r}.", column, "Quote a value that is called so.")
        return Query("not", (found,)) if negated else found

    def _take(self, kind: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return True
        return False

    def _fault(self, reason: str, column: int, advice: str) -> InputError:
        return InputError(reason, Place(_WHERE, line=1, column=column), advice=advice)


_Token = tuple[str, str, str | None, int]
"""Kind ("term", "and", "or", "not", "(" or ")"), text, what stood in quotes, column from 1."""


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        character = text[place]
        if character.isspace():
            place += 1
        elif character in "()":
            yield character, character, None, place + 1
            place += 1
        else:
            start = place
            place, word, quoted = _word(text, place)
            kind = word.lower() if quoted is None and word.lower() in _OPERATORS else "term"
            yield kind, word, quoted, start + 1


def _word(text: str, place: int) -> tuple[int, str, str | None]:
    """Return (where it ends, the word before a quote, what is quoted): brackets opened in a word belong to it."""
    start, open_brackets = place, 0
    while place < len(text) and not text[place].isspace():
        character = text[place]
        if character == '"' and (place == start or text[place - 1] == "="):
            closing = text.find('"', place + 1)
            while closing >= 0 and text.startswith('""', closing):
                closing = text.find('"', closing + 2)
            if closing < 0:
                reason, where = "This quote is never closed.", Place(_WHERE, line=1, column=place + 1)
                raise InputError(reason, where, advice="Close it.")
            return closing + 1, text[start:place], text[place + 1 : closing].replace('""', '"')
        if character == "(":
            open_brackets += 1
        elif character == ")":
            if not open_brackets:
                break
            open_brackets -= 1
        place += 1
    return place, text[start:place], None
