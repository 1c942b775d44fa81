"""Zones by the pinned rules: historical offsets, folds, gaps, and names that are none."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import InputError
from aleat.evidence.zones import localise, tzdata_version, zone_named


def micros(*texts: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(texts, "datetime64[us]").astype(np.int64)


def at(text: str, zone: str) -> str:
    return str(localise(micros(text), zone).utc.view("datetime64[us]")[0])[:19]


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        ("2022-07-15T08:00:00", "Europe/Tirane", "2022-07-15T06:00:00"),
        ("2022-01-15T08:00:00", "Europe/Tirane", "2022-01-15T07:00:00"),
        ("1900-01-01T00:00:00", "Europe/Tirane", "1899-12-31T22:40:40"),  # mean solar time
        ("1975-07-15T08:00:00", "Europe/Tirane", "1975-07-15T06:00:00"),  # summer time of its own
        ("2016-11-15T08:00:00", "Europe/Istanbul", "2016-11-15T05:00:00"),  # clocks weren't put back any more
        ("2011-12-31T00:00:00", "Pacific/Apia", "2011-12-30T10:00:00"),  # a day that was left out
        ("0001-01-01T00:00:00", "Europe/Tirane", "0000-12-31T22:40:40"),
        ("9999-12-31T23:59:59", "Europe/Tirane", "9999-12-31T22:59:59"),
        ("2022-07-15T08:00:00", "-05:30", "2022-07-15T13:30:00"),
        ("2022-07-15T08:00:00", "UTC", "2022-07-15T08:00:00"),
    ],
)
def test_historical_rules_hold(local: str, zone: str, utc: str) -> None:
    assert at(local, zone) == utc


def test_a_time_that_occurs_twice_is_the_first_one() -> None:
    found = localise(micros("2022-10-30T02:00:00", "2022-10-30T02:59:59", "2022-10-30T03:00:00"), "Europe/Tirane")
    assert (found.ambiguous, found.nonexistent) == (2, 0)
    assert str(found.utc.view("datetime64[us]")[1])[:19] == "2022-10-30T00:59:59"


def test_a_time_that_never_occurs_is_read_by_the_clock_before() -> None:
    found = localise(micros("2022-03-27T01:59:59", "2022-03-27T02:00:00", "2022-03-27T03:00:00"), "Europe/Tirane")
    assert (found.ambiguous, found.nonexistent) == (0, 1)
    assert str(found.utc.view("datetime64[us]")[1])[:19] == "2022-03-27T01:00:00"


@settings(max_examples=150, deadline=None)
@given(
    moments=st.lists(st.datetimes(datetime(1890, 1, 1), datetime(2300, 1, 1)), min_size=1, max_size=20),
    zone=st.sampled_from(
        ["Europe/Tirane", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "Antarctica/Troll"]
    ),
)
def test_it_agrees_with_zoneinfo(moments: list[datetime], zone: str) -> None:
    rules = zone_named(zone)
    assert isinstance(rules, ZoneInfo)
    local = np.array([(moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) for moment in moments])
    offsets = [moment.replace(tzinfo=rules).utcoffset() or timedelta() for moment in moments]
    wanted = local - np.array([offset // timedelta(microseconds=1) for offset in offsets])
    assert (localise(local, zone).utc == wanted).all()


@pytest.mark.parametrize(
    "name", ["", "Nowhere/X", "../../etc/passwd", "Europe", "Europe/", "+25:00", "+02:60", "x" * 200]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="IANA name, as Europe/Tirane"):
        zone_named(name)


def test_the_rules_have_an_edition() -> None:
    assert tzdata_version()[:2] == "20"
