"""Correlations (Correlation Rules specification 2.1): types, windows, groups, order, chains, aliases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from aleat.hunt import Plan, Sighting, apply_filters, compile_plan, correlate, hunt_segment

from .events import batch
from .sigma_rules import indicator

BASES = {
    "failed": "EventID: 4625",
    "success": "EventID: 4624",
    "share": "EventID: 5140",
}


def base(name: str) -> str:
    return (
        f"title: {name}\nname: {name}\nlogsource:\n    product: windows\n    service: security\n"
        f"detection:\n    selection:\n        {BASES[name]}\n    condition: selection\n"
    )


def plan_of(correlation: str, *more: str) -> Plan:
    texts = [*BASES, *more]
    documents = [
        indicator(base(name) if name in BASES else name, identifier=f"id-{number}") for number, name in enumerate(texts)
    ]
    body = "title: Correlation\n" + dedent(correlation)
    plan = compile_plan([*documents, indicator(body, identifier="correlation")])
    assert not plan.not_evaluated, plan.not_evaluated
    return plan


def at(minute: float) -> datetime:
    return datetime(2022, 7, 15, 12, tzinfo=UTC) + timedelta(minutes=minute)


Row = tuple[float, int, dict[str, Any]]


def found(plan: Plan, rows: Sequence[Row], *, evidence: str = "a.evtx") -> list[tuple[int, list[int]]]:
    """Return (last record, records of all parts) of each correlation's sightings."""
    return [
        (one.record, [part.record for part in one.parts or ()])
        for one in correlate(plan, sightings(plan, rows, evidence))
    ]


def sightings(plan: Plan, rows: Sequence[Row], evidence: str = "a.evtx") -> tuple[Sighting, ...]:
    events = [
        {**fields, "@event_id": event_id, "@record_id": number} for number, (_, event_id, fields) in enumerate(rows)
    ]
    result = hunt_segment(plan, [batch(events, times=[at(minute) for minute, _, _ in rows], evidence=evidence)])
    return (*result.sightings, *result.feeds)


def failed(*minutes: float, user: str = "eda") -> list[Row]:
    return [(minute, 4625, {"TargetUserName": user}) for minute in minutes]


EVENT_COUNT = """
correlation:
    type: event_count
    rules: [failed]
    group-by: [TargetUserName]
    timespan: 10m
    condition:
        {condition}
"""


def event_count(condition: str) -> Plan:
    return plan_of(EVENT_COUNT.format(condition=condition))


def test_event_count_slides_over_clock_boundaries() -> None:
    """Three failures within ten minutes, across the hour (Time Selection, Compatibility)."""
    plan = event_count("gte: 3")
    assert found(plan, failed(55, 58, 64)) == [(2, [0, 1, 2])]
    assert found(plan, failed(50, 55, 64)) == []


def test_window_takes_in_its_timespan_exactly() -> None:
    """Ten minutes apart is within ten minutes; a second more is not."""
    plan = event_count("gte: 2")
    assert found(plan, failed(0, 10)) == [(1, [0, 1])]
    assert found(plan, failed(0, 10 + 1 / 60)) == []


def test_one_episode_is_one_sighting() -> None:
    """Overlapping windows are joined; a later burst is another sighting."""
    plan = event_count("gte: 2")
    assert found(plan, failed(0, 5, 10, 15, 60, 61)) == [(3, [0, 1, 2, 3]), (5, [4, 5])]


@pytest.mark.parametrize(
    ("condition", "count", "expected"),
    [
        ("gt: 2", 3, True),
        ("gt: 3", 3, False),
        ("gte: 3", 3, True),
        ("lt: 4", 3, True),
        ("lt: 3", 3, False),
        ("lte: 3", 3, True),
        ("eq: 3", 3, True),
        ("eq: 2", 3, False),
        ("neq: 3", 3, False),
        ("neq: 2", 3, True),
        ("gt: 2\n        lte: 4", 3, True),
        ("gt: 2\n        lte: 4", 5, False),
    ],
)
def test_condition_compares_the_count(condition: str, count: int, expected: bool) -> None:
    """All operators, and two of them as a range (Condition)."""
    assert bool(found(event_count(condition), failed(*range(count)))) is expected


