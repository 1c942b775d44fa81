"""What is left open, what was seen done, whether it still goes on, and what to do next."""

# ruff: noqa: E501  (one event a line)
from __future__ import annotations

from aleat.case import build_case, indicator_tags
from aleat.case.records import Case, Claim, OpenItem
from aleat.hunt.indicator import Sighting
from tests.case.simulator import Traffic, cover, hit, signal, utc
from tests.case.waves import COVERAGE, administration, background, first_wave, second_wave


def _build(sightings: list[Sighting], coverage: object = COVERAGE, **more: object) -> Case:
    return build_case(name="t", reference_time=utc("2022-10-01"), sightings=sightings, coverage=coverage, **more)  # type: ignore[arg-type]


def _open(case: Case, kind: str) -> list[OpenItem]:
    return [item for item in case.open_items if item.kind == kind]


def _installed(**more: str) -> list[Sighting]:
    """A service, a task and a web shell of the intruder, and the cleaning up that the test adds."""
    tags = ("attack.persistence",)
    return [
        hit("ally-svc", "H1", "2022-07-01 10:00", level="critical", event_id="7045", tags=(*tags, "attack.t1543.003"), ServiceName="EvilSvc", **more),
        hit("ally-task", "H1", "2022-07-01 10:05", level="critical", event_id="4698", tags=(*tags, "attack.t1053.005"), TaskName="\\Micro\\Evil", SubjectUserName="eve"),
        hit("ally-shell", "H1", "2022-07-01 10:10", level="critical", event_id="11", tags=(*tags, "attack.t1505.003"), TargetFilename="C:\\inetpub\\wwwroot\\evil.aspx", User="GOV\\eve"),
    ]  # fmt: skip


ONE_HOST = cover(("H1", "H2"), "2022-06-01", "2022-07-20")


def test_what_was_installed_and_never_removed_is_open() -> None:
    case = _build(_installed(), ONE_HOST)
    assert [item.value for item in _open(case, "web-shell-not-removed")] == ["C:\\inetpub\\wwwroot\\evil.aspx"]
    assert {item.value for item in _open(case, "persistence-not-removed")} == {"EvilSvc", "\\Micro\\Evil"}
    assert all(item.refs and item.incident == case.incidents[0].id for item in case.open_items)
    assert {"remove-web-shell", "remove-persistence", "reset-account"} <= {step.kind for step in case.next_steps}


def test_a_service_that_starts_on_demand_only_is_no_foothold() -> None:
    case = _build(_installed(StartType="demand start"), ONE_HOST)
    assert {item.value for item in _open(case, "persistence-not-removed")} == {"\\Micro\\Evil"}


def test_what_was_seen_removed_is_on_the_timeline_and_not_open() -> None:
    done = [
        signal("removed-by-command", "H1", "2022-07-02 09:00", CommandLine="sc delete EvilSvc", User="GOV\\admin"),
        signal("removed-task", "H1", "2022-07-02 09:01", TaskName="\\Micro\\Evil", SubjectUserName="admin"),
        signal(
            "removed-file",
            "H1",
            "2022-07-02 09:02",
            TargetFilename="C:\\inetpub\\wwwroot\\evil.aspx",
            User="GOV\\admin",
        ),
    ]
    case = _build(_installed() + done, ONE_HOST)
    assert _open(case, "web-shell-not-removed") == _open(case, "persistence-not-removed") == []
    assert len([entry for entry in case.timeline if entry.kind == "persistence-removed"]) == 3


def test_a_removal_before_or_on_another_host_removes_nothing() -> None:
    done = [
        signal("removed-task", "H2", "2022-07-02 09:01", TaskName="\\Micro\\Evil"),
        signal("removed-task", "H1", "2022-06-30 09:01", TaskName="\\Micro\\Evil"),
    ]
    assert "\\Micro\\Evil" in {
        item.value for item in _open(_build(_installed() + done, ONE_HOST), "persistence-not-removed")
    }


def test_the_owners_cleaning_up_is_no_attack() -> None:
    """The administrator who deletes the web shell touches what an indicator names."""
    deletion = "2022-07-09 09:00"
    path = {"TargetFilename": "C:\\inetpub\\wwwroot\\evil.aspx", "User": "GOV\\admin"}
    found = [
        hit("ally-name", "H1", deletion, level="critical", event="e1", **path),
        signal("removed-file", "H1", deletion, **path),
    ]
    found[1] = type(found[1])(**{**{n: getattr(found[1], n) for n in found[1].__struct_fields__}, "event": "e1"})
    case = _build(_installed() + found, ONE_HOST)
    (incident,) = case.incidents
    assert incident.last == utc("2022-07-01 10:10")
    assert [account.name for account in incident.accounts] == ["eve"]


def test_accounts_are_open_until_somebody_else_resets_them() -> None:
    case = _build(first_wave() + background())
    assert [item.value for item in _open(case, "account-not-reset")] == ["svc_mx"]
    assert _open(_build(first_wave() + background() + administration()), "account-not-reset") == []
    own = [signal("password-reset", "DC01", "2022-07-20 09:00", TargetUserName="svc_mx", SubjectUserName="svc_mx2")]
    early = [signal("password-reset", "DC01", "2022-07-01 09:00", TargetUserName="svc_mx", SubjectUserName="admin")]
    assert _open(_build(first_wave() + background() + own), "account-not-reset") == []
    assert _open(_build(first_wave() + background() + early), "account-not-reset") != []


