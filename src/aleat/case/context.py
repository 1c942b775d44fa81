"""What knowledge adds to a sighting: techniques and tactics that its indicator doesn't carry itself.

An indicator of a hash says nothing about encryption; the relationship "indicates" to a malware of type
ransomware does. Only what follows for *every* sighting of it is added: the techniques that an indicator
indicates, its kill-chain phases, and what a malware's type (STIX 2.1 §10.14) means in itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["indicator_tags"]

_TYPE_TAGS = {
    "ransomware": ("attack.t1486", "attack.impact"),
    "wiper": ("attack.t1485", "attack.impact"),
    "webshell": ("attack.t1505.003", "attack.persistence"),
    "backdoor": ("attack.command-and-control",),
    "remote-access-trojan": ("attack.command-and-control",),
}


def indicator_tags(objects: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return STIX indicator id → tags in Sigma's form (``attack.t1486``) from indicators, relationships and targets."""
    indicators: dict[str, Mapping[str, Any]] = {}
    targets: dict[str, Mapping[str, Any]] = {}
    indicates: list[tuple[str, str]] = []
    for item in objects:
        kind = item.get("type")
        if kind == "indicator":
            indicators[str(item.get("id"))] = item
        elif kind in {"malware", "attack-pattern"}:
            targets[str(item.get("id"))] = item
        elif kind == "relationship" and item.get("relationship_type") == "indicates":
            indicates.append((str(item.get("source_ref")), str(item.get("target_ref"))))
    found: dict[str, dict[str, None]] = {}
    for id_, item in sorted(indicators.items()):
        for phase in item.get("kill_chain_phases") or ():
            if isinstance(phase, Mapping) and phase.get("kill_chain_name") == "mitre-attack":
                found.setdefault(id_, {}).setdefault(f"attack.{phase.get('phase_name')}")
    for source, target in sorted(indicates):
        if source in indicators and target in targets:
            found.setdefault(source, {}).update(dict.fromkeys(_tags_of(targets[target])))
    return {id_: tuple(tags) for id_, tags in found.items()}


def _tags_of(target: Mapping[str, Any]) -> list[str]:
    if target.get("type") == "malware":
        return [tag for kind in target.get("malware_types") or () for tag in _TYPE_TAGS.get(str(kind), ())]
    tags = [f"attack.{name.lower()}" for name in _external_ids(target)]
    phases = target.get("kill_chain_phases") or ()
    return tags + [f"attack.{phase.get('phase_name')}" for phase in phases if isinstance(phase, Mapping)]


def _external_ids(target: Mapping[str, Any]) -> list[str]:
    references = target.get("external_references") or ()
    return [
        str(reference.get("external_id"))
        for reference in references
        if isinstance(reference, Mapping) and str(reference.get("source_name", "")).startswith("mitre")
    ]