def test_groups_are_counted_apart_and_without_case() -> None:
    """Each user on its own; a user is the same in other letters (Grouping)."""
    plan = event_count("gte: 3")
    rows = [*failed(0, 1), *failed(2, 3, user="ana"), *failed(4, user="EDA")]
    assert found(plan, rows) == [(4, [0, 1, 4])]


def test_event_without_a_group_field_belongs_to_no_group() -> None:
    """Absent and null fields don't make a group together."""
    plan = event_count("gte: 2")
    rows: list[Row] = [
        (0, 4625, {}),
        (1, 4625, {}),
        (2, 4625, {"TargetUserName": None}),
        (3, 4625, {"TargetUserName": None}),
    ]
    assert found(plan, rows) == []


def test_late_events_and_any_order_give_the_same() -> None:
    """What was read last may have happened first."""
    plan = event_count("gte: 3")
    rows = failed(9, 0, 5)
    assert found(plan, rows) == [(0, [1, 2, 0])]
    given = sightings(plan, rows)
    assert correlate(plan, given) == correlate(plan, given[::-1])


def test_copies_of_an_event_count_once() -> None:
    """The same log collected twice doesn't double the failures."""
    plan = event_count("gte: 4")
    given = sightings(plan, failed(0, 1)) + sightings(plan, failed(0, 1), evidence="copy.evtx")
    assert correlate(plan, given) == ()


def test_base_rules_are_not_reported_unless_generated() -> None:
    """By default only the correlation's own sightings are (Generate)."""
    plan = event_count("gte: 2")
    assert [rule.reported for rule in plan.rules] == [False, True, True]
    text = EVENT_COUNT.format(condition="gte: 2") + "    generate: true\n"
    assert [rule.reported for rule in plan_of(text).rules] == [True, True, True]


def test_sighting_is_the_correlations_own() -> None:
    """Title, id and level are the correlation's; record, host and fields its last event's; the group is named."""
    plan = event_count("gte: 2")
    (one,) = correlate(plan, sightings(plan, failed(0, 1)))
    assert (one.indicator, one.record, one.fields["TargetUserName"]) == ("correlation", 1, "eda")
    assert one.matched == (("TargetUserName", "eda"), ("event_count", "2"))


VALUE_COUNT = """
correlation:
    type: value_count
    rules: [failed]
    group-by: [IpAddress]
    timespan: 10m
    condition:
        gte: 3
        field: {field}
"""


def attempts(*pairs: tuple[float, str]) -> list[Row]:
    return [(minute, 4625, {"TargetUserName": user, "IpAddress": "10.0.0.1", "Domain": "x"}) for minute, user in pairs]


def test_value_count_counts_distinct_values() -> None:
    """Repetitions and other letters are the same value; values leave with their window (Value Count)."""
    plan = plan_of(VALUE_COUNT.format(field="TargetUserName"))
    assert found(plan, attempts((0, "a"), (1, "A"), (2, "b"))) == []
    assert found(plan, attempts((0, "a"), (1, "b"), (2, "c"))) == [(2, [0, 1, 2])]
    assert found(plan, attempts((0, "a"), (9, "b"), (12, "c"))) == []


def test_value_count_over_several_fields_counts_their_combinations() -> None:
    """Several fields are linked by AND (Value Count)."""
    plan = plan_of(VALUE_COUNT.format(field="[TargetUserName, Domain]"))
    assert found(plan, attempts((0, "a"), (1, "b"), (2, "c"))) == [(2, [0, 1, 2])]


TEMPORAL = """
correlation:
    type: {type}
    rules: [failed, success, share]
    group-by: [TargetUserName]
    timespan: 5m
    {condition}
"""


