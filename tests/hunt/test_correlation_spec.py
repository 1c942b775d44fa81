"""Correlations, sentence by sentence (Correlation Rules specification 2.1), and against a naive evaluator.

Each test names the section that it shows; "silent" where the specification leaves it to the tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import combinations, pairwise
from random import Random
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from aleat.hunt import Plan, Sighting, compile_plan, correlate, hunt_segment
from aleat.hunt.correlation_windows import (
    Window,
    count_events,
    count_rules,
    count_values,
    exact_number,
    holds,
    is_lower_bound,
    metrics,
    ordered,
    shares,
)

from .events import batch
from .sigma_rules import indicator

NAMES = {"failed": 4625, "success": 4624, "share": 5140, "logon": "[4624, 4625]"}
HEAD = "title: {0}\nname: {0}\nlogsource:\n    product: windows\n    service: security\n"


def base(name: str) -> str:
    detection = f"detection:\n    selection:\n        EventID: {NAMES[name]}\n    condition: selection\n"
    return HEAD.format(name) + detection


def correlation(kind: str, rules: str, condition: str = "", *, group: str = "[User]", more: str = "") -> str:
    """Write a correlation with a timespan of ten minutes; `condition` is a map in braces."""
    lines = [f"type: {kind}", f"rules: [{rules}]", "timespan: 10m"]
    lines += [f"group-by: {group}"] if group else []
    lines += [f"condition: {condition}"] if condition else []
    lines += dedent(more).strip().splitlines()
    return "title: C\ncorrelation:\n" + "".join(f"    {line}\n" for line in lines)


def compiled(*texts: str) -> Plan:
    documents = [indicator(base(name), identifier=f"id-{name}") for name in NAMES]
    return compile_plan([*documents, *(indicator(text, identifier=f"c{place}") for place, text in enumerate(texts))])


def plan_of(*texts: str) -> Plan:
    plan = compiled(*texts)
    assert not plan.not_evaluated, plan.not_evaluated
    return plan


Row = tuple[float, int, dict[str, Any]]


def events(*pairs: tuple[float, int], **fields: Any) -> list[Row]:
    return [(minute, event_id, {"User": "eda", **fields}) for minute, event_id in pairs]


def base_sightings(plan: Plan, rows: Sequence[Row], **facts: Any) -> tuple[Sighting, ...]:
    shown = [
        {**fields, "@event_id": event_id, "@record_id": number} for number, (_, event_id, fields) in enumerate(rows)
    ]
    times = [datetime(2022, 7, 15, 12, tzinfo=UTC) + timedelta(minutes=minute) for minute, _, _ in rows]
    result = hunt_segment(plan, [batch(shown, times=times, **facts)])
    return (*result.sightings, *result.feeds)


def found(plan: Plan, rows: Sequence[Row], **facts: Any) -> list[list[int]]:
    """Return the records of each sighting's parts."""
    return [[part.record for part in one.parts or ()] for one in correlate(plan, base_sightings(plan, rows, **facts))]


def rejection(text: str) -> str:
    return "; ".join(f"{item.place}: {item.reason}" for item in compiled(text).not_evaluated)


# -------------------------------------------------------------------------------------------------- counting


def test_event_that_several_rules_match_is_one_event() -> None:
    """Event Count: it counts events, specified by the rule or rules. The parts are as many as the count."""
    plan = plan_of(correlation("event_count", "failed, logon", "{gte: 3}"))
    assert found(plan, events((0, 4625), (1, 4625))) == []
    assert found(plan, events((0, 4625), (1, 4625), (2, 4624))) == [[0, 1, 2]]


def test_event_that_several_rules_match_is_summed_once() -> None:
    """Value Sum: of a field of events."""
    plan = plan_of(correlation("value_sum", "failed, logon", "{field: Bytes, gte: 200}"))
    assert found(plan, events((0, 4625), Bytes=100)) == []


def test_event_that_several_rules_match_is_each_of_them_to_temporal() -> None:
    """Condition: it counts different event types, that is rules that match."""
    plan = plan_of(correlation("temporal", "failed, logon"))
    assert found(plan, events((0, 4625))) == [[0]]


