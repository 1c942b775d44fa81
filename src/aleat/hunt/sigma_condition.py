"""Sigma's conditions: `selection and not 1 of filter_*`, parsed over the names of a rule's search identifiers.

Specification 2.1, "Condition": ``or`` binds least, then ``and``, ``not``, ``x of``, brackets. ``them`` and
patterns leave out names that start with an underscore (unless the pattern itself does); a name or pattern that
fits nothing is an error, because a rule with a typing mistake must not turn silent. The obsolete aggregations
after a ``|`` are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aleat.errors import RuleError
from aleat.hunt.expression import Expression, all_of, any_of, negate

__all__ = ["parse_condition"]

_TOKEN = re.compile(r"\s*([()]|\||[^\s()|]+)")
_NAME = re.compile(r"[\w.*?-]+")
_OPEN = ("(",)
MAX_DEPTH = 50
MAX_TOKENS = 5000


def parse_condition(text: str, searches: Mapping[str, Expression]) -> Expression:
    """Return the expression that `text` makes of `searches`.

    Raises `RuleError` (without a place: the caller knows the line) for what the specification doesn't allow.
    """
    tokens = _TOKEN.findall(text)
    if not tokens:
        raise RuleError("the condition is empty")
    if "|" in tokens:
        raise RuleError(
            "the condition uses an aggregation after '|', which Sigma 2 has replaced",
            advice="Write it as a correlation rule.",
        )
    if len(tokens) > MAX_TOKENS:
        raise RuleError(f"the condition has more than {MAX_TOKENS} words")
    return _Parser(tokens, searches).parse()


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[str], searches: Mapping[str, Expression]) -> None:
        self.tokens = tokens
        self.searches = searches
        self.at = 0
        self.depth = 0

    def parse(self) -> Expression:
        expression = self._or()
        if self.at < len(self.tokens):
            raise RuleError(f"the condition can't go on with {self.tokens[self.at]!r}")
        return expression

    def _peek(self) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        return token.lower() if token.lower() in ("and", "or", "not") and token not in self.searches else token

    def _or(self) -> Expression:
        parts = [self._and()]
        while self._peek() == "or":
            self.at += 1
            parts.append(self._and())
        return any_of(parts)

    def _and(self) -> Expression:
        parts = [self._not()]
        while self._peek() == "and":
            self.at += 1
            parts.append(self._not())
        return all_of(parts)

    def _not(self) -> Expression:
        negations = 0
        while self._peek() == "not":
            self.at += 1
            negations += 1
        operand = self._operand()
        return negate(operand) if negations % 2 else operand

    def _operand(self) -> Expression:
        token = self._peek()
        self.at += 1
        if not token:
            raise RuleError("the condition ends where a name is expected")
        if token in _OPEN:
            return self._group()
        if token in (")", "and", "or"):
            raise RuleError(f"the condition has {token!r} where a name is expected")
        if self._peek().lower() == "of" and (token.lower() in ("all", "any") or token.isdigit()):
            return self._selector(token.lower())
        if token not in self.searches:
            raise RuleError(f"the condition names {token!r}, which the rule doesn't define")
        return self.searches[token]

    def _group(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RuleError(f"the condition nests more than {MAX_DEPTH} brackets")
        expression = self._or()
        if self._peek() != ")":
            raise RuleError("a bracket in the condition is never closed")
        self.at += 1
        self.depth -= 1
        return expression

    def _selector(self, quantifier: str) -> Expression:
        self.at += 1
        pattern = self._peek()
        self.at += 1
        if quantifier not in ("1", "any", "all"):
            raise RuleError(f"'{quantifier} of' is not in the standard: only '1 of' and 'all of' are")
        if not pattern or not _NAME.fullmatch(pattern):
            raise RuleError(f"'{quantifier} of' must be followed by 'them' or a pattern of names")
        found = self._fitting(pattern)
        if not found:
            raise RuleError(f"'{quantifier} of {pattern}' fits none of the rule's search identifiers")
        return all_of(found) if quantifier == "all" else any_of(found)

    def _fitting(self, pattern: str) -> list[Expression]:
        if pattern.lower() == "them" and pattern not in self.searches:
            return [search for name, search in self.searches.items() if not name.startswith("_")]
        expression = re.compile(
            ".*".join(re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*")), re.DOTALL
        )
        hidden = pattern.startswith("_")
        return [
            search
            for name, search in self.searches.items()
            if (hidden or not name.startswith("_")) and expression.fullmatch(name)
        ]