def test_accounts_that_the_attacker_made_are_open_until_disabled() -> None:
    made = signal("account-created", "DC01", "2022-07-14 02:00", TargetUserName="back", SubjectUserName="svc_mx")
    ended = signal("account-disabled", "DC01", "2022-07-20 02:00", TargetUserName="back", SubjectUserName="admin")
    assert [item.value for item in _open(_build([*first_wave(), made]), "account-created-not-removed")] == ["back"]
    assert _open(_build([*first_wave(), made, ended]), "account-created-not-removed") == []


def test_hosts_whose_logs_end_and_hosts_without_evidence_are_named() -> None:
    coverage = (*cover(("H1",), "2022-06-01", "2022-07-02"), *cover(("H2",), "2022-06-01", "2022-07-20"))
    moved = hit("ally-rdp", "H1", "2022-07-01 10:20", level="critical", WorkstationName="KALI", User="eve")
    case = _build([*_installed(), moved], coverage)
    assert [item.host for item in _open(case, "log-ends")] == ["H1"]
    assert [item.value for item in _open(case, "host-without-evidence")] == ["KALI"]


def test_still_active_over_or_unknown() -> None:
    near_end = cover(("H1", "H2"), "2022-06-01", "2022-07-02")
    assert _build(_installed(), near_end).incidents[0].still_active is True
    assert _build(_installed(), near_end).next_steps[0].kind == "isolate-host"
    assert _build(_installed(), ONE_HOST).incidents[0].still_active is None
    quiet = [hit(f"ally-{n}", "H1", f"2022-07-01 1{n}:00", level="critical") for n in range(3)]
    assert _build(quiet, ONE_HOST).incidents[0].still_active is False


def test_a_service_that_is_still_down_is_open() -> None:
    traffic = Traffic(9).serve("portal", "H1", "2022-07-01 00:00", "2022-07-15 13:02")
    traffic.serve("mail", "H2", "2022-07-01 00:00", "2022-07-20 00:00")
    case = _build([], ONE_HOST, requests=traffic.table())
    assert [item.value for item in _open(case, "service-still-down")] == ["portal"]
    assert "restore-service" in {step.kind for step in case.next_steps}


def test_steps_are_few_and_in_order_of_priority() -> None:
    case = _build(first_wave() + second_wave() + background())
    assert len(case.next_steps) <= 20
    assert [step.priority for step in case.next_steps] == sorted(step.priority for step in case.next_steps)
    assert all(isinstance(text, str) and text for step in case.next_steps for text in step.parameters.values())


def test_the_timeline_is_in_order_and_holds_outages_and_dated_claims() -> None:
    class Result:
        claims = (
            Claim(id="c", act="accuses", speaker="A", target="B", about="x", quote="q", document="d", offset=0,
                  byte_offset=0, date_from=utc("2022-09-07")),
            Claim(id="u", act="denies", speaker="B", target="A", about="x", quote="q", document="d", offset=9, byte_offset=9),
        )  # fmt: skip
        contradictions = alleged = collect = open_offers = ()

    down = [("2022-07-15 13:02", "2022-07-18 09:00")]
    traffic = Traffic(1).serve("portal", "WEB01", "2022-07-01 00:00", "2022-07-22 00:00", down=down)
    case = _build(first_wave() + administration(), requests=traffic.table(), claims_result=Result())
    kinds = [entry.kind for entry in case.timeline]
    assert {"first-access", "impact", "outage", "outage-end", "account-reset", "incident-end", "claim"} <= set(kinds)
    assert kinds.count("claim") == 1
    assert [entry.time for entry in case.timeline] == sorted(entry.time for entry in case.timeline)


def test_knowledge_adds_what_an_indicator_means() -> None:
    objects = [
        {"type": "indicator", "id": "indicator--r", "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "impact"}]},
        {"type": "malware", "id": "malware--r", "malware_types": ["ransomware"]},
        {"type": "relationship", "relationship_type": "indicates", "source_ref": "indicator--r", "target_ref": "malware--r"},
    ]  # fmt: skip
    tags = indicator_tags(objects)
    assert tags == {"indicator--r": ("attack.impact", "attack.t1486")}
    attack = [hit("r", "H1", f"2022-07-01 1{n}:00", level="critical", ref="indicator--r") for n in range(2)]
    attack += [hit("s", "H1", "2022-07-01 12:00", level="critical")]
    (incident,) = _build(attack, ONE_HOST, tags=tags).incidents
    assert "encryption" in incident.effects


def test_the_same_content_gives_the_same_ids_and_other_content_others() -> None:
    one, same = _build(first_wave()), _build(list(reversed(first_wave())))
    other = _build(first_wave()[:-1])
    assert (one.id, one.incidents[0].id) == (same.id, same.incidents[0].id)
    assert one.id != other.id
