"""Alerts of other tools in a workspace: found once, counted apart, dismissed, explained, part of the case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aleat.errors import RuleError
from aleat.hunt.alerts import alert_id, is_alert
from aleat.workspace import Workspace, hunt_once

NAME = "Wazuh: Web shell in a folder of the web server."


def alert(second: int, host: str, rule: str = "100201", level: int = 12) -> dict[str, object]:
    return {
        "timestamp": f"2022-07-15T08:00:{second:02}.000+0000",
        "rule": {
            "id": rule,
            "level": level,
            "description": "Web shell in a folder of the web server." if rule == "100201" else "Login.",
        },
        "agent": {"id": "1", "name": host},
        "manager": {"name": "m"},
        "decoder": {"name": "syscheck"},
        "location": "syscheck",
    }


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    file = tmp_path / "logs" / "alerts.json"
    file.parent.mkdir()
    rows = [alert(1, "www1"), alert(2, "www2"), alert(3, "www1", "5501", 3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def open_case(tmp_path: Path, logs: Path) -> Workspace:
    folder, keys = tmp_path / "case", tmp_path / "keys"
    if not folder.exists():
        with Workspace.init(folder, organisation="Team South", actor="agim", key_folder=keys) as ws:
            ws.add_evidence(logs)
    return Workspace.open(folder, actor="agim", key_folder=keys)


def test_alerts_are_found_once_and_counted_apart(tmp_path: Path, logs: Path) -> None:
    """Nothing is known, so nothing else is hunted for; the ledger has them afterwards."""
    with open_case(tmp_path, logs) as ws:
        first, again = ws.hunt(workers=1), ws.hunt(workers=1)
    assert (first.tally.sightings, first.tally.alerts.total(), len(first.tally.alerts)) == (0, 3, 2)
    assert (first.segments, again.segments) == (1, 0)
    assert again.sightings == first.sightings
    assert {one.indicator for one in first.sightings} == {alert_id("Wazuh", "100201"), alert_id("Wazuh", "5501")}
    assert not list(first.coverage.logs_without_rules)


def test_one_hunt_and_a_lakes_tell_the_same(tmp_path: Path, logs: Path) -> None:
    out = tmp_path / "out.jsonl"
    hunted = hunt_once([logs], [], out, "jsonl", min_level="high")
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    with open_case(tmp_path, logs) as ws:
        kept = [one for one in ws.hunt(workers=1).sightings if one.level == "high"]
    assert hunted.result.tally.alerts.total() == 3
    assert [(one.indicator, one.event, one.source) for one in kept] == [
        (line["indicator"], line["event"], line["source"]) for line in lines
    ]


def test_an_alert_is_dismissed_and_explained_by_its_name(tmp_path: Path, logs: Path) -> None:
    with open_case(tmp_path, logs) as ws:
        before = ws.hunt(workers=1)
        row = ws.dismiss(NAME, "a drill", ["agent.name=www1"])
        assert row.rule == alert_id("Wazuh", "100201")
        after = ws.hunt(workers=1)
        assert after.segments == 0
        assert (after.tally.hidden, after.tally.alerts.total()) == (1, before.tally.alerts.total() - 1)
        told = ws.explain(NAME, "alerts.json:0").explanation
        assert (told.kind, told.matches, told.hidden_by) == ("alert", True, row.id)
        other = ws.explain(NAME, "alerts.json:2").explanation
        assert (other.kind, other.matches) == ("alert", False)
        with pytest.raises(RuleError):
            ws.explain("Wazuh: nothing so called", "alerts.json:0")
        with pytest.raises(RuleError):
            ws.dismiss("Wazuh: nothing so called", "a drill")


def test_the_report_counts_alerts_and_its_bundle_has_their_rules(tmp_path: Path, logs: Path) -> None:
    """Grave ones, of rules that don't fire all the time, found an incident as generic rules do."""
    rows = [alert(1, "www1"), alert(2, "www1", "100202", 15), alert(3, "www1", "100203", 15)]
    logs.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with open_case(tmp_path, logs) as ws:
        built = ws.build_case()
        files = ws.report(built=built)
        answer = " ".join(built.answer().sentences)
    assert sum(map(is_alert, built.case.sightings)) == 3
    assert "Other tools (Wazuh) raised alerts: 3; their rules: 3, of those in incidents: 3." in answer
    assert built.case.incidents
    bundle = json.loads(files.bundle.read_text("utf-8"))
    rules = {item["id"]: item["name"] for item in bundle["objects"] if item["type"] == "indicator"}
    sighted = {item["sighting_of_ref"] for item in bundle["objects"] if item["type"] == "sighting"}
    assert sighted == set(rules)
    assert rules[alert_id("Wazuh", "100201")] == NAME
