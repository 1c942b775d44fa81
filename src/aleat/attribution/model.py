"""The arithmetic of attribution: bits for each item and hypothesis, then posteriors. Pure numbers.

    bits = log2(P(item | hypothesis) / P(item | somebody else))

P(item | hypothesis) is the likelihood of its kind where the profile lists it. P(item | somebody else) is the
share of the *other* known actors that list it, smoothed by a prior of its kind. Items are not independent:
those of one statement count once, those of one kind and those of one giver are capped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import msgspec

from aleat.attribution.items import Item
from aleat.attribution.parameters import AttributionParameters
from aleat.attribution.records import Weight

__all__ = ["Unit", "Weighing", "posterior_of", "weigh_items"]


class Unit(msgspec.Struct, frozen=True):
    """A hypothesis to weigh: its id and the known groups whose profiles make it up."""

    id: str
    groups: frozenset[str]


class Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: bits by hypothesis, and each item's weight for each."""

    bits: dict[str, float]
    weights: tuple[Weight, ...]


def weigh_items(items: Sequence[Item], units: Sequence[Unit], parameters: AttributionParameters) -> Weighing:
    """Weigh all items for all units; a unit that lists nothing has only small weights against it."""
    shares = {item.id: _background(item, units, parameters) for item in items}
    bits: dict[str, float] = {}
    weights: list[Weight] = []
    for unit in units:
        found = _weights(unit, items, shares, parameters)
        bits[unit.id] = sum(weight.bits for weight in found)
        weights += found
    return Weighing(bits=bits, weights=tuple(weights))


def _background(item: Item, units: Sequence[Unit], parameters: AttributionParameters) -> float:
    """P(item | somebody else): the share of other known actors that list it, smoothed."""
    listing = sum(1 for unit in units if not item.listed.isdisjoint(unit.groups))
    strength = parameters.background["strength"]
    prior = parameters.background[item.record.kind]
    return (max(0, listing - 1) + strength * prior) / (max(0, len(units) - 1) + strength)


def _weights(
    unit: Unit, items: Sequence[Item], shares: Mapping[str, float], parameters: AttributionParameters
) -> list[Weight]:
    raw: list[tuple[float, str, Item]] = []
    for item in items:
        kind = item.record.kind
        listed_bits = log2(parameters.likelihood[kind] / shares[item.id])
        listed_bits = max(0.0, min(parameters.cap[kind], listed_bits))
        if not item.listed.isdisjoint(unit.groups):
            raw.append((listed_bits, "listed" if listed_bits >= 0.1 else "common", item))
        elif listed_bits >= 1.0:
            raw.append((log2(parameters.unlisted["share"]), "not-listed", item))
        else:
            raw.append((0.0, "common", item))
    raw.sort(key=lambda one: (-one[0], one[2].id))
    limits = _Limits(parameters)
    return [Weight(item.id, unit.id, *limits.take(bits, reason, item)) for bits, reason, item in raw]


class _Limits:
    """Takes the items of one hypothesis, heaviest first, and holds them to what dependence leaves of them."""

    def __init__(self, parameters: AttributionParameters) -> None:
        self._parameters = parameters
        self._statements: set[tuple[str, bool]] = set()
        self._kinds: dict[str, float] = {}
        self._givers: dict[str, float] = {}

    def take(self, bits: float, reason: str, item: Item) -> tuple[float, str]:
        """Return (bits that count, why)."""
        record = item.record
        if bits == 0.0:
            return 0.0, reason
        statement = (record.group, bits > 0)
        if statement in self._statements:
            return 0.0, "dependent"
        self._statements.add(statement)
        if bits < 0:
            return round(bits, 3), reason
        left = self._parameters.kind_cap[record.kind] - self._kinds.get(record.kind, 0.0)
        if left < bits:
            bits, reason = max(0.0, left), "kind-cap"
        self._kinds[record.kind] = self._kinds.get(record.kind, 0.0) + bits
        if len(record.givers) == 1:
            giver = record.givers[0]
            left = self._parameters.dependence["giver_cap"] - self._givers.get(giver, 0.0)
            if left < bits:
                bits, reason = max(0.0, left), "giver-cap"
            self._givers[giver] = self._givers.get(giver, 0.0) + bits
        return round(bits, 3), reason


def posterior_of(prior: Mapping[str, float], bits: Mapping[str, float]) -> dict[str, float]:
    """Return normalised prior times 2**bits; the priors needn't add up to 1."""
    raw = {name: share * 2.0 ** bits.get(name, 0.0) for name, share in prior.items()}
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items()}
