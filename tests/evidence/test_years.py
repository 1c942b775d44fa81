"""The year of logs that write none: from their order, their last change and leap days, for any cut."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.evidence import ReadOptions, Source, open_sources, read_batches, source_ranges
from aleat.evidence.years import scan_years, solve_years, years_at

FORMATS = ("%b %e %H:%M:%S",)
WRITTEN = datetime(2022, 7, 16, 12, tzinfo=UTC)


def syslog(*moments: datetime) -> bytes:
    lines = (f"{moment:%b} {moment.day:>2} {moment:%H:%M:%S} gw sshd[7]: session {moment:%Y}\n" for moment in moments)
    return "".join(lines).encode()


def days(first: datetime, count: int, step: int = 1) -> list[datetime]:
    return [first + timedelta(days=step * number) for number in range(count)]


def solved(data: bytes, modified: datetime | None = WRITTEN, stated: int | None = None) -> list[int] | None:
    years = solve_years(scan_years(BytesIO(data), FORMATS, "utf-8"), "x", modified, stated)
    return None if years is None else [year for _, year in years.starts]


def test_the_last_date_is_not_after_the_last_change() -> None:
    assert solved(syslog(datetime(2022, 7, 15))) == [2022]
    assert solved(syslog(datetime(2022, 7, 17))) == [2022], "a day's grace for zones"
    assert solved(syslog(datetime(2021, 7, 18))) == [2021]


def test_every_step_back_is_a_new_year() -> None:
    assert solved(syslog(*days(datetime(2019, 11, 1), 900))) == [2019, 2020, 2021, 2022]


def test_a_late_line_is_no_new_year() -> None:
    late = [datetime(2021, 12, 31), datetime(2022, 1, 1), datetime(2021, 12, 31, 23), datetime(2022, 1, 2)]
    assert solved(syslog(*late)) == [2021, 2022, 2021, 2022]
    assert solved(syslog(datetime(2022, 7, 15), datetime(2022, 7, 10), datetime(2022, 7, 15))) == [2022]


def test_a_leap_day_moves_the_years() -> None:
    assert solved(syslog(datetime(2020, 2, 28), datetime(2020, 2, 29))) == [2020]
    assert solved(syslog(datetime(2019, 12, 31), datetime(2020, 2, 29))) == [2019, 2020]


def test_a_stated_year_is_the_first_lines() -> None:
    data = syslog(datetime(2021, 12, 31), datetime(2022, 1, 1))
    assert solved(data, stated=2018) == [2018, 2019]
    assert solved(data, modified=None) is None
    note = solve_years(scan_years(BytesIO(data), FORMATS, "utf-8"), "x", WRITTEN, None)
    assert note is not None
    assert "2021 to 2022" in note.note.reason
    assert "--log-year 2021" in note.note.advice


def test_a_log_that_jumps_all_the_time_is_of_one_year() -> None:
    moments = [datetime(2022, 1 + 6 * (number % 2), 2) for number in range(4000)]
    assert solved(syslog(*moments)) == [2022]


def test_other_forms_and_encodings_are_scanned() -> None:
    netlogon = b"12/31 23:59:59 [LOGON] x\n01/01 00:00:01 [LOGON] y\n"
    years = solve_years(scan_years(BytesIO(netlogon), ("%m/%d %H:%M:%S",), "utf-8"), "x", WRITTEN, None)
    assert years is not None
    assert years.starts == ((0, 2021), (25, 2022))
    wide = syslog(datetime(2021, 12, 31), datetime(2022, 1, 1)).decode().encode("utf-16-le")
    assert scan_years(BytesIO(wide), FORMATS, "utf-16-le").changes == [(len(wide) // 2, 1)]


def test_nothing_is_found_where_nothing_is() -> None:
    assert solved(b"") is None
    assert solved(b"\0\xff" * 10_000 + b"Jan 77 00:00:00\nFoo  1 00:00:00\n") is None


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_no_bytes_make_the_scan_fail(data: bytes) -> None:
    for encoding in ("utf-8", "utf-16-le"):
        scan_years(BytesIO(data + syslog(datetime(2022, 1, 1)) + data), FORMATS, encoding)


def the_source(path: Path, options: ReadOptions | None = None) -> Source:
    (source,) = (item for item in open_sources([path], options=options) if isinstance(item, Source))
    return source


def times(source: Source) -> list[str]:
    issues: list[object] = []
    return [str(time)[:10] for batch in read_batches(source, issues.append) for time in batch.table["time"].to_numpy()]


@pytest.mark.parametrize("range_bytes", [60, 500, 16 * 1024 * 1024])
def test_a_log_has_the_same_years_however_it_is_cut(tmp_path: Path, range_bytes: int) -> None:
    moments = days(datetime(2019, 11, 1), 90, 11)
    path = tmp_path / "messages"
    path.write_bytes(syslog(*moments))
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    source = the_source(path, ReadOptions(range_bytes=range_bytes))
    assert times(source) == [f"{moment:%Y-%m-%d}" for moment in moments]


def test_equal_bytes_in_equal_years_have_equal_contexts(tmp_path: Path) -> None:
    """Whether the year was derived or stated doesn't change a segment's id."""
    path = tmp_path / "messages"
    path.write_bytes(syslog(datetime(2022, 7, 15)))
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    derived = [span.context for span, _ in source_ranges(the_source(path))]
    os.utime(path, (0, 0))
    stated = the_source(path, ReadOptions(by_source=(("mess*", "year", "2022"),)))
    assert [span.context for span, _ in source_ranges(stated)] == derived
    assert stated.options.canonical() == ReadOptions().canonical()


def test_a_packed_log_is_dated_by_what_the_packer_says(tmp_path: Path) -> None:
    path = tmp_path / "messages.1.gz"
    with (
        path.open("wb") as file,
        gzip.GzipFile("messages.1", "wb", fileobj=file, mtime=int(WRITTEN.timestamp())) as out,
    ):
        out.write(syslog(datetime(2022, 7, 15)))
    assert times(the_source(path)) == ["2022-07-15"]


def test_years_are_looked_up_by_the_lines_place() -> None:
    context = {"years": [[100, 2021], [150, 2022]]}
    found = years_at(context, np.array([100, 149, 150, 900]))
    assert found is not None
    assert found.tolist() == [2021, 2021, 2022, 2022]
    assert years_at({}, np.array([1])) is None
