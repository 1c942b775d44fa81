"""What Sigma means of log sources and over several events: each case with the section that it shows.

R: Rules specification 2.1, T: Taxonomy appendix, C: Correlation rules specification, F: Filters specification.
"silent": the specification doesn't say, and the case fixes this project's reading. Cases over one event are in
`test_semantics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from aleat.hunt import apply_filters, compile_plan, correlate, hunt_segment

from .events import SECURITY, SYSMON, batch
from .sigma_rules import fires, indicator, rule_text

WHOAMI = r"C:\Windows\System32\whoami.exe"


class Source(NamedTuple):
    section: str
    logsource: str
    detection: str
    event: dict[str, Any]
    facts: dict[str, Any]
    expected: bool


SYSMON_1 = {"channel": SYSMON, "event_id": 1}
AUDIT_4688 = {"channel": SECURITY, "event_id": 4688}
IIS = {"format": "iis", "channel": ""}
PROCESS = "{category: process_creation, product: windows}"
IMAGE = "selection:\n    Image: '*whoami.exe'"
PARENT = "selection:\n    ParentImage|endswith: explorer.exe"

SOURCES = [
    Source("T Process Creation Events: Sysmon 1", PROCESS, IMAGE, {"Image": WHOAMI}, SYSMON_1, True),
    Source("T Process Creation Events: Security 4688", PROCESS, IMAGE, {"NewProcessName": WHOAMI}, AUDIT_4688, True),
    Source("T Process Creation Events: each its own names", PROCESS, IMAGE, {"Image": WHOAMI}, AUDIT_4688, False),
    Source(
        "T Process Creation Events: renames", PROCESS, PARENT, {"ParentProcessName": "explorer.exe"}, AUDIT_4688, True
    ),
    Source(
        "T Process Creation Events: no other event",
        PROCESS,
        IMAGE,
        {"Image": WHOAMI},
        {**SYSMON_1, "event_id": 5},
        False,
    ),
    Source(
        "T Windows, Service: security",
        "{product: windows, service: security}",
        IMAGE,
        {"Image": WHOAMI},
        AUDIT_4688,
        True,
    ),
    Source(
        "T Windows, Service: no other channel",
        "{product: windows, service: security}",
        IMAGE,
        {"Image": WHOAMI},
        SYSMON_1,
        False,
    ),
    Source(
        "R Log Source: the product alone is all its logs",
        "{product: windows}",
        IMAGE,
        {"Image": WHOAMI},
        SYSMON_1,
        True,
    ),
    Source("R Log Source: no other product", "{product: windows}", IMAGE, {"Image": WHOAMI}, IIS, False),
    Source(
        "R Log Source: category alone is every product",
        "{category: process_creation}",
        IMAGE,
        {"Image": WHOAMI},
        SYSMON_1,
        True,
    ),
    Source(
        "R Keywords: stay inside the log source",
        "{product: windows, service: security}",
        "selection: [needle]",
        {"X": "needle"},
        SYSMON_1,
        False,
    ),
    Source(
        "R Keywords: over the whole event",
        "{product: windows, service: security}",
        "selection: [needle]",
        {"X": "a needle"},
        {"channel": SECURITY},
        True,
    ),
    Source(
        "R Keywords: not a field's name",
        "{product: windows, service: security}",
        "selection: [needle]",
        {"needle": "x"},
        {"channel": SECURITY},
        False,
    ),
    Source(
        "T Other Generic Rule Categories: web server",
        "{category: webserver}",
        "selection:\n    cs-method: POST",
        {"cs-method": "POST"},
        IIS,
        True,
    ),
    Source(
        "T Other Generic Rule Categories: request",
        "{category: webserver}",
        "selection:\n    c-uri|contains: '?c='",
        {"cs-uri-stem": "/a", "cs-uri-query": "c=x"},
        IIS,
        True,
    ),
    Source(
        "T Other Generic Rule Categories: renames",
        "{category: webserver}",
        "selection:\n    cs-method: POST",
        {"method": "POST"},
        {**IIS, "format": "access"},
        True,
    ),
    Source(
        "T DNS: Sysmon 22",
        "{category: dns_query, product: windows}",
        "selection:\n    QueryName: evil.example",
        {"QueryName": "evil.example"},
        {"channel": SYSMON, "event_id": 22},
        True,
    ),
    Source(
        "R Log Source: not over evidence of another kind",
        "{product: aws, service: cloudtrail}",
        IMAGE,
        {"Image": WHOAMI},
        SYSMON_1,
        False,
    ),
]


@pytest.mark.parametrize("case", SOURCES, ids=[case.section for case in SOURCES])
def test_log_source_means_what_the_specification_says(case: Source) -> None:
    """Which events a rule is about, and under which names."""
    head = f"title: Test\nlogsource: {case.logsource}\n"
    assert fires(case.detection, case.event, head=head, **case.facts) is case.expected


# -------------------------------------------------------------------------------------------- several events

Row = tuple[float, str, dict[str, Any]]
BASES = {"failed": 4625, "success": 4624, "share": 5140}


class Several(NamedTuple):
    section: str
    correlation: str
    """Sigma's section, as one line of YAML."""
    rows: Sequence[Row]
    """(minute, base rule, fields)"""
    expected: list[list[int]]
    """The records of each sighting's parts."""


