"""Sightings to incidents: long dwell, two waves, and noise that stays out."""

# ruff: noqa: E501  (one event a line)
from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.case import build_case
from aleat.case.records import Case, Incident
from aleat.hunt.indicator import Sighting
from tests.case.simulator import PUBLIC, cover, hit, noise, utc
from tests.case.waves import (
    COVERAGE,
    FIRST_HOSTS,
    HOSTS,
    SECOND_HOSTS,
    administration,
    background,
    first_wave,
    second_wave,
)


def _build(sightings: list[Sighting], coverage: object = COVERAGE) -> Case:
    return build_case(name="t", reference_time=utc("2022-10-01"), sightings=sightings, coverage=coverage)  # type: ignore[arg-type]


def _core(incidents: tuple[Incident, ...]) -> list[tuple[object, ...]]:
    return [(one.first, one.last, one.hosts, tuple(a.name for a in one.accounts), one.effects) for one in incidents]


def test_nothing_seen_is_an_empty_case() -> None:
    case = _build([])
    assert (case.incidents, case.campaigns, case.timeline) == ((), (), ())
    assert case.next_steps[0].kind == "hunt-again"


def test_two_waves_are_two_incidents_and_the_first_reaches_back_fourteen_months() -> None:
    case = _build(first_wave() + second_wave() + background() + administration())
    first, second = case.incidents
    assert first.first == utc("2021-05-12 03:05")
    assert set(first.hosts) == FIRST_HOSTS
    assert set(second.hosts) == SECOND_HOSTS
    assert second.boundary == "quiet-after-impact-other-victim"
    assert second.quiet_days is not None
    assert 54 < second.quiet_days < 56
    assert {"encryption", "wiping", "persistence", "credential-access", "lateral-movement"} <= set(first.effects)
    assert first.stages[0][0] == "persistence"
    assert [account.name for account in first.accounts] == ["svc_mx"]
    (campaign,) = case.campaigns
    assert campaign.incidents == (first.id, second.id)
    assert campaign.weight > campaign.threshold
    assert case.not_in_incident > 4000


def test_key_events_tell_the_first_access_and_the_impact() -> None:
    case = _build(first_wave() + background())
    (incident,) = case.incidents
    told = [case.sightings[position] for position in incident.key_events]
    assert told[0].time == min(one.time or 0 for one in first_wave())
    assert {"ally-ransom", "ally-dump"} <= {one.indicator for one in told}
    assert len(told) <= 12


@pytest.mark.parametrize("seed", range(4))
def test_background_alone_makes_no_incident(seed: int) -> None:
    assert _build(background(seed, 6000)).incidents == ()


@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_hosts_of_false_positives_make_no_incident(seed: int) -> None:
    hosts = tuple(f"PC{number:04d}" for number in range(1000))
    sightings = noise(seed, hosts, "2022-01-01", "2022-03-01", 10_000)
    assert _build(sightings, cover(hosts, "2022-01-01", "2022-03-01")).incidents == ()


def _campaigns(case: Case) -> list[list[int]]:
    """Which incidents each campaign has, by number (an id follows from an incident's sightings)."""
    numbers = {incident.id: incident.number for incident in case.incidents}
    return [[numbers[id_] for id_ in campaign.incidents] for campaign in case.campaigns]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1500))
def test_benign_noise_changes_no_incident(seed: int, count: int) -> None:
    """Whatever benign noise is added, incidents keep their hosts, accounts, times and effects."""
    attack = first_wave() + second_wave()
    quiet = _build(attack + background(1, 500))
    loud = _build(attack + background(1, 500) + noise(seed + 100, HOSTS, "2021-05-01", "2022-09-15", count))
    assert _core(quiet.incidents) == _core(loud.incidents)
    assert _campaigns(quiet) == _campaigns(loud)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_sightings_changes_nothing(seed: int) -> None:
    sightings = first_wave() + second_wave() + background(2, 400) + administration()
    shuffled = list(sightings)
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    assert _build(sightings) == _build(shuffled)


