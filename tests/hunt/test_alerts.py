"""Alerts of other tools: which events are some, by which rule, and how they go through a hunt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aleat.evidence.batch import EventBatch
from aleat.formats import all_formats
from aleat.hunt import Plan, Sighting, apply_filters
from aleat.hunt.alerts import AlertHunter, alert_id, alert_of, alert_readings, is_alert, with_alerts
from aleat.hunt.coverage import Openings, describe_batch
from aleat.hunt.dismissals import Dismissal, add_dismissals, filter_text
from aleat.hunt.explain import explain_alert
from aleat.hunt.result import Tally
from aleat.hunt.stored import Attacher, alerts_kept, encode_found, plan_digests
from aleat.store.lake import SegmentSource
from tests.hunt.batches import make_batch

PLAN = with_alerts(Plan())
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"


def wazuh(*rows: dict[str, Any]) -> EventBatch:
    base = {"rule.id": "5760", "rule.description": "sshd: failed", "rule.level": 5}
    return make_batch([base | row for row in rows], format="wazuh", channel="", evidence="alerts.json")


def raised(*batches: EventBatch) -> list[Sighting]:
    return list(AlertHunter(PLAN.alerts).hunt(batches))


def test_each_rule_of_a_tool_is_an_indicator_whose_id_follows_from_the_two_names() -> None:
    """The same rule in another file is the same indicator; the same number of another tool isn't."""
    one, other, again = raised(wazuh({}, {"rule.id": "31101"}), wazuh({"rule.level": 15}))
    assert one.indicator == again.indicator == one.ref == alert_id("Wazuh", "5760")
    assert other.indicator != one.indicator
    assert alert_id("Suricata", "5760") != one.indicator
    assert (one.level, again.level) == ("low", "critical")
    assert (one.author, one.source, one.title) == ("Wazuh", "alerts/Wazuh", "sshd: failed")


def test_techniques_become_sigmas_tags() -> None:
    (one,) = raised(wazuh({"rule.mitre.id": ["T1110.001", "t1021", "TA0001", "XT1234", "T12345"]}))
    assert one.tags == ("attack.t1110.001", "attack.t1021")


def test_what_is_matched_is_where_the_rule_is_named() -> None:
    (one,) = raised(wazuh({"agent.name": "mail1"}))
    assert dict(one.matched) == {"rule.id": "5760", "rule.description": "sshd: failed"}


@pytest.mark.parametrize(
    ("channel", "event_id", "expected"),
    [(DEFENDER, "1116", 1), (DEFENDER.upper(), "1116", 1), (DEFENDER, "1117", 0), ("Security", "1116", 0)],
)
def test_a_gate_says_which_events_are_alerts(channel: str, event_id: str, expected: int) -> None:
    """Defender's detection is an alert; what it did about it, and another log's event of that number, are none."""
    event = {"event_id": event_id, "Threat Name": "Trojan:Win32/Example.A", "Severity ID": "5", "Path": "file:_C:\\x"}
    found = raised(make_batch([event], channel=channel))
    assert len(found) == expected
    batch = make_batch([event], channel=channel)
    assert Openings(PLAN).any_in([describe_batch(batch)]) is bool(expected)
    if found:
        assert (found[0].title, found[0].level) == ("Trojan:Win32/Example.A", "high")


def test_numbers_are_graded_by_where_a_level_begins() -> None:
    rows = [{"schemaVersion": "2.0", "type": "T", "severity": number} for number in (0.5, 1, 3.9, 4.0, 8.9, 9)]
    found = raised(make_batch(rows, format="guardduty", channel=""))
    assert [one.level for one in found] == ["medium", "low", "low", "medium", "high", "critical"]


def test_an_event_without_a_rule_is_no_alert() -> None:
    assert raised(make_batch([{"agent.id": "1"}], format="wazuh", channel="")) == []


def test_alerts_come_back_from_the_ledger_as_they_were() -> None:
    found = raised(wazuh({"rule.mitre.id": ["T1110"]}, {"rule.id": "7", "rule.description": "x"}))
    kept = encode_found(found, {item.digest: item for item in PLAN.alerts})
    attached = list(Attacher(PLAN, plan_digests(PLAN)).attach([kept], "", SegmentSource(0, "alerts.json", 0)))
    assert [one for _, one in attached] == [msgspec.structs.replace(one, segment="") for one in found]
    assert all(reported for reported, _ in attached)
    assert {name for name, _, _ in alerts_kept([kept])} == {one.indicator for one in found}


def test_alerts_are_counted_apart() -> None:
    tally = Tally()
    for one in raised(wazuh({}, {}, {"rule.id": "7"})):
        assert is_alert(one)
        tally.add(one)
    assert (tally.sightings, tally.alerts.total(), len(tally.alerts)) == (0, 3, 2)


def test_alerts_are_dismissed_and_explained_as_sightings_are() -> None:
    batch = wazuh({"data.srcip": "10.0.0.1"}, {"data.srcip": "198.51.100.7"})
    found = raised(batch)
    text = filter_text(
        identifier="d",
        rule=found[0].indicator,
        title="sshd: failed",
        logsource=None,
        where={"data.srcip": ["10.0.0.1"]},
        reason="our scanner",
        author="agim",
        date="2022-09-01",
    )
    plan = add_dismissals(PLAN, [Dismissal("d", found[0].indicator, text, "agim")])
    assert plan.alerts == PLAN.alerts
    assert [one.hidden_by for one in apply_filters(plan, found)] == ["d", None]
    told = explain_alert(plan, "wazuh: SSHD: failed", batch, 0)
    assert told is not None
    assert (told.kind, told.matches, told.hidden_by) == ("alert", True, "d")
    assert explain_alert(plan, found[0].indicator, batch, 1) is not None
    assert explain_alert(plan, "another", batch, 1) is None
    assert alert_of(make_batch([{"A": "b"}]), 0) is None


def test_every_description_is_sound() -> None:
    assert set(alert_readings()) == {item.name for item in all_formats() if item.alert}
