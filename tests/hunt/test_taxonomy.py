"""Log sources and field names: which evidence a rule is about, and under which names."""

from __future__ import annotations

from typing import Any

import pytest

from aleat.hunt.expression import Field
from aleat.hunt.plan import LogSource
from aleat.hunt.taxonomy import load_taxonomy, taxonomy_digest

from .events import SECURITY, SYSMON
from .sigma_rules import fires, plan_of, rejection


def head(**logsource: str) -> str:
    lines = "".join(f"    {name}: {value}\n" for name, value in logsource.items())
    return f"title: Test\nlogsource:\n{lines}"


PROCESS = head(category="process_creation", product="windows")
IMAGE = "selection:\n    Image|endswith: '\\whoami.exe'"
WHOAMI = r"C:\Windows\System32\whoami.exe"


@pytest.mark.parametrize(
    ("event", "facts", "expected"),
    [
        ({"Image": WHOAMI}, {"channel": SYSMON, "event_id": 1}, True),
        ({"NewProcessName": WHOAMI}, {"channel": SECURITY, "event_id": 4688}, True),
        ({"Image": WHOAMI}, {"channel": SECURITY, "event_id": 4688}, False),
        ({"NewProcessName": WHOAMI}, {"channel": SYSMON, "event_id": 1}, False),
        ({"Image": WHOAMI}, {"channel": SYSMON, "event_id": 7}, False),
        ({"Image": WHOAMI}, {"channel": SYSMON, "event_id": 1, "format": "iis"}, False),
    ],
)
def test_process_creation_is_sysmon_1_and_security_4688(
    event: dict[str, Any], facts: dict[str, Any], expected: bool
) -> None:
    """Generic log sources mean both, each with its own names (T Process Creation Events)."""
    assert fires(IMAGE, event, head=PROCESS, **facts) is expected


def test_registry_in_the_audit_log_is_found_by_its_messages_number() -> None:
    """A 4657 event holds %%1905 where its text says "Existing registry value modified"."""
    rule = "selection:\n    TargetObject|contains: '\\Run\\'\n    Details|contains: evil"
    event = {"ObjectName": r"\REGISTRY\MACHINE\Run\x", "NewValue": "evil", "OperationType": "%%1905"}
    registry = head(category="registry_set", product="windows")
    assert fires(rule, event, head=registry, event_id=4657)
    assert not fires(rule, {**event, "OperationType": "%%1904"}, head=registry, event_id=4657)


def test_rule_that_fits_one_variant_only_is_partial() -> None:
    """Sysmon's EventType has no counterpart in 4657: the audit variant is named, Sysmon's is evaluated."""
    plan = plan_of("selection:\n    EventType: SetValue", head=head(category="registry_set", product="windows"))
    (item,) = plan.not_evaluated
    assert item.partial
    assert "windows-audit" in item.reason
    assert [variant.name for variant in plan.variants if "windows" in variant.formats] == ["windows-sysmon"]


@pytest.mark.parametrize(
    ("service", "channel"),
    [
        ("security", "Security"),
        ("system", "System"),
        ("sysmon", SYSMON),
        ("powershell", "PowerShellCore/Operational"),
        ("dns-client", "Microsoft-Windows-DNS-Client/Operational"),
        ("ntfs", "Microsoft-Windows-Ntfs/Operational"),
        ("windefend", "Microsoft-Windows-Windows Defender/Operational"),
        ("application-experience", "Microsoft-Windows-Application-Experience/Program-Telemetry"),
    ],
)
def test_service_is_its_channels(service: str, channel: str) -> None:
    """T Windows Folder, Service: the pipelines' channels and those that only the appendix knows."""
    rule_head = head(product="windows", service=service)
    assert fires("selection:\n    F: x", {"F": "x"}, head=rule_head, channel=channel)
    assert not fires("selection:\n    F: x", {"F": "x"}, head=rule_head, channel="Other")


def test_category_without_a_channel_is_its_provider() -> None:
    """T Windows Folder, Category: file_access comes from a provider's trace."""
    rule_head = head(category="file_access", product="windows")
    assert fires("selection:\n    F: x", {"F": "x"}, head=rule_head, provider="Microsoft-Windows-Kernel-File")
    assert not fires("selection:\n    F: x", {"F": "x"}, head=rule_head, provider="Other")


def test_rule_without_a_product_means_every_product() -> None:
    """The attributes of a log source can be used alone (R LogSource)."""
    rule_head = head(category="process_creation")
    assert fires(IMAGE, {"Image": WHOAMI}, head=rule_head, channel=SYSMON, event_id=1)
    assert fires(IMAGE, {"Image": WHOAMI}, head=rule_head, channel="Linux-Sysmon/Operational", event_id=1)


def test_keywords_stay_inside_their_log_source() -> None:
    """A keyword rule for one log doesn't search the others."""
    rule_head = head(product="windows", service="application")
    assert fires("selection:\n    - needle", {"X": "a needle"}, head=rule_head, channel="Application")
    assert not fires("selection:\n    - needle", {"X": "a needle"}, head=rule_head, channel="System")