def rows(*given: tuple[float, str] | tuple[float, str, dict[str, Any]]) -> list[Row]:
    """Fill in the user where there are no fields."""
    return [(row[0], row[1], row[2] if len(row) > 2 else {"User": "eda"}) for row in given]  # type: ignore[misc]


THREE = "{type: event_count, rules: [failed], group-by: [User], timespan: 10m, condition: {gte: 3}}"
BOTH = "{type: temporal, rules: [failed, success], group-by: [User], timespan: 5m}"
ORDERED = "{type: temporal_ordered, rules: [failed, success], group-by: [User], timespan: 5m}"
VALUES = "{type: value_count, rules: [share], group-by: [Host], timespan: 5m, condition: {field: User, gte: 2}}"
SUM = "{type: value_sum, rules: [share], timespan: 5m, condition: {field: Bytes, gt: 100}}"
AVERAGE = "{type: value_avg, rules: [share], timespan: 5m, condition: {field: Bytes, gte: 50}}"
PERCENTILE = "{type: value_percentile, rules: [share], timespan: 5m, condition: {field: Bytes, percentile: 90, gt: 50}}"
ALIASED = (
    "{type: temporal, rules: [failed, share], group-by: [who], timespan: 5m, "
    "aliases: {who: {failed: User, share: Owner}}}"
)
EITHER = "{type: event_count, rules: [failed, success], group-by: [User], timespan: 10m, condition: {gte: 2}}"


def amount(*sizes: Any) -> list[Row]:
    return [(0.1 * number, "share", {"Bytes": size}) for number, size in enumerate(sizes)]


