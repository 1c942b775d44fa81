"""Times in microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from aleat.times import DAY, calendar_time, from_micros, micros_of

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES))
def test_a_time_comes_back_from_its_microseconds(time: datetime) -> None:
    """From any zone and any year, to the microsecond, in UTC."""
    back = from_micros(micros_of(time))
    assert back == time
    assert back.tzinfo is UTC


def test_the_count_begins_with_1970() -> None:
    """And goes below zero before it."""
    assert micros_of(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert micros_of(datetime(1969, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)) == -DAY - 1


@given(st.integers(-(1 << 63), (1 << 63) - 1), ZONES)
def test_any_number_can_be_shown_as_a_time(micros: int, zone: timezone) -> None:
    """In any zone; outside the calendar it is the calendar's end."""
    time = calendar_time(micros)
    assert time.astimezone(zone) == time
    assert micros_of(time) == micros or time.year in (1, 9999)


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES))
def test_a_time_of_the_calendar_is_itself(time: datetime) -> None:
    """Whatever its zone."""
    assert calendar_time(micros_of(time)) == time
