"""SigmaHQ's rules for Unix machines and network devices: each fires on a line that shows what it is about."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from aleat.errors import Issue, Place
from aleat.evidence import ReadOptions, open_sources, read_batches
from aleat.hunt import Hunter, Indicator, compile_plan

pytestmark = pytest.mark.data

AUDIT = "type={} msg=audit(1657872001.123:{}): {}"
LINES = {
    # rule's file below rules*/ → lines of a log that it must fire on
    "linux/builtin/sshd/lnx_sshd_susp_ssh.yml": "Jul 15 08:00:01 web1 sshd[1]: fatal: buffer_get_string: bad string",
    "linux/builtin/syslog/lnx_syslog_susp_named.yml": "Jul 15 08:00:01 ns1 named[1]: zone a: client 1.2.3.4#5: "
    "dropping source port zero packet from 203.0.113.9",
    "lnx_sudo_exploit_cve_2019_14287.yml": "Jul 15 08:00:01 web1 sudo: agim : TTY=pts/0 ; PWD=/ ; "
    "USER=#-1 ; COMMAND=/bin/sh",
    "network/cisco/bgp/cisco_bgp_md5_auth_failed.yml": "<189>1: Jul 15 08:00:01: %IP-TCP-3-BADAUTH: No MD5 digest from "
    "192.0.2.9:179 to 192.0.2.1:4000",
    "network/cisco/aaa/cisco_cli_clear_logs.yml": "<189>1: Jul 15 08:00:01: %PARSER-5-CFGLOG_LOGGEDCMD: User:agim  "
    "logged command:clear logging",
    "network/huawei/bgp/huawei_bgp_auth_failed.yml": "Jul 15 08:00:01 rt1 %%01BGP/3/BGP_AUTH_FAILED(l)[1]: "
    "failed 192.0.2.9:179",
    "network/juniper/bgp/juniper_bgp_missing_md5.yml": "Jul 15 08:00:01 rt1 rpd[1]: tcp_auth_ok: Packet from "
    "192.0.2.9:179 missing MD5 digest",
    "network/fortinet/fortigate/fortinet_fortigate_new_admin_account_created.yml": "date=2022-07-15 time=08:00:01 "
    'devname="f" devid="F" type="event" subtype="system" cfgpath="system.admin" action="Add"',
    "network/dns/net_dns_susp_telegram_api.yml": "15-Jul-2022 08:00:01.123 queries: info: client @0x7f 10.1.1.7#53 "
    "(api.telegram.org): query: api.telegram.org IN A + (192.0.2.53)",
    "netflow_cleartext_protocols.yml": "2 123456789012 eni-0123456789abcdef0 10.1.1.7 203.0.113.80 53000 21 6 1 1 "
    "1657872001 1657872002 ACCEPT OK",
    "linux/auditd/syscall/lnx_auditd_susp_exe_folders.yml": AUDIT.format(
        "SYSCALL", 1, 'arch=c000003e syscall=59 exe="/tmp/x"'
    ),
    "linux/auditd/execve/lnx_auditd_data_compressed.yml": AUDIT.format(
        "EXECVE", 2, 'argc=3 a0="tar" a1="-czf" a2="a.tgz"'
    ),
    "linux/auditd/path/lnx_auditd_ld_so_preload_mod.yml": AUDIT.format("PATH", 3, 'item=0 name="/etc/ld.so.preload"'),
    "linux/process_creation/proc_creation_lnx_clear_logs.yml": AUDIT.format(
        "SYSCALL", 4, 'arch=c000003e syscall=59 exe="/usr/bin/rm"'
    )
    + "\n"
    + AUDIT.format("EXECVE", 4, 'argc=2 a0="rm" a1="/var/log/syslog"'),
    "linux/file_event/file_event_lnx_susp_cron_file_created.yml": AUDIT.format("CWD", 5, 'cwd="/etc/cron.d"')
    + "\n"
    + AUDIT.format("PATH", 5, 'item=1 name="x" nametype=CREATE'),
    "paloalto_globalprotect_exploit_cve_2024_3400_command_injection.yml": '{"level":"error","task":"1-1",'
    '"time":"2022-07-15T08:00:01Z","message":"failed to unmarshal session(../../a) map , EOF"}',
}


@pytest.mark.parametrize("name", sorted(LINES))
def test_a_rule_fires_on_its_line(name: str, test_data: Path, tmp_path: Path) -> None:
    [path] = [path for path in (test_data / "sigma").glob("rules*/**/*.yml") if path.as_posix().endswith(f"/{name}")]
    text = path.read_text("utf-8")
    title = yaml.load(text, yaml.CSafeLoader)["title"]
    plan = compile_plan(
        [Indicator(title, title, sha256(text.encode()).hexdigest(), "sigma", text, title, "t", Place(name))]
    )
    log = tmp_path / "x.log"
    log.write_text(LINES[name] + "\n", "utf-8")
    fired = 0
    for source in open_sources([log], options=ReadOptions(year=2022)):
        assert not isinstance(source, Issue), source
        issues: list[Issue] = []
        for batch in read_batches(source, issues):
            fired += sum(1 for _ in Hunter(plan).hunt_batch(batch))
    assert fired == 1
