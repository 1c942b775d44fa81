"""YAML documents of a hostile file: split, bounded, with the place of every fault.

The parser's events are looked at before anything is built: nesting, the number of nodes with every alias
written out ("billion laughs"), and keys that stand twice in one mapping, of which YAML would keep the last in
silence. Only then is a document loaded, by `CSafeLoader` (no tags but YAML's own).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from aleat.errors import InputError, LimitError, Place, RuleError
from aleat.knowledge.limits import Limits

__all__ = ["YamlDocument", "split_documents"]


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document: its own text, the line (from 1) on which that begins, and its value."""

    text: str
    line: int
    value: Any


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is open: its nodes so far, and the keys of a mapping."""

    mapping: bool
    anchor: str | None
    nodes: int = 1
    keys: set[str] = field(default_factory=set)
    at_key: bool = True


class _Guard:
    """Counts what a document would be with all aliases written out."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.frames: list[_Frame] = []
        self.anchors: dict[str, int] = {}
        self.total = 0

    def take(self, event: Any) -> None:
        """Look at one event; raises `LimitError` or `RuleError`."""
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._begin_value(event, None)
            self.frames.append(_Frame(isinstance(event, yaml.MappingStartEvent), event.anchor))
            if len(self.frames) > self.limits.yaml_depth:
                raise LimitError(
                    f"The document is nested deeper than {self.limits.yaml_depth} levels (yaml_depth).",
                    self._place(event),
                )
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            frame = self.frames.pop()
            self._end_value(event, frame.nodes, frame.anchor)
        elif isinstance(event, yaml.ScalarEvent):
            self._begin_value(event, event.value)
            self._end_value(event, 1, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._begin_value(event, None)
            self._end_value(event, self.anchors.get(event.anchor or "", 1), None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.frames, self.anchors, self.total = [], {}, 0

    def _begin_value(self, event: Any, scalar: str | None) -> None:
        if not self.frames or not self.frames[-1].mapping:
            return
        frame = self.frames[-1]
        if frame.at_key and scalar is not None:
            if scalar in frame.keys:
                raise RuleError(
                    "A key stands twice in one mapping; YAML would drop the first in silence.",
                    self._place(event),
                    advice="Rename or merge them.",
                )
            frame.keys.add(scalar)
        frame.at_key = not frame.at_key

    def _end_value(self, event: Any, nodes: int, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = nodes
        if self.frames:
            self.frames[-1].nodes += nodes
        self.total = max(self.total, nodes, self.frames[-1].nodes if self.frames else 0)
        if self.total > self.limits.yaml_nodes:
            raise LimitError(
                f"With its aliases written out the document has more than {self.limits.yaml_nodes} nodes (yaml_nodes).",
                self._place(event),
            )

    def _place(self, event: Any) -> Place:
        return Place(self.path, event.start_mark.line + 1, event.start_mark.column + 1)


def split_documents(text: str, path: str, limits: Limits) -> Iterator[YamlDocument | InputError]:
    """Yield the documents in `text` in order, and an error (with line and column) in the place of a bad one.

    After a fault of syntax nothing more of the file can be told apart: the error is the last that is yielded.
    """
    starts: list[tuple[int, int]] = []
    guard = _Guard(path, limits)
    fault: InputError | None = None
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            guard.take(event)
            if isinstance(event, yaml.DocumentStartEvent) and event.start_mark is not None:
                starts.append((event.start_mark.index, event.start_mark.line))
                if len(starts) > limits.yaml_documents:
                    reason = f"The file has more than {limits.yaml_documents} documents (yaml_documents)."
                    raise LimitError(reason, Place(path))
    except InputError as error:
        fault = error
    except yaml.YAMLError as error:
        fault = _fault(error, text, path, 0)
    whole = starts if fault is None else starts[:-1]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    for number, ((start, line), end) in enumerate(zip(whole, ends, strict=False)):
        if number == 0:
            yield _load(text[:end], 0, path)
        else:
            yield _load(text[start:end], line, path)
    if fault is not None:
        yield fault


def _load(text: str, line: int, path: str) -> YamlDocument | InputError:
    first, newline, rest = text.partition("\n")
    if first.rstrip() == "---":
        text, line = rest, line + len(newline)
    try:
        return YamlDocument(text, line + 1, yaml.load(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        return _fault(error, text, path, line)
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:  # tags that don't fit values
        reason = (str(error).splitlines() or ["a value can't be read"])[0][:120].rstrip(".")
        return RuleError(f"The document can't be loaded: {reason}.", Place(path, line + 1))


def _fault(error: yaml.YAMLError, text: str, path: str, line: int) -> RuleError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be parsed"
    if mark is not None:
        place = Place(path, line + mark.line + 1, mark.column + 1)
    else:
        position = getattr(error, "position", 0) or 0
        before = text[:position] if isinstance(position, int) else ""
        place = Place(path, line + before.count("\n") + 1, len(before) - before.rfind("\n"))
    return RuleError(f"That is no YAML: {str(problem)[:120]}.", place, advice="Correct the file, or ask its giver.")
