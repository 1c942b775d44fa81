"""STIX timestamps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import ObjectError
from aleat.stix import format_timestamp, is_timestamp, parse_timestamp

TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES)
def test_a_time_comes_back_from_its_text(time: datetime) -> None:
    """To the microsecond."""
    text = format_timestamp(time)
    assert is_timestamp(text)
    assert parse_timestamp(text) == time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-01-20T12:31:12.12345Z", datetime(2016, 1, 20, 12, 31, 12, 123450, UTC)),
        ("2016-01-20T12:31:12Z", datetime(2016, 1, 20, 12, 31, 12, tzinfo=UTC)),
        ("2016-01-20T12:31:12.123456789Z", datetime(2016, 1, 20, 12, 31, 12, 123456, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_all_precisions_are_read(text: str, expected: datetime) -> None:
    """Digits below the microsecond are cut off, a leap second is the next one's first."""
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2016-01-20",
        "2016-01-20T12:31:12",
        "2016-01-20T12:31:12+01:00",
        "2016-02-30T12:31:12Z",
        "2016-01-20T24:00:00Z",
        "2016-01-20T12:31:61Z",
        "2016-01-20T12:31:12.Z",
        "2016-01-20 12:31:12Z",
        "0000-01-20T12:31:12Z",
        "٢٠١٦-01-20T12:31:12Z",
        "2016-01-20T12:31:12Z\n",
        "9999-12-31T23:59:60Z",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    """Without echoing it."""
    assert not is_timestamp(text)
    with pytest.raises(ObjectError, match="STIX timestamp"):
        parse_timestamp(text)
