"""The language between rules and engine: what a Sigma rule or a STIX comparison expression is compiled to.

An `Expression` is a frozen tree: `Atom` (a `Test` on a `Subject`), `FieldsMatch` (two fields of one event
compared with each other), `Always`, and `And`/`Or`/`Not` over them. It says what must hold in *one* event.

Rules of evaluation, which every front end can rely on:

- A `Subject` yields zero or more *cells* in an event. An atom is true where **any** cell passes its test: a
  list cell yields its elements, two source fields whose names differ only in case and spaces are one subject.
  Hence ``Not(atom)`` is true where no cell passes, and so also where the field is absent.
- Field names are compared with case and spaces removed. The system fields of a format that are fixed columns
  (`channel`, `event_id` …) are a `Fact`, not a `Field`.
- A null cell passes `Exists` and `IsNull` only; an absent field yields no cell, and passes nothing but
  `IsNull`, which is true where the field is absent, is null, or a list holds a null. `Exists` is true of an
  empty, a null, and any other cell.
- Text tests compare the cell's canonical text (`aleat.evidence.batch`), whatever its kind. Unless `cased`,
  both sides are folded with Unicode's *simple* case folding (`fold`), character by character.
- `Number` and `Order` compare by value: see there for what counts as a number.

All nodes are `msgspec` structs: hashable, comparable, and storable as data. Build trees with `all_of`,
`any_of` and `negate`, which flatten, drop constants and double negations, and keep the order given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Literal

import msgspec

__all__ = [
    "ALWAYS",
    "NEVER",
    "Always",
    "And",
    "Atom",
    "Everywhere",
    "Exists",
    "Expression",
    "Fact",
    "Field",
    "FieldsMatch",
    "IsNull",
    "Joined",
    "Network",
    "Not",
    "Number",
    "Or",
    "Order",
    "Regex",
    "Subject",
    "Test",
    "Text",
    "TimePart",
    "View",
    "Wildcard",
    "all_of",
    "any_of",
    "atoms",
    "fold",
    "is_storable",
    "map_leaves",
    "negate",
    "normalise_name",
]


class _Node(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """What all nodes share: frozen, tagged with the class's name, stored as arrays."""


# ---------------------------------------------------------------------------------------------- subjects


class Field(_Node, frozen=True, gc=False):
    """A field by the source's own name."""

    name: str


class Fact(_Node, frozen=True, gc=False):
    """A fixed column: "format", "channel", "provider", "event_id" or "host"."""

    name: Literal["format", "channel", "provider", "event_id", "host"]


class Joined(_Node, frozen=True, gc=False):
    """The texts of several fields joined, as `c-uri` is its stem, "?", and its query.

    A field that is absent, null, empty or ``-`` (W3C's mark for "nothing") is left out with its separator;
    where all are, there is no cell. List cells do not take part.
    """

    names: tuple[str, ...]
    separator: str


class View(_Node, frozen=True, gc=False):
    """A part of a field's text, by the name of a transform in `aleat.hunt.views` and its argument.

    ``View("uri", "before", "?")`` is a request's path, ``View("Image", "basename")`` a file's name,
    ``View("Hashes", "pair", "MD5")`` one hash of Sysmon's list. A transform yields no cell, one, or several.
    """

    name: str
    transform: str
    argument: str = ""


class Everywhere(_Node, frozen=True, gc=False):
    """Every field of the event, and its channel, provider, event id and host: any cell of any of them."""


Subject = Field | Fact | Joined | View | Everywhere


# ------------------------------------------------------------------------------------------------- tests


class Text(_Node, frozen=True, gc=False):
    """The cell's text equals, contains, starts with or ends with `value`."""

    op: Literal["equals", "contains", "startswith", "endswith"]
    value: str
    cased: bool = False


class Wildcard(_Node, frozen=True, gc=False):
    """The whole text fits the parts: a string is itself, 0 any run of characters, n > 0 exactly n characters.

    Any character fits, newlines too. ``Wildcard(("c:\\\\", 0, ".ex", 1))`` is ``c:\\*.ex?``.
    """

    parts: tuple[str | int, ...]
    cased: bool = False


class Regex(_Node, frozen=True, gc=False):
    """The pattern is found anywhere in the text. `flags` are any of "i", "m", "s". Evaluated in linear time.

    The pattern is Rust's (`aleat.hunt.regexes.translate` makes one from PCRE, and refuses what can't be).
    """

    pattern: str
    flags: str = ""


class Network(_Node, frozen=True, gc=False):
    """The text is an IP address or network within `network` ("within"), or a network that covers it ("covers").

    IPv4-mapped IPv6 addresses are their IPv4 address; a zone id (``%eth0``) is left out.
    """

    network: str
    relation: Literal["within", "covers"] = "within"


class Number(_Node, frozen=True, gc=False):
    """The cell compares with `value`.

    "eq" is Sigma's number against text: the text equals the number's canonical decimal text, or the cell is a
    float of the same value. "lt", "le", "gt", "ge" compare by value: the cell's text must be a decimal number
    (sign, leading zeros, fraction, and an exponent of at most three digits allowed) or a hexadecimal one with
    ``0x``; anything else fails.
    """

    op: Literal["eq", "lt", "le", "gt", "ge"]
    value: int | float


