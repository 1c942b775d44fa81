"""pySigma's reading of a rule, held against one event: its parser and its modifiers, and the simplest evaluation.

pySigma makes a tree of conditions and values for tools that write queries; what those values mean is left to the
tools. Here they are evaluated as their names say, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from operator import ge, gt, le, lt, ne
from typing import Any

from sigma import conditions, types
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from yaml import YAMLError

from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import fold

__all__ = ["NoOpinionError", "opinion"]

_COMPARE = {"LT": lt, "LTE": le, "GT": gt, "GTE": ge, "NEQ": ne}
_WILDCARDS = {types.SpecialChars.WILDCARD_MULTI: ".*", types.SpecialChars.WILDCARD_SINGLE: "."}
_FLAGS = {"IGNORECASE": re.IGNORECASE, "MULTILINE": re.MULTILINE, "DOTALL": re.DOTALL}

Event = Mapping[str, Any]


class NoOpinionError(Exception):
    """pySigma doesn't take the rule, or its value says nothing that can be evaluated over an event."""


def opinion(text: str, event: Event) -> bool:
    """Return whether the rule, as pySigma reads it, fires on the event."""
    try:
        rule = SigmaRule.from_yaml(text)
        trees = [parsed.parsed for parsed in rule.detection.parsed_condition]
    except (SigmaError, YAMLError) as error:
        raise NoOpinionError(f"{type(error).__name__}: {error}") from error
    return any(_holds(tree, event) for tree in trees)


def _holds(tree: Any, event: Event) -> bool:
    if isinstance(tree, conditions.ConditionAND):
        return all(_holds(child, event) for child in tree.args)
    if isinstance(tree, conditions.ConditionOR):
        return any(_holds(child, event) for child in tree.args)
    if isinstance(tree, conditions.ConditionNOT):
        return not _holds(tree.args[0], event)
    if isinstance(tree, conditions.ConditionFieldEqualsValueExpression):
        return _field_holds(tree.field, tree.value, event)
    if isinstance(tree, conditions.ConditionValueExpression):
        cells = [cell for value in event.values() for cell in _flat(value)]
        return any(_passes(tree.value, cell, anywhere=True) for cell in cells if cell is not None)
    raise NoOpinionError(f"a condition of type {type(tree).__name__}")


def _field_holds(name: str, value: Any, event: Event) -> bool:
    found = [cell for key, cell in event.items() if _name(key) == _name(name)]
    if isinstance(value, types.SigmaExists):
        return bool(found) is bool(value.exists)
    cells = [cell for item in found for cell in _flat(item)]
    if isinstance(value, types.SigmaNull):
        return not found or None in cells
    if isinstance(value, types.SigmaExpansion):
        return any(_field_holds(name, one, event) for one in value.values)
    if isinstance(value, types.SigmaFieldReference):
        others = [cell for key, item in event.items() if _name(key) == _name(value.field) for cell in _flat(item)]
        return any(
            _refers(value, fold(cell_text(cell)), fold(cell_text(other)))
            for cell in cells
            for other in others
            if cell is not None and other is not None
        )
    return any(_passes(value, cell) for cell in cells if cell is not None)


def _refers(value: types.SigmaFieldReference, text: str, other: str) -> bool:
    if value.starts_with and value.ends_with:
        return other in text
    if value.starts_with:
        return text.startswith(other)
    return text.endswith(other) if value.ends_with else text == other


def _passes(value: Any, cell: Any, *, anywhere: bool = False) -> bool:  # noqa: PLR0911 - one block a type
    text = cell_text(cell)
    if isinstance(value, types.SigmaString):
        pattern = "".join(_part(part, cased=isinstance(value, types.SigmaCasedString)) for part in value.s)
        subject = text if isinstance(value, types.SigmaCasedString) else fold(text)
        search = re.search if anywhere else re.fullmatch
        return search(pattern, subject, re.DOTALL) is not None
    if isinstance(value, types.SigmaTimestampPart):
        raise NoOpinionError("a part of a time")
    if isinstance(value, types.SigmaNumber):
        return str(value.number) in text if anywhere else text == str(value.number) or cell == value.number
    if isinstance(value, types.SigmaBool):
        return text == str(value.boolean).lower() or fold(text) == str(value.boolean).lower()
    if isinstance(value, types.SigmaRegularExpression):
        flags = sum((_FLAGS[flag.name] for flag in value.flags), re.RegexFlag(0))
        return re.search(str(value.regexp), text, flags) is not None
    if isinstance(value, types.SigmaCIDRExpression):
        return _within(value, text)
    if isinstance(value, types.SigmaCompareExpression):
        if isinstance(value.number, types.SigmaTimestampPart):
            raise NoOpinionError("a part of a time")
        try:
            return bool(_COMPARE[value.op.name](float(text), float(value.number.number)))
        except ValueError:
            return False
    raise NoOpinionError(f"a value of type {type(value).__name__}")


def _within(value: types.SigmaCIDRExpression, text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == value.network.version and address in value.network


def _part(part: Any, *, cased: bool) -> str:
    if isinstance(part, str):
        return re.escape(part if cased else fold(part))
    if part in _WILDCARDS:
        return _WILDCARDS[part]
    raise NoOpinionError("a placeholder")


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _name(name: str | None) -> str:
    return fold("".join((name or "").split()))
