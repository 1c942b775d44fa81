"""The arithmetic of attribution: bits for each item and hypothesis, then posteriors. Pure numbers.

    bits = log2(P(item | hypothesis) / P(item | somebody else))

P(item | hypothesis) is the likelihood of its kind where the profile lists it. P(item | somebody else) is the
share of the *other* known actors that list it, smoothed by a prior of its kind. Items are not independent:
those of one statement count once, those of one kind and those of one giver are capped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    return _limited(unit, raw, parameters)


def _limited(unit: Unit, raw: Sequence[tuple[float, str, Item]], parameters: AttributionParameters) -> list[Weight]:
    """Hold one hypothesis's items (heaviest first) to what dependence leaves of them.

    Of one statement the heaviest item counts; what is for it, of one kind and of one giver, is scaled down
    together where it exceeds their caps.
    """
    statements: set[tuple[str, bool]] = set()
    counted: list[tuple[float, str, Item]] = []
    for bits, reason, item in raw:
        statement = (item.record.group, bits > 0)
        if bits and statement in statements:
            counted.append((0.0, "dependent", item))
            continue
        if bits:
            statements.add(statement)
        counted.append((bits, reason, item))
    counted = _scaled(counted, lambda item: item.record.kind, parameters.kind_cap, "kind-cap")
    givers = {item.record.givers[0] for _, _, item in counted if len(item.record.givers) == 1}
    caps = dict.fromkeys(givers, parameters.dependence["giver_cap"])
    counted = _scaled(counted, _only_giver, caps, "giver-cap")
    return [Weight(item.id, unit.id, round(bits, 3), reason) for bits, reason, item in counted]


def _only_giver(item: Item) -> str:
    """The giver whose word alone an item rests on ("" where there are several, or none)."""
    return item.record.givers[0] if len(item.record.givers) == 1 else ""


def _scaled(
    counted: Sequence[tuple[float, str, Item]],
    part_of: Callable[[Item], str],
    caps: Mapping[str, float],
    code: str,
) -> list[tuple[float, str, Item]]:
    sums: dict[str, float] = {}
    for bits, _, item in counted:
        if bits > 0:
            sums[part_of(item)] = sums.get(part_of(item), 0.0) + bits
    share = {part: caps[part] / total for part, total in sums.items() if part in caps and total > caps[part]}
    return [
        (bits * share[part_of(item)], code, item) if bits > 0 and part_of(item) in share else (bits, reason, item)
        for bits, reason, item in counted
    ]


def posterior_of(prior: Mapping[str, float], bits: Mapping[str, float]) -> dict[str, float]:
    """Return normalised prior times 2**bits; the priors needn't add up to 1."""
    raw = {name: share * 2.0 ** bits.get(name, 0.0) for name, share in prior.items()}
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items()}
