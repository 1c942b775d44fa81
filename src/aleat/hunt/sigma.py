"""Sigma rules, correlations and filters: from a document's text to expressions over Sigma's own field names.

`read_document` parses one YAML document into a `SigmaDocument`; mapping it to kinds of evidence is
`aleat.hunt.taxonomy`'s, putting documents into a plan `aleat.hunt.compiler`'s. Written from the specification
2.1 (Rules, Correlation Rules, Filters). What is wrong raises `RuleError` with file, line and column; metadata
that nobody evaluates (dates, tags, references) are the knowledge readers' concern and are not checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aleat.errors import Place, RuleError
from aleat.hunt.expression import And, Expression, Not, all_of, any_of, negate
from aleat.hunt.plan import LogSource
from aleat.hunt.sigma_condition import parse_condition
from aleat.hunt.sigma_correlation import TIMESPAN, CorrelationBody, read_correlation
from aleat.hunt.sigma_values import Placeholders, compile_item
from aleat.hunt.sigma_yaml import Node, compose_document, words_of

__all__ = ["CorrelationBody", "FilterBody", "RuleBody", "SigmaDocument", "read_document"]


@dataclass(frozen=True, slots=True)
class RuleBody:
    """What a rule says of one event."""

    logsource: LogSource
    expression: Expression


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
    reader.check_taxonomy(root)
    name = root.get("name")
    fields = root.get("fields")
    body: RuleBody | CorrelationBody | FilterBody
    if (node := root.get("correlation")) is not None:
        body = read_correlation(node, root, path)
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


def _is_timeframe(key: Node, value: Node) -> bool:
    """Tell whether an entry of a detection is what the aggregations of Sigma 1 counted in, and no search."""
    return key.text == "timeframe" and value.kind == "scalar" and TIMESPAN.fullmatch(value.text) is not None


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

    def check_taxonomy(self, root: Node) -> None:
        """Refuse field names of another taxonomy than Sigma's own, which would be in no event (Rules, "Taxonomy")."""
        node = root.get("taxonomy")
        if node is not None and node.value is not None and node.text.strip().lower() != "sigma":
            raise self.error(
                f"the taxonomy {node.text!r} is not known",
                node,
                "Have the rule's field names and log source written in Sigma's own taxonomy.",
            )

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
            if value is not None and value.kind != "scalar":
                raise self.error(f"the log source's {name} must be a word", value)
            if value is not None and value.value is not None and value.text.strip():
                found[name] = "_".join(value.text.lower().split())
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
            key.text: self._search(value, key)
            for key, value in node.items()
            if key.text not in ("condition", *skip) and not _is_timeframe(key, value)
        }
        if not searches:
            raise self.error(f"the {what} has no search identifier", node)
        conditions = list(condition.elements())
        if not conditions:
            raise self.error("the condition is empty", condition)
        return any_of([self._condition(element, searches) for element in conditions])

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
        names = words_of(node, "rules", self.path)
        if not names:
            raise self.error("the filter names no rules", rules, "Name them by id or name, or write: any.")
        hidden = self._detection(node, "filter", skip=("rules",))
        negated = isinstance(hidden, Not) or (
            isinstance(hidden, And) and all(isinstance(child, Not) for child in hidden.children)
        )
        if negated and not self.as_written:
            hidden = any_of([negate(child) for child in (hidden.children if isinstance(hidden, And) else (hidden,))])
        anywhere = len(names) == 1 and names[0].lower() == "any"
        return FilterBody(self._logsource(root), () if anywhere else names, hidden)
