"""Sigma rules, correlations and filters: from a document's text to expressions over Sigma's own field names.

`read_document` parses one YAML document into a `SigmaDocument`; mapping it to kinds of evidence is
`aleat.hunt.taxonomy`'s, putting documents into a plan `aleat.hunt.compiler`'s. Written from the specification
2.1 (Rules, Correlation Rules, Filters). What is wrong raises `RuleError` with file, line and column; metadata
that nobody evaluates (dates, tags, references) are the knowledge readers' concern and are not checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aleat.errors import Place, RuleError
from aleat.hunt.expression import And, Expression, Not, all_of, any_of, negate
from aleat.hunt.plan import LogSource
from aleat.hunt.sigma_condition import parse_condition
from aleat.hunt.sigma_values import Placeholders, compile_item
from aleat.hunt.sigma_yaml import Node, compose_document

__all__ = ["CorrelationBody", "FilterBody", "RuleBody", "SigmaDocument", "read_document"]

_TIMESPAN = re.compile(r"([0-9]{1,9})([smhdwMy])")
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
_NEEDS_FIELD = ("value_count", "value_sum", "value_avg", "value_percentile")
_OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")


@dataclass(frozen=True, slots=True)
class RuleBody:
    """What a rule says of one event."""

    logsource: LogSource
    expression: Expression


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


@dataclass(frozen=True, slots=True)
class FilterBody:
    """What a filter hides, and in which rules (ids or names; empty: "any")."""

    logsource: LogSource
    rules: tuple[str, ...]
    expression: Expression


@dataclass(frozen=True, slots=True)
class SigmaDocument:
    """One document: its short name for references, and its body."""

    name: str
    body: RuleBody | CorrelationBody | FilterBody
    fields: tuple[str, ...] = ()


def read_document(
    text: str,
    *,
    path: str = "",
    first_line: int = 1,
    placeholders: Placeholders | None = None,
    as_written: bool = False,
) -> SigmaDocument:
    """Parse one Sigma document; `first_line` is the line of the file `path` in which it begins.

    `as_written`: a filter's condition is what is hidden, also where it is a negation (see `_Reader.filter`).
    Raises `RuleError` with file, line and column.
    """
    root = compose_document(text, path, first_line)
    reader = _Reader(path, placeholders or {}, as_written=as_written)
    if root.kind != "map":
        raise reader.error("a Sigma document must be a map", root)
    name = root.get("name")
    fields = root.get("fields")
    body: RuleBody | CorrelationBody | FilterBody
    if (node := root.get("correlation")) is not None:
        body = reader.correlation(node, root)
    elif (node := root.get("filter")) is not None:
        body = reader.filter(node, root)
    elif (node := root.get("detection")) is not None:
        body = reader.rule(node, root)
    else:
        raise reader.error("no Sigma rule: neither detection nor correlation nor filter", root)
    return SigmaDocument(
        name.text if name is not None else "",
        body,
        tuple(element.text for element in fields.elements()) if fields is not None else (),
    )


class _Reader:
    """Knows the file, so that errors can name it."""

    def __init__(self, path: str, placeholders: Placeholders, *, as_written: bool = False) -> None:
        self.path = path
        self.as_written = as_written
        self.placeholders = placeholders

    def error(self, reason: str, node: Node, advice: str = "") -> RuleError:
        return RuleError(reason, Place(self.path, node.line, node.column), advice=advice)

    def _placed(self, error: RuleError, node: Node) -> RuleError:
        line, column = node.line, node.column
        if error.place is not None:
            line, column = error.place.line or line, error.place.column or column
        placed = RuleError(error.reason, Place(self.path, line, column), advice=error.advice)
        placed.code = error.code
        return placed

    # ------------------------------------------------------------------------------------------- rules

    def rule(self, node: Node, root: Node) -> RuleBody:
        return RuleBody(self._logsource(root), self._detection(node, "detection"))

    def _logsource(self, root: Node) -> LogSource:
        node = root.get("logsource")
        if node is None or node.kind != "map":
            raise self.error("no logsource", node or root, "A rule must say which log it is about.")
        found = {}
        for name in ("category", "product", "service"):
            value = node.get(name)
            if value is not None and value.value is not None:
                if value.kind != "scalar":
                    raise self.error(f"the log source's {name} must be a word", value)
                found[name] = value.text.strip().lower()
        if not found:
            raise self.error("the log source names neither category nor product nor service", node)
        return LogSource(**found)

    def _detection(self, node: Node, what: str, skip: tuple[str, ...] = ()) -> Expression:
        if node.kind != "map":
            raise self.error(f"{what} must be a map", node)
        condition = node.get("condition")
        if condition is None:
            raise self.error(f"the {what} has no condition", node)
        searches = {
            key.text: self._search(value, key) for key, value in node.items() if key.text not in ("condition", *skip)
        }
        if not searches:
            raise self.error(f"the {what} has no search identifier", node)
        return any_of([self._condition(element, searches) for element in condition.elements()])

    def _condition(self, node: Node, searches: Mapping[str, Expression]) -> Expression:
        if node.kind != "scalar":
            raise self.error("a condition must be a text", node)
        try:
            return parse_condition(node.text, searches)
        except RuleError as error:
            raise self._placed(error, node) from None

    def _search(self, node: Node, key: Node) -> Expression:
        """A map is AND, a list is OR; texts outside of a map are keywords (Rules, "Lists", "Maps")."""
        if node.kind == "map":
            children = [self._item(name, value) for name, value in node.items()]
            if not children:
                raise self.error(f"{key.text!r} is empty", node)
            return all_of(children)
        if node.kind == "list":
            elements = list(node.elements())
            if not elements:
                raise self.error(f"{key.text!r} is empty", node)
            return any_of([self._search(element, key) for element in elements])
        if node.value is None:
            raise self.error(f"{key.text!r} is empty", key)
        return self._compile("", node, node)

    def _item(self, key: Node, value: Node) -> Expression:
        return self._compile(key.text, value, key)

    def _compile(self, key: str, value: Node, at: Node) -> Expression:
        try:
            return compile_item(key, value, self.placeholders)
        except RuleError as error:
            raise self._placed(error, at) from None

    # ----------------------------------------------------------------------------------------- filters

    def filter(self, node: Node, root: Node) -> FilterBody:
        """What the filter describes is hidden, whether its condition is written as the specification's example has it
        ("selection"), or as tools that join it to the rule with "and" want it ("not selection").
        """
        if node.kind != "map":
            raise self.error("filter must be a map", node)
        rules = node.get("rules")
        if rules is None:
            raise self.error("the filter names no rules", node)
        names = tuple(element.text for element in rules.elements())
        hidden = self._detection(node, "filter", skip=("rules",))
        negated = isinstance(hidden, Not) or (
            isinstance(hidden, And) and all(isinstance(child, Not) for child in hidden.children)
        )
        if negated and not self.as_written:
            hidden = any_of([negate(child) for child in (hidden.children if isinstance(hidden, And) else (hidden,))])
        anywhere = rules.kind == "scalar" and rules.text.lower() == "any"
        return FilterBody(self._logsource(root), () if anywhere else names, hidden)

    # ------------------------------------------------------------------------------------ correlations

    def correlation(self, node: Node, root: Node) -> CorrelationBody:
        if node.kind != "map":
            raise self.error("correlation must be a map", node)
        kind = self._word(node, "type")
        if kind not in CORRELATION_TYPES:
            raise self.error(
                f"unknown correlation type {kind!r}",
                node.get("type") or node,
                f"Known: {', '.join(CORRELATION_TYPES)}.",
            )
        rules = self._words(node, "rules")
        if not rules:
            raise self.error("the correlation names no rules", node)
        condition, expression, fields, percentile = self._correlation_condition(node, kind, len(rules))
        generate = node.get("generate") or root.get("generate")
        return CorrelationBody(
            type=kind,
            rules=rules,
            group_by=self._words(node, "group-by"),
            timespan=self._timespan(node),
            condition=condition,
            fields=fields,
            percentile=percentile,
            aliases=self._aliases(node),
            expression=expression,
            generate=generate is not None and generate.value is True,
        )

    def _word(self, node: Node, key: str) -> str:
        value = node.get(key)
        if value is None or value.kind != "scalar":
            raise self.error(f"the correlation has no {key}", value or node)
        return value.text

    def _words(self, node: Node, key: str) -> tuple[str, ...]:
        value = node.get(key)
        if value is None or value.value is None:
            return ()
        if any(element.kind != "scalar" for element in value.elements()):
            raise self.error(f"{key} must be a list of words", value)
        return tuple(element.text for element in value.elements())

    def _timespan(self, node: Node) -> int:
        value = node.get("timespan") or node.get("timeframe")
        if value is None:
            raise self.error("the correlation has no timespan", node)
        match = _TIMESPAN.fullmatch(value.text)
        if match is None or not int(match[1]):
            raise self.error(f"{value.text!r} is no timespan", value, "Write a number and s, m, h or d, as in 90m.")
        return int(match[1]) * _SECONDS[match[2]]

    def _correlation_condition(
        self, node: Node, kind: str, rules: int
    ) -> tuple[tuple[tuple[str, float], ...], str, tuple[str, ...], float | None]:
        """Return (operators with numbers, boolean expression, fields, percentile)."""
        value = node.get("condition")
        if value is None:
            if kind in ("temporal", "temporal_ordered"):
                return (("gte", float(rules)),), "", (), None
            raise self.error(f"a correlation of type {kind} needs a condition", node)
        if value.kind == "scalar":
            if kind != "temporal":
                raise self.error(f"the condition of a correlation of type {kind} must be a map", value)
            return (), value.text, (), None
        found: list[tuple[str, float]] = []
        fields: tuple[str, ...] = ()
        percentile: float | None = None
        for key, item in value.items():
            if key.text == "field":
                fields = tuple(element.text for element in item.elements())
            elif key.text == "percentile":
                percentile = self._number(item)
            elif key.text in _OPERATORS:
                found.append((key.text, self._number(item)))
            else:
                raise self.error(f"unknown operator {key.text!r}", key, f"Known: {', '.join(_OPERATORS)}.")
        if not found:
            raise self.error("the condition compares with nothing", value, f"Give one of {', '.join(_OPERATORS)}.")
        if kind in _NEEDS_FIELD and not fields:
            raise self.error(f"the condition of a correlation of type {kind} needs a field", value)
        return tuple(found), "", fields, percentile

    def _number(self, node: Node) -> float:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self.error("a number is expected", node)
        return float(node.value)

    def _aliases(self, node: Node) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
        value = node.get("aliases")
        if value is None:
            return ()
        if value.kind != "map" or any(item.kind != "map" for _, item in value.items()):
            raise self.error("aliases must be a map of maps", value)
        return tuple(
            (key.text, tuple((rule.text, name.text) for rule, name in item.items())) for key, item in value.items()
        )