def test_lines_that_say_the_same_are_several_events() -> None:
    """Event Count, silent on copies: a log without numbers of its own may hold one line a hundred times a second,
    and each is an event; the same file collected twice is not.
    """
    rule = HEAD.format("post").replace("product: windows\n    service: security", "category: webserver")
    rule += "detection:\n    selection:\n        cs-method: POST\n    condition: selection\n"
    counting = correlation("event_count", "post", "{gte: 4}", group="[c-ip]")
    plan = compile_plan([indicator(rule, identifier="post"), indicator(counting, identifier="c")])
    line = {"cs-method": "POST", "c-ip": "10.0.0.1"}

    def read(lines: int, evidence: str) -> tuple[Sighting, ...]:
        times = [datetime(2022, 7, 15, tzinfo=UTC)] * lines
        result = hunt_segment(plan, [batch([line] * lines, format="iis", channel="", evidence=evidence, times=times)])
        return result.feeds

    assert [len(one.parts or ()) for one in correlate(plan, read(4, "a.log"))] == [4]
    assert correlate(plan, read(3, "a.log") + read(3, "copy.log")) == ()
    assert [len(one.parts or ()) for one in correlate(plan, read(4, "a.log") + read(4, "copy.log"))] == [4]


def test_group_of_several_fields_is_their_combination() -> None:
    """Grouping: several fields are linked by AND."""
    plan = plan_of(correlation("event_count", "failed", "{gte: 2}", group="[User, Domain]"))
    rows = [*events((0, 4625), Domain="x"), *events((1, 4625), Domain="y"), *events((2, 4625), Domain="X")]
    assert found(plan, rows) == [[0, 2]]


def test_group_may_span_hosts() -> None:
    """Grouping: only the fields that are named set events apart; a host is one where it is named."""
    rows = [(minute, 4625, {"User": "eda", "@host": f"PC{minute}"}) for minute in range(3)]
    assert found(plan_of(correlation("event_count", "failed", "{gte: 3}")), rows) == [[0, 1, 2]]
    assert found(plan_of(correlation("event_count", "failed", "{gte: 2}", group="[User, Computer]")), rows) == []
    assert found(plan_of(correlation("event_count", "failed", "{gte: 3}", group="")), rows) == [[0, 1, 2]]


def test_group_by_one_word() -> None:
    """Grouping: one field needs no list."""
    assert found(plan_of(correlation("event_count", "failed", "{gte: 2}", group="User")), events((0, 4625), (1, 4625)))


def test_group_by_a_field_that_one_kind_of_evidence_cannot_have() -> None:
    """Grouping: such events belong to no group; the hunt goes on."""
    rule = HEAD.format("made").replace("service: security", "category: registry_set")
    rule += "detection:\n    selection:\n        ObjectName: Run\n    condition: selection\n"
    counting = correlation("event_count", "made", "{gte: 1}", group="[EventType]")
    plan = compile_plan([indicator(rule, identifier="made"), indicator(counting, identifier="c")])
    row = {"ObjectName": "Run", "OperationType": "%%1905", "ObjectValueName": "Run"}
    given = hunt_segment(plan, [batch([row], event_id=4657)]).feeds
    assert given
    assert correlate(plan, given) == ()


def test_chained_values_are_renamed_as_the_base_rule_needs() -> None:
    """Ordered Temporal Proximity, note: a chained rule's own group-by is used, whatever the inner one groups by; the
    field is found under the name that the evidence has.
    """
    rule = HEAD.format("made").replace("service: security", "category: process_creation")
    rule += "detection:\n    selection:\n        Image|endswith: x.exe\n    condition: selection\n"
    inner = correlation("event_count", "made", "{gte: 2}", group="[Computer]").replace(
        "title: C", "title: I\nname: many"
    )
    outer = correlation("event_count", "many", "{gte: 1}", group="[LogonId]")
    texts = {"made": rule, "i": inner, "o": outer}
    plan = compile_plan([indicator(text, identifier=name) for name, text in texts.items()])
    assert not plan.not_evaluated
    row = {"NewProcessName": "C:\\x.exe", "SubjectLogonId": "0x3E7"}
    (one,) = correlate(plan, hunt_segment(plan, [batch([row, row], event_id=4688)]).feeds)
    assert one.matched[0] == ("LogonId", "0x3e7")


