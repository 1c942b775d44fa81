"""Sigma's values and modifiers: from one ``field|modifier|…: value`` to an expression.

Written from the specification (Modifiers appendix 2.1; Rules 2.1, "String Wildcard", "Escape Character",
"Special Field Values", "Placeholders"), not from a library, because the libraries differ from it: the modifiers
are applied in the order given, each to what the one before made; `windash` knows all five characters;
`base64offset` counts bytes; `utf16le` exists. Where the specification is silent, the reading is written down at
the modifier.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import isfinite
from typing import Literal

from aleat.errors import PatternError, RuleError
from aleat.errors import Place as ErrorPlace
from aleat.hunt.expression import (
    Atom,
    Everywhere,
    Exists,
    Expression,
    Field,
    FieldsMatch,
    IsNull,
    Network,
    Number,
    Regex,
    Subject,
    Test,
    Text,
    TimePart,
    Wildcard,
    all_of,
    any_of,
    is_storable,
    negate,
)
from aleat.hunt.matcher import number_value
from aleat.hunt.networks import parse_network
from aleat.hunt.regexes import translate
from aleat.hunt.sigma_yaml import Node

__all__ = ["MODIFIERS", "Placeholders", "compile_item", "parse_text"]

Placeholders = Mapping[str, Sequence[str]]
"""A placeholder's name → its values (Sigma texts, in which wildcards count)."""

MAX_VALUES = 5000
"""One value may not expand to more (windash, placeholders, offsets)."""

_LARGEST_PART = 10**6  # of a date, years included
_RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "week": (1, 53), "month": (1, 12)}  # ISO 8601 has 53
_DASHES = "-/–—―"  # the five of the specification
_DASH = re.compile(rf"(?<!\w)[{_DASHES}](?=\w)")
_PLACEHOLDER = re.compile(r"%([^%\ufdd0]+)%")
_PATTERN_PLACEHOLDER = re.compile(r"(?<!\\)%([^%\\]+)%")
_PLACES = frozenset({"startswith", "endswith", "contains"})
_LINKS = frozenset({"all", "neq"})  # say how values are linked, and nothing of a value
_PERCENT = "\ufdd0"  # stands for an escaped percent until placeholders are put in

Parts = tuple[str | int, ...]
Op = Literal["eq", "lt", "le", "gt", "ge"]
Place = Literal["equals", "contains", "startswith", "endswith"]


@dataclass(frozen=True, slots=True)
class _String:
    """A text with wildcards (`Wildcard.parts`), maybe already bytes of an encoding (as Latin-1 text)."""

    parts: Parts
    cased: bool = False
    encoded: str = ""  # "utf-16-le", "utf-16-be", "utf-16", "base64"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A regular expression as written."""

    text: str
    flags: str = ""
    start: bool = False
    end: bool = False


@dataclass(frozen=True, slots=True)
class _Number:
    """A number with its text as written, and what is done with it."""

    value: int | float
    text: str
    op: Op = "eq"
    part: str = ""


@dataclass(frozen=True, slots=True)
class _Reference:
    """Another field's name."""

    name: str
    op: Place = "equals"
    cased: bool = False


@dataclass(frozen=True, slots=True)
class _Null:
    """YAML's null."""


@dataclass(frozen=True, slots=True)
class _Network:
    """A network."""

    text: str


@dataclass(frozen=True, slots=True)
class _Existence:
    """Whether the field has to exist."""

    exists: bool


@dataclass(frozen=True, slots=True)
class _Boolean:
    """YAML's true or false, which as a value is a word, and as `exists`' a demand."""

    value: bool


_Value = _String | _Pattern | _Number | _Reference | _Null | _Network | _Existence | _Boolean


@dataclass(slots=True)
class _Item:
    """A field with its modifiers while they are applied."""

    placeholders: Placeholders
    all: bool = False
    negated: bool = False
    applied: list[str] = field(default_factory=list)


