"""YAML as Sigma uses it: version 1.2's core schema, every node with its place, bounded.

PyYAML's C parser reads; what it makes of plain words is not used, because it follows YAML 1.1 (``yes`` would be
true, ``010`` eight, ``12:30`` seven hundred and fifty, ``2020-01-01`` a date). The Sigma specification names
YAML 1.2.2, whose core schema knows null, true and false, decimal, octal (``0o``) and hexadecimal (``0x``)
integers, and floats. Repeated keys in a map are refused: YAML 1.2 forbids them, and a condition would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf, isfinite
from typing import Any, NamedTuple

import yaml

from aleat.errors import Place, RuleError

__all__ = ["Node", "check_depth", "compose_document", "plain_value", "words_of"]

MAX_TEXT = 2_000_000
MAX_DEPTH = 60
MAX_NODES = 200_000
_SAFE_DEPTH = 200
_TEXT_TAG = "tag:yaml.org,2002:str"

_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_ONLY_IN_CORE = re.compile(r"0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+", re.ASCII)
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_LONGEST_INTEGER = 64
_MERGE = "<<"


class Node(NamedTuple):
    """A YAML node. `value` is a scalar, a tuple of nodes (list), or a tuple of pairs of nodes (map).

    `text` is a scalar as written (without quotes); `line` and `column` count from 1.
    """

    kind: str
    value: object
    text: str
    line: int
    column: int

    def items(self) -> Iterator[tuple[Node, Node]]:
        """Yield the pairs of a map."""
        if self.kind == "map":
            assert isinstance(self.value, tuple)  # noqa: S101 - that is what a map's value is
            yield from self.value

    def elements(self) -> Iterator[Node]:
        """Yield the elements of a list; a scalar or map is one element."""
        if self.kind == "list":
            assert isinstance(self.value, tuple)  # noqa: S101 - that is what a list's value is
            yield from self.value
        else:
            yield self

    def get(self, key: str) -> Node | None:
        """Return the value of a map's key, or None."""
        return next((value for name, value in self.items() if name.text == key), None)


def compose_document(text: str, path: str = "", first_line: int = 1) -> Node:
    """Return the only document in `text`; `first_line` is where the text begins in the file `path`.

    Raises `RuleError` with line and column for what is no YAML, several documents, or beyond the limits.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(f"rule of {len(text)} characters (limit: {MAX_TEXT})", Place(path, first_line))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RuleError("no valid YAML: half of a surrogate pair", Place(path, first_line)) from None
    check_depth(text, path, first_line)
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark, path, first_line)
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise RuleError(f"no valid YAML: {reason}", place) from None
    except (yaml.YAMLError, ValueError) as error:
        raise RuleError(f"no valid YAML: {str(error).splitlines()[0]}", Place(path, first_line)) from None
    if root is None:
        raise RuleError("the document is empty", Place(path, first_line))
    return _Converter(path, first_line).convert(root, 0)


def plain_value(node: Node) -> object:
    """Return a node as plain Python: scalars, lists, and dicts with texts as keys."""
    if node.kind == "map":
        return {key.text: plain_value(value) for key, value in node.items()}
    if node.kind == "list":
        return [plain_value(element) for element in node.elements()]
    return node.value


def words_of(node: Node, key: str, path: str) -> tuple[str, ...]:
    """Return a map's value as words: one, or a list of them; none where it has no such key, or null.

    Raises `RuleError` with line and column for what is no word.
    """
    value = node.get(key)
    if value is None or value.value is None:
        return ()
    for element in value.elements():
        if element.kind != "scalar" or element.value in (None, ""):
            raise RuleError(f"{key} must be a list of words", Place(path, element.line, element.column))
    return tuple(element.text for element in value.elements())


def check_depth(text: str, path: str = "", first_line: int = 1) -> None:
    """Refuse deep nesting (`RuleError`) before the C parser recurses into it: 200,000 brackets end the process."""
    longest = max((len(line) for line in text.splitlines()), default=0)
    if text.count("[") + text.count("{") + longest < _SAFE_DEPTH:
        return  # each level of a block takes at least one column
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise RuleError(f"nested more than {MAX_DEPTH} deep", _place(event.start_mark, path, first_line))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return  # composing says it better


def _place(mark: Any, path: str, first_line: int) -> Place:
    return Place(path, mark.line + first_line, mark.column + 1) if mark else Place(path, first_line)


class _Converter:
    """From PyYAML's nodes to ours; counts, so that aliases of aliases can't explode."""

    def __init__(self, path: str, first_line: int) -> None:
        self.path = path
        self.first_line = first_line
        self._count = 0

    def convert(self, node: yaml.Node, depth: int) -> Node:
        self._count += 1
        place = _place(node.start_mark, self.path, self.first_line)
        if self._count > MAX_NODES:
            raise RuleError(f"more than {MAX_NODES} values (aliases counted each time)", place)
        if depth > MAX_DEPTH:
            raise RuleError(f"nested more than {MAX_DEPTH} deep", place)
        line, column = place.line or 1, place.column or 1
        if isinstance(node, yaml.MappingNode):
            pairs = [(self.convert(key, depth + 1), self.convert(value, depth + 1)) for key, value in node.value]
            self._check_keys(pairs)
            return Node("map", tuple(pairs), "", line, column)
        if isinstance(node, yaml.SequenceNode):
            return Node("list", tuple(self.convert(child, depth + 1) for child in node.value), "", line, column)
        return Node("scalar", self._scalar(node), node.value, line, column)

    def _check_keys(self, pairs: list[tuple[Node, Node]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            place = Place(self.path, key.line, key.column)
            if key.kind != "scalar":
                raise RuleError("a key must be a word", place)
            if key.value == _MERGE:
                raise RuleError(
                    "'<<' merges maps in YAML 1.1 only, and Sigma is written in YAML 1.2",
                    place,
                    advice="Write the map's entries out.",
                )
            if key.text in seen:
                raise RuleError(
                    f"the key {key.text!r} stands twice in one map",
                    place,
                    advice="Write the values as one list (with the modifier all, where each must match).",
                )
            seen.add(key.text)

    @staticmethod
    def _scalar(node: yaml.Node) -> str | int | float | bool | None:
        text: str = node.value
        if getattr(node, "style", None) or len(text) > _LONGEST_INTEGER:
            return text
        if node.tag == _TEXT_TAG and not _ONLY_IN_CORE.fullmatch(text):
            return text  # a plain word, or tagged so
        if text in _WORDS:
            return _WORDS[text]
        for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
            if pattern.fullmatch(text):
                return int(text.removeprefix("0o"), base)
        number = float(text) if _FLOAT.fullmatch(text) else inf
        return number if isfinite(number) else text