def test_event_without_a_time_belongs_to_no_window() -> None:
    """Time Selection, silent: it can't be said when it was."""
    plan = plan_of(correlation("event_count", "failed", "{gte: 2}"))
    given = base_sightings(plan, events((0, 4625), (1, 4625)))
    timeless = [msgspec.structs.replace(one, time=None) for one in given]
    assert correlate(plan, timeless) == ()
    assert len(correlate(plan, given)) == 1


@pytest.mark.parametrize(("written", "seconds"), [("15s", 15), ("30m", 1800), ("2h", 7200), ("7d", 604800)])
def test_timespan_has_four_units(written: str, seconds: int) -> None:
    """Time Selection."""
    plan = plan_of(correlation("event_count", "failed", "{gte: 2}").replace("10m", written))
    assert plan.correlations[0].timespan == seconds


def test_value_count_leaves_out_events_without_all_the_fields() -> None:
    """Value Count: several fields are linked by AND."""
    plan = plan_of(correlation("value_count", "failed", "{field: [A, B], gte: 2}"))
    rows = [*events((0, 4625), A=1, B=1), *events((1, 4625), A=2), *events((2, 4625), A=1, B=2)]
    assert found(plan, rows[:2]) == []
    assert found(plan, rows) == [[0, 1, 2]]


def test_sum_is_exact() -> None:
    """Value Sum: ten times 0.1 is 1."""
    plan = plan_of(correlation("value_sum", "failed", "{field: A, gte: 1}", group=""))
    assert found(plan, [*events(*[(minute / 10, 4625) for minute in range(10)], A="0.1")])
    assert exact_number("1e400") is None
    assert exact_number("0x10") == 16


def test_aliases_of_the_counted_field() -> None:
    """Field Name Aliases: one sum over fields of different names; an event counts under each of its values."""
    more = "aliases:\n    size:\n        failed: In\n        success: Out\n"
    plan = plan_of(correlation("value_sum", "failed, success", "{field: size, gte: 30}", more=more))
    assert found(plan, [*events((0, 4625), In=10, Out=99), *events((1, 4624), In=99, Out=20)]) == [[0, 1]]


# --------------------------------------------------------------------------------------------------- temporal


def test_negated_rule_must_not_follow_either() -> None:
    """silent (conditions over rules are a tool's extension): "not" is looked at in whole windows."""
    plan = plan_of(correlation("temporal", "failed, success", "failed and not success"))
    assert found(plan, events((0, 4625), (1, 4624))) == []
    assert found(plan, events((0, 4624), (1, 4625))) == []
    assert found(plan, events((0, 4625), (11, 4624))) == [[0]]


def test_rules_may_be_combined() -> None:
    """silent: "or" and "and" over rules, with brackets."""
    plan = plan_of(correlation("temporal", "failed, success, share", "share and (failed or success)"))
    assert found(plan, events((0, 5140), (1, 4624))) == [[0, 1]]
    assert found(plan, events((0, 4625), (1, 4624))) == []


def test_empty_condition_of_temporal_is_all_of_its_rules() -> None:
    """Condition: none given."""
    plan = plan_of(correlation("temporal", "failed, success", "~"))
    assert found(plan, events((0, 4625))) == []
    assert found(plan, events((0, 4625), (1, 4624))) == [[0, 1]]


def test_ordered_condition_counts_the_rules_in_order() -> None:
    """Condition: for temporal_ordered too it is the count of different rules."""
    plan = plan_of(correlation("temporal_ordered", "failed, success, share", "{gte: 2}"))
    assert found(plan, events((0, 4625), (1, 5140))) == [[0, 1]]
    assert found(plan, events((0, 4624), (1, 5140))) == [[0, 1]]
    assert found(plan, events((0, 5140), (1, 4624), (2, 4625))) == []


def test_ordered_rules_may_repeat() -> None:
    """Ordered Temporal Proximity: a failure, a success, a failure."""
    plan = plan_of(correlation("temporal_ordered", "failed, success, failed"))
    assert found(plan, events((0, 4625), (1, 4624), (2, 4625))) == [[0, 1, 2]]
    assert found(plan, events((0, 4625), (1, 4625), (2, 4624))) == []


