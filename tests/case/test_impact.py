"""Outages: exact windows, and causes that evidence carries or that stay undetermined."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from aleat.case import build_case, empty_requests
from aleat.case.impact import ImpactResult, find_outages
from aleat.case.records import Case
from tests.case.simulator import Traffic, at, cover, hit, shutdown, signal, utc

HOSTS = ("WEB01", "WEB02", "DC01")
PERIOD = ("2022-07-01 00:00", "2022-07-22 00:00")
DOWN = ("2022-07-15 13:02:00", "2022-07-18 09:10:00")


def _case(traffic: Traffic, sightings: list = (), **more: object) -> Case:  # type: ignore[type-arg,assignment]
    return build_case(
        name="test",
        reference_time=utc("2022-10-01"),
        sightings=sightings,
        requests=traffic.table(),
        coverage=cover(HOSTS, "2021-05-01", "2022-07-25"),
        **more,  # type: ignore[arg-type]
    )


def _attack(host: str = "WEB01", time: str = "2022-07-15 12:58") -> list:  # type: ignore[type-arg]
    return [
        hit("ransom", host, time, level="critical", tags=("attack.impact", "attack.t1486"), User="GOV\\eve"),
        hit("wiper", host, time, level="critical", tags=("attack.impact", "attack.t1485"), User="GOV\\eve", event="w"),
        hit(
            "beacon", host, "2022-07-15 11:00", level="critical", tags=("attack.command-and-control",), User="GOV\\eve"
        ),
    ]


def _find(traffic: Traffic, **more: object) -> ImpactResult:
    return find_outages(traffic.table(), coverage=cover(HOSTS, "2021-05-01", "2022-07-25"), **more)  # type: ignore[arg-type]


def _bounds(traffic: Traffic, service: str, down: tuple[str, str]) -> tuple[int, int]:
    """The last served request before, and the first after, read off the table the slow way."""
    table = traffic.table()
    mine = pc.and_(pc.equal(table["service"].cast(pa.string()), service), pc.less(table["status"], 500))
    times = np.sort(np.asarray(table.filter(mine)["time"].cast(pa.int64())))
    middle = (at(down[0]) + at(down[1])) // 2
    return int(times[times < middle].max()), int(times[times > middle].min())


def test_no_requests_no_outage() -> None:
    assert find_outages(empty_requests()).outages == ()


@pytest.mark.parametrize("seed", range(3))
def test_quiet_three_weeks_at_two_requests_a_minute_have_no_outage(seed: int) -> None:
    """Nights, weekends and file rotation are no outages."""
    traffic = Traffic(seed).serve("portal", "WEB01", *PERIOD)
    assert _find(traffic).outages == ()


@pytest.mark.parametrize("rate", [0.02, 0.2, 12.0])
def test_rare_and_busy_services_have_no_false_outage(rate: float) -> None:
    traffic = Traffic(3).serve("portal", "WEB01", "2022-07-01 00:00", "2022-07-15 00:00", rate=rate)
    assert _find(traffic).outages == ()


def test_bursty_traffic_has_no_false_outage() -> None:
    """Twenty requests at once, every ten minutes, aren't two requests a minute."""
    traffic = Traffic(4).serve("portal", "WEB01", *PERIOD, burst=20)
    assert _find(traffic).outages == ()


def test_a_lasting_drop_of_the_rate_is_no_outage() -> None:
    traffic = Traffic(5).serve("portal", "WEB01", "2022-07-01 00:00", "2022-07-14 00:00")
    traffic.serve("portal", "WEB01", "2022-07-14 00:00", "2022-07-22 00:00", rate=0.15)
    assert _find(traffic).outages == ()


def test_outage_lies_exactly_between_the_last_request_before_and_the_first_after() -> None:
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[DOWN])
    (outage,) = _find(traffic).outages
    before, after = _bounds(traffic, "portal", DOWN)
    assert outage.last_served.timestamp() * 1e6 == before
    assert outage.first_served is not None
    assert outage.first_served.timestamp() * 1e6 == after
    assert outage.before is not None
    assert outage.after is not None
    assert outage.before.evidence.endswith("u_ex220715.log")
    assert outage.after.evidence.endswith("u_ex220718.log")
    assert outage.surprise > 1000
    assert (outage.cause, outage.reason) == ("undetermined", "no-evidence")


def test_a_short_outage_by_day_is_found_at_two_requests_a_minute() -> None:
    down = ("2022-07-12 10:00:00", "2022-07-12 10:25:00")
    (outage,) = _find(Traffic(2).serve("portal", "WEB01", *PERIOD, down=[down])).outages
    assert outage.last_served <= utc("2022-07-12 10:00:00")


def test_two_outages_near_each_other_stay_two() -> None:
    downs = [("2022-07-12 09:00", "2022-07-12 11:00"), ("2022-07-12 13:00", "2022-07-12 15:30")]
    assert len(_find(Traffic(2).serve("portal", "WEB01", *PERIOD, down=downs)).outages) == 2


