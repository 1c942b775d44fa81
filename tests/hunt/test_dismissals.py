"""Dismissals: labels on sightings, whatever kind of rule they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aleat.errors import InputError, Place, RuleError
from aleat.hunt import Indicator, ListEntry, Plan, Sighting, apply_filters, compile_plan, hunt_segment
from aleat.hunt.dismissals import Dismissal, add_dismissals, filter_text, logsource_of, parse_where
from aleat.hunt.sigma import FilterBody, read_document
from tests.hunt.events import SYSMON, batch
from tests.hunt.sigma_rules import indicator, rule_text

PROCESS = "title: T\nlogsource:\n    category: process_creation\n    product: windows\n"
RULE = indicator(rule_text("selection:\n    Image|endswith: cmd.exe", head=PROCESS))
ROWS = [{"NewProcessName": "C:\\cmd.exe", "SubjectUserName": user, "N": n} for n, user in enumerate(["adm_a", "eve"])]


def dismissed(plan: Plan, rule: str = "rule", name: str = "d", **where: Sequence[str]) -> Plan:
    return dismissed_where(plan, where, rule=rule, name=name)


def dismissed_where(plan: Plan, where: Mapping[str, Sequence[str]], *, rule: str = "rule", name: str = "d") -> Plan:
    text = filter_text(
        identifier=name,
        rule=rule,
        title="Commands",
        logsource=logsource_of(plan, rule),
        where=where,
        reason="our administrators",
        author="agim",
        date="2022-09-01",
    )
    return add_dismissals(plan, [Dismissal(name, rule, text, "agim")])


def hunted(plan: Plan, rows: Sequence[Mapping[str, Any]] = ROWS, **facts: Any) -> list[Sighting]:
    facts = facts or {"event_id": 4688}
    one = batch(list(rows), **facts)
    return list(hunt_segment(plan, [one]).sightings)


def hidden(plan: Plan, sightings: Sequence[Sighting]) -> list[str | None]:
    return [one.hidden_by for one in apply_filters(plan, sightings)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, ["d", "d"]),
        ({"SubjectUserName": ["ADM_*"]}, ["d", None]),
        ({"SubjectUserName": ["adm_*"], "N": ["1"]}, [None, None]),
        ({"SubjectUserName": ["x", "eve"]}, [None, "d"]),
        ({"SubjectUserName|startswith": ["ev"]}, [None, "d"]),
        ({"Image|endswith": ["cmd.exe"]}, ["d", "d"]),
        ({"NewProcessName": ["*\\cmd.exe"]}, ["d", "d"]),
        ({"N|gte": ["1"]}, [None, "d"]),
        ({"Absent|exists": ["false"]}, ["d", "d"]),
        ({"SubjectUserName|neq": ["eve"]}, ["d", None]),
        ({"Computer": ["PC1"]}, [None, None]),
        ({"Absent": ["x"]}, [None, None]),
    ],
)
def test_conditions_are_sigmas_over_both_kinds_of_names(
    where: dict[str, list[str]], expected: list[str | None]
) -> None:
    """The audit log's own name, and the one that the rule uses; several fields are all of, several values one of."""
    plan = compile_plan([RULE])
    if "Computer" in where:  # the fixed column is a field too
        where, expected = {"Computer": ["pc1"]}, ["d", "d"]
    assert hidden(dismissed_where(plan, where), hunted(plan)) == expected


def test_what_is_hunted_for_stays_as_it_was() -> None:
    plan = compile_plan([RULE])
    after = dismissed(plan, SubjectUserName=["eve"])
    assert (after.rules, after.variants, after.mapping_digest) == (plan.rules, plan.variants, plan.mapping_digest)
    assert after.atoms[: len(plan.atoms)] == plan.atoms
    assert hunted(after) == hunted(plan)
    assert add_dismissals(plan, []) is plan


def test_other_rules_are_not_touched() -> None:
    other = indicator(rule_text("selection:\n    Image|endswith: cmd.exe", head=PROCESS), identifier="other")
    plan = dismissed(compile_plan([RULE, other]))
    assert {one.indicator: one.hidden_by for one in apply_filters(plan, hunted(plan))} == {"rule": "d", "other": None}


def test_a_dismissal_outlives_a_rules_update() -> None:
    """Another digest, title and even log source: the id is what counts."""
    text = filter_text(
        identifier="d", rule="rule", title="T", logsource=logsource_of(compile_plan([RULE]), "rule"), where={},
        reason="r", author="a", date="2022-09-01",
    )  # fmt: skip
    updated = indicator(rule_text("selection:\n    NewProcessName|contains: cmd"))
    plan = add_dismissals(compile_plan([updated]), [Dismissal("d", "rule", text, "a")])
    assert hidden(plan, hunted(plan)) == ["d", "d"]


LIST = Indicator(
    "list", "indicator--1", "d", "aleat-list", "", "Addresses", "t", Place("l.csv"),
    entries=(ListEntry("ipv4-addr", "203.0.113.7"), ListEntry("ipv4-addr", "203.0.113.8")),
)  # fmt: skip
PATTERN = Indicator("i", "indicator--2", "e", "stix", "[process:name = 'cmd.exe']", "t", "t", Place("p.json"))


def test_lists_their_values_and_patterns_are_dismissed_too() -> None:
    plan = compile_plan([LIST, PATTERN])
    web = hunted(plan, [{"c-ip": "203.0.113.7"}, {"c-ip": "203.0.113.8"}], format="iis", channel="")
    assert hidden(dismissed(plan, "list"), web) == ["d", "d"]
    value = web[0].indicator
    assert sorted(map(str, hidden(dismissed(plan, value), web))) == ["None", "d"]
    assert hidden(dismissed_where(plan, {"c-ip": ["203.0.113.8"]}, rule="list"), web) == [None, "d"]
    process = hunted(plan, [{"Image": "C:\\cmd.exe"}], channel=SYSMON, event_id=1)
    assert hidden(dismissed(plan, "i"), process) == ["d"]


def test_the_text_is_a_sigma_filter_with_author_and_reason() -> None:
    plan = compile_plan([RULE])
    text = filter_text(
        identifier="d", rule="rule", title="Ç: #1", logsource=logsource_of(plan, "rule"),
        where={"User": ["a", "b"]}, reason="backups: every night", author="agim", date="2022-09-01",
    )  # fmt: skip
    body = read_document(text).body
    assert isinstance(body, FilterBody)
    assert body.rules == ("rule",)
    assert (body.logsource.category, body.logsource.product) == ("process_creation", "windows")
    assert "author: agim" in text
    assert "description: 'backups: every night'" in text
    assert "date: '2022-09-01'" in text


@pytest.mark.parametrize("condition", ["", "=x", "User"])
def test_a_condition_without_field_or_value_is_an_error(condition: str) -> None:
    with pytest.raises(InputError, match="Write FIELD=VALUE"):
        parse_where([condition])


@pytest.mark.parametrize("where", [{"User|unknown": ["x"]}, {"User|re": ["("]}, {"N|gt": ["x"]}])
def test_a_condition_that_cannot_be_evaluated_is_an_error(where: dict[str, list[str]]) -> None:
    with pytest.raises(RuleError):
        dismissed_where(compile_plan([RULE]), where)


def test_a_damaged_dismissal_is_named_and_the_rest_goes_on() -> None:
    plan = add_dismissals(compile_plan([RULE]), [Dismissal("bad", "rule", "title: x", "a")])
    assert [(row.indicator, row.title) for row in plan.not_evaluated] == [("bad", "Dismissal of rule")]
    assert hidden(plan, hunted(plan)) == [None, None]
