"""STIX 2.1 patterns (§9) as typed trees: the grammar is `stix2-patterns`', the limits and checks are ours.

`parse_pattern` raises `PatternError` with line and column for anything that is no pattern: syntax, constants
that can't be read or are out of range, sets of several types, a qualifier given twice, object types that AND
can't join (§9.5). It says nothing about what a pattern means: that is `stix_pattern` for one event,
`stix_observation` for several, `stix_match` for observed data. The grammar's comments are let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from aleat.errors import PatternError, Place
from aleat.hunt.stix_constants import Constant, check_constants, read_constant, read_number, read_timestamp, unescape

__all__ = [
    "AllOf",
    "AnyOf",
    "Comparison",
    "Constant",
    "Followed",
    "ObjectPath",
    "Observation",
    "ObservationAnd",
    "ObservationOr",
    "Observations",
    "Proposition",
    "Repeated",
    "StartStop",
    "Within",
    "comparisons",
    "observations",
    "parse_pattern",
]

MAXIMUM_LENGTH = 100_000
MAXIMUM_DEPTH = 24
MAXIMUM_FOLLOWED = 100
MAXIMUM_PATH = 100
_QUOTED = re.compile(r"(?<![0-9A-Za-z_])b'[^']*'?|'(?:[^'\\]|\\.)*'?|/\*.*?(?:\*/|\Z)|//[^\r\n]*", re.DOTALL)
"""A binary constant, or (so that none is seen inside of it) a text or a comment."""
_POSITION = re.compile(r"\A(\d+):(\d+): (.*)", re.DOTALL)


class _Node(msgspec.Struct, frozen=True):
    """What all nodes share."""


class ObjectPath(_Node, frozen=True):
    """``file:hashes.'SHA-256'`` is ("file", ("hashes", "SHA-256")); a list index is an int, ``*`` is -1."""

    type: str
    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        text = ""
        for step in self.steps:
            if isinstance(step, int):
                text += "[*]" if step < 0 else f"[{step}]"
            else:
                plain = step.replace("_", "a").isalnum()
                text += f".{step}" if plain else ".'" + step.replace("'", "\\'") + "'"
        return f"{self.type}:{text.removeprefix('.')}"


class Comparison(_Node, frozen=True):
    """One comparison: `operator` is one of ``= != < <= > >= IN LIKE MATCHES ISSUBSET ISSUPERSET EXISTS``."""

    path: ObjectPath
    operator: str
    values: tuple[Constant, ...] = ()
    negated: bool = False


class AllOf(_Node, frozen=True):
    """Comparisons joined by AND: all hold of one object."""

    children: tuple[Proposition, ...]


class AnyOf(_Node, frozen=True):
    """Comparisons joined by OR."""

    children: tuple[Proposition, ...]


Proposition = Comparison | AllOf | AnyOf


class Observation(_Node, frozen=True):
    """``[…]``: what holds of one observation; `number` counts them in the pattern, from 0."""

    number: int
    proposition: Proposition


class ObservationAnd(_Node, frozen=True):
    """Observation expressions joined by AND: all, on different observations."""

    children: tuple[Observations, ...]


class ObservationOr(_Node, frozen=True):
    """Observation expressions joined by OR: one of them."""

    children: tuple[Observations, ...]


class Followed(_Node, frozen=True):
    """``first FOLLOWEDBY then``: on different observations, `then` not earlier than `first`."""

    first: Observations
    then: Observations


class Repeated(_Node, frozen=True):
    """``REPEATS times TIMES``: on so many different observations."""

    child: Observations
    times: int


class Within(_Node, frozen=True):
    """``WITHIN seconds SECONDS``: the latest observation less than so much after the earliest."""

    child: Observations
    seconds: float


class StartStop(_Node, frozen=True):
    """``START start STOP stop``: every observation at or after `start`, and before `stop`."""

    child: Observations
    start: datetime
    stop: datetime


Observations = Observation | ObservationAnd | ObservationOr | Followed | Repeated | Within | StartStop


def parse_pattern(text: str, place: Place | None = None, *, empty_windows: bool = False) -> Observations:
    """Return the tree of a pattern; `place` is where it stands, for errors.

    `empty_windows`: a START that isn't before its STOP is no error; nothing can match it.

    >>> parse_pattern("[file:name = 'a.exe']").proposition.path.type
    'file'
    """
    try:
        return _Builder(empty_windows).pattern(_parse(text))
    except PatternError as error:
        raise PatternError(error.reason, place or error.place, advice=error.advice) from error


def comparisons(proposition: Proposition) -> Iterator[Comparison]:
    """Yield the comparisons of a proposition, in order."""
    if isinstance(proposition, Comparison):
        yield proposition
    else:
        for child in proposition.children:
            yield from comparisons(child)


def observations(tree: Observations) -> Iterator[Observation]:
    """Yield the ``[…]`` of a pattern, in order."""
    if isinstance(tree, Observation):
        yield tree
    elif isinstance(tree, Followed):
        yield from observations(tree.first)
        yield from observations(tree.then)
    elif isinstance(tree, ObservationAnd | ObservationOr):
        for child in tree.children:
            yield from observations(child)
    else:
        yield from observations(tree.child)


def _parse(text: str) -> Any:
    """Return ANTLR's parse tree, within limits."""
    from stix2patterns.exceptions import ParseException  # noqa: PLC0415 - slow to import, and few hunts come here
    from stix2patterns.v21.pattern import Pattern  # noqa: PLC0415

    if len(text) > MAXIMUM_LENGTH:
        raise PatternError(f"The pattern has {len(text)} characters (limit: {MAXIMUM_LENGTH}).")
    if _depth(_QUOTED.sub("", text)) > MAXIMUM_DEPTH:
        raise PatternError(f"The pattern's brackets are nested more than {MAXIMUM_DEPTH} deep.")
    try:
        return Pattern(_QUOTED.sub(_joined, text))._Pattern__parse_tree  # the class hands it out only to listeners
    except ParseException as error:
        found = _POSITION.match(str(error))
        line, column, reason = found.groups() if found else ("1", "0", str(error))
        raise PatternError(f"No STIX pattern: line {line}, column {int(column) + 1}: {reason.strip()}.") from error