def parse_text(text: str, *, percent: bool = False) -> Parts:
    """Return a Sigma text's parts: literals, 0 for ``*``, 1 for ``?`` (Rules, "Escape Character").

    A backslash escapes a wildcard or a backslash; before anything else, and at the end, it is itself. With
    `percent` (where placeholders are looked for) it escapes that too, and the escaped one becomes U+FDD0.

    >>> parse_text(r"a*b\\*c"), parse_text("c:" + chr(92)), parse_text(chr(92) * 3 + "*")
    (('a', 0, 'b*c'), ('c:\\\\',), ('\\\\*',))
    """
    parts: list[str | int] = []
    literal: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        following = text[at + 1 : at + 2]
        if character == "\\" and following and following in "*?\\":
            literal.append(following)
            at += 2
            continue
        if percent and character == "\\" and following == "%":
            literal.append(_PERCENT)
            at += 2
            continue
        at += 1
        if character in "*?":
            if literal:
                parts.append("".join(literal))
                literal = []
            parts.append(0 if character == "*" else 1)
        else:
            literal.append(character)
    if literal:
        parts.append("".join(literal))
    return tuple(parts)


def compile_item(key: str, node: Node, placeholders: Placeholders) -> Expression:
    """Compile one entry of a map, ``key: node``, or with an empty key a list of keywords.

    Fields are `Field`s under the rule's names; keywords are tests `Everywhere`. Raises `RuleError` without a
    place for what is wrong with the key, with line and column for what is wrong with a value.
    """
    name, *modifiers = key.split("|")
    subject: Subject = Field(name) if name else Everywhere()
    item = _Item(placeholders)
    nodes = list(node.elements())
    if not nodes:
        raise RuleError(f"{key or 'the search'} has an empty list of values")
    if name and not name.strip():
        raise RuleError(f"{key!r} names no field")
    if "exists" in modifiers and len(nodes) > 1:
        raise RuleError("exists takes one value, true or false")
    for modifier in modifiers:
        if modifier not in MODIFIERS:
            raise RuleError(f"unknown modifier {modifier!r} at {key!r}", advice=f"Known are: {', '.join(MODIFIERS)}.")
    groups = [_expand_value(element, modifiers, item, in_list=node.kind == "list") for element in nodes]
    if not name:
        for modifier in ("startswith", "endswith"):
            if modifier in modifiers:
                raise RuleError(f"{modifier} needs a field: a keyword may stand anywhere in the event")
        groups = [[_keyword(value) for value in group] for group in groups]
    expressions = [_group(subject, group, element) for group, element in zip(groups, nodes, strict=True)]
    linked = all_of(expressions) if item.all else any_of(expressions)
    return negate(linked) if item.negated else linked


# --------------------------------------------------------------------------------------------- values in


def _expand_value(node: Node, modifiers: Sequence[str], item: _Item, *, in_list: bool) -> list[_Value]:
    """Apply the modifiers to one value; errors get its place."""
    try:
        values: list[_Value] = [_start(node, modifiers, in_list=in_list)]
        item.applied = []
        for modifier in modifiers:
            values = [new for value in values for new in MODIFIERS[modifier](value, item)]
            if len(values) > MAX_VALUES:
                raise RuleError(f"the value expands to more than {MAX_VALUES}")
            item.applied.append(modifier)
    except RuleError as error:
        raise _at(error, node) from None
    return values


def _group(subject: Subject, values: Sequence[_Value], node: Node) -> Expression:
    try:
        return any_of([_finish(subject, value) for value in values])
    except RuleError as error:
        raise _at(error, node) from None


def _at(error: RuleError, node: Node) -> RuleError:
    placed = RuleError(error.reason, ErrorPlace("", node.line, node.column), advice=error.advice)
    placed.code = error.code
    return placed


def _start(node: Node, modifiers: Sequence[str], *, in_list: bool) -> _Value:
    if "re" in modifiers:
        return _Pattern(_written(node))
    if "fieldref" in modifiers or "cidr" in modifiers:
        return _String((_written(node),))
    return _first_value(node, in_list=in_list, percent="expand" in modifiers)


