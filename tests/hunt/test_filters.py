"""Sigma filters (Filters specification 2.1): labels on sightings, never part of a rule."""

from __future__ import annotations

import pytest

from aleat.hunt import Plan, Sighting, apply_filters, compile_plan, hunt_segment

from .events import SYSMON, batch
from .sigma_rules import indicator

RULE = """title: Whoami
name: whoami
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|endswith: whoami.exe
    condition: selection
"""

FILTER = """title: Administrators
logsource:
    category: process_creation
    product: windows
filter:
    rules:
        - {rule}
    selection:
        User|startswith: 'adm_'
    condition: {condition}
"""


def hunted(plan: Plan) -> list[Sighting]:
    rows = [{"Image": r"C:\whoami.exe", "User": user} for user in ("eda", "ADM_ana")]
    return list(hunt_segment(plan, [batch(rows, channel=SYSMON, event_id=1)]).sightings)


def plan_of(*, rule: str = "rule", condition: str = "selection", text: str = FILTER) -> Plan:
    rendered = text.format(rule=rule, condition=condition)
    plan = compile_plan([indicator(RULE), indicator(rendered, identifier="filter", path="filter.yml")])
    assert not plan.not_evaluated, plan.not_evaluated
    return plan


@pytest.mark.parametrize("rule", ["rule", "whoami"])
def test_filter_labels_what_it_describes(rule: str) -> None:
    """The sighting stays; `hidden_by` names the filter. Rules are named by id or name."""
    plan = plan_of(rule=rule)
    assert [one.hidden_by for one in apply_filters(plan, hunted(plan))] == [None, "filter"]


@pytest.mark.parametrize("condition", ["not selection", "not 1 of selection*", "1 of them"])
def test_condition_of_the_other_school_means_the_same(condition: str) -> None:
    """Tools that join a filter to the rule with "and" have it written as "not selection"."""
    plan = plan_of(condition=condition)
    assert [one.hidden_by for one in apply_filters(plan, hunted(plan))] == [None, "filter"]


def test_filter_of_other_rules_hides_nothing() -> None:
    """A rule that isn't named is not touched."""
    plan = plan_of(rule="another")
    assert [one.hidden_by for one in apply_filters(plan, hunted(plan))] == [None, None]


def test_filter_of_another_log_source_hides_nothing() -> None:
    """The filter's log source must be the rule's."""
    plan = plan_of(text=FILTER.replace("process_creation", "file_event"))
    assert [one.hidden_by for one in apply_filters(plan, hunted(plan))] == [None, None]


def test_filter_for_any_rule_of_its_log_source() -> None:
    """The word "any" instead of a list."""
    plan = plan_of(text=FILTER.replace("\n        - {rule}", " any"))
    assert [one.hidden_by for one in apply_filters(plan, hunted(plan))] == [None, "filter"]


def test_taking_a_filter_away_shows_the_sighting_again_without_a_hunt() -> None:
    """The label is made anew from the sightings alone."""
    plan = plan_of()
    labelled = apply_filters(plan, hunted(plan))
    without = compile_plan([indicator(RULE)])
    assert apply_filters(without, labelled) == tuple(hunted(without))


def test_bad_filter_is_named() -> None:
    """Line and column, as for rules."""
    text = FILTER.format(rule="rule", condition="selction")
    plan = compile_plan([indicator(RULE), indicator(text, identifier="filter", path="filter.yml")])
    (rejected,) = plan.not_evaluated
    assert str(rejected.place) == "filter.yml:10:16"
