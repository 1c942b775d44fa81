"""Conditions, with pySigma's parser as a second opinion."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.rule import SigmaDetections

from aleat.hunt.expression import Atom, Exists, Field
from aleat.hunt.sigma_condition import parse_condition

from .naive import holds

NAMES = ["selection", "selection_a", "selection_b", "filter_main_x", "filter_opt_y", "keywords"]
PATTERNS = ["selection*", "filter_*", "*_x", "selection_*", "them", "filter_*_y", "keywords"]

operands = st.sampled_from(NAMES) | st.builds(
    "{} of {}".format, st.sampled_from(["1", "all"]), st.sampled_from(PATTERNS)
)


def grow(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.builds("{} {} {}".format, children, st.sampled_from(["and", "or"]), children)
    return joined | st.builds("not {}".format, operands) | st.builds("({})".format, children)


conditions = st.recursive(operands, grow, max_leaves=6)


def second_opinion(tree: Any, true: set[str]) -> bool:
    """Evaluate pySigma's tree where the searches `true` hold."""
    if isinstance(tree, ConditionFieldEqualsValueExpression):
        return tree.field in true
    values = [second_opinion(argument, true) for argument in tree.args]
    if isinstance(tree, ConditionNOT):
        return not values[0]
    assert isinstance(tree, ConditionAND | ConditionOR)
    return all(values) if isinstance(tree, ConditionAND) else any(values)


@settings(max_examples=150, deadline=None)
@given(conditions, st.sets(st.sampled_from(NAMES)))
def test_condition_means_what_it_means_to_pysigma(condition: str, true: set[str]) -> None:
    """Precedence, brackets, quantifiers and patterns."""
    ours = parse_condition(condition, {name: Atom(Field(name), Exists()) for name in NAMES})
    detections = SigmaDetections.from_dict({**{name: {name: "x"} for name in NAMES}, "condition": condition})
    theirs = detections.parsed_condition[0].parsed
    assert holds(ours, dict.fromkeys(true, "x"), {}) is second_opinion(theirs, true)