def test_copies_of_one_event_count_once() -> None:
    attack = first_wave()
    copies = [
        type(one)(
            **{**{name: getattr(one, name) for name in one.__struct_fields__}, "evidence": "copy/" + one.evidence}
        )
        for one in attack
    ]
    once, twice = _build(attack + background()), _build(attack + copies + background())
    assert once.incidents == twice.incidents
    assert len(once.sightings) == len(twice.sightings)


def test_hidden_sightings_are_left_out() -> None:
    hidden = [
        type(one)(**{**{name: getattr(one, name) for name in one.__struct_fields__}, "hidden_by": "filter-1"})
        for one in first_wave()
    ]
    assert _build(hidden).sightings == ()


def test_one_spelling_of_a_host_for_all_logs() -> None:
    attack = [hit("ally-a", "web01.gov.al", "2022-07-01 10:00", level="critical"),
              hit("ally-b", "WEB01", "2022-07-01 10:05", level="critical"),
              hit("ally-c", "Web01", "2022-07-01 10:06", level="critical")]  # fmt: skip
    (incident,) = _build(attack, cover(("WEB01",), "2022-06-01", "2022-07-05")).incidents
    assert incident.hosts == ("web01.gov.al",)


def test_public_rules_alone_found_an_incident_where_many_tactics_meet() -> None:
    """Without any ally's pack: one host, one night, six tactics at high and critical."""
    tactics = ("initial-access", "execution", "persistence", "credential-access", "lateral-movement", "impact")
    attack = [
        hit(f"rule-{tactic}", "WEB01", f"2022-07-15 0{number}:00", source=PUBLIC, tags=(f"attack.{tactic}",))
        for number, tactic in enumerate(tactics, start=1)
    ]
    (incident,) = _build(attack + background()).incidents
    assert incident.hosts == ("WEB01",)


def test_a_single_sample_of_one_attack_step_is_an_incident_of_its_own() -> None:
    """A lone file from one host and one hour: little evidence, so little is asked."""
    one_day = cover(("WS1",), "2022-07-15 10:00", "2022-07-15 11:00")
    attack = [hit("a", "WS1", "2022-07-15 10:10", source=PUBLIC, level="critical", tags=("attack.credential-access",)),
              hit("b", "WS1", "2022-07-15 10:11", source=PUBLIC, tags=("attack.execution",))]  # fmt: skip
    assert len(_build(attack, one_day).incidents) == 1


def test_two_unrelated_attackers_at_the_same_time_are_two_incidents() -> None:
    one = [
        hit(f"ally-{name}", "WEB01", f"2022-07-01 1{n}:00", level="critical", User="x") for n, name in enumerate("abc")
    ]
    two = [
        hit(f"ally-{name}", "FS01", f"2022-07-01 1{n}:30", level="critical", User="y") for n, name in enumerate("pqr")
    ]
    case = _build(one + two + background())
    assert [set(incident.hosts) for incident in case.incidents] == [{"WEB01"}, {"FS01"}]
    assert case.incidents[1].boundary == "nothing-rare-shared"
    assert case.campaigns == ()


def test_a_popular_tool_and_a_shared_benign_address_link_no_campaign() -> None:
    """Both attackers use the administrators' tool and the address that everybody uses."""
    popular = {"Hashes": "SHA256=" + "cc" * 32, "DestinationIp": "151.101.1.69"}
    one = [
        hit(f"ally-{n}", "WEB01", f"2022-06-01 1{i}:00", level="critical", User="x", **popular)
        for i, n in enumerate("abc")
    ]
    two = [
        hit(f"ally-{n}", "FS01", f"2022-08-20 1{i}:30", level="critical", User="y", **popular)
        for i, n in enumerate("pqr")
    ]
    everyday = [
        hit("remote-tool", host, f"2022-{month:02d}-11 09:00", source=PUBLIC, level="medium", **popular)
        for month in range(1, 9)
        for host in HOSTS
    ]
    assert len(_build(one + two + everyday + background()).incidents) == 2
    assert _build(one + two + everyday + background()).campaigns == ()


