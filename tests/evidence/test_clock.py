"""Time texts to UTC, by column: every format, every zone, in any pieces; hostile ones too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import process_time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.evidence import ByteRange, ReadOptions
from aleat.evidence.clock import TimeSpec, is_local, read_times, refusal, time_issues
from aleat.evidence.times import parse_time
from aleat.evidence.zones import zone_named

DEFAULT = ReadOptions()
TIRANE = ReadOptions(zone="Europe/Tirane")
SYSLOG = TimeSpec(("%b %e %H:%M:%S",))
APACHE = TimeSpec(("%d/%b/%Y:%H:%M:%S %z",))
ISO = TimeSpec(("iso",))


def read(text: str | None, spec: TimeSpec, options: ReadOptions = DEFAULT, year: int | None = None) -> str:
    """The time of one text, as numpy writes it."""
    return str(read_times(pl.Series([text], dtype=pl.String), spec, options, year=year).times[0])


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2022-07-15T08:00:00Z", "2022-07-15T08:00:00.000000"),
        ("2022-07-15 08:00:00.123456789+02:00", "2022-07-15T06:00:00.123456"),
        ("2022-07-15 08:00:00,5 +0200", "2022-07-15T06:00:00.500000"),
        ("2022-07-15T08:00:00 CEST", "2022-07-15T06:00:00.000000"),
        ("2022-07-15 08:00:00", "2022-07-15T08:00:00.000000"),
        ("2022-07-15T08:00", "2022-07-15T08:00:00.000000"),
        ("20220715T080000Z", "2022-07-15T08:00:00.000000"),
        ("2022-07-15", "2022-07-15T00:00:00.000000"),
        ("/Date(1657900000123)/", "2022-07-15T15:46:40.123000"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000"),
        ("1601-01-01T00:00:00Z", "1601-01-01T00:00:00.000000"),
        ("2106-02-07T06:28:16Z", "2106-02-07T06:28:16.000000"),
        ("2022-07-15T08:00:00.1.2Z", "NaT"),
        ("2022-07-15T08:00:00Zx", "NaT"),
        ("-", "NaT"),
        ("", "NaT"),
        ("\0", "NaT"),
        (None, "NaT"),
    ],
)
def test_iso_and_its_relatives(text: str | None, time: str) -> None:
    assert read(text, ISO) == time
    mixed = pl.Series(["2020-01-01T00:00:00.5Z", text, "2020-01-01 00:00:00"], dtype=pl.String)
    assert str(read_times(mixed, ISO, DEFAULT).times[1]) == time, "beside texts written otherwise"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1657900000", "2022-07-15T15:46:40.000000"),
        ("1657900000.123456789", "2022-07-15T15:46:40.123456"),
        ("1657900000123", "2022-07-15T15:46:40.123000"),
        ("1657900000123456", "2022-07-15T15:46:40.123456"),
        ("1657900000123456789", "2022-07-15T15:46:40.123456"),
        ("1.6579e9", "2022-07-15T15:46:40.000000"),
        ("1657900000.", "2022-07-15T15:46:40.000000"),
        ("0", "NaT"),
        ("-5", "NaT"),
        ("99999999999999999999", "NaT"),
        ("nan", "NaT"),
    ],
)
def test_numbers_since_1970_are_told_by_their_size(text: str, time: str) -> None:
    assert read(text, TimeSpec(("epoch",))) == time


@pytest.mark.parametrize(
    ("text", "pattern", "time"),
    [
        ("15/Jul/2022:08:00:00 +0200", "%d/%b/%Y:%H:%M:%S %z", "2022-07-15T06:00:00.000000"),
        ("7/15/2022 11:00:00 PM", "%m/%d/%Y %I:%M:%S %p", "2022-07-15T23:00:00.000000"),
        ("7/15/2022 11:00:00 PM EDT", "%m/%d/%Y %I:%M:%S %p %Z", "2022-07-16T03:00:00.000000"),
        ("7/15/2022 11:00:00 PM", "%m/%d/%Y %I:%M:%S %p %Z", "2022-07-15T23:00:00.000000"),
        ("Fri Jul 15 08:00:00 2022", "%a %b %e %H:%M:%S %Y", "2022-07-15T08:00:00.000000"),
        ("15.07.2022 08:00:00,25", "%d.%m.%Y %H:%M:%S,%f", "2022-07-15T08:00:00.250000"),
        ("15.07.2022 08:00:00.25", "%d.%m.%Y %H:%M:%S.%f", "2022-07-15T08:00:00.250000"),
        ("133023168000000000", "filetime", "2022-07-15T00:00:00.000000"),
    ],
)
def test_patterns(text: str, pattern: str, time: str) -> None:
    assert read(text, TimeSpec((pattern,))) == time


def test_formats_are_tried_in_order() -> None:
    spec = TimeSpec(("%d/%b/%Y:%H:%M:%S %z", "iso", "epoch"))
    texts = pl.Series(["1657900000", "15/Jul/2022:08:00:00 +0200", "no", "2022-07-15T08:00:00Z"])
    found = read_times(texts, spec, DEFAULT)
    assert np.isnat(found.times).tolist() == [False, False, True, False]
    assert found.assumed == 0


def test_an_offset_in_the_text_counts_before_all_that_is_stated() -> None:
    assert read("2022-07-15T08:00:00+05:00", ISO, TIRANE) == "2022-07-15T03:00:00.000000"


def test_the_formats_own_zone_counts_before_the_stated_one() -> None:
    assert read("2022-07-15T08:00:00", TimeSpec(("iso",), "UTC"), TIRANE) == "2022-07-15T08:00:00.000000"
    assert not is_local(TimeSpec(("iso",), "UTC"))
    assert is_local(ISO)
    assert not is_local(APACHE)


def test_folds_and_gaps_are_counted() -> None:
    texts = ["2022-03-27 01:59:59", "2022-03-27 02:30:00", "2022-10-30 02:30:00", "2022-10-30 03:00:00"]
    found = read_times(pl.Series(texts), ISO, TIRANE)
    assert (found.ambiguous, found.nonexistent, found.assumed, found.stated) == (1, 1, 0, (("Europe/Tirane", 4),))
    assert [str(time)[11:16] for time in found.times] == ["00:59", "01:30", "00:30", "02:00"]
    codes = {i.code for i in time_issues("x.log", ByteRange(0, 0, 9, {}), TIRANE, {"syslog": [found]})}
    assert codes == {"zone-stated", "zone-fold", "zone-gap"}


def test_zones_are_stated_by_host() -> None:
    options = ReadOptions(zone="+01:00", zones=(("DC*", "+05:00"), ("*", "+02:00")), assume_zone="Europe/Tirane")
    hosts = pl.Series(["dc1", "web", None])
    found = read_times(pl.Series(["2022-07-15 08:00:00"] * 3), ISO, options, hosts=hosts)
    assert [str(time)[11:16] for time in found.times] == ["03:00", "06:00", "07:00"]
    assert found.assumed == 0


def test_what_is_assumed_is_said_and_refused_on_demand() -> None:
    options = ReadOptions(assume_zone="Europe/Tirane", strict_time=True)
    found = read_times(pl.Series(["2022-07-15 08:00:00"]), ISO, options)
    issues = list(time_issues("x.log", ByteRange(0, 0, 9, {}), options, {"syslog": [found]}))
    assert [issue.code for issue in issues] == ["zone-assumed"]
    assert "Europe/Tirane" in issues[0].reason
    assert "--log-zone" in issues[0].advice
    error = refusal(issues, "x.log", options)
    assert error is not None
    assert "--log-zone" in str(error)
    assert refusal(issues, "x.log", DEFAULT) is None


def test_years_go_on_where_a_log_steps_back() -> None:
    texts = pl.Series(["Dec 30 23:00:00", "Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  2 00:00:00", "Nov  3 00:00:00"])
    found = read_times(texts, SYSLOG, DEFAULT, year=2021)
    assert [str(time)[:10] for time in found.times] == [
        "2021-12-30",
        "2022-01-01",
        "2021-12-31",
        "2022-01-02",
        "2022-11-03",
    ]
    assert read("Feb 29 00:00:00", SYSLOG, year=2024) == "2024-02-29T00:00:00.000000"
    assert read_times(pl.Series(["Feb 29 00:00:00"]), SYSLOG, DEFAULT, year=2023).yearless == 1
    assert read_times(pl.Series(["Feb 28 00:00:00"]), SYSLOG, DEFAULT).yearless == 1


ZONES = [
    "UTC",
    "Europe/Tirane",
    "Europe/Belgrade",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "+05:30",
]
MOMENTS = st.datetimes(datetime(1915, 1, 1), datetime(2199, 1, 1))
PATTERNS = [
    "%Y-%m-%dT%H:%M:%S.%f",
    "%d/%b/%Y:%H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y %H:%M:%S",
    "%Y %b %d %H:%M:%S",
]


@settings(max_examples=150, deadline=None)
@given(moment=MOMENTS, zone=st.sampled_from(ZONES), pattern=st.sampled_from(PATTERNS))
def test_what_a_clock_showed_is_read_back(moment: datetime, zone: str, pattern: str) -> None:
    """Round trip over zones and formats, with the rules as Python's zoneinfo has them."""
    text = moment.strftime(pattern)
    shown = datetime.strptime(text, pattern).replace(tzinfo=zone_named(zone))
    wanted = (shown.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    found = read_times(pl.Series([text]), TimeSpec((pattern,)), ReadOptions(zone=zone))
    assert found.times.astype(np.int64)[0] == wanted


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.sampled_from(["2022-03-27 02:30:00", "2022-07-15T08:00:00Z", "-", "1657900000", "", "Ä",
    "2022-07-15 08:00:00.25", "2022-07-15T08:00:00+02:00", "9" * 30, "2022-10-30 02:10:00,1"]) | st.text(max_size=30),
    max_size=30), cut=st.integers(0, 30))  # fmt: skip
