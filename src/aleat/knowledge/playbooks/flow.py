"""A workflow as a graph: what each step leads to, what is reached, where it goes round.

All walks are iterative and linear: a playbook of a stranger can have a hundred thousand steps in a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["find_loops", "flows_of", "mapping_of", "reachable_steps", "workflow_of"]

_ONE = ("on_true", "on_false", "on_completion", "on_success", "on_failure")
_PATH = tuple[str | int, ...]


def mapping_of(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object under `name`, or an empty one where there is none."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def workflow_of(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the steps that are objects, by id."""
    return {key: step for key, step in mapping_of(content, "workflow").items() if isinstance(step, dict)}


def flows_of(step: Mapping[str, Any]) -> Iterator[tuple[_PATH, str]]:
    """Yield (path below the step, id) of every step that it leads to; branches first, then what follows."""
    listed = step.get("next_steps")
    for place, target in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(target, str):
            yield ("next_steps", place), target
    for case, target in mapping_of(step, "cases").items():
        if isinstance(target, str):
            yield ("cases", case), target
    for name in _ONE:
        if isinstance(step.get(name), str):
            yield (name,), step[name]


def reachable_steps(content: Mapping[str, Any]) -> set[str]:
    """Return the ids of the steps that the start, or the handler of exceptions, leads to."""
    steps = workflow_of(content)
    stack = [name for name in (content.get("workflow_start"), content.get("workflow_exception")) if name]
    reached: set[str] = set()
    while stack:
        key = stack.pop()
        if not isinstance(key, str) or key in reached or key not in steps:
            continue
        reached.add(key)
        stack.extend(target for _, target in flows_of(steps[key]))
    return reached


def find_loops(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, _PATH]]:
    """Yield (step, path below it) of each edge that leads back to a step on the way to it."""
    state: dict[str, int] = {}  # 1: on the way, 2: done
    for first in steps:
        if first in state:
            continue
        state[first] = 1
        stack = [(first, flows_of(steps[first]))]
        while stack:
            key, flows = stack[-1]
            path, target = next(flows, (None, ""))
            if path is None:
                state[key] = 2
                stack.pop()
            elif state.get(target) == 1:
                yield key, path
            elif target in steps and target not in state:
                state[target] = 1
                stack.append((target, flows_of(steps[target])))
