"""STIX patterns over samples of Unix and network formats: what a line tells of is found as the object it is."""

from __future__ import annotations

import pytest

from aleat.errors import Place
from aleat.hunt import Indicator, compile_plan, hunt_paths
from tests.formats.sample import SAMPLES

PATTERNS = [
    ("syslog--rfc3164.log", "[ipv4-addr:value = '198.51.100.7']"),
    ("syslog--rfc3164.log", "[user-account:account_login = 'agim']"),
    ("syslog--rfc3164.log", "[process:command_line = '/usr/local/bin/backup.sh']"),
    ("syslog--rfc3164.log", "[process:name = 'bash' AND process:command_line = 'bash -i']"),
    ("syslog--devices.log", "[domain-name:value = 'api.telegram.org']"),
    ("syslog--devices.log", "[mac-addr:value = '02:00:00:00:00:07']"),
    ("syslog--devices.log", "[network-traffic:src_ref.value = '203.0.113.9' AND network-traffic:dst_port = 22]"),
    ("syslog--devices.log", "[ipv6-addr:value = '2001:db8::1']"),
    ("auditd--raw.log", "[process:name = 'curl' AND process:command_line = 'curl -o /tmp/a b.sh']"),
    ("auditd--raw.log", "[file:name = 'shadow']"),
    ("auditd--raw.log", "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 80]"),
    ("cisco--asa.log", "[url:value = 'http://www.example.com/a']"),
    ("cisco--asa.log", "[network-traffic:dst_ref.value = '198.51.100.1' AND network-traffic:dst_port = 3389]"),
    ("fortigate--traffic.log", "[domain-name:value = 'www.example.com']"),
    ("paloalto--panos.log", "[ipv4-addr:value = '203.0.113.80']"),
    ("cef--plain.log", "[file:name = 'a.exe']"),
    ("cef--plain.log", "[domain-name:value = 'www.example.com']"),
    ("leef--plain.log", "[ipv4-addr:value = '203.0.113.9']"),
    ("bind--queries.log", "[domain-name:value = 'x.burpcollaborator.net']"),
    ("windows_dns--dns.log", "[domain-name:value = 'www.example.com']"),
    ("windows_dhcp--server.log", "[mac-addr:value = '02:00:00:00:00:07']"),
    ("unbound--queries.log", "[domain-name:value = 'www.example.com']"),
    ("netflow--nfdump.json", "[network-traffic:dst_ref.value = '203.0.113.80' AND network-traffic:dst_port = 21]"),
    ("netflow--vpc2.log", "[ipv4-addr:value = '10.1.1.7']"),
    ("openvpn--server.log", "[ipv4-addr:value = '10.8.0.6']"),
    ("freeradius--radius.log", "[user-account:account_login = 'agim']"),
    ("nps--dts.log", "[ipv4-addr:value = '192.0.2.7']"),
    ("netlogon--debug.log", "[ipv4-addr:value = '10.1.1.7']"),
    ("ivanti--events.vc0", "[ipv4-addr:value = '198.51.100.7']"),
    ("journald--json.json", "[ipv4-addr:value = '198.51.100.7']"),
    ("logfmt--plain.log", "[ipv4-addr:value = '198.51.100.7']"),
]


@pytest.mark.parametrize(("sample", "pattern"), PATTERNS)
def test_a_pattern_finds_its_object(sample: str, pattern: str) -> None:
    plan = compile_plan([Indicator("x", "indicator--x", "x", "stix", pattern, "x", "t", Place("x"))])
    assert not plan.not_evaluated
    assert hunt_paths([SAMPLES / sample], plan, workers=1).sightings