def test_ordered_event_cannot_follow_its_own_copy() -> None:
    """Ordered Temporal Proximity: in order are two events, not one in two files."""
    plan = plan_of(correlation("temporal_ordered", "failed, logon"))
    one, other = (base_sightings(plan, events((0, 4625)), evidence=name) for name in ("a.evtx", "b.evtx"))
    failed = [one_of for one_of in one if one_of.indicator == "id-failed"]
    logon = [one_of for one_of in other if one_of.indicator == "id-logon"]
    assert correlate(plan, [*failed, *logon]) == ()


# ----------------------------------------------------------------------------------------------------- chains

MANY = correlation("event_count", "failed", "{gte: 3}").replace("title: C", "title: Many\nname: many")


def test_chained_count_counts_episodes() -> None:
    """Related rules, silent: one burst is one event to a count, however many windows it fills."""
    plan = plan_of(MANY, correlation("event_count", "many", "{gte: 2}").replace("10m", "1h"))
    assert found(plan, events(*[(minute, 4625) for minute in range(8)])) == []
    twice = [*range(8), *range(30, 34)]
    assert found(plan, events(*[(minute, 4625) for minute in twice])) == [list(range(12))]


def test_chained_value_is_the_groups() -> None:
    """Related rules: how many users had a burst."""
    plan = plan_of(MANY, correlation("value_count", "many", "{field: User, gte: 2}", group=""))
    one, other = (
        events(*[(minute, 4625) for minute in range(4)]),
        events(*[(minute, 4625) for minute in range(4)], User="ana"),
    )
    assert found(plan, one) == []
    assert [sorted(parts) for parts in found(plan, [*one, *other])] == [list(range(8))]


def test_chain_of_chains() -> None:
    """Related rules: correlations of correlations, given in any order; only the outermost is reported."""
    middle = correlation("temporal_ordered", "many, success").replace("title: C", "title: M\nname: broken_in")
    outer = correlation("temporal", "broken_in, share")
    rows = events((0, 4625), (1, 4625), (2, 4625), (3, 4624), (4, 5140))
    for texts in ((MANY, middle, outer), (outer, middle, MANY)):
        plan = plan_of(*texts)
        assert found(plan, rows) == [[0, 1, 2, 3, 4]]
        assert sum(rule.reported for rule in plan.correlations) == 1


def test_generate_reports_what_is_referred_to() -> None:
    """Generate: true at the correlation, or in its section."""
    inside = correlation("event_count", "failed", "{gte: 2}", more="generate: true")
    outside = correlation("event_count", "failed", "{gte: 2}") + "generate: true\n"
    for text in (inside, outside):
        assert all(rule.reported for rule in plan_of(text).rules)


def test_sighting_has_the_correlations_level() -> None:
    """Level: an adjustment if the correlation matches; the record is the last event's, the parts are all of them."""
    plan = plan_of(correlation("event_count", "failed", "{gte: 2}"))
    (one,) = correlate(plan, base_sightings(plan, events((0, 4625), (1, 4625)), record_base=10))
    assert (one.indicator, one.record, len(one.parts or ())) == ("c0", 11, 2)
    assert one.matched == (("User", "eda"), ("event_count", "2"))


# --------------------------------------------------------------------------------------------------- rejected

COUNT = correlation("event_count", "failed", "{gte: 2}")