def _written(node: Node) -> str:
    if node.kind != "scalar" or node.value is None:
        raise RuleError("the value must be a text")
    return node.text


def _first_value(node: Node, *, in_list: bool, percent: bool) -> _Value:
    if node.kind != "scalar":
        raise RuleError("a value must be a text, a number, true, false or null, not a list or map")
    value = node.value
    if value is None:
        if in_list:
            raise RuleError(
                "null can't stand in a list of values (Rules 2.1, Special Field Values)",
                advice="Give null a search identifier of its own, and join the two in the condition.",
            )
        return _Null()
    if isinstance(value, bool):
        return _Boolean(value)
    if isinstance(value, int | float):
        return _Number(value, node.text)
    return _String(parse_text(str(value), percent=percent))


# -------------------------------------------------------------------------------------------- values out


def _finish(subject: Subject, value: _Value) -> Expression:
    """Return the expression that a value, with all modifiers applied, means."""
    if isinstance(value, _Reference):
        if not isinstance(subject, Field):
            raise RuleError("fieldref needs a field")
        return FieldsMatch(subject, Field(value.name), value.op, value.cased)
    if isinstance(value, _Existence):
        exists: Expression = Atom(subject, Exists())
        return exists if value.exists else negate(exists)
    return any_of([Atom(subject, test) for test in _tests(value)])


def _tests(value: _String | _Pattern | _Network | _Null | _Boolean | _Number) -> list[Test]:
    tests: list[Test]
    if isinstance(value, _String):
        tests = [_string_test(value)]
    elif isinstance(value, _Pattern):
        tests = [_regex_test(value)]
    elif isinstance(value, _Network):
        tests = [Network(value.text)]
    elif isinstance(value, _Null):
        tests = [IsNull()]
    elif isinstance(value, _Boolean):
        tests = [Text("equals", _word(value))]
    elif value.part:
        low, high = _RANGES.get(value.part, (-_LARGEST_PART, _LARGEST_PART))
        if value.op == "eq" and not low <= value.value <= high:
            raise RuleError(f"{value.part} is a number from {low} to {high}")
        tests = [TimePart(value.part, value.op, int(value.value))]  # type: ignore[arg-type]
    elif value.op != "eq":
        tests = [Number(value.op, value.value)]
    else:  # as a number, and as written ("All values are treated as case-insensitive strings"): 0x17, 007
        same = Number("eq", value.value) if is_storable(value.value) else Text("equals", str(value.value))
        tests = [same, Text("equals", value.text)]
    return tests


def _string_test(value: _String) -> Test:
    parts = _squeeze(_decode(value))
    if not parts:
        return Text("equals", "", value.cased)
    literals = [part for part in parts if isinstance(part, str)]
    shape = tuple("text" if isinstance(part, str) else part for part in parts)
    ops: dict[tuple[object, ...], Place] = {
        ("text",): "equals",
        ("text", 0): "startswith",
        (0, "text"): "endswith",
        (0, "text", 0): "contains",
        (0,): "contains",
    }
    if shape in ops:
        return Text(ops[shape], literals[0] if literals else "", value.cased)
    return Wildcard(parts, value.cased)


def _squeeze(parts: Parts) -> Parts:
    """Join neighbours: texts, ``**``, and ``??``."""
    out: list[str | int] = []
    for part in parts:
        last = out[-1] if out else None
        if part == "":
            continue
        if isinstance(part, str) and isinstance(last, str):
            out[-1] = last + part
        elif part == 0 and last == 0:
            continue
        elif isinstance(part, int) and part > 0 and isinstance(last, int) and last > 0:
            out[-1] = last + part
        else:
            out.append(part)
    return tuple(out)


