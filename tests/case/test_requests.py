"""Requests from web-log batches: services named, hosts kept, statuses read, other formats passed over."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.case.requests import (
    REQUEST_COLUMNS,
    REQUESTS_SCHEMA,
    credible_requests,
    empty_requests,
    requests_table,
    service_from_path,
)
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
        whole, table=whole.table.select([n for n in whole.table.column_names if "|" not in n or n in REQUEST_COLUMNS])
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
