"""Silences in a stream of requests that are too improbable to be chance; numbers only, no evidence.

The unit is the *active minute*: a minute with at least one request that was served. Counting minutes instead
of requests keeps bursts (one page, twenty requests) from making ordinary pauses look improbable. For each
hour of the day, working days and weekends apart, `p` is the median share of active minutes over the days seen,
so that an outage in the history doesn't hide the next one. A silence's surprise is

    bits = -sum over its minutes of log2(1 - p * scale)

which for a Poisson stream of rate r is r * duration / ln 2. `scale` (1 or less) follows a service whose rate
has dropped: the median ratio of seen to expected active minutes in the hours beside the silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aleat.case.parameters import ImpactParameters
from aleat.times import DAY, HOUR, MINUTE

__all__ = ["RateModel", "Silence", "find_silences", "fit_rate"]

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Silence:
    """Between two served requests (microseconds), with its surprise in bits; `end` is None where none came after."""

    start: int
    end: int | None
    bits: float


class RateModel:
    """The usual share of active minutes for each hour of the span, and sums over it."""

    def __init__(self, first_hour: int, usual: Floats, seen: Floats, parameters: ImpactParameters) -> None:
        self.first_hour = first_hour
        self.usual = usual
        self.seen = seen
        self._parameters = parameters

    def bits(self, start: int, end: int, scale: float = 1.0) -> float:
        """Return the surprise of a silence from `start` to `end` (microseconds), the rate scaled."""
        if end <= start:
            return 0.0
        chance = np.minimum(self._slice(start, end) * scale, self._parameters.busiest_minute)
        return float(np.sum(-np.log2(1.0 - chance) * self._minutes(start, end)))

    def reach(self, start: int, bits: float, scale: float = 1.0, most_hours: int = 24 * 14) -> int:
        """Return when a silence that begins at `start` would reach `bits`."""
        at = start
        for _ in range(most_hours):
            hour_end = (at // HOUR + 1) * HOUR
            there = self.bits(at, hour_end, scale)
            if there >= bits:
                return at + int((hour_end - at) * bits / there)
            bits -= there
            at = hour_end
        return at

    def scale_beside(self, start: int, end: int) -> float:
        """Return how the rate beside a silence compares with the usual: the lesser of before and after, at most 1."""
        before = self._local(start // HOUR - 1, -1)
        after = self._local(end // HOUR + 1, 1)
        return min(1.0, before, after)

    def _local(self, hour: int, step: int) -> float:
        ratios: list[float] = []
        for distance in range(48):
            position = hour + step * distance - self.first_hour
            if not 0 <= position < len(self.usual):
                break
            expected = 60 * self.usual[position]
            if expected >= 3 and self.seen[position] > 0:
                ratios.append(float(self.seen[position] / expected))
            if len(ratios) >= self._parameters.local_hours:
                break
        return float(np.median(ratios)) if len(ratios) >= 2 else 1.0

    def _slice(self, start: int, end: int) -> Floats:
        hours = np.arange(start // HOUR, (end - 1) // HOUR + 1) - self.first_hour
        inside = np.clip(hours, 0, len(self.usual) - 1)
        values = self.usual[inside]
        outside = (hours < 0) | (hours >= len(self.usual))
        if outside.any():
            # beyond the span, the same hour of an earlier week or day tells (an outage still going on)
            wrapped = np.array([self._like(int(hour)) for hour in hours[outside]])
            values = values.copy()
            values[outside] = wrapped
        return values

    def _like(self, position: int) -> float:
        """The usual share at a position beyond the span: of the last such hour of the week, else of the day."""
        for period in (168, 24):
            if position >= 0 and len(self.usual) >= period:
                beyond = position - len(self.usual)
                return float(self.usual[len(self.usual) - period + beyond % period])
        return float(np.median(self.usual))

    def _minutes(self, start: int, end: int) -> Floats:
        edges = np.arange(start // HOUR, (end - 1) // HOUR + 2) * HOUR
        edges[0], edges[-1] = start, end
        return np.diff(edges) / MINUTE


def fit_rate(served: Times, silences: list[Silence], parameters: ImpactParameters) -> RateModel:
    """Fit the usual rate of a service to the times of its served requests (sorted), known silences left out."""
    first_hour = int(served[0] // HOUR)
    hours = int(served[-1] // HOUR) - first_hour + 1
    active = np.unique(served // MINUTE)
    seen = np.bincount(active // 60 - first_hour, minlength=hours).astype(np.float64)
    length = np.full(hours, 60.0)
    length[0] -= (served[0] % HOUR) // MINUTE
    length[-1] = min(length[-1], served[-1] % HOUR // MINUTE + 1)
    for silence in silences:
        if silence.end is not None:
            a, b = silence.start // HOUR - first_hour, silence.end // HOUR - first_hour
            length[a : b + 1] = 0.0
    share = np.divide(seen, length, out=np.full(hours, np.nan), where=length >= 20)
    share = np.minimum(share, 1.0)
    all_hours = np.arange(first_hour, first_hour + hours)
    weekday = (all_hours * HOUR // DAY + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    kind = (all_hours % 24) + 24 * np.isin(weekday, parameters.weekend_days)
    usual = _medians(share, kind, all_hours % 24)
    return RateModel(first_hour, usual, seen, parameters)


def _medians(share: Floats, kind: npt.NDArray[np.int64], hour_of_day: npt.NDArray[np.int64]) -> Floats:
    """The median of each kind of hour; where it was never seen, of the hour of the day; else of all hours."""
    good = ~np.isnan(share)
    overall = float(np.median(share[good])) if good.any() else 0.0
    usual = np.full(len(share), overall)
    for hour in range(24):
        anyday = good & (hour_of_day == hour)
        fallback = float(np.median(share[anyday])) if anyday.any() else overall
        usual[hour_of_day == hour] = fallback
        for one in (hour, hour + 24):
            rows = good & (kind == one)
            if rows.any():
                usual[kind == one] = float(np.median(share[rows]))
    return usual


def find_silences(served: Times, parameters: ImpactParameters) -> tuple[list[Silence], RateModel | None]:
    """Return the silences between served requests (sorted, microseconds) that reach the threshold, and the rate.

    Fitted three times: first without any whole day of silence (time without a log, say, mustn't become the usual
    rate), then without the hours of the silences that the fit before found.
    """
    if len(served) < 3:
        return [], None
    gaps = np.diff(served)
    candidates = np.flatnonzero(gaps >= int(parameters.least_minutes * MINUTE))
    long = np.flatnonzero(gaps >= DAY)
    found = [Silence(int(served[position]), int(served[position + 1]), 0.0) for position in long]
    model = fit_rate(served, found, parameters)
    for _ in range(2):
        found = _surprising(served, candidates, model, parameters)
        model = fit_rate(served, found, parameters)
    return _surprising(served, candidates, model, parameters), model


def _surprising(
    served: Times, candidates: npt.NDArray[np.int64], model: RateModel, parameters: ImpactParameters
) -> list[Silence]:
    found: list[Silence] = []
    for position in candidates:
        start, end = int(served[position]), int(served[position + 1])
        if model.bits(start, end) < parameters.surprise_bits:
            continue
        bits = model.bits(start, end, model.scale_beside(start, end))
        if bits >= parameters.surprise_bits:
            found.append(Silence(start, end, bits))
    return found