REJECTED = [
    ("Condition: one criterion", COUNT.replace("{gte: 2}", "{}"), "compares with nothing"),
    ("Condition: no event", COUNT.replace("gte: 2", "lt: 1"), "no number of events"),
    ("Condition: no event", COUNT.replace("gte: 2", "eq: 0"), "no number of events"),
    ("Condition: a range of nothing", COUNT.replace("gte: 2", "gt: 5, lt: 6"), "no number of events"),
    ("Condition: more rules than there are", correlation("temporal", "failed, share", "{gte: 3}"), "of the 2 rules"),
    ("Condition: an order of few", correlation("temporal_ordered", "failed, share", "{lt: 2}"), "at least so many"),
    (
        "Condition: an order of any",
        correlation("temporal_ordered", ", ".join(f"r{place}" for place in range(60)), "{gte: 2}"),
        "more than 50",
    ),
    ("Condition: empty", correlation("temporal", "failed, share", "''"), "empty"),
    ("Condition: unknown rule", correlation("temporal", "failed, share", "failed and nobody"), "'nobody'"),
    ("Event Count: it needs no field", COUNT.replace("gte: 2", "gte: 2, field: User"), "reads no field"),
    ("Value Count: field", correlation("value_count", "failed", "{gte: 2}"), "needs a field"),
    ("Value Count: field", correlation("value_count", "failed", "{gte: 2, field: ~}"), "needs a field"),
    ("Value Sum: one field", correlation("value_sum", "failed", "{gte: 2, field: [A, B]}"), "one field, not 2"),
    ("Value Percentile", correlation("value_percentile", "failed", "{gt: 2, field: A, percentile: 101}"), "0 to 100"),
    ("Grouping: a key nearly right", COUNT.replace("group-by", "group_by"), "Write group-by"),
    ("Grouping: words", COUNT.replace("[User]", "[User, ~]"), "list of words"),
    ("Time Selection: capitals", COUNT.replace("10m", "10H"), "no timespan"),
    ("Time Selection: zero", COUNT.replace("10m", "0m"), "no timespan"),
    ("Time Selection: one unit", COUNT.replace("10m", "1h30m"), "no timespan"),
    ("Correlation type", COUNT.replace("event_count", "event_counts"), "unknown correlation type"),
    ("Related rules: none", COUNT.replace("[failed]", "[]"), "names no rules"),
    ("Related rules: twice", correlation("temporal", "failed, id-failed"), "twice"),
    ("Aliases: a map of maps", COUNT + "    aliases: [a]\n", "map of maps"),
    ("Aliases: names", COUNT + "    aliases:\n        a:\n            failed: [x]\n", "field's name"),
    ("Generate: a boolean", COUNT + "    generate: 'yes'\n", "true or false"),
    ("Taxonomy", COUNT + "taxonomy: ecs\n", "taxonomy 'ecs' is not known"),
]


@pytest.mark.parametrize(("section", "text", "reason"), REJECTED, ids=[section for section, _, _ in REJECTED])
def test_correlation_that_cannot_be_is_named_with_its_place(section: str, text: str, reason: str) -> None:
    """Compatibility: an error must be raised for what is not supported but specified."""
    given = rejection(text)
    assert reason in given
    assert given.startswith("test.yml:")


# ---------------------------------------------------------------------------------------------------- windows

CONDITIONS: list[tuple[tuple[str, float], ...]] = [
    (("gte", 2.0),),
    (("gt", 2.0),),
    (("lt", 3.0),),
    (("lte", 2.0),),
    (("eq", 3.0),),
    (("neq", 2.0),),
]
CONDITIONS += [(("gt", 1.0), ("lte", 3.0)), (("gte", 60.0),), (("lte", 30.0),)]


def windows(times: Sequence[int], span: int, *, every: bool) -> Iterator[range]:
    """Yield every run of events within a span that ends with one, or those that take in no more."""
    runs = []
    for last in range(len(times)):
        first = min(place for place in range(last + 1) if times[last] - times[place] <= span)
        runs.append(range(first, last + 1))
    for run in runs:
        if every or not any(set(run) < set(other) for other in runs):
            yield run


def spans(found: Iterator[Window]) -> list[Window]:
    return sorted(found)


def fits(condition: tuple[tuple[str, float], ...], found: Sequence[Window]) -> list[Window]:
    return [one for one in found if holds(condition, one[2])]


def test_windows_are_those_of_a_naive_evaluator() -> None:
    """Event Count, Value Count, Temporal Proximity, Sum, Average: every window by itself, in 400 random groups."""
    random = Random(3)  # noqa: S311
    for _ in range(400):
        size, span = random.randint(1, 9), random.randint(0, 5)
        times = sorted(random.randint(0, 12) for _ in range(size))
        values = [random.choice(["a", "b", "c", None]) for _ in range(size)]
        rules = [random.randint(0, 3) for _ in range(size)]
        numbers = [random.choice([None, 1, -1, Fraction(1, 3), 3]) for _ in range(size)]
        condition = random.choice(CONDITIONS)
        every = is_lower_bound(condition)
        events_, kinds, types, sums, means = [], [], [], [], []
        for run in windows(times, span, every=every):
            at = (run[0], run[-1])
            events_.append((*at, float(len(run))))
            kinds.append((*at, float(len({values[place] for place in run} - {None}))))
            types.append((*at, float(len({rules[place] for place in run}))))
        for run in windows(times, span, every=False):
            there = [number for place in run if (number := numbers[place]) is not None]
            if there:
                sums.append((run[0], run[-1], float(sum(there))))
                means.append((run[0], run[-1], float(Fraction(sum(there)) / len(there))))
        assert spans(count_events(times, span, condition)) == fits(condition, events_)
        assert spans(count_values(times, span, values, condition)) == fits(condition, [one for one in kinds if one[2]])
        assert spans(count_rules(times, span, rules, condition, None)) == fits(condition, types)
        assert spans(metrics(times, span, numbers, condition, "value_sum", 0)) == fits(condition, sums)
        assert spans(metrics(times, span, numbers, condition, "value_avg", 0)) == fits(condition, means)