def _joined(found: re.Match[str]) -> str:
    """Leave out the line feeds of a binary constant (§9.2)."""
    literal = found[0]
    return literal if literal[0] != "b" else literal.replace("\r", "").replace("\n", "")


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return deepest


class _Builder:
    """Walks ANTLR's tree; chains of one operator, which it nests to the left, become one node."""

    def __init__(self, empty_windows: bool) -> None:
        self._count = 0
        self._followings = 0
        self._empty_windows = empty_windows

    def pattern(self, tree: Any) -> Observations:
        return self._followed(tree.observationExpressions())

    def _followed(self, node: Any) -> Observations:
        operands = [self._or(item.observationExpressionOr()) for item in _chain(node, "observationExpressions")]
        self._followings += len(operands) - 1
        if self._followings > MAXIMUM_FOLLOWED:
            raise PatternError(f"The pattern has more than {MAXIMUM_FOLLOWED} FOLLOWEDBY.")
        tree = operands[0]
        for operand in operands[1:]:
            tree = Followed(tree, operand)
        return tree

    def _or(self, node: Any) -> Observations:
        chain = _chain(node, "observationExpressionOr")
        children = [self._and(item.observationExpressionAnd()) for item in chain]
        return ObservationOr(tuple(children)) if len(children) > 1 else children[0]

    def _and(self, node: Any) -> Observations:
        chain = _chain(node, "observationExpressionAnd")
        children = [self._observation(item.observationExpression(), frozenset()) for item in chain]
        return ObservationAnd(tuple(children)) if len(children) > 1 else children[0]

    def _observation(self, node: Any, qualifiers: frozenset[str]) -> Observations:
        kind = type(node).__name__.removeprefix("ObservationExpression").removesuffix("Context")
        if kind == "Simple":
            proposition = self._any(node.comparisonExpression())
            _check_types(proposition)
            self._count += 1
            return Observation(self._count - 1, proposition)
        if kind == "Compound":
            return self._followed(node.observationExpressions())
        if kind in qualifiers:
            raise PatternError("No STIX pattern: a qualifier is given twice (§9.5.1).")
        child = self._observation(node.observationExpression(), qualifiers | {kind})
        return _qualified(kind, child, node, self._empty_windows)

    def _any(self, node: Any) -> Proposition:
        chain = _chain(node, "comparisonExpression")
        children = [self._all(item.comparisonExpressionAnd()) for item in chain]
        return AnyOf(tuple(children)) if len(children) > 1 else children[0]

    def _all(self, node: Any) -> Proposition:
        chain = _chain(node, "comparisonExpressionAnd")
        children = [self._test(item.propTest()) for item in chain]
        return AllOf(tuple(children)) if len(children) > 1 else children[0]

    def _test(self, node: Any) -> Proposition:
        kind = type(node).__name__.removeprefix("PropTest").removesuffix("Context")
        if kind == "Paren":
            return self._any(node.comparisonExpression())
        path = _object_path(node.objectPath())
        operator, values = _operator(kind, node)
        check_constants(operator, values)
        return Comparison(path, operator, values, node.NOT() is not None)


