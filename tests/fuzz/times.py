"""The target of times and code pages: columns of time texts, sound and damaged, and texts of any bytes.

An input is a first line (format, zone, year) and a text to a line. Whole and in pieces, alone and beside others, a text
is the same time; what the slow way reads, the fast way reads so; scans for years and guesses of pages end, the same
each time.
"""

from __future__ import annotations

import io
import random
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from aleat.evidence.clock import TimeSpec, has_year, read_times
from aleat.evidence.codepages import guess_page, sample_words
from aleat.evidence.reader import ReadOptions
from aleat.evidence.times import parse_time
from aleat.evidence.years import scan_years, solve_years
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["TimesTarget"]

_FORMATS = (
    "iso",
    "epoch",
    "filetime",
    "%d/%b/%Y:%H:%M:%S %z",
    "%b %e %H:%M:%S",
    "%m/%d %H:%M:%S.%f",
    "%m/%d/%Y %I:%M:%S %p %Z",
    "%d.%m.%Y %H:%M:%S,%f",
)
_SHAPES = {
    "iso": ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S,%f +0200", "%Y%m%dT%H%M%S", "%Y-%m-%d"),
    "epoch": ("1657900000", "1657900000.123456", "1657900000123", "1e9", ".5"),
    "filetime": ("133023168000000000",),
}
_ZONES = ("", "UTC", "Europe/Tirane", "America/St_Johns", "Pacific/Apia", "-11:30")
_TOKENS = (
    "29 Feb",
    "Feb 29 ",
    "23:59:60",
    "24:00:00",
    "\0",
    "9999",
    "0000",
    "+99:99",
    "é",
    "\u2212",
    " " * 40,
    "9" * 80,
)


class TimesTarget:
    """See the module."""

    name = "times"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return a column, about half of them damaged."""
        form, zone = rng.choice(_FORMATS), rng.choice(_ZONES)
        moment = datetime(1970, 1, 1) + timedelta(seconds=rng.randrange(5_000_000_000))
        texts = []
        for _ in range(rng.randrange(1, 40)):
            moment += timedelta(seconds=rng.choice((1, 60, 3600, 86_400, 90 * 86_400, -5)))
            texts.append(moment.strftime(rng.choice(_SHAPES.get(form, (form,)))))
        text = "\n".join(texts)
        if rng.random() < 0.5:
            text = mutate_text(text, rng, _TOKENS)
        data = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.2:
            data = mutate_bytes(data, rng)
        return f"{form}|{zone}|{rng.randrange(1970, 2100)}\n".encode() + data

    def check(self, data: bytes) -> None:
        """Read a column in several ways."""
        head, _, body = data.partition(b"\n")
        form, zone, year = head.decode().split("|")
        texts = body.decode("utf-8", "replace").split("\n")
        spec, options = TimeSpec((form,)), ReadOptions(zone=zone or None)
        years = np.full(len(texts), int(year))
        whole = read_times(pl.Series(texts, dtype=pl.String), spec, options, year=years).times
        middle = len(texts) // 2
        parts = [
            read_times(pl.Series(some, dtype=pl.String), spec, options, year=years[: len(some)]).times
            for some in (texts[:middle], texts[middle:])
        ]
        assert np.array_equal(whole, np.concatenate(parts), equal_nan=True), "in pieces"
        for text, time in list(zip(texts, whole, strict=True))[:5]:
            alone = read_times(pl.Series([text], dtype=pl.String), spec, options, year=years[:1]).times
            assert np.array_equal(alone, np.array([time]), equal_nan=True), "alone"
            slow = parse_time(text) if form == "iso" and text[-1:] == "Z" and len(text) <= 64 else None
            assert slow is None or int(time.astype(np.int64)) == slow, "the slow way"
        if not has_year(spec):
            scan = scan_years(io.BytesIO(body), (form,), "utf-8")
            found = solve_years(scan, "x", datetime(2022, 7, 15).astimezone(), None)
            assert found is None or all(start >= 1 for _, start in found.starts), "years are years"
        assert guess_page(sample_words(io.BytesIO(body))) == guess_page(sample_words(io.BytesIO(body))), "one guess"
