"""Stretches: one host's weighty sightings, cut at pauses and added up in bits.

The second step of `aleat.case.incidents`, which tells the whole. Nothing here looks at two hosts at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence

import msgspec

from aleat.case.facts import Key
from aleat.case.parameters import Parameters, WeightParameters
from aleat.case.tactics import is_impact, tactics_of
from aleat.case.weigh import Rarity
from aleat.hunt.indicator import Sighting
from aleat.times import HOUR, MINUTE, SECOND

__all__ = ["Stretch", "StretchCutter", "stretch_order"]


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Activity on one host without a long pause; `members` are positions among the folded sightings."""

    host: str
    first: int
    last: int
    bits: float
    allied: bool
    """Whether a rule that an ally gave is among them."""
    members: tuple[int, ...]
    keys: tuple[Key, ...]
    impact: int | None
    """The time of its last sighting of impact."""
    founds: bool


def stretch_order(stretch: Stretch) -> tuple[int, str, int]:
    """Return what stretches are ordered by: their time, host and end."""
    return (stretch.first, stretch.host, stretch.last)


class StretchCutter:
    """Cuts each host's weighty sightings into stretches."""

    def __init__(
        self,
        hits: Sequence[Sighting],
        weights: Mapping[str, float],
        weighty: Sequence[bool],
        keys: Sequence[tuple[Key, ...]],
        rarity: Rarity,
        generic: Collection[str],
        mark: float,
        parameters: Parameters,
    ) -> None:
        self._hits = hits
        self._weights = weights
        self._weighty = weighty
        self._keys = keys
        self._rarity = rarity
        self._generic = generic
        self._mark = mark
        self._parameters = parameters
        self._chaining = parameters.weights.chaining

    def stretches(self) -> list[Stretch]:
        """Return all stretches in order of time."""
        by_host: dict[str, list[int]] = {}
        for position, hit in enumerate(self._hits):
            if self._weighty[position]:
                by_host.setdefault(hit.host, []).append(position)
        found = [
            self._stretch(host, part)
            for host in sorted(by_host)
            for members in self._runs(by_host[host])
            for part in self._parts(members)
        ]
        return sorted(found, key=stretch_order)

    def _weight(self, position: int) -> float:
        return self._weights[self._hits[position].indicator]

    def _time(self, position: int) -> int:
        return self._hits[position].time or 0

    def _is_anchor(self, position: int) -> bool:
        """A rule that an ally gave, rare enough to mean something."""
        return self._weight(position) >= self._chaining and self._hits[position].indicator not in self._generic

    def _runs(self, positions: Sequence[int]) -> list[list[int]]:
        """Cut one host's sightings at pauses between strong ones; weak ones fall into the run they lie in or near."""
        pause = int(self._parameters.incidents.pause_hours * HOUR)
        runs: list[list[int]] = []
        spans: list[tuple[int, int]] = []
        for position in positions:
            time = self._time(position)
            if self._weight(position) < self._chaining:
                continue
            if spans and time - spans[-1][1] <= pause:
                runs[-1].append(position)
                spans[-1] = (spans[-1][0], time)
            else:
                runs.append([position])
                spans.append((time, time))
        run = 0
        for position in positions:
            if self._weight(position) >= self._chaining:
                continue
            time = self._time(position)
            while run < len(spans) and spans[run][1] + HOUR < time:
                run += 1
            if run < len(spans) and spans[run][0] - HOUR <= time:
                runs[run].append(position)
        return [sorted(members) for members in runs]

    def _parts(self, members: list[int]) -> list[list[int]]:
        """Part a run with an ally's rules in it: what lies near them or shares something with them, and the rest.

        Generic rules that fire on the same host on the same day for other reasons are so kept out.
        """
        anchors = [position for position in members if self._is_anchor(position)]
        if not anchors or len(anchors) == len(members):
            return [members]
        near = int(self._parameters.incidents.near_minutes * MINUTE)
        times = [self._time(position) for position in anchors]
        events = {self._hits[position].event for position in anchors}
        shared = {key for position in anchors for key in self._keys[position] if self._rarity.bits(key) >= 1.0}
        inner: list[int] = []
        outer: list[int] = []
        for position in members:
            place = bisect_left(times, self._time(position) - near)
            close = place < len(times) and times[place] <= self._time(position) + near
            tied = self._hits[position].event in events or not shared.isdisjoint(self._keys[position])
            (inner if close or tied else outer).append(position)
        strong = [position for position in outer if self._weight(position) >= self._chaining]
        return [inner, *(self._runs(outer) if strong else [])]

    def _stretch(self, host: str, members: list[int]) -> Stretch:
        hits = [self._hits[position] for position in members]
        bits = _bits(hits, self._weights, self._generic, self._parameters)
        impacts = [hit.time or 0 for hit in hits if is_impact(hit)]
        strong = [position for position in members if self._weight(position) >= self._chaining]
        return Stretch(
            host=host,
            first=self._time(members[0]),
            last=self._time(members[-1]),
            bits=bits,
            allied=any(self._is_anchor(position) for position in members),
            members=tuple(members),
            keys=tuple(sorted({key for position in strong for key in self._keys[position]})),
            impact=max(impacts) if impacts else None,
            founds=bits >= self._mark,
        )


