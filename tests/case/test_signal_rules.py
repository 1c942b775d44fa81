"""Our own signal rules: valid Sigma, each fires on the event it is for, and stays silent on its neighbours."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import yaml
from sigma.rule import SigmaRule

from aleat.case import is_signal, signals
from aleat.case.signal_rules import signal_names
from aleat.hunt import compile_plan, hunt_segment
from tests.hunt.events import SECURITY, SYSMON, batch

SYSTEM = "System"
_SCM = "Service Control Manager"
_WEB_SHELL = "C:\\inetpub\\wwwroot\\a\\shell.aspx"
_RUN = "HKU\\S-1-5-21\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\Updater"
_TASKS = "Microsoft-Windows-TaskScheduler/Operational"
_WMI = "Microsoft-Windows-WMI-Activity/Operational"

# (channel, provider, event id, fields) → the signals that must be there, and no others
# ruff: noqa: E501  (one event a line)
CASES: list[tuple[str, str, int, dict[str, Any], set[str]]] = [
    (SYSTEM, "User32", 1074, {"param4": "0x500ff", "param7": "GOV\\a"}, {"shutdown-planned"}),
    (SYSTEM, "User32", 1074, {"param4": "0x80020010"}, {"shutdown-planned", "shutdown-maintenance"}),
    (SYSTEM, "User32", 1074, {"param4": "0x80050013"}, {"shutdown-planned", "shutdown-security"}),
    (SYSTEM, "EventLog", 6006, {}, {"shutdown-clean"}),
    (SYSTEM, "EventLog", 6005, {}, {"system-start"}),
    (SYSTEM, "EventLog", 6008, {}, {"shutdown-unexpected"}),
    (SYSTEM, "EventLog", 6013, {}, set()),
    (SYSTEM, "Microsoft-Windows-Kernel-Power", 41, {}, {"shutdown-unexpected"}),
    (SYSTEM, _SCM, 7036, {"param1": "World Wide Web Publishing Service", "param2": "stopped"}, {"service-stopped", "web-stopped"}),
    (SYSTEM, _SCM, 7036, {"param1": "World Wide Web Publishing Service", "param2": "running"}, {"service-started"}),
    (SYSTEM, _SCM, 7036, {"param1": "Print Spooler", "param2": "stopped"}, set()),
    (SYSTEM, _SCM, 7040, {"param1": "W3SVC", "param2": "auto start", "param3": "disabled"}, {"service-start-changed"}),
    (SYSTEM, _SCM, 7040, {"param1": "BITS", "param2": "auto start", "param3": "demand start"}, set()),
    (SYSTEM, _SCM, 7034, {"param1": "x"}, {"service-died"}),
    (SYSTEM, _SCM, 7045, {"ServiceName": "x"}, {"persistence-service"}),
    (SYSTEM, "Microsoft-Windows-WindowsUpdateClient", 19, {}, {"update-installed"}),
    (SYSTEM, "Microsoft-Windows-Eventlog", 104, {}, {"log-cleared"}),
    (SYSTEM, "srv", 2013, {}, {"disk-full"}),
    (SECURITY, "Microsoft-Windows-Eventlog", 1102, {}, {"log-cleared"}),
    (SECURITY, "Microsoft-Windows-Eventlog", 1100, {}, {"logging-stopped"}),
    (
        SYSTEM,
        "Service Control Manager",
        7040,
        {"param1": "Windows Event Log", "param2": "auto start", "param3": "disabled", "param4": "EventLog"},
        {"logging-disabled", "service-start-changed"},
    ),
    (
        SYSMON,
        "Microsoft-Windows-Sysmon",
        13,
        {
            "TargetObject": "HKLM\\System\\CurrentControlSet\\Services\\EventLog\\Start",
            "Details": "DWORD (0x00000004)",
        },
        {"logging-disabled"},
    ),
    (SECURITY, "A", 4719, {}, {"audit-changed"}),
    (SECURITY, "A", 4720, {}, {"account-created"}),
    (SECURITY, "A", 4722, {}, {"account-enabled"}),
    (SECURITY, "A", 4723, {}, {"password-changed"}),
    (SECURITY, "A", 4724, {}, {"password-reset"}),
    (SECURITY, "A", 4725, {}, {"account-disabled"}),
    (SECURITY, "A", 4726, {}, {"account-deleted"}),
    (SECURITY, "A", 4728, {}, {"group-member-added"}),
    (SECURITY, "A", 4732, {}, {"group-member-added"}),
    (SECURITY, "A", 4757, {}, {"group-member-removed"}),
    (SECURITY, "A", 4697, {}, {"persistence-service"}),
    (SECURITY, "A", 4698, {"TaskName": "\\x"}, {"persistence-task"}),
    (SECURITY, "A", 4699, {"TaskName": "\\x"}, {"removed-task"}),
    (SECURITY, "A", 4624, {}, set()),
    (SECURITY, "A", 4688, {"NewProcessName": "C:\\Windows\\System32\\net.exe", "CommandLine": "net stop w3svc"}, {"service-stop-command"}),
    (SECURITY, "A", 4688, {"NewProcessName": "C:\\Windows\\System32\\shutdown.exe", "CommandLine": "shutdown /s /t 0"}, {"shutdown-command"}),
    (SECURITY, "A", 4688, {"NewProcessName": "C:\\Windows\\System32\\sc.exe", "CommandLine": "sc delete evil"}, {"removed-by-command"}),
    (SYSMON, "S", 1, {"Image": "C:\\Windows\\System32\\wevtutil.exe", "CommandLine": "wevtutil cl Security"}, {"log-cleared"}),
    (SYSMON, "S", 1, {"Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c del C:\\inetpub\\logs\\LogFiles\\x.log"}, {"web-log-deleted"}),
    (SYSMON, "S", 1, {"Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c dir"}, set()),
    (SYSMON, "S", 11, {"TargetFilename": _WEB_SHELL}, {"persistence-web-script"}),
    (SYSMON, "S", 11, {"TargetFilename": "C:\\inetpub\\wwwroot\\logo.png"}, set()),
    (SYSMON, "S", 13, {"EventType": "SetValue", "TargetObject": _RUN}, {"persistence-run-key"}),
    (SYSMON, "S", 12, {"EventType": "DeleteValue", "TargetObject": _RUN}, {"removed-run-key"}),
    (SYSMON, "S", 19, {"EventType": "WmiFilterEvent", "Operation": "Created"}, {"persistence-wmi"}),
    (SYSMON, "S", 21, {"EventType": "WmiBindingEvent", "Operation": "Deleted"}, {"removed-wmi"}),
    (SYSMON, "S", 23, {"TargetFilename": _WEB_SHELL}, {"removed-file"}),
    (SYSMON, "S", 26, {"TargetFilename": "C:\\inetpub\\logs\\LogFiles\\W3SVC1\\u_ex220715.log"}, {"web-log-deleted"}),
    (_TASKS, "T", 106, {"TaskName": "\\x"}, {"persistence-task"}),
    (_TASKS, "T", 141, {"TaskName": "\\x"}, {"removed-task"}),
    (_WMI, "W", 5861, {}, {"persistence-wmi"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Any:
    """The compiled plan of all signal rules."""
    return compile_plan(signals())


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][2]}-{number}")
def test_each_event_gives_exactly_its_signals(plan: Any, number: int) -> None:
    channel, provider, event_id, fields, expected = CASES[number]
    result = hunt_segment(plan, [batch([fields], channel=channel, provider=provider, event_id=event_id)])
    assert {name for sighting in result.sightings for name in signal_names(sighting)} == expected
    assert all(is_signal(sighting) for sighting in result.sightings)


def test_every_rule_is_evaluated(plan: Any) -> None:
    assert [one for one in plan.not_evaluated if not one.partial] == []


def test_every_signal_has_a_case() -> None:
    tags = {tag for rule in signals() for tag in rule.tags}
    tagged = {tag.removeprefix("aleat.") for tag in tags if tag.startswith("aleat.")}
    shown = {name for case in CASES for name in case[4]}
    assert tagged - shown == {"web-pool-stopped", "persistence-startup"}


def test_rules_are_valid_sigma_with_ids_of_their_own() -> None:
    ids = [rule.id for rule in signals()]
    assert len(ids) == len(set(ids))
    for indicator in signals():
        uuid.UUID(indicator.id)
        rule = SigmaRule.from_yaml(indicator.pattern)
        assert rule.errors == []
        assert [condition.parsed for condition in rule.detection.parsed_condition]
        loaded = yaml.safe_load(indicator.pattern)
        assert loaded["level"] == "informational"
        assert all(tag.startswith(("aleat.", "attack.")) for tag in indicator.tags)
        assert (indicator.source, indicator.pattern_type) == ("aleat", "sigma")


def test_places_lead_to_the_rule_in_its_file() -> None:
    assert all(rule.place.line is not None and rule.place.path.startswith("aleat/case/signals/") for rule in signals())
