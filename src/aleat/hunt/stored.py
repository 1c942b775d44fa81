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

from aleat.hunt.alerts import SOURCE, is_alert, tool_of
from aleat.hunt.indicator import Indicator, Sighting
from aleat.hunt.list_keys import keys_digest
from aleat.hunt.plan import Plan
from aleat.hunt.stix_paths import mapping_digest as stix_mapping_digest
from aleat.hunt.yara_hunt import ScanGap
from aleat.store.lake import SegmentSource

__all__ = ["Attacher", "alerts_kept", "encode_found", "plan_digests", "plan_mapping"]


class _Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of a record, whichever rule found it."""

    record: int
    offset: int
    event: str
    time: int | None
    host: str
    format: str
    channel: str
    event_id: str
    provider: str
    fields: dict[str, Any]


class _Alert(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What another tool's alert says of itself: the id that its rule has here, and who raised it."""

    id: str
    title: str
    level: str
    tool: str
    tags: tuple[str, ...] = ()


class _Hit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one rule says of a record: their places, what the rule's id and title are followed by, what matched."""

    record: int
    rule: int
    part: str
    title: str
    matched: tuple[tuple[str, str], ...]
    entry_type: str = ""
    alert: _Alert | None = None


class _Found(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What some rules found in a segment, and what YARA rules were not evaluated over there."""

    rules: tuple[str, ...]
    records: tuple[_Facts, ...]
    hits: tuple[_Hit, ...]
    gaps: tuple[ScanGap, ...] = ()


_encoder = msgspec.json.Encoder()  # not MessagePack, whose integers have 64 bits
_decoder = msgspec.json.Decoder(_Found)


def plan_digests(plan: Plan) -> frozenset[str]:
    """Return the digests of all rules and lists of a plan: what a cell of the ledger is about."""
    others = {item.digest for item in (*plan.lists, *plan.yara, *plan.alerts)}
    return frozenset(rule.indicator.digest for rule in plan.rules) | others


def plan_mapping(plan: Plan) -> str:
    """Return the digest of all mappings that decide what a plan's rules find."""
    parts = (plan.mapping_digest, stix_mapping_digest(), keys_digest())
    return sha256(" ".join(parts).encode()).hexdigest()


def encode_found(
    sightings: Iterable[Sighting], indicators: Mapping[str, Indicator], gaps: tuple[ScanGap, ...] = ()
) -> bytes:
    """Return what is kept of a segment's sightings and gaps (b"" of none); `indicators` are the rules by digest."""
    rules: dict[str, int] = {}
    records: dict[int, int] = {}
    facts: list[_Facts] = []
    hits: dict[tuple[int, int, str], _Hit] = {}
    for one in sightings:
        # A list's entries differ in what follows its id; a rule's own id can differ between givers of one content.
        indicator = indicators[one.rule_digest]
        part = ""
        if indicator.pattern_type == "aleat-list":
            if not one.indicator.startswith(f"{indicator.id}#"):
                continue  # by a list with the same rows under another name, which finds the same
            part = one.indicator.removeprefix(f"{indicator.id}#")
        place = records.setdefault(one.record, len(records))
        if place == len(facts):
            facts.append(_facts(one))
        title = one.title.removeprefix(indicator.title) if part else ""
        rule = rules.setdefault(one.rule_digest, len(rules))
        alert = _Alert(one.indicator, one.title, one.level, tool_of(one), one.tags) if is_alert(one) else None
        hits.setdefault((place, rule, part), _Hit(place, rule, part, title, one.matched, one.entry_type, alert))
    return _encoder.encode(_Found(tuple(rules), tuple(facts), tuple(hits.values()), gaps)) if hits or gaps else b""


def _facts(one: Sighting) -> _Facts:
    return _Facts(
        one.record,
        one.offset,
        one.event,
        one.time,
        one.host,
        one.format,
        one.channel,
        one.event_id,
        one.provider,
        one.fields,
    )


def alerts_kept(pieces: Iterable[bytes]) -> Iterator[tuple[str, str, str]]:
    """Yield (id, tool, title) of each of other tools' rules whose alerts are among what is kept, again and again."""
    for piece in pieces:
        for hit in _decoder.decode(piece).hits:
            if hit.alert is not None:
                yield hit.alert.id, hit.alert.tool, hit.alert.title


class Attacher:
    """Makes sightings of what is kept, for one plan: for those of its rules that are among `rules`."""

    def __init__(self, plan: Plan, rules: frozenset[str]) -> None:
        self._rules = rules
        self._gaps: list[ScanGap] | None = [] if plan.yara else None
        self._indicators: dict[str, list[tuple[Indicator, bool]]] = {}
        for rule in plan.rules:
            self._add(rule.indicator, rule.reported)
        for item in plan.lists:
            self._add(item, item.pattern_type != "stix-part")
        for item in (*plan.yara, *plan.alerts):
            self._add(item, True)
        self._rules |= {item.digest for item in plan.retired}  # what they hit is shown though no hunt is of them now
        for item in plan.retired:
            self._add(item, True)

    def _add(self, indicator: Indicator, reported: bool) -> None:
        if indicator.digest not in self._rules:
            return
        known = self._indicators.setdefault(indicator.digest, [])
        light = msgspec.structs.replace(indicator, pattern="", entries=(), rows=None)
        if all((item.id, item.ref) != (light.id, light.ref) for item, _ in known):
            known.append((light, reported))

    def attach(self, pieces: Iterable[bytes], segment: str, source: SegmentSource) -> Iterator[tuple[bool, Sighting]]:
        """Yield (reported, sighting) for what was found in a segment, in one of the sources that hold its bytes."""
        for piece in pieces:
            found = _decoder.decode(piece)
            if self._gaps is not None:
                self._gaps += found.gaps
            indicators = [self._indicators.get(rule, ()) for rule in found.rules]
            for hit in found.hits:
                for indicator, reported in indicators[hit.rule]:
                    yield reported, _sighting(indicator, hit, found.records[hit.record], segment, source)

    def take_gaps(self) -> tuple[ScanGap, ...]:
        """Return what the plan's YARA rules were not evaluated over, in all that was attached since last asked."""
        found = tuple(self._gaps or ())
        if self._gaps:
            self._gaps = []
        return found


def _sighting(indicator: Indicator, hit: _Hit, facts: _Facts, segment: str, source: SegmentSource) -> Sighting:
    if hit.alert is not None:
        indicator = msgspec.structs.replace(
            indicator,
            id=hit.alert.id,
            ref=hit.alert.id,
            title=hit.alert.title,
            level=hit.alert.level,
            author=hit.alert.tool,
            source=f"{SOURCE}/{hit.alert.tool}",
            tags=hit.alert.tags,
        )
    return Sighting(
        indicator=f"{indicator.id}#{hit.part}" if hit.part else indicator.id,
        title=indicator.title + hit.title,
        level=indicator.level,
        author=indicator.author,
        evidence=source.path,
        record=facts.record + source.record_base,
        offset=facts.offset,
        event=facts.event,
        time=facts.time,
        host=facts.host,
        fields=facts.fields,
        source=indicator.source,
        ref=indicator.ref,
        rule_digest=indicator.digest,
        segment=segment,
        format=facts.format,
        channel=facts.channel,
        event_id=facts.event_id,
        provider=facts.provider,
        tags=indicator.tags,
        matched=hit.matched,
        entry_type=hit.entry_type,
    )
