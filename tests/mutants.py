"""Functions without one of their checks, one after the other: a suite that doesn't see that doesn't hold the check.

A check is an `if` that refuses (raises or returns), a part of its condition, or the test of a conditional expression.
The function is made anew from its source in its own module, and put in its place by the test's `monkeypatch`.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["Mutant", "mutants_of"]


@dataclass(frozen=True)
class Mutant:
    """`owner`'s function `name` without the check `what`."""

    owner: Any
    name: str
    what: str
    tree: ast.FunctionDef

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it in the function's place, until the test ends."""
        module = sys.modules[getattr(self.owner, "__module__", None) or self.owner.__name__]
        found: dict[str, Any] = {}
        tree = ast.fix_missing_locations(ast.Module([self.tree], []))
        exec(compile(tree, f"<{self}>", "exec", dont_inherit=True), module.__dict__, found)  # noqa: S102
        there = inspect.getattr_static(self.owner, self.name)
        monkeypatch.setattr(self.owner, self.name, found[self.name])
        for name, other in list(sys.modules.items()):  # and wherever it was imported to
            if name.startswith("aleat.") and vars(other).get(self.name) is there:
                monkeypatch.setattr(other, self.name, found[self.name])


def mutants_of(owner: Any, *names: str) -> list[Mutant]:
    """Return the mutants of these functions of a module or class."""
    return [mutant for name in names for mutant in _of(owner, name)]


def _of(owner: Any, name: str) -> Iterator[Mutant]:
    source = textwrap.dedent(inspect.getsource(inspect.getattr_static(owner, name)))
    (whole,) = ast.parse(source).body
    assert isinstance(whole, ast.FunctionDef)
    whole.decorator_list = []
    for number, (what, _) in enumerate(_changes(whole)):
        tree = copy.deepcopy(whole)
        list(_changes(tree))[number][1]()
        yield Mutant(owner, name, what, tree)


def _changes(tree: ast.FunctionDef) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield each check in its words, and how it is taken out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and any(
            isinstance(one, ast.Raise | ast.Return | ast.Continue) for one in node.body
        ):
            yield f"if {ast.unparse(node.test)}", _setter(node, "test", False)
        elif isinstance(node, ast.IfExp):
            yield f"… if {ast.unparse(node.test)}", _setter(node, "test", True)
            continue
        else:
            continue
        if isinstance(node.test, ast.BoolOp):
            for number, value in enumerate(node.test.values):
                keeps = isinstance(node.test.op, ast.And)
                yield f"part {ast.unparse(value)}", _part(node.test, number, keeps)


def _setter(node: Any, field: str, value: bool) -> Callable[[], None]:
    return lambda: setattr(node, field, ast.Constant(value))


def _part(test: ast.BoolOp, number: int, value: bool) -> Callable[[], None]:
    def change() -> None:
        test.values[number] = ast.Constant(value)

    return change
