"""Requests from web-log batches: services named, hosts kept, statuses read, other formats passed over."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.case.impact import find_outages
from aleat.case.requests import (
    REQUESTS_SCHEMA,
    credible_requests,
    empty_requests,
    request_columns,
    requests_table,
    service_from_path,
)
from aleat.evidence.reader import ReadOptions
from tests.formats.sample import all_samples, read_data, read_sample
from tests.hunt.events import batch


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("logs/portal/u_ex220715.log", "portal"),
        ("C:\\logs\\W3SVC1\\mail_access.log", "mail"),
        ("app/pol-app01/localhost_access_log.2022-08-30.txt", "pol-app01"),
        ("nginx/www/access.log.2.gz", "www"),
        ("a.zip!inetpub/logs/LogFiles/W3SVC2/u_ex22071513_x.log", "a.zip"),
        ("access.log", "access"),
    ],
)
def test_service_without_a_name_in_the_log_is_named_after_its_place(path: str, service: str) -> None:
    assert service_from_path(path) == service


@given(st.text(max_size=80))
def test_any_path_gives_a_name(path: str) -> None:
    assert service_from_path(path)


def test_iis_services_by_host_header_then_site_name_then_folder() -> None:
    events = [
        {"cs-host": "Portal.example:443", "s-sitename": "W3SVC1", "sc-status": 200},
        {"cs-host": "-", "s-sitename": "Mail", "sc-status": 503},
        {"sc-status": 404},
    ]
    table = requests_table(
        [batch(events, format="iis", channel="", evidence="x/site/u_ex1.log", host="WEB1", record_base=7)]
    )
    assert table.schema == REQUESTS_SCHEMA
    rows = table.to_pylist()
    assert [row["service"] for row in rows] == ["portal.example", "mail", "site"]
    assert [row["status"] for row in rows] == [200, 503, 404]
    assert [row["record"] for row in rows] == [7, 8, 9]
    assert {row["host"] for row in rows} == {"WEB1"}


def test_access_logs_by_virtual_host_and_a_status_that_is_none_is_null() -> None:
    events = [{"vhost": "www.example", "status": 200}, {"vhost": "www.example", "status": "-"}]
    rows = requests_table([batch(events, format="access", channel="", evidence="www/access.log")]).to_pylist()
    assert [row["status"] for row in rows] == [200, None]
    assert {row["service"] for row in rows} == {"www.example"}


def test_no_field_columns_are_needed_but_those_that_are_named() -> None:
    """What a lake reads of a segment can be narrowed to them."""
    events = [{"cs-host": "a.example", "sc-status": 200, "s-ip": "192.0.2.1", "cs-uri-stem": "/", "time-taken": 5}] * 3
    whole = batch(events, format="iis", channel="", evidence="x/u_ex1.log", host="")
    narrow = dataclasses.replace(
        whole, table=whole.table.select([n for n in whole.table.column_names if "|" not in n or n in request_columns()])
    )
    assert narrow.table.num_columns < whole.table.num_columns
    assert requests_table([narrow]).equals(requests_table([whole]))


def test_other_formats_and_empty_input_give_no_rows() -> None:
    assert requests_table([]).num_rows == 0
    assert requests_table([batch([{"a": 1}])]).num_rows == 0
    assert empty_requests().schema == REQUESTS_SCHEMA


def test_batches_of_several_services_are_one_table() -> None:
    batches = [
        batch([{"cs-host": f"s{number}", "sc-status": 200}], format="iis", channel="", evidence=f"{number}.log",
              times=[datetime(2022, 7, number + 1, tzinfo=UTC)])
        for number in range(5)
    ]  # fmt: skip
    table = requests_table(batches)
    assert sorted(row["service"] for row in table.to_pylist()) == ["s0", "s1", "s2", "s3", "s4"]


def test_requests_at_times_that_cannot_be_are_left_out() -> None:
    """Of the year 1, of 9999: one such line would make the span of a service's rate ten thousand years."""
    times = [datetime(1, 1, 3, tzinfo=UTC), datetime(2022, 7, 15, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=UTC)]
    table = requests_table([batch([{"sc-status": 200}] * 3, format="iis", channel="", times=times)])
    (row,) = credible_requests(table, datetime(2022, 9, 1, tzinfo=UTC)).to_pylist()
    assert row["time"] == times[1]
    assert credible_requests(empty_requests(), times[1]).num_rows == 0


@pytest.mark.parametrize(
    ("sample", "services", "statuses"),
    [
        ("web_json--nginx.log", ["www.ministria.example", "www.ministria.example"], [200, 500]),
        ("caddy--access.json", ["www.ministria.example"], [200]),
        ("elb--application.log", ["www.ministria.example"] * 2, [200, 503]),
        ("squid--native.log", ["shkarko.example", "squid--native", "squid--native"], [200, 200, 400]),
        ("exchange_httpproxy--ecp-and-powershell.log", ["mail.ministria.example"] * 2, [241, 200]),
    ],
)
def test_requests_of_every_web_log_have_a_service_and_a_status(
    sample: str, services: list[str], statuses: list[int]
) -> None:
    """By the format's ``[requests]``: a field, or a part of one."""
    read = read_sample(next(item for item in all_samples() if item.name == sample))
    rows = requests_table(read.batches).sort_by("record").to_pylist()
    assert [row["service"] for row in rows] == services
    assert [row["status"] for row in rows] == statuses


def test_an_outage_is_found_in_a_json_access_log() -> None:
    """A fortnight of two requests a minute; on its last day every one fails for three hours."""
    start, down = datetime(2022, 7, 1, tzinfo=UTC), datetime(2022, 7, 14, 9, tzinfo=UTC)
    lines = []
    for half_minute in range(14 * 2880):
        time = start + timedelta(seconds=30 * half_minute)
        status = 503 if down <= time < down + timedelta(hours=3) else 200
        line = (
            f'{{"time_iso8601":"{time.isoformat()}","remote_addr":"198.51.100.7","request_uri":"/","status":{status},'
        )
        lines.append(line + '"host":"portal.example","server_addr":"10.0.0.1"}\n')
    read = read_data("".join(lines).encode(), "access.json", ReadOptions(), Path("access.json"))
    table = requests_table(read.batches)
    assert table.num_rows == len(lines)
    (outage,) = find_outages(table).outages
    assert outage.service == "portal.example"
    assert down - outage.last_served < timedelta(minutes=2)