class Order(_Node, frozen=True, gc=False):
    """The text comes before or after `value` by code points (STIX compares strings and times so)."""

    op: Literal["lt", "le", "gt", "ge"]
    value: str


class TimePart(_Node, frozen=True, gc=False):
    """A part of the date that the text holds, as written, compared with `value`; a text that is no date fails."""

    part: Literal["minute", "hour", "day", "week", "month", "year"]
    op: Literal["eq", "lt", "le", "gt", "ge"]
    value: int


class Exists(_Node, frozen=True, gc=False):
    """The field is there, whatever its value."""


class IsNull(_Node, frozen=True, gc=False):
    """The field is absent, null, or a list that holds a null."""


Test = Text | Wildcard | Regex | Network | Number | Order | TimePart | Exists | IsNull


# ------------------------------------------------------------------------------------------- expressions


class Atom(_Node, frozen=True, gc=False):
    """One test on one subject."""

    subject: Subject
    test: Test


class FieldsMatch(_Node, frozen=True, gc=False):
    """The text of a cell of `left` equals, contains, starts or ends with the text of a cell of `right`.

    False where either yields no cell with a text (absent, null).
    """

    left: Field | Fact | View
    right: Field | Fact | View
    op: Literal["equals", "contains", "startswith", "endswith"] = "equals"
    cased: bool = False


class Always(_Node, frozen=True, gc=False):
    """True or false whatever the event."""

    value: bool


class And(_Node, frozen=True, gc=False):
    """All children hold."""

    children: tuple[Expression, ...]


class Or(_Node, frozen=True, gc=False):
    """At least one child holds."""

    children: tuple[Expression, ...]


class Not(_Node, frozen=True, gc=False):
    """The child does not hold."""

    child: Expression


Expression = Atom | FieldsMatch | Always | And | Or | Not

ALWAYS = Always(True)
NEVER = Always(False)


def all_of(children: Iterable[Expression]) -> Expression:
    """Return the conjunction: flattened, without repetitions and constants; `ALWAYS` where nothing is left."""
    kept: dict[Expression, None] = {}
    for child in children:
        if isinstance(child, Always):
            if not child.value:
                return NEVER
        elif isinstance(child, And):
            kept.update(dict.fromkeys(child.children))
        else:
            kept[child] = None
    if len(kept) == 1:
        return next(iter(kept))
    return And(tuple(kept)) if kept else ALWAYS


def any_of(children: Iterable[Expression]) -> Expression:
    """Return the disjunction: flattened, without repetitions and constants; `NEVER` where nothing is left."""
    kept: dict[Expression, None] = {}
    for child in children:
        if isinstance(child, Always):
            if child.value:
                return ALWAYS
        elif isinstance(child, Or):
            kept.update(dict.fromkeys(child.children))
        else:
            kept[child] = None
    if len(kept) == 1:
        return next(iter(kept))
    return Or(tuple(kept)) if kept else NEVER


def is_storable(value: int | float) -> bool:
    """Return whether a number can stand in a tree: integers of more than 64 bits can't be stored as data."""
    return isinstance(value, float) or -(2**63) <= value < 2**64


def negate(child: Expression) -> Expression:
    """Return the negation, without double ones."""
    if isinstance(child, Always):
        return NEVER if child.value else ALWAYS
    return child.child if isinstance(child, Not) else Not(child)


def map_leaves(expression: Expression, change: Callable[[Atom | FieldsMatch], Expression]) -> Expression:
    """Return the tree with every leaf replaced by ``change(leaf)``, simplified on the way up."""
    if isinstance(expression, And):
        return all_of([map_leaves(child, change) for child in expression.children])
    if isinstance(expression, Or):
        return any_of([map_leaves(child, change) for child in expression.children])
    if isinstance(expression, Not):
        return negate(map_leaves(expression.child, change))
    return expression if isinstance(expression, Always) else change(expression)


def atoms(expression: Expression, positive: bool = True) -> Iterator[tuple[Atom | FieldsMatch, bool]]:
    """Yield the tree's leaves, each with True where it stands under an even number of negations."""
    if isinstance(expression, And | Or):
        for child in expression.children:
            yield from atoms(child, positive)
    elif isinstance(expression, Not):
        yield from atoms(expression.child, not positive)
    elif not isinstance(expression, Always):
        yield expression, positive


# ------------------------------------------------------------------------------------------ names, texts


class _SimpleFolding(dict[int, str]):
    """`str.translate` table of simple case folding, filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = character.casefold()
        if len(folded) != 1:
            folded = character.lower()
        if len(folded) != 1:
            folded = character
        self[code] = folded
        return folded


_FOLDING = _SimpleFolding()


def fold(text: str) -> str:
    """Fold case one character to one, whatever stands around it (so that wildcards count right).

    Unicode's simple folding (a final Greek sigma is a sigma), and lower case where full folding would give
    several characters (``ẞ`` is ``ß``, ``İ`` stays itself).

    >>> fold("SHËRBIMI Ç"), fold("STRAẞE")
    ('shërbimi ç', 'straße')
    """
    return text.lower() if text.isascii() else text.translate(_FOLDING)


@lru_cache(maxsize=65536)
def normalise_name(name: str) -> str:
    """Return the form in which field names are compared: folded, without spaces.

    >>> normalise_name("New Value") == normalise_name("newvalue")
    True
    """
    return fold("".join(name.split()))
