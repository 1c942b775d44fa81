"""Techniques, tactics and effects of a sighting, from the tags of its rule (``attack.t1486``, ``attack.impact``).

Tags that the rule doesn't carry may come from knowledge (what an indicator indicates); they are merged into
the sighting's tags before the case is built, see `aleat.case.build`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from aleat.hunt.indicator import Sighting

__all__ = ["effects_of", "is_destructive", "is_impact", "tactic_order", "tactics_of", "techniques_of"]

_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


class _Tactics(msgspec.Struct, frozen=True):
    order: tuple[str, ...]
    effects: dict[str, str]
    tactic_effects: dict[str, str]
    technique_tactics: dict[str, str]
    destructive: dict[str, tuple[str, ...]]


@cache
def _tactics() -> _Tactics:
    return msgspec.toml.decode(files("aleat.case").joinpath("tactics.toml").read_bytes(), type=_Tactics)


def tactic_order(tactic: str) -> int:
    """Return a tactic's place in the order in which attacks are told."""
    order = _tactics().order
    return order.index(tactic) if tactic in order else len(order)


def techniques_of(sighting: Sighting) -> tuple[str, ...]:
    """Return the ATT&CK technique ids (``T1486``) of a sighting's rule."""
    return _techniques(sighting.tags)


@lru_cache(maxsize=65536)
def _techniques(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match[1].upper() for tag in tags if (match := _TECHNIQUE.fullmatch(tag))))


def tactics_of(sighting: Sighting) -> tuple[str, ...]:
    """Return the ATT&CK tactics of a sighting's rule, in order of the telling."""
    return _tactics_of_tags(sighting.tags)


@lru_cache(maxsize=65536)
def _tactics_of_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    table = _tactics()
    named = {tag[7:].replace("_", "-").lower() for tag in tags if tag.lower().startswith("attack.")}
    found = {tactic for tactic in table.order if tactic in named}
    if not found:
        parents = {technique.partition(".")[0] for technique in _techniques(tags)}
        found = {table.technique_tactics[parent] for parent in parents if parent in table.technique_tactics}
    return tuple(sorted(found, key=tactic_order))


@lru_cache(maxsize=65536)
def _effects_of_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    table = _tactics()
    found: dict[str, None] = {}
    for technique in _techniques(tags):
        for name in (technique, technique.partition(".")[0]):
            if name in table.effects:
                found.setdefault(table.effects[name])
    for tactic in _tactics_of_tags(tags):
        if tactic in table.tactic_effects:
            found.setdefault(table.tactic_effects[tactic])
    return tuple(found)


def effects_of(sighting: Sighting) -> tuple[str, ...]:
    """Return the effect codes that a sighting speaks for ("encryption", "wiping", "access" …)."""
    return _effects_of_tags(sighting.tags)


def is_impact(sighting: Sighting) -> bool:
    """Say whether a sighting shows encryption, wiping or another impact."""
    return "impact" in tactics_of(sighting)


def is_destructive(sighting: Sighting) -> bool:
    """Say whether what a sighting shows takes services down (ATT&CK's impact techniques that stop or destroy)."""
    techniques = {technique.partition(".")[0] for technique in techniques_of(sighting)}
    if techniques & set(_tactics().destructive["techniques"]):
        return True
    return "impact" in tactics_of(sighting) and not techniques