WEB = head(category="webserver")
IIS = {
    "cs-method": "GET",
    "cs-uri-stem": "/owa/x.aspx",
    "cs-uri-query": "a=b",
    "cs(User-Agent)": "curl/8",
    "sc-status": "200",
}
ACCESS = {"method": "GET", "uri": "/owa/x.aspx?a=b", "user_agent": "curl/8", "status": "200", "remote_host": "10.1.2.3"}


@pytest.mark.parametrize(
    "selection",
    [
        "cs-method: GET",
        "sc-status: 200",
        "cs-uri-stem|endswith: .aspx",
        "cs-uri-query|contains: a=b",
        "cs-uri-query|contains: '/owa/'",
        "c-uri: '/owa/x.aspx?a=b'",
        "c-uri|endswith: '.aspx?a=b'",
        "c-uri-extension: aspx",
        "cs-user-agent|startswith: curl",
        "c-useragent|startswith: curl",
    ],
)
@pytest.mark.parametrize(("format_", "event"), [("iis", IIS), ("access", ACCESS)])
def test_web_logs_are_read_under_sigmas_names(selection: str, format_: str, event: dict[str, Any]) -> None:
    """T Specific, category webserver: IIS and access logs alike."""
    detection = f"selection:\n    {selection}"
    assert fires(detection, event, head=WEB, format=format_, channel="")
    changed = dict.fromkeys(event, "other")
    assert not fires(detection, changed, head=WEB, format=format_, channel="")


def test_request_without_a_query_is_its_path() -> None:
    """IIS writes a dash for nothing."""
    event = {**IIS, "cs-uri-query": "-"}
    assert fires("selection:\n    c-uri: /owa/x.aspx", event, head=WEB, format="iis", channel="")


def test_log_source_without_evidence_is_compiled_and_known() -> None:
    """No error: the rule is loaded, and says that no such evidence can be there."""
    plan = plan_of("selection:\n    eventName: x", head=head(product="macos", service="unified"))
    assert not plan.not_evaluated
    assert [rule.formats for rule in plan.rules] == [()]
    assert not plan.variants


def test_errors_are_found_in_rules_without_evidence_too() -> None:
    """A typing mistake is one wherever the logs come from."""
    assert "unknown modifier" in rejection("selection:\n    F|contain: x", head=head(product="aws"))


def test_system_fields_are_known_by_their_underscored_names() -> None:
    """R Field Usage: tag and attribute are linked with an underscore."""
    (variant,) = load_taxonomy().variants(LogSource(product="windows"))
    assert variant.subjects("Execution_ProcessID") == (Field("Execution.ProcessID"),)
    assert fires("selection:\n    Provider_Name: Prov", {}, provider="prov")
    assert fires("selection:\n    Computer|startswith: PC", {}, host="pc7")


def test_mapping_has_a_digest_that_needs_no_pipelines() -> None:
    """It stands in every cache's key."""
    assert load_taxonomy().digest == taxonomy_digest() == plan_of("selection:\n    F: x").mapping_digest


LOCAL_GROUP = head(service="security", product="windows")


@pytest.mark.parametrize(
    ("test", "event", "expected"),
    [
        ("TargetUserName: Administrators", {"TargetUserName": "Administratoren", "TargetSid": "S-1-5-32-544"}, True),
        ("TargetUserName: Administrators", {"TargetUserName": "renamed", "TargetSid": "S-1-5-32-544"}, True),
        ("TargetUserName: Administrators", {"TargetUserName": "Administratoren"}, True),
        ("TargetUserName: Administratorët", {"TargetUserName": "Administrators", "TargetSid": "S-1-5-32-544"}, True),
        ("TargetUserName|startswith: Admini", {"TargetUserName": "Rendszergazdák"}, True),
        ("TargetUserName: Domain Admins", {"TargetUserName": "x", "TargetSid": "S-1-5-21-1-2-3-512"}, True),
        ("TargetUserName: Administrators", {"TargetUserName": "Benutzer", "TargetSid": "S-1-5-32-545"}, False),
        ("TargetUserName: Domain Admins", {"TargetUserName": "x", "TargetSid": "S-1-5-21-1-2-3-5120"}, False),
        ("TargetUserName: null", {"TargetUserName": None, "TargetSid": "S-1-5-32-544"}, True),
        ("SubjectUserName: SYSTEM", {"SubjectUserName": "Système", "SubjectUserSid": "S-1-5-18"}, True),
    ],
)
def test_groups_are_known_by_their_sid_in_every_language(test: str, event: dict[str, Any], expected: bool) -> None:
    """A rule's name means the group, whatever the machine calls it."""
    assert fires(f"selection:\n    {test}", event, head=LOCAL_GROUP, channel=SECURITY, event_id=4732) is expected


def test_accounts_are_known_with_their_authority() -> None:
    """Sysmon's User is written in the machine's language."""
    rule = "selection:\n    User: 'NT AUTHORITY\\SYSTEM'"
    facts: dict[str, Any] = {"head": PROCESS, "channel": SYSMON, "event_id": 1}
    assert fires(rule, {"User": "AUTORITE NT\\Système"}, **facts)
    assert fires(rule, {"User": "NT-AUTORITÄT\\SYSTEM"}, **facts)
    assert not fires(rule, {"User": "NT-AUTORITÄT\\Netzwerkdienst"}, **facts)
    assert not fires(rule, {"User": "\\" * 10_000}, **facts)