def test_shared_indicators_of_an_ally_link_a_campaign_with_their_weights() -> None:
    case = _build(first_wave() + second_wave() + background())
    (campaign,) = case.campaigns
    kinds = {link.kind for link in campaign.links}
    assert {"indicator", "infrastructure"} <= kinds
    assert sum(link.weight for link in campaign.links) == pytest.approx(campaign.weight, abs=0.1)
    assert all(link.refs for link in campaign.links)
    assert {link.label for link in campaign.links if link.kind == "indicator"} <= {
        "Title of ally-tunnel",
        "Title of ally-wiper",
        "Title of ally-dump",
    }


def test_much_noise_leaves_the_one_attack() -> None:
    """Ten thousand benign sightings around fifteen of an attack."""
    case = _build(first_wave() + noise(5, HOSTS, "2021-05-01", "2022-09-15", 10_000))
    assert len(case.incidents) == 1


def test_the_owners_clean_up_after_an_impact_bridges_no_waves() -> None:
    """Traces found again in the weeks after the first wave don't make the second wave a part of it."""
    found_again = [
        hit(
            name,
            "WEB01",
            f"2022-07-20 0{number}:00",
            level="critical",
            Hashes="SHA256=" + "b2" * 32,
            DestinationIp="185.12.45.7",
        )
        for number, name in enumerate(("ally-wiper", "ally-tunnel", "ally-dump"), start=1)
    ]
    case = _build(first_wave() + found_again + second_wave() + background())
    assert [set(one.hosts) for one in case.incidents] == [FIRST_HOSTS, SECOND_HOSTS]


def test_windows_own_programs_tie_no_host_to_an_incident() -> None:
    """The backup server runs the same vssadmin.exe as the intruder did, every month."""
    program = {"Image": "C:\\Windows\\System32\\vssadmin.exe", "Hashes": "SHA256=" + "dd" * 32}
    used = [
        hit("shadow", host, "2022-07-15 12:50", source=PUBLIC, tags=("attack.impact",), **program)
        for host in FIRST_HOSTS
    ]
    backup = [
        hit(
            "shadow",
            "FS-BACKUP",
            f"2022-{month:02d}-03 01:00",
            source=PUBLIC,
            tags=("attack.impact",),
            User="svc_backup",
            **program,
        )
        for month in range(1, 9)
    ]
    case = _build(first_wave() + used + backup + background())
    assert set(case.incidents[0].hosts) == FIRST_HOSTS


def test_one_command_that_trips_ten_rules_is_one_act() -> None:
    """An administrator's remote session: one ally's rule of medium level and nine public ones within seconds."""
    rules = [
        hit(f"rule-{number}", "WEB02", f"2022-02-08 10:05:{10 + number}", source=PUBLIC, level="high" if number % 2 else "medium",
            tags=(f"attack.{tactic}",), User="GOV\\admin")
        for number, tactic in enumerate(("execution", "discovery", "privilege-escalation", "persistence", "lateral-movement") * 2)
    ]  # fmt: skip
    session = [hit("ally-psexec", "WEB02", "2022-02-08 10:05:09", level="medium"), *rules[:9]]
    assert _build(session + background()).incidents == ()


@pytest.mark.parametrize(("answered", "incidents"), [(False, 0), (True, 1)])
def test_requests_that_the_server_refused_make_no_incident(answered: bool, incidents: int) -> None:
    """A scanner that an ally's indicators name asks and gets nothing: attention; once it is answered, an intrusion."""
    asked = [
        hit(
            f"scanner-{number}",
            "WEB01",
            f"2022-07-{day:02} 05:{10 * number:02}",
            format="iis",
            c_ip="192.0.2.200",
            sc_status=200 if answered else status,
        )
        for day in range(1, 4)
        for number, status in enumerate((404, 403, 401, 404))
    ]
    case = build_case(name="x", reference_time=utc("2022-10-01"), sightings=asked)
    assert len(case.incidents) == incidents