def test_medians_and_shares_are_those_of_a_naive_evaluator() -> None:
    """Value Percentile: the median is percentile 50; a share is that of a value among all in the window."""
    random = Random(4)  # noqa: S311
    for _ in range(400):
        size, span = random.randint(1, 9), random.randint(0, 5)
        times = sorted(random.randint(0, 12) for _ in range(size))
        values = [random.choice(["a", "b", "c", None]) for _ in range(size)]
        condition = random.choice(CONDITIONS)
        medians: list[tuple[int, int, float]] = []
        rare: dict[int, float] = {}
        for run in windows(times, span, every=False):
            there = sorted(ord(value) for place in run if (value := values[place]) is not None)
            if there:
                middle = Fraction(there[(len(there) - 1) // 2] + there[len(there) // 2], 2)
                medians.append((run[0], run[-1], float(middle)))
            for place in run:
                if values[place] is not None and place not in rare:
                    share = 100.0 * sum(values[other] == values[place] for other in run) / len(there)
                    if holds(condition, share):
                        rare[place] = share
        codes = [None if value is None else ord(value) for value in values]
        near = (("gte", 97.5), ("lt", 98.5))
        expected = [one for one in medians if holds(near, one[2])]
        assert spans(metrics(times, span, codes, near, "value_percentile", 50.0)) == expected
        assert spans(shares(times, span, values, condition)) == [(at, at, share) for at, share in sorted(rare.items())]


def test_chains_are_those_of_a_naive_evaluator() -> None:
    """Ordered Temporal Proximity: each event that ends a chain, with the latest beginning that it can have."""
    random = Random(5)  # noqa: S311
    for _ in range(400):
        size, span, length = random.randint(1, 8), random.randint(0, 6), random.randint(1, 3)
        wanted = random.randint(1, length)
        times = sorted(random.sample(range(14), size))
        places = [[random.randint(0, length - 1)] for _ in range(size)]
        expected = []
        for last in range(size):
            starts = [
                chain[0]
                for chain in combinations(range(last + 1), wanted)
                if chain[-1] == last
                and times[last] - times[chain[0]] <= span
                and all(places[one] < places[other] for one, other in pairwise(chain))
            ]
            if starts:
                expected.append((max(starts), last, float(wanted)))
        given = ordered(times, span, places, lambda one, other: one < other, wanted, length)
        assert spans(given) == sorted(expected)


def test_order_of_very_many_rules_costs_little() -> None:
    """Ordered Temporal Proximity: of 100,000 rules one chain a place is kept; events of one time settle soon."""
    length = 100_000
    places = [[place % 50] for place in range(500)]
    given = ordered([0] * 500, 1, places, lambda one, other: one != other, length, length)
    assert list(given) == []


def test_burst_of_many_events_takes_linear_time_and_space() -> None:
    """Event Count: 20,000 events in one window, each of which ends a window that matches, of a chain."""
    plan = plan_of(MANY, correlation("temporal_ordered", "many, success"))
    (failed,) = [one for one in base_sightings(plan, events((0, 4625))) if one.indicator == "id-failed"]
    (success,) = [one for one in base_sightings(plan, events((1, 4624))) if one.indicator == "id-success"]
    assert failed.time is not None
    burst = [
        msgspec.structs.replace(failed, time=failed.time + place, record=place, event=str(place))
        for place in range(20_000)
    ]
    (one,) = correlate(plan, [*burst, msgspec.structs.replace(success, record=20_000)])
    assert len(one.parts or ()) == 20_001