def events(*pairs: tuple[float, int], user: str = "eda") -> list[Row]:
    return [(minute, event_id, {"TargetUserName": user}) for minute, event_id in pairs]


def test_temporal_needs_all_rules_in_any_order() -> None:
    """Temporal Proximity: every rule once within the timespan."""
    plan = plan_of(TEMPORAL.format(type="temporal", condition=""))
    assert found(plan, events((0, 5140), (1, 4624), (4, 4625))) == [(2, [0, 1, 2])]
    assert found(plan, events((0, 5140), (1, 4624))) == []
    assert found(plan, events((0, 5140), (1, 4624), (6, 4625))) == []


def test_temporal_groups_across_rules() -> None:
    """The group field must be equal in all the events."""
    plan = plan_of(TEMPORAL.format(type="temporal", condition=""))
    assert found(plan, [*events((0, 5140), (1, 4624)), *events((2, 4625), user="ana")]) == []


def test_temporal_condition_counts_the_rules_that_matched() -> None:
    """Two of three may do (Condition)."""
    plan = plan_of(TEMPORAL.format(type="temporal", condition="condition:\n        gte: 2"))
    assert found(plan, events((0, 5140), (1, 4624))) == [(1, [0, 1])]


def test_temporal_ordered_needs_the_order() -> None:
    """Ordered Temporal Proximity: as in the list of rules."""
    plan = plan_of(TEMPORAL.format(type="temporal_ordered", condition=""))
    assert found(plan, events((0, 4625), (1, 4624), (2, 5140))) == [(2, [0, 1, 2])]
    assert found(plan, events((0, 4624), (1, 4625), (2, 5140))) == []


def test_temporal_ordered_takes_the_latest_start() -> None:
    """An early first event doesn't spoil the later complete sequence."""
    plan = plan_of(TEMPORAL.format(type="temporal_ordered", condition=""))
    assert found(plan, events((0, 4625), (3, 4625), (4, 4624), (7, 5140))) == [(3, [1, 2, 3])]


def test_ties_within_one_source_are_settled_by_the_record() -> None:
    """At one time, the records' own order decides."""
    plan = plan_of(TEMPORAL.format(type="temporal_ordered", condition=""))
    assert found(plan, events((0, 4625), (0, 4624), (0, 5140))) == [(2, [0, 1, 2])]
    assert found(plan, events((0, 5140), (0, 4624), (0, 4625))) == []


CHAIN = """
correlation:
    type: temporal_ordered
    rules: [many_failed, success]
    group-by: [TargetUserName]
    timespan: 10m
"""
MANY_FAILED = "title: Many\nname: many_failed\n" + EVENT_COUNT.format(condition="gte: 3").lstrip()


def test_correlations_can_be_chained() -> None:
    """Many failures, then a success (the specification's own example)."""
    plan = plan_of(CHAIN, MANY_FAILED)
    rows = [*failed(0, 1, 2), *events((3, 4624))]
    assert found(plan, rows) == [(3, [0, 1, 2, 3])]
    assert found(plan, [*failed(0, 1), *events((3, 4624))]) == []
    assert found(plan, [*events((0, 4624)), *failed(1, 2, 3)]) == []


def test_chain_fires_while_the_failures_go_on() -> None:
    """The success may come in the middle of the failures, once there were enough."""
    plan = plan_of(CHAIN, MANY_FAILED)
    rows = [*failed(0, 1, 2), *events((3, 4624)), *failed(4, 5)]
    assert [last for last, _ in found(plan, rows)] == [3]


ALIASES = """
correlation:
    type: temporal
    rules: [failed, share]
    group-by: [source]
    timespan: 5m
    aliases:
        source:
            failed: IpAddress
            share: ClientAddress
"""