SEVERAL = [
    Several("C Event Count", THREE, rows((0, "failed"), (1, "failed"), (2, "failed")), [[0, 1, 2]]),
    Several("C Event Count: too few", THREE, rows((0, "failed"), (1, "failed")), []),
    Several("C Event Count: other events don't count", THREE, rows((0, "failed"), (1, "failed"), (2, "success")), []),
    Several("C Time Selection: windows slide", THREE, rows((8, "failed"), (12, "failed"), (17, "failed")), [[0, 1, 2]]),
    Several("C Time Selection: farther apart", THREE, rows((0, "failed"), (6, "failed"), (12, "failed")), []),
    Several(
        "silent: the timespan belongs to its window",
        THREE,
        rows((0, "failed"), (5, "failed"), (10, "failed")),
        [[0, 1, 2]],
    ),
    Several("silent: late events, in any order", THREE, rows((2, "failed"), (0, "failed"), (1, "failed")), [[1, 2, 0]]),
    Several(
        "C Grouping: groups are apart",
        THREE,
        rows((0, "failed"), (1, "failed", {"User": "arben"}), (2, "failed")),
        [],
    ),
    Several(
        "R General, C Grouping: values without case",
        THREE,
        rows((0, "failed"), (1, "failed", {"User": "EDA"}), (2, "failed")),
        [[0, 1, 2]],
    ),
    Several("silent: without the group's field, in no group", THREE, rows(*[(n, "failed", {}) for n in range(4)]), []),
    Several("silent: null is no group", THREE, rows(*[(n, "failed", {"User": None}) for n in range(4)]), []),
    Several("C Related rules: any of several", EITHER, rows((0, "failed"), (1, "success")), [[0, 1]]),
    Several("C Condition: eq", THREE.replace("gte", "eq"), rows(*[(n, "failed") for n in range(4)]), []),
    Several("C Condition: lt", THREE.replace("gte: 3", "lt: 3"), rows((0, "failed")), [[0]]),
    Several(
        "C Condition: a range", THREE.replace("gte: 3", "gte: 2, lte: 2"), rows((0, "failed"), (1, "failed")), [[0, 1]]
    ),
    Several(
        "C Value Count: distinct values",
        VALUES,
        rows((0, "share", {"User": "a", "Host": "h"}), (1, "share", {"User": "b", "Host": "h"})),
        [[0, 1]],
    ),
    Several(
        "C Value Count: one value twice",
        VALUES,
        rows((0, "share", {"User": "a", "Host": "h"}), (1, "share", {"User": "A", "Host": "h"})),
        [],
    ),
    Several(
        "C Value Count: an absent field has no value",
        VALUES,
        rows((0, "share", {"User": "a", "Host": "h"}), (1, "share", {"Host": "h"})),
        [],
    ),
    Several("C Temporal: in any order", BOTH, rows((0, "success"), (1, "failed")), [[0, 1]]),
    Several("C Temporal: all rules", BOTH, rows((0, "failed"), (1, "failed")), []),
    Several("C Temporal: within the timespan", BOTH, rows((0, "failed"), (6, "success")), []),
    Several(
        "C Temporal: the same group across rules",
        BOTH,
        rows((0, "failed"), (1, "success", {"User": "arben"})),
        [],
    ),
    Several("C Ordered Temporal: in order", ORDERED, rows((0, "failed"), (1, "success")), [[0, 1]]),
    Several("C Ordered Temporal: not in the other", ORDERED, rows((0, "success"), (1, "failed")), []),
    Several("C Ordered Temporal: by time, not by arrival", ORDERED, rows((1, "success"), (0, "failed")), [[1, 0]]),
    Several("silent: ties in one source go by its order", ORDERED, rows((0, "success"), (0, "failed")), []),
    Several("silent: ties in one source go by its order", ORDERED, rows((0, "failed"), (0, "success")), [[0, 1]]),
    Several("C Value Sum", SUM, amount(60, 50), [[0, 1]]),
    Several("C Value Sum: not above", SUM, amount(60, 40), []),
    Several("C Value Sum: texts that are numbers", SUM, amount("60", "50"), [[0, 1]]),
    Several("C Value Sum: what is no number doesn't count", SUM, amount(60, "many"), []),
    Several("C Value Average", AVERAGE, amount(40, 70), [[0, 1]]),
    Several("C Value Average: below", AVERAGE, amount(40, 50), []),
    Several("C Value Percentile", PERCENTILE, amount(*([60] * 10)), [list(range(10))]),
    Several("C Value Percentile: below", PERCENTILE, amount(*([40] * 10)), []),
    Several(
        "C Field Name Aliases",
        ALIASED,
        rows((0, "failed", {"User": "eda"}), (1, "share", {"Owner": "EDA"})),
        [[0, 1]],
    ),
    Several(
        "C Field Name Aliases: each rule its own field",
        ALIASED,
        rows((0, "failed", {"User": "eda"}), (1, "share", {"User": "eda"})),
        [],
    ),
    Several(
        "C Condition: temporal with not",
        "{type: temporal, rules: [failed, success], group-by: [User], timespan: 5m, condition: failed and not success}",
        rows((0, "failed")),
        [[0]],
    ),
]


def base(name: str, extra: str = "") -> str:
    return rule_text(
        f"selection:\n    EventID: {BASES[name]}",
        head=f"title: {name}\nname: {name}\n{extra}logsource:\n    product: windows\n",
    )


def start(minute: float) -> datetime:
    return datetime(2022, 7, 15, 12, tzinfo=UTC) + timedelta(minutes=minute)