def test_answers_that_all_fail_are_an_outage() -> None:
    (outage,) = _find(Traffic(6).serve("portal", "WEB01", *PERIOD, failing=[DOWN])).outages
    assert outage.failed_requests > 1000
    assert outage.last_served <= utc(DOWN[0])


def test_a_row_order_and_other_services_change_nothing() -> None:
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[DOWN])
    plain = _find(traffic)
    shuffled = find_outages(traffic.table(shuffle=3), coverage=cover(HOSTS, "2021-05-01", "2022-07-25"))
    assert plain == shuffled
    traffic.serve("mail", "WEB02", *PERIOD)
    assert [one for one in _find(traffic).outages if one.service == "portal"] == list(plain.outages)


def test_three_weeks_around_each_wave_leave_a_gap_in_the_evidence_not_an_outage() -> None:
    """Nobody gave logs of August: that is a gap, and said so."""
    traffic = Traffic(8)
    for service, host in (("portal", "WEB01"), ("mail", "WEB02")):
        traffic.serve(service, host, "2022-07-01 00:00", "2022-07-22 00:00")
        traffic.serve(service, host, "2022-08-29 00:00", "2022-09-19 00:00")
    found = _find(traffic)
    assert found.outages == ()
    assert {gap.service for gap in found.gaps} == {"portal", "mail"}


def test_a_file_that_is_missing_for_one_service_only_is_a_lost_log() -> None:
    traffic = Traffic(8).serve("portal", "WEB01", *PERIOD, missing_days=["2022-07-12"]).serve("mail", "WEB02", *PERIOD)
    (outage,) = _find(traffic).outages
    assert (outage.service, outage.cause, outage.reason) == ("portal", "log-lost", "file-missing")


def test_log_that_ends_while_others_go_on_is_still_down() -> None:
    traffic = (
        Traffic(9).serve("portal", "WEB01", "2022-07-01 00:00", "2022-07-15 13:02").serve("mail", "WEB02", *PERIOD)
    )
    (outage,) = _find(traffic).outages
    assert outage.service == "portal"
    assert outage.first_served is None
    assert outage.surprise > 40


def test_logs_that_all_end_together_are_no_outage() -> None:
    traffic = Traffic(9)
    for service, host in (("portal", "WEB01"), ("mail", "WEB02")):
        traffic.serve(service, host, "2022-07-01 00:00", "2022-07-15 13:02")
    assert _find(traffic).outages == ()


def test_log_that_ends_with_its_file_is_no_outage() -> None:
    traffic = (
        Traffic(9).serve("portal", "WEB01", "2022-07-01 00:00", "2022-07-10 00:00").serve("mail", "WEB02", *PERIOD)
    )
    assert _find(traffic).outages == ()


def test_destruction_on_the_serving_host_is_the_attackers() -> None:
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[DOWN])
    case = _case(traffic, _attack())
    (outage,) = case.outages
    assert (outage.cause, outage.reason, outage.host) == ("attacker", "destruction-on-host", "WEB01")
    assert outage.incident == case.incidents[0].id
    assert outage.because


def test_destruction_on_another_host_is_not_blamed_unless_it_is_needed() -> None:
    traffic = Traffic(1).serve("portal", "WEB02", *PERIOD, down=[DOWN])
    assert _case(traffic, _attack("WEB01")).outages[0].cause == "undetermined"
    needed = _case(traffic, _attack("WEB01"), depends={"WEB02": ["WEB01"]}).outages[0]
    assert (needed.cause, needed.reason) == ("attacker", "destruction-on-dependency")


def test_shutdown_by_an_administrator_in_a_known_incident_is_protective() -> None:
    down = ("2022-07-15 14:30:00", "2022-07-18 08:00:00")
    traffic = Traffic(1).serve("ministry", "WEB02", *PERIOD, down=[down])
    order = shutdown("WEB02", "2022-07-15 14:30:20", "GOV\\admin.kola", "0x80000000")
    (outage,) = _case(traffic, [*_attack("WEB01"), order]).outages
    assert (outage.cause, outage.reason, outage.by) == ("protective-shutdown", "shutdown-by-user", "admin.kola")


def test_shutdown_by_the_attackers_account_is_not_called_protective() -> None:
    down = ("2022-07-15 14:30:00", "2022-07-18 08:00:00")
    traffic = Traffic(1).serve("ministry", "WEB02", *PERIOD, down=[down])
    order = shutdown("WEB02", "2022-07-15 14:30:20", "GOV\\eve", "0x80000000")
    (outage,) = _case(traffic, [*_attack("WEB01"), order]).outages
    assert (outage.cause, outage.reason) == ("undetermined", "conflicting")


def test_shutdown_after_the_wiper_doesnt_take_the_blame_from_it() -> None:
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[DOWN])
    order = shutdown("WEB01", "2022-07-15 13:40:00", "GOV\\admin.kola", "0x80000000")
    assert _case(traffic, [*_attack(), order]).outages[0].cause == "attacker"


def test_planned_maintenance_is_maintenance() -> None:
    down = ("2022-07-06 18:00:00", "2022-07-06 19:30:00")
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[down])
    order = shutdown("WEB01", "2022-07-06 18:00:30", "GOV\\admin.kola", "0x80020010")
    (outage,) = _case(traffic, [order]).outages
    assert (outage.cause, outage.reason) == ("maintenance", "planned-reason")