def _bits(
    members: Sequence[Sighting], weights: Mapping[str, float], generic: Collection[str], parameters: Parameters
) -> float:
    """Add the bits of a stretch (`members` in order of time) over its acts, each rule once, generic ones by tactic."""
    chosen = parameters.weights
    allied: dict[str, float] = {}
    tactics: dict[str, dict[str, float]] = {}
    for act in _acts(members, int(chosen.act_seconds * SECOND)):
        for hit, bits in _act_bits(act, weights, generic, chosen):
            tactic = next(iter(tactics_of(hit)), "")
            bucket = tactics.setdefault(tactic, {}) if hit.indicator in generic else allied
            bucket[hit.indicator] = max(bits, bucket.get(hit.indicator, 0.0))
    generic_bits = sum(_tactic_bits(bucket, chosen.dependent, chosen.tactic_cap) for bucket in tactics.values())
    return sum(allied.values()) + generic_bits


def _acts(members: Sequence[Sighting], pause: int) -> list[list[Sighting]]:
    """Part a stretch into acts: what one command sets off within seconds is one thing, however many rules see it."""
    acts: list[list[Sighting]] = []
    last = 0
    for hit in members:
        time = hit.time or 0
        if not acts or time - last > pause:
            acts.append([])
        acts[-1].append(hit)
        last = time
    return acts


def _act_bits(
    act: Sequence[Sighting], weights: Mapping[str, float], generic: Collection[str], parameters: WeightParameters
) -> list[tuple[Sighting, float]]:
    """The heaviest rule of an act in full, other rules of allies at half, generic ones together a little."""
    rules = {hit.indicator: hit for hit in act}
    ordered = sorted(rules.values(), key=lambda hit: (hit.indicator in generic, -weights[hit.indicator], hit.indicator))
    heaviest = max(ordered, key=lambda hit: (weights[hit.indicator], hit.indicator not in generic, hit.indicator))
    found = [(heaviest, weights[heaviest.indicator])]
    left = parameters.act_rest_cap
    for hit in ordered:
        if hit is heaviest:
            continue
        if hit.indicator in generic:
            bits = min(left, parameters.dependent * weights[hit.indicator])
            left -= bits
        else:
            bits = 0.5 * weights[hit.indicator]
        found.append((hit, bits))
    return found


def _tactic_bits(bucket: Mapping[str, float], dependent: float, cap: float) -> float:
    ordered = sorted(bucket.values(), reverse=True)
    return min(cap, ordered[0] + dependent * sum(ordered[1:]))