@pytest.mark.parametrize("case", SEVERAL, ids=[case.section for case in SEVERAL])
def test_correlation_means_what_the_specification_says(case: Several) -> None:
    """Which events belong together, and when that is a match."""
    documents = [indicator(base(name), identifier=name) for name in BASES]
    documents.append(indicator(f"title: Several\ncorrelation: {case.correlation}\n", identifier="several"))
    plan = compile_plan(documents)
    assert not plan.not_evaluated, plan.not_evaluated
    events = [{**fields, "@event_id": BASES[name]} for _, name, fields in case.rows]
    result = hunt_segment(plan, [batch(events, times=[start(minute) for minute, _, _ in case.rows])])
    found = correlate(plan, (*result.sightings, *result.feeds))
    assert [[part.record for part in one.parts or ()] for one in found] == case.expected


GENERATED = [
    ("C Generate: base rules are silent", "", False),
    ("C Generate: false is the default", "    generate: false\n", False),
    ("C Generate: base rules are told too", "    generate: true\n", True),
]


@pytest.mark.parametrize(("section", "line", "told"), GENERATED)
def test_base_rules_are_told_as_the_correlation_says(section: str, line: str, told: bool) -> None:
    """Their events feed it in any case."""
    body = (
        "title: Several\ncorrelation:\n    type: event_count\n    rules: [failed]\n    timespan: 5m\n"
        f"    condition: {{gte: 1}}\n{line}"
    )
    plan = compile_plan([indicator(base("failed"), identifier="failed"), indicator(body, identifier="several")])
    result = hunt_segment(plan, [batch([{"@event_id": 4625}])])
    assert bool(result.sightings) is told, section
    assert len(correlate(plan, (*result.sightings, *result.feeds))) == 1


CHAINED = [
    ("C Related rules: a correlation of correlations", [(0, "failed"), (1, "failed"), (2, "success")], True),
    ("C Related rules: each of them is needed", [(0, "failed"), (2, "success")], False),
    ("C Related rules: in the order of their matches", [(0, "success"), (1, "failed"), (2, "failed")], False),
]


@pytest.mark.parametrize(("section", "given", "expected"), CHAINED)
def test_correlations_chain(section: str, given: list[tuple[float, str]], expected: bool) -> None:
    """As in the specification's example: many failures, then a success."""
    many = (
        "title: Many\nname: many\ncorrelation: {type: event_count, rules: [failed], group-by: [User], timespan: 10m, "
        "condition: {gte: 2}}\n"
    )
    then = (
        "title: Then\ncorrelation: {type: temporal_ordered, rules: [many, success], group-by: [User], timespan: 10m}\n"
    )
    documents = [indicator(base(name), identifier=name) for name in BASES]
    plan = compile_plan([*documents, indicator(many, identifier="many"), indicator(then, identifier="then")])
    events = [{"User": "eda", "@event_id": BASES[name]} for _, name in given]
    result = hunt_segment(plan, [batch(events, times=[start(minute) for minute, _ in given])])
    found = {one.indicator for one in correlate(plan, (*result.sightings, *result.feeds))}
    assert ("then" in found) is expected, section


FILTERED = [
    ("F Relative rules: by name", "rules: [failed]", "selection:\n        User: eda", {"User": "eda"}, True),
    ("F Relative rules: by id", "rules: [id-1]", "selection:\n        User: eda", {"User": "eda"}, True),
    ("F Relative rules: any", "rules: any", "selection:\n        User: eda", {"User": "eda"}, True),
    ("F Relative rules: no other", "rules: [success]", "selection:\n        User: eda", {"User": "eda"}, False),
    ("F filter selection", "rules: [failed]", "selection:\n        User: eda", {"User": "arben"}, False),
    ("F filter selection: an absent field", "rules: [failed]", "selection:\n        User: eda", {}, False),
]


@pytest.mark.parametrize(("section", "names", "selection", "event", "hidden"), FILTERED)
def test_filter_means_what_the_specification_says(
    section: str, names: str, selection: str, event: dict[str, Any], hidden: bool
) -> None:
    """What it fits is labelled with it, and stays."""
    text = (
        f"title: Filter\nid: filter\nlogsource:\n    product: windows\nfilter:\n    {names}\n    {selection}\n"
        "    condition: selection\n"
    )
    plan = compile_plan(
        [indicator(base("failed", "id: id-1\n"), identifier="id-1"), indicator(text, identifier="filter")]
    )
    assert not plan.not_evaluated, plan.not_evaluated
    result = hunt_segment(plan, [batch([{**event, "@event_id": 4625}])])
    (found,) = apply_filters(plan, result.sightings)
    assert (found.hidden_by is not None) is hidden, section
