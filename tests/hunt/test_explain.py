"""Why a rule did or did not match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import InputError, Place, RuleError
from aleat.hunt import Indicator, ListEntry, Plan, compile_plan
from aleat.hunt.coverage import CoverageBuilder, describe_batch
from aleat.hunt.explain import AtomTrace, Branch, Explanation, explain, fields_by_format, find_rule
from aleat.hunt.expression import Expression
from tests.hunt.events import SYSMON, batch
from tests.hunt.sigma_rules import indicator, plan_of, rule_text
from tests.hunt.test_engine import events, expected, expressions
from tests.hunt.test_engine import plan_of as plan_of_expressions

PROCESS = "title: T\nlogsource:\n    category: process_creation\n    product: windows\n"


def explained(detection: str, event: dict[str, Any], *, head: str = "", **facts: Any) -> Explanation:
    plan = plan_of(detection, head=head) if head else plan_of(detection)
    return explain(plan, "rule", batch([event], **facts), 0)


def atoms(branch: Branch) -> Iterator[AtomTrace]:
    if branch.atom is not None:
        yield branch.atom
    for child in branch.children:
        yield from atoms(child)


def atom(found: Explanation, subject: str, variant: int = 0) -> AtomTrace:
    (one,) = [item for item in atoms(found.variants[variant].tree) if item.subject == subject]
    return one


def test_an_atom_shows_what_it_compared_and_what_it_saw() -> None:
    found = explained("selection:\n    User|contains: ADM\n    Image: x", {"User": "x\\Adm1", "Image": "y", "z": 1})
    assert not found.matches
    passed, failed = atom(found, "user"), atom(found, "image")
    assert (passed.test, passed.value, passed.passed, passed.reason) == ("contains", "adm", True, "")
    assert [(cell.field, cell.text, cell.passed) for cell in passed.seen] == [("User", "x\\Adm1", True)]
    assert (failed.test, failed.passed, failed.reason) == ("equals", False, "differs")
    assert [(cell.field, cell.text, cell.passed) for cell in failed.seen] == [("Image", "y", False)]


@pytest.mark.parametrize(
    ("event", "reason"), [({"b": "x"}, "absent"), ({"a": None}, "null"), ({"a": ""}, "differs"), ({"a": "z"}, "")]
)
def test_absent_null_and_different_are_told_apart(event: dict[str, Any], reason: str) -> None:
    assert atom(explained("selection:\n    a: z", event), "a").reason == reason


def test_branches_are_the_rules_own() -> None:
    """A condition's parts: all of, any of, not."""
    found = explained(
        "selection:\n    a: [x, y]\nfilter:\n    b: z\ncondition: selection and not filter", {"a": "y", "b": "z"}
    )
    tree = found.variants[0].tree
    assert (tree.kind, tree.holds) == ("all", False)
    kinds = {(child.kind, child.holds) for child in tree.children}
    assert {("any", True), ("not", False)} <= kinds


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("a: 'x*y?'", ("wildcard", "x*y?", False)),
        ("a|re|i: 'x+'", ("regex", "(?i)x+", False)),
        ("a|cidr: 10.0.0.0/8", ("within", "10.0.0.0/8", False)),
        ("a|gt: 5", ("gt", "5", True)),
        ("a|exists: true", ("exists", "", False)),
        ("a|startswith|cased: X", ("startswith", "X", True)),
        ("a|fieldref: b", ("equals", "(b)", False)),
        ("a|hour: 5", ("hour eq", "5", True)),
    ],
)
def test_each_kind_of_test_is_told(test: str, told: tuple[str, str, bool]) -> None:
    one = atom(explained(f"selection:\n    {test}", {"c": "d"}), "a")
    assert (one.test, one.value, one.cased) == told


def test_each_variant_of_a_generic_log_source_is_explained() -> None:
    """An audit event: Sysmon's variant fails by its log, the audit log's by nothing."""
    found = explained(
        "selection:\n    Image|endswith: cmd.exe", {"NewProcessName": "C:\\cmd.exe"}, head=PROCESS, event_id=4688
    )
    assert {variant.name: variant.holds for variant in found.variants if "windows" in variant.formats} == {
        "windows-sysmon": False,
        "windows-audit": True,
    }
    (sysmon,) = [variant for variant in found.variants if variant.name == "windows-sysmon"]
    failed = {one.subject: one.reason for one in atoms(sysmon.tree) if not one.passed}
    assert failed["image"] == "absent"
    assert failed["channel"] == "differs"


def test_keywords_show_where_they_were_found() -> None:
    found = explained("keywords:\n    - evil\ncondition: keywords", {"a": "so Evil", "b": "good"})
    (one,) = [item for item in atoms(found.variants[0].tree) if item.subject == "*"]
    assert [(cell.field, cell.text) for cell in one.seen] == [("a", "so Evil")]


