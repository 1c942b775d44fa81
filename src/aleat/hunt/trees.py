"""A plan's trees, evaluated: gates over three values, variants as functions of the atoms that pass."""

from __future__ import annotations

from collections.abc import Callable

from aleat.hunt.plan import Tree

__all__ = ["Predicate", "evaluate_gate", "make_predicate"]

Predicate = Callable[[set[int]], bool]
"""Whether a tree is true where exactly these atoms pass."""


def evaluate_gate(tree: Tree, hits: set[int], unsure: Callable[[int], bool]) -> bool | None:
    """Evaluate a gate over three values: an atom that a payload field could pass too is None unless it passed."""
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, int):
        return True if tree in hits else None if unsure(tree) else False
    values = [evaluate_gate(child, hits, unsure) for child in tree[1:]]
    if tree[0] == "!":
        return None if values[0] is None else not values[0]
    decisive = bool(tree[0] == "|")
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def make_predicate(tree: Tree) -> Predicate:
    """Compile a tree to a function of the set of atoms that pass."""
    if isinstance(tree, bool):
        return _constant(tree)
    if isinstance(tree, int):
        return _membership(tree)
    if tree[0] == "!":
        child = make_predicate(tree[1])
        return lambda hits: not child(hits)
    plain = frozenset(child for child in tree[1:] if type(child) is int)
    others = tuple(make_predicate(child) for child in tree[1:] if type(child) is not int)
    return _conjunction(plain, others) if tree[0] == "&" else _disjunction(plain, others)


def _constant(value: bool) -> Predicate:
    return lambda _: value


def _membership(atom: int) -> Predicate:
    return lambda hits: atom in hits


def _conjunction(plain: frozenset[int], others: tuple[Predicate, ...]) -> Predicate:
    if not others:
        return plain.issubset
    return lambda hits: plain <= hits and all(other(hits) for other in others)


def _disjunction(plain: frozenset[int], others: tuple[Predicate, ...]) -> Predicate:
    if not others:
        return lambda hits: not plain.isdisjoint(hits)
    return lambda hits: not plain.isdisjoint(hits) or any(other(hits) for other in others)