def _chain(node: Any, name: str) -> list[Any]:
    """Return the operands of a chain of one operator, which the grammar nests in rules of one name."""
    operands: list[Any] = []
    waiting = [node]
    while waiting:
        item = waiting.pop()
        inner = [child for child in item.getChildren() if type(child) is type(item)]
        if inner:
            others = [child for child in item.getChildren() if type(child) is not type(item) and child.getChildCount()]
            waiting.extend(reversed(inner))
            assert not others, name  # noqa: S101 - the grammar's shape
        else:
            operands.append(item)
    return operands


def _qualified(kind: str, child: Observations, node: Any, empty_windows: bool) -> Observations:
    if kind == "Repeated":
        times = read_number(node.repeatedQualifier().IntPosLiteral().getText())
        assert isinstance(times, int)  # noqa: S101 - the grammar's shape
        if times < 1:
            raise PatternError("No STIX pattern: REPEATS needs a number of 1 or more (§9.5.1).")
        return Repeated(child, times)
    if kind == "Within":
        qualifier = node.withinQualifier()
        seconds = float(read_number((qualifier.IntPosLiteral() or qualifier.FloatPosLiteral()).getText()))
        if seconds <= 0:
            raise PatternError("No STIX pattern: WITHIN needs a number above 0 (§9.5.1).")
        return Within(child, seconds)
    start, stop = (read_timestamp(literal.getText()).time for literal in node.startStopQualifier().TimestampLiteral())
    if start >= stop and not empty_windows:
        raise PatternError("No STIX pattern: START is not before STOP (§9.5.1).")
    return StartStop(child, start, stop)


def _operator(kind: str, node: Any) -> tuple[str, tuple[Constant, ...]]:
    if kind == "Equal":
        return ("=" if node.EQ() else "!="), (_primitive(node.primitiveLiteral()),)
    if kind == "Order":
        operators = {"<": node.LT(), "<=": node.LE(), ">": node.GT(), ">=": node.GE()}
        operator = next(name for name, token in operators.items() if token)
        return operator, (read_constant(node.orderableLiteral().getText()),)
    if kind == "Set":
        values = tuple(_primitive(literal) for literal in node.setLiteral().primitiveLiteral())
        return "IN", values
    if kind == "Exists":
        return "EXISTS", ()
    names = {"Like": "LIKE", "Regex": "MATCHES", "IsSubset": "ISSUBSET", "IsSuperset": "ISSUPERSET"}
    return names[kind], (read_constant(node.StringLiteral().getText()),)


def _object_path(node: Any) -> ObjectPath:
    steps: list[str | int] = [_name(node.firstPathComponent().getText())]
    waiting = [node.objectPathComponent()] if node.objectPathComponent() else []
    while waiting:
        item = waiting.pop(0)
        kind = type(item).__name__
        if kind == "PathStepContext":
            waiting = [*item.objectPathComponent(), *waiting]
        elif kind == "IndexPathStepContext":
            index = item.getText()[1:-1]
            if index.startswith("-"):
                raise PatternError("No STIX pattern: a list's index is 0 or more (§9.7.2).")
            steps.append(-1 if index == "*" else int(read_number(index)))
        else:
            steps.append(_name(item.getText()[1:]))
    if len(steps) > MAXIMUM_PATH:
        raise PatternError(f"An object path has more than {MAXIMUM_PATH} steps.")
    return ObjectPath(node.objectType().getText(), tuple(steps))


def _name(text: str) -> str:
    return unescape(text[1:-1]) if text.startswith("'") else text


def _primitive(node: Any) -> Constant:
    return read_constant(node.getText())


def _check_types(proposition: Proposition) -> frozenset[str]:
    """Return the object types a proposition can hold of; raises where AND joins two that share none (§9.5)."""
    if isinstance(proposition, Comparison):
        return frozenset({proposition.path.type})
    types = [_check_types(child) for child in proposition.children]
    if isinstance(proposition, AnyOf):
        return frozenset().union(*types)
    shared = frozenset.intersection(*types)
    if not shared:
        raise PatternError("AND joins different object types in one observation, which no object can satisfy (§9.5).")
    return shared