def test_updates_and_an_orderly_shutdown_are_maintenance() -> None:
    down = ("2022-07-06 18:00:00", "2022-07-06 19:30:00")
    traffic = Traffic(1).serve("portal", "WEB01", *PERIOD, down=[down])
    facts = [
        signal("update-installed", "WEB01", "2022-07-06 17:40:00", event_id="19"),
        signal("shutdown-clean", "WEB01", "2022-07-06 18:00:20", event_id="6006"),
    ]
    (outage,) = _case(traffic, facts).outages
    assert (outage.cause, outage.reason) == ("maintenance", "updates")


def test_outages_at_the_same_hour_of_the_week_recur() -> None:
    downs = [("2022-07-05 18:00", "2022-07-05 18:40"), ("2022-07-12 18:00", "2022-07-12 18:40")]
    found = _find(Traffic(1).serve("portal", "WEB01", *PERIOD, down=downs)).outages
    assert [(one.cause, one.reason) for one in found] == [("maintenance", "recurring")] * 2


def test_deleted_web_log_is_a_lost_log() -> None:
    down = ("2022-07-12 10:00", "2022-07-12 14:00")
    traffic = Traffic(1).serve("mail", "WEB02", *PERIOD, down=[down])
    fact = signal("web-log-deleted", "WEB02", "2022-07-12 14:00:30", TargetFilename="C:\\inetpub\\logs\\x.log")
    (outage,) = _case(traffic, [fact]).outages
    assert (outage.cause, outage.reason) == ("log-lost", "log-deleted")


def test_cleared_log_on_a_host_that_goes_on_is_a_lost_log_and_otherwise_undetermined() -> None:
    down = ("2022-07-12 10:00", "2022-07-12 14:00")
    traffic = Traffic(1).serve("mail", "WEB02", *PERIOD, down=[down])
    cleared = signal("log-cleared", "WEB02", "2022-07-12 14:01", event_id="104")
    alive = signal("password-reset", "WEB02", "2022-07-12 12:00")
    assert _case(traffic, [cleared]).outages[0].reason == "log-cleared"
    lost = _case(traffic, [cleared, alive]).outages[0]
    assert (lost.cause, lost.reason) == ("log-lost", "log-cleared-host-alive")


def test_power_failure_without_more_is_undetermined() -> None:
    down = ("2022-07-12 10:00", "2022-07-12 14:00")
    traffic = Traffic(1).serve("mail", "WEB02", *PERIOD, down=[down])
    fact = signal("shutdown-unexpected", "WEB02", "2022-07-12 13:58", event_id="6008")
    (outage,) = _case(traffic, [fact]).outages
    assert (outage.cause, outage.reason) == ("undetermined", "unexpected-shutdown")


def test_service_is_found_on_its_host_by_the_folder_of_its_log() -> None:
    traffic = Traffic(1).serve("e-sherbime", "10.1.2.3", *PERIOD, down=[DOWN], folder="evidence/web01")
    (outage,) = _case(traffic, _attack()).outages
    assert (outage.host, outage.cause) == ("WEB01", "attacker")


def test_logs_cut_at_a_local_midnight_leave_a_gap_too() -> None:
    """Files turn at midnight UTC; what was handed over was cut at 22:00 UTC."""
    traffic = Traffic(8)
    for service, host in (("portal", "WEB01"), ("mail", "WEB02")):
        traffic.serve(service, host, "2022-07-01 22:00", "2022-07-21 22:00")
        traffic.serve(service, host, "2022-08-28 22:00", "2022-09-18 22:00")
    found = _find(traffic)
    assert found.outages == ()
    assert len(found.gaps) == 2


def test_a_gap_longer_than_the_logs_doesnt_hide_an_outage() -> None:
    """More days without a log than with one: the usual rate is that of the days with one."""
    traffic = Traffic(8)
    traffic.serve(
        "portal", "WEB01", "2022-07-01 00:00", "2022-07-12 00:00", down=[("2022-07-06 10:00", "2022-07-06 15:00")]
    )
    traffic.serve("portal", "WEB01", "2022-09-01 00:00", "2022-09-12 00:00")
    found = _find(traffic)
    assert len(found.outages) == 1
    assert len(found.gaps) == 1


def test_full_disk_is_a_lost_log() -> None:
    down = ("2022-07-12 10:00", "2022-07-12 14:00")
    traffic = Traffic(1).serve("mail", "WEB02", *PERIOD, down=[down])
    (outage,) = _case(traffic, [signal("disk-full", "WEB02", "2022-07-12 09:57", event_id="2013")]).outages
    assert (outage.cause, outage.reason) == ("log-lost", "disk-full")


def test_outages_with_few_days_of_history_are_told_from_hours_of_the_day() -> None:
    down = [("2022-07-05 10:00", "2022-07-05 13:00")]
    found = _find(Traffic(3).serve("portal", "WEB01", "2022-07-04 00:00", "2022-07-07 00:00", down=down)).outages
    assert len(found) == 1