def _decode(value: _String) -> Parts:
    """Return the parts as texts; the bytes of a wide text are looked for as the characters that logs show."""
    if not value.encoded.startswith("utf-16"):
        return value.parts
    parts: list[str | int] = []
    for part in value.parts:
        if isinstance(part, int):
            parts.append(part)
            continue
        raw = part.encode("latin-1")
        mark = b""
        if value.encoded == "utf-16" and raw.startswith(b"\xff\xfe"):
            mark, raw = raw[:2], raw[2:]
        try:
            parts.append(("\ufeff" if mark else "") + raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise RuleError(
                "the bytes of this wide text are no text; only with base64 or base64offset can they be looked for"
            ) from None
    return tuple(parts)


def _regex_test(value: _Pattern) -> Test:
    try:
        pattern, _ = translate(value.text, value.flags)
    except PatternError as error:
        raise RuleError(error.reason) from None
    if value.start:
        pattern = rf"\A(?:{pattern})"
    if value.end:
        pattern = rf"(?:{pattern})\z"
    return Regex(pattern, "".join(sorted(set(value.flags))))


def _keyword(value: _Value) -> _Value:
    """Return a keyword's value: a text is looked for anywhere (Rules, "Keywords search")."""
    if isinstance(value, _Number) and value.op == "eq" and not value.part:
        value = _String((value.text,))
    if isinstance(value, _Boolean):
        value = _String((_word(value),))
    if isinstance(value, _String):
        return replace(value, parts=(0, *value.parts, 0))
    if isinstance(value, _Pattern):
        return value
    raise RuleError("a keyword must be a text or a regular expression")


# --------------------------------------------------------------------------------------------- modifiers

_Modifier = Callable[[_Value, _Item], list[_Value]]


def _word(value: _Boolean) -> str:
    return "true" if value.value else "false"


def _as_string(value: _Value, modifier: str) -> _String:
    if isinstance(value, _Number) and value.op == "eq" and not value.part:
        return _String((value.text,))
    if isinstance(value, _Boolean):
        return _String((_word(value),))
    if isinstance(value, _String):
        return value
    raise RuleError(f"the modifier {modifier} needs a text")


def _place(op: Place) -> _Modifier:
    def change(value: _Value, item: _Item) -> list[_Value]:
        again = not _PLACES.isdisjoint(item.applied)  # of a text that may start anywhere, any end will do
        if isinstance(value, _Reference):
            return [replace(value, op=op if not again or op == value.op else "contains")]
        if isinstance(value, _Pattern):  # found anywhere by itself; a place anchors it
            start, end = op == "startswith", op == "endswith"
            if again:
                start, end = start and value.start, end and value.end
            return [replace(value, start=start, end=end)]
        text = _as_string(value, op)
        before: Parts = () if op == "startswith" else (0,)
        after: Parts = () if op == "endswith" else (0,)
        return [replace(text, parts=(*before, *text.parts, *after))]

    return change


def _all(value: _Value, item: _Item) -> list[_Value]:
    item.all = True
    return [value]


def _neq(value: _Value, item: _Item) -> list[_Value]:
    item.negated = True
    return [value]


def _cased(value: _Value, item: _Item) -> list[_Value]:
    if isinstance(value, _Reference):
        return [replace(value, cased=True)]
    if isinstance(value, _Pattern):  # is so already
        return [value]
    return [replace(_as_string(value, "cased"), cased=True)]


def _exists(value: _Value, item: _Item) -> list[_Value]:
    if not _LINKS.issuperset(item.applied) or not isinstance(value, _Boolean):
        raise RuleError("exists stands alone, with true or false")
    return [_Existence(value.value)]


def _windash(value: _Value, item: _Item) -> list[_Value]:
    """Vary every dash at a word's start: behind no letter, digit or underscore, and before one."""
    text = _as_string(value, "windash")
    pieces: list[list[str | int]] = []
    for part in text.parts:
        if isinstance(part, int):
            pieces.append([part])
            continue
        at = 0
        for match in _DASH.finditer(part):
            pieces += [[part[at : match.start()]], list(_DASHES)]
            at = match.end()
        pieces.append([part[at:]])
    count = 1
    for piece in pieces:
        count *= len(piece)
    if count > MAX_VALUES:
        raise RuleError(f"windash makes {count} variants of one value (limit: {MAX_VALUES})")
    return [replace(text, parts=_squeeze(parts)) for parts in product(*pieces)]


def _wide(encoding: str) -> _Modifier:
    def change(value: _Value, item: _Item) -> list[_Value]:
        text = _as_string(value, encoding)
        if text.encoded:
            raise RuleError(f"{encoding} can't follow another encoding")
        codec = "utf-16-be" if encoding == "utf-16-be" else "utf-16-le"
        parts: list[str | int] = [
            part if isinstance(part, int) else part.encode(codec, "surrogatepass").decode("latin-1")
            for part in text.parts
        ]
        if encoding == "utf-16":  # its byte order mark goes before the first character
            place = next((at for at, part in enumerate(parts) if isinstance(part, str)), None)
            if place is not None:
                parts[place] = "\xff\xfe" + str(parts[place])
        return [replace(text, parts=tuple(parts), encoded=encoding)]

    return change


def _raw_bytes(value: _Value, modifier: str) -> bytes:
    text = _as_string(value, modifier)
    if any(isinstance(part, int) for part in text.parts):
        raise RuleError(f"{modifier} can't encode a wildcard")
    joined = "".join(str(part) for part in text.parts)
    return joined.encode("latin-1") if text.encoded.startswith("utf-16") else joined.encode("utf-8", "surrogatepass")


def _base64(value: _Value, item: _Item) -> list[_Value]:
    encoded = b64encode(_raw_bytes(value, "base64")).decode()
    return [replace(_as_string(value, "base64"), parts=(encoded,), encoded="base64")]


def _base64offset(value: _Value, item: _Item) -> list[_Value]:
    """Encode at each of the three shifts, and keep the characters that no neighbour changes."""
    raw = _raw_bytes(value, "base64offset")
    found: list[_Value] = []
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start = -(-8 * shift // 6)
        end = 8 * (shift + len(raw)) // 6
        if end > start:
            found.append(replace(_as_string(value, "base64offset"), parts=(encoded[start:end],), encoded="base64"))
    if not found:
        raise RuleError("base64offset needs at least one character")
    return found


def _re(value: _Value, item: _Item) -> list[_Value]:
    if not (_LINKS | {"expand"}).issuperset(item.applied):
        raise RuleError("re must be the first modifier")
    return [value]


def _flag(flag: str) -> _Modifier:
    def change(value: _Value, item: _Item) -> list[_Value]:
        if not isinstance(value, _Pattern):
            raise RuleError(f"{flag} stands only after re")
        return [replace(value, flags=value.flags + flag)]

    return change


def _cidr(value: _Value, item: _Item) -> list[_Value]:
    if not (_LINKS | {"expand"}).issuperset(item.applied):
        raise RuleError("cidr must be the first modifier")
    text = "".join(str(part) for part in _as_string(value, "cidr").parts)
    if parse_network(text) is None:
        raise RuleError(f"{text!r} is no IP network")
    return [_Network(text)]


def _compare(op: Op) -> _Modifier:
    def change(value: _Value, item: _Item) -> list[_Value]:
        if isinstance(value, _String) and len(value.parts) == 1:
            value = _numeric(str(value.parts[0]))
        if not isinstance(value, _Number):
            raise RuleError("lt, lte, gt and gte need a number")
        if value.op != "eq":
            raise RuleError(
                "only one of lt, lte, gt and gte can stand at a field", advice="Write two entries, one each."
            )
        if not is_storable(value.value):
            value = _numeric(str(value.value))  # only compared, and no event's number is that exact
        return [replace(value, op=op)]

    return change


def _numeric(text: str) -> _Number:
    value = number_value(text)
    if value is not None and not is_storable(value):
        value = float(value)
    if value is None or not isfinite(value):
        raise RuleError("lt, lte, gt and gte need a number")
    return _Number(value, text)


def _time_part(part: str) -> _Modifier:
    def change(value: _Value, item: _Item) -> list[_Value]:
        if not isinstance(value, _Number) or not -_LARGEST_PART < value.value < _LARGEST_PART or value.value % 1:
            raise RuleError(f"{part} needs a whole number")
        if value.part:
            raise RuleError(f"{part} can't follow {value.part}", advice="Write two entries, one each.")
        return [replace(value, part=part)]

    return change


def _fieldref(value: _Value, item: _Item) -> list[_Value]:
    text = _as_string(value, "fieldref")
    if len(text.parts) != 1 or not str(text.parts[0]).strip():
        raise RuleError("fieldref needs a field's name")
    return [_Reference(str(text.parts[0]), cased=text.cased)]


def _expand(value: _Value, item: _Item) -> list[_Value]:
    """Put in the values of ``%name%``; an escaped ``\\%`` is a percent character."""
    if isinstance(value, _Pattern):
        return [replace(value, text=text) for text in _expand_pattern(value.text, item.placeholders)]
    text = _as_string(value, "expand")
    pieces: list[list[Parts]] = []
    for part in text.parts:
        if isinstance(part, int):
            pieces.append([(part,)])
            continue
        at = 0
        for match in _PLACEHOLDER.finditer(part):
            pieces.append([(part[at : match.start()].replace(_PERCENT, "%"),)])
            pieces.append([parse_text(word) for word in _placeholder(match[1], item.placeholders)])
            at = match.end()
        pieces.append([(part[at:].replace(_PERCENT, "%"),)])
    count = 1
    for piece in pieces:
        count *= len(piece)
    if count > MAX_VALUES:
        raise RuleError(f"expand makes {count} values of one (limit: {MAX_VALUES})")
    return [
        replace(text, parts=_squeeze(tuple(part for parts in chosen for part in parts))) for chosen in product(*pieces)
    ]


def _expand_pattern(text: str, placeholders: Placeholders) -> list[str]:
    pieces: list[list[str]] = []
    at = 0
    for match in _PATTERN_PLACEHOLDER.finditer(text):
        pieces.append([text[at : match.start()]])
        pieces.append([_quote(word) for word in _placeholder(match[1], placeholders)])
        at = match.end()
    pieces.append([text[at:]])
    return ["".join(chosen) for chosen in product(*pieces)]


def _quote(word: str) -> str:
    return "".join({0: ".*", 1: "."}[part] if isinstance(part, int) else re.escape(part) for part in parse_text(word))


def _placeholder(name: str, placeholders: Placeholders) -> Sequence[str]:
    values = placeholders.get(name)
    if not values:
        error = RuleError(f"the placeholder %{name}% has no values", advice="Give them with --placeholders FILE.")
        error.code = "placeholder"
        raise error
    return values


MODIFIERS: dict[str, _Modifier] = {
    "all": _all,
    "startswith": _place("startswith"),
    "endswith": _place("endswith"),
    "contains": _place("contains"),
    "exists": _exists,
    "cased": _cased,
    "neq": _neq,
    "windash": _windash,
    "re": _re,
    "i": _flag("i"),
    "m": _flag("m"),
    "s": _flag("s"),
    "base64": _base64,
    "base64offset": _base64offset,
    "utf16le": _wide("utf-16-le"),
    "utf16be": _wide("utf-16-be"),
    "utf16": _wide("utf-16"),
    "wide": _wide("utf-16-le"),
    "lt": _compare("lt"),
    "lte": _compare("le"),
    "gt": _compare("gt"),
    "gte": _compare("ge"),
    "minute": _time_part("minute"),
    "hour": _time_part("hour"),
    "day": _time_part("day"),
    "week": _time_part("week"),
    "month": _time_part("month"),
    "year": _time_part("year"),
    "cidr": _cidr,
    "expand": _expand,
    "fieldref": _fieldref,
}
"""Sigma's modifiers (Modifiers appendix 2.1), in the appendix's order."""