def test_aliases_name_different_fields_of_different_rules() -> None:
    """Field Name Aliases: one address under two names."""
    plan = plan_of(ALIASES)
    rows: list[Row] = [(0, 4625, {"IpAddress": "10.0.0.1"}), (1, 5140, {"ClientAddress": "10.0.0.1"})]
    assert found(plan, rows) == [(1, [0, 1])]
    rows[1] = (1, 5140, {"ClientAddress": "10.0.0.2", "IpAddress": "10.0.0.1"})
    assert found(plan, rows) == []


METRIC = """
correlation:
    type: {type}
    rules: [share]
    group-by: [TargetUserName]
    timespan: 1h
    condition:
        field: Bytes
        {condition}
"""


def bytes_of(*values: Any) -> list[Row]:
    return [(minute, 5140, {"TargetUserName": "eda", "Bytes": value}) for minute, value in enumerate(values)]


@pytest.mark.parametrize(
    ("kind", "condition", "values", "expected"),
    [
        ("value_sum", "gt: 100", (50, 60), True),
        ("value_sum", "gt: 110", (50, 60), False),
        ("value_sum", "gt: 100", ("50", "60", "many"), True),
        ("value_avg", "gt: 50", (40, 70), True),
        ("value_avg", "gt: 55", (40, 70), False),
        ("value_avg", "gte: 55.0", (40, 70), True),
        ("value_percentile", "percentile: 50\n        gte: 3", (1, 3, 9), True),
        ("value_percentile", "percentile: 50\n        gt: 3", (1, 3, 9), False),
    ],
)
def test_metrics_compare_numbers(kind: str, condition: str, values: tuple[Any, ...], expected: bool) -> None:
    """Value Sum, Average and Percentile; what is no number is left out."""
    plan = plan_of(METRIC.format(type=kind, condition=condition))
    assert bool(found(plan, bytes_of(*values))) is expected


def test_percentile_without_a_percentage_finds_rare_values() -> None:
    """The specification's example: a process that is less than so many percent of all the processes."""
    plan = plan_of(METRIC.format(type="value_percentile", condition="lte: 10"))
    assert found(plan, bytes_of(*["svchost"] * 19, "odd")) == [(19, [19])]


def test_hidden_sightings_do_not_count() -> None:
    """What a filter hides from a rule is hidden from its correlations."""
    hide = (
        "title: Hide\nlogsource:\n    product: windows\n    service: security\nfilter:\n    rules:\n        - failed\n"
        "    selection:\n        TargetUserName: eda\n    condition: selection\n"
    )
    plan = plan_of(EVENT_COUNT.format(condition="gte: 2"), hide)
    given = sightings(plan, [*failed(0, 1), *failed(2, 3, user="ana")])
    assert [one.record for one in correlate(plan, apply_filters(plan, given))] == [3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("type: event_count", "type: event_sum"), "unknown correlation type"),
        (("timespan: 10m", "timespan: ten"), "no timespan"),
        (("rules: [failed]", "rules: [nobody]"), "'nobody', which is not among the rules"),
        (("gte: 3", "above: 3"), "unknown operator"),
        (("gte: 3", "gte: many"), "number"),
    ],
)
def test_bad_correlation_is_named_with_its_place(change: tuple[str, str], reason: str) -> None:
    """It costs only itself."""
    text = "title: Bad\n" + EVENT_COUNT.format(condition="gte: 3").replace(*change).lstrip()
    plan = compile_plan([indicator(base("failed"), identifier="b"), indicator(text, identifier="bad", path="bad.yml")])
    (rejected,) = plan.not_evaluated
    assert reason in rejected.reason
    assert str(rejected.place).startswith("bad.yml:")
    assert len(plan.rules) == 1


def test_reference_may_be_an_id() -> None:
    """Related rules are named by id or by name (Related rules)."""
    text = "title: T\n" + EVENT_COUNT.format(condition="gte: 3").replace("[failed]", "[the-id]").lstrip()
    plan = compile_plan([indicator(base("failed"), identifier="the-id"), indicator(text, identifier="c")])
    assert [rule.rules for rule in plan.correlations] == [(0,)]
