"""A correlation's section of a Sigma document, read and checked (Correlation Rules specification 2.1).

What could never match, or would match something other than it says, is refused with its place: a condition that
no number fulfils, a field where nothing reads one, a key that is nearly one of the specification's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, isfinite

from aleat.errors import Place, RuleError
from aleat.hunt.correlation_windows import holds
from aleat.hunt.sigma_yaml import Node, words_of

__all__ = ["CORRELATION_TYPES", "TIMESPAN", "CorrelationBody", "read_correlation"]

TIMESPAN = re.compile(r"([0-9]{1,9})([smhdwMy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2629746, "y": 31556952}
CORRELATION_TYPES = (
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
)
_TEMPORAL = ("temporal", "temporal_ordered")
_COUNTS = ("event_count", "value_count")
_MOST_LEFT_OUT = 50  # of an order: each event is held against the square of it
_OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
_KEYS = ("type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "generate")
_NEARLY = {re.sub("[^a-z]", "", key): key for key in _KEYS} | {"rule": "rules", "alias": "aliases"}

Condition = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class CorrelationBody:
    """What a correlation says of several: `rules` and the keys in `aliases` are ids or names, not yet resolved."""

    type: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan: int
    condition: tuple[tuple[str, float], ...]
    fields: tuple[str, ...] = ()
    percentile: float | None = None
    aliases: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    expression: str = ""
    generate: bool = False


def read_correlation(node: Node, root: Node, path: str) -> CorrelationBody:
    """Read the section `node` of the document `root`; raises `RuleError` with file, line and column."""
    return _Reader(path).read(node, root)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Knows the file, so that errors can name it."""

    path: str

    def error(self, reason: str, node: Node, advice: str = "") -> RuleError:
        return RuleError(reason, Place(self.path, node.line, node.column), advice=advice)

    def read(self, node: Node, root: Node) -> CorrelationBody:
        if node.kind != "map":
            raise self.error("correlation must be a map", node)
        self._check_keys(node)
        kind = self._kind(node)
        rules = words_of(node, "rules", self.path)
        if not rules:
            raise self.error("the correlation names no rules", node)
        condition, expression, fields, percentile = self._condition(node, kind, len(rules))
        return CorrelationBody(
            type=kind,
            rules=rules,
            group_by=words_of(node, "group-by", self.path),
            timespan=self._timespan(node),
            condition=condition,
            fields=fields,
            percentile=percentile,
            aliases=self._aliases(node),
            expression=expression,
            generate=self._generate(node.get("generate") or root.get("generate")),
        )

    def _check_keys(self, node: Node) -> None:
        for key, _ in node.items():
            meant = _NEARLY.get(re.sub("[^a-z]", "", key.text.lower()))
            if meant is not None and key.text not in _KEYS:
                raise self.error(f"unknown key {key.text!r} in the correlation", key, f"Write {meant}.")

    def _kind(self, node: Node) -> str:
        value = node.get("type")
        if value is None or value.kind != "scalar" or value.value is None:
            raise self.error("the correlation has no type", value or node)
        if value.text not in CORRELATION_TYPES:
            known = f"Known: {', '.join(CORRELATION_TYPES)}."
            raise self.error(f"unknown correlation type {value.text!r}", value, known)
        return value.text

    def _timespan(self, node: Node) -> int:
        value = node.get("timespan") or node.get("timeframe")
        if value is None:
            raise self.error("the correlation has no timespan", node)
        match = TIMESPAN.fullmatch(value.text)
        if match is None or not int(match[1]):
            raise self.error(f"{value.text!r} is no timespan", value, "Write a number and s, m, h or d, as in 90m.")
        return int(match[1]) * _SECONDS[match[2]]

    def _generate(self, node: Node | None) -> bool:
        if node is None or node.value is None:
            return False
        if not isinstance(node.value, bool):
            raise self.error("generate must be true or false", node)
        return node.value

    def _aliases(self, node: Node) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
        value = node.get("aliases")
        if value is None or value.value is None:
            return ()
        if value.kind != "map" or any(item.kind != "map" for _, item in value.items()):
            raise self.error("aliases must be a map of maps", value)
        for _, names in value.items():
            for rule, name in names.items():
                if name.kind != "scalar" or name.value in (None, ""):
                    raise self.error(f"the alias for {rule.text!r} must be a field's name", name)
        return tuple(
            (key.text, tuple((rule.text, name.text) for rule, name in item.items())) for key, item in value.items()
        )

    # --------------------------------------------------------------------------------------- condition

    def _condition(self, node: Node, kind: str, rules: int) -> tuple[Condition, str, tuple[str, ...], float | None]:
        """Return (operators with numbers, boolean expression, fields, percentile)."""
        value = node.get("condition")
        if value is None or value.value is None:
            if kind in _TEMPORAL:
                return (("gte", float(rules)),), "", (), None
            raise self.error(f"a correlation of type {kind} needs a condition", value or node)
        if value.kind != "map":
            if kind != "temporal" or value.kind != "scalar":
                raise self.error(f"the condition of a correlation of type {kind} must be a map", value)
            if not value.text.strip():
                raise self.error("the condition is empty", value)
            return (), value.text, (), None
        found: list[tuple[str, float]] = []
        percentile: float | None = None
        for key, item in value.items():
            if key.text in _OPERATORS:
                found.append((key.text, self._number(item)))
            elif key.text == "percentile" and kind == "value_percentile":
                percentile = self._number(item)
                if not 0 <= percentile <= 100:
                    raise self.error("a percentile is a number from 0 to 100", item)
            elif key.text != "field":
                raise self.error(f"unknown operator {key.text!r}", key, f"Known: {', '.join(_OPERATORS)}.")
        if not found:
            raise self.error("the condition compares with nothing", value, f"Give one of {', '.join(_OPERATORS)}.")
        fields = self._fields(value, kind, percentile)
        self._check_reach(value, kind, tuple(found), rules)
        return tuple(found), "", fields, percentile

    def _number(self, node: Node) -> float:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self.error("a number is expected", node)
        return float(node.value)

    def _fields(self, condition: Node, kind: str, percentile: float | None) -> tuple[str, ...]:
        fields = words_of(condition, "field", self.path)
        at = condition.get("field") or condition
        if kind == "event_count" or kind in _TEMPORAL:
            if fields:
                raise self.error(
                    f"a correlation of type {kind} reads no field", at, "value_count counts the values of a field."
                )
        elif not fields:
            raise self.error(f"the condition of a correlation of type {kind} needs a field", at)
        elif len(fields) > 1 and (kind in ("value_sum", "value_avg") or percentile is not None):
            raise self.error(f"a correlation of type {kind} reads one field, not {len(fields)}", at)
        return fields

    def _check_reach(self, node: Node, kind: str, condition: Condition, rules: int) -> None:
        """Refuse a condition that can't be fulfilled: of nothing, or of more rules than there are."""
        if kind in _COUNTS and not any(holds(condition, count) for count in _turns(condition)):
            raise self.error(
                "no number of events fulfils the condition",
                node,
                "It has to hold of one event or more: where nothing happens, nothing is evaluated.",
            )
        if kind in _TEMPORAL:
            fitting = [count for count in range(1, rules + 1) if holds(condition, count)]
            if not fitting:
                raise self.error(f"no number of the {rules} rules fulfils the condition", node)
            if kind == "temporal_ordered" and fitting != list(range(fitting[0], rules + 1)):
                raise self.error("temporal_ordered can only ask for at least so many of its rules", node)
            if kind == "temporal_ordered" and rules - fitting[0] > _MOST_LEFT_OUT:
                raise self.error(f"more than {_MOST_LEFT_OUT} rules of an order may be left out", node)


def _turns(condition: Condition) -> Iterable[int]:
    """Return numbers from 1 on among which there is one that fulfils the condition, if any does."""
    bounds = [floor(number) for _, number in condition if isfinite(number)]
    return {1, *(max(bound + step, 1) for bound in bounds for step in range(-1, len(bounds) + 2))}
