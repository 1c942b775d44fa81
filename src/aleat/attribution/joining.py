"""Which objects are one: actors, software, techniques, places that share an ATT&CK id, a name, or an alias.

Names join what nobody tells apart: ATT&CK ids first, then names, then aliases. An alias that belongs to two of
ATT&CK's groups (collections of names are full of them) joins nothing, and two ATT&CK ids are never one thing, by
whatever chain of aliases. The answer is the same for any order of the objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["aliases_of", "attack_id_of", "fold", "join_objects"]

_ATTACK_ID = re.compile(r"[GSTC]\d{4}(?:\.\d{3})?")
_ACTORS = frozenset({"intrusion-set", "threat-actor"})
_SOFTWARE = frozenset({"malware", "tool"})
_SHORTEST = 4  # folded characters of a name that joins


def fold(name: str) -> str:
    """Fold a name so that spellings of one agree: letters and digits only, case folded.

    >>> fold("Mint-Sandstorm"), fold("MINT SANDSTORM")
    ('mintsandstorm', 'mintsandstorm')
    """
    return "".join(character for character in name.casefold() if character.isalnum())


def aliases_of(item: Mapping[str, Any]) -> list[str]:
    """Return an object's other names."""
    listed = (item.get("aliases"), item.get("x_mitre_aliases"))
    return [str(alias) for found in listed if isinstance(found, list | tuple) for alias in found]


def attack_id_of(item: Mapping[str, Any]) -> str:
    """Return an object's ATT&CK id, or the empty string."""
    references = item.get("external_references")
    for reference in references if isinstance(references, list | tuple) else ():
        if isinstance(reference, Mapping) and str(reference.get("source_name", "")).startswith("mitre"):
            found = _ATTACK_ID.fullmatch(str(reference.get("external_id", "")))
            if found:
                return found[0]
    return ""


def join_objects(objects: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return each object's id → the id that stands for all objects that are one with it (the smallest)."""
    joiner = _Joiner(objects)
    by_id: dict[tuple[str, str], list[str]] = {}
    by_own_name: dict[tuple[str, str], list[str]] = {}
    by_name: dict[tuple[str, str], list[str]] = {}
    for id_ in sorted(objects):
        item = objects[id_]
        family = _family(str(item["type"]))
        attack_id = joiner.attack_ids.get(id_, "")
        if attack_id:
            by_id.setdefault((family, attack_id), []).append(id_)
        if family in {"technique", "indicator"}:
            continue  # techniques share names ("Server", "Domains"); their ids decide
        for name in {fold(str(name)) for name in (item.get("name", ""), *aliases_of(item))}:
            if len(name) >= _SHORTEST:
                by_name.setdefault((family, name), []).append(id_)
        own = fold(str(item.get("name", "")))
        if len(own) >= _SHORTEST:
            by_own_name.setdefault((family, own), []).append(id_)
    for _, ids in (*sorted(by_id.items()), *sorted(by_own_name.items())):
        joiner.join(ids)
    for _, ids in sorted(by_name.items()):
        known = {joiner.attack_ids[id_] for id_ in ids if id_ in joiner.attack_ids}
        if len(known) < 2:
            joiner.join(ids)
    return {id_: joiner.find(id_) for id_ in objects}


class _Joiner:
    """Union-find that never joins two ATT&CK ids."""

    def __init__(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        self._parent = {id_: id_ for id_ in objects}
        self.attack_ids = {id_: found for id_, item in objects.items() if (found := attack_id_of(item))}
        self._known = dict(self.attack_ids)

    def find(self, node: str) -> str:
        """Return the smallest id that `node` is one with."""
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def join(self, ids: list[str]) -> None:
        """Make all of `ids` one, except where that would make two ATT&CK ids one."""
        for id_ in ids[1:]:
            one, other = sorted((self.find(ids[0]), self.find(id_)))
            known = {self._known[home] for home in (one, other) if home in self._known}
            if one != other and len(known) < 2:
                self._parent[other] = one
                if known:
                    self._known[one] = known.pop()


def _family(kind: str) -> str:
    """Types that can be the same thing under two names: groups and actors, malware and tools."""
    if kind in _ACTORS:
        return "actor"
    return "software" if kind in _SOFTWARE else {"attack-pattern": "technique"}.get(kind, kind)
