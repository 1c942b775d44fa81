"""Times in microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from aleat.times import DAY, from_micros, micros_of

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
