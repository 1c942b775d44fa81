"""What is stated about logs: for all, by source, by host."""

from __future__ import annotations

import pytest

from aleat.errors import InputError
from aleat.evidence import ReadOptions, read_options


def test_the_first_statement_that_fits_counts() -> None:
    options = read_options(log_zones=["fw/*.log=+02:00", "host:DC*=+05:00", "Europe/Tirane"], log_years=["fw.log=2021"])
    assert options.zones == (("DC*", "+05:00"),)
    assert options.for_source("logs/fw/a.log").zone == "+02:00"
    assert options.for_source("case.zip!fw/a.log").zone == "+02:00"
    assert options.for_source("logs/web/a.log").zone == "Europe/Tirane"
    assert options.for_source("logs/fw.log").year == 2021
    assert options.for_source("logs/fw2.log").year is None


def test_readers_of_times_with_zones_keep_their_segments() -> None:
    """A stated zone means nothing to EVTX, and changes no segment's id."""
    options = read_options(log_zones=["Europe/Tirane"], assume_zone="Europe/Tirane")
    assert options.for_source("x.evtx", local_times=False).canonical() == ReadOptions().canonical()
    assert options.for_source("x.log").canonical() != ReadOptions().canonical()
    assert read_options(assume_zone="UTC").for_source("x.log").canonical() == ReadOptions().canonical()


@pytest.mark.parametrize(
    "stated",
    [
        {"log_zones": ["Nowhere/X"]},
        {"log_zones": ["fw=UTC+1"]},
        {"log_years": ["twenty"]},
        {"log_years": ["99999999999999999999"]},
        {"log_years": ["host:DC*=2022"]},
        {"encodings": ["fw/*=klingon"]},
        {"encodings": ["host:x=cp1250"]},
    ],
)
def test_what_makes_no_sense_is_refused(stated: dict[str, list[str]]) -> None:
    with pytest.raises(InputError):
        read_options(**stated)  # type: ignore[arg-type]
