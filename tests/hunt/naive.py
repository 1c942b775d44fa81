"""The meaning of an expression, row by row and as simply as can be: the oracle for the engine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import (
    Always,
    And,
    Everywhere,
    Exists,
    Expression,
    Fact,
    Field,
    FieldsMatch,
    IsNull,
    Joined,
    Network,
    Not,
    Number,
    Or,
    Regex,
    Subject,
    Test,
    Text,
    View,
    Wildcard,
    fold,
)
from aleat.hunt.views import view
from aleat.text import composed

Event = Mapping[str, Any]


def holds(expression: Expression, event: Event, facts: Mapping[str, str]) -> bool:  # noqa: PLR0911 - one line a node
    """Return whether the expression holds of one event."""
    if isinstance(expression, Always):
        return expression.value
    if isinstance(expression, And):
        return all(holds(child, event, facts) for child in expression.children)
    if isinstance(expression, Or):
        return any(holds(child, event, facts) for child in expression.children)
    if isinstance(expression, Not):
        return not holds(expression.child, event, facts)
    if isinstance(expression, FieldsMatch):
        change = composed if expression.cased else lambda part: fold(composed(part))
        pairs = [
            (change(cell_text(left)), change(cell_text(right)))
            for left in cells(expression.left, event, facts)
            for right in cells(expression.right, event, facts)
            if left is not None and right is not None
        ]
        return any(places(expression.op, left, right) for left, right in pairs)
    found = list(cells(expression.subject, event, facts))
    if isinstance(expression.test, IsNull):
        return not present(expression.subject, event, facts) or None in found
    if isinstance(expression.test, Exists):
        return present(expression.subject, event, facts)
    return any(passes(expression.test, cell) for cell in found if cell is not None)


def raw(name: str, event: Event) -> list[Any]:
    """Return the values of the fields of that name, compared without case and spaces."""
    return [value for key, value in event.items() if fold("".join(key.split())) == fold("".join(name.split()))]


def flat(value: Any) -> Iterator[Any]:
    """Yield a cell, or the elements of a list."""
    if isinstance(value, list):
        for element in value:
            yield from flat(element)
    else:
        yield value


def cells(subject: Subject, event: Event, facts: Mapping[str, str]) -> Iterator[Any]:
    if isinstance(subject, Field):
        for value in raw(subject.name, event):
            yield from flat(value)
    elif isinstance(subject, Fact):
        yield facts[subject.name]
    elif isinstance(subject, Everywhere):
        for value in [*event.values(), facts["channel"], facts["host"], facts["event_id"]]:
            yield from flat(value)
    elif isinstance(subject, View):
        for value in raw(subject.name, event):
            for cell in flat(value):
                if cell is not None:
                    yield from view(subject.transform, cell_text(cell), subject.argument)
    else:
        yield from joined(subject, event)


def joined(subject: Joined, event: Event) -> Iterator[str]:
    words = [
        cell_text(value)
        for name in subject.names
        for value in raw(name, event)
        if not isinstance(value, list) and value not in (None, "", "-")
    ]
    if words:
        yield subject.separator.join(words)


def present(subject: Subject, event: Event, facts: Mapping[str, str]) -> bool:
    return (
        bool(raw(subject.name, event))
        if isinstance(subject, Field)
        else any(True for _ in cells(subject, event, facts))
    )


def places(op: str, text: str, part: str) -> bool:
    return {
        "equals": text == part,
        "contains": part in text,
        "startswith": text.startswith(part),
        "endswith": text.endswith(part),
    }[op]


def passes(test: Test, cell: Any) -> bool:  # noqa: PLR0911 - one block a test
    text = composed(cell_text(cell))
    if isinstance(test, Text):
        return (
            places(test.op, text, composed(test.value))
            if test.cased
            else places(test.op, fold(text), fold(composed(test.value)))
        )
    if isinstance(test, Wildcard):
        change = composed if test.cased else lambda part: fold(composed(part))
        pattern = "".join(
            re.escape(change(part)) if isinstance(part, str) else "." * part or ".*" for part in test.parts
        )
        return re.fullmatch(pattern, change(text), re.DOTALL) is not None
    if isinstance(test, Regex):
        return re.search(composed(test.pattern), text, re.IGNORECASE if "i" in test.flags else 0) is not None
    if isinstance(test, Number) and test.op == "eq":
        return text == repr(test.value) or (isinstance(cell, float) and cell == test.value)
    if isinstance(test, Number):
        if re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]{1,3})?", text.strip()):
            value = float(text)
        elif re.fullmatch(r"0x[0-9a-f]+", text.strip()):
            value = float(int(text, 16))
        else:
            return False
        return {
            "lt": value < test.value,
            "le": value <= test.value,
            "gt": value > test.value,
            "ge": value >= test.value,
        }[test.op]
    assert isinstance(test, Network)
    return network_within(text, test.network)


def network_within(text: str, network: str) -> bool:
    """An address is a network of one; a zone is left out, and an IPv4-mapped address is the one that it carries."""
    try:
        inner, outer = (
            ipaddress.ip_network(re.sub(r"(?i)^::ffff:(?=[0-9.]+$)|%[^/]*|[][]", "", part), strict=False)
            for part in (text, network)
        )
    except ValueError:
        return False
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