def test_lists_show_their_values_that_stand_in_the_event() -> None:
    entries = (ListEntry("ipv4-addr", "203.0.113.7"), ListEntry("domain-name", "evil.example"))
    one = Indicator("list", "indicator--1", "d", "aleat-list", "", "Addresses", "t", Place("l.csv"), entries=entries)
    found = explain(compile_plan([one]), "Addresses", batch([{"a": "to 203.0.113.7"}]), 0)
    assert (found.kind, found.matches) == ("list", True)
    assert [pairs for _, pairs in found.found] == [(("a", "to 203.0.113.7"),)]
    assert not explain(compile_plan([one]), "list", batch([{"a": "to 203.0.113.8"}]), 0).matches


def test_a_pattern_over_several_events_shows_its_parts() -> None:
    pattern = "[process:name = 'w3wp.exe'] FOLLOWEDBY [domain-name:value = 'evil.example']"
    one = Indicator("i", "indicator--1", "d", "stix", pattern, "t", "cert-x", Place("pack.json"))
    event = batch([{"Image": "C:\\w3wp.exe"}], channel=SYSMON, event_id=1)
    found = explain(compile_plan([one]), "indicator--1", event, 0)
    assert (found.kind, found.matches) == ("pattern", True)
    assert [part.matches for part in found.parts] == [True, False]


CORRELATION = """\
title: Many
correlation:
    type: event_count
    rules: [rule]
    timespan: 5m
    condition: {gte: 5}
"""


def test_a_correlation_shows_the_rules_that_it_counts() -> None:
    given_ = [indicator(rule_text("selection:\n    a: x")), indicator(CORRELATION, identifier="many")]
    found = explain(compile_plan(given_), "many", batch([{"a": "x"}]), 0)
    assert (found.kind, found.matches, [part.indicator for part in found.parts]) == ("correlation", True, ["rule"])


FILTER = """\
title: Normal
logsource: {product: windows}
filter:
    rules: [rule]
    selection: {b: backup}
    condition: selection
"""


def test_a_filter_that_hides_is_named() -> None:
    plan = compile_plan([indicator(rule_text("selection:\n    a: x")), indicator(FILTER, identifier="normal")])
    assert explain(plan, "rule", batch([{"a": "x", "b": "backup"}]), 0).hidden_by == "normal"
    assert explain(plan, "rule", batch([{"a": "x", "b": "c"}]), 0).hidden_by is None


def test_a_rule_that_is_not_evaluated_says_why() -> None:
    found = explained("selection:\n    a|re: '(?=x)'", {"a": "x"})
    assert (found.kind, found.reach, found.matches) == ("not-evaluated", "not-evaluated", False)
    assert found.not_evaluated[0].reason


def reach(detection: str, head: str) -> Explanation:
    event = batch([{"NewProcessName": "C:\\cmd.exe"}], event_id=4688)
    plan = plan_of(detection, head=head)
    builder = CoverageBuilder()
    notes = [describe_batch(event)]
    builder.add(notes, "x")
    return explain(plan, "rule", event, 0, coverage=builder.coverage(plan), fields=fields_by_format(notes))


def test_why_a_rule_cannot_match_here() -> None:
    """No such log source; a field that no log has; or it could, and this event doesn't."""
    linux = "title: T\nlogsource:\n    product: linux\n    service: auditd\n"
    assert reach("selection:\n    a: b", linux).reach == "no-log-source"
    lacking = reach("selection:\n    CommandLine: b", PROCESS)
    assert (lacking.reach, lacking.absent_fields) == ("no-field", ("commandline",))
    assert reach("selection:\n    Image: b", PROCESS).reach == "could-match"


def test_a_rule_is_found_by_its_ids_its_name_and_its_title() -> None:
    plan = compile_plan(
        [
            indicator(rule_text("selection:\n    a: x", head=f"name: short\n{PROCESS}"), identifier="one"),
            indicator(rule_text("selection:\n    a: y"), identifier="two"),
        ]
    )
    assert [find_rule(plan, name) for name in ("one", "indicator--one", "short")] == ["one"] * 3
    with pytest.raises(RuleError, match="2 rules are called 'TEST'"):
        find_rule(plan, "TEST")
    with pytest.raises(RuleError, match="no rule"):
        find_rule(plan, "three")
    with pytest.raises(InputError, match="no row 1"):
        explain(plan, "one", batch([{}]), 1)
    assert find_rule(Plan(rules=plan.rules[:1]), "test") == "one"


@settings(deadline=None, max_examples=40)
@given(st.lists(expressions, min_size=1, max_size=3), st.lists(events, min_size=1, max_size=3))
def test_an_explanation_is_what_the_naive_evaluator_says(rules: list[Expression], rows: list[dict[str, Any]]) -> None:
    plan = plan_of_expressions(rules)
    wanted = expected(rules, rows)
    for row in range(len(rows)):
        for place, rule in enumerate(plan.rules):
            found = explain(plan, rule.indicator.id, batch(rows, event_id=4624), row)
            assert found.matches == ((place, row) in wanted)