def test_any_pieces_give_the_same_times(texts: list[str], cut: int) -> None:
    """However a column is cut, and whatever stands beside a text, it is the same time."""
    spec = TimeSpec(("iso", "epoch", "%d/%b/%Y:%H:%M:%S %z"))

    def times(part: list[str]) -> list[str]:
        return list(map(str, read_times(pl.Series(part, dtype=pl.String), spec, TIRANE).times))

    assert times(texts) == times(texts[:cut]) + times(texts[cut:])
    assert times(texts) == [time for text in texts for time in times([text])]


@settings(max_examples=100, deadline=None)
@given(moment=MOMENTS, offset=st.integers(-18 * 60, 18 * 60), digits=st.integers(0, 9))
def test_it_agrees_with_the_slow_way(moment: datetime, offset: int, digits: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    fraction = f".{moment.microsecond:06}000"[: digits + 1] if digits else ""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert read_times(pl.Series([text]), ISO, DEFAULT).times.astype(np.int64)[0] == parse_time(text)


@pytest.mark.parametrize("spec", [ISO, TimeSpec(("epoch",)), SYSLOG, APACHE, TimeSpec(("%m/%d/%Y %I:%M:%S %p %Z",))])
def test_hostile_texts_cost_little_and_are_no_times(spec: TimeSpec) -> None:
    """Numbers of a million digits, a million blanks, nothing but signs."""
    texts = ["9" * 1_000_000, " " * 1_000_000, "." * 100_000, "+" * 100_000, "Jan " * 100_000, "\0" * 100_000, "1e400"]
    started = process_time()
    assert np.isnat(read_times(pl.Series(texts), spec, TIRANE, year=2022).times).all()
    assert process_time() - started < 5


def test_a_lenient_text_is_the_same_time_beside_others() -> None:
    """Found by fuzzing: what the fast way takes for one column's first text, it takes wherever it stands."""
    texts = ["2009-01-28 09:41:45", "2009-1-28T09:41:45Z"]
    assert [str(time) for time in read_times(pl.Series(texts), ISO, DEFAULT).times] == [
        read(text, ISO) for text in texts
    ]
