"""Sightings as the ledger of hunts keeps them, and back.

Kept is what depends on the segment and the rule's *content* only: not where the segment's bytes lie (a source
can be given twice), nor who gave the rule, its title, or whether it is reported (the same rule can come from
two givers, and be part of a correlation or not). `attach` puts those on again, from the plan and the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from aleat.hunt.indicator import Indicator, Sighting
from aleat.hunt.list_keys import values_digest
from aleat.hunt.plan import Plan
from aleat.hunt.stix_paths import mapping_digest as stix_mapping_digest
from aleat.store.hunts import Hit
from aleat.store.lake import SegmentSource

__all__ = ["Attacher", "plan_digests", "plan_mapping", "to_hit"]


class _Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of a record, whichever rule found it."""

    offset: int
    event: str
    time: int | None
    host: str
    format: str
    channel: str
    event_id: str
    fields: dict[str, Any]


class _Found(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one rule says of a record: what its title adds to the rule's own, and what matched."""

    title: str
    matched: tuple[tuple[str, str], ...]


_facts_encoder = msgspec.json.Encoder()  # not MessagePack: integers of any size, lone surrogates are JSON's business
_facts_decoder = msgspec.json.Decoder(_Facts)
_found_decoder = msgspec.json.Decoder(_Found)


def plan_digests(plan: Plan) -> frozenset[str]:
    """Return the digests of all rules and lists of a plan: what a cell of the ledger is about."""
    return frozenset(rule.indicator.digest for rule in plan.rules) | {item.digest for item in plan.lists}


def plan_mapping(plan: Plan) -> str:
    """Return the digest of all mappings that decide what a plan's rules find."""
    parts = (plan.mapping_digest, stix_mapping_digest(), values_digest())
    return sha256(" ".join(parts).encode()).hexdigest()


def to_hit(sighting: Sighting, base: Mapping[str, Indicator]) -> Hit:
    """Return what is kept of a sighting; `base` are the indicators by digest."""
    indicator = base[sighting.rule_digest]
    facts = _Facts(
        sighting.offset,
        sighting.event,
        sighting.time,
        sighting.host,
        sighting.format,
        sighting.channel,
        sighting.event_id,
        sighting.fields,
    )
    # A list's entries differ in what follows its id; a rule's own id can differ between givers of one content.
    part = sighting.indicator.partition("#")[2] if indicator.pattern_type == "aleat-list" else ""
    title = sighting.title.removeprefix(indicator.title)
    found = _Found(title if part else "", sighting.matched)
    return Hit(
        sighting.segment,
        sighting.record,
        sighting.rule_digest,
        part,
        _facts_encoder.encode(facts),
        _facts_encoder.encode(found),
    )


class Attacher:
    """Makes sightings of what is kept, for one plan."""

    def __init__(self, plan: Plan) -> None:
        self._indicators: dict[str, list[tuple[Indicator, bool]]] = {}
        for rule in plan.rules:
            self._add(rule.indicator, rule.reported)
        for item in plan.lists:
            self._add(item, item.pattern_type != "stix-part")

    def _add(self, indicator: Indicator, reported: bool) -> None:
        known = self._indicators.setdefault(indicator.digest, [])
        light = msgspec.structs.replace(indicator, pattern="", entries=())
        if all((item.id, item.ref) != (light.id, light.ref) for item, _ in known):
            known.append((light, reported))

    def attach(self, hits: Iterable[Hit], source: SegmentSource) -> Iterator[tuple[bool, Sighting]]:
        """Yield (reported, sighting) for each hit of a segment, in one of the sources that hold its bytes."""
        for hit in hits:
            facts, found = _facts_decoder.decode(hit.facts), _found_decoder.decode(hit.found)
            for indicator, reported in self._indicators.get(hit.rule, ()):
                yield reported, _sighting(indicator, hit, facts, found, source)


def _sighting(indicator: Indicator, hit: Hit, facts: _Facts, found: _Found, source: SegmentSource) -> Sighting:
    return Sighting(
        indicator=f"{indicator.id}#{hit.part}" if hit.part else indicator.id,
        title=indicator.title + found.title,
        level=indicator.level,
        author=indicator.author,
        evidence=source.path,
        record=hit.record + source.record_base,
        offset=facts.offset,
        event=facts.event,
        time=facts.time,
        host=facts.host,
        fields=facts.fields,
        source=indicator.source,
        ref=indicator.ref,
        rule_digest=indicator.digest,
        segment=hit.segment,
        format=facts.format,
        channel=facts.channel,
        event_id=facts.event_id,
        tags=indicator.tags,
        matched=found.matched,
    )
