"""What an answer rests on."""

from __future__ import annotations

from typing import Any

from aleat.errors import Place
from aleat.evidence import EventBatch
from aleat.hunt.compiler import compile_plan
from aleat.hunt.coverage import Coverage, CoverageBuilder, HostRow, describe_batch
from aleat.hunt.indicator import Indicator, ListEntry
from aleat.hunt.plan import Plan
from tests.hunt.batches import make_batch

SYSMON = "Microsoft-Windows-Sysmon/Operational"


def rule(name: str, logsource: str, detection: str) -> Indicator:
    text = (
        f"title: {name}\nid: {name}\nlogsource: {logsource}\n"
        f"detection:\n  selection: {detection}\n  condition: selection\nlevel: high\n"
    )
    return Indicator(name, f"indicator--{name}", name, "sigma", text, name, "x", Place(name))


PLAN = compile_plan(
    [
        rule("process", "{product: windows, category: process_creation}", "{CommandLine|contains: whoami}"),
        rule("integrity", "{product: windows, category: process_creation}", "{IntegrityLevel: System}"),
        rule("dns", "{product: windows, category: dns_query}", "{QueryName: evil.example}"),
        rule("keyword", "{product: windows, service: security}", "[mimikatz]"),
        rule("web", "{category: webserver}", "{cs-method: POST}"),
        Indicator("s", "indicator--s", "s", "stix", "[url:value = 'http://evil.example/a']", "s", "x", Place("s")),
        Indicator(
            "l", "indicator--l", "l", "aleat-list", "", "l", "x", Place("l"), entries=(ListEntry("text", "evil"),)
        ),
    ]
)


def cover(*batches: EventBatch, plan: Plan = PLAN) -> Coverage:
    builder = CoverageBuilder()
    for batch in batches:
        builder.add([describe_batch(batch)], batch.evidence)
    return builder.coverage(plan)


def names(positions: tuple[int, ...]) -> set[str]:
    return {PLAN.rules[position].indicator.id for position in positions}


def process(**fields: Any) -> dict[str, Any]:
    return {"event_id": "1", "host": "PC1", "time": 5_000_000, "CommandLine": "x"} | fields


def test_hosts_and_times_are_added_up_over_sources() -> None:
    found = cover(
        make_batch([process(), process(time=9_000_000), process(time=None)], channel=SYSMON, evidence="a"),
        make_batch([process(time=1_000_000), process(host="PC2", time=None)], channel=SYSMON, evidence="b"),
    )
    assert found.hosts == (
        HostRow("PC1", "windows", SYSMON, 1_000_000, 9_000_000, 4, 2),
        HostRow("PC2", "windows", SYSMON, None, None, 1, 1),
    )


def test_a_rule_could_fire_where_its_log_and_a_field_of_it_are_there() -> None:
    found = cover(make_batch([process()], channel=SYSMON))
    assert names(found.rules_that_could_fire) == {"process", "s"}
    assert names(found.without_field) == {"integrity"}
    assert names(found.without_log_source) == {"dns", "keyword", "web"}


def test_keywords_need_no_field_and_formats_are_told_apart() -> None:
    found = cover(
        make_batch([{"event_id": "4624", "host": "DC", "A": "x"}], channel="Security"),
        make_batch([{"host": "WEB", "cs-method": "GET"}], format="iis", channel=""),
    )
    assert names(found.rules_that_could_fire) == {"keyword", "web", "s"}


def test_logs_that_no_rule_reads_are_named() -> None:
    found = cover(
        make_batch([process()], channel=SYSMON),
        make_batch([{"event_id": "7", "host": "PC1", "A": "x"}] * 3, channel="Vendor-Backup/Operational"),
    )
    assert [(row.channel, row.events) for row in found.logs_without_rules] == [("Vendor-Backup/Operational", 3)]
    assert [(row.channel, row.rules) for row in found.logs if row.rules] == [(SYSMON, 1)]


def test_no_evidence_is_no_coverage() -> None:
    found = cover()
    assert (found.hosts, found.logs, found.rules_that_could_fire) == ((), (), ())
    assert len(found.without_log_source) == len(PLAN.rules)


def test_the_order_of_segments_makes_no_difference() -> None:
    batches = [
        make_batch([process(time=time)], channel=SYSMON, evidence=str(time))
        for time in (3_000_000, 1_000_000, 2_000_000)
    ]
    assert cover(*batches) == cover(*reversed(batches))


def test_a_rule_that_could_not_fire_does_not_fire() -> None:
    """Coverage and engine agree: what is called impossible is never found."""
    from aleat.hunt.engine import Hunter  # noqa: PLC0415

    batches = [
        make_batch([process(CommandLine="whoami", IntegrityLevel="System")], channel=SYSMON),
        make_batch([{"event_id": "4688", "host": "PC1", "CommandLine": "whoami mimikatz"}], channel="Security"),
        make_batch([{"host": "WEB", "cs-method": "POST"}], format="iis", channel=""),
    ]
    for batch in batches:
        could = names(cover(batch).rules_that_could_fire)
        assert {item.indicator for item in Hunter(PLAN).hunt([batch]).sightings if item.indicator != "l#evil"} <= could
